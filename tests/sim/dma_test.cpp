// The card's rings: every alignment and many sizes, wrap and phase, random stalls and answers out
// of order, bus errors, missing and short buffers, off and on again. The engine is a loopback.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sim/shell_rig.hpp"

namespace saline::sim {
namespace {

using hw::DropReason;

constexpr std::uint16_t kRoom = 16384;
constexpr std::uint8_t kUntouched = 0xC7;

std::vector<std::uint8_t> bytes_at(Rig& rig, std::uint64_t address, std::size_t bytes) {
  return {rig.memory.at(address), rig.memory.at(address) + bytes};
}

// Sends `bytes` from an address with that offset, and expects the same frame at the MAC.
TEST(DmaTransmit, ReadsFramesFromEveryByteAddress) {
  std::mt19937_64 random(1);
  Rig rig;
  rig.start();
  for (unsigned offset = 0; offset < 64; ++offset) {
    for (const std::size_t bytes : {14, 60, 63, 64, 65, 128, 129, 1514}) {
      const auto frame = random_frame(random, bytes);
      rig.send(rig.layout.buffers + 4096 - 64 + offset, frame);
      rig.settle();
      ASSERT_EQ(rig.mac.sent.size(), 1u) << offset << " " << bytes;
      ASSERT_EQ(rig.mac.sent.front(), frame) << offset << " " << bytes;
      rig.mac.sent.clear();
      ASSERT_EQ(rig.head(), rig.tx_posted);
    }
  }
}

TEST(DmaTransmit, ReadsEverySizeUpToTheLargest) {
  std::mt19937_64 random(2);
  Rig rig;
  rig.start();
  std::vector<std::size_t> sizes = {1518, 4095, 4096, 4097, 9000, 9600, 16383, 16384};
  for (std::size_t bytes = 14; bytes < 200; ++bytes) sizes.push_back(bytes);
  for (const std::size_t bytes : sizes) {
    const auto frame = random_frame(random, bytes);
    rig.send(rig.layout.buffers + random() % 8192, frame);
    rig.settle();
    ASSERT_EQ(rig.mac.sent.size(), 1u) << bytes;
    ASSERT_EQ(rig.mac.sent.front(), frame) << bytes;
    rig.mac.sent.clear();
  }
}

TEST(DmaTransmit, KeepsOrderAcrossManyWrapsUnderStalls) {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    Rig rig({.stall_percent = seed % 2 == 0 ? 50u : 0u,
             .stall_seed = seed,
             .read_latency = static_cast<unsigned>(5 * seed)});
    RigLayout layout;
    layout.tx_log2 = static_cast<unsigned>(2 + seed % 3);
    layout.tx += 64 * (seed % 7) + 4096 - 128;  // bursts meet page ends in the middle of the ring
    rig.start(layout);
    std::deque<std::vector<std::uint8_t>> sent;
    for (int batch = 0; batch < 60; ++batch) {
      const std::uint32_t room = (1u << layout.tx_log2) - (rig.tx_posted - rig.head());
      for (std::uint64_t n = random() % (room + 1); n > 0; --n) {
        const auto frame = random_frame(random, 14 + random() % (random() % 8 == 0 ? 9587 : 250));
        const std::uint64_t address =
            layout.buffers + (rig.tx_posted & 15) * 0x8000 + random() % 4096;
        std::copy(frame.begin(), frame.end(), rig.memory.at(address));
        rig.post_tx({.address = address, .bytes = static_cast<std::uint16_t>(frame.size())});
        sent.push_back(frame);
      }
      rig.ring_tx();
      rig.card.run(static_cast<unsigned>(random() % 400));
    }
    rig.settle();
    EXPECT_EQ(rig.head(), rig.tx_posted);
    ASSERT_EQ(rig.mac.sent.size(), sent.size());
    EXPECT_TRUE(rig.mac.sent == sent);
  }
}

TEST(DmaTransmit, CountsPastSixteenBits) {
  Rig rig;
  RigLayout layout;
  layout.tx_log2 = 15;
  rig.start(layout);
  const std::vector<std::uint8_t> frame(14, 0x5A);
  std::copy(frame.begin(), frame.end(), rig.memory.at(layout.buffers));
  constexpr std::uint32_t kFrames = 70'000;
  while (rig.tx_posted < kFrames) {
    for (int i = 0; i < 10'000; ++i) rig.post_tx({.address = layout.buffers, .bytes = 14});
    rig.ring_tx();
    rig.settle();
    rig.mac.sent.clear();
  }
  EXPECT_EQ(rig.head(), kFrames);
}

TEST(DmaTransmit, DropsABadLengthAndGoesOn) {
  Rig rig;
  rig.start();
  for (const std::uint16_t bytes : std::array<std::uint16_t, 4>{0, 13, 16385, 65535}) {
    rig.post_tx({.address = rig.layout.buffers, .bytes = bytes});
  }
  const std::vector<std::uint8_t> frame(77, 0x42);
  rig.send(rig.layout.buffers, frame);
  rig.settle();
  EXPECT_EQ(rig.head(), 5u);
  EXPECT_EQ(rig.tx_drops(DropReason::malformed), 4u);
  ASSERT_EQ(rig.mac.sent.size(), 1u);
  EXPECT_EQ(rig.mac.sent.front(), frame);
}

TEST(DmaTransmit, DropsAFrameWhoseReadFailsAnywhereAndGoesOn) {
  std::mt19937_64 random(3);
  for (const std::uint64_t where : {0, 1000, 4000, 8000, 8999}) {
    SCOPED_TRACE(where);
    Rig rig;
    rig.start();
    const auto bad = random_frame(random, 9000), good = random_frame(random, 100);
    const std::uint64_t address = rig.layout.buffers + 4000;
    rig.memory.faults.insert(address + where);
    std::copy(bad.begin(), bad.end(), rig.memory.at(address));
    rig.post_tx({.address = address, .bytes = 9000});
    rig.send(rig.layout.buffers + 0x8000, good);
    rig.settle();
    EXPECT_EQ(rig.head(), 2u);
    EXPECT_EQ(rig.tx_drops(DropReason::dma), 1u);
    ASSERT_EQ(rig.mac.sent.size(), 1u);
    EXPECT_EQ(rig.mac.sent.front(), good);
  }
}

TEST(DmaTransmit, DropsDescriptorsItCannotReadAndGoesOn) {
  Rig rig;
  rig.start();
  rig.memory.faults.insert(rig.layout.tx + 3);
  const std::vector<std::uint8_t> frame(64, 0x11);
  std::copy(frame.begin(), frame.end(), rig.memory.at(rig.layout.buffers));
  for (int i = 0; i < 3; ++i) rig.post_tx({.address = rig.layout.buffers, .bytes = 64});
  rig.ring_tx();
  rig.settle();
  EXPECT_EQ(rig.head(), 3u);
  EXPECT_EQ(rig.tx_drops(DropReason::dma), 3u);  // the whole burst was refused
  rig.memory.faults.clear();
  rig.send(rig.layout.buffers, frame);
  rig.settle();
  EXPECT_EQ(rig.head(), 4u);
  EXPECT_EQ(rig.mac.sent.size(), 1u);
}

TEST(DmaTransmit, AHeadThatCannotBeWrittenStopsNothing) {
  Rig rig;
  rig.start();
  rig.memory.faults.insert(rig.layout.head);
  rig.send(rig.layout.buffers, std::vector<std::uint8_t>(64, 1));
  rig.settle();
  rig.memory.faults.clear();
  rig.send(rig.layout.buffers, std::vector<std::uint8_t>(64, 2));
  rig.settle();
  EXPECT_EQ(rig.head(), 2u);
  EXPECT_EQ(rig.mac.sent.size(), 2u);
}

// ---- Receive

TEST(DmaReceive, WritesFramesToEveryByteAddressAndNothingBeside) {
  std::mt19937_64 random(4);
  Rig rig;
  rig.start();
  for (unsigned offset = 0; offset < 64; ++offset) {
    for (const std::size_t bytes : {14, 60, 64, 65, 127, 128, 1514}) {
      const std::uint64_t address = rig.layout.buffers + 4096 - 64 + offset;
      std::fill_n(rig.memory.at(address - 64), bytes + 128, kUntouched);
      const auto frame = random_frame(random, bytes);
      rig.post_rx(address, kRoom);
      rig.ring_rx();
      rig.mac.to_receive.push_back({frame});
      rig.settle();
      hw::RxCompletion completion;
      ASSERT_TRUE(rig.completion(completion)) << offset << " " << bytes;
      ASSERT_EQ(completion.bytes, bytes);
      ASSERT_EQ(completion.reason, 0);
      ASSERT_EQ(bytes_at(rig, address, bytes), frame) << offset << " " << bytes;
      ASSERT_THAT(bytes_at(rig, address - 64, 64), testing::Each(kUntouched)) << offset;
      ASSERT_THAT(bytes_at(rig, address + bytes, 64), testing::Each(kUntouched)) << offset;
    }
  }
}

TEST(DmaReceive, WritesEverySizeUpToTheLargest) {
  std::mt19937_64 random(5);
  Rig rig;
  rig.start();
  std::vector<std::size_t> sizes = {1518, 4095, 4096, 4097, 9000, 9600, 16383, 16384};
  for (std::size_t bytes = 14; bytes < 200; ++bytes) sizes.push_back(bytes);
  for (const std::size_t bytes : sizes) {
    const auto frame = random_frame(random, bytes);
    const std::uint64_t address = rig.layout.buffers + random() % 8192;
    rig.post_rx(address, kRoom);
    rig.ring_rx();
    rig.mac.to_receive.push_back({frame});
    rig.settle();
    hw::RxCompletion completion;
    ASSERT_TRUE(rig.completion(completion)) << bytes;
    ASSERT_EQ(completion.bytes, bytes);
    ASSERT_EQ(bytes_at(rig, address, bytes), frame) << bytes;
  }
}

TEST(DmaReceive, CompletesInOrderAcrossManyWrapsUnderStalls) {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    Rig rig({.stall_percent = seed % 2 == 0 ? 50u : 0u, .stall_seed = seed});
    RigLayout layout;
    layout.rx_log2 = static_cast<unsigned>(2 + seed % 3);
    layout.rx += 64 * (seed % 7) + 4096 - 128;
    rig.start(layout);
    std::deque<std::vector<std::uint8_t>> expected;
    std::deque<std::uint64_t> posted;
    std::size_t received = 0;
    for (int batch = 0; batch < 100 || received < expected.size(); ++batch) {
      ASSERT_LT(batch, 2000);
      while (posted.size() < (1u << layout.rx_log2)) {
        posted.push_back(layout.buffers + (rig.rx_posted & 31) * 0x8000 + random() % 4096);
        rig.post_rx(posted.back(), kRoom);
      }
      rig.ring_rx();
      rig.card.run(300);
      // Not more frames than there are buffers: none may be dropped here.
      for (std::uint64_t n = random() % 3; batch < 100 && n > 0; --n) {
        if (expected.size() - received + 1 > posted.size()) break;
        expected.push_back(random_frame(random, 14 + random() % (n == 1 ? 9587 : 250)));
        rig.mac.to_receive.push_back({expected.back()});
      }
      rig.card.run(static_cast<unsigned>(random() % 600));
      hw::RxCompletion completion;
      while (rig.completion(completion)) {
        ASSERT_EQ(completion.bytes, expected[received].size());
        ASSERT_EQ(bytes_at(rig, posted.front(), completion.bytes), expected[received]);
        posted.pop_front();
        ++received;
      }
    }
    EXPECT_GT(received, 50u);
    EXPECT_EQ(rig.rx_drops(DropReason::no_buffer), 0u);
    EXPECT_EQ(rig.count(hw::CountBank::port, 2), received);
  }
}

TEST(DmaReceive, DropsWithoutABufferAndCountsEach) {
  Rig rig;
  rig.start();
  for (int i = 0; i < 3; ++i) rig.mac.to_receive.push_back({std::vector<std::uint8_t>(700, 1)});
  rig.settle();
  EXPECT_EQ(rig.rx_drops(DropReason::no_buffer), 3u);
  rig.post_rx(rig.layout.buffers, kRoom);
  rig.ring_rx();
  const std::vector<std::uint8_t> frame(80, 2);
  rig.mac.to_receive.push_back({frame});
  rig.settle();
  hw::RxCompletion completion;
  ASSERT_TRUE(rig.completion(completion));
  EXPECT_EQ(completion.bytes, 80);
  EXPECT_EQ(bytes_at(rig, rig.layout.buffers, 80), frame);
}

TEST(DmaReceive, DropsAFrameLongerThanTheBufferAndKeepsTheBuffer) {
  Rig rig;
  rig.start();
  rig.post_rx(rig.layout.buffers, 100);
  rig.ring_rx();
  std::fill_n(rig.memory.at(rig.layout.buffers), 256, kUntouched);
  rig.mac.to_receive.push_back({std::vector<std::uint8_t>(101, 1)});
  rig.settle();
  EXPECT_EQ(rig.rx_drops(DropReason::no_buffer), 1u);
  EXPECT_THAT(bytes_at(rig, rig.layout.buffers, 256), testing::Each(kUntouched));
  rig.mac.to_receive.push_back({std::vector<std::uint8_t>(100, 2)});
  rig.settle();
  hw::RxCompletion completion;
  ASSERT_TRUE(rig.completion(completion));
  EXPECT_EQ(completion.bytes, 100);
  EXPECT_FALSE(rig.completion(completion));
}

TEST(DmaReceive, CompletesABufferItCannotWriteWithReasonDma) {
  std::mt19937_64 random(6);
  for (const std::uint64_t where : {0, 4000, 8999}) {
    SCOPED_TRACE(where);
    Rig rig;
    rig.start();
    rig.post_rx(rig.layout.buffers + 100, kRoom);
    rig.post_rx(rig.layout.buffers + 0x8000, kRoom);
    rig.ring_rx();
    rig.memory.faults.insert(rig.layout.buffers + 100 + where);
    const auto good = random_frame(random, 64);
    rig.mac.to_receive.push_back({random_frame(random, 9000)});
    rig.mac.to_receive.push_back({good});
    rig.settle();
    hw::RxCompletion completion;
    ASSERT_TRUE(rig.completion(completion));
    EXPECT_EQ(completion.bytes, 0);
    EXPECT_EQ(completion.reason, static_cast<std::uint8_t>(DropReason::dma));
    ASSERT_TRUE(rig.completion(completion));
    EXPECT_EQ(completion.reason, 0);
    EXPECT_EQ(bytes_at(rig, rig.layout.buffers + 0x8000, 64), good);
    EXPECT_EQ(rig.rx_drops(DropReason::dma), 1u);
    EXPECT_EQ(rig.count(hw::CountBank::port, 2), 1u);
    EXPECT_EQ(rig.count(hw::CountBank::port, 3), 64u);
  }
}

TEST(DmaReceive, CompletesDescriptorsItCannotReadWithReasonDma) {
  Rig rig;
  rig.start();
  rig.memory.faults.insert(rig.layout.rx + 70);
  for (int i = 0; i < 4; ++i) rig.post_rx(rig.layout.buffers + 0x1000 * i, kRoom);
  rig.ring_rx();
  rig.settle();
  rig.memory.faults.clear();
  hw::RxCompletion completion;
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(rig.completion(completion));
    EXPECT_EQ(completion.bytes, 0);
    EXPECT_EQ(completion.reason, static_cast<std::uint8_t>(DropReason::dma));
  }
  rig.post_rx(rig.layout.buffers, kRoom);
  rig.ring_rx();
  rig.mac.to_receive.push_back({std::vector<std::uint8_t>(64, 3)});
  rig.settle();
  ASSERT_TRUE(rig.completion(completion));
  EXPECT_EQ(completion.bytes, 64);
}

// ---- Events

TEST(DmaEvents, FillTheRingThenAreLostAndCounted) {
  Rig rig;
  rig.start();
  rig.card.write32(hw::reg::control, 3);  // the stand-in raises events while bit 1 is set
  for (int i = 0; i < 200; ++i) rig.card.step();
  rig.card.write32(hw::reg::control, 1);
  rig.settle();
  hw::Event event;
  for (std::uint16_t i = 0; i < 4; ++i) {
    ASSERT_TRUE(rig.event(event));
    EXPECT_EQ(event.sa_index, i);
    EXPECT_EQ(event.octets, 0x0123'4567'89AB'CDEFu);
    EXPECT_EQ(event.kind, static_cast<std::uint8_t>(hw::EventKind::soft_bytes));
  }
  EXPECT_FALSE(rig.event(event));
  EXPECT_GT(rig.count(hw::CountBank::port, 4), 100u);
  // Read events make room, on the second pass.
  rig.card.write32(hw::reg::event_head, 2);
  rig.card.write32(hw::reg::control, 3);
  rig.card.write32(hw::reg::control, 1);
  rig.settle();
  EXPECT_TRUE(rig.event(event));
  EXPECT_TRUE(rig.event(event));
  EXPECT_FALSE(rig.event(event));
}

TEST(DmaEvents, WithoutARingAreLost) {
  Rig rig;
  RigLayout layout;
  rig.start(layout);
  rig.card.write32(hw::reg::event_size_log2, 0);
  rig.card.write32(hw::reg::control, 3);
  rig.card.write32(hw::reg::control, 1);
  rig.settle();
  EXPECT_GT(rig.count(hw::CountBank::port, 4), 0u);
}

// ---- Off and on

TEST(DmaControl, OffFinishesWhatIsInFlightAndOnStartsFromIndexZero) {
  std::mt19937_64 random(7);
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Rig rig({.stall_percent = 30, .stall_seed = seed, .read_latency = 20});
    for (int round = 0; round < 3; ++round) {
      rig.mac.sent.clear();
      rig.start();
      for (int i = 0; i < 12; ++i) {
        const auto frame = random_frame(random, 300);
        const std::uint64_t address = rig.layout.buffers + 0x1000 * i;
        std::copy(frame.begin(), frame.end(), rig.memory.at(address));
        rig.post_tx({.address = address, .bytes = 300});
        rig.post_rx(rig.layout.buffers + 0x100000 + 0x1000 * i, kRoom);
      }
      rig.ring_tx();
      rig.ring_rx();
      for (int i = 0; i < 5; ++i) rig.mac.to_receive.push_back({random_frame(random, 500)});
      for (std::uint64_t i = 0; i < seed * 20; ++i) rig.card.step();
      rig.card.write32(hw::reg::control, 0);
      rig.settle();
      EXPECT_EQ(rig.card.read32(hw::reg::status) & 1, 1u);
      EXPECT_EQ(rig.mac.sent.size(), rig.head());
      EXPECT_LE(rig.head(), 12u);
      for (std::size_t i = 0; i < rig.mac.sent.size(); ++i) {
        EXPECT_EQ(rig.mac.sent[i], bytes_at(rig, rig.layout.buffers + 0x1000 * i, 300));
      }
      rig.mac.to_receive.clear();
    }
  }
}

TEST(DmaControl, OffThrowsAwayWhatTheMacReceives) {
  Rig rig;
  const std::size_t writes = rig.memory.writes;
  for (int i = 0; i < 5; ++i) rig.mac.to_receive.push_back({std::vector<std::uint8_t>(1500, 1)});
  rig.settle();
  EXPECT_TRUE(rig.mac.to_receive.empty());
  EXPECT_EQ(rig.memory.writes, writes);
}

TEST(DmaControl, AnIdleCardTakesNoClocks) {
  Rig rig;
  rig.start();
  for (int i = 0; i < 8; ++i) rig.post_rx(rig.layout.buffers + 0x1000 * i, kRoom);
  rig.ring_rx();
  rig.settle();
  const std::uint64_t cycles = rig.card.cycles();
  EXPECT_TRUE(rig.card.run(1000));
  EXPECT_EQ(rig.card.cycles(), cycles);
}

// ---- Rate, in clocks of the card: no time of day is involved

// Bytes per clock of many frames of one size, there and back at once.
double bytes_per_clock(std::size_t bytes, unsigned read_latency) {
  constexpr std::uint32_t kFrames = 256;
  Rig rig({.read_latency = read_latency});
  RigLayout layout;
  layout.tx_log2 = layout.rx_log2 = 8;
  rig.start(layout);
  for (std::uint32_t i = 0; i < kFrames; ++i) {
    rig.post_tx(
        {.address = layout.buffers + 0x2000 * i, .bytes = static_cast<std::uint16_t>(bytes)});
    rig.post_rx(layout.buffers + 0x0080'0000 + 0x2000 * i, kRoom);
    rig.mac.to_receive.push_back({std::vector<std::uint8_t>(bytes, 1)});
  }
  rig.ring_rx();
  const std::uint64_t before = rig.card.cycles();
  rig.ring_tx();
  rig.settle();
  EXPECT_EQ(rig.mac.sent.size(), kFrames);
  EXPECT_EQ(rig.count(hw::CountBank::port, 2), kFrames);
  return static_cast<double>(kFrames * bytes) / static_cast<double>(rig.card.cycles() - before);
}

TEST(DmaRate, CarriesLongFramesAtNearlyABeatPerClockEachWay) {
  for (const unsigned latency : {2u, 60u}) {
    EXPECT_GT(bytes_per_clock(1472, latency), 45) << latency;
    EXPECT_GT(bytes_per_clock(9000, latency), 50) << latency;
  }
}

TEST(DmaRate, CarriesTheShortestFramesInFewClocksEach) { EXPECT_GT(bytes_per_clock(64, 2), 16); }

TEST(MacInput, MarksRuntsLongAndDamagedFrames) {
  Rig rig;
  rig.start();
  for (int i = 0; i < 8; ++i) rig.post_rx(rig.layout.buffers + 0x8000 * i, kRoom);
  rig.ring_rx();
  const auto frame = [](std::size_t bytes) { return std::vector<std::uint8_t>(bytes, 7); };
  rig.mac.to_receive.push_back({frame(13)});
  rig.mac.to_receive.push_back({frame(14)});
  rig.mac.to_receive.push_back({frame(16384)});
  rig.mac.to_receive.push_back({frame(16385)});
  rig.mac.to_receive.push_back({frame(40000)});
  rig.mac.to_receive.push_back({frame(300), true});
  rig.mac.to_receive.push_back({frame(300)});
  rig.settle();
  const std::vector<std::pair<std::uint16_t, std::uint32_t>> expected = {
      {13, 1}, {14, 0}, {16384, 0}, {16384, 1}, {16384, 1}, {300, 1}, {300, 0}};
  for (const auto& [bytes, damaged] : expected) {
    hw::RxCompletion completion;
    ASSERT_TRUE(rig.completion(completion));
    EXPECT_EQ(completion.bytes, bytes);
    EXPECT_EQ(completion.spi, damaged) << bytes;  // where the stand-in puts the MAC's mark
  }
}

}  // namespace
}  // namespace saline::sim
