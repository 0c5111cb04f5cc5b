// The words of RFC 4301 that everything else is written in, with the numbers of IP and of PF_KEY.
#pragma once

#include <cstdint>

namespace saline::ipsec {

enum class Protocol : std::uint8_t { esp = 50, ah = 51, ipcomp = 108 };

// Values of IPSEC_MODE_*.
enum class Mode : std::uint8_t { any = 0, transport = 1, tunnel = 2 };

// Values of IPSEC_LEVEL_*.
enum class Level : std::uint8_t { default_ = 0, use = 1, require = 2, unique = 3 };

// Values of IPSEC_DIR_*, fwd as on Linux.
enum class Direction : std::uint8_t { any = 0, in = 1, out = 2, fwd = 3 };

// Values of IPSEC_POLICY_*.
enum class Action : std::uint8_t { discard = 0, none = 1, ipsec = 2 };

// Values of SADB_SASTATE_*.
enum class State : std::uint8_t { larval = 0, mature = 1, dying = 2, dead = 3 };

// IP protocol numbers this layer looks at.
inline constexpr std::uint8_t kIpv4 = 4;
inline constexpr std::uint8_t kTcp = 6;
inline constexpr std::uint8_t kUdp = 17;
inline constexpr std::uint8_t kIpv6 = 41;
inline constexpr std::uint8_t kRouting = 43;
inline constexpr std::uint8_t kFragment = 44;
inline constexpr std::uint8_t kEsp = 50;
inline constexpr std::uint8_t kAh = 51;
inline constexpr std::uint8_t kIpcomp = 108;
inline constexpr std::uint8_t kIcmp = 1;
inline constexpr std::uint8_t kIcmpv6 = 58;
inline constexpr std::uint8_t kNoNextHeader = 59;
inline constexpr std::uint8_t kDestinationOptions = 60;
inline constexpr std::uint8_t kHopByHop = 0;
inline constexpr std::uint8_t kMobility = 135;
inline constexpr std::uint8_t kSctp = 132;
inline constexpr std::uint8_t kUdpLite = 136;
inline constexpr std::uint8_t kAnyProtocol = 255;

}  // namespace saline::ipsec
