// Splitting packets, and the choice between fragmenting before protection, after it and not at all.
#include "host/ipsec/fragment.hpp"

#include <gtest/gtest.h>

#include <map>

#include "host/base/bytes.hpp"
#include "tests/host/ipsec/bed.hpp"

namespace saline::test {

using namespace saline::ipsec;
using base::Family;
using base::load16;
using hw::DropReason;

namespace {

Bytes packet_of(Family family, std::size_t bytes, bool dont_fragment = false) {
  const bool ipv4 = family == Family::ipv4;
  Bytes packet = ipv4 ? ip_packet("10.1.0.1", "10.2.0.1", kUdp, udp(bytes - 28))
                      : ip_packet("fd00:1::1", "fd00:2::1", kUdp, udp(bytes - 48));
  if (dont_fragment && ipv4) {
    packet[6] = 0x40;
    base::store16(&packet[10], ipv4_header_checksum(std::span(packet).first(20)));
  }
  return packet;
}

std::vector<Bytes> split(const Bytes& packet, std::uint32_t mtu, std::uint32_t id = 0x01020304) {
  Splitter splitter;
  std::vector<Bytes> pieces;
  if (!splitter.start(packet, mtu, id)) return pieces;
  Bytes buffer(std::max<std::size_t>(mtu, 64));
  while (const std::uint32_t bytes = splitter.next(buffer))
    pieces.emplace_back(buffer.begin(), buffer.begin() + bytes);
  EXPECT_TRUE(splitter.done());
  return pieces;
}

// A second, plain implementation of putting together, for fragments in order.
Bytes join(const std::vector<Bytes>& pieces) {
  const Bytes& first = pieces.front();
  const bool ipv4 = first[0] >> 4 == 4;
  const std::size_t header = ipv4 ? (first[0] & 15u) * 4 : 40;
  Bytes whole(first.begin(), first.begin() + static_cast<std::ptrdiff_t>(header));
  std::size_t next = 0;
  for (const Bytes& piece : pieces) {
    const std::size_t own = ipv4 ? (piece[0] & 15u) * 4 : 48;
    const std::size_t offset =
        ipv4 ? (load16(&piece[6]) & 0x1FFFu) * 8 : load16(&piece[42]) & 0xFFF8u;
    const bool more = ipv4 ? (piece[6] & 0x20) != 0 : (piece[43] & 1) != 0;
    EXPECT_EQ(offset, next);
    EXPECT_EQ(more, &piece != &pieces.back());
    EXPECT_TRUE(!more || (piece.size() - own) % 8 == 0);
    if (ipv4) {
      EXPECT_EQ(load16(&piece[10]), ipv4_header_checksum(std::span(piece).first(own)));
      EXPECT_EQ(load16(&piece[2]), piece.size());
    } else {
      EXPECT_EQ(load16(&piece[4]), piece.size() - 40);
      EXPECT_EQ(piece[6], kFragment);
      EXPECT_EQ(base::load32(&piece[44]), 0x01020304u);
    }
    whole.insert(whole.end(), piece.begin() + static_cast<std::ptrdiff_t>(own), piece.end());
    next += piece.size() - own;
  }
  if (ipv4) {
    base::store16(&whole[2], static_cast<std::uint16_t>(whole.size()));
    whole[6] &= 0xDF;
    base::store16(&whole[10], ipv4_header_checksum(std::span(whole).first(header)));
  } else {
    whole[6] = pieces.front()[40];
    base::store16(&whole[4], static_cast<std::uint16_t>(whole.size() - 40));
  }
  return whole;
}

}  // namespace

using SizeCase = std::tuple<Family, std::uint32_t, std::size_t>;
class Splitting : public testing::TestWithParam<SizeCase> {};

TEST_P(Splitting, PiecesFitAndAreTheWhole) {
  const auto [family, mtu, bytes] = GetParam();
  const Bytes packet = packet_of(family, bytes);
  const std::vector<Bytes> pieces = split(packet, mtu);
  if (bytes <= mtu) {
    ASSERT_EQ(pieces, std::vector<Bytes>{packet});
    return;
  }
  ASSERT_GE(pieces.size(), 2u);
  for (const Bytes& piece : pieces) EXPECT_LE(piece.size(), mtu);
  EXPECT_EQ(join(pieces), packet);
  const std::size_t header = family == Family::ipv4 ? 20 : 48;
  const std::size_t payload = bytes - (family == Family::ipv4 ? 20 : 40);
  const std::size_t step = (mtu - header) / 8 * 8;
  EXPECT_LE(pieces.size(), (payload + step - 1) / step + 1) << "no more than needed";
}

INSTANTIATE_TEST_SUITE_P(Sizes, Splitting,
                         testing::Combine(testing::Values(Family::ipv4, Family::ipv6),
                                          testing::Values(576u, 1280u, 1446u, 1500u, 9000u),
                                          testing::Values(577, 1279, 1280, 1281, 1501, 9001,
                                                          65535)));

TEST(SplittingOne, OptionsWithTheCopiedFlagGoIntoEveryFragment) {
  // Router alert (copied), timestamp (not), record route (not), then the end.
  const Bytes options = {0x94, 4, 0, 0, 0x44, 4, 5, 0, 7, 3, 4, 0};
  const Bytes packet = ip_packet("10.1.0.1", "10.2.0.1", kUdp, udp(3000), options);
  const auto pieces = split(packet, 600);
  ASSERT_GE(pieces.size(), 5u);
  EXPECT_EQ(pieces[0][0], 0x48);
  EXPECT_EQ(pieces[1][0], 0x46);
  EXPECT_EQ(Bytes(pieces[1].begin() + 20, pieces[1].begin() + 24), (Bytes{0x94, 4, 0, 0}));
  EXPECT_EQ(join(pieces), packet);
}

TEST(SplittingOne, AnIpv4FragmentIsSplitAgain) {
  const Bytes packet = packet_of(Family::ipv4, 4000);
  std::vector<Bytes> all;
  for (const Bytes& piece : split(packet, 1500))
    for (const Bytes& smaller : split(piece, 600)) all.push_back(smaller);
  EXPECT_EQ(join(all), packet);
}

TEST(SplittingOne, WhatCannotBeSplitIsRefused) {
  const Bytes packet = packet_of(Family::ipv6, 1500);
  EXPECT_TRUE(split(packet, 55).empty()) << "no room for eight bytes";
  EXPECT_FALSE(split(packet, 56).empty());
  const auto pieces = split(packet, 1280);
  ASSERT_EQ(pieces.size(), 2u);
  EXPECT_TRUE(split(pieces[0], 600).empty()) << "routers do not split IPv6";
  EXPECT_TRUE(split(Bytes(40, 0x45), 30).empty()) << "malformed";
  Splitter splitter;
  ASSERT_TRUE(splitter.start(packet, 1280, 1));
  Bytes small(1279);
  EXPECT_EQ(splitter.next(small), 0u) << "the buffer is smaller than the MTU";
}

TEST(SplittingOne, Ipv6ExtensionHeadersForTheWayAreRepeated) {
  Bytes payload = {kUdp, 0, 1, 4, 0, 0, 0, 0};  // hop-by-hop, PadN
  const Bytes data = udp(2000);
  payload.insert(payload.end(), data.begin(), data.end());
  const Bytes packet = ip_packet("fd00:1::1", "fd00:2::1", kHopByHop, payload);
  const auto pieces = split(packet, 1280);
  ASSERT_EQ(pieces.size(), 2u);
  for (const Bytes& piece : pieces) {
    EXPECT_EQ(piece[6], kHopByHop);
    EXPECT_EQ(piece[40], kFragment);
    EXPECT_EQ(piece[48], kUdp);
  }
}

// ---- before, after, or not at all

struct ChoiceCase {
  const char* what;
  Family inner;
  bool df;
  const char* outer;  // "4", "6" or "transport"
  DfBit df_bit;
  bool after;
  std::uint32_t flags;
  Outcome outcome;
  bool fragments_behind;
};

class Choice : public testing::TestWithParam<ChoiceCase> {};

TEST_P(Choice, D12_FollowsDfAndTheVariables) {
  const ChoiceCase& row = GetParam();
  SaSpec spec;
  spec.mode = Mode::tunnel;
  spec.encryption = "aes-cbc";
  spec.source = "192.0.2.1";
  spec.destination = "192.0.2.2";
  const bool ipv4 = row.inner == Family::ipv4;
  if (row.outer == std::string("6")) {
    spec.source = "2001:db8::1";
    spec.destination = "2001:db8::2";
  } else if (row.outer == std::string("transport")) {
    spec.mode = Mode::transport;
    spec.source = ipv4 ? "10.1.0.1" : "fd00:1::1";
    spec.destination = ipv4 ? "10.2.0.1" : "fd00:2::1";
  }
  SaConfig config = config_of(spec);
  config.flags = row.flags;
  Host host;
  host.settings.ipv4.df_bit = row.df_bit;
  host.settings.fragment_after = row.after;
  auto sa = host.add(std::move(config));
  const Bytes packet = packet_of(row.inner, 1490, row.df);
  Buffer buffer(packet);
  const OutboundItem item = host.protect(buffer, policy_for({spec}), 1500);
  EXPECT_EQ(item.outcome, row.outcome) << row.what;
  EXPECT_EQ(item.fragment_to, row.fragments_behind ? 1500u : 0u) << row.what;
  EXPECT_EQ(item.reason, row.outcome == Outcome::drop ? DropReason::too_big : DropReason::none);
  if (row.outcome != Outcome::pass) {
    EXPECT_EQ(buffer.bytes(), packet) << "untouched";
    EXPECT_EQ(sa->counters().sequence.get(), 0u) << "no number used";
  }
  EXPECT_EQ(refused(*sa, DropReason::too_big), row.outcome == Outcome::drop ? 1u : 0u);
}

constexpr auto k4 = Family::ipv4, k6 = Family::ipv6;
constexpr auto kClear = DfBit::clear, kSet = DfBit::set, kCopy = DfBit::copy;
constexpr auto kSplit = Outcome::split, kDrop = Outcome::drop, kPass = Outcome::pass;
INSTANTIATE_TEST_SUITE_P(
    Rows, Choice,
    testing::Values(
        ChoiceCase{"4in4, DF off, dfbit 0", k4, false, "4", kClear, false, 0, kSplit, false},
        ChoiceCase{"4in4, DF on, dfbit 0", k4, true, "4", kClear, false, 0, kDrop, false},
        ChoiceCase{"4in4, DF off, dfbit 1", k4, false, "4", kSet, false, 0, kSplit, false},
        ChoiceCase{"4in4, DF on, dfbit 1", k4, true, "4", kSet, false, 0, kDrop, false},
        ChoiceCase{"4in4, DF off, dfbit 2", k4, false, "4", kCopy, false, 0, kSplit, false},
        ChoiceCase{"4in4, DF on, dfbit 2", k4, true, "4", kCopy, false, 0, kDrop, false},
        ChoiceCase{"after, DF off, dfbit 0", k4, false, "4", kClear, true, 0, kPass, true},
        ChoiceCase{"after, DF on, dfbit 0", k4, true, "4", kClear, true, 0, kDrop, false},
        ChoiceCase{"after, DF off, dfbit 1", k4, false, "4", kSet, true, 0, kSplit, false},
        ChoiceCase{"after, DF on, dfbit 1", k4, true, "4", kSet, true, 0, kDrop, false},
        ChoiceCase{"after, DF off, dfbit 2", k4, false, "4", kCopy, true, 0, kPass, true},
        ChoiceCase{"after, dfbit 1, NOPMTUDISC", k4, false, "4", kSet, true, kFlagNoPathMtu, kPass,
                   true},
        ChoiceCase{"4in6", k4, false, "6", kClear, false, 0, kSplit, false},
        ChoiceCase{"4in6, after", k4, false, "6", kSet, true, 0, kPass, true},
        ChoiceCase{"6in4", k6, false, "4", kClear, false, 0, kDrop, false},
        ChoiceCase{"6in4, after", k6, false, "4", kClear, true, 0, kDrop, false},
        ChoiceCase{"6in6", k6, false, "6", kClear, true, 0, kDrop, false},
        ChoiceCase{"transport 4, DF off", k4, false, "transport", kClear, false, 0, kPass, true},
        ChoiceCase{"transport 4, dfbit 1 is no matter", k4, false, "transport", kSet, false, 0,
                   kPass, true},
        ChoiceCase{"transport 4, DF on", k4, true, "transport", kClear, true, 0, kDrop, false},
        ChoiceCase{"transport 6", k6, false, "transport", kClear, true, 0, kDrop, false}));

TEST(ChoiceOne, Ipv6SendersAreOwed1280Bytes) {
  SaSpec spec;
  spec.mode = Mode::tunnel;
  spec.source = "2001:db8::1";
  spec.destination = "2001:db8::2";
  Host host;
  host.add(spec);
  Buffer owed(packet_of(Family::ipv6, 1280));
  const OutboundItem item = host.protect(owed, policy_for({spec}), 1280);
  EXPECT_EQ(item.outcome, Outcome::pass);
  EXPECT_EQ(item.fragment_to, 1280u);
  Buffer more(packet_of(Family::ipv6, 1281));
  EXPECT_EQ(host.protect(more, policy_for({spec}), 1280).reason, DropReason::too_big);
}

TEST(ChoiceOne, WhatCameInFragmentsMayBeSplit) {
  SaSpec spec;
  spec.mode = Mode::tunnel;
  spec.source = "2001:db8::1";
  spec.destination = "2001:db8::2";
  Host host;
  host.add(spec);
  Buffer buffer(packet_of(Family::ipv6, 3000));
  OutboundItem item;
  const Policy policy = policy_for({spec});
  item.packet = &buffer.packet();
  item.policy = &policy;
  item.mtu = 1500;
  item.may_split = true;
  host.processor.outbound(*host.sad.view().acquire(), {&item, 1});
  EXPECT_EQ(item.outcome, Outcome::split);
  EXPECT_GT(item.fitting_mtu, 1400u);
}

TEST(ChoiceOne, NestedTunnelsAskTheOutermostForItsDf) {
  SaSpec inner, outer;
  inner.mode = outer.mode = Mode::tunnel;
  inner.source = "192.0.2.1";
  inner.destination = "192.0.2.2";
  outer.source = "2001:db8::1";
  outer.destination = "2001:db8::2";
  outer.spi = 0x2000;
  Host host;
  host.settings.ipv4.df_bit = DfBit::set;
  host.settings.fragment_after = true;
  host.add(inner);
  host.add(outer);
  Buffer buffer(packet_of(Family::ipv4, 1490));
  const OutboundItem item = host.protect(buffer, policy_for({inner, outer}), 1500);
  EXPECT_EQ(item.outcome, Outcome::pass);
  EXPECT_EQ(item.fragment_to, 1500u);
}

}  // namespace saline::test
