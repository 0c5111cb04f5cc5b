// AH on the wire: what its ICV covers and what it does not (RFC 4302 §3.3.3.1), and bad input,
// group C.
#include <gtest/gtest.h>

#include "host/base/bytes.hpp"
#include "tests/host/ipsec/bed.hpp"
#include "tests/host/vectors.hpp"

namespace saline::test {

using namespace saline::ipsec;
using hw::DropReason;

namespace {

SaSpec ah(bool ipv6 = false, Mode mode = Mode::transport) {
  SaSpec spec;
  spec.protocol = Protocol::ah;
  spec.integrity = "hmac-sha2-256";
  spec.mode = mode;
  if (ipv6) {
    spec.source = "2001:db8::1";
    spec.destination = "2001:db8::2";
  }
  return spec;
}

Bytes ipv4_with(const Bytes& options) {
  return ip_packet("10.0.0.1", "10.0.0.2", kUdp, udp(16), options);
}

void fix_checksum(Bytes& packet) {
  base::store16(&packet[10], ipv4_header_checksum(std::span(packet).first((packet[0] & 15u) * 4)));
}

DropReason receive(const Bytes& wire, const SaSpec& spec = ah(), const Settings& settings = {}) {
  Host host;
  host.settings = settings;
  host.add(spec);
  Buffer buffer(wire);
  return host.open(buffer).reason;
}

// The option header of 8 bytes that holds one option of 4 data bytes.
Bytes ipv6_option(std::uint8_t next, std::uint8_t type) {
  return {next, 0, type, 4, 0xAA, 0xBB, 0xCC, 0xDD};
}

}  // namespace

TEST(Ah, Ipv4HeaderFieldsAreCoveredOrNotAsTheRfcSays) {
  const Bytes wire = protect_with(ah(), ipv4_with({}));
  // Offset and whether a change must be found: identification, addresses, payload yes; TOS, flags
  // and offset (but not as a fragment), TTL and checksum no.
  const std::pair<std::size_t, bool> bytes[] = {
      {1, false}, {4, true},  {5, true},  {8, false},
      {12, true}, {15, true}, {22, true}, {wire.size() - 1, true}};
  for (const auto& [at, found] : bytes) {
    Bytes altered = wire;
    altered[at] ^= 0x04;
    fix_checksum(altered);
    EXPECT_EQ(receive(altered), found ? DropReason::icv : DropReason::none) << "byte " << at;
  }
  Bytes df = wire;
  df[6] ^= 0x40;
  EXPECT_EQ(receive(df), DropReason::none) << "DF is mutable";
  Bytes checksum = wire;
  checksum[10] ^= 0xFF;
  EXPECT_EQ(receive(checksum), DropReason::none);
}

TEST(Ah, C3ReservedFieldIsCoveredAndMayBeAnything) {
  Bytes wire = protect_with(ah(), ipv4_with({}));
  wire[22] = 1;
  EXPECT_EQ(receive(wire), DropReason::icv) << "changed on the way";
}

TEST(Ah, C4EachIpv4OptionIsMutableOrNot) {
  SALINE_NEEDS_VECTORS("own/ah_mutable_fields.json");
  const JsonFile file(vectors_path("own/ah_mutable_fields.json"));
  int ran = 0;
  for (const char* list : {"ipv4_options", "ipv4_experimental_superseded_options"}) {
    const Json options = file.root()[list];
    for (std::size_t i = 0; i < options.size(); ++i) {
      const auto type = static_cast<std::uint8_t>(options[i]["type"].number());
      if (type < 2) continue;
      // A source route that has reached its end: pointer beyond the last address.
      const Bytes option = {type, 8, 9, 0x11, 0x22, 0x33, 0x44, 0x55};
      Bytes wire = protect_with(ah(), ipv4_with(option));
      wire[20 + 5] ^= 0x80;
      fix_checksum(wire);
      const bool immutable = options[i]["class"].text() == "immutable";
      EXPECT_EQ(receive(wire), immutable ? DropReason::icv : DropReason::none) << int{type};
      ++ran;
    }
  }
  EXPECT_EQ(ran, 20);
  Bytes wire = protect_with(ah(), ipv4_with({0xDE, 4, 1, 2}));
  wire[20 + 2] ^= 0x80;
  EXPECT_EQ(receive(wire), DropReason::none) << "an unknown option is mutable";
}

TEST(Ah, C4MalformedOptionsEndInMalformed) {
  Bytes wire = protect_with(ah(), ipv4_with({130, 4, 1, 2}));
  for (std::uint8_t length : {std::uint8_t{0}, std::uint8_t{1}, std::uint8_t{5}}) {
    wire[21] = length;
    EXPECT_EQ(receive(wire), DropReason::malformed) << int{length};
  }
}

TEST(Ah, C7TosIsCoveredForRfc1826PeersAndOffsetByItsMask) {
  Settings settings;
  settings.ipv4.ah_clear_tos = false;
  Host sender;
  sender.settings = settings;
  sender.add(ah());
  Buffer buffer(ipv4_with({}));
  sender.protect(buffer, policy_for({ah()}));
  EXPECT_EQ(receive(buffer.bytes(), ah(), settings), DropReason::none);
  Bytes tos = buffer.bytes();
  tos[1] = 4;
  EXPECT_EQ(receive(tos, ah(), settings), DropReason::icv);

  settings = {};
  settings.ipv4.ah_offset_mask = 0x4000;
  Bytes df = protect_with(ah(), ipv4_with({}));
  df[6] ^= 0x40;
  EXPECT_EQ(receive(df, ah(), settings), DropReason::icv);
}

TEST(Ah, Ipv6HeaderFieldsAreCoveredOrNotAsTheRfcSays) {
  const Bytes wire = protect_with(ah(true), ip_packet("2001:db8::1", "2001:db8::2", kUdp, udp(16)));
  const std::pair<std::size_t, bool> bytes[] = {
      {1, false}, {2, false}, {3, false}, {7, false},
      {8, true},  {23, true}, {42, true}, {wire.size() - 1, true}};
  for (const auto& [at, found] : bytes) {
    Bytes altered = wire;
    altered[at] ^= 0x04;
    EXPECT_EQ(receive(altered, ah(true)), found ? DropReason::icv : DropReason::none)
        << "byte " << at;
  }
}

TEST(Ah, Ipv6OptionDataIsCoveredByItsChangeBitAndTypeAndLengthAlways) {
  for (std::uint8_t header : {kHopByHop, kDestinationOptions}) {
    for (bool may_change : {false, true}) {
      const auto type = static_cast<std::uint8_t>(may_change ? 0x3E : 0x1E);
      const Bytes plain =
          ip_packet("2001:db8::1", "2001:db8::2", header, udp(16), ipv6_option(kUdp, type));
      Host host;
      host.add(ah(true));
      Buffer whole(protect_with(ah(true), plain));
      EXPECT_EQ(host.open(whole).reason, DropReason::none);
      EXPECT_EQ(whole.bytes(), plain);
      const Bytes wire = protect_with(ah(true), plain);
      // Destination options for the final destination stay behind AH, and are covered whole.
      const bool before = header == kHopByHop;
      const std::size_t at = before ? 40 : wire.size() - 24 - 8;
      Bytes altered = wire;
      altered[at + 5] ^= 1;
      EXPECT_EQ(receive(altered, ah(true)),
                before && may_change ? DropReason::none : DropReason::icv);
      Bytes other_type = wire;
      other_type[at + 2] ^= 1;
      EXPECT_EQ(receive(other_type, ah(true)), DropReason::icv);
    }
  }
}

TEST(Ah, Ipv6RoutingHeaderIsSignedAsAtTheFinalDestination) {
  Bytes routing = {kUdp, 2, 2, 1, 0, 0, 0, 0};
  const base::Address home = address("2001:db8::2");
  routing.insert(routing.end(), home.bytes.begin(), home.bytes.end());
  Host sender;
  sender.add(ah(true));
  Buffer buffer(ip_packet("2001:db8::1", "2001:db8:ca::1", kRouting, udp(16), routing));
  const Bytes before = buffer.bytes();
  ASSERT_EQ(sender.protect(buffer, policy_for({ah(true)})).reason, DropReason::none);
  Bytes arrived = buffer.bytes();
  std::swap_ranges(&arrived[24], &arrived[40], &arrived[48]);
  arrived[43] = 0;
  EXPECT_EQ(receive(arrived, ah(true)), DropReason::none);
  arrived[63] ^= 1;
  EXPECT_EQ(receive(arrived, ah(true)), DropReason::icv) << "another care-of address";
}

TEST(Ah, Ipv4SourceRouteIsSignedWithTheFinalDestination) {
  SaSpec spec = ah();
  Host sender;
  sender.add(spec);
  Buffer buffer(ip_packet("10.0.0.1", "10.0.0.9", kUdp, udp(16), {131, 7, 4, 10, 0, 0, 2, 0}));
  ASSERT_EQ(sender.protect(buffer, policy_for({spec})).reason, DropReason::none);
  Bytes arrived = buffer.bytes();
  std::swap_ranges(&arrived[16], &arrived[20], &arrived[23]);
  arrived[22] = 8;
  fix_checksum(arrived);
  EXPECT_EQ(receive(arrived, spec), DropReason::none);
}

TEST(Ah, C1LengthFieldMustFitTheAlgorithm) {
  for (std::uint8_t length : Bytes{0, 1, 4, 6, 255}) {
    Bytes wire = protect_with(ah(), ipv4_with({}));
    ASSERT_EQ(wire[21], 5);
    wire[21] = length;
    EXPECT_EQ(receive(wire), DropReason::malformed) << int{length};
  }
  SaSpec other = ah();
  other.integrity = "hmac-sha1";
  EXPECT_EQ(receive(protect_with(ah(), ipv4_with({})), other), DropReason::malformed);
}

TEST(Ah, C2Ipv6HeaderIsAMultipleOf8AndItsPaddingIsCovered) {
  Bytes wire = protect_with(ah(true), ip_packet("2001:db8::1", "2001:db8::2", kUdp, udp(16)));
  EXPECT_EQ((wire[41] + 2) * 4, 32);
  EXPECT_EQ(receive(wire, ah(true)), DropReason::none);
  wire[40 + 12 + 16] ^= 1;
  EXPECT_EQ(receive(wire, ah(true)), DropReason::icv);
}

TEST(Ah, C9FragmentsAreRefused) {
  Bytes wire = protect_with(ah(), ipv4_with({}));
  base::store16(&wire[6], 0x2000);
  fix_checksum(wire);
  EXPECT_EQ(receive(wire), DropReason::fragment);
}

TEST(Ah, ShortOnesAreMalformed) {
  const Bytes wire = protect_with(ah(), ipv4_with({}));
  for (std::size_t bytes = 20; bytes < 20 + 28; ++bytes) {
    Bytes cut(wire.begin(), wire.begin() + static_cast<std::ptrdiff_t>(bytes));
    base::store16(&cut[2], static_cast<std::uint16_t>(bytes));
    fix_checksum(cut);
    EXPECT_EQ(receive(cut), DropReason::malformed) << bytes;
  }
}

TEST(Ah, TunnelCoversTheInnerPacketWhole) {
  const SaSpec spec = ah(false, Mode::tunnel);
  const Bytes inner = ip_packet("10.1.0.1", "10.2.0.1", kUdp, udp(16));
  const Bytes wire = protect_with(spec, inner);
  EXPECT_EQ(receive(wire, spec), DropReason::none);
  Bytes altered = wire;
  altered[20 + 28 + 8] ^= 1;
  EXPECT_EQ(receive(altered, spec), DropReason::icv) << "the inner TTL is not mutable";
  altered = wire;
  altered[8] ^= 1;
  EXPECT_EQ(receive(altered, spec), DropReason::none) << "the outer one is";
}

TEST(Ah, HeadersBeyondTheSigningLimitAreUnsupported) {
  Bytes options = {kUdp, 74, 1, 255};
  options.resize(75 * 8, 0);
  Host host;
  auto sa = host.add(ah(true));
  Buffer buffer(ip_packet("2001:db8::1", "2001:db8::2", kHopByHop, udp(16), options));
  EXPECT_EQ(host.protect(buffer, policy_for({ah(true)})).reason, DropReason::unsupported);
  EXPECT_EQ(sa->counters().sequence.get(), 0u);
}

TEST(Ah, OptionsThatCannotBeSignedUseNoNumber) {
  Host host;
  auto sa = host.add(ah(true));
  const Bytes over_the_end = {kUdp, 0, 0x1E, 9, 1, 2, 3, 4};
  Buffer buffer(ip_packet("2001:db8::1", "2001:db8::2", kHopByHop, udp(16), over_the_end));
  EXPECT_EQ(host.protect(buffer, policy_for({ah(true)})).reason, DropReason::malformed);
  EXPECT_EQ(sa->counters().sequence.get(), 0u);
}

}  // namespace saline::test
