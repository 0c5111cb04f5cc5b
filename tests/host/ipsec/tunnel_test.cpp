// Outer headers, ECN, DF and sizes in tunnel mode.
#include "host/ipsec/tunnel.hpp"

#include <gtest/gtest.h>

#include "host/base/bytes.hpp"
#include "tests/host/ipsec/bed.hpp"
#include "tests/host/vectors.hpp"

namespace saline::test {

using namespace saline::ipsec;
using hw::DropReason;

namespace {

SaSpec tunnel(const char* source, const char* destination) {
  SaSpec spec;
  spec.mode = Mode::tunnel;
  spec.encryption = "null";
  spec.source = source;
  spec.destination = destination;
  return spec;
}
const SaSpec kOver4 = tunnel("192.0.2.1", "192.0.2.2");
const SaSpec kOver6 = tunnel("2001:db8::1", "2001:db8::2");
const Bytes kInner4 = ip_packet("10.1.0.1", "10.2.0.1", kUdp, udp(32));
const Bytes kInner6 = ip_packet("fd00:1::1", "fd00:2::1", kUdp, udp(32));

Bytes with_class(Bytes packet, std::uint8_t value) {
  if (packet[0] >> 4 == 4) {
    packet[1] = value;
    base::store16(&packet[10], ipv4_header_checksum(std::span(packet).first(20)));
  } else {
    base::store16(&packet[0], static_cast<std::uint16_t>(0x6000 | value << 4));
  }
  return packet;
}

Bytes protect(const SaSpec& spec, const Bytes& inner, const Settings& settings) {
  Host host;
  host.settings = settings;
  host.add(spec);
  Buffer buffer(inner);
  EXPECT_EQ(host.protect(buffer, policy_for({spec})).outcome, Outcome::pass);
  return buffer.bytes();
}

}  // namespace

TEST(Ecn, FollowsTheTablesOfRfc3168AndRfc6040) {
  SALINE_NEEDS_VECTORS("own/ecn_tunnel.json");
  const JsonFile file(vectors_path("own/ecn_tunnel.json"));
  const Json entry = file.root()["encap_outer_by_inner"];
  const Json exit = file.root()["decap_result_by_inner_then_outer"];
  struct Row {
    Ecn mode;
    const char* on_entry;
    const char* on_exit;
  };
  constexpr Row kRows[] = {{Ecn::forbidden, "kame_ecn_0_limited", nullptr},
                           {Ecn::friendly, "kame_ecn_1_rfc3168_full", "kame_ecn_1_rfc3168_full"},
                           {Ecn::rfc6040, "rfc6040_normal", "rfc6040"}};
  // The table's rows and columns are in the order of its `codepoints`: 0, 1, 2, 3.
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.on_entry);
    for (std::uint8_t inner = 0; inner < 4; ++inner) {
      EXPECT_EQ(outer_ecn(row.mode, inner), entry[row.on_entry][inner].number());
      for (std::uint8_t outer = 0; outer < 4; ++outer) {
        std::uint8_t result = 9;
        const bool passed = inner_ecn(row.mode, inner, outer, result);
        if (row.on_exit == nullptr) {
          EXPECT_TRUE(passed);
          EXPECT_EQ(result, inner);
          continue;
        }
        const Json expected = exit[row.on_exit][inner][outer];
        EXPECT_EQ(passed, !expected.is_text()) << int{inner} << int{outer};
        if (passed) {
          EXPECT_EQ(result, expected.number()) << int{inner} << int{outer};
        }
      }
    }
  }
}

TEST(Ecn, MarksGoThroughWholePacketsOfAllFamilies) {
  Settings settings;
  settings.ipv4.ecn = settings.ipv6.ecn = Ecn::rfc6040;
  for (const SaSpec& spec : {kOver4, kOver6}) {
    for (const Bytes& inner : {kInner4, kInner6}) {
      Bytes wire = protect(spec, with_class(inner, 0xB8 | 2), settings);
      EXPECT_EQ(traffic_class(wire.data()), 0xB8 | 2);
      set_ecn(wire.data(), 3);
      Host host;
      host.settings = settings;
      host.add(spec);
      Buffer buffer(wire);
      ASSERT_EQ(host.open(buffer).reason, DropReason::none);
      EXPECT_EQ(buffer.bytes(), with_class(inner, 0xB8 | 3));
    }
  }
}

TEST(Ecn, D11CongestionOnAPacketThatCannotCarryItIsDropped) {
  Settings settings;
  settings.ipv4.ecn = Ecn::rfc6040;
  Bytes wire = protect(kOver4, kInner4, settings);
  set_ecn(wire.data(), 3);
  Host host;
  host.settings = settings;
  auto sa = host.add(kOver4);
  Buffer buffer(wire);
  EXPECT_EQ(host.open(buffer).reason, DropReason::ecn);
  EXPECT_EQ(refused(*sa, DropReason::ecn), 1u);
  host.settings.ipv4.ecn = Ecn::forbidden;
  sa->window().restart(0);
  Buffer again(wire);
  EXPECT_EQ(host.open(again).reason, DropReason::none);
  EXPECT_EQ(again.bytes(), kInner4);
}

TEST(OuterHeader, IsBuiltByTheTableOfRfc4301) {
  const Bytes wire = protect(kOver4, with_class(kInner4, 0x28), Settings{});
  ASSERT_GE(wire.size(), 20u);
  EXPECT_EQ(wire[0], 0x45);
  EXPECT_EQ(wire[1], 0x28) << "DSCP copied, ECN 0";
  EXPECT_EQ(base::load16(&wire[2]), wire.size());
  EXPECT_EQ(base::load16(&wire[6]), 0) << "DF clear, no fragment";
  EXPECT_EQ(wire[8], 64);
  EXPECT_EQ(wire[9], kEsp);
  EXPECT_EQ(base::load16(&wire[10]), ipv4_header_checksum(std::span(wire).first(20)));
  EXPECT_EQ(base::to_hex(std::span(wire).subspan(12, 8)), "c0000201c0000202");

  const Bytes wire6 = protect(kOver6, with_class(kInner4, 0x28), Settings{});
  EXPECT_EQ(base::load32(wire6.data()), 0x62800000u) << "class copied, flow label 0";
  EXPECT_EQ(base::load16(&wire6[4]), wire6.size() - 40);
  EXPECT_EQ(wire6[6], kEsp);
  EXPECT_EQ(wire6[7], 64);
}

TEST(OuterHeader, InnerPacketIsNotTouchedNotEvenItsTtl) {
  const Bytes wire = protect(kOver4, kInner4, Settings{});
  const Bytes inner(wire.begin() + 28, wire.begin() + 28 + static_cast<int>(kInner4.size()));
  EXPECT_EQ(inner, kInner4);
}

TEST(OuterHeader, DfBitFollowsTheVariable) {
  Bytes df = kInner4;
  df[6] = 0x40;
  base::store16(&df[10], ipv4_header_checksum(std::span(df).first(20)));
  Settings settings;
  const auto outer_df = [&](DfBit mode, const Bytes& inner) {
    settings.ipv4.df_bit = mode;
    return (protect(kOver4, inner, settings)[6] & 0x40) != 0;
  };
  EXPECT_FALSE(outer_df(DfBit::clear, df));
  EXPECT_FALSE(outer_df(DfBit::clear, kInner4));
  EXPECT_TRUE(outer_df(DfBit::set, df));
  EXPECT_TRUE(outer_df(DfBit::set, kInner4));
  EXPECT_TRUE(outer_df(DfBit::copy, df));
  EXPECT_FALSE(outer_df(DfBit::copy, kInner4));
  EXPECT_FALSE(outer_df(DfBit::copy, kInner6));
}

struct ClassCase {
  const char* outer;
  bool ipv6_inner;
  int tunnel_dscp;  // -1: copy
  Ecn ecn;
  std::uint32_t flags;
  std::uint8_t inner;
  std::uint8_t expected;
};
class OuterClass : public testing::TestWithParam<ClassCase> {};

TEST_P(OuterClass, D10_CarriesWhatIsConfiguredAndNothingElse) {
  const ClassCase& row = GetParam();
  SaSpec spec = row.outer == std::string("4") ? kOver4 : kOver6;
  Host host;
  host.settings.copy_dscp = row.tunnel_dscp < 0;
  host.settings.tunnel_dscp = static_cast<std::uint8_t>(std::max(row.tunnel_dscp, 0));
  host.settings.ipv4.ecn = host.settings.ipv6.ecn = row.ecn;
  SaConfig config = config_of(spec);
  config.flags = row.flags;
  host.add(std::move(config));
  Buffer buffer(with_class(row.ipv6_inner ? kInner6 : kInner4, row.inner));
  ASSERT_EQ(host.protect(buffer, policy_for({spec})).outcome, Outcome::pass);
  EXPECT_EQ(traffic_class(buffer.bytes().data()), row.expected);
}

constexpr auto kForbidden = Ecn::forbidden, kFriendly = Ecn::friendly, kNormal = Ecn::rfc6040;
INSTANTIATE_TEST_SUITE_P(Rows, OuterClass,
                         testing::Values(ClassCase{"4", false, -1, kForbidden, 0, 0xB9, 0xB8},
                                         ClassCase{"4", true, -1, kForbidden, 0, 0xB9, 0xB8},
                                         ClassCase{"6", false, -1, kForbidden, 0, 0xB9, 0xB8},
                                         ClassCase{"6", true, -1, kForbidden, 0, 0xB9, 0xB8},
                                         ClassCase{"4", false, 0, kForbidden, 0, 0xB9, 0x00},
                                         ClassCase{"6", true, 0, kForbidden, 0, 0xB9, 0x00},
                                         ClassCase{"4", false, 46, kForbidden, 0, 0x29, 0xB8},
                                         ClassCase{"6", false, 46, kNormal, 0, 0x29, 0xB9},
                                         ClassCase{"4", false, -1, kNormal, 0, 0xB9, 0xB9},
                                         ClassCase{"4", false, -1, kNormal, 0, 0xBB, 0xBB},
                                         ClassCase{"4", false, -1, kFriendly, 0, 0xBB, 0xBA},
                                         ClassCase{"6", true, -1, kFriendly, 0, 0xBB, 0xBA},
                                         ClassCase{"4", false, -1, kNormal, kFlagNoEcn, 0xBB, 0xB8},
                                         ClassCase{"6", true, -1, kNormal, kFlagNoEcn, 0xB9, 0xB8},
                                         ClassCase{"4", false, -1, kNormal, kFlagDecapDscp, 0xB9,
                                                   0xB9}));

TEST(SaFlags, NoEcnLeavesMarksOutside) {
  Settings settings;
  settings.ipv4.ecn = Ecn::rfc6040;
  Bytes wire = protect(kOver4, with_class(kInner4, 2), settings);
  set_ecn(wire.data(), 3);
  Host host;
  host.settings = settings;
  SaConfig config = config_of(kOver4);
  config.flags = kFlagNoEcn;
  host.add(std::move(config));
  Buffer buffer(wire);
  ASSERT_EQ(host.open(buffer).reason, DropReason::none);
  EXPECT_EQ(buffer.bytes(), with_class(kInner4, 2));
}

TEST(SaFlags, DecapDscpTakesTheOuterDscpInside) {
  for (const Bytes& inner : {kInner4, kInner6}) {
    for (const bool wanted : {false, true}) {
      Bytes wire = protect(kOver4, with_class(inner, 0x28 | 2), Settings{});
      set_traffic_class(wire.data(), 0xB8);
      Host host;
      SaConfig config = config_of(kOver4);
      config.flags = wanted ? kFlagDecapDscp : 0;
      host.add(std::move(config));
      Buffer buffer(wire);
      ASSERT_EQ(host.open(buffer).reason, DropReason::none);
      EXPECT_EQ(buffer.bytes(), with_class(inner, wanted ? 0xB8 | 2 : 0x28 | 2));
    }
  }
}

TEST(SaFlags, NoPmtuDiscoveryClearsTheOuterDfWhateverTheVariable) {
  Bytes df = kInner4;
  df[6] = 0x40;
  base::store16(&df[10], ipv4_header_checksum(std::span(df).first(20)));
  for (const DfBit mode : {DfBit::clear, DfBit::set, DfBit::copy}) {
    Host host;
    host.settings.ipv4.df_bit = mode;
    SaConfig config = config_of(kOver4);
    config.flags = kFlagNoPathMtu;
    host.add(std::move(config));
    Buffer buffer(df);
    host.protect(buffer, policy_for({kOver4}));
    EXPECT_EQ(buffer.bytes()[6], 0);
  }
}

TEST(OuterHeader, TtlIsFixedOrAsInner) {
  Bytes inner4 = kInner4, inner6 = kInner6;
  inner4[8] = 17;
  base::store16(&inner4[10], ipv4_header_checksum(std::span(inner4).first(20)));
  inner6[7] = 18;
  for (const int ttl : {0, 1, 64, 255}) {
    Settings settings;
    settings.tunnel_hop_limit = static_cast<std::uint8_t>(ttl);
    EXPECT_EQ(protect(kOver4, inner4, settings)[8], ttl != 0 ? ttl : 17);
    EXPECT_EQ(protect(kOver4, inner6, settings)[8], ttl != 0 ? ttl : 18);
    EXPECT_EQ(protect(kOver6, inner4, settings)[7], ttl != 0 ? ttl : 17);
    EXPECT_EQ(protect(kOver6, inner6, settings)[7], ttl != 0 ? ttl : 18);
  }
}

TEST(OuterHeader, D10_FlowLabelIsZeroUnlessCopied) {
  Bytes inner = kInner6;
  base::store32(inner.data(), 0x6B8ABCDE);
  Settings settings;
  EXPECT_EQ(base::load32(protect(kOver6, inner, settings).data()), 0x6B800000u);
  settings.copy_flow_label = true;
  EXPECT_EQ(base::load32(protect(kOver6, inner, settings).data()), 0x6B8ABCDEu);
  EXPECT_EQ(base::load32(protect(kOver6, kInner4, settings).data()) & 0xFFFFF, 0u);
}

TEST(OuterHeader, DscpCanBeKeptInside) {
  Settings settings;
  settings.copy_dscp = false;
  EXPECT_EQ(protect(kOver4, with_class(kInner4, 0xB8), settings)[1], 0);
}

TEST(OuterHeader, IdentificationChanges) {
  Host host;
  host.add(kOver4);
  std::uint16_t last = 0;
  for (int i = 0; i < 3; ++i) {
    Buffer buffer(kInner4);
    host.protect(buffer, policy_for({kOver4}));
    const std::uint16_t id = base::load16(buffer.bytes().data() + 4);
    if (i > 0) {
      EXPECT_EQ(id, static_cast<std::uint16_t>(last + 1));
    }
    last = id;
  }
}

TEST(TunnelExit, D3OuterSourceMustBeThePeer) {
  Bytes wire = protect(kOver4, kInner4, Settings{});
  wire[15] ^= 7;
  Host host;
  host.add(kOver4);
  Buffer buffer(wire);
  EXPECT_EQ(host.open(buffer).reason, DropReason::policy);
  host.settings.verify_tunnel_source = false;
  Buffer again(wire);
  EXPECT_EQ(host.open(again).reason, DropReason::replay) << "the number was used: the ICV was good";
}

TEST(TunnelMtu, TooBigSaysWhatFitsAndThatIsExact) {
  for (const char* cipher : {"null", "aes-cbc", "aes-gcm-16"}) {
    for (const SaSpec& base_spec : {kOver4, kOver6}) {
      SaSpec spec = base_spec;
      spec.encryption = cipher;
      if (spec.encryption == "aes-gcm-16") spec.integrity = "";
      for (std::uint32_t mtu : {576u, 1280u, 1400u, 1500u}) {
        SCOPED_TRACE(std::string(cipher) + " mtu " + std::to_string(mtu));
        Host host;
        auto sa = host.add(spec);
        Buffer big(ip_packet("10.1.0.1", "10.2.0.1", kUdp, udp(1490)));
        const OutboundItem item = host.protect(big, policy_for({spec}), mtu);
        ASSERT_EQ(item.outcome, Outcome::split);
        EXPECT_EQ(sa->counters().sequence.get(), 0u) << "a number was used up";
        Buffer fits(ip_packet("10.1.0.1", "10.2.0.1", kUdp, udp(item.fitting_mtu - 28)));
        ASSERT_EQ(host.protect(fits, policy_for({spec}), mtu).reason, DropReason::none);
        EXPECT_LE(fits.packet().length, mtu);
        Buffer more(ip_packet("10.1.0.1", "10.2.0.1", kUdp, udp(item.fitting_mtu - 27)));
        EXPECT_EQ(host.protect(more, policy_for({spec}), mtu).outcome, Outcome::split);
      }
    }
  }
}

TEST(TunnelRoom, NoRoomInTheBufferIsNoBufferAndUsesNoNumber) {
  Host host;
  auto sa = host.add(kOver4);
  Buffer no_head(kInner4, 4, 512);
  EXPECT_EQ(host.protect(no_head, policy_for({kOver4})).reason, DropReason::no_buffer);
  EXPECT_EQ(no_head.bytes(), kInner4);
  Buffer no_tail(kInner4, 256, 4);
  EXPECT_EQ(host.protect(no_tail, policy_for({kOver4})).reason, DropReason::no_buffer);
  EXPECT_EQ(no_tail.bytes(), kInner4);
  EXPECT_EQ(sa->counters().sequence.get(), 0u);
}

}  // namespace saline::test
