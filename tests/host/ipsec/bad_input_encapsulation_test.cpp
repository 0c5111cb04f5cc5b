// Bad input, group A again: ESP in UDP (RFC 3948) and IPComp (RFC 3173), under the rule of
// bad_input.hpp.
#include <gtest/gtest.h>

#include "host/base/bytes.hpp"
#include "host/crypto/deflate.hpp"
#include "host/ipsec/udp_encapsulation.hpp"
#include "tests/host/ipsec/bad_input.hpp"

namespace saline::test {

using namespace saline::ipsec;
using hw::DropReason;

namespace {

SaSpec in_udp(bool ipv6 = false) {
  SaSpec spec;
  spec.encryption = "aes-gcm-16";
  spec.integrity = "";
  spec.udp.source_port = 4500;
  spec.udp.destination_port = 4500;
  if (ipv6) {
    spec.source = "2001:db8::1";
    spec.destination = "2001:db8::2";
  }
  return spec;
}

Bytes plain(const SaSpec& spec) {
  return ip_packet(spec.source, spec.destination, 200, Bytes(40, 0x33));
}

// A datagram to port 4500 with that content; checksum zero.
Bytes datagram(const Bytes& content, const SaSpec& spec = in_udp()) {
  Bytes bytes(8);
  base::store16(&bytes[0], 4500);
  base::store16(&bytes[2], 4500);
  base::store16(&bytes[4], static_cast<std::uint16_t>(8 + content.size()));
  bytes.insert(bytes.end(), content.begin(), content.end());
  return ip_packet(spec.source, spec.destination, kUdp, bytes);
}

// RFC 768, over an IPv4 packet without options.
std::uint16_t udp_checksum(const Bytes& packet) {
  std::uint32_t sum = kUdp + static_cast<std::uint32_t>(packet.size() - 20);
  for (std::size_t at = 12; at < packet.size(); at += 2)
    if (at != 26) sum += packet[at] * 256u + (at + 1 < packet.size() ? packet[at + 1] : 0u);
  while (sum > 0xFFFF) sum = (sum & 0xFFFF) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

void expect_untouched(const Bytes& wire) {
  Host host;
  auto sa = host.add(in_udp());
  Buffer buffer(wire);
  EXPECT_EQ(host.open(buffer).outcome, Outcome::pass);
  EXPECT_EQ(buffer.bytes(), wire);
  EXPECT_EQ(buffer.packet().history_count, 0);
  EXPECT_EQ(sa->window().top(), 0u);
}

SaSpec compressed(Mode mode = Mode::transport) {
  SaSpec spec;
  spec.protocol = Protocol::ipcomp;
  spec.integrity = "";
  spec.mode = mode;
  return spec;
}

Bytes deflated(const Bytes& text) {
  crypto::Deflate deflate;
  Bytes out(text.size() + 100);
  out.resize(deflate.compress(text, out).value());
  return out;
}

Bytes ipcomp(const Bytes& stream, std::uint8_t next = kUdp, std::uint16_t cpi = 0x1000) {
  Bytes bytes{next, 0, 0, 0};
  base::store16(&bytes[2], cpi);
  bytes.insert(bytes.end(), stream.begin(), stream.end());
  return ip_packet("10.0.0.1", "10.0.0.2", kIpcomp, bytes);
}

}  // namespace

TEST(BadInput, A18KeepalivesAreDroppedQuietly) {
  Host host;
  auto sa = host.add(in_udp());
  const Books before = books_of(host, *sa);
  Buffer buffer(datagram({0xFF}));
  EXPECT_EQ(host.open(buffer).outcome, Outcome::drop);
  EXPECT_EQ(host.processor.counters().keepalives.get(), 1u);
  EXPECT_EQ(books_of(host, *sa), before) << "nothing else is counted";
  expect_refused(in_udp(), datagram({0xFE}), DropReason::encapsulation);
  expect_refused(in_udp(), datagram({0xFF, 0xFF}), DropReason::encapsulation);
}

TEST(BadInput, A18ShortDatagramsAndLengthsThatLie) {
  for (std::size_t bytes : {0u, 1u, 2u, 3u})
    expect_refused(in_udp(), datagram(Bytes(bytes, 1)), DropReason::encapsulation);
  for (std::size_t bytes : {4u, 5u, 7u})
    expect_refused(in_udp(), datagram(Bytes(bytes, 1)), DropReason::malformed);
  const Bytes good = protect_with(in_udp(), plain(in_udp()));
  for (int more : {-1, 1, -8, 400}) {
    Bytes wire = good;
    base::store16(&wire[24], static_cast<std::uint16_t>(base::load16(&good[24]) + more));
    expect_refused(in_udp(), wire, DropReason::encapsulation);
  }
  for (std::size_t bytes = 4; bytes < 8; ++bytes) {
    const Bytes cut =
        ip_packet("10.0.0.1", "10.0.0.2", kUdp,
                  Bytes(good.begin() + 20, good.begin() + 20 + static_cast<std::ptrdiff_t>(bytes)));
    expect_refused(in_udp(), cut, DropReason::encapsulation);
  }
}

TEST(BadInput, A18WhatIsNotEspIsTheHosts) {
  expect_untouched(datagram({0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8}));
  Bytes elsewhere = protect_with(in_udp(), plain(in_udp()));
  base::store16(&elsewhere[22], 4501);
  expect_untouched(elsewhere);
}

TEST(BadInput, A18ChecksumsZeroGoodAndBad) {
  const SaSpec spec = in_udp();
  Bytes wire = protect_with(spec, plain(spec));
  EXPECT_EQ(base::load16(&wire[26]), 0) << "IPv4 has none";
  EXPECT_EQ(received(spec, wire), plain(spec));
  base::store16(&wire[26], udp_checksum(wire));
  EXPECT_EQ(received(spec, wire), plain(spec));
  wire[27] ^= 1;
  expect_refused(spec, wire, DropReason::encapsulation);

  const SaSpec spec6 = in_udp(true);
  Bytes wire6 = protect_with(spec6, plain(spec6));
  EXPECT_NE(base::load16(&wire6[46]), 0) << "IPv6 has one";
  EXPECT_EQ(received(spec6, wire6), plain(spec6));
  wire6[47] ^= 1;
  expect_refused(spec6, wire6, DropReason::encapsulation);
}

TEST(BadInput, A18EspInUdpIsRefusedAsEspIs) {
  const SaSpec spec = in_udp();
  const Bytes good = protect_with(spec, plain(spec));
  Host host;
  auto sa = host.add(spec);
  for (std::size_t bit = 28 * 8; bit < good.size() * 8; ++bit) {
    Bytes wire = good;
    wire[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
    SCOPED_TRACE("bit " + std::to_string(bit));
    if (base::load32(&wire[28]) == 0) {  // the non-ESP marker, A4: IKE's
      expect_untouched(wire);
      continue;
    }
    const bool zero = bit / 8 == 35 && bit % 8 == 0;  // number 1 becomes 0
    expect_refused(host, *sa, wire,
                   bit / 8 < 32 ? DropReason::no_sa
                   : zero       ? DropReason::replay
                                : DropReason::icv);
    if (HasFailure()) return;
  }
}

TEST(BadInput, A23UnknownCpi) {
  const Bytes text(200, 7);
  expect_refused(compressed(), ipcomp(deflated(text), kUdp, 0x1001), DropReason::no_sa);
  expect_refused(compressed(), ipcomp(deflated(text), kUdp, 0), DropReason::no_sa);
  EXPECT_EQ(received(compressed(), ipcomp(deflated(text))),
            ip_packet("10.0.0.1", "10.0.0.2", kUdp, text));
}

TEST(BadInput, A23StreamsThatAreNone) {
  const Bytes good = deflated(udp(150));
  for (const Bytes& bad : {Bytes{}, Bytes{7}, Bytes(40, 0xFF), Bytes{1, 5, 0, 0xFA, 0xFF, 1, 2}})
    expect_refused(compressed(), ipcomp(bad), DropReason::compression);
  for (std::size_t cut = 1; cut < good.size(); cut += 3)
    expect_refused(compressed(),
                   ipcomp(Bytes(good.begin(), good.end() - static_cast<std::ptrdiff_t>(cut))),
                   DropReason::compression);
  Bytes longer = good;
  longer.push_back(0);
  expect_refused(compressed(), ipcomp(longer), DropReason::compression);
}

TEST(BadInput, A23ExpansionIsBounded) {
  const Bytes bomb = deflated(Bytes(70000, 0));
  EXPECT_LT(bomb.size(), 500u);
  expect_refused(compressed(), ipcomp(bomb), DropReason::compression);
  // Within an IP packet, but not within this buffer.
  Host host;
  auto sa = host.add(compressed());
  Buffer small(ipcomp(deflated(Bytes(60000, 0))), 64, 64);
  EXPECT_EQ(host.open(small).reason, DropReason::no_buffer);
  EXPECT_EQ(sa->counters().packets.get(), 0u);
  const Bytes most(65535 - 20, 0);
  Buffer roomy(ipcomp(deflated(most)), 256, 70000);
  EXPECT_EQ(host.open(roomy).reason, DropReason::none);
  EXPECT_EQ(roomy.bytes().size(), 65535u);
}

TEST(BadInput, A23InnerPacketThatIsShorterThanItSays) {
  const Bytes inner = ip_packet("10.1.0.1", "10.2.0.1", kUdp, udp(100));
  const SaSpec tunnel = compressed(Mode::tunnel);
  EXPECT_EQ(received(tunnel, ipcomp(deflated(inner), kIpv4)), inner);
  const Bytes cut(inner.begin(), inner.end() - 1);
  expect_refused(tunnel, ipcomp(deflated(cut), kIpv4), DropReason::malformed);
}

}  // namespace saline::test
