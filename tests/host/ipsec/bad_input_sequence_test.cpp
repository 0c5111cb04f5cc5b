// Bad input, group B: anti-replay and sequence numbers under the rule of bad_input.hpp. What holds
// for each transform is also asked of each in bad_sequence_test.cpp.
#include <gtest/gtest.h>

#include "host/base/bytes.hpp"
#include "host/base/error.hpp"
#include "tests/host/ipsec/bad_input.hpp"

namespace saline::test {

using namespace saline::ipsec;
using hw::DropReason;

namespace {

const Bytes kPlain = ip_packet("10.0.0.1", "10.0.0.2", kUdp, udp(64));

std::vector<SaSpec> transforms() {
  SaSpec cbc;
  SaSpec gcm;
  gcm.encryption = "aes-gcm-16";
  gcm.integrity = "";
  SaSpec ah;
  ah.protocol = Protocol::ah;
  return {cbc, gcm, ah};
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
Bytes numbered(const SaSpec& spec, std::uint64_t sequence) {
  return sent_after(spec, sequence - 1);
}

DropReason receive(Host& host, const Bytes& wire) {
  Buffer buffer(wire);
  return host.open(buffer).reason;
}

}  // namespace

TEST(BadInput, B1SequenceZero) {
  for (const SaSpec& spec : transforms()) {
    Bytes wire = numbered(spec, 1);
    base::store32(&wire[spec.protocol == Protocol::ah ? 28 : 24], 0);
    expect_refused(spec, wire, DropReason::replay);
  }
}

TEST(BadInput, B2DuplicatesEdgesAndJumps) {
  for (const SaSpec& spec : transforms()) {
    Host host;
    auto sa = host.add(spec);
    sa->window().restart(1000);
    ASSERT_EQ(receive(host, numbered(spec, 1100)), DropReason::none);
    sa->take_events();
    expect_refused(host, *sa, numbered(spec, 1100), DropReason::replay);
    expect_refused(host, *sa, numbered(spec, 1100 - 64), DropReason::replay);
    expect_refused(host, *sa, numbered(spec, 1000), DropReason::replay);
    EXPECT_EQ(receive(host, numbered(spec, 1100 - 63)), DropReason::none) << "the left edge";
    expect_refused(host, *sa, numbered(spec, 1100 - 63), DropReason::replay);
    EXPECT_EQ(receive(host, numbered(spec, 1101)), DropReason::none) << "the right edge";
    EXPECT_EQ(receive(host, numbered(spec, 1101 + (1ull << 31))), DropReason::none);
    expect_refused(host, *sa, numbered(spec, 1102), DropReason::replay);
  }
}

TEST(BadInput, B3ForgeryFarToTheRight) {
  for (const SaSpec& spec : transforms()) {
    Host host;
    auto sa = host.add(spec);
    ASSERT_EQ(receive(host, numbered(spec, 10)), DropReason::none);
    sa->take_events();
    for (std::uint64_t far : {11ull, 1000000ull, 0xFFFFFFFFull}) {
      Bytes forged = numbered(spec, far);
      forged.back() ^= 1;
      expect_refused(host, *sa, forged, DropReason::icv);
    }
    EXPECT_EQ(receive(host, numbered(spec, 11)), DropReason::none);
  }
}

TEST(BadInput, B4ForgeryOfANewNumberThenTheGoodOne) {
  for (const SaSpec& spec : transforms()) {
    Host host;
    auto sa = host.add(spec);
    ASSERT_EQ(receive(host, numbered(spec, 51)), DropReason::none);
    sa->take_events();
    Bytes forged = numbered(spec, 45);
    forged.back() ^= 1;
    expect_refused(host, *sa, forged, DropReason::icv);
    EXPECT_EQ(receive(host, numbered(spec, 45)), DropReason::none);
  }
}

TEST(BadInput, B5EpochsAreGuessedAndTheIcvDecides) {
  for (SaSpec spec : transforms()) {
    spec.esn = true;
    Host host;
    auto sa = host.add(spec);
    // Below the first epoch there is nothing.
    ASSERT_EQ(receive(host, numbered(spec, 5)), DropReason::none);
    sa->take_events();
    expect_refused(host, *sa, numbered(spec, 0xFFFFFFFE), DropReason::replay);
    sa->window().restart(0xFFFFFFF0);
    const Bytes late = numbered(spec, 0xFFFFFFF5);
    EXPECT_EQ(receive(host, numbered(spec, 0x100000005)), DropReason::none);
    EXPECT_EQ(receive(host, late), DropReason::none) << "the former epoch, inside the window";
    EXPECT_EQ(sa->window().top(), 0x100000005u);
    expect_refused(host, *sa, late, DropReason::replay);
    // Older than the window: taken for the next epoch, so the ICV fails and not the window.
    expect_refused(host, *sa, numbered(spec, 0xFFFFFF01), DropReason::icv);
  }
}

TEST(BadInput, B6NothingIsSentAfterTheLastNumber) {
  for (SaSpec spec : transforms()) {
    for (bool esn : {false, true}) {
      spec.esn = esn;
      SaConfig config = config_of(spec);
      config.sequence = esn ? 0xFFFFFFFFFFFFFFFFull : 0xFFFFFFFFull;
      Host host;
      auto sa = host.add(std::move(config));
      Books expected = books_of(host, *sa);
      Buffer buffer(kPlain);
      const OutboundItem item = host.protect(buffer, policy_for({spec}));
      EXPECT_EQ(item.outcome, Outcome::drop);
      EXPECT_EQ(item.reason, DropReason::seq_overflow);
      ++expected["outbound refused seq_overflow"];
      ++expected["SA refused seq_overflow"];
      EXPECT_EQ(books_of(host, *sa), expected);
      EXPECT_EQ(sa->take_events(), kEventSeqOverflow);
    }
  }
}

// An SA has one data thread, so two queues meet in its bursts: of the same packet in one burst, in
// two bursts, and behind a change of the table, one is accepted.
TEST(BadInput, B7CopiesAcrossBurstsAndTablesAreAcceptedOnce) {
  for (const SaSpec& spec : transforms()) {
    Host host;
    auto sa = host.add(spec);
    const Bytes wire = numbered(spec, 7);
    int accepted = 0;
    for (int burst = 0; burst < 3; ++burst) {
      std::vector<std::unique_ptr<Buffer>> buffers;
      std::vector<InboundItem> items(2 * Processor::kBurst + 3);
      for (InboundItem& item : items) {
        buffers.push_back(std::make_unique<Buffer>(wire));
        item.packet = &buffers.back()->packet();
      }
      host.processor.inbound(*host.sad.view().acquire(), items);
      for (const InboundItem& item : items) accepted += item.outcome == Outcome::pass ? 1 : 0;
      SaSpec other = spec;
      other.spi = 0x2000 + static_cast<std::uint32_t>(burst);
      host.add(other);
    }
    EXPECT_EQ(accepted, 1);
    EXPECT_EQ(sa->counters().packets.get(), 1u);
    EXPECT_EQ(refused(*sa, DropReason::replay), 3 * (2 * Processor::kBurst + 3) - 1);
  }
}

TEST(BadInput, B8WindowsOfEachSizeAndNoLargerOnes) {
  for (SaSpec spec : transforms()) {
    for (std::uint32_t window : {1u, 31u, 32u, 33u, 64u, 100u, 1024u, 4096u}) {
      SCOPED_TRACE("window " + std::to_string(window));
      spec.window = window;
      Host host;
      auto sa = host.add(spec);
      ASSERT_EQ(receive(host, numbered(spec, 10000)), DropReason::none);
      sa->take_events();
      expect_refused(host, *sa, numbered(spec, 10000 - window), DropReason::replay);
      if (window > 1) {
        EXPECT_EQ(receive(host, numbered(spec, 10000 - window + 1)), DropReason::none);
      }
      expect_refused(host, *sa, numbered(spec, 10000 - window + 1), DropReason::replay);
    }
    spec.window = 1u << 31;
    Host host;
    EXPECT_THROW(host.add(spec), base::Error);
    EXPECT_TRUE(host.sad.all().empty());
  }
}

// The high half is worked out from the window for each packet, not counted by events: copies and
// stragglers around the change of epoch move it once, and an SA that is gone raises nothing.
TEST(BadInput, B9TheHighHalfChangesOnceAndEventsEndWithTheSa) {
  for (SaSpec spec : transforms()) {
    spec.esn = true;
    Host host;
    auto sa = host.add(spec);
    sa->window().restart(0xFFFFFFF0);
    for (int copy = 0; copy < 3; ++copy) {
      for (std::uint64_t number : {0x100000002ull, 0xFFFFFFFEull, 0x100000001ull, 0xFFFFFFFFull}) {
        EXPECT_EQ(receive(host, numbered(spec, number)),
                  copy == 0 ? DropReason::none : DropReason::replay);
      }
    }
    EXPECT_EQ(sa->window().top(), 0x100000002u);
    EXPECT_EQ(sa->take_events(), kEventFirstUse) << "raised once, whoever asks late";
    EXPECT_EQ(sa->take_events(), 0u);
    // The data thread still has the table of before.
    const SadView& view = *host.sad.view().acquire();
    host.sad.remove(sa->id());
    host.sad.publish();
    Buffer buffer(numbered(spec, 0x100000003));
    InboundItem item;
    item.packet = &buffer.packet();
    host.processor.inbound(view, {&item, 1});
    EXPECT_EQ(item.reason, DropReason::no_sa);
    EXPECT_EQ(sa->window().top(), 0x100000002u);
    EXPECT_EQ(sa->take_events(), 0u);
  }
}

TEST(BadInput, B10AManualSaHasNoWindowAndMayCycle) {
  for (SaSpec spec : transforms()) {
    spec.window = 0;
    Host host;
    auto sa = host.add(spec);
    const Bytes wire = numbered(spec, 9);
    EXPECT_EQ(receive(host, wire), DropReason::none);
    EXPECT_EQ(receive(host, wire), DropReason::none) << "anti-replay is off";
    EXPECT_EQ(sa->counters().packets.get(), 2u);
    SaConfig cycling = config_of(spec);
    cycling.flags |= kFlagCycleSequence;
    // A counter mode's IV would come again, so it stops all the same.
    EXPECT_EQ(may_cycle(cycling), spec.encryption != "aes-gcm-16");
    cycling.replay_window = 32;
    EXPECT_FALSE(may_cycle(cycling));
  }
}

TEST(BadInput, B11APeerMoreThanAnEpochAhead) {
  for (SaSpec spec : transforms()) {
    spec.esn = true;
    Host host;
    auto sa = host.add(spec);
    ASSERT_EQ(receive(host, numbered(spec, 100)), DropReason::none);
    sa->take_events();
    for (std::uint64_t ahead : {1ull << 32, (1ull << 32) + 50, 1ull << 33, 1ull << 40})
      expect_refused(host, *sa, numbered(spec, 101 + ahead), DropReason::icv);
    EXPECT_EQ(refused(*sa, DropReason::icv), 4u) << "what an operator sees of it";
    EXPECT_EQ(receive(host, numbered(spec, 101)), DropReason::none);
  }
}

}  // namespace saline::test
