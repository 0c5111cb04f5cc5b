// stream_append against a byte-level model.
#include "Vstream_append.h"
#include "tests/hw/rtl/bench.hpp"

namespace {

using namespace saline::hw::bench;

struct Command {
  size_t count = 0;
  Bytes bytes;  // 32, also those past count
};

class AppendBench {
 public:
  explicit AppendBench(uint64_t seed_value) : random(seed_value) {
    reset(model);
    beats.on_word = [this](const Beat& beat) { packets(beat); };
  }

  void send(const Bytes& packet, size_t count) {
    for (const auto& beat : to_beats(packet)) in.queue.push_back(beat);
    commands.queue.push_back({count, random.bytes(32)});
    expected.push_back(packet);
    const Bytes& tail = commands.queue.back().bytes;
    expected.back().insert(expected.back().end(), tail.begin(),
                           tail.begin() + static_cast<long>(count));
  }

  size_t run() {
    size_t cycles = 0;
    while (packets.done.size() < expected.size() && cycles < 40 * expected.size() + 1000 &&
           !testing::Test::HasFatalFailure()) {
      clock(model, random, in, commands, beats);
      cycles++;
    }
    return cycles;
  }

  void check() {
    run();
    for (int i = 0; i < 20; i++) clock(model, random, in, commands, beats);
    ASSERT_EQ(packets.done.size(), expected.size());
    for (size_t i = 0; i < expected.size(); i++) ASSERT_EQ(packets.done[i], expected[i]) << i;
  }

  Vstream_append model;
  Random random;
  Driver<BeatPort> in{model.in_valid_i, model.in_ready_o,
                      [this](const BeatPort& beat) { model.in_beat_i = beat; }};
  Driver<Command> commands{model.command_valid_i, model.command_ready_o, [this](const Command& c) {
                             model.command_tail_bytes_i = static_cast<uint8_t>(c.count);
                             put_little(model.command_tail_i, c.bytes);
                           }};
  Monitor<Beat> beats{model.out_valid_o, model.out_ready_i,
                      [this] { return from_port(model.out_beat_o); }};
  Packets packets;
  std::vector<Bytes> expected;
};

TEST(StreamAppend, AppendsEveryTailToEveryLength) {
  AppendBench bench(1);
  for (size_t length = 1; length <= 130; length++) {
    for (size_t count = 0; count <= 32; count++) bench.send(bench.random.bytes(length), count);
  }
  bench.check();
}

TEST(StreamAppend, HoldsUnderRandomStalls) {
  const uint64_t value = seed();
  SCOPED_TRACE(testing::Message() << "SALINE_SEED=" << value);
  AppendBench bench(value);
  bench.in.stall_percent = bench.commands.stall_percent = bench.beats.stall_percent = 50;
  for (int i = 0; i < 3000; i++) {
    bench.send(bench.random.bytes(bench.random.between(1, 300)), bench.random.between(0, 32));
  }
  bench.check();
}

TEST(StreamAppend, TakesOneClockPerOutputBeat) {
  AppendBench bench(2);
  size_t beats = 0;
  for (size_t i = 0; i < 300; i++) {
    bench.send(bench.random.bytes(1 + i), i % 33);
    beats += (bench.expected.back().size() + kBeatBytes - 1) / kBeatBytes;
  }
  EXPECT_LE(bench.run(), beats + 4);
  bench.check();
}

}  // namespace
