// The MSS clamp (RFC 4459 §3.2): lowers the maximum segment size that a TCP SYN announces (RFC 9293
// §3.7.1), so that segments fit a tunnel even where ICMP does not get through.
#pragma once

#include <cstdint>
#include <span>

#include "host/ipsec/packet.hpp"

namespace saline::ipsec {

// `headers` is the parse of `packet`. True when the packet was changed; its checksum is then right
// if it was before. Fragments, and segments that are no SYN, stay as they are.
bool clamp_mss(std::span<std::uint8_t> packet, const Headers& headers, std::uint16_t most) noexcept;

// The largest segment in a packet of that many bytes, without options; 0 when none fits.
constexpr std::uint16_t mss_for(std::uint32_t packet_bytes, base::Family family) noexcept {
  const std::uint32_t headers = family == base::Family::ipv6 ? 60 : 40;
  if (packet_bytes <= headers) return 0;
  return static_cast<std::uint16_t>(packet_bytes - headers < 65535 ? packet_bytes - headers
                                                                   : 65535);
}

}  // namespace saline::ipsec
