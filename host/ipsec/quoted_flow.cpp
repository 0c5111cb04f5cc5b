// Reads what an ICMP error quotes, which as a rule is cut short.
#include "host/ipsec/quoted_flow.hpp"

#include <utility>

#include "host/base/bytes.hpp"

namespace saline::ipsec {

namespace {

using base::Family;
using base::load16;

constexpr std::uint32_t kIcmpHeader = 8;
constexpr unsigned kExtensionsMax = 8;

// Destination unreachable, source quench, redirect, time exceeded, parameter problem; ICMPv6 errors
// are the types below 128.
bool is_error(const Flow& flow) noexcept {
  if (!flow.ports_known) return false;
  const std::uint16_t type = flow.source_port;
  if (flow.upper_protocol == kIcmpv6) return type < 128;
  return flow.upper_protocol == kIcmp &&
         (type == 3 || type == 4 || type == 5 || type == 11 || type == 12);
}

bool names_ports(std::uint8_t protocol) noexcept {
  return protocol == kTcp || protocol == kUdp || protocol == kSctp || protocol == kUdpLite;
}

struct Upper {
  std::uint8_t protocol = 0;
  std::uint32_t offset = 0;
  bool first = true;  // not a later fragment
};

bool find_ipv4(std::span<const std::uint8_t> quote, Flow& out, Upper& upper) noexcept {
  if (quote.size() < 20 || quote[0] >> 4 != 4) return false;
  upper.offset = (quote[0] & 15u) * 4;
  if (upper.offset < 20) return false;
  out.source = base::Address::from_bytes(Family::ipv4, quote.subspan(12));
  out.destination = base::Address::from_bytes(Family::ipv4, quote.subspan(16));
  upper.protocol = quote[9];
  upper.first = (load16(&quote[6]) & 0x1FFF) == 0;
  return true;
}

bool find_ipv6(std::span<const std::uint8_t> quote, Flow& out, Upper& upper) noexcept {
  if (quote.size() < 40 || quote[0] >> 4 != 6) return false;
  out.source = base::Address::from_bytes(Family::ipv6, quote.subspan(8));
  out.destination = base::Address::from_bytes(Family::ipv6, quote.subspan(24));
  upper.protocol = quote[6];
  upper.offset = 40;
  for (unsigned count = 0; count < kExtensionsMax; ++count) {
    const std::uint8_t type = upper.protocol;
    if (type != kHopByHop && type != kRouting && type != kDestinationOptions && type != kFragment)
      return true;
    if (upper.offset + 8 > quote.size()) return false;
    const std::uint8_t* header = &quote[upper.offset];
    if (type == kFragment) upper.first = upper.first && (load16(header + 2) & 0xFFF8) == 0;
    upper.protocol = header[0];
    upper.offset += type == kFragment ? 8 : (header[1] + 1u) * 8;
    if (!upper.first) return true;
  }
  return false;
}

}  // namespace

bool parse_quoted_flow(std::span<const std::uint8_t> packet, const Flow& flow,
                       Flow& quoted) noexcept {
  if (!is_error(flow)) return false;
  Headers headers;
  if (!parse_headers(packet, headers) || headers.fragment ||
      (headers.upper_protocol != kIcmp && headers.upper_protocol != kIcmpv6) ||
      headers.upper_offset + kIcmpHeader > headers.total)
    return false;
  const auto quote = packet.first(headers.total).subspan(headers.upper_offset + kIcmpHeader);
  quoted = Flow{};
  Upper upper;
  const bool known = headers.family == Family::ipv4 ? find_ipv4(quote, quoted, upper)
                                                    : find_ipv6(quote, quoted, upper);
  if (!known || upper.protocol == kEsp || upper.protocol == kAh) return false;
  quoted.upper_protocol = upper.protocol;
  quoted.fragment = !upper.first;
  if (upper.first && upper.offset + 4 <= quote.size()) {
    const std::uint8_t* ports = &quote[upper.offset];
    if (names_ports(upper.protocol)) {
      quoted.source_port = load16(ports);
      quoted.destination_port = load16(ports + 2);
      quoted.ports_known = true;
    }
  }
  std::swap(quoted.source, quoted.destination);
  std::swap(quoted.source_port, quoted.destination_port);
  return true;
}

}  // namespace saline::ipsec
