// IPv4 and IPv6 headers, options and extension headers: the product's one parse against the slow
// one, for headers, selectors, checksums and what AH signs.
#include <algorithm>

#include "host/ipsec/mutable_fields.hpp"
#include "host/ipsec/packet.hpp"
#include "tests/fuzz/reference.hpp"
#include "tests/host/ipsec/bed.hpp"

namespace saline::fuzz {

namespace {

using namespace saline::ipsec;

void same_headers(const Headers& fast, const SlowHeaders& slow) {
  SALINE_REQUIRE(fast.total == slow.total, "total length");
  SALINE_REQUIRE(fast.upper_protocol == slow.upper, "upper protocol");
  SALINE_REQUIRE(fast.upper_offset == slow.upper_at, "where it begins");
  SALINE_REQUIRE(fast.upper_protocol_field == slow.upper_named_at, "where it is named");
  SALINE_REQUIRE(fast.insert_offset == slow.insert_at, "where a transport header goes");
  SALINE_REQUIRE(fast.insert_protocol_field == slow.insert_named_at, "where it will be named");
  SALINE_REQUIRE(fast.fragment == slow.fragment, "fragment");
  SALINE_REQUIRE(fast.routed == slow.routed, "on its way");
  SALINE_REQUIRE(fast.final_destination == slow.final_destination, "final destination");
}

void same_flow(const Bytes& packet, const SlowHeaders& slow) {
  Flow flow;
  const bool parsed = parse_flow(packet, flow);
  if (slow.fragment) {
    SALINE_REQUIRE(parsed && flow.fragment && !flow.ports_known, "a fragment has no ports");
    SALINE_REQUIRE(flow.upper_protocol == kAnyProtocol, "nor a protocol");
    return;
  }
  const auto ports = slow_ports(packet, slow);
  SALINE_REQUIRE(parsed == ports.has_value(), "malformed behind the headers");
  if (!parsed) return;
  SALINE_REQUIRE(flow.upper_protocol == ports->protocol, "protocol of the flow");
  SALINE_REQUIRE(flow.ports_known == ports->source.has_value(), "ports known");
  SALINE_REQUIRE(flow.source_port == ports->source.value_or(0), "source port");
  SALINE_REQUIRE(flow.destination_port == ports->destination.value_or(0), "destination port");
}

}  // namespace

void one(Input input) {
  const Bytes packet = input.rest();
  Headers fast;
  const bool parsed = parse_headers(packet, fast);
  const auto slow = slow_headers(packet);
  SALINE_REQUIRE(parsed == slow.has_value(), "malformed or not");
  if (!parsed) {
    Flow flow;
    SALINE_REQUIRE(!parse_flow(packet, flow), "a flow of a malformed packet");
    return;
  }
  same_headers(fast, *slow);
  same_flow(packet, *slow);
  if (!slow->ipv6) {
    const std::span<const std::uint8_t> header = std::span(packet).first(slow->upper_at);
    SALINE_REQUIRE(ipv4_header_checksum(header) == slow_checksum(packet, header.size()),
                   "checksum");
  }
  // What AH signs is asked of headers that lead to AH.
  if (slow->upper != kAh || slow->fragment || slow->routed) return;
  Bytes muted(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(slow->upper_at));
  const auto image = slow_mute(packet, *slow, slow->upper_at);
  SALINE_REQUIRE(mute(muted, Settings{}) == image.has_value(), "can be signed");
  SALINE_REQUIRE(!image.has_value() || muted == *image, "what is signed");
}

std::vector<Bytes> seeds() {
  using test::ip_packet;
  using test::udp;
  const Bytes route{131, 7, 4, 10, 0, 0, 2, 0};
  const Bytes options{130, 4, 9, 9, 7, 7, 4, 1, 2, 3, 4, 1};
  const Bytes hop{kAh, 0, 0x3E, 4, 1, 2, 3, 4};
  const Bytes chain = join({{kDestinationOptions, 0, 1, 4, 0, 0, 0, 0},
                            {kRouting, 0, 0x1E, 4, 5, 6, 7, 8},
                            {kAh, 0, 4, 0, 0, 0, 0, 0}});
  const Bytes ah(24, 1);
  const Bytes over_ah = join({{kUdp, 4, 0, 0}, Bytes(20, 7), udp(12)});
  return {ip_packet("10.0.0.1", "10.0.0.2", kUdp, udp(20)),
          ip_packet("10.0.0.1", "10.0.0.2", kAh, over_ah, options),
          ip_packet("10.0.0.1", "10.0.0.2", kIcmp, Bytes(8, 8), route),
          ip_packet("fd00::1", "fd00::2", kUdp, udp(20)),
          ip_packet("fd00::1", "fd00::2", kHopByHop, over_ah, hop),
          ip_packet("fd00::1", "fd00::2", kHopByHop, over_ah, chain),
          ip_packet("fd00::1", "fd00::2", kFragment, udp(20), {kUdp, 0, 0, 1, 0, 0, 0, 9}),
          ip_packet("fd00::1", "fd00::2", kRouting, ah,
                    join({{kAh, 2, 2, 1, 0, 0, 0, 0}, Bytes(16, 3)}))};
}

}  // namespace saline::fuzz
