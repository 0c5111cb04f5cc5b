// The Verilated engine: bytes of inner packet per clock in each direction when packets of one size
// follow each other without a gap, clocks from a packet's first beat in to its last beat out of an
// idle engine, and the simulation's own speed. ESP tunnel mode, IPv4 in IPv4. Sizes are those of
// the inner packet. At 250 MHz, 50 bytes per clock are 100 Gb/s.
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include "tests/hw/rtl/engine_bench.hpp"

namespace {

using namespace saline::hw;
using namespace saline::hw::bench;

constexpr size_t kPackets = 200;
constexpr uint16_t kSlot = 0;

struct Flow {
  SaContext sa;
  Bytes frame;
  uint64_t number = 0;
};

Flow make_flow(EngineBench& engine, bool long_key, size_t bytes) {
  Flow flow;
  flow.sa = make_sa(engine.random, true, false, false, long_key);
  flow.sa.replay_words = 2;
  engine.install(Table::egress_sa, kSlot, flow.sa);
  engine.hold(kSlot, flow.sa, {});
  FrameForm form;
  form.payload = bytes - 20;
  flow.frame = make_frame(engine.random, form);
  return flow;
}

void offer(EngineBench& engine, Flow& flow, bool inward) {
  if (inward) {
    engine.receive(protect(flow.frame, flow.sa, ++flow.number));
  } else {
    engine.transmit(flow.frame, kSlot, flow.sa);
  }
}

struct Span {
  uint64_t first = 0, last = 0;  // clocks at which the first and the last packet were out
};

Span drain(EngineBench& engine, size_t packets, bool inward) {
  Span span;
  size_t out = 0;
  const uint64_t limit = engine.cycles + 1000 * packets + 10000;
  while (out < packets && engine.cycles < limit) {
    engine.tick();
    const size_t now = inward ? engine.delivered_count() : engine.sent_count();
    if (now == out) continue;
    if (out == 0) span.first = engine.cycles;
    out = now;
    span.last = engine.cycles;
  }
  engine.run();
  for (const Received& one : engine.delivered()) out -= one.completion.reason != 0 ? 1 : 0;
  engine.sent();
  if (out < packets) {
    std::fprintf(stderr, "rtl_bench: %zu of %zu packets came out\n", out, packets);
    std::exit(1);
  }
  return span;
}

double bytes_per_cycle(EngineBench& engine, bool long_key, size_t bytes, bool inward) {
  Flow flow = make_flow(engine, long_key, bytes);
  for (size_t i = 0; i < kPackets; i++) offer(engine, flow, inward);
  const Span span = drain(engine, kPackets, inward);
  engine.unlink(flow.sa.spi);
  return static_cast<double>(bytes * (kPackets - 1)) / static_cast<double>(span.last - span.first);
}

uint64_t latency(EngineBench& engine, size_t bytes, bool inward) {
  Flow flow = make_flow(engine, false, bytes);
  engine.run();
  const uint64_t start = engine.cycles;
  offer(engine, flow, inward);
  const Span span = drain(engine, 1, inward);
  engine.unlink(flow.sa.spi);
  return span.last - start;
}

double cycles_per_second(EngineBench& engine) {
  Flow flow = make_flow(engine, false, 1420);
  for (size_t i = 0; i < 5 * kPackets; i++) {
    offer(engine, flow, true);
    offer(engine, flow, false);
  }
  const std::clock_t begin = std::clock();  // processor time: the machine may be busy
  const uint64_t from = engine.cycles;
  engine.run();
  const double took_s = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  engine.delivered();
  engine.sent();
  engine.unlink(flow.sa.spi);
  return static_cast<double>(engine.cycles - from) / took_s;
}

}  // namespace

int main() {
  EngineBench engine{seed()};
  for (bool long_key : {false, true}) {
    for (size_t bytes : {64U, 512U, 1420U, 9000U}) {
      for (bool inward : {false, true}) {
        std::printf("rtl.aes-gcm-%d.%zu.%s.bytes_per_cycle: %.2f\n", long_key ? 256 : 128, bytes,
                    inward ? "in" : "out", bytes_per_cycle(engine, long_key, bytes, inward));
      }
    }
  }
  for (size_t bytes : {64U, 512U, 1420U}) {
    const unsigned long long out = latency(engine, bytes, false);
    const unsigned long long in = latency(engine, bytes, true);
    std::printf("rtl.latency%zu.out.cycles: %llu\n", bytes, out);
    std::printf("rtl.latency%zu.in.cycles: %llu\n", bytes, in);
    std::printf("rtl.latency%zu.cycles: %llu\n", bytes, out + in);
  }
  std::printf("rtl.sim_cycles_per_s: %.0f\n", cycles_per_second(engine));
  return 0;
}
