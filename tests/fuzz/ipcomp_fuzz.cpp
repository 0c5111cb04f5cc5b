// IPComp both ways. Inbound, whatever stands behind the header: expanded to what zlib expands it
// to, or refused; never more than an IP packet holds. Outbound, any payload: never larger than
// before, and the same at the other end.
#include <zlib.h>

#include <algorithm>
#include <optional>

#include "host/base/bytes.hpp"
#include "tests/fuzz/ledger.hpp"
#include "tests/fuzz/reference.hpp"

namespace saline::fuzz {

namespace {

using namespace saline::ipsec;
using hw::DropReason;

constexpr std::size_t kRoom = 70000;

std::vector<test::SaSpec> specs() {
  std::vector<test::SaSpec> all;
  for (Mode mode : {Mode::transport, Mode::tunnel})
    for (bool ipv6 : {false, true}) {
      test::SaSpec spec;
      spec.protocol = Protocol::ipcomp;
      spec.integrity = "";
      spec.mode = mode;
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

// One whole stream and nothing behind it.
std::optional<Bytes> slow_expand(const Bytes& in) {
  z_stream stream{};
  if (inflateInit2(&stream, -15) != Z_OK) return std::nullopt;
  Bytes out(kRoom);
  Bytes copy = in;
  stream.next_in = copy.data();
  stream.avail_in = static_cast<uInt>(copy.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  const int result = inflate(&stream, Z_FINISH);
  const bool good = result == Z_STREAM_END && stream.avail_in == 0;
  out.resize(out.size() - stream.avail_out);
  inflateEnd(&stream);
  if (!good) return std::nullopt;
  return out;
}

Bytes slow_compress(const Bytes& in) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY);
  Bytes out(in.size() + 100);
  Bytes copy = in;
  stream.next_in = copy.data();
  stream.avail_in = static_cast<uInt>(copy.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(out.size() - stream.avail_out);
  deflateEnd(&stream);
  return out;
}

void receive(std::size_t index, std::uint8_t next, const Bytes& stream) {
  Peer& peer = world().receiver;
  const test::SaSpec& spec = peer.spec(index);
  SecurityAssociation& sa = peer.sa(index);
  Bytes ipcomp{next, 0, 0, 0};
  base::store16(&ipcomp[2], static_cast<std::uint16_t>(spec.spi));
  const Bytes wire = test::ip_packet(spec.source, spec.destination, 108, join({ipcomp, stream}));
  const Ledger before(peer.host, sa);
  test::Buffer buffer(wire, 256, kRoom);
  const InboundItem item = peer.host.open(buffer);
  const auto expanded = slow_expand(stream);
  require_rule(before, Ledger(peer.host, sa), item, expanded.has_value());
  const std::size_t header = wire[0] >> 4 == 4 ? 20 : 40;
  if (!expanded || expanded->size() + (header == 20 ? 20 : 0) > 65535) {
    SALINE_REQUIRE(item.reason == DropReason::compression, "no stream, and not refused for it");
    return;
  }
  // What came out may lead to IPComp again, and to no stream.
  SALINE_REQUIRE(item.reason != DropReason::compression || buffer.packet().history_count != 0,
                 "a stream, and refused for it");
  if (item.outcome != Outcome::pass || spec.mode != Mode::transport ||
      buffer.packet().history_count != 1)
    return;
  SALINE_REQUIRE(buffer.bytes() == test::ip_packet(spec.source, spec.destination, next, *expanded),
                 "expanded to something else");
}

}  // namespace

void one(Input input) {
  const std::size_t index = input.take8();
  const std::uint8_t manner = input.take8() % 3;
  const std::uint8_t next = input.take8();
  if (manner == 0) return receive(index, next, input.rest());
  if (manner == 1) {  // a good stream, which may be long: the first byte repeats it
    const unsigned repeat = 1 + input.take8();
    const Bytes part = input.rest();
    Bytes text;
    for (unsigned i = 0; i < repeat && text.size() < kRoom - 1000; ++i)
      text.insert(text.end(), part.begin(), part.end());
    if (text.size() >= kRoom) return;
    return receive(index, next, slow_compress(text));
  }
  const test::SaSpec& spec = world().sender.spec(index);
  const Bytes plain = test::ip_packet(spec.source, spec.destination, kTcp, input.rest());
  test::Buffer buffer(plain, 256, 512);
  const Policy policy = test::policy_for({spec});
  const OutboundItem item = world().sender.host.protect(buffer, policy);
  SALINE_REQUIRE(item.outcome == Outcome::pass, "compression is never a reason to refuse");
  const std::size_t tunnel = spec.mode == Mode::tunnel ? (plain[0] >> 4 == 4 ? 20u : 40u) : 0u;
  SALINE_REQUIRE(buffer.bytes().size() <= plain.size() + tunnel, "larger than before");
  test::Buffer arrived(buffer.bytes(), 256, kRoom);
  SALINE_REQUIRE(world().receiver.host.open(arrived).outcome == Outcome::pass, "refused");
  SALINE_REQUIRE(arrived.bytes() == plain, "another packet came back");
}

std::vector<Bytes> seeds() {
  std::vector<Bytes> all;
  Bytes text;
  for (int i = 0; i < 40; ++i) text.insert(text.end(), {'s', 'a', 'l', 't', ' '});
  const Bytes inner4 = test::ip_packet("10.1.0.1", "10.2.0.1", kTcp, text);
  const Bytes inner6 = test::ip_packet("fd00:1::1", "fd00:2::1", kTcp, text);
  for (std::uint8_t index = 0; index < 4; ++index) {
    all.push_back(join({{index, 0, kTcp}, slow_compress(text)}));
    all.push_back(join({{index, 0, kIpv4}, slow_compress(inner4)}));
    all.push_back(join({{index, 1, kIpv6, 0}, inner6}));
    all.push_back(join({{index, 1, kTcp, 255}, text}));
    all.push_back(join({{index, 1, kTcp, 255}, Bytes(300, 0)}));
    all.push_back(join({{index, 2, 0}, text}));
    all.push_back({index, 0, kTcp, 1, 0, 0, 0xFF, 0xFF});
  }
  return all;
}

}  // namespace saline::fuzz
