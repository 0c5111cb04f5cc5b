// Bad input, group B: anti-replay and sequence numbers, with whole packets.
#include <gtest/gtest.h>

#include <set>

#include "host/base/bytes.hpp"
#include "tests/host/ipsec/bed.hpp"

namespace saline::test {

using namespace saline::ipsec;
using hw::DropReason;

namespace {

const Bytes kPlain = ip_packet("10.0.0.1", "10.0.0.2", kUdp, udp(64));

SaSpec gcm() {
  SaSpec spec;
  spec.encryption = "aes-gcm-16";
  spec.integrity = "";
  return spec;
}

// The packet that a sender with this last used number sends next.
Bytes sent_after(const SaSpec& spec, std::uint64_t sequence) {
  Host host;
  SaConfig config = config_of(spec);
  config.sequence = sequence;
  host.add(std::move(config));
  Buffer buffer(kPlain);
  if (host.protect(buffer, policy_for({spec})).outcome != Outcome::pass)
    throw std::logic_error("not sent");
  return buffer.bytes();
}

DropReason receive(Host& host, const Bytes& wire) {
  Buffer buffer(wire);
  return host.open(buffer).reason;
}

}  // namespace

class Sequence : public testing::TestWithParam<const char*> {
 protected:
  SaSpec spec() const {
    SaSpec spec;
    const std::string kind = GetParam();
    if (kind == "gcm") return gcm();
    if (kind == "ah") spec.protocol = Protocol::ah;
    return spec;
  }
};

TEST_P(Sequence, FirstIsOneAndThenOneMore) {
  Host host;
  auto sa = host.add(spec());
  const std::size_t at = spec().protocol == Protocol::ah ? 20 + 8 : 20 + 4;
  for (std::uint32_t i = 1; i < 5; ++i) {
    Buffer buffer(kPlain);
    ASSERT_EQ(host.protect(buffer, policy_for({spec()})).outcome, Outcome::pass);
    EXPECT_EQ(base::load32(buffer.bytes().data() + at), i);
    EXPECT_EQ(sa->counters().sequence.get(), i);
  }
}

TEST_P(Sequence, B1ZeroIsReplay) {
  Host host;
  auto sa = host.add(spec());
  Bytes wire = sent_after(spec(), 0);
  base::store32(&wire[spec().protocol == Protocol::ah ? 28 : 24], 0);
  EXPECT_EQ(receive(host, wire), DropReason::replay);
  EXPECT_EQ(refused(*sa, DropReason::replay), 1u);
}

TEST_P(Sequence, B2DuplicateIsReplay) {
  Host host;
  auto sa = host.add(spec());
  const Bytes wire = sent_after(spec(), 41);
  EXPECT_EQ(receive(host, wire), DropReason::none);
  EXPECT_EQ(receive(host, wire), DropReason::replay);
  EXPECT_EQ(refused(*sa, DropReason::replay), 1u);
  EXPECT_EQ(sa->counters().packets.get(), 1u);
}

TEST_P(Sequence, B3ForgeryFarToTheRightDoesNotMoveTheWindow) {
  Host host;
  auto sa = host.add(spec());
  EXPECT_EQ(receive(host, sent_after(spec(), 9)), DropReason::none);
  Bytes forged = sent_after(spec(), 1000000);
  forged.back() ^= 1;
  EXPECT_EQ(receive(host, forged), DropReason::icv);
  EXPECT_EQ(sa->window().top(), 10u);
  EXPECT_EQ(receive(host, sent_after(spec(), 10)), DropReason::none);
}

TEST_P(Sequence, B4ForgeryDoesNotUseUpANumber) {
  Host host;
  host.add(spec());
  EXPECT_EQ(receive(host, sent_after(spec(), 50)), DropReason::none);
  Bytes forged = sent_after(spec(), 44);
  forged.back() ^= 1;
  EXPECT_EQ(receive(host, forged), DropReason::icv);
  EXPECT_EQ(receive(host, sent_after(spec(), 44)), DropReason::none);
}

TEST_P(Sequence, B5EpochChangesWithEsnBothWays) {
  SaSpec esn = spec();
  esn.esn = true;
  Host host;
  auto sa = host.add(esn);
  sa->window().restart(0xFFFFFFF0);
  const Bytes late = sent_after(esn, 0xFFFFFFF4);
  EXPECT_EQ(receive(host, sent_after(esn, 0x100000004)), DropReason::none);
  EXPECT_EQ(sa->window().top(), 0x100000005u);
  EXPECT_EQ(receive(host, late), DropReason::none) << "the former epoch is inside the window";
  EXPECT_EQ(sa->window().top(), 0x100000005u);
  // Long gone: taken for the next epoch, and so fails its ICV.
  EXPECT_EQ(receive(host, sent_after(esn, 0xFFFFFF00)), DropReason::icv);
  EXPECT_EQ(sa->window().top(), 0x100000005u);
}

TEST_P(Sequence, B6SendsNothingAfterTheLastNumber) {
  for (bool esn : {false, true}) {
    SaSpec limited = spec();
    limited.esn = esn;
    SaConfig config = config_of(limited);
    config.sequence = (esn ? 0xFFFFFFFFFFFFFFFFull : 0xFFFFFFFFull) - 1;
    Host host;
    auto sa = host.add(std::move(config));
    Buffer last(kPlain);
    EXPECT_EQ(host.protect(last, policy_for({limited})).outcome, Outcome::pass);
    Buffer over(kPlain);
    const OutboundItem item = host.protect(over, policy_for({limited}));
    EXPECT_EQ(item.outcome, Outcome::drop);
    EXPECT_EQ(item.reason, DropReason::seq_overflow);
    EXPECT_EQ(refused(*sa, DropReason::seq_overflow), 1u);
    EXPECT_NE(sa->take_events() & kEventSeqOverflow, 0u);
  }
}

INSTANTIATE_TEST_SUITE_P(Transforms, Sequence, testing::Values("cbc", "gcm", "ah"));

TEST(SequenceCycle, AManualSaMayCycleButACounterModeNever) {
  for (bool counter_mode : {false, true}) {
    const SaSpec spec = counter_mode ? gcm() : SaSpec{};
    SaConfig config = config_of(spec);
    config.sequence = 0xFFFFFFFF;
    config.flags = kFlagCycleSequence;
    config.replay_window = 0;
    Host host;
    host.add(std::move(config));
    Buffer buffer(kPlain);
    EXPECT_EQ(host.protect(buffer, policy_for({spec})).reason,
              counter_mode ? DropReason::seq_overflow : DropReason::none);
  }
}

TEST(SequenceCycle, NeverWithAntiReplayOrExtendedNumbers) {
  for (bool esn : {false, true}) {
    SaSpec spec;
    spec.esn = esn;
    SaConfig config = config_of(spec);
    config.sequence = esn ? 0xFFFFFFFFFFFFFFFFull : 0xFFFFFFFFull;
    config.flags = kFlagCycleSequence;
    config.replay_window = esn ? 0 : 32;
    Host host;
    host.add(std::move(config));
    Buffer buffer(kPlain);
    EXPECT_EQ(host.protect(buffer, policy_for({spec})).reason, DropReason::seq_overflow) << esn;
  }
}

TEST(SequenceBurst, B7DuplicatesInOneBurstAreAcceptedOnce) {
  Host host;
  auto sa = host.add(gcm());
  const Bytes wire = sent_after(gcm(), 6);
  std::vector<std::unique_ptr<Buffer>> buffers;
  std::vector<InboundItem> items(40);
  for (InboundItem& item : items) {
    buffers.push_back(std::make_unique<Buffer>(wire));
    item.packet = &buffers.back()->packet();
  }
  host.processor.inbound(*host.sad.view().acquire(), items);
  int accepted = 0;
  for (const InboundItem& item : items) accepted += item.outcome == Outcome::pass ? 1 : 0;
  EXPECT_EQ(accepted, 1);
  EXPECT_EQ(refused(*sa, DropReason::replay), 39u);
}

TEST(SequenceIv, CounterModeIvNeverRepeats) {
  Host host;
  host.add(gcm());
  std::set<std::uint64_t> ivs;
  for (int i = 0; i < 500; ++i) {
    Buffer buffer(kPlain);
    host.protect(buffer, policy_for({gcm()}));
    EXPECT_TRUE(ivs.insert(base::load64(buffer.bytes().data() + 28)).second);
  }
}

TEST(SequenceIv, CbcIvIsNotAnEarlierCiphertextBlock) {
  Host host;
  host.add(SaSpec{});
  std::set<Bytes> blocks;
  for (int i = 0; i < 200; ++i) {
    Buffer buffer(kPlain);
    host.protect(buffer, policy_for({SaSpec{}}));
    const Bytes wire = buffer.bytes();
    EXPECT_FALSE(blocks.contains(Bytes(wire.begin() + 28, wire.begin() + 44)));
    for (std::size_t at = 28; at + 16 <= wire.size() - 12; at += 16)
      blocks.emplace(wire.begin() + static_cast<std::ptrdiff_t>(at),
                     wire.begin() + static_cast<std::ptrdiff_t>(at) + 16);
  }
}

TEST(Lifetime, HardLimitStopsAndSoftLimitWarns) {
  for (bool outbound : {true, false}) {
    SaConfig config = config_of(gcm());
    config.soft.packets = 2;
    config.hard.packets = 3;
    Host host;
    auto sa = host.add(std::move(config));
    for (int i = 1; i <= 5; ++i) {
      DropReason reason;
      if (outbound) {
        Buffer buffer(kPlain);
        reason = host.protect(buffer, policy_for({gcm()})).reason;
      } else {
        reason = receive(host, sent_after(gcm(), static_cast<std::uint64_t>(i)));
      }
      EXPECT_EQ(reason, i <= 3 ? DropReason::none : DropReason::lifetime) << i;
      const std::uint32_t events = sa->take_events();
      EXPECT_EQ((events & kEventSoft) != 0, i == 2);
      EXPECT_EQ((events & kEventHard) != 0, i == 3);
      EXPECT_EQ((events & kEventFirstUse) != 0, i == 1);
    }
    EXPECT_EQ(sa->counters().packets.get(), 3u);
  }
}

TEST(Lifetime, BytesCountThePayload) {
  SaConfig config = config_of(gcm());
  config.hard.bytes = 2 * (kPlain.size() - 20);
  Host host;
  auto sa = host.add(std::move(config));
  for (int i = 1; i <= 3; ++i) {
    Buffer buffer(kPlain);
    EXPECT_EQ(host.protect(buffer, policy_for({gcm()})).reason,
              i <= 2 ? DropReason::none : DropReason::lifetime);
  }
  EXPECT_EQ(sa->counters().bytes.get(), 2 * (kPlain.size() - 20));
}

}  // namespace saline::test
