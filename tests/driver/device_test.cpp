// The control path of the device layer against a fake card: what is written, in which order, and
// what is left behind when something refuses.
#include "driver/device.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/driver/fake_card.hpp"

namespace saline::driver {
namespace {

using testing::HasSubstr;

class DeviceTest : public testing::Test {
 protected:
  Device& device() {
    if (!device_) device_ = std::make_unique<Device>(std::make_unique<FakeTransport>(card));
    return *device_;
  }
  void close() { device_.reset(); }

  static hw::SaContext context(std::uint32_t spi) {
    hw::SaContext c;
    c.suite = static_cast<std::uint8_t>(hw::Suite::aes_gcm_128_16);
    c.spi = spi;
    c.replay_words = 2;
    c.key.fill(0xA5);
    return c;
  }
  // The errno of what the call throws, 0 if it does not.
  template <class Call>
  static int refusal(Call&& call) {
    try {
      call();
      return 0;
    } catch (const base::Error& e) {
      EXPECT_STRNE(e.what(), "");
      return e.errno_value();
    }
  }

  const base::Address ours = base::Address::parse("192.0.2.1");
  FakeCard card;

 private:
  std::unique_ptr<Device> device_;
};

TEST_F(DeviceTest, RefusesWhatIsNotASalineCard) {
  card.registers[hw::reg::id] = 0xffffffff;
  EXPECT_EQ(refusal([&] { device(); }), ENODEV);
}

TEST_F(DeviceTest, RefusesAStaleBitstreamNamingBothFingerprintsAndTheCure) {
  card.registers[hw::reg::fingerprint] = 0x01020304;
  try {
    device();
    FAIL() << "a stale bitstream was accepted";
  } catch (const base::Error& e) {
    char ours_text[11];
    std::snprintf(ours_text, sizeof(ours_text), "0x%08x", hw::kFingerprint);
    EXPECT_EQ(e.errno_value(), EPROTO);
    EXPECT_THAT(e.what(), HasSubstr("0x01020304"));
    EXPECT_THAT(e.what(), HasSubstr(ours_text));
    EXPECT_THAT(e.what(), HasSubstr("rebuild"));
  }
}

TEST_F(DeviceTest, ReadsCapabilitiesFromTheCard) {
  const Capabilities& caps = device().capabilities();
  EXPECT_EQ(caps.sa_slots, 8u);
  EXPECT_EQ(caps.lookup_buckets, 4u);
  EXPECT_EQ(caps.window, 1024u);
  EXPECT_TRUE(caps.has(hw::Suite::aes_gcm_256_16));
  EXPECT_FALSE(caps.has(hw::Suite::none));
}

TEST_F(DeviceTest, EmptiesTheTablesOfADriverThatDied) {
  device();
  EXPECT_TRUE(card.commits.empty()) << "a fresh card has nothing to empty";
  FakeCard left = card;  // the mark is still in it
  Device next(std::make_unique<FakeTransport>(left));
  EXPECT_EQ(left.commits.size(), 8u + 8u + 4u * hw::kLookupWays + 4u);
  for (const Commit& commit : left.commits) EXPECT_EQ(commit.op, hw::TableOp::remove);
}

TEST_F(DeviceTest, GivesEverySlotOnceThenRefuses) {
  std::set<std::uint16_t> seen;
  for (std::uint32_t i = 0; i < 8; ++i) seen.insert(device().add_egress_sa(context(256 + i)).index);
  EXPECT_EQ(seen.size(), 8u);
  const std::size_t before = card.commits.size();
  EXPECT_EQ(refusal([&] { device().add_egress_sa(context(999)); }), ENOSPC);
  EXPECT_EQ(card.commits.size(), before);
  EXPECT_EQ(device().free_sa_slots(Direction::egress), 0u);
  EXPECT_EQ(device().free_sa_slots(Direction::ingress), 8u);
}

TEST_F(DeviceTest, FullLookupBucketLeavesNothingBehind) {
  // Four buckets: SPIs that differ by four share one.
  for (std::uint32_t i = 0; i < hw::kLookupWays; ++i) {
    device().add_ingress_sa(context(0x100 + 4 * i), ours);
  }
  const std::size_t before = card.commits.size();
  EXPECT_EQ(refusal([&] { device().add_ingress_sa(context(0x200), ours); }), ENOSPC);
  EXPECT_EQ(card.commits.size(), before);
  EXPECT_EQ(device().free_sa_slots(Direction::ingress), 4u);
  EXPECT_EQ(refusal([&] { device().add_ingress_sa(context(0x201), ours); }), 0);
}

TEST_F(DeviceTest, RefusesTheSameSpiDestinationAndProtocolTwice) {
  device().add_ingress_sa(context(0x100), ours);
  EXPECT_EQ(refusal([&] { device().add_ingress_sa(context(0x100), ours); }), EEXIST);
  EXPECT_EQ(
      refusal([&] { device().add_ingress_sa(context(0x100), base::Address::parse("192.0.2.2")); }),
      0);
  EXPECT_EQ(refusal([&] { device().add_ingress_sa(context(0x100), {}); }), 0) << "any destination";
}

TEST_F(DeviceTest, LookupEntryComesAfterTheContextAndGoesBeforeIt) {
  const SaSlot slot = device().add_ingress_sa(context(0x100), ours);
  ASSERT_EQ(card.commits.size(), 2u);
  EXPECT_EQ(card.commits[0].table, hw::Table::ingress_sa);
  EXPECT_EQ(card.commits[1].table, hw::Table::lookup);
  const auto entry = hw::decode_lookup_entry(
      std::span<const std::uint8_t, hw::LookupEntry::kBytes>(card.commits[1].record));
  EXPECT_TRUE(entry.valid);
  EXPECT_EQ(entry.sa_index, slot.index);
  EXPECT_EQ(entry.spi, 0x100u);
  EXPECT_EQ(entry.destination, ours.bytes);
  EXPECT_EQ(card.commits[1].index / hw::kLookupWays, (0x100u ^ 50u) % 4);
  device().remove_sa(slot);
  ASSERT_EQ(card.commits.size(), 4u);
  EXPECT_EQ(card.commits[2].table, hw::Table::lookup);
  EXPECT_EQ(card.commits[2].index, card.commits[1].index);
  EXPECT_EQ(card.commits[3].table, hw::Table::ingress_sa);
}

TEST_F(DeviceTest, ContextIsTakenBackWhenItsLookupEntryIsRefused) {
  device();
  card.commits_until_refusal = 1;
  // The removal is refused as well here; what counts is that the slot stays free.
  EXPECT_EQ(refusal([&] { device().add_ingress_sa(context(0x100), ours); }), EIO);
  card.commits_until_refusal = -1;
  EXPECT_EQ(device().free_sa_slots(Direction::ingress), 8u);
  EXPECT_EQ(refusal([&] { device().add_ingress_sa(context(0x100), ours); }), 0);
}

TEST_F(DeviceTest, TagsTellTheSasOfOneSlotApart) {
  const SaSlot first = device().add_egress_sa(context(1));
  device().remove_sa(first);
  EXPECT_FALSE(device().holds(first));
  EXPECT_EQ(refusal([&] { device().remove_sa(first); }), ESRCH);
  EXPECT_EQ(refusal([&] { device().update_sa(first, context(1)); }), ESRCH);
  EXPECT_EQ(refusal([&] { device().sa_counters(first); }), ESRCH);
  SaSlot again = device().add_egress_sa(context(2));
  while (again.index != first.index) again = device().add_egress_sa(context(2));
  EXPECT_NE(again.tag, first.tag);
  EXPECT_FALSE(device().holds(first));
  const auto record = hw::decode_sa_context(
      std::span<const std::uint8_t, hw::SaContext::kBytes>(card.commits.back().record));
  EXPECT_EQ(record.sa_tag, again.tag);
  EXPECT_TRUE(record.valid);
}

TEST_F(DeviceTest, UpdateKeepsTheStateAndRestartDoesNot) {
  const SaSlot slot = device().add_ingress_sa(context(0x100), ours);
  device().update_sa(slot, context(0x100));
  EXPECT_EQ(card.commits.back().op, hw::TableOp::update);
  device().restart_sa(slot, context(0x100));
  EXPECT_EQ(card.commits.back().op, hw::TableOp::install);
  EXPECT_EQ(refusal([&] { device().update_sa(slot, context(0x101)); }), EINVAL);
}

TEST_F(DeviceTest, RefusesWhatTheCardLacks) {
  hw::SaContext unknown = context(1);
  unknown.suite = 9;
  EXPECT_EQ(refusal([&] { device().add_egress_sa(unknown); }), EINVAL);
  unknown.suite = 0;
  EXPECT_EQ(refusal([&] { device().add_egress_sa(unknown); }), EINVAL);
  hw::SaContext wide = context(1);
  wide.replay_words = 33;
  EXPECT_EQ(refusal([&] { device().add_ingress_sa(wide, ours); }), EINVAL);
  EXPECT_EQ(refusal([&] { device().set_policy(4, {}); }), EINVAL);
  EXPECT_TRUE(card.commits.empty());
}

TEST_F(DeviceTest, LeavesAnEmptyCardBehind) {
  device().add_egress_sa(context(1));
  device().add_ingress_sa(context(2), ours);
  device().set_policy(3, {});
  device().start({});
  card.commits.clear();
  close();
  EXPECT_EQ(card.commits.size(), 4u);  // two contexts, a lookup entry, a policy
  for (const Commit& commit : card.commits) {
    EXPECT_EQ(commit.op, hw::TableOp::remove);
    EXPECT_TRUE(commit.record.empty());
  }
  EXPECT_EQ(card.registers[hw::reg::control], 0u);
  EXPECT_EQ(card.registers[hw::reg::scratch], 0u);
}

TEST_F(DeviceTest, RefusesRingSizesTheCardDoesNotHave) {
  EXPECT_EQ(refusal([&] { device().start({.transmit = 3}); }), EINVAL);
  EXPECT_EQ(refusal([&] { device().start({.receive = 65536}); }), EINVAL);
  EXPECT_EQ(refusal([&] { device().start({.events = 0}); }), EINVAL);
  EXPECT_EQ(refusal([&] { device().start({.frame_bytes = 20000}); }), EINVAL);
  EXPECT_FALSE(device().started());
  device().start({});
  EXPECT_EQ(refusal([&] { device().start({}); }), EBUSY);
}

TEST_F(DeviceTest, SaysWhenACardDoesNotComeToRest) {
  device().start({});
  const std::array<std::uint8_t, 60> bytes{};
  ASSERT_EQ(device().transmit(std::array{TxFrame{.data = bytes.data(), .bytes = 60, .cookie = 7}}),
            1u);
  card.never_idle = true;
  EXPECT_EQ(refusal([&] { device().stop(); }), ETIMEDOUT);
  std::array<std::uint64_t, 4> cookies{};
  EXPECT_EQ(device().reclaim_transmit(cookies), 0u) << "the card may still read that buffer";
  EXPECT_EQ(refusal([&] { device().start({}); }), ETIMEDOUT) << "nor may its rings go away";
  card.never_idle = false;
  device().stop();
  EXPECT_EQ(device().reclaim_transmit(cookies), 1u);
  EXPECT_EQ(cookies[0], 7u);
  device().start({});
}

TEST_F(DeviceTest, WipesTheSasOfACardThatDoesNotComeToRest) {
  device().add_egress_sa(context(1));
  device().start({});
  card.commits.clear();
  card.never_idle = true;
  close();
  ASSERT_EQ(card.commits.size(), 1u);
  EXPECT_EQ(card.commits[0].op, hw::TableOp::remove);
}

TEST_F(DeviceTest, PolicyDefaultSurvivesStartAndStop) {
  device().set_policy_default_discard(true);
  device().start({});
  EXPECT_EQ(card.registers[hw::reg::control], 3u);
  device().stop();
  EXPECT_EQ(card.registers[hw::reg::control], 2u);
}

TEST(OpenTransport, SaysWhatToBuildWhenThereIsNoSuchKind) {
  try {
    open_transport("carrier_pigeon", {});
    FAIL();
  } catch (const base::Error& e) {
    EXPECT_EQ(e.errno_value(), ENOENT);
    EXPECT_THAT(e.what(), HasSubstr("libsaline_transport_carrier_pigeon.so"));
  }
  EXPECT_THROW(open_transport("../evil", {}), base::Error);
}

}  // namespace
}  // namespace saline::driver
