// IPComp (RFC 3173): what gets smaller and what does not, alone and inside ESP, well-known CPIs,
// and streams that lie.
#include "host/ipsec/ipcomp.hpp"

#include <gtest/gtest.h>

#include <random>

#include "host/base/bytes.hpp"
#include "tests/host/ipsec/bed.hpp"

namespace saline::test {

using namespace saline::ipsec;
using hw::DropReason;

namespace {

SaSpec ipcomp(Mode mode, bool ipv6 = false) {
  SaSpec spec;
  spec.source = ipv6 ? "2001:db8::1" : "10.0.0.1";
  spec.destination = ipv6 ? "2001:db8::2" : "10.0.0.2";
  spec.protocol = Protocol::ipcomp;
  spec.mode = mode;
  spec.spi = 0x1234;
  return spec;
}

Bytes dull(const SaSpec& spec, std::size_t bytes = 1000) {
  return ip_packet(spec.source, spec.destination, kUdp, Bytes(bytes, 'a'));
}

Bytes lively(const SaSpec& spec) {
  std::mt19937_64 generator(1);
  return ip_packet(spec.source, spec.destination, kUdp, random_bytes(generator, 1000));
}

// A packet with an IPComp header in front of `stream`.
Bytes with_stream(const SaSpec& spec, const Bytes& stream, std::uint16_t cpi) {
  Bytes payload{kUdp, 0, static_cast<std::uint8_t>(cpi >> 8), static_cast<std::uint8_t>(cpi)};
  payload.insert(payload.end(), stream.begin(), stream.end());
  return ip_packet(spec.source, spec.destination, kIpcomp, payload);
}

Bytes deflated(const Bytes& bytes) {
  crypto::Deflate deflate;
  Bytes out(bytes.size() + 100);
  out.resize(deflate.compress(bytes, out).value());
  return out;
}

}  // namespace

TEST(Ipcomp, DullPayloadsShrinkAndComeBack) {
  for (const Mode mode : {Mode::transport, Mode::tunnel}) {
    for (const bool ipv6 : {false, true}) {
      const SaSpec spec = ipcomp(mode, ipv6);
      const Bytes plain = dull(spec);
      const Bytes wire = protect_with(spec, plain);
      ASSERT_LT(wire.size(), 150u);
      const std::size_t header = ipv6 ? 40 : 20;
      EXPECT_EQ(wire[ipv6 ? 6 : 9], kIpcomp);
      EXPECT_EQ(wire[header], mode == Mode::transport ? kUdp : ipv6 ? kIpv6 : kIpv4);
      EXPECT_EQ(wire[header + 1], 0);
      EXPECT_EQ(base::load16(&wire[header + 2]), 0x1234);
      Host host;
      auto sa = host.add(spec);
      Buffer buffer(wire, 64, 2000);
      ASSERT_EQ(host.open(buffer).outcome, Outcome::pass);
      EXPECT_EQ(buffer.bytes(), plain);
      ASSERT_EQ(buffer.packet().history_count, 1);
      EXPECT_EQ(buffer.packet().history[0].association, sa.get());
      EXPECT_EQ(buffer.packet().history[0].mode, mode);
    }
  }
}

TEST(Ipcomp, WhatWouldGrowGoesAsItIs) {
  const SaSpec spec = ipcomp(Mode::transport);
  for (const Bytes& plain : {lively(spec), dull(spec, kCompressionThreshold - 1)}) {
    EXPECT_EQ(protect_with(spec, plain), plain);
    Host host;
    host.add(spec);
    Buffer buffer(plain);
    ASSERT_EQ(host.open(buffer).outcome, Outcome::pass);
    EXPECT_EQ(buffer.packet().history_count, 0);
  }
}

TEST(Ipcomp, ATunnelThatDoesNotPayIsPlainIpInIp) {
  for (const bool ipv6 : {false, true}) {
    SaSpec spec = ipcomp(Mode::tunnel, ipv6);
    const Bytes plain = lively(ipcomp(Mode::tunnel));
    const Bytes wire = protect_with(spec, plain);
    EXPECT_EQ(wire[ipv6 ? 6 : 9], kIpv4);
    EXPECT_EQ(wire.size(), plain.size() + (ipv6 ? 40 : 20));
    Host host;
    host.add(spec);
    Buffer buffer(wire);
    ASSERT_EQ(host.open(buffer).outcome, Outcome::pass);
    EXPECT_EQ(buffer.bytes(), plain);
    ASSERT_EQ(buffer.packet().history_count, 1);
    Host without;
    Buffer untouched(wire);
    ASSERT_EQ(without.open(untouched).outcome, Outcome::pass);
    EXPECT_EQ(untouched.bytes(), wire) << "IP in IP of others is none of our business";
  }
}

TEST(Ipcomp, GoesInsideEsp) {
  SaSpec inner = ipcomp(Mode::transport);
  SaSpec outer;
  outer.mode = Mode::transport;
  Host sender, receiver;
  for (Host* host : {&sender, &receiver}) {
    host->add(inner);
    host->add(outer);
  }
  const Policy policy = policy_for({inner, outer});
  receiver.add_policy(policy_for({inner, outer}, Direction::in));
  for (const Bytes& plain : {dull(inner), lively(inner)}) {
    Buffer buffer(plain);
    ASSERT_EQ(sender.protect(buffer, policy).outcome, Outcome::pass);
    EXPECT_EQ(buffer.bytes()[9], kEsp);
    Buffer arrived(buffer.bytes(), 64, 2000);
    ASSERT_EQ(receiver.open(arrived).outcome, Outcome::pass);
    EXPECT_EQ(arrived.bytes(), plain);
    // An uncompressed packet satisfies the policy too.
    EXPECT_EQ(receiver.check(arrived), DropReason::none);
    EXPECT_EQ(arrived.packet().history_count, plain == dull(inner) ? 2 : 1);
  }
  EXPECT_EQ(sender.processor.counters().uncompressed.get(), 1u);
}

TEST(Ipcomp, ATunnelRequestWantsItsTunnel) {
  const SaSpec spec = ipcomp(Mode::tunnel);
  Host host;
  host.add(spec);
  host.add_policy(policy_for({spec}, Direction::in));
  Buffer bare(dull(spec));
  ASSERT_EQ(host.open(bare).outcome, Outcome::pass);
  EXPECT_EQ(host.check(bare), DropReason::policy);
  Buffer wrapped(protect_with(spec, lively(spec)));
  ASSERT_EQ(host.open(wrapped).outcome, Outcome::pass);
  EXPECT_EQ(host.check(wrapped), DropReason::none);
}

TEST(Ipcomp, TheWellKnownCpiFindsItsSaByPeer) {
  SaSpec spec = ipcomp(Mode::transport);
  spec.flags = kFlagRawCpi;
  spec.spi = 0x778899;
  const Bytes wire = protect_with(spec, dull(spec));
  EXPECT_EQ(base::load16(&wire[22]), 2);
  Host host;
  auto sa = host.add(spec);
  Buffer buffer(wire, 64, 2000);
  ASSERT_EQ(host.open(buffer).outcome, Outcome::pass);
  EXPECT_EQ(buffer.bytes(), dull(spec));
  EXPECT_EQ(buffer.packet().history[0].association, sa.get());
  Bytes other = wire;
  other[23] = 3;  // LZS
  Buffer unknown(other, 64, 2000);
  EXPECT_EQ(host.open(unknown).reason, DropReason::no_sa);
}

TEST(Ipcomp, A23BadStreamsAreRefusedAndCounted) {
  const SaSpec spec = ipcomp(Mode::transport);
  const Bytes stream = deflated(Bytes(500, 'x'));
  const Bytes bomb = deflated(Bytes(80000, 0));
  ASSERT_LT(bomb.size(), 1000u);
  Bytes cut(stream.begin(), stream.end() - 1);
  Bytes longer = stream;
  longer.push_back(0);
  Bytes damaged = stream;
  damaged[0] ^= 6;
  for (const Bytes& bad : {bomb, cut, longer, damaged, Bytes{}, Bytes{7}}) {
    Host host;
    auto sa = host.add(spec);
    Buffer buffer(with_stream(spec, bad, 0x1234), 64, 1 << 17);
    EXPECT_EQ(host.open(buffer).reason, DropReason::compression);
    EXPECT_EQ(refused(*sa, DropReason::compression), 1u);
    EXPECT_EQ(sa->counters().packets.get(), 0u);
  }
  Host host;
  host.add(spec);
  Buffer unknown(with_stream(spec, stream, 0x4321));
  EXPECT_EQ(host.open(unknown).reason, DropReason::no_sa);
  Bytes runt = ip_packet(spec.source, spec.destination, kIpcomp, {kUdp, 0, 0x12});
  Buffer short_header(runt);
  EXPECT_EQ(host.open(short_header).reason, DropReason::malformed);
}

TEST(Ipcomp, RoomInFrontIsUsedAndWithoutAnyThePacketIsDropped) {
  const SaSpec spec = ipcomp(Mode::transport);
  const Bytes plain = dull(spec);
  const Bytes wire = protect_with(spec, plain);
  const auto more = static_cast<std::uint32_t>(plain.size() + kIpcompHeader - wire.size());
  Host host;
  host.add(spec);
  for (const std::uint32_t front : {0u, 1u, more / 2, more}) {
    Buffer buffer(wire, front, more - front);
    ASSERT_EQ(host.open(buffer).outcome, Outcome::pass) << front;
    EXPECT_EQ(buffer.bytes(), plain);
  }
  Buffer tight(wire, more / 2, more - more / 2 - 1);
  EXPECT_EQ(host.open(tight).reason, DropReason::no_buffer);
}

TEST(Ipcomp, NestedStreamsEnd) {
  const SaSpec spec = ipcomp(Mode::transport);
  Bytes payload(200, 'n');
  for (int depth = 0; depth < 12; ++depth) {
    Bytes inside{static_cast<std::uint8_t>(depth == 0 ? kUdp : kIpcomp), 0, 0x12, 0x34};
    const Bytes stream = deflated(payload);
    inside.insert(inside.end(), stream.begin(), stream.end());
    payload = inside;
  }
  Host host;
  host.add(spec);
  Buffer buffer(ip_packet(spec.source, spec.destination, kIpcomp, payload), 64, 4000);
  EXPECT_EQ(host.open(buffer).reason, DropReason::nesting);
}

TEST(Ipcomp, SasThatMakeNoSenseAreRefused) {
  Host host;
  SaSpec spec = ipcomp(Mode::transport);
  for (const std::uint32_t cpi : {0u, 200u, 0x10000u}) {
    spec.spi = cpi;
    EXPECT_ANY_THROW(host.add(spec)) << cpi;
  }
  SaConfig config = config_of(ipcomp(Mode::transport));
  config.compression = nullptr;
  EXPECT_ANY_THROW(host.add(std::move(config)));
  config = config_of(ipcomp(Mode::transport));
  config.replay_window = 64;
  EXPECT_ANY_THROW(host.add(std::move(config)));
}

}  // namespace saline::test
