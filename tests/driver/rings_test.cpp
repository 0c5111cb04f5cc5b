// The rings against a fake card that sends every frame back: order, wrap, bounce copies, and cards
// that lie or vanish.
#include <gtest/gtest.h>

#include <numeric>

#include "driver/device.hpp"
#include "tests/driver/fake_card.hpp"

namespace saline::driver {
namespace {

using Bytes = std::vector<std::uint8_t>;

class RingsTest : public testing::TestWithParam<bool> {
 protected:
  RingsTest() : device(std::make_unique<FakeTransport>(card, GetParam())) {}

  static Bytes frame(std::size_t bytes, std::uint8_t first) {
    Bytes out(bytes);
    std::iota(out.begin(), out.end(), first);
    return out;
  }
  static TxFrame to_send(const Bytes& bytes, std::uint64_t cookie) {
    TxFrame out;
    out.data = bytes.data();
    out.bytes = static_cast<std::uint16_t>(bytes.size());
    out.cookie = cookie;
    return out;
  }
  static RxBuffer to_fill(Bytes& bytes, std::uint64_t cookie) {
    return {bytes.data(), static_cast<std::uint16_t>(bytes.size()), cookie};
  }

  FakeCard card;
  Device device;
};

INSTANTIATE_TEST_SUITE_P(Buffers, RingsTest, testing::Values(true, false),
                         [](const auto& parameter) {
                           return parameter.param ? std::string("InPlace") : std::string("Bounced");
                         });

TEST_P(RingsTest, FramesKeepOrderAndContentOverManyWraps) {
  device.start({.transmit = 4, .receive = 8, .events = 4});
  std::uint64_t copied = 0;
  for (std::uint64_t i = 0; i < 100; ++i) {
    const Bytes sent = frame(14 + i * 7, static_cast<std::uint8_t>(i));
    Bytes buffer(1000);
    ASSERT_EQ(device.post_receive(std::array{to_fill(buffer, 1000 + i)}), 1u);
    ASSERT_EQ(device.transmit(std::array{to_send(sent, i)}), 1u);
    std::array<std::uint64_t, 4> cookies{};
    ASSERT_EQ(device.reap_transmitted(cookies), 1u);
    EXPECT_EQ(cookies[0], i);
    std::array<RxFrame, 4> received{};
    ASSERT_EQ(device.receive(received), 1u) << i;
    EXPECT_EQ(received[0].cookie, 1000 + i);
    ASSERT_EQ(received[0].bytes, sent.size());
    EXPECT_EQ(received[0].spi, 0x1234u);
    buffer.resize(sent.size());
    EXPECT_EQ(buffer, sent);
    copied += 2 * sent.size();
  }
  EXPECT_EQ(device.copied_bytes(), GetParam() ? 0 : copied);
}

TEST_P(RingsTest, TakesNoMoreThanTheRingsHold) {
  device.start({.transmit = 4, .receive = 4, .events = 4});
  const Bytes bytes = frame(60, 1);
  std::vector<TxFrame> frames(9, to_send(bytes, 0));
  EXPECT_EQ(device.transmit(frames), 4u);
  EXPECT_EQ(device.transmit(frames), 0u);
  EXPECT_EQ(device.transmit_room(), 0u);
  std::array<std::uint64_t, 3> cookies{};
  EXPECT_EQ(device.reap_transmitted(cookies), 3u);
  EXPECT_EQ(device.transmit_room(), 3u);
  Bytes buffer(100);
  std::vector<RxBuffer> buffers(9, to_fill(buffer, 0));
  EXPECT_EQ(device.post_receive(buffers), 4u);
  EXPECT_EQ(device.receive_room(), 0u);
}

TEST_P(RingsTest, EndsAtAFrameOfIllegalLength) {
  device.start({.frame_bytes = 1000});
  const Bytes good = frame(60, 1), runt = frame(13, 1);
  EXPECT_EQ(device.transmit(std::array{to_send(good, 1), to_send(runt, 2), to_send(good, 3)}), 1u);
  const Bytes giant(hw::kFrameBytesMax + 1);
  EXPECT_EQ(device.transmit(std::array{to_send(giant, 4)}), 0u);
  const Bytes larger_than_bounce(1100);
  EXPECT_EQ(device.transmit(std::array{to_send(larger_than_bounce, 5)}), GetParam() ? 1u : 0u);
}

TEST_P(RingsTest, PassesOnWhatTheCallerAsksOfAFrame) {
  device.start({});
  const Bytes bytes = frame(60, 1);
  TxFrame tx = to_send(bytes, 1);
  tx.protect = true;
  tx.sa_index = 7;
  tx.sa_tag = 0x55AA;
  device.transmit(std::array{tx});
  std::array<std::uint64_t, 1> cookies{};
  device.reap_transmitted(cookies);
  ASSERT_EQ(card.descriptors.size(), 1u);
  EXPECT_TRUE(card.descriptors[0].protect);
  EXPECT_FALSE(card.descriptors[0].classify);
  EXPECT_EQ(card.descriptors[0].sa_index, 7u);
  EXPECT_EQ(card.descriptors[0].sa_tag, 0x55AAu);
}

TEST_P(RingsTest, WaitsForBothHalvesOfACompletion) {
  device.start({});
  const Bytes bytes = frame(60, 1);
  Bytes buffer(100);
  device.post_receive(std::array{to_fill(buffer, 1)});
  device.transmit(std::array{to_send(bytes, 1)});
  card.half_from = 16;
  std::array<RxFrame, 1> received{};
  EXPECT_EQ(device.receive(received), 0u) << "phase is there, the length is not";
  std::uint8_t* entry = card.entry(hw::reg::rx_done_low, hw::reg::rx_size_log2, 0);
  entry[1] = 60;
  EXPECT_EQ(device.receive(received), 1u);
}

TEST_P(RingsTest, GoesOnAfterAFrameLostToABusError) {
  device.start({.transmit = 4, .receive = 4, .events = 4});
  const Bytes bytes = frame(60, 1);
  Bytes buffer(100);
  card.frames_lost = 1;
  for (std::uint64_t i = 0; i < 2; ++i) {
    device.post_receive(std::array{to_fill(buffer, i)});
    device.transmit(std::array{to_send(bytes, i)});
  }
  std::array<RxFrame, 2> received{};
  ASSERT_EQ(device.receive(received), 2u);
  EXPECT_EQ(received[0].bytes, 0u);
  EXPECT_EQ(received[0].reason, hw::DropReason::dma);
  EXPECT_EQ(received[1].bytes, 60u);
}

TEST_P(RingsTest, NeverBelievesMoreBytesThanTheBufferHas) {
  device.start({});
  const Bytes bytes = frame(60, 1);
  Bytes buffer(64);
  device.post_receive(std::array{to_fill(buffer, 1)});
  device.transmit(std::array{to_send(bytes, 1)});
  card.claimed_bytes = 9000;
  std::array<RxFrame, 1> received{};
  ASSERT_EQ(device.receive(received), 1u);
  EXPECT_EQ(received[0].bytes, 64u);
}

TEST_P(RingsTest, StopsTrustingACardWithAnImpossibleCount) {
  device.start({});
  const Bytes bytes = frame(60, 1);
  card.extra_head = 5;
  device.transmit(std::array{to_send(bytes, 1)});
  std::array<std::uint64_t, 8> cookies{};
  EXPECT_EQ(device.reap_transmitted(cookies), 0u);
  EXPECT_TRUE(device.failed());
  EXPECT_EQ(device.transmit(std::array{to_send(bytes, 2)}), 0u);
}

TEST_P(RingsTest, NoticesACardThatIsGone) {
  device.start({});
  const Bytes bytes = frame(60, 1);
  card.refuse_doorbells = true;
  device.transmit(std::array{to_send(bytes, 1)});
  EXPECT_TRUE(device.failed());
  Bytes buffer(64);
  EXPECT_EQ(device.post_receive(std::array{to_fill(buffer, 1)}), 0u);
}

TEST_P(RingsTest, StopGivesBackWhatTheCardStillHeld) {
  device.start({});
  const Bytes bytes = frame(60, 1);
  Bytes buffer(64);
  device.post_receive(std::array{to_fill(buffer, 11), to_fill(buffer, 12)});
  device.transmit(std::array{to_send(bytes, 21), to_send(bytes, 22), to_send(bytes, 23)});
  device.stop();
  EXPECT_EQ(device.transmit(std::array{to_send(bytes, 24)}), 0u);
  std::array<std::uint64_t, 2> cookies{};
  EXPECT_EQ(device.reclaim_transmit(cookies), 2u);
  EXPECT_EQ(cookies[0], 21u);
  EXPECT_EQ(device.reclaim_transmit(cookies), 1u);
  EXPECT_EQ(device.reclaim_transmit(cookies), 0u);
  EXPECT_EQ(device.reclaim_receive(cookies), 2u);
  EXPECT_EQ(cookies[1], 12u);
  device.start({.transmit = 16});
  EXPECT_EQ(device.transmit_room(), 16u);
}

TEST_P(RingsTest, EventsComeOnceEachAndFreeTheirRoom) {
  device.start({.events = 4});
  for (std::uint32_t i = 0; i < 11; ++i) {
    hw::Event event;
    event.kind = static_cast<std::uint8_t>(hw::EventKind::soft_bytes);
    event.sa_index = static_cast<std::uint16_t>(i);
    event.phase = card.phase(hw::reg::event_size_log2, i);
    const auto record = event.encode();
    std::memcpy(card.entry(hw::reg::event_base_low, hw::reg::event_size_log2, i), record.data(),
                record.size());
    std::array<hw::Event, 4> events{};
    ASSERT_EQ(device.poll_events(events), 1u);
    EXPECT_EQ(events[0].sa_index, i);
    EXPECT_EQ(card.registers[hw::reg::event_head], i + 1);
    EXPECT_EQ(device.poll_events(events), 0u);
  }
}

}  // namespace
}  // namespace saline::driver
