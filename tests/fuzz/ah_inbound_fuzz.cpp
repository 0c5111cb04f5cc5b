// Inbound AH behind IPv4 options and IPv6 extension headers taken from the input, signed over what
// the slow reading says is signed: the product accepts it. One bit flipped on the way is found
// where the slow image changed, and is not where it did not; whole packets from the input are
// refused unless authentic.
#include <algorithm>

#include "host/base/bytes.hpp"
#include "tests/fuzz/ledger.hpp"
#include "tests/fuzz/reference.hpp"

namespace saline::fuzz {

namespace {

using namespace saline::ipsec;
using hw::DropReason;

constexpr std::size_t kHeadersMax = 400;  // the product signs up to 640 bytes with AH

std::vector<test::SaSpec> specs() {
  std::vector<test::SaSpec> all;
  for (const char* integrity : {"hmac-sha2-256", "hmac-sha1"})
    for (Mode mode : {Mode::transport, Mode::tunnel, Mode::any})
      for (bool ipv6 : {false, true}) {
        test::SaSpec spec;
        spec.protocol = Protocol::ah;
        spec.integrity = integrity;
        spec.mode = mode;
        spec.esn = mode == Mode::any;
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

// IPv6 extension headers from the input, so that most chains lead somewhere: a kind, a length, and
// bytes.
Bytes chain_from(Input& input, std::uint8_t& first) {
  static constexpr std::uint8_t kKinds[] = {kHopByHop, kDestinationOptions, kRouting,
                                            kDestinationOptions};
  Bytes chain;
  std::size_t named_at = SIZE_MAX;
  first = kAh;
  for (unsigned count = input.take8() % 4; count > 0 && chain.size() < kHeadersMax; --count) {
    const std::uint8_t kind = kKinds[input.take8() % 4];
    const std::size_t bytes = 8 + input.take8() % 4 * 8u;
    Bytes header = input.take(bytes - 2);
    header.insert(header.begin(), {kAh, static_cast<std::uint8_t>(bytes / 8 - 1)});
    header.resize(bytes);
    if (kind == kRouting) header[3] = 0;
    (named_at == SIZE_MAX ? first : chain[named_at]) = kind;
    named_at = chain.size();
    chain.insert(chain.end(), header.begin(), header.end());
  }
  return chain;
}

// The packet of one SA with everything but the ICV.
Bytes unsigned_packet(std::size_t index, Input& input, std::size_t& at) {
  const test::SaSpec& spec = world().peer.spec(index);
  const bool ipv6 = test::address(spec.source).family == base::Family::ipv6;
  const std::uint8_t next = input.take8();
  const std::uint16_t reserved = input.take16();
  std::uint8_t first = kAh;
  Bytes headers;
  if (ipv6) {
    headers = chain_from(input, first);
  } else {
    headers = input.take(input.take8() % 11 * 4u);
    headers.resize(headers.size() / 4 * 4);
  }
  const std::uint32_t icv = world().notaries[index % world().notaries.size()].icv_bytes();
  const std::size_t unit = ipv6 ? 8 : 4;
  Bytes ah(12 + (icv + 12 + unit - 1) / unit * unit - 12);
  ah[0] = next;
  ah[1] = static_cast<std::uint8_t>(ah.size() / 4 - 2);
  base::store16(&ah[2], reserved);
  base::store32(&ah[4], spec.spi);
  base::store32(&ah[8], 7);
  at = (ipv6 ? 40 : 20) + headers.size();
  return test::ip_packet(spec.source, spec.destination, first, join({ah, input.rest()}), headers);
}

// Whether the product found the ICV good.
bool receive(std::size_t index, const Bytes& wire, bool authentic) {
  Peer& peer = world().peer;
  SecurityAssociation& sa = peer.sa(index);
  sa.window().restart(0);
  const Ledger before(peer.host, sa);
  test::Buffer buffer(wire, 0, 0);
  const InboundItem item = peer.host.open(buffer);
  require_rule(before, Ledger(peer.host, sa), item, authentic);
  SALINE_REQUIRE(authentic || buffer.packet().history_count == 0, "accepted without a good ICV");
  return buffer.packet().history_count != 0 ||
         (item.reason != DropReason::icv && item.reason != DropReason::replay &&
          item.reason != DropReason::no_sa);
}

// The slow opinion about a packet on the wire: what is signed when AH is for us, else nullopt.
std::optional<Bytes> image_of(const Bytes& wire, std::size_t at, std::uint32_t icv_bytes) {
  const auto headers = slow_headers(wire);
  if (!headers || headers->upper != kAh || headers->upper_at != at || headers->fragment ||
      headers->routed || headers->total != wire.size())
    return std::nullopt;
  auto image = slow_mute(wire, *headers, at);
  if (!image) return std::nullopt;
  image->insert(image->end(), wire.begin() + static_cast<std::ptrdiff_t>(at), wire.end());
  std::fill_n(image->begin() + static_cast<std::ptrdiff_t>(at) + 12, icv_bytes, 0);
  return image;
}

// Whether a packet as it came carries a good ICV of the SA; the number's high half is 0.
bool is_authentic(std::size_t index, Bytes wire) {
  const auto headers = slow_headers(wire);
  const Notary& notary = world().notaries[index % world().notaries.size()];
  if (!headers) return false;
  wire.resize(headers->total);
  const std::size_t at = headers->upper_at;
  if (wire.size() < at + 12 + notary.icv_bytes() ||
      base::load32(&wire[at + 4]) != world().peer.spec(index).spi)
    return false;
  const auto image = image_of(wire, at, notary.icv_bytes());
  if (!image) return false;
  const Bytes icv = notary.icv(*image, base::load32(&wire[at + 8]));
  return std::equal(icv.begin(), icv.end(), wire.begin() + static_cast<std::ptrdiff_t>(at) + 12);
}

}  // namespace

void one(Input input) {
  const std::size_t index = input.take8();
  const std::uint8_t manner = input.take8();
  const Notary& notary = world().notaries[index % world().notaries.size()];
  if (manner % 4 == 0) {
    const Bytes wire = input.rest();
    receive(index, wire, is_authentic(index, wire));
    return;
  }
  const std::size_t flip = input.take16();
  std::size_t at = 0;
  Bytes wire = unsigned_packet(index, input, at);
  if (wire.size() > 2000 || at > kHeadersMax) return;
  const auto image = image_of(wire, at, notary.icv_bytes());
  if (!image) {
    receive(index, wire, false);
    return;
  }
  const Bytes icv = notary.icv(*image, 7);
  std::copy(icv.begin(), icv.end(), wire.begin() + static_cast<std::ptrdiff_t>(at) + 12);
  if (manner % 4 == 1) {
    SALINE_REQUIRE(receive(index, wire, true), "authentic, and refused");
    return;
  }
  // A bit of the headers as a router may flip it, or of anything.
  Bytes altered = wire;
  const std::size_t bit = flip % ((manner % 4 == 2 ? at : wire.size()) * 8);
  altered[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
  const bool in_number = bit / 8 >= at + 8 && bit / 8 < at + 12;
  const bool in_icv = bit / 8 >= at + 12 && bit / 8 < at + 12 + notary.icv_bytes();
  const auto altered_image = image_of(altered, at, notary.icv_bytes());
  const bool same = altered_image && *altered_image == *image && !in_icv && !in_number;
  const bool verified = receive(index, altered, same);
  SALINE_REQUIRE(!same || verified, "a mutable field was signed");
}

std::vector<Bytes> seeds() {
  std::vector<Bytes> all;
  const Bytes inner = test::ip_packet("10.1.0.1", "10.2.0.1", kUdp, test::udp(20));
  const Bytes options{12, 130, 4, 9, 9, 7, 7, 4, 1, 2, 3, 4, 1};
  const Bytes chain{2, 0, 0, 0x3E, 4, 1, 2, 3, 4, 1, 1, 1, 4, 0, 0, 0, 0, 5, 4, 6, 7, 8, 9, 9, 9};
  for (std::uint8_t index = 0; index < world().peer.count(); ++index) {
    const bool ipv6 = index % 2 != 0;
    for (std::uint8_t manner : Bytes{1, 2, 3}) {
      const Bytes head{index, manner, 0, 70};
      all.push_back(join({head, {kIpv4, 0, 0}, ipv6 ? chain : options, inner}));
      all.push_back(join({head, {kUdp, 0, 0}, ipv6 ? Bytes{0} : Bytes{0}, test::udp(20)}));
    }
    const test::SaSpec& spec = world().peer.spec(index);
    if (spec.esn) continue;
    Bytes wire = test::protect_with(
        spec, test::ip_packet(spec.source, spec.destination, kUdp, test::udp(20)));
    wire.back() ^= 1;
    all.push_back(join({{index, 0}, wire}));
  }
  return all;
}

}  // namespace saline::fuzz
