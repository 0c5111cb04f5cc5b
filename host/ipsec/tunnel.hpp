// Tunnel headers: building the outer one and leaving it (RFC 4301 §5.1.2, RFC 6040, KAME's dfbit
// and ecn variables, and Linux's flags of an SA). The inner packet is not touched on the way in:
// its TTL is decremented by whoever forwarded it to the tunnel, which is the host behind the host
// port, and by nobody when that host sent it itself.
#pragma once

#include <cstdint>

#include "host/ipsec/packet.hpp"
#include "host/ipsec/settings.hpp"
#include "hw/interface/saline_hw.hpp"

namespace saline::ipsec {

constexpr std::uint32_t outer_header_bytes(base::Family family) noexcept {
  return family == base::Family::ipv6 ? 40 : 20;
}

struct OuterHeader {
  const base::Address& source;
  const base::Address& destination;
  std::uint8_t protocol = 0;
  std::uint16_t identification = 0;  // IPv4 only
  std::uint32_t flags = 0;           // SADB_SAFLAGS of the SA
};

// Writes the outer header over the first bytes of `packet`, whose length already is the outer
// packet's; `inner` is the inner IP header, wherever it now is.
void write_outer_header(const Packet& packet, const OuterHeader& outer, const std::uint8_t* inner,
                        const Settings& settings) noexcept;

// The outer ECN field for an inner one on entry.
std::uint8_t outer_ecn(Ecn mode, std::uint8_t inner) noexcept;
// The inner ECN field on exit; false when the packet must be dropped (RFC 3168 §9.1.1, RFC 6040
// §4.2).
bool inner_ecn(Ecn mode, std::uint8_t inner, std::uint8_t outer, std::uint8_t& result) noexcept;

// TOS or traffic class of an IP header, and setting it or its ECN field (with the IPv4 checksum).
std::uint8_t traffic_class(const std::uint8_t* header) noexcept;
void set_traffic_class(std::uint8_t* header, std::uint8_t value) noexcept;
void set_ecn(std::uint8_t* header, std::uint8_t ecn) noexcept;

// After `packet` has been cut to what the tunnel carried: checks the inner header against
// next_header (4 or 41), trims TFC padding (RFC 4303 §2.7), applies ECN and, with DECAP_DSCP among
// the SA's flags, DSCP. `inner` becomes the parse of the packet.
hw::DropReason enter_inner(Packet& packet, std::uint8_t next_header, std::uint8_t outer_class,
                           base::Family outer_family, const Settings& settings, std::uint32_t flags,
                           Headers& inner) noexcept;

// The DF bit of the outer IPv4 header around `inner`: the dfbit variable, unless the SA never sets
// it.
bool outer_df(DfBit mode, const std::uint8_t* inner, std::uint32_t flags) noexcept;

}  // namespace saline::ipsec
