// The frames that are sent through a gateway: Ethernet, IPv4 and UDP from 10.1.0.1 to 10.2.0.1. The
// gateway protects them from 192.0.2.1 to 192.0.2.2, ESP in tunnel mode with AES-128-GCM.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <vector>

#include "host/base/bytes.hpp"
#include "host/ipsec/packet.hpp"

namespace saline::bench {

using Frame = std::vector<std::uint8_t>;
using Mac = std::array<std::uint8_t, 6>;

inline constexpr Mac kPlainMac{2, 0, 0, 0, 1, 1};  // the gateway's port on the clear side
inline constexpr Mac kWireMac{2, 0, 0, 0, 1, 2};   // and on the protected side
inline constexpr Mac kPeerMac{2, 0, 0, 0, 2, 2};   // the station behind either
inline constexpr std::uint32_t kSpi = 4097;
inline constexpr char kKey[] = "0x000102030405060708090a0b0c0d0e0f10111213";

inline void address(Frame& frame, const Mac& to) { std::memcpy(frame.data(), to.data(), 6); }

// A frame whose IP packet has that many bytes.
inline Frame clear_frame(std::size_t bytes) {
  Frame frame(14 + bytes, 0x5a);
  address(frame, kPlainMac);
  std::memcpy(frame.data() + 6, kPeerMac.data(), 6);
  base::store16(frame.data() + 12, 0x0800);
  std::uint8_t* ip = frame.data() + 14;
  const std::uint8_t header[28] = {0x45, 0, 0,  0, 0, 0, 0,    0, 64,   17, 0, 0, 10, 1,
                                   0,    1, 10, 2, 0, 1, 0x10, 0, 0x20, 0,  0, 0, 0,  0};
  std::memcpy(ip, header, sizeof header);
  base::store16(ip + 2, static_cast<std::uint16_t>(bytes));
  base::store16(ip + 24, static_cast<std::uint16_t>(bytes - 20));
  base::store16(ip + 10, ipsec::ipv4_header_checksum({ip, 20}));
  return frame;
}

}  // namespace saline::bench
