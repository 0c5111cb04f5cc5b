// stream_slice against a byte-level model.
#include <algorithm>

#include "Vstream_slice.h"
#include "tests/hw/rtl/bench.hpp"

namespace {

using namespace saline::hw::bench;

struct Command {
  size_t offset = 0, bytes = 1, tail_bytes = 0;
  bool drop = false;
};

struct Tail {
  Bytes bytes;
  bool is_short = false;
  bool operator==(const Tail&) const = default;
};

// Bytes [from, to) of a frame, as far as it has them.
Bytes part(const Bytes& frame, size_t from, size_t to) {
  Bytes out;
  for (size_t i = from; i < std::min(to, frame.size()); i++) out.push_back(frame[i]);
  return out;
}

class SliceBench {
 public:
  explicit SliceBench(uint64_t seed_value) : random(seed_value) {
    reset(model);
    beats.on_word = [this](const Beat& beat) { packets(beat); };
  }

  void send(const Bytes& frame, const Command& command) {
    for (const auto& beat : to_beats(frame)) in.queue.push_back(beat);
    commands.queue.push_back(command);
    if (command.drop) return;
    const size_t end = command.offset + command.bytes;
    Bytes slice = part(frame, command.offset, end);
    if (slice.empty()) slice.resize(1);
    Tail tail{part(frame, end, end + command.tail_bytes), end + command.tail_bytes > frame.size()};
    tail.bytes.resize(16);
    expected.push_back(slice);
    expected_tails.push_back(tail);
  }

  void stall_at_random() {
    for (unsigned* percent :
         {&in.stall_percent, &commands.stall_percent, &beats.stall_percent, &tails.stall_percent}) {
      *percent = static_cast<unsigned>(random.between(0, 95));
    }
  }

  size_t run() {
    size_t cycles = 0;
    for (size_t idle = 0; idle < 200 && !testing::Test::HasFatalFailure(); cycles++) {
      const size_t before = packets.done.size() + in.queue.size() + tails.taken.size();
      clock(model, random, in, commands, beats, tails);
      idle = before == packets.done.size() + in.queue.size() + tails.taken.size() ? idle + 1 : 0;
    }
    return cycles - 200;
  }

  void check() {
    run();
    EXPECT_TRUE(in.queue.empty() && commands.queue.empty()) << "the module hangs";
    ASSERT_EQ(packets.done.size(), expected.size());
    ASSERT_EQ(tails.taken.size(), expected.size());
    for (size_t i = 0; i < expected.size(); i++) {
      ASSERT_EQ(packets.done[i], expected[i]) << "packet " << i;
      ASSERT_EQ(tails.taken[i], expected_tails[i]) << "tail " << i;
    }
  }

  Vstream_slice model;
  Random random;
  Driver<BeatPort> in{model.in_valid_i, model.in_ready_o,
                      [this](const BeatPort& beat) { model.in_beat_i = beat; }};
  Driver<Command> commands{model.command_valid_i, model.command_ready_o, [this](const Command& c) {
                             model.command_offset_i = static_cast<uint16_t>(c.offset);
                             model.command_bytes_i = static_cast<uint16_t>(c.bytes);
                             model.command_tail_bytes_i = static_cast<uint8_t>(c.tail_bytes);
                             model.command_drop_i = c.drop;
                           }};
  Monitor<Beat> beats{model.out_valid_o, model.out_ready_i,
                      [this] { return from_port(model.out_beat_o); }};
  Monitor<Tail> tails{model.tail_valid_o, model.tail_ready_i, [this] {
                        return Tail{get_little(model.tail_o, 16), model.tail_short_o != 0};
                      }};
  Packets packets;
  std::vector<Bytes> expected;
  std::vector<Tail> expected_tails;
};

TEST(StreamSlice, CutsEveryOffsetAndLengthOfShortFrames) {
  SliceBench bench(1);
  for (size_t offset = 0; offset < 140; offset += offset < 66 ? 1 : 7) {
    for (size_t bytes = 1; bytes < 200; bytes += bytes < 66 ? 1 : 13) {
      const size_t tail = (offset + bytes) % 17;
      bench.send(bench.random.bytes(offset + bytes + tail + bytes % 5), {offset, bytes, tail});
    }
  }
  bench.check();
}

TEST(StreamSlice, HoldsUnderRandomStallsShortFramesAndDrops) {
  const uint64_t value = seed();
  SCOPED_TRACE(testing::Message() << "SALINE_SEED=" << value);
  for (unsigned round = 0; round < 8; round++) {
    SliceBench bench(value + round);
    if (round > 0) bench.stall_at_random();
    for (int i = 0; i < 1500; i++) {
      Command command;
      command.offset = bench.random.between(0, bench.random.percent(20) ? 400 : 70);
      command.bytes = bench.random.between(1, bench.random.percent(20) ? 1600 : 140);
      command.tail_bytes = bench.random.between(0, 16);
      command.drop = bench.random.percent(10);
      size_t length = command.offset + command.bytes + command.tail_bytes;
      if (bench.random.percent(30)) {
        length = bench.random.between(1, length);
      } else if (bench.random.percent(50)) {
        length += bench.random.between(0, 200);
      }
      bench.send(bench.random.bytes(length), command);
    }
    bench.check();
  }
}

TEST(StreamSlice, WaitsWithoutLossWhenNobodyTakesTheTails) {
  SliceBench bench(1);
  bench.tails.stall_percent = 100;
  for (size_t i = 0; i < 30; i++) bench.send(bench.random.bytes(100), {10, 70 + i % 5, 16});
  bench.run();
  EXPECT_EQ(bench.packets.done.size(), 4U);
  bench.tails.stall_percent = 0;
  bench.check();
}

TEST(StreamSlice, LosesAtMostOneClockPerPacket) {
  for (size_t offset = 0; offset < 64; offset++) {
    SliceBench bench(offset);
    size_t beats = 0;
    for (size_t i = 0; i < 100; i++) {
      const Bytes frame = bench.random.bytes(offset + 200 + i + 16);
      beats += to_beats(frame).size();
      bench.send(frame, {offset, 200 + i, 16});
    }
    EXPECT_LE(bench.run(), beats + 100 + 8) << "offset " << offset;
    bench.check();
  }
}

}  // namespace
