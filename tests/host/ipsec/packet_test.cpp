// Parsing of headers and selectors.
#include "host/ipsec/packet.hpp"

#include <gtest/gtest.h>

#include "host/base/bytes.hpp"
#include "tests/host/ipsec/bed.hpp"

namespace saline::test {

using namespace saline::ipsec;

namespace {

Bytes join(std::initializer_list<Bytes> parts) {
  Bytes all;
  for (const Bytes& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

// An extension header of 8 bytes: next header, length 0, options PadN.
Bytes options(std::uint8_t next) { return {next, 0, 1, 4, 0, 0, 0, 0}; }
Bytes routing2(std::uint8_t next, std::uint8_t segments_left, const char* home) {
  Bytes header = {next, 2, 2, segments_left, 0, 0, 0, 0};
  const base::Address address = base::Address::parse(home);
  header.insert(header.end(), address.bytes.begin(), address.bytes.end());
  return header;
}

}  // namespace

TEST(Headers, Ipv4) {
  Headers headers;
  Bytes packet = ip_packet("192.0.2.1", "192.0.2.2", kUdp, udp(4));
  packet.resize(packet.size() + 6);
  ASSERT_TRUE(parse_headers(packet, headers));
  EXPECT_EQ(headers.total, 32u);
  EXPECT_EQ(headers.upper_protocol, kUdp);
  EXPECT_EQ(headers.upper_offset, 20u);
  EXPECT_EQ(headers.source, address("192.0.2.1"));
  EXPECT_FALSE(headers.fragment);
  packet[6] = 0x40;
  ASSERT_TRUE(parse_headers(packet, headers));
  EXPECT_FALSE(headers.fragment) << "DF is no fragment";
  packet[6] = 0x20;
  ASSERT_TRUE(parse_headers(packet, headers));
  EXPECT_TRUE(headers.fragment);
}

TEST(Headers, Ipv4SourceRouteNamesTheFinalDestination) {
  const Bytes route = {131, 7, 4, 198, 51, 100, 9, 0};
  const Bytes packet = ip_packet("192.0.2.1", "192.0.2.2", kUdp, udp(4), route);
  Headers headers;
  ASSERT_TRUE(parse_headers(packet, headers));
  EXPECT_TRUE(headers.routed);
  EXPECT_EQ(headers.final_destination, address("198.51.100.9"));
  const Bytes done = {131, 7, 8, 198, 51, 100, 9, 0};
  ASSERT_TRUE(parse_headers(ip_packet("192.0.2.1", "192.0.2.2", kUdp, udp(4), done), headers));
  EXPECT_FALSE(headers.routed);
  EXPECT_EQ(headers.final_destination, address("192.0.2.2"));
}

TEST(Headers, Ipv4OptionsWithWrongLengthsAreMalformed) {
  Headers headers;
  for (const Bytes& bad : {Bytes{68, 0, 0, 0}, Bytes{68, 1, 0, 0}, Bytes{68, 5, 0, 0},
                           Bytes{1, 1, 1, 68}, Bytes{131, 2, 0, 0}}) {
    EXPECT_FALSE(parse_headers(ip_packet("192.0.2.1", "192.0.2.2", kUdp, udp(4), bad), headers));
  }
}

TEST(Headers, Ipv6ChainAndWhereIpsecGoes) {
  const Bytes chain = join({options(kDestinationOptions), options(kRouting),
                            routing2(kDestinationOptions, 1, "2001:db8::99"), options(kUdp)});
  const Bytes packet = ip_packet("2001:db8::1", "2001:db8::2", kHopByHop, udp(4), chain);
  Headers headers;
  ASSERT_TRUE(parse_headers(packet, headers));
  EXPECT_EQ(headers.upper_protocol, kUdp);
  EXPECT_EQ(headers.upper_offset, 40u + 8 + 8 + 24 + 8);
  EXPECT_EQ(headers.upper_protocol_field, 40u + 8 + 8 + 24);
  EXPECT_EQ(headers.insert_offset, 40u + 8 + 8 + 24) << "behind routing, before the last options";
  EXPECT_EQ(headers.insert_protocol_field, 40u + 8 + 8);
  EXPECT_TRUE(headers.routed);
  EXPECT_EQ(headers.final_destination, address("2001:db8::99"));
}

TEST(Headers, Ipv6ChainsThatRunOffAreMalformed) {
  Headers headers;
  const auto parse = [&](std::uint8_t next, const Bytes& rest) {
    return parse_headers(ip_packet("2001:db8::1", "2001:db8::2", next, {}, rest), headers);
  };
  EXPECT_FALSE(parse(kDestinationOptions, {kUdp, 1, 0, 0, 0, 0, 0, 0})) << "longer than the packet";
  EXPECT_FALSE(parse(kDestinationOptions, {kUdp, 0, 0, 0})) << "cut";
  EXPECT_FALSE(parse(kDestinationOptions, options(kHopByHop))) << "hop-by-hop comes first";
  Bytes deep;
  for (int i = 0; i < 17; ++i) deep = join({deep, options(kDestinationOptions)});
  EXPECT_FALSE(parse(kDestinationOptions, join({deep, options(kUdp)}))) << "endless";
  EXPECT_FALSE(
      parse(kRouting, {kUdp, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}))
      << "type 0 with segments left, RFC 5095";
  EXPECT_TRUE(parse(kNoNextHeader, {}));
}

TEST(FlowOf, ReadsPortsTypesAndLooksThroughAh) {
  Flow flow;
  ASSERT_TRUE(parse_flow(ip_packet("192.0.2.1", "192.0.2.2", kUdp, udp(4, 0, 53, 4000)), flow));
  EXPECT_TRUE(flow.ports_known);
  EXPECT_EQ(flow.source_port, 53);
  EXPECT_EQ(flow.destination_port, 4000);

  const Bytes icmp = {135, 7, 0, 0, 0, 0, 0, 0};
  ASSERT_TRUE(parse_flow(ip_packet("2001:db8::1", "2001:db8::2", kIcmpv6, icmp), flow));
  EXPECT_EQ(flow.source_port, 135);
  EXPECT_EQ(flow.destination_port, 7);

  Bytes ah(24, 0);
  ah[0] = kUdp;
  ah[1] = 4;
  ASSERT_TRUE(
      parse_flow(ip_packet("192.0.2.1", "192.0.2.2", kAh, join({ah, udp(4, 0, 53, 4000)})), flow));
  EXPECT_EQ(flow.upper_protocol, kUdp);
  EXPECT_EQ(flow.source_port, 53);

  ASSERT_TRUE(parse_flow(ip_packet("192.0.2.1", "192.0.2.2", kEsp, Bytes(40)), flow));
  EXPECT_EQ(flow.upper_protocol, kEsp);
  EXPECT_FALSE(flow.ports_known);
}

TEST(FlowOf, EvenAFirstFragmentHasNoPortsAndNoProtocol) {
  Bytes packet = ip_packet("192.0.2.1", "192.0.2.2", kUdp, udp(40, 0, 53, 4000));
  packet[6] = 0x20;
  Flow flow;
  ASSERT_TRUE(parse_flow(packet, flow));
  EXPECT_TRUE(flow.fragment);
  EXPECT_FALSE(flow.ports_known);
  EXPECT_EQ(flow.upper_protocol, kAnyProtocol);
}

TEST(FlowOf, CutTransportHeaderHasNoPorts) {
  Flow flow;
  ASSERT_TRUE(parse_flow(ip_packet("192.0.2.1", "192.0.2.2", kTcp, {0, 80, 1}), flow));
  EXPECT_FALSE(flow.ports_known);
}

TEST(FlowOf, NeverReadsBeyondTheBuffer) {
  std::mt19937_64 generator(7);
  for (int i = 0; i < 200000; ++i) {
    Bytes packet = random_bytes(generator, generator() % 120);
    if (packet.size() > 40) {
      packet[0] = generator() % 2 == 0 ? 0x45 : 0x60;
      base::store16(&packet[packet[0] == 0x45 ? 2 : 4],
                    static_cast<std::uint16_t>(packet.size() - (packet[0] == 0x45 ? 0 : 40)));
      const std::uint8_t next[] = {0, 43, 44, 51, 60, 6, 17, 58};
      packet[packet[0] == 0x45 ? 9 : 6] = next[generator() % 8];
      packet[40] = next[generator() % 8];
      if (packet.size() > 41) packet[41] = static_cast<std::uint8_t>(generator() % 4);
    }
    const auto exact = std::make_unique<std::uint8_t[]>(packet.size());
    std::copy(packet.begin(), packet.end(), exact.get());
    Flow flow;
    parse_flow({exact.get(), packet.size()}, flow);
  }
}

}  // namespace saline::test
