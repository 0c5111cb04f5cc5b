// What ipsec_engine decides about outbound frames: policy table, SA checks, sizes; and how inbound
// lookup chooses between entries.
#include "tests/hw/rtl/engine_bench.hpp"

namespace {

using namespace saline::hw;
using namespace saline::hw::bench;

class Egress : public Engine {
 protected:
  static constexpr TxDescriptor kClassify{.classify = true};

  // What came out for one frame; empty: dropped.
  Bytes one(const Bytes& frame, const TxDescriptor& how) {
    engine.transmit(frame, how);
    engine.run();
    const auto sent = engine.sent();
    EXPECT_LE(sent.size(), 1U);
    return sent.empty() ? Bytes{} : sent[0];
  }
  void expect_refused(const Bytes& frame, const TxDescriptor& how, DropReason reason) {
    const uint64_t before = engine.refused(CountBank::egress_reasons, reason);
    EXPECT_EQ(one(frame, how), Bytes{});
    EXPECT_EQ(engine.refused(CountBank::egress_reasons, reason), before + 1) << name_of(reason);
  }
  static std::string name_of(DropReason reason) {
    return "reason " + std::to_string(static_cast<int>(reason));
  }
  TxDescriptor by(uint16_t index, const SaContext& sa) const {
    return {.protect = true, .sa_index = index, .sa_tag = sa.sa_tag};
  }
  static PolicyEntry any(PolicyAction action, bool ipv6 = false) {
    PolicyEntry entry;
    entry.valid = entry.any_protocol = entry.any_port = true;
    entry.ipv6 = ipv6;
    entry.action = static_cast<uint8_t>(action);
    return entry;
  }
};

TEST_F(Egress, RefusesWhatAnSaCannotCarry) {
  const SaContext tunnel = make_sa(random, true, true, false, false);
  const SaContext transport = make_sa(random, false, false, false, false);
  engine.install(Table::egress_sa, 0, tunnel);
  engine.install(Table::egress_sa, 1, transport);

  Bytes arp = random.bytes(60);
  put16(arp, 12, 0x0806);
  expect_refused(arp, by(0, tunnel), DropReason::malformed);
  Bytes lying = make_frame(random, FrameForm{});
  put16(lying, 16, 85);
  expect_refused(lying, by(0, tunnel), DropReason::malformed);
  expect_refused(lying, by(1, transport), DropReason::malformed);

  FrameForm fragment;
  fragment.fragment = true;
  expect_refused(make_frame(random, fragment), by(1, transport), DropReason::fragment);
  fragment.ipv6 = true;
  expect_refused(make_frame(random, fragment), by(1, transport), DropReason::fragment);
  EXPECT_NE(one(make_frame(random, fragment), by(0, tunnel)), Bytes{});

  FrameForm large;
  large.payload = 16384 - 34 - 90;  // 40 + 16 + 2 to 5 + 16 more; 34 of headers
  for (size_t payload = 16384 - 34 - 80; payload < 16384 - 34 - 70; payload++) {
    large.payload = payload;
    const Bytes frame = make_frame(random, large);
    const Bytes secret =
        protect(frame, tunnel, engine.sa_counters(CountBank::egress_sa, 0).sequence_number + 1);
    if (secret.size() > 16384) {
      expect_refused(frame, by(0, tunnel), DropReason::too_big);
    } else {
      EXPECT_EQ(one(frame, by(0, tunnel)), secret);
    }
  }
  const SaCounters counters = engine.sa_counters(CountBank::egress_sa, 1);
  EXPECT_EQ(counters.other, 3U);
  EXPECT_EQ(counters.sequence_number, 0U);
}

TEST_F(Egress, RefusesStaleAndEmptySlots) {
  SaContext sa = make_sa(random, true, false, false, false);
  const Bytes frame = make_frame(random, FrameForm{});
  expect_refused(frame, by(3, sa), DropReason::stale_sa);
  engine.install(Table::egress_sa, 3, sa);
  TxDescriptor how = by(3, sa);
  how.sa_tag = static_cast<uint16_t>(how.sa_tag + 1);
  expect_refused(frame, how, DropReason::stale_sa);
  how = by(3 + 256, sa);
  expect_refused(frame, how, DropReason::stale_sa);
  EXPECT_EQ(one(frame, by(3, sa)), protect(frame, sa, 1));
  sa.suite = 0;
  engine.install(Table::egress_sa, 3, sa);
  expect_refused(frame, by(3, sa), DropReason::unsupported);
  engine.remove(Table::egress_sa, 3);
  expect_refused(frame, by(3, sa), DropReason::stale_sa);
}

TEST_F(Egress, EmptyPayloadsGoRoundInTransportMode) {
  for (bool ipv6 : {false, true}) {
    for (bool vlan : {false, true}) {
      const SaContext sa = make_sa(random, false, ipv6, true, true);
      engine.install(Table::egress_sa, 0, sa);
      engine.hold(0, sa, {});
      FrameForm form;
      form.ipv6 = ipv6;
      form.vlan = vlan;
      form.payload = 0;
      form.protocol = ipv6 ? 59 : 17;
      if (ipv6) form.protocol = 17;
      const Bytes frame = make_frame(random, form);
      const Bytes secret = one(frame, by(0, sa));
      EXPECT_EQ(secret, protect(frame, sa, 1));
      engine.receive(secret);
      engine.run();
      const auto delivered = engine.delivered();
      ASSERT_EQ(delivered.size(), 1U);
      EXPECT_EQ(delivered[0].completion.reason, 0);
      EXPECT_EQ(delivered[0].frame, frame);
      engine.unlink(sa.spi);
    }
  }
}

TEST_F(Egress, GoesRoundThroughEveryMix) {
  engine.stall(15);
  for (unsigned mix = 0; mix < 16; mix++) {
    SaContext sa = make_sa(random, (mix & 1) != 0, (mix & 2) != 0, (mix & 4) != 0, (mix & 8) != 0);
    sa.replay_words = 2;
    engine.install(Table::egress_sa, 200, sa);
    engine.hold(201, sa, {});
    std::vector<Bytes> frames;
    for (int i = 0; i < 12; i++) {
      frames.push_back(without_padding(carried_frame(random, sa, 9000)));
      engine.transmit(frames.back(), 200, sa);
    }
    engine.run();
    for (const Bytes& secret : engine.sent()) engine.receive(secret);
    engine.run();
    const auto delivered = engine.delivered();
    ASSERT_EQ(delivered.size(), frames.size());
    for (size_t i = 0; i < frames.size(); i++) ASSERT_EQ(delivered[i].frame, frames[i]);
    engine.unlink(sa.spi);
  }
}

TEST_F(Egress, TheLowestMatchingPolicyWins) {
  const SaContext sa = make_sa(random, true, false, false, false);
  engine.install(Table::egress_sa, 12, sa);
  FrameForm form;
  form.source = {10, 1, 2, 3};
  form.destination = {10, 9, 8, 7};
  const Bytes frame = make_frame(random, form);
  uint64_t number = 0;
  EXPECT_EQ(one(frame, kClassify), frame);
  // From the last entry to the first: each new one goes before the others.
  for (uint16_t index : std::array<uint16_t, 10>{63, 62, 40, 17, 16, 9, 8, 7, 1, 0}) {
    const auto action = static_cast<PolicyAction>(random.between(0, 2));
    PolicyEntry entry = any(action);
    entry.sa_index = 12;
    if (random.percent(50)) {
      entry.source = {10, 1};
      entry.source_mask = {255, 255};
    }
    engine.write(index, entry);
    if (action == PolicyAction::bypass) {
      EXPECT_EQ(one(frame, kClassify), frame) << index;
    } else if (action == PolicyAction::discard) {
      expect_refused(frame, kClassify, DropReason::policy);
    } else {
      EXPECT_EQ(one(frame, kClassify), protect(frame, sa, ++number)) << index;
    }
  }
  engine.remove(Table::egress_sa, 12);
  engine.write(0, [] {
    PolicyEntry entry = any(PolicyAction::protect);
    entry.sa_index = 12;
    return entry;
  }());
  expect_refused(frame, kClassify, DropReason::no_sa);
}

TEST_F(Egress, PoliciesSelectByEveryField) {
  FrameForm form;
  form.source = {10, 1, 2, 3};
  form.destination = {10, 9, 8, 7};
  form.protocol = 6;
  Bytes frame = make_frame(random, form);
  put16(frame, 34, 4000);
  put16(frame, 36, 443);
  PolicyEntry exact = any(PolicyAction::discard);
  exact.any_protocol = exact.any_port = false;
  exact.protocol = 6;
  exact.source = {10, 1, 2, 3};
  exact.source_mask = {255, 255, 255, 255};
  exact.destination = {10, 9, 8, 6};
  exact.destination_mask = {255, 255, 255, 254};
  exact.source_port_min = exact.source_port_max = 4000;
  exact.destination_port_min = 440;
  exact.destination_port_max = 443;
  const auto matches = [&](const PolicyEntry& entry) {
    engine.write(20, entry);
    return one(frame, kClassify).empty();
  };
  EXPECT_TRUE(matches(exact));
  const auto differs = [&](auto change) {
    PolicyEntry entry = exact;
    change(entry);
    return !matches(entry);
  };
  EXPECT_TRUE(differs([](PolicyEntry& e) { e.valid = false; }));
  EXPECT_TRUE(differs([](PolicyEntry& e) { e.ipv6 = true; }));
  EXPECT_TRUE(differs([](PolicyEntry& e) { e.protocol = 17; }));
  EXPECT_TRUE(differs([](PolicyEntry& e) { e.source[3] = 2; }));
  EXPECT_TRUE(differs([](PolicyEntry& e) { e.destination[0] = 11; }));
  EXPECT_TRUE(differs([](PolicyEntry& e) { e.source_port_min = 4001; }));
  EXPECT_TRUE(differs([](PolicyEntry& e) { e.source_port_max = 3999; }));
  EXPECT_TRUE(differs([](PolicyEntry& e) { e.destination_port_min = 444; }));
  EXPECT_TRUE(differs([](PolicyEntry& e) { e.destination_port_max = 442; }));
  put16(frame, 20, 0x2000);  // a fragment has no ports
  EXPECT_FALSE(matches(exact));
  exact.any_port = true;
  EXPECT_FALSE(matches(exact)) << "nor a protocol (RFC 4301 §7)";
  exact.any_protocol = true;
  EXPECT_TRUE(matches(exact));
}

TEST_F(Egress, WhatNoPolicySpeaksOf) {
  const Bytes frame = make_frame(random, FrameForm{});
  Bytes arp = random.bytes(60);
  put16(arp, 12, 0x0806);
  EXPECT_EQ(one(frame, kClassify), frame);
  engine.model.policy_default_discard_i = 1;
  expect_refused(frame, kClassify, DropReason::policy);
  EXPECT_EQ(one(arp, kClassify), arp);
  EXPECT_EQ(one(frame, {}), frame) << "nobody asked the table";
  Bytes lying = frame;
  put16(lying, 16, 85);
  expect_refused(lying, kClassify, DropReason::malformed);
  FrameForm form;
  form.ipv6 = form.routing = true;
  Bytes routed = make_frame(random, form);
  routed[14 + 40 + 3] = 2;  // segments left: its destination is not the one in the header
  expect_refused(routed, kClassify, DropReason::unsupported);
  form = {};
  form.ipv6 = true;
  form.payload = 2200;
  form.protocol = 60;
  Bytes longest = make_frame(random, form);  // its upper header lies outside the head window
  longest[54] = 6;
  longest[55] = 255;
  expect_refused(longest, kClassify, DropReason::unsupported);
}

TEST_F(Egress, AnActionThatDoesNotExistDiscards) {
  engine.write(7, any(static_cast<PolicyAction>(3)));
  expect_refused(make_frame(random, FrameForm{}), kClassify, DropReason::policy);
}

TEST_F(Egress, TurnedOffTakesNothingAndForgetsTheMac) {
  const Bytes frame = make_frame(random, FrameForm{});
  engine.model.enable_i = 0;
  engine.transmit(frame);
  engine.receive(frame);
  for (int i = 0; i < 100; i++) engine.tick();
  EXPECT_TRUE(engine.sent().empty());
  EXPECT_TRUE(engine.delivered().empty());
  engine.model.enable_i = 1;
  engine.receive(frame);
  engine.run();
  EXPECT_EQ(engine.sent().size(), 1U);
  EXPECT_EQ(engine.delivered().size(), 1U);
}

TEST_F(Egress, InboundLookupPrefersTheExactDestination) {
  SaContext loose = make_sa(random, true, false, false, false);
  SaContext exact = make_sa(random, true, false, false, false);
  SaContext sixth = make_sa(random, true, true, false, false);
  exact.spi = sixth.spi = loose.spi;
  engine.hold(1, loose, {}, 0);
  engine.hold(2, exact, {exact.destination.data(), 4}, 3);
  engine.hold(3, sixth, sixth.destination, 2);
  const Bytes frame = make_frame(random, FrameForm{});
  for (const SaContext* sa : {&loose, &exact, &sixth}) engine.receive(protect(frame, *sa, 1));
  engine.run();
  auto delivered = engine.delivered();
  ASSERT_EQ(delivered.size(), 3U);
  for (uint16_t i = 0; i < 3; i++) {
    EXPECT_EQ(delivered[i].completion.sa_index, i + 1);
    EXPECT_EQ(delivered[i].completion.reason, 0);
  }
  engine.unlink(loose.spi, 0);
  engine.receive(protect(frame, loose, 2));
  engine.run();
  delivered = engine.delivered();
  ASSERT_EQ(delivered.size(), 1U);
  EXPECT_TRUE(delivered[0].completion.esp) << "the right SPI to another destination";
}

}  // namespace
