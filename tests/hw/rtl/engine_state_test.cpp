// What ipsec_engine keeps of its SAs: windows, extended sequence numbers, lifetimes, events, and
// what table writes do to all that while packets are inside.
#include <set>

#include "tests/hw/rtl/engine_bench.hpp"

namespace {

using namespace saline::hw;
using namespace saline::hw::bench;

using State = Engine;

// RFC 4303 §3.4.3 by the letter: every number in a set.
class Window {
 public:
  explicit Window(uint64_t packets) : packets_(packets) {}
  bool accept(uint64_t number) {
    if (packets_ == 0) {
      top = std::max(top, number);
      return true;
    }
    if (number == 0 || (number <= top && top - number >= packets_)) return false;
    if (!seen_.insert(number).second) return false;
    top = std::max(top, number);
    return true;
  }
  uint64_t top = 0;

 private:
  uint64_t packets_;
  std::set<uint64_t> seen_;
};

std::vector<uint8_t> reasons(const std::vector<Received>& all) {
  std::vector<uint8_t> list;
  for (const auto& one : all) list.push_back(one.completion.reason);
  return list;
}

SaContext inbound(Random& random, bool esn, unsigned words) {
  SaContext sa = make_sa(random, true, false, esn, false);
  sa.deliver_failed = true;
  sa.replay_words = static_cast<uint8_t>(words);
  return sa;
}

TEST_F(State, WindowsWalkAsTheRfcSays) {
  FrameForm form;
  form.payload = 20;
  const Bytes frame = make_frame(random, form);
  for (unsigned words : {0U, 1U, 2U, 5U, 32U}) {
    const SaContext sa = inbound(random, false, words);
    const uint64_t size = words * 32;
    engine.hold(static_cast<uint16_t>(words), sa, {});
    Window window(size);
    std::vector<uint8_t> expected;
    std::vector<uint64_t> walk = {0, 1, 1, 2, size, size + 1, 1, 2, 3, size + 1};
    for (int i = 0; i < 300; i++) {
      const uint64_t top = walk.back();
      const unsigned dice = static_cast<unsigned>(random.between(0, 9));
      if (dice < 4) walk.push_back(top + random.between(1, 3));
      if (dice == 4) walk.push_back(top);
      if (dice == 5) walk.push_back(top - std::min(top, random.between(0, size + 40)));
      if (dice == 6) walk.push_back(top - std::min(top, size - std::min<uint64_t>(size, 1)));
      if (dice == 7) walk.push_back(top - std::min(top, size));
      if (dice == 8) walk.push_back(top + random.between(1, 2 * size + 70));
      if (dice == 9) walk.push_back(top + random.between(1, 1 << 20));
    }
    walk.push_back(0xFFFFFFFF);
    walk.push_back(0xFFFFFFFF);
    walk.push_back(0xFFFFFFFF - size);
    for (uint64_t number : walk) {
      expected.push_back(window.accept(number) ? 0 : static_cast<uint8_t>(DropReason::replay));
      engine.receive(protect(frame, sa, number));
    }
    engine.run();
    EXPECT_EQ(reasons(engine.delivered()), expected) << "window of " << size;
    const SaCounters counters =
        engine.sa_counters(CountBank::ingress_sa, static_cast<uint16_t>(words));
    EXPECT_EQ(counters.sequence_number, window.top);
    EXPECT_EQ(counters.replay, static_cast<size_t>(std::ranges::count(expected, 3)));
    EXPECT_EQ(counters.packets, static_cast<size_t>(std::ranges::count(expected, 0)));
    engine.unlink(sa.spi);
  }
}

TEST_F(State, OfCopiesBackToBackExactlyOnePasses) {
  const SaContext sa = inbound(random, true, 2);
  engine.hold(0, sa, {});
  for (unsigned stalls : {0U, 40U}) {
    engine.stall(stalls);
    for (size_t payload : {0U, 20U, 200U, 1400U}) {
      FrameForm form;
      form.payload = payload;
      const Bytes frame = make_frame(random, form);
      const uint64_t number = random.between(1, 1000) + 2000 * payload + 100000 * (stalls + 1);
      for (int copy = 0; copy < 6; copy++) engine.receive(protect(frame, sa, number));
      engine.run();
      EXPECT_EQ(reasons(engine.delivered()), (std::vector<uint8_t>{0, 3, 3, 3, 3, 3}));
    }
  }
}

TEST_F(State, AForgedNumberFarAheadDoesNotMoveTheWindow) {
  const SaContext sa = inbound(random, false, 1);
  engine.hold(0, sa, {});
  FrameForm form;
  const Bytes frame = make_frame(random, form);
  const auto forged = [&](uint64_t number) {
    Bytes secret = protect(frame, sa, number);
    secret.back() ^= 1;
    return secret;
  };
  engine.receive(protect(frame, sa, 40));
  engine.receive(forged(4000000000));
  engine.receive(forged(39));
  engine.receive(protect(frame, sa, 39));
  engine.receive(protect(frame, sa, 41));
  engine.run();
  EXPECT_EQ(reasons(engine.delivered()), (std::vector<uint8_t>{0, 4, 4, 0, 0}));
  EXPECT_EQ(engine.sa_counters(CountBank::ingress_sa, 0).sequence_number, 41U);
}

TEST_F(State, ExtendedNumbersCrossTheEpochInBothDirections) {
  FrameForm form;
  form.payload = 10;
  const Bytes frame = make_frame(random, form);
  for (unsigned words : {0U, 1U, 32U}) {
    SaContext sa = inbound(random, true, words);
    const uint64_t epoch = random.between(0, 1) << 33;
    sa.sequence_number = epoch + 0xFFFFFFF0;
    engine.hold(2, sa, {});
    const std::vector<uint64_t> walk = {0xFFFFFFFE,  0x100000002, 0xFFFFFFFF,  0xFFFFFFFF,
                                        0x100000000, 0x100000001, 0xFFFFFFFD,  0x100000010,
                                        0x17FFFFFF0, 0x1FFFFFFF0, 0x1FFFFFFFF, 0x200000000};
    std::vector<uint64_t> numbers;
    for (uint64_t number : walk) {
      numbers.push_back(epoch + number);
      engine.receive(protect(frame, sa, epoch + number));
      engine.run();  // each sees the window the one before has left
    }
    const auto delivered = engine.delivered();
    ASSERT_EQ(delivered.size(), walk.size());
    for (size_t i = 0; i < walk.size(); i++) {
      const bool again = words != 0 && i == 3;
      EXPECT_EQ(delivered[i].completion.reason, again ? 3 : 0) << i;
      EXPECT_EQ(delivered[i].completion.sequence_number, numbers[i]) << i;
    }
    EXPECT_EQ(engine.sa_counters(CountBank::ingress_sa, 2).sequence_number, numbers.back());
    engine.unlink(sa.spi);
  }
}

TEST_F(State, NumbersUpToTheInstalledEdgeCountAsSeen) {
  SaContext sa = inbound(random, false, 4);
  sa.sequence_number = 1000;
  engine.hold(0, sa, {});
  const Bytes frame = make_frame(random, FrameForm{});
  for (uint64_t number : {999, 1000, 1001, 900}) engine.receive(protect(frame, sa, number));
  engine.run();
  EXPECT_EQ(reasons(engine.delivered()), (std::vector<uint8_t>{3, 3, 0, 3}));
}

TEST_F(State, TheLastNumberIsSentOnceAndNothingAfterIt) {
  for (bool esn : {false, true}) {
    SaContext sa = make_sa(random, true, false, esn, true);
    const uint64_t last = esn ? ~uint64_t{0} : 0xFFFFFFFF;
    sa.sequence_number = last - 2;
    engine.install(Table::egress_sa, 5, sa);
    const Bytes frame = make_frame(random, FrameForm{});
    for (int i = 0; i < 5; i++) engine.transmit(frame, 5, sa);
    engine.run();
    EXPECT_EQ(engine.sent(),
              (std::vector<Bytes>{protect(frame, sa, last - 1), protect(frame, sa, last)}));
    const auto events = engine.events();
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0].kind, static_cast<uint8_t>(EventKind::seq_overflow));
    EXPECT_EQ(events[0].sa_index, 5);
    EXPECT_EQ(events[0].sa_tag, sa.sa_tag);
    EXPECT_FALSE(events[0].inbound);
    const SaCounters counters = engine.sa_counters(CountBank::egress_sa, 5);
    EXPECT_EQ(counters.sequence_number, last);
    EXPECT_EQ(counters.packets, 2U);
    EXPECT_EQ(counters.other, 3U);
  }
  EXPECT_EQ(engine.refused(CountBank::egress_reasons, DropReason::seq_overflow), 6U);
}

struct Lifetimes {
  const char* name;
  uint64_t SaContext::*soft;
  uint64_t SaContext::*hard;
  uint64_t unit;
  EventKind soft_kind, hard_kind;
};

TEST_F(State, LifetimesEndSoftAndHardInBothDirections) {
  const Bytes frame = make_frame(random, FrameForm{});  // an IPv4 packet of 84 bytes
  const Lifetimes all[] = {{"packets", &SaContext::packets_soft, &SaContext::packets_hard, 1,
                            EventKind::soft_packets, EventKind::hard_packets},
                           {"bytes", &SaContext::bytes_soft, &SaContext::bytes_hard, 84,
                            EventKind::soft_bytes, EventKind::hard_bytes}};
  for (const Lifetimes& lifetime : all) {
    for (bool inward : {false, true}) {
      SaContext sa = inbound(random, false, 2);
      sa.*lifetime.soft = 3 * lifetime.unit;
      sa.*lifetime.hard = 5 * lifetime.unit;
      if (inward) {
        engine.hold(9, sa, {});
        for (uint64_t i = 1; i <= 8; i++) engine.receive(protect(frame, sa, i));
      } else {
        engine.install(Table::egress_sa, 9, sa);
        for (int i = 0; i < 8; i++) engine.transmit(frame, 9, sa);
      }
      engine.run();
      if (inward) {
        EXPECT_EQ(reasons(engine.delivered()), (std::vector<uint8_t>{0, 0, 0, 0, 0, 6, 6, 6}));
        engine.unlink(sa.spi);
      } else {
        EXPECT_EQ(engine.sent().size(), 5U);
      }
      const auto events = engine.events();
      ASSERT_EQ(events.size(), 2U) << lifetime.name << inward;
      EXPECT_EQ(events[0].kind, static_cast<uint8_t>(lifetime.soft_kind));
      EXPECT_EQ(events[0].packets, 3U);
      EXPECT_EQ(events[0].octets, 3U * 84U);
      EXPECT_EQ(events[1].kind, static_cast<uint8_t>(lifetime.hard_kind));
      EXPECT_EQ(events[1].packets, 5U);
      EXPECT_EQ(events[1].inbound, inward);
      const auto bank = inward ? CountBank::ingress_sa : CountBank::egress_sa;
      const SaCounters counters = engine.sa_counters(bank, 9);
      EXPECT_EQ(counters.packets, 5U);
      EXPECT_EQ(counters.octets, 5U * 84U);
      EXPECT_EQ(counters.other, 3U);
      EXPECT_EQ(counters.sequence_number, 5U) << "a refused packet takes no number";
    }
  }
}

TEST_F(State, UpdateKeepsNumbersAndInstallStartsAnew) {
  SaContext sa = make_sa(random, true, false, false, false);
  const Bytes frame = make_frame(random, FrameForm{});
  engine.install(Table::egress_sa, 1, sa);
  for (int i = 0; i < 3; i++) engine.transmit(frame, 1, sa);
  engine.run();
  engine.sent();
  sa.hop_limit ^= 0x55;
  engine.install(Table::egress_sa, 1, sa, TableOp::update);
  engine.transmit(frame, 1, sa);
  engine.run();
  EXPECT_EQ(engine.sent(), std::vector<Bytes>{protect(frame, sa, 4)});
  sa.sequence_number = 77;
  sa.iv_base ^= 0x1234567;
  engine.install(Table::egress_sa, 1, sa);
  engine.transmit(frame, 1, sa);
  engine.run();
  EXPECT_EQ(engine.sent(), std::vector<Bytes>{protect(frame, sa, 78)});
  const SaCounters counters = engine.sa_counters(CountBank::egress_sa, 1);
  EXPECT_EQ(counters.packets, 1U);
  EXPECT_EQ(counters.sequence_number, 78U);

  SaContext in = inbound(random, false, 1);
  engine.hold(1, in, {});
  const auto refused_at = [&](uint64_t number) {
    engine.receive(protect(frame, in, number));
    engine.run();
    return reasons(engine.delivered()).at(0);
  };
  EXPECT_EQ(refused_at(5), 0);
  engine.install(Table::ingress_sa, 1, in, TableOp::update);
  EXPECT_EQ(refused_at(5), 3) << "an update forgets the window";
  engine.install(Table::ingress_sa, 1, in);
  EXPECT_EQ(refused_at(5), 0) << "the new SA has the window of the old one";
}

// While packets are inside, slots are installed anew with other keys: every packet that leaves is
// one that one of the SAs could have sent, and no SA uses a number twice.
TEST_F(State, InstallUnderTrafficNeverRepeatsANumber) {
  std::vector<SaContext> generations;
  std::vector<Bytes> frames;
  engine.stall(10);
  for (int generation = 0; generation < 12; generation++) {
    SaContext sa = make_sa(random, true, false, false, false);
    sa.sa_tag = 42;
    generations.push_back(sa);
    engine.install(Table::egress_sa, 0, sa);
    for (int i = 0; i < 10; i++) {
      frames.push_back(carried_frame(random, sa, 300));
      engine.transmit(frames.back(), 0, sa);
    }
    for (size_t wait = random.between(0, 150); wait > 0; wait--) engine.tick();
  }
  engine.run();
  std::set<std::pair<uint32_t, uint32_t>> used;
  const auto sent = engine.sent();
  size_t next = 0;
  for (const Bytes& packet : sent) {
    const size_t esp = ip_begin(packet) + 20;
    const auto read = [&](size_t at) {
      return static_cast<uint32_t>(packet[at] << 24 | packet[at + 1] << 16 | packet[at + 2] << 8 |
                                   packet[at + 3]);
    };
    const auto sa = std::ranges::find(generations, read(esp), &SaContext::spi);
    ASSERT_NE(sa, generations.end());
    EXPECT_TRUE(used.insert({read(esp), read(esp + 4)}).second) << "a number was used twice";
    while (next < frames.size() && protect(frames[next], *sa, read(esp + 4)) != packet) next++;
    ASSERT_LT(next, frames.size()) << "a packet that no SA made of any frame";
  }
  EXPECT_EQ(sent.size() + engine.refused(CountBank::egress_reasons, DropReason::stale_sa),
            frames.size());
}

TEST_F(State, InstallUnderTrafficNeverDeliversTwice) {
  const SaContext sa = inbound(random, false, 2);
  engine.hold(0, sa, {});
  engine.stall(10);
  std::vector<Bytes> frames;
  uint64_t number = 0;
  for (int round = 0; round < 12; round++) {
    for (int i = 0; i < 8; i++) {
      frames.push_back(without_padding(carried_frame(random, sa, 300)));
      const Bytes secret = protect(frames.back(), sa, ++number);
      engine.receive(secret);
      engine.receive(secret);
    }
    for (size_t wait = random.between(0, 400); wait > 0; wait--) engine.tick();
    // The slot is emptied, so that its window stands still; the new SA goes on from its edge.
    engine.remove(Table::ingress_sa, 0);
    SaContext again = sa;
    again.sequence_number = engine.sa_counters(CountBank::ingress_sa, 0).sequence_number;
    engine.install(Table::ingress_sa, 0, again);
  }
  engine.run();
  std::multiset<Bytes> passed;
  for (const auto& one : engine.delivered()) {
    if (one.completion.through_sa && one.completion.reason == 0) passed.insert(one.frame);
  }
  for (const Bytes& frame : passed) {
    EXPECT_EQ(passed.count(frame), 1U);
    EXPECT_NE(std::ranges::find(frames, frame), frames.end());
  }
  EXPECT_GT(passed.size(), 10U);
}

TEST_F(State, RemoveUnderTrafficStopsTheSa) {
  const SaContext in = inbound(random, false, 1);
  const SaContext out = make_sa(random, true, true, true, true);
  const Bytes frame = make_frame(random, FrameForm{});
  engine.hold(0, in, {});
  engine.install(Table::egress_sa, 0, out);
  for (uint64_t i = 1; i <= 40; i++) {
    engine.receive(protect(frame, in, i));
    engine.transmit(frame, 0, out);
  }
  for (int i = 0; i < 150; i++) engine.tick();
  engine.remove(Table::ingress_sa, 0);
  engine.remove(Table::egress_sa, 0);
  engine.run();
  uint64_t number = 0;
  const auto sent = engine.sent();
  for (const Bytes& packet : sent) EXPECT_EQ(packet, protect(frame, out, ++number));
  EXPECT_EQ(number + engine.refused(CountBank::egress_reasons, DropReason::stale_sa), 40U);
  EXPECT_GT(number, 0U);
  EXPECT_LT(number, 40U);
  size_t passed = 0, left_alone = 0, refused = 0;
  for (const auto& one : engine.delivered()) {
    if (one.completion.reason == static_cast<uint8_t>(DropReason::no_sa)) {
      refused++;
    } else {
      one.completion.through_sa ? passed++ : left_alone++;
    }
  }
  EXPECT_EQ(passed + left_alone + refused, 40U);
  EXPECT_GT(passed, 0U);
  EXPECT_GT(left_alone, 0U);
}

TEST_F(State, EventsWithoutAReaderAreCountedAsLost) {
  const Bytes frame = make_frame(random, FrameForm{});
  engine.stall(100);
  for (uint16_t i = 0; i < 20; i++) {
    SaContext sa = make_sa(random, true, false, false, false);
    sa.packets_soft = 1;
    engine.install(Table::egress_sa, i, sa);
    engine.transmit(frame, i, sa);
  }
  engine.stall(0);
  engine.stall_events(100);
  for (int i = 0; i < 2000; i++) engine.tick();
  engine.stall_events(0);
  engine.run();
  const size_t got = engine.events().size();
  EXPECT_GE(got, 4U);
  EXPECT_EQ(got + engine.counter(CountBank::port, static_cast<uint16_t>(PortCount::event_lost)),
            20U);
  EXPECT_EQ(engine.sent().size(), 20U) << "the data path waited for the event channel";
}

TEST_F(State, CountsWhatTheShellReports) {
  engine.model.tx_drop_i = 1;
  engine.model.tx_drop_reason_i = static_cast<uint8_t>(DropReason::dma);
  engine.model.rx_drop_i = 1;
  engine.model.rx_drop_reason_i = static_cast<uint8_t>(DropReason::no_buffer);
  engine.model.rx_delivered_i = 1;
  engine.model.rx_delivered_bytes_i = 1000;
  engine.model.event_lost_i = 1;
  engine.model.bus_error_i = 1;
  for (int i = 0; i < 3; i++) engine.tick();
  engine.model.tx_drop_i = engine.model.rx_drop_i = 0;
  engine.model.rx_delivered_i = engine.model.event_lost_i = engine.model.bus_error_i = 0;
  engine.transmit(random.bytes(99));
  engine.run();
  const auto port = [&](PortCount which) {
    return engine.counter(CountBank::port, static_cast<uint16_t>(which));
  };
  EXPECT_EQ(engine.refused(CountBank::egress_reasons, DropReason::dma), 3U);
  EXPECT_EQ(engine.refused(CountBank::ingress_reasons, DropReason::no_buffer), 3U);
  EXPECT_EQ(port(PortCount::tx_packets), 1U);
  EXPECT_EQ(port(PortCount::tx_bytes), 99U);
  EXPECT_EQ(port(PortCount::rx_packets), 3U);
  EXPECT_EQ(port(PortCount::rx_bytes), 3000U);
  EXPECT_EQ(port(PortCount::event_lost), 3U);
  EXPECT_EQ(port(PortCount::bus_errors), 3U);
  EXPECT_EQ(engine.counter(CountBank::port, 77), 0U);
  EXPECT_EQ(engine.counter(CountBank::egress_sa, 256), 0U);
  EXPECT_EQ(engine.counter(static_cast<CountBank>(9), 0), 0U);
}

}  // namespace
