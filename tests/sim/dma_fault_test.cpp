// The rings on a bus that refuses bursts at random, under random stalls: nothing hangs, every
// descriptor is finished, what gets through is whole and in order, and each loss is counted. Then
// on one that refuses what tells the driver.
//
// SALINE_SEED=N repeats a run.
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/sim/shell_rig.hpp"

namespace saline::sim {
namespace {

using hw::DropReason;

constexpr std::size_t kBuffer = 0x4000;

std::uint64_t seed_of_run() {
  const char* text = std::getenv("SALINE_SEED");
  return text ? std::strtoull(text, nullptr, 0) : std::random_device{}();
}

// True when all of part occurs in whole in that order.
bool is_subsequence(const std::deque<std::vector<std::uint8_t>>& part,
                    const std::deque<std::vector<std::uint8_t>>& whole) {
  auto at = whole.begin();
  for (const auto& frame : part) {
    at = std::find(at, whole.end(), frame);
    if (at == whole.end()) return false;
    ++at;
  }
  return true;
}

// Faults hit descriptors and frames, not what tells the driver: a head or completion that cannot be
// written is lost by nature.
void spread_faults(Rig& rig, std::mt19937_64& random) {
  rig.memory.faults.clear();
  for (std::uint64_t n = random() % 6; n > 0; --n) {
    const std::uint64_t ring = random() % 2 == 0 ? rig.layout.tx : rig.layout.rx;
    rig.memory.faults.insert(ring + random() % (32u << rig.layout.tx_log2));
  }
  for (std::uint64_t n = random() % 12; n > 0; --n) {
    rig.memory.faults.insert(rig.layout.buffers + random() % (64 * kBuffer));
  }
}

class FaultRun {
 public:
  explicit FaultRun(std::uint64_t seed)
      : random_(seed),
        rig_({.stall_percent = static_cast<unsigned>(random_() % 60),
              .stall_seed = seed,
              .read_latency = static_cast<unsigned>(random_() % 100)}) {
    RigLayout layout;
    layout.tx_log2 = layout.rx_log2 = 5;
    rig_.start(layout);
  }

  void run(int batches) {
    for (int batch = 0; batch < batches; ++batch) {
      spread_faults(rig_, random_);
      post();
      rig_.settle();
      take();
      if (testing::Test::HasFailure()) return;
    }
    // On a bus that works again, so do the rings.
    rig_.memory.faults.clear();
    const auto frame = random_frame(random_, 333);
    rig_.post_rx(rig_.layout.buffers, kBuffer);
    rig_.ring_rx();
    rig_.mac.to_receive.push_back({frame});
    rig_.send(rig_.layout.buffers + kBuffer, frame);
    rig_.settle();
    EXPECT_EQ(rig_.head(), rig_.tx_posted);
    EXPECT_EQ(rig_.mac.sent.back(), frame);
    rig_.mac.sent.pop_back();
    hw::RxCompletion completion;
    ASSERT_TRUE(rig_.completion(completion));
    EXPECT_EQ(completion.bytes, frame.size());
    ++delivered_;
  }

  void judge() {
    const std::uint64_t tx_lost = rig_.tx_drops(DropReason::dma);
    EXPECT_TRUE(is_subsequence(rig_.mac.sent, given_));
    EXPECT_EQ(rig_.mac.sent.size() + tx_lost, given_.size());
    EXPECT_TRUE(is_subsequence(taken_, arrived_));
    EXPECT_EQ(rig_.rx_drops(DropReason::dma), failed_);
    EXPECT_EQ(rig_.count(hw::CountBank::port, 2), delivered_);
    EXPECT_EQ(rig_.rx_posted, delivered_ + failed_);
    // The run was worth it.
    EXPECT_GT(tx_lost, 0u);
    EXPECT_GT(failed_, 0u);
    EXPECT_GT(rig_.mac.sent.size(), 0u);
    EXPECT_GT(taken_.size(), 0u);
  }

 private:
  std::size_t size() { return 14 + random_() % (random_() % 4 == 0 ? 9000 : 300); }

  void post() {
    buffers_.clear();
    for (std::uint32_t i = 0; i < 32; ++i) {
      const auto frame = random_frame(random_, size());
      const std::uint64_t from = rig_.layout.buffers + kBuffer * i + random_() % 4096;
      std::copy(frame.begin(), frame.end(), rig_.memory.at(from));
      rig_.post_tx({.address = from, .bytes = static_cast<std::uint16_t>(frame.size())});
      given_.push_back(frame);
      buffers_.push_back(rig_.layout.buffers + kBuffer * (32 + i) + random_() % 4096);
      rig_.post_rx(buffers_.back(), 10'000);
      arrived_.push_back(random_frame(random_, size()));
      rig_.mac.to_receive.push_back({arrived_.back()});
    }
    rig_.ring_rx();
    rig_.ring_tx();
  }

  void take() {
    ASSERT_EQ(rig_.head(), rig_.tx_posted);
    for (const std::uint64_t buffer : buffers_) {
      hw::RxCompletion completion;
      ASSERT_TRUE(rig_.completion(completion));
      if (completion.reason != 0) {
        ASSERT_EQ(completion.reason, static_cast<std::uint8_t>(DropReason::dma));
        ASSERT_EQ(completion.bytes, 0);
        ++failed_;
        continue;
      }
      ++delivered_;
      const std::uint8_t* data = rig_.memory.at(buffer);
      taken_.push_back({data, data + completion.bytes});
    }
  }

  std::mt19937_64 random_;
  Rig rig_;
  std::deque<std::vector<std::uint8_t>> given_, arrived_, taken_;
  std::vector<std::uint64_t> buffers_;
  std::uint64_t delivered_ = 0, failed_ = 0;
};

TEST(DmaFaults, NeverHangAndLoseOnlyWhatTheyHit) {
  const std::uint64_t seed = seed_of_run();
  for (std::uint64_t round = 0; round < 6; ++round) {
    SCOPED_TRACE("SALINE_SEED=" + std::to_string(seed) + " round " + std::to_string(round));
    FaultRun run(seed + round);
    run.run(12);
    if (HasFailure()) return;
    run.judge();
  }
}

// A refused head, completion or event cannot be told to the driver in its ring; it is counted.
TEST(DmaFaults, OnWhatTellsTheDriverAreCounted) {
  std::mt19937_64 random(7);
  Rig rig;
  rig.start();
  const auto bus_errors = [&] {
    return rig.count(hw::CountBank::port, static_cast<std::uint32_t>(hw::PortCount::bus_errors));
  };
  const auto frame = random_frame(random, 100);
  rig.send(rig.layout.buffers, frame);
  rig.settle();
  EXPECT_EQ(bus_errors(), 0u);

  rig.memory.faults = {rig.layout.head};
  rig.send(rig.layout.buffers, frame);
  rig.settle();
  EXPECT_EQ(rig.head(), 1u);
  EXPECT_EQ(bus_errors(), 1u);

  rig.memory.faults = {rig.layout.done};
  for (std::uint64_t i = 0; i < 2; ++i)
    rig.post_rx(rig.layout.buffers + kBuffer * (i + 1), kBuffer);
  rig.ring_rx();
  for (int i = 0; i < 2; ++i) rig.mac.to_receive.push_back({frame});
  rig.settle();
  EXPECT_EQ(bus_errors(), 2u) << "the second completion is in good memory";

  // Four entries; the stand-in raises events while bit 1 is set.
  rig.memory.faults = {rig.layout.events + 32, rig.layout.events + 96};
  rig.card.write32(hw::reg::control, 3);
  for (int i = 0; i < 200; ++i) rig.card.step();
  rig.card.write32(hw::reg::control, 1);
  rig.settle();
  EXPECT_EQ(bus_errors(), 4u);
  EXPECT_EQ(rig.tx_drops(DropReason::dma) + rig.rx_drops(DropReason::dma), 0u);
}

}  // namespace
}  // namespace saline::sim
