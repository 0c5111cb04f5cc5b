// What bad packets get from ipsec_engine on their way in: the reason, a counter, at most the head
// of the frame as it came, and no trace in the window.
#include "tests/hw/rtl/engine_bench.hpp"

namespace {

using namespace saline::hw;
using namespace saline::hw::bench;

class Refusal : public Engine {
 protected:
  // One inbound SA in slot 3, refused frames delivered.
  void hold(bool tunnel, bool outer_ipv6 = false) {
    sa_ = make_sa(random, tunnel, outer_ipv6, random.percent(50), random.percent(50));
    sa_.deliver_failed = true;
    sa_.replay_words = 2;
    number_ = 0;
    engine.hold(3, sa_, {});
  }
  Bytes plain(size_t payload = 100) {
    FrameForm form;
    form.ipv6 = random.percent(50);
    form.payload = payload;
    form.vlan = random.percent(30);
    return make_frame(random, form);
  }
  Received one(const Bytes& frame) {
    engine.receive(frame);
    engine.run();
    const auto all = engine.delivered();
    EXPECT_EQ(all.size(), 1U);
    return all.empty() ? Received{} : all[0];
  }
  void expect_refused(const Bytes& frame, DropReason reason, const std::string& what) {
    const uint64_t before = engine.refused(CountBank::ingress_reasons, reason);
    const Received got = one(frame);
    EXPECT_EQ(got.completion.reason, static_cast<uint8_t>(reason)) << what;
    EXPECT_TRUE(got.completion.through_sa) << what;
    EXPECT_FALSE(got.completion.tunnel) << what;
    EXPECT_EQ(got.completion.sa_index, 3) << what;
    EXPECT_EQ(got.completion.sa_tag, sa_.sa_tag) << what;
    EXPECT_EQ(got.completion.spi, sa_.spi) << what;
    Bytes head = frame;
    head.resize(std::min<size_t>(head.size(), 128));
    EXPECT_EQ(got.frame, head) << what;
    EXPECT_EQ(engine.refused(CountBank::ingress_reasons, reason), before + 1) << what;
  }
  void expect_untouched(const Bytes& frame, bool esp, const std::string& what) {
    const Received got = one(frame);
    EXPECT_EQ(got.completion.reason, 0) << what;
    EXPECT_FALSE(got.completion.through_sa) << what;
    EXPECT_EQ(got.completion.esp, esp) << what;
    EXPECT_EQ(got.frame, frame) << what;
  }
  void expect_good(const Bytes& secret, const Bytes& frame, const std::string& what) {
    const Received got = one(secret);
    EXPECT_EQ(got.completion.reason, 0) << what;
    EXPECT_EQ(got.frame, without_padding(frame)) << what;
  }
  // IP length fields set to the frame's own length.
  static void refit(Bytes& frame) {
    const size_t begin = ip_begin(frame);
    if (frame[begin] >> 4 == 4) {
      put16(frame, begin + 2, frame.size() - begin);
      put16(frame, begin + 10, header_checksum(frame, begin));
    } else {
      put16(frame, begin + 4, frame.size() - begin - 40);
    }
  }
  size_t esp_begin(const Bytes& secret) const {
    const Bytes spi = {static_cast<uint8_t>(sa_.spi >> 24), static_cast<uint8_t>(sa_.spi >> 16),
                       static_cast<uint8_t>(sa_.spi >> 8), static_cast<uint8_t>(sa_.spi)};
    const auto at = std::search(secret.begin() + 34, secret.end(), spi.begin(), spi.end());
    return static_cast<size_t>(at - secret.begin());
  }

  SaContext sa_;
  uint64_t number_ = 0;
};

TEST_F(Refusal, EveryFlippedBitOfAPacketIsRefusedAndLeavesNoTrace) {
  for (unsigned mix = 0; mix < 4; mix++) {
    hold((mix & 1) != 0, (mix & 2) != 0);
    const Bytes frame = plain(random.between(1, 40));
    const uint64_t number = 5;  // no flip makes it 0
    const Bytes secret = protect(frame, sa_, number);
    const size_t begin = esp_begin(secret);
    ASSERT_LT(begin, secret.size());
    for (size_t bit = 8 * begin; bit < 8 * secret.size(); bit++) {
      Bytes bad = secret;
      bad[bit / 8] ^= static_cast<uint8_t>(1U << bit % 8);
      if (bit < 8 * (begin + 4)) {
        expect_untouched(bad, true, "SPI bit " + std::to_string(bit));
      } else {
        expect_refused(bad, DropReason::icv, "bit " + std::to_string(bit));
      }
      if (HasFailure()) return;
    }
    const SaCounters counters = engine.sa_counters(CountBank::ingress_sa, 3);
    EXPECT_EQ(counters.sequence_number, 0U) << "the window moved";
    EXPECT_EQ(counters.packets, 0U);
    EXPECT_EQ(counters.octets, 0U);
    EXPECT_EQ(counters.icv, 8 * (secret.size() - begin - 4));
    expect_good(secret, frame, "the packet itself");
    engine.unlink(sa_.spi);
  }
}

TEST_F(Refusal, LengthsThatDoNotAgree) {
  for (bool tunnel : {false, true}) {
    hold(tunnel);
    const Bytes secret = protect(plain(), sa_, 1);
    const size_t begin = esp_begin(secret);
    for (size_t cut = 1; cut < secret.size() - begin - 8; cut++) {
      Bytes bad = secret;
      bad.resize(secret.size() - cut);
      refit(bad);
      const bool possible = cut % 4 == 0 && bad.size() - begin >= 36;
      expect_refused(bad, possible ? DropReason::icv : DropReason::malformed,
                     "cut by " + std::to_string(cut));
      if (HasFailure()) return;
    }
    for (size_t left = 0; left < 8; left++) {
      Bytes bad = secret;
      bad.resize(begin + left);
      refit(bad);
      expect_untouched(bad, true, "ESP header cut to " + std::to_string(left));
    }
    Bytes lying = secret;  // an IP length beyond the frame is no ESP to us
    lying.resize(lying.size() - 4);
    expect_untouched(lying, false, "IP length beyond the frame");
    EXPECT_EQ(engine.sa_counters(CountBank::ingress_sa, 3).sequence_number, 0U);
    engine.unlink(sa_.spi);
  }
}

TEST_F(Refusal, PaddingLongerThanTheText) {
  for (bool tunnel : {false, true}) {
    hold(tunnel);
    const Bytes frame = plain(30);
    const size_t text = (octets(frame, sa_) + 2 + 3) / 4 * 4;
    for (size_t field = text - 1; field <= 255; field++) {
      Twist twist;
      twist.pad_length_field = static_cast<int>(field);
      expect_refused(protect(frame, sa_, ++number_, twist), DropReason::malformed,
                     "pad length " + std::to_string(field));
      if (HasFailure()) return;
    }
    engine.unlink(sa_.spi);
  }
}

TEST_F(Refusal, NotOfPaddingOfAnyLength) {
  for (bool tunnel : {false, true}) {
    hold(tunnel);
    for (int pad = 0; pad <= 255; pad++) {
      Bytes frame = plain(100 + static_cast<size_t>((254 - pad) & 3) + 300 % 4);
      while ((octets(frame, sa_) + static_cast<size_t>(pad) + 2) % 4 != 0) {
        frame = plain(random.between(0, 200));
      }
      Twist twist;
      twist.pad = pad;
      expect_good(protect(frame, sa_, ++number_, twist), frame, "pad " + std::to_string(pad));
      if (HasFailure()) return;
    }
    engine.unlink(sa_.spi);
  }
}

TEST_F(Refusal, NextHeadersThatTheModeDoesNotAllow) {
  hold(false);
  Twist twist;
  for (int next : {4, 41}) {
    twist.next_header = next;
    expect_refused(protect(plain(), sa_, ++number_, twist), DropReason::policy, "IP in transport");
  }
  engine.unlink(sa_.spi);
  hold(true);
  for (int next = 0; next < 256; next++) {
    if (next == 4 || next == 41 || next == 59) continue;
    twist.next_header = next;
    expect_refused(protect(plain(), sa_, ++number_, twist), DropReason::policy,
                   "next header " + std::to_string(next));
  }
  const SaCounters counters = engine.sa_counters(CountBank::ingress_sa, 3);
  EXPECT_EQ(counters.sequence_number, number_) << "they were authentic: numbers are used up";
  EXPECT_EQ(counters.packets, 0U);
  EXPECT_EQ(counters.other, 253U);
}

TEST_F(Refusal, DummyPacketsVanishAndUseUpTheirNumber) {
  for (bool tunnel : {false, true}) {
    hold(tunnel);
    Twist twist;
    twist.next_header = 59;
    const Bytes secret = protect(plain(), sa_, 9, twist);
    engine.receive(secret);
    engine.run();
    EXPECT_TRUE(engine.delivered().empty());
    EXPECT_EQ(engine.sa_counters(CountBank::ingress_sa, 3).sequence_number, 9U);
    expect_refused(secret, DropReason::replay, "the same again");
    engine.unlink(sa_.spi);
  }
  EXPECT_EQ(engine.refused(CountBank::ingress_reasons, DropReason::dummy), 2U);
}

TEST_F(Refusal, InnerHeadersThatAreNone) {
  hold(true);
  const auto inner = [&](const char* what, bool ipv6, auto change) {
    FrameForm form;
    form.ipv6 = ipv6;
    Bytes frame = make_frame(random, form);
    const Bytes sane = frame;
    const size_t begin = ip_begin(frame);
    change(frame, begin);
    // The model reads lengths from the inner header: protect the sane frame's text instead.
    SaContext raw = sa_;
    Bytes text(frame.begin() + static_cast<long>(begin), frame.end());
    raw.tunnel = false;
    FrameForm around;
    around.payload = text.size();
    around.protocol = 4;
    Bytes carrier = make_frame(random, around);
    std::copy(text.begin(), text.end(), carrier.end() - static_cast<long>(text.size()));
    Twist twist;
    twist.next_header = ipv6 ? 41 : 4;
    expect_refused(protect(carrier, raw, ++number_, twist), DropReason::malformed, what);
  };
  for (unsigned version : {0U, 5U, 6U, 15U}) {
    inner("version", false,
          [&](Bytes& f, size_t at) { f[at] = static_cast<uint8_t>(version << 4 | 5); });
  }
  inner("IPv4 where IPv6 was said", true, [](Bytes& f, size_t at) { f[at] = 0x45; });
  inner("header shorter than 20", false, [](Bytes& f, size_t at) { f[at] = 0x44; });
  inner("total beyond the text", false, [](Bytes& f, size_t at) { put16(f, at + 2, 85); });
  inner("total far beyond the text", false, [](Bytes& f, size_t at) { put16(f, at + 2, 65535); });
  inner("total inside the header", false, [](Bytes& f, size_t at) { put16(f, at + 2, 19); });
  inner("total inside the options", false, [](Bytes& f, size_t at) {
    f[at] = 0x4F;
    put16(f, at + 2, 59);
  });
  inner("payload beyond the text", true, [](Bytes& f, size_t at) { put16(f, at + 4, 65); });
  inner("payload far beyond the text", true, [](Bytes& f, size_t at) { put16(f, at + 4, 65535); });
  inner("IPv4 shorter than a header", false, [](Bytes& f, size_t at) { f.resize(at + 19); });
  inner("IPv6 shorter than a header", true, [](Bytes& f, size_t at) {
    put16(f, at + 4, 0);
    f.resize(at + 39);
  });
}

TEST_F(Refusal, NotOfTfcPadding) {
  hold(true, true);
  for (size_t tfc : {1U, 2U, 3U, 4U, 60U, 200U, 1000U}) {
    const Bytes frame = plain(random.between(0, 100));
    Twist twist;
    twist.tfc = tfc;
    expect_good(protect(frame, sa_, ++number_, twist), frame, "TFC " + std::to_string(tfc));
  }
}

TEST_F(Refusal, CongestionMarksAsInRfc6040) {
  // [inner][outer]: RFC 6040 §4.2, figure 4; 4: refused.
  constexpr unsigned kMarks[4][4] = {{0, 0, 0, 4}, {1, 1, 1, 3}, {2, 1, 2, 3}, {3, 3, 3, 3}};
  for (bool copy : {true, false}) {
    for (unsigned mix = 0; mix < 4; mix++) {
      hold(true, (mix & 1) != 0);
      sa_.ecn_copy = copy;
      engine.install(Table::ingress_sa, 3, sa_);
      for (unsigned inner = 0; inner < 4; inner++) {
        for (unsigned outer = 0; outer < 4; outer++) {
          FrameForm form;
          form.ipv6 = (mix & 2) != 0;
          form.traffic_class = static_cast<uint8_t>(0xA8 | inner);
          form.options = form.ipv6 ? 0 : 4 * random.between(0, 10);
          Bytes frame = make_frame(random, form);
          Twist twist;
          twist.outer_ecn = static_cast<uint8_t>(outer);
          const Bytes secret = protect(frame, sa_, ++number_, twist);
          const std::string what = std::to_string(inner) + " in " + std::to_string(outer);
          if (copy && kMarks[inner][outer] == 4) {
            expect_refused(secret, DropReason::ecn, what);
          } else {
            if (copy) set_ecn(frame, ip_begin(frame), kMarks[inner][outer]);
            expect_good(secret, frame, what);
          }
        }
      }
      engine.unlink(sa_.spi);
    }
  }
}

TEST_F(Refusal, OuterSourceThatIsNotThePeers) {
  for (bool outer_ipv6 : {false, true}) {
    hold(true, outer_ipv6);
    sa_.verify_outer = true;
    engine.install(Table::ingress_sa, 3, sa_);
    const Bytes frame = plain();
    expect_good(protect(frame, sa_, ++number_), frame, "the peer's source");
    SaContext other = sa_;
    other.source[3] ^= 1;
    expect_refused(protect(frame, other, ++number_), DropReason::policy, "another source");
    EXPECT_EQ(engine.sa_counters(CountBank::ingress_sa, 3).sequence_number, number_ - 1);
    engine.unlink(sa_.spi);
  }
}

TEST_F(Refusal, SuitesTheCardDoesNotHave) {
  hold(true);
  const Bytes secret = protect(plain(), sa_, 1);
  for (unsigned suite : {0U, 3U, 255U}) {
    sa_.suite = static_cast<uint8_t>(suite);
    engine.install(Table::ingress_sa, 3, sa_);
    expect_refused(secret, DropReason::unsupported, "suite " + std::to_string(suite));
  }
}

TEST_F(Refusal, OnlyCountedUnlessTheSaAsksForTheFrame) {
  hold(true);
  sa_.deliver_failed = false;
  engine.install(Table::ingress_sa, 3, sa_);
  Bytes secret = protect(plain(), sa_, 1);
  secret.back() ^= 1;
  engine.receive(secret);
  secret.resize(secret.size() - 1);
  refit(secret);
  engine.receive(secret);
  engine.run();
  EXPECT_TRUE(engine.delivered().empty());
  EXPECT_EQ(engine.refused(CountBank::ingress_reasons, DropReason::icv), 1U);
  EXPECT_EQ(engine.refused(CountBank::ingress_reasons, DropReason::malformed), 1U);
}

TEST_F(Refusal, NotOfWhatIsNotForTheCard) {
  hold(true);
  const Bytes secret = protect(plain(), sa_, 1);
  Bytes fragment = secret;
  const size_t begin = ip_begin(secret);
  put16(fragment, begin + 6, 0x2000);
  expect_untouched(fragment, true, "first fragment");
  put16(fragment, begin + 6, 0x0010);
  expect_untouched(fragment, true, "later fragment");
  Bytes unknown = secret;
  unknown[begin + 20] ^= 0x80;
  expect_untouched(unknown, true, "unknown SPI");
  Bytes other = secret;
  other[begin + 9] = 51;
  expect_untouched(other, false, "another protocol");
  engine.remove(Table::ingress_sa, 3);
  expect_untouched(secret, true, "an SA that was removed");

  const SaContext transport = make_sa(random, false, false, false, false);
  engine.hold(4, transport, {});
  FrameForm form;
  form.ipv6 = true;
  form.routing = true;
  Bytes routed = protect(make_frame(random, form), transport, 1);
  routed[14 + 40 + 3] = 1;  // segments left
  expect_untouched(routed, true, "on its way through a routing header");
}

TEST_F(Refusal, NotOfTheLongestExtensionHeader) {
  // 2048 bytes: what follows lies outside the head window, whatever the header says it is.
  hold(false);
  for (uint8_t next : {uint8_t{60}, uint8_t{50}, uint8_t{6}}) {
    FrameForm form;
    form.ipv6 = true;
    form.payload = 2200;
    form.protocol = 60;
    Bytes frame = make_frame(random, form);
    frame[54] = next;
    frame[55] = 255;
    expect_untouched(frame, false, "then " + std::to_string(next));
  }
  const Bytes frame = plain();
  expect_good(protect(frame, sa_, 1), frame, "after them");
}

TEST_F(Refusal, DamagedAndOverlongFrames) {
  hold(true);
  const Bytes frame = plain();
  const Bytes secret = protect(frame, sa_, 7);
  engine.receive(secret, true);
  engine.receive(random.bytes(700), true);
  engine.receive(random.bytes(16385));
  engine.receive(random.bytes(40000));
  engine.receive(random.bytes(16384));
  engine.run();
  const auto delivered = engine.delivered();
  ASSERT_EQ(delivered.size(), 1U);
  EXPECT_EQ(delivered[0].frame.size(), 16384U);
  EXPECT_EQ(engine.refused(CountBank::ingress_reasons, DropReason::mac), 2U);
  EXPECT_EQ(engine.refused(CountBank::ingress_reasons, DropReason::too_big), 2U);
  EXPECT_EQ(engine.sa_counters(CountBank::ingress_sa, 3).other, 0U);
  expect_good(secret, frame, "undamaged");
}

TEST_F(Refusal, BrokenOtherFramesGoUpUntouched) {
  for (size_t i = 0; i < 300; i++) {
    Bytes frame = make_frame(random, random_form(random, 100));
    for (size_t flips = random.between(1, 4); flips > 0; flips--) {
      frame[random.between(12, std::min<size_t>(frame.size() - 1, 80))] ^=
          static_cast<uint8_t>(1U << random.between(0, 7));
    }
    if (random.percent(30)) frame.resize(random.between(14, frame.size()));
    const Received got = one(frame);
    ASSERT_EQ(got.frame, frame);
    ASSERT_EQ(got.completion.reason, 0);
  }
}

}  // namespace
