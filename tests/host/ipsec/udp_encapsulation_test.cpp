// ESP in UDP (RFC 3948): both families and modes, what else comes to the port, a peer whose
// translator changes its mind, and the checksums that a translator spoils.
#include "host/ipsec/udp_encapsulation.hpp"

#include <gtest/gtest.h>

#include <random>

#include "host/base/bytes.hpp"
#include "host/ipsec/checksum.hpp"
#include "tests/host/ipsec/bed.hpp"

namespace saline::test {

using namespace saline::ipsec;
using hw::DropReason;

namespace {

SaSpec spec_of(bool ipv6, Mode mode) {
  SaSpec spec;
  spec.source = ipv6 ? "2001:db8::1" : "10.0.0.1";
  spec.destination = ipv6 ? "2001:db8::2" : "10.0.0.2";
  spec.mode = mode;
  spec.udp = {4500, 4501, {}};
  return spec;
}

// An RFC 768 datagram with a good checksum.
Bytes checksummed_udp(const std::string& source, const std::string& destination,
                      std::size_t bytes) {
  Bytes datagram = udp(bytes);
  const std::uint32_t pseudo = pseudo_header_sum(address(source), address(destination), kUdp,
                                                 static_cast<std::uint32_t>(datagram.size()));
  base::store16(&datagram[6], static_cast<std::uint16_t>(~fold(add_words(datagram, pseudo))));
  return datagram;
}

bool good_checksum(const Bytes& packet) {
  Headers headers;
  EXPECT_TRUE(parse_headers(packet, headers));
  const auto message = std::span(packet).subspan(headers.upper_offset);
  const std::uint32_t pseudo =
      pseudo_header_sum(headers.source, headers.destination, headers.upper_protocol,
                        static_cast<std::uint32_t>(message.size()));
  return fold(add_words(message, pseudo)) == 0xFFFF;
}

struct Receiver {
  explicit Receiver(const SaSpec& spec) {
    sa = host.add(spec);
    ports.add(spec.udp.destination_port);
    host.processor.set_encapsulation_ports(&ports);
  }
  InboundItem open(Buffer& buffer) { return host.open(buffer); }

  Host host;
  EncapsulationPorts ports;
  std::shared_ptr<SecurityAssociation> sa;
};

// A datagram to the encapsulation port of spec_of(false, ...).
Bytes to_port(const Bytes& content) {
  Bytes datagram(8 + content.size());
  base::store16(&datagram[0], 4500);
  base::store16(&datagram[2], 4501);
  base::store16(&datagram[4], static_cast<std::uint16_t>(datagram.size()));
  std::copy(content.begin(), content.end(), datagram.begin() + 8);
  return ip_packet("10.0.0.1", "10.0.0.2", kUdp, datagram);
}

}  // namespace

TEST(UdpEncapsulation, BothFamiliesAndModesComeThrough) {
  for (const bool ipv6 : {false, true}) {
    for (const Mode mode : {Mode::transport, Mode::tunnel}) {
      const SaSpec spec = spec_of(ipv6, mode);
      SCOPED_TRACE(spec.source + (mode == Mode::tunnel ? " tunnel" : " transport"));
      const Bytes plain = ip_packet(spec.source, spec.destination, kUdp,
                                    checksummed_udp(spec.source, spec.destination, 101));
      const Bytes wire = protect_with(spec, plain);
      const std::size_t header = ipv6 ? 40 : 20;
      ASSERT_EQ(wire[ipv6 ? 6 : 9], kUdp);
      EXPECT_EQ(base::load16(&wire[header]), 4500);
      EXPECT_EQ(base::load16(&wire[header + 2]), 4501);
      EXPECT_EQ(base::load16(&wire[header + 4]), wire.size() - header);
      if (ipv6)
        EXPECT_TRUE(good_checksum(wire));
      else
        EXPECT_EQ(base::load16(&wire[header + 6]), 0);
      Receiver receiver(spec);
      Buffer buffer(wire);
      ASSERT_EQ(receiver.open(buffer).outcome, Outcome::pass);
      EXPECT_EQ(buffer.bytes(), plain);
      ASSERT_EQ(buffer.packet().history_count, 1);
      EXPECT_EQ(buffer.packet().history[0].mode, mode);
    }
  }
}

TEST(UdpEncapsulation, TheHeaderCountsForTheMtu) {
  SaSpec spec = spec_of(false, Mode::tunnel);
  Bytes plain = ip_packet(spec.source, spec.destination, kUdp, udp(700));
  plain[6] = 0x40;  // must not be fragmented
  base::store16(&plain[10], ipv4_header_checksum(std::span(plain).first(20)));
  const auto size = static_cast<std::uint32_t>(protect_with(spec, plain).size());
  Host host;
  host.add(spec);
  Buffer fits(plain), does_not(plain);
  EXPECT_EQ(host.protect(fits, policy_for({spec}), size).outcome, Outcome::pass);
  const OutboundItem refused = host.protect(does_not, policy_for({spec}), size - 1);
  EXPECT_EQ(refused.reason, DropReason::too_big);
  EXPECT_LT(refused.fitting_mtu, plain.size());
}

TEST(UdpEncapsulation, KeepaliveIsDroppedQuietlyAndCounted) {
  Receiver receiver(spec_of(false, Mode::transport));
  Buffer buffer(to_port({0xFF}));
  const InboundItem item = receiver.open(buffer);
  EXPECT_EQ(item.outcome, Outcome::drop);
  EXPECT_EQ(item.reason, DropReason::none);
  EXPECT_EQ(receiver.host.processor.counters().keepalives.get(), 1u);
  for (const Counter& refused : receiver.host.processor.counters().inbound_refused)
    EXPECT_EQ(refused.get(), 0u);
}

TEST(UdpEncapsulation, IkeBehindTheMarkerIsTheHosts) {
  Receiver receiver(spec_of(false, Mode::transport));
  Bytes ike(40, 7);
  std::fill_n(ike.begin(), 4, 0);
  const Bytes wire = to_port(ike);
  Buffer buffer(wire);
  EXPECT_EQ(receiver.open(buffer).outcome, Outcome::pass);
  EXPECT_EQ(buffer.bytes(), wire);
}

TEST(UdpEncapsulation, DamageIsRefusedWithItsReason) {
  const SaSpec spec = spec_of(true, Mode::transport);
  const Bytes wire = protect_with(spec, ip_packet(spec.source, spec.destination, kUdp, udp(64)));
  const auto sum = static_cast<std::uint8_t>(wire[46] ^ 0x55);
  const auto text = static_cast<std::uint8_t>(wire[60] ^ 0x77);
  for (const auto& [at, value] : std::initializer_list<std::pair<std::size_t, std::uint8_t>>{
           {45, 0x07}, {45, 0xFF}, {46, sum}, {60, text}}) {
    Receiver receiver(spec);
    Bytes bad = wire;
    ASSERT_NE(bad[at], value);
    bad[at] = value;
    Buffer buffer(bad);
    EXPECT_EQ(receiver.open(buffer).reason, DropReason::encapsulation) << at;
  }
  for (std::size_t bytes : {0u, 2u, 3u}) {
    Receiver receiver(spec_of(false, Mode::transport));
    Buffer buffer(to_port(Bytes(bytes, 1)));
    EXPECT_EQ(receiver.open(buffer).reason, DropReason::encapsulation) << bytes;
  }
  Receiver receiver(spec_of(false, Mode::transport));
  Buffer runt(to_port(Bytes(6, 1)));
  EXPECT_EQ(receiver.open(runt).reason, DropReason::malformed);
}

TEST(UdpEncapsulation, OtherPortsAndOtherHostsAreNotLookedInto) {
  const SaSpec spec = spec_of(false, Mode::transport);
  const Bytes wire = protect_with(spec, ip_packet(spec.source, spec.destination, kUdp, udp(64)));
  Host host;  // knows 4500 only
  host.add(spec);
  Buffer buffer(wire);
  EXPECT_EQ(host.open(buffer).outcome, Outcome::pass);
  EXPECT_EQ(buffer.bytes(), wire);
  Receiver forwarder(spec);
  const LocalAddresses local({address("10.0.0.9")});
  forwarder.host.processor.set_local_addresses(&local);
  Buffer passing(wire);
  EXPECT_EQ(forwarder.open(passing).outcome, Outcome::pass);
  EXPECT_EQ(passing.bytes(), wire);
}

TEST(UdpEncapsulation, AnSaTakesItsOwnFormOnly) {
  SaSpec spec = spec_of(false, Mode::transport);
  const Bytes plain = ip_packet(spec.source, spec.destination, kUdp, udp(64));
  const Bytes in_udp = protect_with(spec, plain);
  SaSpec bare = spec;
  bare.udp = {};
  const Bytes without = protect_with(bare, plain);
  Receiver receiver(spec);
  Buffer first(without);
  EXPECT_EQ(receiver.open(first).reason, DropReason::encapsulation);
  EncapsulationPorts ports;
  ports.add(4501);
  Host host;
  host.processor.set_encapsulation_ports(&ports);
  host.add(bare);
  Buffer second(in_udp);
  EXPECT_EQ(host.open(second).reason, DropReason::encapsulation);
}

TEST(UdpEncapsulation, APeerIsFollowedAfterAGoodIcvOnly) {
  const SaSpec spec = spec_of(false, Mode::tunnel);
  const Bytes plain = ip_packet("192.168.1.1", "192.168.2.1", kUdp, udp(64));
  Bytes wire = protect_with(spec, plain);
  base::store16(&wire[20], 61000);
  wire[15] = 77;  // the translator's other address
  base::store16(&wire[10], ipv4_header_checksum(std::span(wire).first(20)));
  Receiver receiver(spec);
  Bytes forged = wire;
  forged.back() ^= 1;
  Buffer bad(forged);
  EXPECT_EQ(receiver.open(bad).reason, DropReason::icv);
  EXPECT_EQ(receiver.sa->take_events() & kEventNewMapping, 0u);
  EXPECT_FALSE(receiver.sa->mapping().present());

  Buffer good(wire);
  ASSERT_EQ(receiver.open(good).outcome, Outcome::pass);
  EXPECT_EQ(good.bytes(), plain);
  EXPECT_NE(receiver.sa->take_events() & kEventNewMapping, 0u);
  PeerMapping mapping;
  ASSERT_TRUE(receiver.sa->mapping().get(mapping));
  EXPECT_EQ(mapping, (PeerMapping{address("10.0.0.77"), 61000}));
  Buffer replayed(wire);
  EXPECT_EQ(receiver.open(replayed).reason, DropReason::replay);
  EXPECT_EQ(receiver.sa->take_events() & kEventNewMapping, 0u);
}

TEST(UdpEncapsulation, PacketsGoWhereTheMappingSays) {
  const SaSpec spec = spec_of(false, Mode::tunnel);
  Host host;
  auto sa = host.add(spec);
  sa->mapping().set({address("10.0.0.88"), 5555});
  Buffer buffer(ip_packet("192.168.1.1", "192.168.2.1", kUdp, udp(64)));
  ASSERT_EQ(host.protect(buffer, policy_for({spec})).outcome, Outcome::pass);
  const Bytes wire = buffer.bytes();
  EXPECT_EQ(base::Address::from_bytes(base::Family::ipv4, std::span(wire).subspan(16, 4)),
            address("10.0.0.88"));
  EXPECT_EQ(base::load16(&wire[22]), 5555);

  std::array<std::uint8_t, kKeepaliveMax> keepalive;
  ASSERT_EQ(build_keepalive(*sa, keepalive), 29u);
  EXPECT_EQ(keepalive[19], 88);
  EXPECT_EQ(base::load16(&keepalive[22]), 5555);
  EXPECT_EQ(keepalive[28], 0xFF);
  auto ipv6 = host.add(spec_of(true, Mode::tunnel));
  ASSERT_EQ(build_keepalive(*ipv6, keepalive), 49u);
  EXPECT_TRUE(good_checksum({keepalive.begin(), keepalive.end()}));
}

TEST(UdpEncapsulation, TransportChecksumsAreSetRightAfterTranslation) {
  for (const bool known : {false, true}) {
    for (const bool ipv6 : {false, true}) {
      SaSpec sender = spec_of(ipv6, Mode::transport);
      const std::string inside = ipv6 ? "fd00::5" : "192.168.7.5";
      const std::string outside = sender.source;
      sender.source = inside;
      Bytes wire = protect_with(sender, ip_packet(inside, sender.destination, kUdp,
                                                  checksummed_udp(inside, sender.destination, 33)));
      // What a translator does to the outer packet.
      const base::Address public_address = address(outside);
      const std::size_t bytes = base::address_bytes(public_address.family);
      std::copy_n(public_address.bytes.begin(), bytes, wire.begin() + (ipv6 ? 8 : 12));
      if (ipv6) base::store16(&wire[46], 0);
      SaSpec spec = spec_of(ipv6, Mode::transport);
      if (known) spec.udp.original = address(inside);
      Receiver receiver(spec);
      Buffer buffer(wire);
      ASSERT_EQ(receiver.open(buffer).outcome, Outcome::pass);
      EXPECT_TRUE(good_checksum(buffer.bytes())) << known << ipv6;
    }
  }
}

TEST(UdpEncapsulation, OnlyEspSasWithTwoPortsAreMade) {
  Host host;
  SaSpec spec = spec_of(false, Mode::transport);
  spec.protocol = Protocol::ah;
  EXPECT_ANY_THROW(host.add(spec));
  spec.protocol = Protocol::esp;
  spec.udp.source_port = 0;
  EXPECT_ANY_THROW(host.add(spec));
}

}  // namespace saline::test
