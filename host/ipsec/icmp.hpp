// ICMP errors about what this host has protected: "fragmentation needed" (RFC 792, RFC 1191 §4) and
// "packet too big" (RFC 4443 §3.2). Anyone can send them, so only those are believed that quote a
// packet an SA may have sent (RFC 4301 §8.2.1). They change the SA's path MTU and nothing else: the
// message itself goes on to the policy like any other packet.
#pragma once

#include <cstdint>
#include <span>

#include "host/ipsec/packet.hpp"
#include "host/ipsec/sad.hpp"

namespace saline::ipsec {

enum class PathReport : std::uint8_t {
  none,     // not such a message, or not about AH and ESP
  ignored,  // about AH or ESP, but not believed, or no news
  learned,  // the SA's path MTU is lower now
};

// Believed: a right checksum; quotes the header of a packet from the address it is sent to, DF set
// in IPv4, whose SPI and destination (and UDP ports) are those of an SA that lets its path be
// discovered, with a sequence number that this SA has sent. `headers` is the parse of `packet`.
PathReport learn_path_mtu(std::span<const std::uint8_t> packet, const Headers& headers,
                          const SadView& sad, std::uint64_t now_s) noexcept;

}  // namespace saline::ipsec
