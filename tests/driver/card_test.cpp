// The device layer and a whole card together: what goes out of the rings comes back through the
// looped MAC, protected, recovered, refused or counted. The same program runs over the in-process
// model and over libxrt (ctest driver.xrt_emulation).
#include <random>

#include "host/crypto/provider.hpp"
#include "tests/driver/card_fixture.hpp"

namespace saline::driver {
namespace {

using base::Family;
using hw::DropReason;

TEST_F(CardTest, SaysWhatItCanDo) {
  const Capabilities& caps = device().capabilities();
  EXPECT_GE(caps.sa_slots, 256u);
  EXPECT_TRUE(caps.has(hw::Suite::aes_gcm_128_16));
  EXPECT_TRUE(caps.has(hw::Suite::aes_gcm_256_16));
  EXPECT_GE(caps.window, 64u);
  EXPECT_NE(device().description(), "");
}

TEST_F(CardTest, PassesPlainFramesUnchangedOverManyWraps) {
  std::vector<Bytes> frames;
  for (std::size_t i = 0; i < 70; ++i) {
    frames.push_back(udp_frame(i % 2 != 0 ? Family::ipv4 : Family::ipv6, 20 + i * 13,
                               static_cast<std::uint8_t>(i)));
  }
  std::size_t bytes = 0;
  for (const Bytes& frame : frames) {
    send({plain(frame)});
    const auto back = next();
    ASSERT_TRUE(back);
    EXPECT_EQ(back->bytes, frame);
    EXPECT_FALSE(back->frame.is_protected);
    EXPECT_FALSE(back->frame.esp);
    EXPECT_EQ(back->frame.reason, DropReason::none);
    bytes += frame.size();
  }
  EXPECT_EQ(device().port_count(hw::PortCount::tx_packets), frames.size());
  EXPECT_EQ(device().port_count(hw::PortCount::tx_bytes), bytes);
  EXPECT_EQ(device().port_count(hw::PortCount::rx_packets), frames.size());
  EXPECT_EQ(device().port_count(hw::PortCount::rx_bytes), bytes);
}

TEST_F(CardTest, RecoversWhatItProtected) {
  const SaSlot out = device().add_egress_sa(context(0x1001));
  const SaSlot in = device().add_ingress_sa(context(0x1001), outer_destination(Family::ipv4));
  for (std::uint64_t i = 1; i <= 5; ++i) {
    const Bytes frame = udp_frame(Family::ipv4, 10 + 300 * i, static_cast<std::uint8_t>(i));
    send({through(out, frame)});
    const auto back = next();
    ASSERT_TRUE(back);
    EXPECT_EQ(back->frame.reason, DropReason::none);
    EXPECT_TRUE(back->frame.is_protected);
    EXPECT_TRUE(back->frame.tunnel);
    EXPECT_EQ(back->frame.sa_index, in.index);
    EXPECT_EQ(back->frame.sa_tag, in.tag);
    EXPECT_EQ(back->frame.spi, 0x1001u);
    EXPECT_EQ(back->frame.sequence_number, i);
    EXPECT_EQ(back->bytes, frame);
  }
  EXPECT_EQ(device().sa_counters(out).packets, 5u);
  EXPECT_EQ(device().sa_counters(out).sequence_number, 5u);
  EXPECT_EQ(device().sa_counters(in).packets, 5u);
  EXPECT_EQ(device().sa_counters(in).sequence_number, 5u);
}

TEST_F(CardTest, SendsEspThatLibcryptoCanOpen) {
  const hw::SaContext sa = context(0x1002);
  const Bytes frame = udp_frame(Family::ipv4, 100);
  Bytes wire = protected_form(device().add_egress_sa(sa), frame);
  ASSERT_GE(wire.size(), kEthernetBytes + 20 + 8 + 8 + 16);
  std::uint8_t* ip = wire.data() + kEthernetBytes;
  EXPECT_EQ(ip[9], 50);
  EXPECT_EQ(internet_checksum({ip, 20}), 0);
  EXPECT_EQ(base::load32(ip + 12), 0xC0000201u);
  EXPECT_EQ(base::load32(ip + 16), 0xC0000202u);
  const std::size_t esp_bytes = base::load16(ip + 2) - 20u;
  std::uint8_t* esp = ip + 20;
  EXPECT_EQ(base::load32(esp), 0x1002u);
  EXPECT_EQ(base::load32(esp + 4), 1u);
  EXPECT_EQ(base::load64(esp + 8), sa.iv_base ^ 1);
  std::vector<std::uint8_t> key(sa.key.begin(), sa.key.begin() + 16);
  key.resize(20);
  base::store32(&key[16], sa.salt);
  const auto provider = crypto::make_provider();
  crypto::SessionKeys keys;
  keys.encryption = crypto::find_encryption("aes-gcm-16");
  keys.encryption_key = key;
  const auto session = provider->open(keys);
  crypto::Job job;
  job.session = session.get();
  job.direction = crypto::Direction::open;
  job.iv = esp + 8;
  job.authenticated[0] = {esp, 8};
  job.text = {esp + 16, esp_bytes - 32};
  job.icv = esp + esp_bytes - 16;
  provider->run({&job, 1});
  ASSERT_EQ(job.result, crypto::Result::ok);
  EXPECT_EQ(job.text.back(), 4) << "next header: IPv4";
  const std::span inner(frame.data() + kEthernetBytes, frame.size() - kEthernetBytes);
  EXPECT_TRUE(std::equal(inner.begin(), inner.end(), job.text.begin()));
}

TEST_F(CardTest, RefusesAReplayAndCountsIt) {
  const Bytes frame = udp_frame(Family::ipv4, 50);
  const Bytes wire = protected_form(device().add_egress_sa(context(0x1003)), frame);
  hw::SaContext inbound = context(0x1003);
  inbound.deliver_failed = true;
  const SaSlot in = device().add_ingress_sa(inbound, outer_destination(Family::ipv4));
  send({plain(wire), plain(wire)});
  const auto first = next();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->frame.reason, DropReason::none);
  EXPECT_EQ(first->bytes, frame);
  const auto second = next();
  ASSERT_TRUE(second);
  EXPECT_EQ(second->frame.reason, DropReason::replay);
  EXPECT_EQ(second->frame.sa_index, in.index);
  EXPECT_LE(second->frame.bytes, 128);
  EXPECT_EQ(device().sa_counters(in).replay, 1u);
  EXPECT_EQ(device().sa_counters(in).packets, 1u);
  EXPECT_EQ(device().reason_count(Direction::ingress, DropReason::replay), 1u);
}

TEST_F(CardTest, RefusesAnAlteredPacketAndLeavesTheWindowAlone) {
  const Bytes frame = udp_frame(Family::ipv4, 50);
  const Bytes wire = protected_form(device().add_egress_sa(context(0x1004)), frame);
  const SaSlot in = device().add_ingress_sa(context(0x1004), outer_destination(Family::ipv4));
  Bytes altered = wire;
  altered[kEthernetBytes + 20 + 16 + 5] ^= 0x10;
  send({plain(altered)});
  EXPECT_TRUE(silent()) << "nothing unauthenticated leaves the card";
  EXPECT_EQ(device().sa_counters(in).icv, 1u);
  EXPECT_EQ(device().reason_count(Direction::ingress, DropReason::icv), 1u);
  send({plain(wire)});
  const auto back = next();
  ASSERT_TRUE(back);
  EXPECT_EQ(back->bytes, frame);
}

TEST_F(CardTest, RefusesADescriptorOfARemovedSa) {
  const SaSlot slot = device().add_egress_sa(context(0x1005));
  const Bytes frame = udp_frame(Family::ipv4, 50);
  protected_form(slot, frame);
  device().remove_sa(slot);
  send({through(slot, frame)});
  EXPECT_TRUE(silent());
  EXPECT_EQ(device().reason_count(Direction::egress, DropReason::stale_sa), 1u);
}

TEST_F(CardTest, LeavesEspOfARemovedSaAlone) {
  const Bytes frame = udp_frame(Family::ipv4, 50);
  const SaSlot out = device().add_egress_sa(context(0x1006));
  const SaSlot in = device().add_ingress_sa(context(0x1006), outer_destination(Family::ipv4));
  send({through(out, frame)});
  auto back = next();
  ASSERT_TRUE(back);
  EXPECT_TRUE(back->frame.is_protected);
  device().remove_sa(in);
  send({through(out, frame)});
  back = next();
  ASSERT_TRUE(back);
  EXPECT_FALSE(back->frame.is_protected);
  EXPECT_TRUE(back->frame.esp);
}

TEST_F(CardTest, RaisesEachLifetimeEventOnceAndThenPassesNothing) {
  hw::SaContext limited = context(0x1007);
  limited.packets_soft = 2;
  limited.packets_hard = 3;
  const SaSlot slot = device().add_egress_sa(limited);
  const Bytes frame = udp_frame(Family::ipv4, 50);
  for (int i = 0; i < 5; ++i) send({through(slot, frame)});
  const auto events = wait_events(2);
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].kind, static_cast<std::uint8_t>(hw::EventKind::soft_packets));
  EXPECT_EQ(events[1].kind, static_cast<std::uint8_t>(hw::EventKind::hard_packets));
  for (const hw::Event& event : events) {
    EXPECT_FALSE(event.inbound);
    EXPECT_EQ(event.sa_index, slot.index);
    EXPECT_EQ(event.sa_tag, slot.tag);
  }
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(next());
  EXPECT_TRUE(silent());
  EXPECT_EQ(device().sa_counters(slot).packets, 3u);
  EXPECT_EQ(device().reason_count(Direction::egress, DropReason::lifetime), 2u);
  hw::Event none[1];
  EXPECT_EQ(device().poll_events(none), 0u);
}

TEST_F(CardTest, UpdateExtendsALifetimeWithoutRestartingTheSa) {
  hw::SaContext limited = context(0x1008);
  limited.packets_hard = 1;
  const SaSlot slot = device().add_egress_sa(limited);
  const Bytes frame = udp_frame(Family::ipv4, 50);
  protected_form(slot, frame);
  limited.packets_hard = 0;
  device().update_sa(slot, limited);
  send({through(slot, frame)});
  const auto wire = next();
  ASSERT_TRUE(wire);
  EXPECT_EQ(base::load32(&wire->bytes[kEthernetBytes + 24]), 2u) << "the next sequence number";
  EXPECT_EQ(device().sa_counters(slot).packets, 2u);
}

TEST_F(CardTest, AppliesTheFirstMatchingPolicy) {
  const SaSlot out = device().add_egress_sa(context(0x1009));
  hw::PolicyEntry policy;
  policy.any_protocol = true;
  policy.destination_port_min = policy.destination_port_max = 9;
  policy.source_port_max = 65535;
  policy.action = static_cast<std::uint8_t>(hw::PolicyAction::discard);
  device().set_policy(0, policy);
  policy.destination_port_min = 8;
  policy.action = static_cast<std::uint8_t>(hw::PolicyAction::protect);
  policy.sa_index = out.index;
  device().set_policy(1, policy);
  const auto classified = [&](std::uint16_t port) {
    static Bytes frame;
    frame = udp_frame(Family::ipv4, 40, 1, port);
    TxFrame tx = plain(frame);
    tx.classify = true;
    send({tx});
  };
  classified(7);
  auto back = next();
  ASSERT_TRUE(back) << "no policy: bypass";
  EXPECT_FALSE(back->frame.esp);
  classified(8);
  back = next();
  ASSERT_TRUE(back);
  EXPECT_TRUE(back->frame.esp);
  classified(9);
  EXPECT_TRUE(silent());
  EXPECT_EQ(device().reason_count(Direction::egress, DropReason::policy), 1u);
  device().clear_policy(0);
  classified(9);
  EXPECT_TRUE(next());
  device().set_policy_default_discard(true);
  classified(7);
  EXPECT_TRUE(silent());
}

TEST_F(CardTest, KeepsItsSasOverStopAndStart) {
  const SaSlot out = device().add_egress_sa(context(0x100A));
  const Bytes frame = udp_frame(Family::ipv4, 50);
  protected_form(out, frame);
  device().stop();
  std::uint64_t cookies[64];
  EXPECT_EQ(device().reclaim_receive(cookies), 32u);
  EXPECT_EQ(device().reclaim_transmit(cookies), 0u);
  start({.transmit = 4, .receive = 8, .events = 4});
  const Bytes wire = protected_form(out, frame);
  EXPECT_EQ(base::load32(&wire[kEthernetBytes + 24]), 2u) << "numbers go on";
}

// One of everything, mixed: both directions must agree whatever the order.
TEST_F(CardTest, CarriesRandomTrafficOfManySas) {
  const char* fixed = std::getenv("SALINE_TEST_SEED");
  const auto seed =
      fixed ? static_cast<unsigned>(std::strtoul(fixed, nullptr, 0)) : std::random_device{}();
  SCOPED_TRACE("SALINE_TEST_SEED=" + std::to_string(seed));
  std::mt19937 random(seed);
  struct Pair {
    SaSlot out, in;
    std::uint64_t sent = 0;
  };
  std::vector<Pair> pairs;
  for (std::uint32_t i = 0; i < 12; ++i) {
    const Family outer = random() % 2 != 0 ? Family::ipv4 : Family::ipv6;
    hw::SaContext sa = context(0x2000 + i, outer);
    sa.esn = random() % 2 != 0;
    set_key(sa, random() % 2 != 0 ? 16 : 32);
    const SaSlot out = device().add_egress_sa(sa);
    pairs.push_back({out, device().add_ingress_sa(sa, outer_destination(outer)), 0});
  }
  for (int round = 0; round < 8; ++round) {
    std::vector<Bytes> frames(1 + random() % 12);
    std::vector<TxFrame> burst;
    std::vector<Pair*> expected;
    for (Bytes& frame : frames) {
      frame = udp_frame(random() % 2 != 0 ? Family::ipv4 : Family::ipv6, 18 + random() % 1300,
                        static_cast<std::uint8_t>(random()));
      const std::size_t choice = random() % (pairs.size() + 3);
      Pair* pair = choice < pairs.size() ? &pairs[choice] : nullptr;
      burst.push_back(pair ? through(pair->out, frame) : plain(frame));
      expected.push_back(pair);
    }
    send(burst);
    for (std::size_t i = 0; i < frames.size(); ++i) {
      const auto back = next();
      ASSERT_TRUE(back) << "frame " << i << " of round " << round;
      ASSERT_EQ(back->bytes, frames[i]) << "frame " << i << " of round " << round;
      ASSERT_EQ(back->frame.is_protected, expected[i] != nullptr);
      if (expected[i] == nullptr) continue;
      EXPECT_EQ(back->frame.sa_index, expected[i]->in.index);
      EXPECT_EQ(back->frame.sequence_number, ++expected[i]->sent);
    }
  }
  for (const Pair& pair : pairs) {
    EXPECT_EQ(device().sa_counters(pair.out).packets, pair.sent);
    EXPECT_EQ(device().sa_counters(pair.in).octets, device().sa_counters(pair.out).octets);
  }
}

}  // namespace
}  // namespace saline::driver
