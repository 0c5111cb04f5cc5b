// IPComp (RFC 3173) with DEFLATE (RFC 2394), transport and tunnel mode. A payload that would not
// get smaller goes as it is: in transport mode untouched, in tunnel mode as plain IP in IP. What is
// expanded is bounded by the largest IP packet and by the room of the packet's buffer. Other
// algorithms (OUI, LZS) are not carried. Private to the packet walk.
#pragma once

#include <cstdint>
#include <vector>

#include "host/crypto/deflate.hpp"
#include "host/ipsec/sad.hpp"
#include "host/ipsec/step.hpp"

namespace saline::ipsec {

inline constexpr std::uint32_t kIpcompHeader = 4;
// Shorter payloads are not worth trying, as in KAME.
inline constexpr std::uint32_t kCompressionThreshold = 90;
// CPIs up to here are well known: the number of the algorithm itself (RFC 3173 §3.3).
inline constexpr std::uint32_t kWellKnownCpiMax = 63;

// Working memory of one data thread.
class Compressor {
 public:
  Compressor();
  crypto::Deflate& deflate() noexcept { return deflate_; }
  std::span<std::uint8_t> buffer() noexcept { return buffer_; }

 private:
  crypto::Deflate deflate_;
  std::vector<std::uint8_t> buffer_;
};

// The CPI that packets of an SA carry.
std::uint16_t cpi_of(const SaConfig& config) noexcept;

// The inbound SA by CPI; a well-known one (RFC 3173 §3.3) belongs to whatever SA of that algorithm
// is between the two, and 0, plain IP in IP, to one in tunnel mode. nullptr when there is none.
SecurityAssociation* find_ipcomp(const SadView& sad, const Headers& headers,
                                 std::uint32_t cpi) noexcept;

// RFC 3173 §2.2: applies step.association to the packet as far as it pays.
hw::DropReason compress_outbound(Step& step, OutboundContext& context, Compressor& compressor,
                                 bool& compressed) noexcept;
// RFC 3173 §2.3; step.headers names IPComp as upper protocol. Finds out the mode.
hw::DropReason expand_inbound(Step& step, const Settings& settings,
                              Compressor& compressor) noexcept;
// A packet of a tunnel mode SA that was not worth compressing: step.headers names IPv4 or IPv6 as
// upper protocol.
hw::DropReason enter_uncompressed(Step& step, const Settings& settings) noexcept;

}  // namespace saline::ipsec
