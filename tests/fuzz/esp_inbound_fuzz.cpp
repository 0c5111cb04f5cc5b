// Inbound ESP. An input is the SA, the manner, a number and bytes. By manner the bytes are a whole
// packet as it came, ESP behind a right header, or text that is sealed under the SA's keys, so that
// what happens behind a good ICV is reached as well: there the outcome is foretold by a slow
// receiver, packet and reason; and with one bit flipped after sealing, it is refused for its ICV.
#include <algorithm>

#include "host/base/bytes.hpp"
#include "tests/fuzz/ledger.hpp"
#include "tests/fuzz/reference.hpp"

namespace saline::fuzz {

namespace {

using namespace saline::ipsec;
using hw::DropReason;

enum class Manner : std::uint8_t { packet, esp, sealed, flipped };

std::vector<test::SaSpec> specs() {
  struct Transform {
    const char* encryption;
    const char* integrity;
  };
  constexpr Transform kTransforms[] = {{"null", "hmac-sha2-256"},
                                       {"aes-gcm-16", ""},
                                       {"aes-cbc", "hmac-sha1"},
                                       {"aes-ctr", "hmac-sha2-512"}};
  std::vector<test::SaSpec> all;
  for (const Transform& transform : kTransforms)
    for (Mode mode : {Mode::transport, Mode::tunnel, Mode::any})
      for (bool ipv6 : {false, true}) {
        test::SaSpec spec;
        spec.encryption = transform.encryption;
        spec.integrity = transform.integrity;
        spec.mode = mode;
        spec.esn = ipv6;
        if (ipv6) {
          spec.source = "2001:db8::1";
          spec.destination = "2001:db8::2";
        }
        all.push_back(spec);
      }
  return all;
}

struct World {
  World() : peer(specs()) {
    for (std::size_t i = 0; i < peer.count(); ++i) notaries.emplace_back(peer.spec(i));
  }
  Peer peer;
  std::vector<Notary> notaries;
};

World& world() {
  static World shared;
  return shared;
}

// Whether the receiver goes on with what it found inside, which the foretelling does not follow.
bool goes_on(const Bytes& packet, const SlowHeaders& headers) {
  constexpr std::uint16_t kEncapsulation = 4500;  // RFC 3948 §2.1
  if (headers.upper != kUdp)
    return headers.upper == kEsp || headers.upper == kAh || headers.upper == 108;
  const auto ports = slow_ports(packet, headers);
  return ports && ports->destination == kEncapsulation;
}

struct Foretold {
  DropReason reason = DropReason::none;
  Bytes packet;
  bool open_ended = false;  // another header for us may follow: packet and reason are not foretold
};

Foretold look_at(const Bytes& packet) {
  const auto headers = slow_headers(packet);
  if (!headers) return {DropReason::malformed, {}};
  Foretold result;
  result.open_ended = goes_on(packet, *headers);
  result.packet.assign(packet.begin(),
                       packet.begin() + static_cast<std::ptrdiff_t>(headers->total));
  return result;
}

// RFC 4303 §3.4.4.1 and RFC 4301 §5.2 for text that was authentic.
Foretold foretell(const test::SaSpec& spec, const Bytes& text) {
  if (text.size() < 2) return {DropReason::malformed, {}};
  const std::size_t pad = text[text.size() - 2];
  const std::uint8_t next = text.back();
  if (pad + 2 > text.size()) return {DropReason::malformed, {}};
  if (next == kNoNextHeader) return {DropReason::dummy, {}};
  const Bytes payload(text.begin(), text.end() - static_cast<std::ptrdiff_t>(pad + 2));
  const bool tunnelled = next == kIpv4 || next == kIpv6;
  if (spec.mode == (tunnelled ? Mode::transport : Mode::tunnel)) return {DropReason::policy, {}};
  if (!tunnelled) return look_at(test::ip_packet(spec.source, spec.destination, next, payload));
  const std::uint8_t version = next == kIpv4 ? 4 : 6;
  if (payload.empty() || payload[0] / 16 != version) return {DropReason::malformed, {}};
  return look_at(payload);
}

void receive(std::size_t index, const Bytes& wire, const Bytes* text, bool forged) {
  Peer& peer = world().peer;
  SecurityAssociation& sa = peer.sa(index);
  const Ledger before(peer.host, sa);
  test::Buffer buffer(wire, 0, 0);
  const InboundItem item = peer.host.open(buffer);
  const bool authentic = buffer.packet().history_count != 0 ||
                         (text != nullptr && !forged && item.reason != DropReason::replay);
  require_rule(before, Ledger(peer.host, sa), item, authentic);
  if (forged) {
    SALINE_REQUIRE(item.reason == DropReason::icv, "a flipped bit must fail the ICV");
  } else if (text != nullptr) {
    const Foretold foretold = foretell(peer.spec(index), *text);
    if (foretold.open_ended) return;
    SALINE_REQUIRE(item.reason == foretold.reason, "reason as foretold");
    SALINE_REQUIRE(foretold.reason != DropReason::none || buffer.bytes() == foretold.packet,
                   "packet as foretold");
  }
}

// A packet that was accepted although nobody here sealed it must be authentic all the same: the
// fuzzer found a seed's again.
void receive_as_it_came(std::size_t index, const Bytes& wire) {
  Peer& peer = world().peer;
  SecurityAssociation& sa = peer.sa(index);
  const Ledger before(peer.host, sa);
  test::Buffer buffer(wire, 0, 0);
  const InboundItem item = peer.host.open(buffer);
  const Ledger after(peer.host, sa);
  bool authentic = false;
  const auto headers = slow_headers(wire);
  if (headers && headers->upper == kEsp && !headers->fragment && !headers->routed) {
    const Notary& notary = world().notaries[index % world().notaries.size()];
    Bytes esp(wire.begin() + static_cast<std::ptrdiff_t>(headers->upper_at),
              wire.begin() + static_cast<std::ptrdiff_t>(headers->total));
    if (esp.size() >= 8 + notary.iv_bytes() + 2 + notary.icv_bytes() &&
        base::load32(esp.data()) == sa.id().spi &&
        headers->final_destination == sa.id().destination)
      authentic = notary.open_esp(esp, base::load32(&esp[4]));
  }
  require_rule(before, after, item, authentic || before.packets != after.packets);
  if (before.packets != after.packets) SALINE_REQUIRE(authentic, "accepted without a good ICV");
}

}  // namespace

void one(Input input) {
  const std::size_t index = input.take8();
  const auto manner = static_cast<Manner>(input.take8() % 4);
  Peer& peer = world().peer;
  const test::SaSpec& spec = peer.spec(index);
  const Notary& notary = world().notaries[index % world().notaries.size()];
  peer.sa(index).window().restart(0);
  if (manner == Manner::packet) return receive_as_it_came(index, input.rest());
  if (manner == Manner::esp) {
    Bytes esp = input.rest();
    if (esp.size() >= 4) base::store32(esp.data(), spec.spi);
    return receive_as_it_came(index, test::ip_packet(spec.source, spec.destination, kEsp, esp));
  }
  const std::uint64_t top = spec.esn && input.take8() % 2 != 0 ? 0xFFFFFFF0 : 0;
  const std::uint64_t sequence = top + 1 + input.take8();
  const std::size_t flip = input.take16();
  Bytes text = input.rest();
  if (text.size() > 2000) return;
  peer.sa(index).window().restart(top);
  const std::uint32_t unit = std::max<std::uint32_t>(4, notary.config.encryption->block_bytes);
  while (text.size() % unit != 0 || text.size() < 2) text.push_back(static_cast<std::uint8_t>(0));
  Bytes esp(8 + notary.iv_bytes());
  base::store32(esp.data(), spec.spi);
  base::store32(&esp[4], static_cast<std::uint32_t>(sequence));
  for (std::size_t i = 8; i < esp.size(); ++i) esp[i] = static_cast<std::uint8_t>(flip + i);
  esp.insert(esp.end(), text.begin(), text.end());
  esp.resize(esp.size() + notary.icv_bytes());
  notary.seal_esp(esp, sequence);
  if (manner == Manner::flipped) {
    const std::size_t bit = 64 + flip % ((esp.size() - 8) * 8);  // behind SPI and number
    esp[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
  }
  receive(index, test::ip_packet(spec.source, spec.destination, kEsp, esp), &text,
          manner == Manner::flipped);
}

std::vector<Bytes> seeds() {
  const Bytes inner4 = test::ip_packet("10.1.0.1", "10.2.0.1", kUdp, test::udp(20));
  const Bytes inner6 = test::ip_packet("fd00:1::1", "fd00:2::1", kTcp, Bytes(20, 1));
  std::vector<Bytes> all;
  for (std::uint8_t index = 0; index < world().peer.count(); ++index) {
    const Bytes sealed{index, 2, 0, 4, 0, 9};
    all.push_back(join({sealed, test::with_trailer(inner4, 2, kIpv4)}));
    all.push_back(join({sealed, test::with_trailer(inner6, 2, kIpv6)}));
    all.push_back(join({sealed, test::with_trailer(Bytes(22, 0xAB), 0, kTcp)}));
    all.push_back(join({sealed, test::with_trailer(Bytes(62, 0), 0, kNoNextHeader)}));
    all.push_back(join({sealed, Bytes(14, 1), {15, kUdp}}));  // a byte more than there is
    all.push_back(join({sealed, Bytes(14, 1), {14, kUdp}}));
    all.push_back(join({{index, 3, 1, 4, 0, 9}, test::with_trailer(inner4, 2, kIpv4)}));
    const test::SaSpec& spec = world().peer.spec(index);
    if (spec.esn || spec.mode == Mode::any) continue;
    const Bytes plain = test::ip_packet(spec.source, spec.destination, kUdp, test::udp(20));
    all.push_back(join({{index, 0}, test::protect_with(spec, plain)}));
  }
  all.push_back({0, 1, 1, 2, 3, 4, 0, 0, 0, 1, 5, 6, 7, 8});
  return all;
}

}  // namespace saline::fuzz
