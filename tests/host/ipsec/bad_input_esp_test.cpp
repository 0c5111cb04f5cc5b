// Bad input, group A: ESP on the wire. The number of a row is the start of its test's name.
#include <gtest/gtest.h>

#include "host/base/bytes.hpp"
#include "tests/host/ipsec/bad_input.hpp"

namespace saline::test {

using namespace saline::ipsec;
using hw::DropReason;

namespace {

SaSpec spec_of(const std::string& cipher, Mode mode = Mode::transport) {
  SaSpec spec;
  spec.encryption = cipher;
  spec.mode = mode;
  if (cipher == "aes-gcm-16") spec.integrity = "";
  return spec;
}

const Bytes kPlain = ip_packet("10.0.0.1", "10.0.0.2", kUdp, udp(40));
const Bytes kInner = ip_packet("10.1.0.1", "10.2.0.1", kUdp, udp(20));

Bytes esp_of_length(std::size_t bytes) {
  Bytes esp(bytes, 0);
  base::store32(esp.data(), 0x1000);
  if (bytes >= 8) base::store32(&esp[4], 1);
  return ip_packet("10.0.0.1", "10.0.0.2", kEsp, esp);
}

}  // namespace

TEST(BadInput, A1RuntsAreMalformed) {
  for (std::size_t bytes = 0; bytes < 8; ++bytes) {
    Bytes esp(8, 0);
    base::store32(esp.data(), 0x1000);
    esp.resize(bytes);
    expect_refused(spec_of("aes-gcm-16"), ip_packet("10.0.0.1", "10.0.0.2", kEsp, esp),
                   DropReason::malformed);
  }
}

TEST(BadInput, A2ShorterThanItsOwnPartsIsMalformed) {
  for (std::size_t bytes = 8; bytes < 8 + 8 + 16 + 4; ++bytes)
    expect_refused(spec_of("aes-gcm-16"), esp_of_length(bytes), DropReason::malformed);
  for (std::size_t bytes = 8; bytes < 8 + 16 + 12 + 16; ++bytes)
    expect_refused(spec_of("aes-cbc"), esp_of_length(bytes), DropReason::malformed);
}

TEST(BadInput, A3TextThatIsNoMultipleIsMalformed) {
  for (std::size_t extra = 1; extra < 16; ++extra)
    expect_refused(spec_of("aes-cbc"), esp_of_length(8 + 16 + 12 + 16 + extra),
                   DropReason::malformed);
  for (std::size_t extra = 1; extra < 4; ++extra)
    expect_refused(spec_of("aes-gcm-16"), esp_of_length(8 + 8 + 16 + 4 + extra),
                   DropReason::malformed);
}

TEST(BadInput, A4ReservedSpisHaveNoSa) {
  for (std::uint32_t spi : {0u, 1u, 255u}) {
    Bytes wire = protect_with(spec_of("aes-cbc"), kPlain);
    base::store32(&wire[20], spi);
    expect_refused(spec_of("aes-cbc"), wire, DropReason::no_sa);
  }
}

TEST(BadInput, A5SpiDestinationAndProtocolMustAllMatch) {
  const SaSpec spec = spec_of("aes-cbc");
  const Bytes wire = protect_with(spec, kPlain);
  SaSpec other = spec;
  other.spi = 0x1001;
  expect_refused(other, wire, DropReason::no_sa);
  other = spec;
  other.destination = "10.0.0.3";
  expect_refused(other, wire, DropReason::no_sa);
  other = spec;
  other.protocol = Protocol::ah;
  expect_refused(other, wire, DropReason::no_sa);
}

TEST(BadInput, A5ToSomebodyElsePassesUntouched) {
  const LocalAddresses local({address("10.9.9.9")});
  Host host;
  host.processor.set_local_addresses(&local);
  Buffer buffer(protect_with(spec_of("aes-cbc"), kPlain));
  const Bytes before = buffer.bytes();
  EXPECT_EQ(host.open(buffer).outcome, Outcome::pass);
  EXPECT_EQ(buffer.bytes(), before);
}

TEST(BadInput, A6AnSaThatIsNotAliveIsNone) {
  const SaSpec spec = spec_of("aes-cbc");
  const Bytes wire = protect_with(spec, kPlain);
  for (State state : {State::larval, State::dead}) {
    Host host;
    auto sa = host.add(spec);
    sa->set_state(state);
    Buffer buffer(wire);
    EXPECT_EQ(host.open(buffer).reason, DropReason::no_sa);
    EXPECT_EQ(refused(*sa, DropReason::no_sa), 1u);
    Buffer out(kPlain);
    EXPECT_EQ(host.protect(out, policy_for({spec})).reason, DropReason::no_sa);
  }
  Host host;
  host.add(spec)->set_state(State::dying);
  Buffer buffer(wire);
  EXPECT_EQ(host.open(buffer).reason, DropReason::none) << "a dying SA still receives";
}

TEST(BadInput, A6LarvalSaHasNoKeysAndPassesNothing) {
  Host host;
  host.sad.add(SecurityAssociation::create_larval(config_of(spec_of("aes-cbc"))));
  host.sad.publish();
  Buffer buffer(protect_with(spec_of("aes-cbc"), kPlain));
  EXPECT_EQ(host.open(buffer).reason, DropReason::no_sa);
}

TEST(BadInput, A7EveryBitOfThePacketMatters) {
  for (const char* cipher : {"aes-gcm-16", "aes-cbc", "null", "3des-cbc", "aes-ctr"}) {
    const SaSpec spec = spec_of(cipher);
    const Bytes wire = protect_with(spec, kPlain);
    Host host;
    auto sa = host.add(spec);
    for (std::size_t bit = 20 * 8; bit < wire.size() * 8; ++bit) {
      Bytes flipped = wire;
      flipped[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
      SCOPED_TRACE(std::string(cipher) + " bit " + std::to_string(bit));
      // Sequence number 1 with its lowest bit flipped is 0.
      const bool zero = bit / 8 == 27 && bit % 8 == 0;
      expect_refused(host, *sa, flipped,
                     bit / 8 < 24 ? DropReason::no_sa
                     : zero       ? DropReason::replay
                                  : DropReason::icv);
      if (HasFailure()) return;
    }
    Buffer good(wire);
    EXPECT_EQ(host.open(good).reason, DropReason::none);
  }
}

TEST(BadInput, A8IcvOfZerosOrOfAnotherLength) {
  for (const char* cipher : {"aes-gcm-16", "aes-cbc"}) {
    const SaSpec spec = spec_of(cipher);
    Bytes wire = protect_with(spec, kPlain);
    Bytes zeros = wire;
    std::fill(zeros.end() - 12, zeros.end(), 0);
    expect_refused(spec, zeros, DropReason::icv);
  }
  // An hmac-sha2-512 peer's packet at an hmac-sha2-256 SA: 16 bytes of ICV too many.
  SaSpec longer = spec_of("null");
  longer.integrity = "hmac-sha2-512";
  SaSpec shorter = longer;
  shorter.integrity = "hmac-sha2-256";
  expect_refused(shorter, protect_with(longer, kPlain), DropReason::icv);
  expect_refused(longer, protect_with(shorter, kPlain), DropReason::icv);
}

TEST(BadInput, A9PadLengthsUpTo255AreLegalAndNoneMayExceedTheText) {
  const SaSpec spec = spec_of("null");
  for (unsigned pad : {0u, 1u, 2u, 3u, 4u, 253u, 254u, 255u}) {
    Bytes payload = udp(40);
    while ((payload.size() + pad + 2) % 4 != 0) payload.push_back(0x77);
    base::store16(&payload[4], static_cast<std::uint16_t>(payload.size()));
    const Bytes wire =
        craft_esp(spec, 1, with_trailer(payload, static_cast<std::uint8_t>(pad), kUdp));
    EXPECT_EQ(received(spec, wire), ip_packet(spec.source, spec.destination, kUdp, payload)) << pad;
  }
  Bytes text(16, 1);
  text[14] = 15;  // only 14 bytes stand before it
  text[15] = kUdp;
  expect_refused(spec, craft_esp(spec, 1, text), DropReason::malformed, Number::used);
  text[14] = 14;
  EXPECT_EQ(received(spec, craft_esp(spec, 1, text)).size(), 20u) << "an empty payload is legal";
}

TEST(BadInput, A10OtherPaddingIsAcceptedCountedAndRefusableByOption) {
  const SaSpec spec = spec_of("null");
  Bytes text = with_trailer(udp(8), 6, kUdp);
  text[text.size() - 4] ^= 0xFF;
  const Bytes wire = craft_esp(spec, 1, text);
  Host host;
  host.add(spec);
  Buffer buffer(wire);
  EXPECT_EQ(host.open(buffer).reason, DropReason::none);
  EXPECT_EQ(host.processor.counters().bad_padding.get(), 1u);
  Host strict;
  strict.settings.strict_padding = true;
  strict.add(spec);
  Buffer again(wire);
  EXPECT_EQ(strict.open(again).reason, DropReason::malformed);
}

TEST(BadInput, A11DummyIsDroppedButAdvancesTheWindow) {
  for (Mode mode : {Mode::transport, Mode::tunnel}) {
    const SaSpec spec = spec_of("aes-gcm-16", mode);
    expect_refused(spec, craft_esp(spec, 5, with_trailer(Bytes(62, 0), 0, kNoNextHeader)),
                   DropReason::dummy, Number::used);
  }
}

TEST(BadInput, A12PayloadMustHaveTheFormOfTheSa) {
  const Bytes tunnelled = with_trailer(kInner, 2, kIpv4);
  const SaSpec transport = spec_of("null", Mode::transport);
  expect_refused(transport, craft_esp(transport, 1, tunnelled), DropReason::policy, Number::used);
  const SaSpec tunnel = spec_of("null", Mode::tunnel);
  expect_refused(tunnel, craft_esp(tunnel, 1, with_trailer(udp(8), 2, kUdp)), DropReason::policy,
                 Number::used);
  const SaSpec any = spec_of("null", Mode::any);
  EXPECT_EQ(received(any, craft_esp(any, 1, tunnelled)), kInner);
}

TEST(BadInput, A13InnerLengthRulesAndTfcPaddingIsTrimmed) {
  const SaSpec spec = spec_of("aes-cbc", Mode::tunnel);
  Bytes padded = kInner;
  padded.insert(padded.end(), 46, 0xFC);  // traffic flow confidentiality
  EXPECT_EQ(received(spec, craft_esp(spec, 1, with_trailer(padded, 0, kIpv4))), kInner);
  Host host;
  auto sa = host.add(spec);
  Buffer counted(craft_esp(spec, 1, with_trailer(padded, 0, kIpv4)));
  EXPECT_EQ(host.open(counted).reason, DropReason::none);
  EXPECT_EQ(sa->counters().bytes.get(), kInner.size()) << "padding is not counted";
  Bytes cut = kInner;
  cut.resize(cut.size() - 2);
  expect_refused(spec, craft_esp(spec, 1, with_trailer(cut, 0, kIpv4)), DropReason::malformed,
                 Number::used);
}

TEST(BadInput, A14BrokenInnerHeadersAreMalformed) {
  const SaSpec spec = spec_of("null", Mode::tunnel);
  const auto refuse = [&](Bytes inner, std::uint8_t next_header) {
    while ((inner.size() + 2) % 4 != 0) inner.push_back(0);
    expect_refused(spec, craft_esp(spec, 1, with_trailer(inner, 0, next_header)),
                   DropReason::malformed, Number::used);
  };
  for (unsigned version : {0u, 5u, 6u, 15u}) {
    Bytes inner = kInner;
    inner[0] = static_cast<std::uint8_t>(version << 4 | 5);
    refuse(inner, kIpv4);
  }
  Bytes short_header = kInner;
  short_header[0] = 0x44;
  refuse(short_header, kIpv4);
  Bytes long_header = kInner;
  long_header[0] = 0x4F;
  refuse(long_header, kIpv4);
  refuse(Bytes(kInner.begin(), kInner.begin() + 18), kIpv4);
  refuse({}, kIpv4);
  refuse(kInner, kIpv6);
  const Bytes inner6 = ip_packet("fd00::1", "fd00::2", kUdp, udp(8));
  refuse(Bytes(inner6.begin(), inner6.begin() + 38), kIpv6);
  refuse(inner6, kIpv4);
  Bytes jumbo = inner6;  // payload length 0 with a hop-by-hop header
  base::store16(&jumbo[4], 0);
  jumbo[6] = kHopByHop;
  refuse(jumbo, kIpv6);
}

TEST(BadInput, A15FragmentsDoNotReachIpsec) {
  const SaSpec spec = spec_of("aes-cbc");
  for (unsigned bits : {0x2000u, 0x2001u, 0x0005u}) {
    Bytes wire = protect_with(spec, kPlain);
    base::store16(&wire[6], static_cast<std::uint16_t>(bits));
    base::store16(&wire[10], ipv4_header_checksum(std::span(wire).first(20)));
    expect_refused(spec, wire, DropReason::fragment);
  }
  SaSpec spec6 = spec;
  spec6.source = "2001:db8::1";
  spec6.destination = "2001:db8::2";
  Bytes fragment = {kEsp, 0, 0, 1, 0, 0, 0, 9};
  fragment.resize(100, 1);
  expect_refused(spec6, ip_packet(spec6.source, spec6.destination, kFragment, fragment),
                 DropReason::fragment);
}

TEST(BadInput, A15TransportModeDoesNotSendFragments) {
  Bytes fragment = kPlain;
  base::store16(&fragment[6], 0x2000);
  Host host;
  auto sa = host.add(spec_of("aes-cbc"));
  Buffer buffer(fragment);
  EXPECT_EQ(host.protect(buffer, policy_for({spec_of("aes-cbc")})).reason, DropReason::fragment);
  EXPECT_EQ(sa->counters().sequence.get(), 0u);
  host.add([] {
    SaSpec tunnel = spec_of("aes-cbc", Mode::tunnel);
    tunnel.spi = 0x1001;
    return tunnel;
  }());
  EXPECT_EQ(host.protect(buffer, policy_for({spec_of("aes-cbc", Mode::tunnel)})).reason,
            DropReason::none)
      << "a tunnel carries fragments";
}

TEST(BadInput, A17NestingDeeperThanTheLimitIsRefused) {
  const SaSpec spec = spec_of("null", Mode::tunnel);
  Host sender;
  sender.add(spec);
  Host receiver;
  receiver.add(spec);
  Buffer buffer(kInner, 1024, 1024);
  for (std::size_t depth = 1; depth <= kNestingMax + 1; ++depth) {
    buffer.packet().history_count = 0;
    ASSERT_EQ(sender.protect(buffer, policy_for({spec})).reason, DropReason::none);
    // Outer packets have the higher numbers: the window has to be wide enough, and is.
    Host fresh;
    fresh.add(spec);
    Buffer copy(buffer.bytes());
    EXPECT_EQ(fresh.open(copy).reason,
              depth <= kNestingMax ? DropReason::none : DropReason::nesting)
        << depth;
    if (depth <= kNestingMax) {
      EXPECT_EQ(copy.packet().history_count, depth);
      EXPECT_EQ(copy.bytes(), kInner);
    }
  }
}

TEST(BadInput, A24PaddingBehindThePacketIsIgnored) {
  const SaSpec spec = spec_of("aes-gcm-16");
  const Bytes tiny = ip_packet("10.0.0.1", "10.0.0.2", 200, {0x42});
  Bytes wire = protect_with(spec, tiny);
  EXPECT_EQ(wire.size(), 20u + 8 + 8 + 4 + 16);
  wire.resize(wire.size() + 11, 0xEE);
  EXPECT_EQ(received(spec, wire), tiny);
  Bytes padded = tiny;
  padded.resize(46, 0xEE);
  EXPECT_EQ(received(spec, protect_with(spec, padded)), tiny);
}

TEST(BadInput, OuterHeadersThatLieAreMalformed) {
  const Bytes wire = protect_with(spec_of("aes-cbc"), kPlain);
  Bytes longer = wire;
  base::store16(&longer[2], static_cast<std::uint16_t>(wire.size() + 1));
  expect_refused(spec_of("aes-cbc"), longer, DropReason::malformed);
  Bytes shorter = wire;
  base::store16(&shorter[2], 19);
  expect_refused(spec_of("aes-cbc"), shorter, DropReason::malformed);
  expect_refused(spec_of("aes-cbc"), Bytes(wire.begin(), wire.begin() + 19), DropReason::malformed);
  expect_refused(spec_of("aes-cbc"), {}, DropReason::malformed);
}

TEST(BadInput, AnOffloadedSaIsNotJudgedBySoftware) {
  const SaSpec spec = spec_of("aes-gcm-16");
  Host host;
  auto sa = host.add(spec);
  sa->set_offloaded(true);
  Buffer buffer(protect_with(spec, kPlain));
  EXPECT_EQ(host.open(buffer).reason, DropReason::unsupported);
  EXPECT_EQ(sa->window().top(), 0u);
}

}  // namespace saline::test
