// The answer to a packet that would be too big once protected (RFC 4301 §8.2): ICMP "fragmentation
// needed" (RFC 1191 §4) and ICMPv6 "packet too big" (RFC 4443 §3.2), as if the destination's router
// had sent it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace saline::daemon {

// The whole answer: IP header, ICMP header, and the start of the packet.
using TooBigAnswer = std::array<std::uint8_t, 576>;

// mtu: the largest packet that fits. Returns the answer's length; 0 when there must be none: to an
// ICMP error or a fragment that is not the first, from or to a group, or, in IPv4, to a packet that
// may be fragmented.
std::size_t answer_too_big(std::span<const std::uint8_t> packet, std::uint32_t mtu,
                           TooBigAnswer& answer) noexcept;

}  // namespace saline::daemon
