// stream_skid with 32-bit words.
#include "Vstream_skid.h"
#include "tests/hw/rtl/bench.hpp"

namespace {

using namespace saline::hw::bench;

TEST(StreamSkid, KeepsOrderUnderRandomStallsAndPassesOneWordPerClock) {
  const uint64_t value = seed();
  SCOPED_TRACE(testing::Message() << "SALINE_SEED=" << value);
  for (unsigned stall : {0U, 30U, 70U}) {
    Vstream_skid model;
    Random random(value);
    Driver<uint32_t> in{model.valid_i, model.ready_o, [&](uint32_t word) { model.data_i = word; }};
    Monitor<uint32_t> out{model.valid_o, model.ready_i, [&] { return model.data_o; }};
    reset(model);
    in.stall_percent = out.stall_percent = stall;
    for (uint32_t i = 0; i < 1000; i++) in.queue.push_back(~i);
    for (int i = 0; i < (stall == 0 ? 1002 : 20000); i++) clock(model, random, in, out);
    ASSERT_EQ(out.taken.size(), 1000U);
    for (uint32_t i = 0; i < 1000; i++) ASSERT_EQ(out.taken[i], ~i);
  }
}

}  // namespace
