// ESP in UDP: datagrams whose lengths, checksums and content come from the input are told apart as
// a slow reading of RFC 3948 §2 tells them; what holds authentic ESP is opened, and what does not
// is dropped under the right name.
#include <optional>

#include "host/base/bytes.hpp"
#include "host/ipsec/udp_encapsulation.hpp"
#include "tests/fuzz/ledger.hpp"
#include "tests/fuzz/reference.hpp"

namespace saline::fuzz {

namespace {

using namespace saline::ipsec;
using hw::DropReason;

std::vector<test::SaSpec> specs() {
  std::vector<test::SaSpec> all;
  for (Mode mode : {Mode::transport, Mode::tunnel})
    for (bool ipv6 : {false, true}) {
      test::SaSpec spec;
      spec.encryption = "aes-gcm-16";
      spec.integrity = "";
      spec.mode = mode;
      spec.udp.source_port = 4500;
      spec.udp.destination_port = 4500;
      if (ipv6) {
        spec.source = "2001:db8::1";
        spec.destination = "2001:db8::2";
      }
      all.push_back(spec);
    }
  return all;
}

struct World {
  World() : sender(specs()), receiver(specs()) {}
  Peer sender;
  Peer receiver;
};

World& world() {
  static World shared;
  return shared;
}

unsigned add(unsigned sum, unsigned word) {
  sum += word;
  return sum > 0xFFFF ? sum - 0xFFFF : sum;
}

// RFC 768, RFC 8200 §8.1; with the checksum field as it stands.
unsigned datagram_sum(const Bytes& packet, const SlowHeaders& headers) {
  unsigned sum = 0;
  const auto words = [&](std::size_t at, std::size_t end) {
    for (; at < end; at += 2)
      sum = add(sum, packet[at] * 256u + (at + 1 < end ? packet[at + 1] : 0u));
  };
  words(headers.ipv6 ? 8 : 12, headers.ipv6 ? 40 : 20);
  words(headers.upper_at, headers.total);
  sum = add(sum, 17);
  return add(sum, static_cast<unsigned>((headers.total - headers.upper_at) & 0xFFFF));
}

UdpContent slow_content(const Bytes& packet, const SlowHeaders& headers) {
  const std::size_t at = headers.upper_at;
  const std::size_t bytes = headers.total - at;
  if (bytes < 8 || packet[at + 4] * 256u + packet[at + 5] != bytes) return UdpContent::damaged;
  const bool unsummed = packet[at + 6] == 0 && packet[at + 7] == 0;
  if (!unsummed && datagram_sum(packet, headers) != 0xFFFF) return UdpContent::damaged;
  if (bytes == 9 && packet[at + 8] == 0xFF) return UdpContent::keepalive;
  if (bytes < 12) return UdpContent::damaged;
  for (std::size_t i = 8; i < 12; ++i)
    if (packet[at + i] != 0) return UdpContent::esp;
  return UdpContent::ike;
}

void receive(std::size_t index, const Bytes& wire, bool authentic) {
  Peer& peer = world().receiver;
  SecurityAssociation& sa = peer.sa(index);
  sa.window().restart(0);
  const Ledger before(peer.host, sa);
  const std::uint64_t keepalives = peer.host.processor.counters().keepalives.get();
  test::Buffer buffer(wire, 0, 0);
  const InboundItem item = peer.host.open(buffer);
  const Ledger after(peer.host, sa);
  const auto headers = slow_headers(wire);
  if (!headers || headers->upper != kUdp || headers->fragment || headers->routed) return;
  const auto ports = slow_ports(wire, *headers);
  if (!ports || ports->destination != kEncapsulationPort) return;
  const UdpContent content = slow_content(wire, *headers);
  Headers fast;
  SALINE_REQUIRE(parse_headers(wire, fast) && look_into_udp(wire, fast) == content,
                 "two opinions about the content");
  if (content == UdpContent::keepalive) {
    SALINE_REQUIRE(item.outcome == Outcome::drop &&
                       peer.host.processor.counters().keepalives.get() == keepalives + 1 &&
                       before.refused == after.refused,
                   "a keepalive is dropped quietly");
    return;
  }
  require_rule(before, after, item, authentic || after.packets != before.packets);
  if (content == UdpContent::ike)
    SALINE_REQUIRE(item.outcome == Outcome::pass && buffer.packet().history_count == 0,
                   "IKE is the host's");
  if (content == UdpContent::damaged)
    SALINE_REQUIRE(item.reason == DropReason::encapsulation, "damaged");
  if (content == UdpContent::esp && authentic)
    SALINE_REQUIRE(buffer.packet().history_count != 0, "authentic, and refused");
}

}  // namespace

void one(Input input) {
  const std::size_t index = input.take8();
  const std::uint8_t manner = input.take8();
  if (manner % 4 == 0) return receive(index, input.rest(), false);
  const test::SaSpec& spec = world().sender.spec(index);
  const std::uint8_t edits = input.take8();
  const std::size_t at = test::address(spec.source).family == base::Family::ipv6 ? 40 : 20;
  Bytes wire;
  if (manner % 4 == 1) {  // a datagram of the input's content
    Bytes datagram(8);
    base::store16(&datagram[2], kEncapsulationPort);
    const Bytes content = input.rest();
    datagram.insert(datagram.end(), content.begin(), content.end());
    base::store16(&datagram[4], static_cast<std::uint16_t>(datagram.size()));
    wire = test::ip_packet(spec.source, spec.destination, kUdp, datagram);
  } else {
    test::Buffer buffer(test::ip_packet(spec.source, spec.destination, kTcp, input.take(300)));
    const Policy policy = test::policy_for({spec});
    SALINE_REQUIRE(world().sender.host.protect(buffer, policy).outcome == Outcome::pass, "sent");
    wire = buffer.bytes();
    SALINE_REQUIRE(slow_content(wire, *slow_headers(wire)) == UdpContent::esp, "made wrong");
  }
  if ((edits & 1) != 0) {  // a right checksum
    base::store16(&wire[at + 6], 0);
    const unsigned sum = 0xFFFF - datagram_sum(wire, *slow_headers(wire));
    base::store16(&wire[at + 6], static_cast<std::uint16_t>(sum == 0 ? 0xFFFF : sum));
  }
  if ((edits & 2) != 0) wire[at + 7] ^= 0x10;
  if ((edits & 4) != 0) wire[at + 5] ^= 4;
  receive(index, wire, manner % 4 != 1);
}

std::vector<Bytes> seeds() {
  std::vector<Bytes> all;
  for (std::uint8_t index = 0; index < 4; ++index)
    for (std::uint8_t edits = 0; edits < 8; ++edits) {
      all.push_back(join({{index, 2, edits}, Bytes(60, 0x5A)}));
      all.push_back({index, 1, edits, 0xFF});
      all.push_back({index, 1, edits, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8});
      all.push_back({index, 1, edits, 0, 0, 0x10, 1, 0, 0, 0, 1, 5, 6, 7, 8});
    }
  return all;
}

}  // namespace saline::fuzz
