// suite_gcm against OpenSSL and published vectors; built for four lanes and for one (LANES).
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "Vsuite_gcm.h"
#include "tests/hw/rtl/gcm_reference.hpp"

namespace {

using namespace saline::hw::bench;

class GcmBench {
 public:
  explicit GcmBench(uint64_t seed_value) : random(seed_value) {
    reset(model);
    beats.on_word = [this](const Beat& beat) { packets(beat); };
  }

  GcmPacket packet(size_t size) {
    GcmPacket made;
    made.encrypt = random.percent(50);
    made.key = random.bytes(random.percent(50) ? 16 : 32);
    made.nonce = random.bytes(12);
    made.aad = random.bytes(random.percent(50) ? 8 : 12);
    made.text = random.bytes(size);
    return made;
  }

  void send(const GcmPacket& packet) { send(packet, gcm_reference(packet)); }

  void send(const GcmPacket& packet, const GcmResult& result) {
    for (const auto& beat : to_beats(packet.text)) in.queue.push_back(beat);
    jobs.queue.push_back(gcm_job(packet));
    expected.push_back(result);
  }

  void stall(unsigned percent) {
    in.stall_percent = jobs.stall_percent = beats.stall_percent = icvs.stall_percent = percent;
  }

  void tick() { clock(model, random, in, jobs, beats, icvs); }

  size_t run() {
    size_t cycles = 0, idle = 0;
    const auto progress = [this] { return in.queue.size() + jobs.queue.size(); };
    size_t before = progress();
    while ((packets.done.size() < expected.size() || icvs.taken.size() < expected.size()) &&
           idle < 3000 && !testing::Test::HasFatalFailure()) {
      tick();
      cycles++;
      idle = progress() == before ? idle + 1 : 0;
      before = progress();
    }
    return cycles;
  }

  void check() {
    run();
    for (int i = 0; i < 60; i++) tick();
    ASSERT_EQ(packets.done.size(), expected.size());
    ASSERT_EQ(icvs.taken.size(), expected.size());
    for (size_t i = 0; i < expected.size(); i++) {
      ASSERT_EQ(packets.done[i], expected[i].text) << i << " of " << expected[i].text.size();
      ASSERT_EQ(icvs.taken[i], expected[i].icv) << i << " of " << expected[i].text.size();
    }
  }

  Vsuite_gcm model;
  Random random;
  Driver<BeatPort> in{model.text_valid_i, model.text_ready_o,
                      [this](const BeatPort& beat) { model.text_i = beat; }};
  Driver<JobPort> jobs{model.job_valid_i, model.job_ready_o,
                       [this](const JobPort& job) { model.job_i = job; }};
  Monitor<Beat> beats{model.text_valid_o, model.text_ready_i,
                      [this] { return from_port(model.text_o); }};
  Monitor<Bytes> icvs{model.icv_valid_o, model.icv_ready_i,
                      [this] { return get_little(model.icv_o, 16); }};
  Packets packets;
  std::vector<GcmResult> expected;
};

TEST(SuiteGcm, TransformsEveryLengthInBothDirectionsWithBothKeySizes) {
  GcmBench bench(1);
  for (size_t size = 1; size <= 600; size++) {
    for (unsigned mix = 0; mix < 8; mix++) {
      GcmPacket packet = bench.packet(size);
      packet.encrypt = (mix & 1) != 0;
      packet.key.resize((mix & 2) != 0 ? 16 : 32, 0x5A);
      packet.aad.resize((mix & 4) != 0 ? 8 : 12, 0xA5);
      bench.send(packet);
    }
  }
  bench.check();
}

TEST(SuiteGcm, HoldsUnderRandomStalls) {
  const uint64_t value = seed();
  SCOPED_TRACE(testing::Message() << "SALINE_SEED=" << value);
  for (unsigned round = 0; round < 16; round++) {
    GcmBench bench(value + round);
    bench.in.stall_percent = static_cast<unsigned>(bench.random.between(0, 90));
    bench.jobs.stall_percent = static_cast<unsigned>(bench.random.between(0, 90));
    bench.beats.stall_percent = static_cast<unsigned>(bench.random.between(0, 90));
    bench.icvs.stall_percent = static_cast<unsigned>(bench.random.between(0, 90));
    for (int i = 0; i < 500; i++) {
      GcmPacket packet =
          bench.packet(bench.random.between(1, bench.random.percent(80) ? 150 : 1500));
      packet.pass = bench.random.percent(10);
      bench.send(packet);
    }
    bench.send(bench.packet(9100));
    bench.send(bench.packet(bench.random.between(8000, 9100)));
    bench.check();
  }
}

TEST(SuiteGcm, WaitsWithoutLossWhenNobodyTakesTheIcvs) {
  GcmBench bench(3);
  bench.icvs.stall_percent = 100;
  for (int i = 0; i < 100; i++) bench.send(bench.packet(16));
  for (int i = 0; i < 1000; i++) bench.tick();
  EXPECT_GE(bench.packets.done.size(), 31U);
  EXPECT_LE(bench.packets.done.size(), 32U);
  bench.icvs.stall_percent = 0;
  bench.check();
}

TEST(SuiteGcm, CutsLongTextAndContinuesShortTextWithZeros) {
  GcmBench bench(4);
  for (size_t size = 1; size < 200; size += 3) {
    for (size_t claimed = 1; claimed < 300; claimed += 7) {
      GcmPacket packet = bench.packet(size);
      for (const auto& beat : to_beats(packet.text)) bench.in.queue.push_back(beat);
      packet.text.resize(claimed);
      bench.jobs.queue.push_back(gcm_job(packet));
      bench.expected.push_back(gcm_reference(packet));
    }
  }
  bench.check();
}

TEST(SuiteGcm, TakesNoClockBetweenPackets) {
  for (size_t size : {1U, 30U, 34U, 48U, 64U, 66U, 500U, 1420U}) {
    GcmBench bench(size);
    for (int i = 0; i < 200; i++) bench.send(bench.packet(size));
    const size_t slots = (size + 15) / 16 + 2;
    const size_t clocks = (slots + LANES - 1) / LANES * 200;
    EXPECT_LE(bench.run(), clocks + 40) << size;
    bench.check();
  }
}

// Bound of the head comment: the ICV waits for nothing but the pipeline.
TEST(SuiteGcm, OffersTheIcvWithinEightClocksOfTheLastBeat) {
  for (size_t size = 1; size < 200; size++) {
    GcmBench bench(size);
    bench.send(bench.packet(size));
    size_t text_done = 0, clocks = 0;
    while (bench.icvs.taken.empty() && clocks < 200) {
      bench.tick();
      clocks++;
      if (bench.packets.done.empty()) text_done = clocks;
    }
    EXPECT_LE(clocks, text_done + 1 + 8) << size;
  }
}

Bytes from_hex(const std::string& text) {
  Bytes bytes;
  for (size_t i = 0; i + 1 < text.size(); i += 2) {
    bytes.push_back(static_cast<uint8_t>(std::stoul(text.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

std::filesystem::path vectors() {
  const char* place = std::getenv("SALINE_VECTORS");
  return place != nullptr ? place : "../shared/vectors";
}

// A vector the unit can take: 12-byte nonce, 16-byte tag, some text, and AAD of ESP's sizes or
// none.
bool fits(const GcmPacket& packet, const Bytes& tag) {
  const size_t aad = packet.aad.size();
  return packet.nonce.size() == 12 && tag.size() == 16 && !packet.text.empty() &&
         (aad == 0 || aad == 8 || aad == 12) && packet.key.size() != 24;
}

// Sends a published (plaintext, ciphertext, tag) in both directions.
void send_vector(GcmBench& bench, GcmPacket packet, const Bytes& cipher, const Bytes& tag) {
  const Bytes plain = packet.text;
  bench.send(packet, {cipher, tag});
  packet.encrypt = false;
  packet.text = cipher;
  bench.send(packet, {plain, tag});
}

TEST(SuiteGcm, AgreesWithNistCavp) {
  const auto folder = vectors() / "nist/cavp/gcmtestvectors";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no vectors in " << folder;
  GcmBench bench(5);
  for (const char* name : {"gcmEncryptExtIV128.rsp", "gcmEncryptExtIV256.rsp"}) {
    std::ifstream file(folder / name);
    std::map<std::string, std::string> fields;
    for (std::string line; std::getline(file, line);) {
      std::istringstream words(line);
      std::string field, equals, value;
      words >> field >> equals >> value;
      if (equals == "=") fields[field] = value;
      if (field != "Tag") continue;
      GcmPacket packet;
      packet.key = from_hex(fields["Key"]);
      packet.nonce = from_hex(fields["IV"]);
      packet.aad = from_hex(fields["AAD"]);
      packet.text = from_hex(fields["PT"]);
      const Bytes tag = from_hex(value);
      if (fits(packet, tag)) send_vector(bench, packet, from_hex(fields["CT"]), tag);
    }
  }
  EXPECT_GE(bench.expected.size(), 200U);
  bench.check();
}

// The file has one field per line, so that no JSON reader is needed; `tag` is a test's last value.
TEST(SuiteGcm, AgreesWithWycheproof) {
  const auto path = vectors() / "wycheproof/aes_gcm_test.json";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no vectors in " << path;
  GcmBench bench(6);
  std::ifstream file(path);
  std::map<std::string, std::string> fields;
  for (std::string line; std::getline(file, line);) {
    const auto a = line.find('"'), b = line.find("\": \"");
    if (a == std::string::npos || b == std::string::npos) continue;
    const std::string field = line.substr(a + 1, b - a - 1);
    fields[field] = line.substr(b + 4, line.rfind('"') - b - 4);
    if (field != "result" || fields[field] != "valid") continue;
    GcmPacket packet;
    packet.key = from_hex(fields["key"]);
    packet.nonce = from_hex(fields["iv"]);
    packet.aad = from_hex(fields["aad"]);
    packet.text = from_hex(fields["msg"]);
    const Bytes tag = from_hex(fields["tag"]);
    if (fits(packet, tag)) send_vector(bench, packet, from_hex(fields["ct"]), tag);
  }
  EXPECT_GE(bench.expected.size(), 20U);
  bench.check();
}

}  // namespace
