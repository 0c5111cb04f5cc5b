// The packet that an ICMP error is about (RFC 792, RFC 4443 §2.4, RFC 4301 §6).
#pragma once

#include <cstdint>
#include <span>

#include "host/ipsec/packet.hpp"

namespace saline::ipsec {

// The flow of the quoted packet, source and destination changed over: that of a packet which
// travels as the error does. False when the packet (whose flow is `flow`) is no ICMP error, quotes
// too little to tell, or quotes AH or ESP.
bool parse_quoted_flow(std::span<const std::uint8_t> packet, const Flow& flow,
                       Flow& quoted) noexcept;

}  // namespace saline::ipsec
