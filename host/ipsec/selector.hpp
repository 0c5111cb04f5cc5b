// Selectors (RFC 4301 §4.4.1.1): what a policy or an SA says about the packets it is for.
#pragma once

#include <compare>
#include <cstdint>

#include "host/base/ip.hpp"
#include "host/ipsec/packet.hpp"
#include "host/ipsec/protocols.hpp"

namespace saline::ipsec {

// Port 0 is any; ICMP type and code sit in the port fields. Protocol 255 is any.
struct Selector {
  base::Prefix source;
  std::uint16_t source_port = 0;
  base::Prefix destination;
  std::uint16_t destination_port = 0;
  std::uint8_t upper_protocol = kAnyProtocol;
  auto operator<=>(const Selector&) const = default;

  // Ports of a packet whose ports are not known (fragments) match port any only.
  bool matches(const Flow& flow) const noexcept;
};

}  // namespace saline::ipsec
