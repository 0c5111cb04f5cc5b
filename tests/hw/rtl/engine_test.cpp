// ipsec_engine, the good ways: every mode and family mix, byte for byte against the model of
// esp_model.hpp, out, in, and round.
#include "tests/hw/rtl/engine_bench.hpp"

namespace {

using namespace saline::hw;
using namespace saline::hw::bench;

TEST_F(Engine, SendsAndReceivesOtherFramesUntouched) {
  engine.stall(20);
  std::vector<Bytes> frames;
  for (size_t i = 0; i < 60; i++) {
    Bytes frame = engine.random.bytes(engine.random.between(14, 300));
    if (engine.random.percent(50))
      frame = make_frame(engine.random, random_form(engine.random, 2000));
    frames.push_back(frame);
    engine.transmit(frame);
    engine.receive(frame);
  }
  engine.run();
  EXPECT_EQ(engine.sent(), frames);
  const auto delivered = engine.delivered();
  ASSERT_EQ(delivered.size(), frames.size());
  for (size_t i = 0; i < frames.size(); i++) {
    EXPECT_EQ(delivered[i].frame, frames[i]);
    EXPECT_EQ(delivered[i].completion.reason, 0);
    EXPECT_FALSE(delivered[i].completion.through_sa);
  }
}

TEST_F(Engine, ProtectsAsTheModelDoes) {
  for (unsigned stalls : {0U, 25U}) {
    engine.stall(stalls);
    std::vector<SaContext> sas;
    for (unsigned mix = 0; mix < 16; mix++) {
      sas.push_back(
          make_sa(engine.random, (mix & 1) != 0, (mix & 2) != 0, (mix & 4) != 0, (mix & 8) != 0));
      sas.back().sequence_number = (mix & 4) != 0 ? engine.random() >> 8 : engine.random() & 0xFFFF;
      engine.install(Table::egress_sa, static_cast<uint16_t>(mix), sas.back());
    }
    std::vector<Bytes> expected;
    std::vector<uint64_t> octets_sent(16), packets(16);
    for (size_t i = 0; i < 200; i++) {
      const auto index = static_cast<uint16_t>(engine.random.between(0, 15));
      const Bytes frame = carried_frame(engine.random, sas[index], 1500);
      engine.transmit(frame, index, sas[index]);
      packets[index]++;
      octets_sent[index] += octets(frame, sas[index]);
      expected.push_back(protect(frame, sas[index], sas[index].sequence_number + packets[index]));
    }
    engine.run();
    const auto sent = engine.sent();
    ASSERT_EQ(sent.size(), expected.size());
    for (size_t i = 0; i < sent.size(); i++) ASSERT_EQ(sent[i], expected[i]) << "frame " << i;
    for (uint16_t i = 0; i < 16; i++) {
      const SaCounters counters = engine.sa_counters(CountBank::egress_sa, i);
      EXPECT_EQ(counters.packets, packets[i]);
      EXPECT_EQ(counters.octets, octets_sent[i]);
      EXPECT_EQ(counters.sequence_number, sas[i].sequence_number + packets[i]);
    }
  }
}

TEST_F(Engine, OpensWhatTheModelProtects) {
  for (unsigned stalls : {0U, 25U}) {
    engine.stall(stalls);
    std::vector<SaContext> sas;
    for (unsigned mix = 0; mix < 16; mix++) {
      SaContext sa =
          make_sa(engine.random, (mix & 1) != 0, (mix & 2) != 0, (mix & 4) != 0, (mix & 8) != 0);
      sa.replay_words = static_cast<uint8_t>(engine.random.between(0, 32));
      sa.spi = (sa.spi & 0xFFFFFF00U) | mix;
      sas.push_back(sa);
      engine.hold(static_cast<uint16_t>(mix + 7), sa, {});
    }
    struct Expected {
      Bytes frame;
      unsigned sa;
      uint64_t number;
    };
    std::vector<Expected> expected;
    std::vector<uint64_t> numbers(16);
    for (size_t i = 0; i < 200; i++) {
      const auto mix = static_cast<unsigned>(engine.random.between(0, 15));
      const Bytes frame = carried_frame(engine.random, sas[mix], 1500);
      numbers[mix] += engine.random.between(1, 3);
      Bytes secret = protect(frame, sas[mix], numbers[mix]);
      if (engine.random.percent(20)) secret.resize(secret.size() + engine.random.between(1, 20));
      engine.receive(secret);
      expected.push_back({without_padding(frame), mix, numbers[mix]});
    }
    engine.run();
    const auto delivered = engine.delivered();
    ASSERT_EQ(delivered.size(), expected.size());
    for (size_t i = 0; i < delivered.size(); i++) {
      const auto& completion = delivered[i].completion;
      const SaContext& sa = sas[expected[i].sa];
      ASSERT_EQ(delivered[i].frame, expected[i].frame) << "frame " << i;
      EXPECT_EQ(completion.reason, 0);
      EXPECT_TRUE(completion.through_sa);
      EXPECT_EQ(completion.tunnel, sa.tunnel);
      EXPECT_FALSE(completion.esp);
      EXPECT_EQ(completion.sa_index, expected[i].sa + 7);
      EXPECT_EQ(completion.sa_tag, sa.sa_tag);
      EXPECT_EQ(completion.spi, sa.spi);
      EXPECT_EQ(completion.sequence_number, expected[i].number);
    }
  }
}

// The largest frames while nobody takes anything for a long time, then all of it: the stores fill,
// every stage stops and goes on.
TEST_F(Engine, LosesNothingWhenItsSinksPause) {
  std::vector<SaContext> sas;
  for (uint16_t i = 0; i < 4; i++) {
    sas.push_back(make_sa(random, i % 2 == 0, i / 2 == 0, false, true));
    sas[i].deliver_failed = true;
    engine.install(Table::egress_sa, i, sas[i]);
    engine.hold(i, sas[i], {});
  }
  std::vector<Bytes> expected_out, expected_in;
  std::vector<uint64_t> numbers(4);
  for (int i = 0; i < 120; i++) {
    const auto index = static_cast<uint16_t>(random.between(0, 3));
    const SaContext& sa = sas[index];
    const Bytes frame = carried_frame(random, sa, random.percent(20) ? 16000 : 200);
    const Bytes secret = protect(frame, sa, ++numbers[index]);
    engine.transmit(frame, index, sa);
    expected_out.push_back(secret);
    Bytes arriving = secret;
    if (random.percent(20)) {
      arriving.back() ^= 1;
      expected_in.emplace_back(arriving.begin(),
                               arriving.begin() + std::min<long>(128, std::ssize(arriving)));
    } else {
      expected_in.push_back(without_padding(frame));
    }
    engine.receive(arriving);
  }
  for (int pause = 0; pause < 8; pause++) {
    engine.stall_sinks(100);
    for (int i = 0; i < 1500; i++) engine.tick();
    engine.stall_sinks(static_cast<unsigned>(random.between(0, 60)));
    for (size_t i = random.between(1, 600); i > 0; i--) engine.tick();
  }
  engine.run();
  EXPECT_EQ(engine.sent(), expected_out);
  const auto delivered = engine.delivered();
  ASSERT_EQ(delivered.size(), expected_in.size());
  for (size_t i = 0; i < delivered.size(); i++) EXPECT_EQ(delivered[i].frame, expected_in[i]) << i;
}

}  // namespace
