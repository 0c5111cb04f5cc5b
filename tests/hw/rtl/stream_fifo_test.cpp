// stream_fifo, four words of 32 bits; the proof is hw/formal.
#include "Vstream_fifo.h"
#include "tests/hw/rtl/bench.hpp"

namespace {

using namespace saline::hw::bench;

class FifoBench {
 public:
  explicit FifoBench(uint64_t seed_value) : random(seed_value) { reset(model); }
  Vstream_fifo model;
  Random random;
  Driver<uint32_t> in{model.valid_i, model.ready_o, [this](uint32_t word) { model.data_i = word; }};
  Monitor<uint32_t> out{model.valid_o, model.ready_i, [this] { return model.data_o; }};
};

TEST(StreamFifo, KeepsOrderUnderRandomStalls) {
  const uint64_t value = seed();
  SCOPED_TRACE(testing::Message() << "SALINE_SEED=" << value);
  for (unsigned bias : {10U, 50U, 90U}) {
    FifoBench bench(value);
    bench.in.stall_percent = bias;
    bench.out.stall_percent = 100 - bias;
    for (uint32_t i = 0; i < 2000; i++) bench.in.queue.push_back(i * 0x9E3779B9U);
    for (int i = 0; i < 40000; i++) clock(bench.model, bench.random, bench.in, bench.out);
    ASSERT_EQ(bench.out.taken.size(), 2000U);
    for (uint32_t i = 0; i < 2000; i++) ASSERT_EQ(bench.out.taken[i], i * 0x9E3779B9U);
  }
}

TEST(StreamFifo, HoldsDepthWordsAndCountsThem) {
  FifoBench bench(1);
  bench.out.stall_percent = 100;
  for (uint32_t i = 0; i < 9; i++) bench.in.queue.push_back(i);
  for (int i = 0; i < 20; i++) clock(bench.model, bench.random, bench.in, bench.out);
  EXPECT_EQ(bench.in.queue.size(), 5U);
  EXPECT_EQ(bench.model.level_o, 4);
}

TEST(StreamFifo, PassesOneWordPerClock) {
  FifoBench bench(1);
  for (uint32_t i = 0; i < 100; i++) bench.in.queue.push_back(i);
  for (int i = 0; i < 102; i++) clock(bench.model, bench.random, bench.in, bench.out);
  EXPECT_EQ(bench.out.taken.size(), 100U);
}

}  // namespace
