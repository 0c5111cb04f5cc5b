// Mutable fields against the table of the vector collection, byte by byte.
#include "host/ipsec/mutable_fields.hpp"

#include <gtest/gtest.h>

#include "host/base/bytes.hpp"
#include "tests/host/ipsec/bed.hpp"

namespace saline::test {

using namespace saline::ipsec;

TEST(MutableFields, Ipv4BaseHeader) {
  Bytes header = ip_packet("10.0.0.1", "10.0.0.2", kAh, {});
  header[1] = 0xB8;
  header[4] = 0x12;
  header[6] = 0x40;
  const Bytes before = header;
  ASSERT_TRUE(mute(header, Settings{}));
  Bytes expected = before;
  for (std::size_t at : {1u, 6u, 7u, 8u, 10u, 11u}) expected[at] = 0;
  EXPECT_EQ(header, expected);
}

TEST(MutableFields, Ipv4OptionsGoWholeOrStayWhole) {
  const Bytes options = {1, 130, 4, 9, 9, 7, 7, 4, 1, 2, 3, 4};
  Bytes header = ip_packet("10.0.0.1", "10.0.0.2", kAh, {}, options);
  ASSERT_TRUE(mute(header, Settings{}));
  EXPECT_EQ(Bytes(header.begin() + 20, header.end()),
            (Bytes{1, 130, 4, 9, 9, 0, 0, 0, 0, 0, 0, 0}));
}

TEST(MutableFields, Ipv6BaseHeader) {
  Bytes header = ip_packet("2001:db8::1", "2001:db8::2", kAh, {});
  header[0] = 0x6A;
  header[1] = 0xBC;
  header[2] = 0xDE;
  header[3] = 0xF0;
  const Bytes before = header;
  ASSERT_TRUE(mute(header, Settings{}));
  Bytes expected = before;
  expected[0] = 0x60;
  expected[1] = expected[2] = expected[3] = expected[7] = 0;
  EXPECT_EQ(header, expected);
}

namespace {

Bytes address_bytes(std::string_view text) {
  const base::Address parsed = address(text);
  return {parsed.bytes.begin(), parsed.bytes.end()};
}

// An IPv6 header, then a routing header of that type with `body` behind its first four bytes.
Bytes with_routing(std::uint8_t type, std::uint8_t segments_left, const Bytes& body) {
  Bytes routing{kAh, static_cast<std::uint8_t>((4 + body.size()) / 8 - 1), type, segments_left};
  routing.insert(routing.end(), body.begin(), body.end());
  return ip_packet("2001:db8::1", "2001:db8::2", kRouting, {}, routing);
}

Bytes joined(std::initializer_list<Bytes> parts) {
  Bytes all;
  for (const Bytes& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

// What arrives: the same packet with no segments left, another destination and another body.
void becomes(Bytes sent, std::string_view destination, const Bytes& body) {
  Headers headers;
  Bytes packet = sent;
  packet.resize(sent.size());
  ASSERT_TRUE(parse_headers(packet, headers));
  EXPECT_EQ(headers.final_destination, address(destination));
  EXPECT_TRUE(headers.routed);
  ASSERT_TRUE(mute(sent, Settings{}));
  Bytes arrived = with_routing(sent[42], 0, body);
  const Bytes to = address_bytes(destination);
  std::copy(to.begin(), to.end(), arrived.begin() + 24);
  ASSERT_TRUE(mute(arrived, Settings{}));
  EXPECT_EQ(sent, arrived) << "the sender signs what the receiver will";
}

}  // namespace

TEST(MutableFields, C5RoutingHeadersAreSignedAsTheyWillArrive) {
  const Bytes zeros(4, 0);
  const Bytes a = address_bytes("2001:db8::a"), b = address_bytes("2001:db8::b");
  const Bytes first = address_bytes("2001:db8::2");
  // Type 2: the home address is swapped in.
  becomes(with_routing(2, 1, joined({zeros, a})), "2001:db8::a", joined({zeros, first}));
  // Type 3, nothing elided: each hop swaps its own in.
  becomes(with_routing(3, 2, joined({zeros, a, b})), "2001:db8::b", joined({zeros, first, a}));
  // Type 3 half way, with 14 bytes elided everywhere and 4 of padding.
  const Bytes packed{0xEE, 0x40, 0, 0, 0, 7, 0, 8};
  becomes(with_routing(3, 1, joined({packed, zeros})), "2001:db8::8",
          joined({Bytes{0xEE, 0x40, 0, 0, 0, 7, 0, 2}, zeros}));
  // Type 4: the list stays, its first entry is the last segment.
  const Bytes segments{1, 0, 0, 0};
  becomes(with_routing(4, 1, joined({segments, a, b})), "2001:db8::a", joined({segments, a, b}));
}

TEST(MutableFields, SegmentTlvsThatMayChangeAreZero) {
  const Bytes tlvs{0x85, 2, 9, 9, 0x05, 2, 9, 9};
  Bytes header = with_routing(4, 0, joined({{0, 0, 0, 0}, address_bytes("2001:db8::a"), tlvs}));
  ASSERT_TRUE(mute(header, Settings{}));
  EXPECT_EQ(Bytes(header.end() - 8, header.end()), (Bytes{0x85, 2, 0, 0, 0x05, 2, 9, 9}));
  Bytes wrong = with_routing(
      4, 0, joined({{0, 0, 0, 0}, address_bytes("2001:db8::a"), {0x85, 7, 9, 9, 0, 0, 0, 0}}));
  EXPECT_FALSE(mute(wrong, Settings{}));
}

TEST(MutableFields, C5DeadAndUnknownRoutingIsRefused) {
  const Bytes body = joined({Bytes(4, 0), address_bytes("2001:db8::a")});
  Headers headers;
  EXPECT_FALSE(parse_headers(with_routing(0, 1, body), headers)) << "RFC 5095";
  EXPECT_TRUE(parse_headers(with_routing(0, 0, body), headers));
  EXPECT_FALSE(parse_headers(with_routing(2, 2, body), headers));
  EXPECT_FALSE(parse_headers(with_routing(3, 3, body), headers));
  EXPECT_FALSE(parse_headers(with_routing(4, 2, body), headers));
  Bytes unknown = with_routing(9, 1, body);
  EXPECT_TRUE(parse_headers(unknown, headers));
  EXPECT_FALSE(mute(unknown, Settings{})) << "AH cannot foresee it";
}

TEST(MutableFields, Ipv6JumbogramsAreRefused) {
  Bytes jumbo =
      ip_packet("2001:db8::1", "2001:db8::2", kHopByHop, {}, {kAh, 0, 0xC2, 4, 0, 1, 0, 0});
  base::store16(&jumbo[4], 0);
  Headers headers;
  EXPECT_FALSE(parse_headers(jumbo, headers));
}

TEST(MutableFields, Ipv6OptionsOffTheEndAreRefused) {
  const Bytes options = {kAh, 0, 0x3E, 9, 1, 2, 3, 4};
  Bytes header = ip_packet("2001:db8::1", "2001:db8::2", kHopByHop, {}, options);
  EXPECT_FALSE(mute(header, Settings{}));
}

}  // namespace saline::test
