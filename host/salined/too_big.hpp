// ICMP answers to packets that do not go out, as if the destination's router had sent them: what is
// too big once protected (RFC 4301 §8.2) gets "fragmentation needed" (RFC 1191 §4) or "packet too
// big" (RFC 4443 §3.2), what policy discards "administratively prohibited" (RFC 1812 §5.2.7.1, RFC
// 4443 §3.1).
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

// The same for a packet that policy discards; IPv4 packets that may be fragmented are no exception.
std::size_t answer_prohibited(std::span<const std::uint8_t> packet, TooBigAnswer& answer) noexcept;

}  // namespace saline::daemon
