// What AH does not sign because routers may change it (RFC 4302 §3.3.3.1, App. A, and KAME's
// ah_cleartos and ah_offsetmask).
#pragma once

#include <cstdint>
#include <span>

#include "host/ipsec/packet.hpp"
#include "host/ipsec/settings.hpp"

namespace saline::ipsec {

// Zeroes the mutable fields in a copy of the headers before AH: the IPv4 header with its options,
// or the IPv6 header with its extension headers up to AH. Predictable fields get the value they
// have at the final destination. False when an option's length is wrong or a routing header is of a
// type whose future is unknown.
bool mute(std::span<std::uint8_t> headers, const Settings& settings) noexcept;

}  // namespace saline::ipsec
