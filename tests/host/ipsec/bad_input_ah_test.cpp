// Bad input, group C: AH under the rule of bad_input.hpp, with AH made by hand where a sender would
// not make it.
#include <gtest/gtest.h>

#include "host/base/bytes.hpp"
#include "host/ipsec/mutable_fields.hpp"
#include "tests/host/ipsec/bad_input.hpp"

namespace saline::test {

using namespace saline::ipsec;
using hw::DropReason;

namespace {

SaSpec ah(bool ipv6 = false, const char* integrity = "hmac-sha2-256") {
  SaSpec spec;
  spec.protocol = Protocol::ah;
  spec.integrity = integrity;
  if (ipv6) {
    spec.source = "2001:db8::1";
    spec.destination = "2001:db8::2";
  }
  return spec;
}

Bytes plain(const SaSpec& spec, const Bytes& options = {}, std::uint8_t protocol = kUdp) {
  return ip_packet(spec.source, spec.destination, protocol, udp(16), options);
}

void fix_checksum(Bytes& packet) {
  base::store16(&packet[10], ipv4_header_checksum(std::span(packet).first((packet[0] & 15u) * 4)));
}

// Writes the ICV that a sender with this SA computes over the packet as it stands, whose AH lies at
// `at`. HMAC-SHA-256 with 128 bits only.
void sign(const SaSpec& spec, Bytes& packet, std::size_t at) {
  Bytes image = packet;
  std::fill_n(image.begin() + static_cast<std::ptrdiff_t>(at) + 12, 16, 0);
  if (!mute(std::span(image).first(at), Settings{})) throw std::logic_error("malformed headers");
  const SaConfig config = config_of(spec);
  const auto provider = crypto::make_provider();
  crypto::SessionKeys keys;
  keys.integrity = config.integrity;
  keys.integrity_key = config.integrity_key.bytes();
  const auto session = provider->open(keys);
  crypto::Job job;
  job.session = session.get();
  job.authenticated[0] = image;
  job.icv = &packet[at + 12];
  provider->run({&job, 1});
  if (job.result != crypto::Result::ok) throw std::logic_error("not signed");
}

// An extension header of 8 bytes with PadN.
Bytes options(std::uint8_t next) { return {next, 0, 1, 4, 0, 0, 0, 0}; }

Bytes routing(std::uint8_t type, std::uint8_t segments_left, std::uint8_t next = kUdp) {
  Bytes header = {next, 2, type, segments_left, 0, 0, 0, 0};
  const base::Address other = address("2001:db8::77");
  header.insert(header.end(), other.bytes.begin(), other.bytes.end());
  return header;
}

}  // namespace

TEST(BadInput, C1LengthFieldThatDoesNotFitTheAlgorithm) {
  for (bool ipv6 : {false, true}) {
    const SaSpec spec = ah(ipv6);
    const Bytes good = protect_with(spec, plain(spec));
    const std::size_t at = ipv6 ? 41 : 21;
    for (unsigned length = 0; length < 256; ++length) {
      if (length == good[at]) continue;
      SCOPED_TRACE("length " + std::to_string(length));
      Bytes wire = good;
      wire[at] = static_cast<std::uint8_t>(length);
      expect_refused(spec, wire, DropReason::malformed);
    }
    expect_refused(ah(ipv6, "hmac-sha2-512"), good, DropReason::malformed);
    expect_refused(spec, protect_with(ah(ipv6, "hmac-sha2-512"), plain(spec)),
                   DropReason::malformed);
  }
}

TEST(BadInput, C1RuntsAreMalformed) {
  for (bool ipv6 : {false, true}) {
    const SaSpec spec = ah(ipv6);
    const std::size_t at = ipv6 ? 40 : 20;
    const Bytes good = protect_with(spec, plain(spec));
    for (std::size_t bytes = at; bytes < at + 28; ++bytes) {
      Bytes wire(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(bytes));
      if (ipv6) {
        base::store16(&wire[4], static_cast<std::uint16_t>(bytes - 40));
      } else {
        base::store16(&wire[2], static_cast<std::uint16_t>(bytes));
        fix_checksum(wire);
      }
      expect_refused(spec, wire, DropReason::malformed);
    }
  }
}

TEST(BadInput, C2OverIpv6AhIsAMultipleOf8) {
  const SaSpec spec = ah(true);
  // 28 bytes of AH, as over IPv4, with an ICV that would be right.
  Bytes header(28, 0);
  header[0] = kUdp;
  header[1] = 5;
  base::store32(&header[4], spec.spi);
  base::store32(&header[8], 1);
  const Bytes datagram = udp(16);
  header.insert(header.end(), datagram.begin(), datagram.end());
  Bytes wire = ip_packet(spec.source, spec.destination, kAh, header);
  sign(spec, wire, 40);
  expect_refused(spec, wire, DropReason::malformed);
  for (const crypto::Algorithm& algorithm : crypto::algorithms()) {
    if (algorithm.kind != crypto::Kind::integrity || algorithm.icv_bytes == 0) continue;
    Host host;
    if (!host.provider->supports(nullptr, &algorithm)) continue;
    const SaSpec sender = ah(true, std::string(algorithm.name).c_str());
    SaConfig config = config_of(sender);
    config.allow_legacy = true;
    host.add(std::move(config));
    Buffer buffer(plain(sender));
    ASSERT_EQ(host.protect(buffer, policy_for({sender})).reason, DropReason::none)
        << algorithm.name;
    EXPECT_EQ((buffer.bytes()[41] + 2) * 4 % 8, 0) << algorithm.name;
  }
}

TEST(BadInput, C3ReservedFieldUnderAGoodIcvIsAccepted) {
  const SaSpec spec = ah();
  Bytes wire = protect_with(spec, plain(spec));
  wire[22] = 0x12;
  wire[23] = 0x34;
  expect_refused(spec, wire, DropReason::icv);
  sign(spec, wire, 20);
  EXPECT_EQ(received(spec, wire), plain(spec));
}

TEST(BadInput, C4MalformedOptionsEndAndCountOnce) {
  const SaSpec spec = ah();
  const Bytes good = protect_with(spec, plain(spec, {130, 4, 1, 2, 7, 4, 4, 0}));
  for (std::size_t option : {20u, 24u}) {
    for (unsigned length : {0u, 1u, 9u, 255u}) {
      Bytes wire = good;
      wire[option + 1] = static_cast<std::uint8_t>(length);
      expect_refused(spec, wire, DropReason::malformed);
    }
  }
  Bytes immutable = good;
  immutable[22] ^= 1;
  expect_refused(spec, immutable, DropReason::icv);
  Bytes recorded = good;
  recorded[27] = 0x55;
  fix_checksum(recorded);
  EXPECT_EQ(received(spec, recorded).size(), plain(spec).size() + 8);
}

TEST(BadInput, C5RoutingHeadersOfEachType) {
  const SaSpec spec = ah(true);
  for (std::uint8_t type : Bytes{0, 2, 3, 4}) {
    SCOPED_TRACE("type " + std::to_string(type));
    const Bytes done = plain(spec, routing(type, 0), kRouting);
    Bytes wire = protect_with(spec, done);
    EXPECT_EQ(received(spec, wire), done) << "at its end";
    wire[40 + 23] ^= 1;
    expect_refused(spec, wire, DropReason::icv);
    // With segments left it is not here that it ends; type 0 goes nowhere (RFC 5095 §3).
    for (std::uint8_t left : Bytes{1, 9}) {
      Bytes transit = protect_with(spec, done);
      transit[43] = left;
      // More segments than the header has room for; for type 4 (RFC 8754 §2) one is the last.
      if (type == 0 || type == 4 || left != 1) {
        expect_refused(spec, transit, DropReason::malformed);
        continue;
      }
      Host host;
      auto sa = host.add(spec);
      Buffer buffer(transit);
      EXPECT_EQ(host.open(buffer).outcome, Outcome::pass);
      EXPECT_EQ(buffer.bytes(), transit) << "forwarded as it is";
      EXPECT_EQ(buffer.packet().history_count, 0);
      EXPECT_EQ(sa->window().top(), 0u);
    }
  }
}

TEST(BadInput, C5Ipv4SourceRouteWithAddressesLeftIsNotOurs) {
  const SaSpec spec = ah();
  const Bytes route = {131, 11, 12, 10, 0, 0, 7, 10, 0, 0, 8, 0};
  Bytes wire = protect_with(spec, plain(spec, route));
  EXPECT_EQ(received(spec, wire), plain(spec, route)) << "pointer behind the last address";
  for (std::uint8_t pointer : Bytes{4, 8}) {
    wire[22] = pointer;
    fix_checksum(wire);
    Host host;
    host.add(spec);
    Buffer buffer(wire);
    EXPECT_EQ(host.open(buffer).outcome, Outcome::pass);
    EXPECT_EQ(buffer.bytes(), wire);
  }
}

TEST(BadInput, C6OptionsOverTheEndAndLongChains) {
  const SaSpec spec = ah(true);
  Bytes wire = protect_with(spec, plain(spec, {kUdp, 0, 0x3E, 4, 1, 2, 3, 4}, kHopByHop));
  for (unsigned bytes : {5u, 12u, 255u}) {
    wire[43] = static_cast<std::uint8_t>(bytes);
    expect_refused(spec, wire, DropReason::malformed);
  }
  for (unsigned count : {9u, 16u, 17u}) {
    Bytes chain;
    for (unsigned i = 1; i <= count; ++i) {
      const Bytes one = options(i == count ? kAh : kDestinationOptions);
      chain.insert(chain.end(), one.begin(), one.end());
    }
    Bytes header(32, 0);
    header[0] = kUdp;
    header[1] = 6;
    base::store32(&header[4], spec.spi);
    base::store32(&header[8], 1);
    const Bytes datagram = udp(16);
    header.insert(header.end(), datagram.begin(), datagram.end());
    Bytes signed_packet =
        ip_packet(spec.source, spec.destination, kDestinationOptions, header, chain);
    sign(spec, signed_packet, 40 + chain.size());
    if (count <= 16) {
      EXPECT_EQ(received(spec, signed_packet).size(), signed_packet.size() - 32) << count;
    } else {
      expect_refused(spec, signed_packet, DropReason::malformed);
    }
  }
}

TEST(BadInput, C6AhBehindEspIsProcessedInOrder) {
  const SaSpec inner = ah();
  SaSpec outer;
  outer.spi = 0x1001;
  Host sender;
  sender.add(inner);
  sender.add(outer);
  Buffer buffer(plain(inner));
  ASSERT_EQ(sender.protect(buffer, policy_for({inner, outer})).reason, DropReason::none);
  Host host;
  host.add(inner);
  host.add(outer);
  ASSERT_EQ(host.open(buffer).reason, DropReason::none);
  EXPECT_EQ(buffer.bytes(), plain(inner));
  ASSERT_EQ(buffer.packet().history_count, 2);
  EXPECT_EQ(buffer.packet().history[0].association->protocol(), Protocol::esp);
  EXPECT_EQ(buffer.packet().history[1].association->protocol(), Protocol::ah);
}

TEST(BadInput, C7TosTtlAndDfAreCoveredAsTheVariablesSay) {
  const SaSpec spec = ah();
  const Bytes good = protect_with(spec, plain(spec));
  Settings strict;
  strict.ipv4.ah_clear_tos = false;
  strict.ipv4.ah_offset_mask = 0x4000;
  struct Change {
    std::size_t at;
    std::uint8_t bits;
    bool strict_finds_it;
  };
  for (const Change& change : {Change{1, 0x10, true}, Change{6, 0x40, true}, Change{8, 1, false}}) {
    for (bool strictly : {false, true}) {
      SCOPED_TRACE("byte " + std::to_string(change.at) + (strictly ? ", strict" : ""));
      Bytes wire = good;
      wire[change.at] ^= change.bits;
      fix_checksum(wire);
      Host host;
      if (strictly) host.settings = strict;
      auto sa = host.add(spec);
      if (strictly && change.strict_finds_it) {
        expect_refused(host, *sa, wire, DropReason::icv);
        continue;
      }
      Buffer buffer(wire);
      EXPECT_EQ(host.open(buffer).reason, DropReason::none);
    }
  }
}

TEST(BadInput, C8AddressTranslationBreaksTheIcv) {
  for (bool ipv6 : {false, true}) {
    const SaSpec spec = ah(ipv6);
    Bytes wire = protect_with(spec, plain(spec));
    wire[ipv6 ? 23 : 15] ^= 0x40;
    if (!ipv6) fix_checksum(wire);
    expect_refused(spec, wire, DropReason::icv);
  }
}

TEST(BadInput, C9FragmentsOfAhAreRefused) {
  const SaSpec spec = ah();
  for (unsigned bits : {0x2000u, 0x2001u, 0x0005u}) {
    Bytes wire = protect_with(spec, plain(spec));
    base::store16(&wire[6], static_cast<std::uint16_t>(bits));
    fix_checksum(wire);
    expect_refused(spec, wire, DropReason::fragment);
  }
  const SaSpec spec6 = ah(true);
  Bytes fragment = {kAh, 0, 0, 1, 0, 0, 0, 9};
  fragment.resize(80, 1);
  expect_refused(spec6, ip_packet(spec6.source, spec6.destination, kFragment, fragment),
                 DropReason::fragment);
}

}  // namespace saline::test
