// Putting fragments together, and what senders of bad ones get.
#include "host/ipsec/reassembly.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <random>

#include "host/base/bytes.hpp"
#include "host/ipsec/tunnel.hpp"
#include "tests/host/ipsec/bed.hpp"

namespace saline::test {

using namespace saline::ipsec;
using base::Family;
using hw::DropReason;
using Result = Reassembly::Result;

namespace {

class Bench {
 public:
  explicit Bench(const Reassembly::Limits& limits = {.datagrams = 64,
                                                     .blocks = 256,
                                                     .per_source = 16})
      : reassembly(limits) {}

  Result add(const Bytes& fragment, std::uint64_t context = 0) {
    Headers headers;
    if (!parse_headers(fragment, headers)) throw std::runtime_error("malformed fragment");
    std::uint32_t length = 0;
    const Result result = reassembly.add(fragment, headers, context, now_s, buffer_, length);
    if (result == Result::whole) whole.assign(buffer_.begin(), buffer_.begin() + length);
    return result;
  }
  bool is_at_rest() const { return reassembly.datagrams() == 0; }

  Reassembly reassembly;
  Bytes whole;
  std::uint64_t now_s = 1000;

 private:
  Bytes buffer_ = Bytes(Reassembly::kWholeMax);
};

Bytes packet4(std::size_t data, std::uint16_t id = 7, const char* source = "10.1.0.1") {
  Bytes packet = ip_packet(source, "10.2.0.1", kUdp, udp(data));
  base::store16(&packet[4], id);
  base::store16(&packet[10], ipv4_header_checksum(std::span(packet).first(20)));
  return packet;
}
Bytes packet6(std::size_t data) { return ip_packet("fd00:1::1", "fd00:2::1", kUdp, udp(data)); }

std::vector<Bytes> split(const Bytes& packet, std::uint32_t mtu, std::uint32_t id = 99) {
  Splitter splitter;
  std::vector<Bytes> pieces;
  EXPECT_TRUE(splitter.start(packet, mtu, id));
  Bytes buffer(65536);
  while (const std::uint32_t bytes = splitter.next(buffer))
    pieces.emplace_back(buffer.begin(), buffer.begin() + bytes);
  return pieces;
}

// An IPv4 fragment by hand.
Bytes fragment4(std::uint32_t offset, bool more, const Bytes& payload, std::uint16_t id = 7,
                const char* source = "10.1.0.1") {
  Bytes packet = ip_packet(source, "10.2.0.1", kUdp, payload);
  base::store16(&packet[4], id);
  base::store16(&packet[6], static_cast<std::uint16_t>((more ? 0x2000 : 0) | offset / 8));
  base::store16(&packet[10], ipv4_header_checksum(std::span(packet).first(20)));
  return packet;
}
Bytes fragment6(std::uint32_t offset, bool more, const Bytes& payload, std::uint32_t id = 7,
                std::uint8_t next = kUdp) {
  Bytes body(8 + payload.size());
  body[0] = next;
  base::store16(&body[2], static_cast<std::uint16_t>(offset | (more ? 1u : 0u)));
  base::store32(&body[4], id);
  for (std::size_t i = 0; i < payload.size(); ++i) body[8 + i] = payload[i];
  return ip_packet("fd00:1::1", "fd00:2::1", kFragment, body);
}

std::uint64_t seed() {
  const char* text = std::getenv("SALINE_SEED");
  return text != nullptr ? std::strtoull(text, nullptr, 0) : std::random_device{}();
}

}  // namespace

TEST(Reassembly, AnyOrderGivesTheWhole) {
  std::mt19937_64 random(seed());
  SCOPED_TRACE("SALINE_SEED " + std::to_string(random()));
  Bench bench;
  for (const std::size_t bytes : {100u, 1472u, 5000u, 20000u, 65507u}) {
    for (const std::uint32_t mtu : {576u, 1280u, 1500u}) {
      for (const Bytes& packet : {packet4(bytes), packet6(std::min<std::size_t>(bytes, 65487))}) {
        if (packet.size() <= mtu) continue;
        std::vector<Bytes> pieces = split(packet, mtu);
        std::shuffle(pieces.begin(), pieces.end(), random);
        for (std::size_t i = 0; i + 1 < pieces.size(); ++i)
          ASSERT_EQ(bench.add(pieces[i]), Result::held);
        ASSERT_EQ(bench.add(pieces.back()), Result::whole);
        EXPECT_EQ(bench.whole, packet);
        EXPECT_TRUE(bench.is_at_rest());
        EXPECT_EQ(bench.reassembly.blocks_free(), 256u);
      }
    }
  }
}

TEST(Reassembly, A64KilobyteDatagramIn45Fragments) {
  Bench bench;
  const std::vector<Bytes> pieces = split(packet4(65507), 1500);
  EXPECT_EQ(pieces.size(), 45u);
  for (std::size_t i = 0; i < pieces.size(); ++i)
    EXPECT_EQ(bench.add(pieces[i]), i + 1 < pieces.size() ? Result::held : Result::whole);
  EXPECT_EQ(bench.whole, packet4(65507));
}

TEST(Reassembly, DatagramsWithOneIdAreKeptApartByTheirEndsAndContext) {
  Bench bench;
  const auto ours = split(packet4(2000), 1500);
  const auto theirs = split(packet4(2000, 7, "10.1.0.9"), 1500);
  EXPECT_EQ(bench.add(ours[0]), Result::held);
  EXPECT_EQ(bench.add(theirs[1]), Result::held);
  EXPECT_EQ(bench.add(ours[1], 5), Result::held) << "came through another SA";
  EXPECT_EQ(bench.reassembly.datagrams(), 3u);
  EXPECT_EQ(bench.add(ours[1]), Result::whole);
  EXPECT_EQ(bench.whole, packet4(2000));
}

TEST(Reassembly, CongestionMarksAreJoined) {
  for (unsigned first = 0; first < 4; ++first) {
    for (unsigned second = 0; second < 4; ++second) {
      Bench bench;
      auto pieces = split(packet4(2000), 1500);
      set_ecn(pieces[0].data(), static_cast<std::uint8_t>(first));
      set_ecn(pieces[1].data(), static_cast<std::uint8_t>(second));
      bench.add(pieces[0]);
      const Result result = bench.add(pieces[1]);
      const bool marked = first == 3 || second == 3, unable = first == 0 || second == 0;
      if (marked && unable) {  // RFC 3168 §5.3
        EXPECT_EQ(result, Result::refused) << first << second;
      } else {
        ASSERT_EQ(result, Result::whole) << first << second;
        EXPECT_EQ(bench.whole[1] & 3u, marked ? 3u : first);
      }
    }
  }
}

TEST(BadInput, A15_AFragmentThatReachesIpsecIsDropped) {
  SaSpec spec;
  const Bytes wire = protect_with(spec, ip_packet(spec.source, spec.destination, kUdp, udp(600)));
  Host host;
  auto sa = host.add(spec);
  for (const Bytes& piece : split(wire, 400)) {
    Buffer buffer(piece);
    EXPECT_EQ(host.open(buffer).reason, DropReason::fragment);
  }
  EXPECT_EQ(sa->counters().packets.get(), 0u);
}

TEST(BadInput, A15_PutTogetherFirstItPasses) {
  SaSpec spec;
  const Bytes packet = ip_packet(spec.source, spec.destination, kUdp, udp(600));
  Bench bench;
  auto pieces = split(protect_with(spec, packet), 400);
  ASSERT_EQ(pieces.size(), 2u);
  bench.add(pieces[1]);
  ASSERT_EQ(bench.add(pieces[0]), Result::whole);
  Host host;
  host.add(spec);
  Buffer buffer(bench.whole);
  EXPECT_EQ(host.open(buffer).reason, DropReason::none);
  EXPECT_EQ(buffer.bytes(), packet);
}

struct OverlapCase {
  std::uint32_t offset, bytes;
  bool more;
};
class Overlap : public testing::TestWithParam<OverlapCase> {};

// Held before: [0, 64), [128, 192), and the end [512, 520).
TEST_P(Overlap, A16_RefusesTheWholeDatagramAndWhatIsStillToCome) {
  const OverlapCase& row = GetParam();
  for (const bool ipv6 : {false, true}) {
    const auto make = [&](std::uint32_t offset, bool more, std::size_t bytes) {
      const Bytes payload(bytes, static_cast<std::uint8_t>(offset));
      return ipv6 ? fragment6(offset, more, payload) : fragment4(offset, more, payload);
    };
    Bench bench;
    EXPECT_EQ(bench.add(make(0, true, 64)), Result::held);
    EXPECT_EQ(bench.add(make(128, true, 64)), Result::held);
    EXPECT_EQ(bench.add(make(512, false, 8)), Result::held);
    EXPECT_EQ(bench.add(make(row.offset, row.more, row.bytes)), Result::refused);
    EXPECT_EQ(bench.reassembly.counters().overlapping.get(), 1u);
    EXPECT_EQ(bench.reassembly.blocks_free(), 256u) << "its memory is free at once";
    EXPECT_EQ(bench.add(make(64, true, 64)), Result::refused) << "a good one, too late";
    EXPECT_EQ(bench.add(make(192, true, 320)), Result::refused);
  }
}

INSTANTIATE_TEST_SUITE_P(Rows, Overlap,
                         testing::Values(OverlapCase{56, 16, true}, OverlapCase{0, 72, true},
                                         OverlapCase{0, 56, true}, OverlapCase{8, 8, true},
                                         OverlapCase{8, 56, true}, OverlapCase{64, 128, true},
                                         OverlapCase{120, 16, true}, OverlapCase{128, 72, true},
                                         OverlapCase{128, 56, true}, OverlapCase{0, 512, true},
                                         OverlapCase{512, 16, true}, OverlapCase{520, 8, true},
                                         OverlapCase{600, 8, false}, OverlapCase{192, 8, false},
                                         OverlapCase{512, 8, true}, OverlapCase{512, 4, false}));

TEST(BadInput, A16_ExactCopiesArePassedOver) {
  Bench bench;
  const auto pieces = split(packet4(5000), 1500);
  for (std::size_t i = 0; i + 1 < pieces.size(); ++i) {
    EXPECT_EQ(bench.add(pieces[i]), Result::held);
    EXPECT_EQ(bench.add(pieces[i]), Result::held);
  }
  EXPECT_EQ(bench.add(pieces.back()), Result::whole);
  EXPECT_EQ(bench.whole, packet4(5000));
  EXPECT_EQ(bench.reassembly.counters().duplicates.get(), pieces.size() - 1);
}

TEST(BadInput, A16_ACopyWithOtherContentsIsAnOverlap) {
  Bench bench;
  auto pieces = split(packet4(5000), 1500);
  bench.add(pieces[1]);
  pieces[1][700] ^= 1;
  EXPECT_EQ(bench.add(pieces[1]), Result::refused);
  EXPECT_EQ(bench.add(pieces[0]), Result::refused);
}

TEST(BadInput, A16_ADatagramThatIsNotCompleteInTimeIsGivenUp) {
  Bench bench;
  const auto pieces = split(packet4(3000), 1500);
  bench.add(pieces[0]);
  bench.add(pieces[1]);
  bench.now_s += 29;
  EXPECT_EQ(bench.reassembly.expire(bench.now_s), 0u);
  bench.now_s += 1;
  EXPECT_EQ(bench.reassembly.expire(bench.now_s), 1u);
  EXPECT_EQ(bench.reassembly.counters().too_late.get(), 1u);
  EXPECT_TRUE(bench.is_at_rest());
  EXPECT_EQ(bench.reassembly.blocks_free(), 256u);
  EXPECT_EQ(bench.add(pieces[2]), Result::held) << "a datagram of its own now";
}

TEST(BadInput, A16_MoreThan64KilobytesIsRefused) {
  Bench bench;
  EXPECT_EQ(bench.add(fragment4(65528, false, Bytes(8))), Result::refused);
  EXPECT_EQ(bench.add(fragment6(65528, false, Bytes(8))), Result::refused);
  // Each piece is in range, but not with the header in front.
  EXPECT_EQ(bench.add(fragment4(65504, false, Bytes(31))), Result::held);
  Result last = Result::held;
  for (std::uint32_t at = 0; at < 65504; at += 1184)
    last = bench.add(fragment4(at, true, Bytes(std::min(1184u, 65504 - at))));
  EXPECT_EQ(last, Result::refused);
  EXPECT_GE(bench.reassembly.counters().malformed.get(), 3u);
}

TEST(BadInput, A16_LengthsThatCannotBeAreRefused) {
  Bench bench;
  EXPECT_EQ(bench.add(fragment4(0, true, Bytes(15))), Result::refused) << "not a multiple of 8";
  EXPECT_EQ(bench.add(fragment4(8, true, {})), Result::refused) << "empty";
  EXPECT_EQ(bench.add(fragment4(8, false, {})), Result::refused);
  EXPECT_EQ(bench.add(fragment6(0, true, Bytes(12))), Result::refused);
  EXPECT_TRUE(bench.is_at_rest());
}

TEST(BadInput, A16_TinyFragmentsAreBounded) {
  Bench bench;
  Result result = Result::held;
  std::uint32_t at = 0;
  for (; result == Result::held && at < 65000; at += 8)
    result = bench.add(fragment4(at, true, Bytes(8)));
  EXPECT_EQ(result, Result::refused);
  EXPECT_EQ(at / 8, Reassembly::kFragmentsMax + 1);
  EXPECT_EQ(bench.reassembly.blocks_free(), 256u);
  // In IPv6 the first must hold all headers (RFC 7112 §5).
  EXPECT_EQ(bench.add(fragment6(0, true, Bytes(16), 8, kTcp)), Result::refused);
  EXPECT_EQ(bench.add(fragment6(0, true, Bytes(24), 9, kTcp)), Result::held);
  Bytes long_chain(8);
  long_chain[0] = kUdp;
  long_chain[1] = 3;  // destination options of 32 bytes, of which 8 are here
  EXPECT_EQ(bench.add(fragment6(0, true, long_chain, 10, kDestinationOptions)), Result::refused);
}

TEST(BadInput, A16_AnAtomicFragmentNeverMeetsTheOthers) {
  Bench bench;
  EXPECT_EQ(bench.add(fragment6(0, true, udp(56))), Result::held);
  ASSERT_EQ(bench.add(fragment6(0, false, udp(8))), Result::whole);  // RFC 6946 §4
  EXPECT_EQ(bench.whole, packet6(8));
  EXPECT_EQ(bench.reassembly.datagrams(), 1u) << "the other waits on";
  EXPECT_EQ(bench.add(fragment6(64, false, Bytes(8))), Result::whole);
}

TEST(BadInput, A16_OneSourceGetsItsShareAndNoMore) {
  Bench bench;
  const auto victim = split(packet4(2000, 1, "10.1.0.200"), 1500);
  bench.add(victim[0]);
  for (std::uint16_t id = 0; id < 500; ++id)
    EXPECT_EQ(bench.add(fragment4(0, true, Bytes(64), id, "10.6.6.6")), Result::held);
  EXPECT_LE(bench.reassembly.datagrams(), 17u);
  EXPECT_EQ(bench.reassembly.counters().evicted.get(), 500u - 16);
  EXPECT_EQ(bench.add(victim[1]), Result::whole) << "another source is not touched";
}

TEST(BadInput, A16_AFullTableGivesUpTheOldest) {
  Bench bench;
  for (unsigned i = 0; i < 300; ++i) {
    const std::string source = "10." + std::to_string(i % 7) + ".1." + std::to_string(i % 250);
    bench.add(fragment4(0, true, Bytes(64), static_cast<std::uint16_t>(i), source.c_str()));
    ASSERT_LE(bench.reassembly.datagrams(), 64u);
  }
  const auto fresh = split(packet4(2000, 9999), 1500);
  EXPECT_EQ(bench.add(fresh[0]), Result::held);
  EXPECT_EQ(bench.add(fresh[1]), Result::whole);
}

TEST(BadInput, A16_MemoryIsBounded) {
  Bench bench({.datagrams = 64, .blocks = 40, .per_source = 64});
  for (std::uint16_t id = 0; id < 20; ++id)
    for (std::uint32_t at = 0; at < 20000; at += 1480)
      bench.add(fragment4(at, true, Bytes(1480), id));
  EXPECT_GT(bench.reassembly.counters().evicted.get(), 10u);
  EXPECT_LE(bench.reassembly.blocks_free(), 40u);
  const Bytes packet = packet4(60000, 77);
  Result last = Result::held;
  for (const Bytes& piece : split(packet, 1500)) last = bench.add(piece);
  EXPECT_EQ(last, Result::whole) << "a whole datagram still fits";
  EXPECT_EQ(bench.whole, packet);
}

// Two implementations agree on random fragments: this one and a map of bytes.
TEST(BadInput, A16_RandomFragmentsNeverMakeAWrongPacket) {
  const std::uint64_t start = seed();
  SCOPED_TRACE("SALINE_SEED=" + std::to_string(start));
  std::mt19937_64 random(start);
  unsigned completed = 0;
  for (unsigned round = 0; round < 400; ++round) {
    Bench bench;
    const Bytes packet = packet4(200 + random() % 800);
    auto pieces = split(packet, 68 + 8 * static_cast<std::uint32_t>(random() % 20));
    if (random() % 2 == 0) pieces.push_back(pieces[random() % pieces.size()]);
    if (random() % 3 == 0) {
      const auto others = split(packet, 100);
      pieces.push_back(others[random() % others.size()]);
    }
    std::shuffle(pieces.begin(), pieces.end(), random);
    for (const Bytes& piece : pieces) {
      if (bench.add(piece) != Result::whole) continue;
      ASSERT_EQ(bench.whole, packet);
      ++completed;
    }
  }
  EXPECT_GT(completed, 200u);
}

}  // namespace saline::test
