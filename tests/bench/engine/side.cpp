// Packets, transforms and turns.
#include "tests/bench/engine/side.hpp"

#include <chrono>
#include <random>
#include <stdexcept>
#include <thread>

namespace saline::bench {

namespace {

constexpr Transform kTransforms[] = {
    {"aes-gcm-128", "aes-gcm-16", nullptr, 20, 0},
    {"aes-gcm-256", "aes-gcm-16", nullptr, 36, 0},
    {"aes-cbc-128+hmac-sha256", "aes-cbc", "hmac-sha2-256", 16, 32},
    {"aes-cbc-128+hmac-sha1", "aes-cbc", "hmac-sha1", 16, 20},
    {"aes-ccm-128", "aes-ccm-16", nullptr, 19, 0},
    {"chacha20-poly1305", "chacha20-poly1305", nullptr, 36, 0},
    {"ah+hmac-sha256", nullptr, "hmac-sha2-256", 0, 32},
    {"ah+hmac-sha1", nullptr, "hmac-sha1", 0, 20},
};

// Enough bursts for a median; the packets of a long load are enough by themselves.
constexpr std::size_t kBurstsPerRound = 200;

}  // namespace

const Transform* find_transform(const std::string& name) {
  for (const Transform& transform : kTransforms)
    if (name == transform.name) return &transform;
  return nullptr;
}

double cycles_per_second() {
  static const double value = [] {
    using Clock = std::chrono::steady_clock;
    const auto start = Clock::now();
    const std::uint64_t from = now_cycles();
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    const std::uint64_t to = now_cycles();
    return static_cast<double>(to - from) /
           std::chrono::duration<double>(Clock::now() - start).count();
  }();
  return value;
}

std::vector<std::uint32_t> choose_sas(const Load& load) {
  std::mt19937 dice(1);
  std::vector<std::uint32_t> chosen(load.packets);
  for (auto& sa : chosen) sa = static_cast<std::uint32_t>(dice() % load.sas);
  return chosen;
}

std::vector<std::uint8_t> clear_packet(std::size_t bytes, std::uint32_t sa) {
  std::vector<std::uint8_t> packet(bytes, 0x5A);
  const std::uint8_t header[] = {0x45,
                                 0,
                                 static_cast<std::uint8_t>(bytes >> 8),
                                 static_cast<std::uint8_t>(bytes),
                                 0,
                                 1,
                                 0,
                                 0,
                                 64,
                                 17,
                                 0,
                                 0,
                                 10,
                                 0,
                                 0,
                                 1,
                                 11,
                                 static_cast<std::uint8_t>(sa >> 16),
                                 static_cast<std::uint8_t>(sa >> 8),
                                 static_cast<std::uint8_t>(sa),
                                 0x30,
                                 0x39,
                                 0x30,
                                 0x3A};
  std::copy(std::begin(header), std::end(header), packet.begin());
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < 20; i += 2) sum += packet[i] * 256u + packet[i + 1];
  sum = (sum & 0xFFFF) + (sum >> 16);
  sum = ~((sum & 0xFFFF) + (sum >> 16));
  packet[10] = static_cast<std::uint8_t>(sum >> 8);
  packet[11] = static_cast<std::uint8_t>(sum);
  return packet;
}

Extent extent_of(const Transform& transform, std::size_t bytes) {
  if (transform.encryption == nullptr)
    return {0, bytes + 20 + 12 + transform.integrity_key_bytes / 2};
  const bool cbc = transform.integrity != nullptr;
  const std::size_t multiple = cbc ? 16 : 4;
  return {cbc ? 24u : 16u, (bytes + 2 + multiple - 1) / multiple * multiple};
}

namespace {

Samples measure_round(const Entrant& entrant) {
  Side& side = *entrant.side;
  const std::size_t bursts = entrant.load.packets / kBurst;
  const std::size_t repeats = std::max<std::size_t>(1, kBurstsPerRound / bursts);
  std::vector<std::uint64_t> sealing, opening;
  const auto time = [&](std::size_t burst, bool seal, std::vector<std::uint64_t>& into) {
    side.rearm(burst);
    const std::uint64_t from = now_cycles();
    const bool passed = seal ? side.seal(burst) : side.open(burst);
    into.push_back(now_cycles() - from);
    if (!passed) throw std::runtime_error("a packet was refused by " + side.name());
  };
  for (std::size_t repeat = 0; repeat < repeats; ++repeat) {
    for (std::size_t burst = 0; burst < bursts; ++burst) time(burst, true, sealing);
    for (std::size_t burst = 0; burst < bursts; ++burst) time(burst, false, opening);
  }
  if (!side.intact()) throw std::runtime_error("a packet was damaged by " + side.name());
  return {{median(sealing) / kBurst}, {median(opening) / kBurst}};
}

}  // namespace

std::vector<Samples> compare(const std::vector<Entrant>& entrants, int rounds) {
  std::vector<Samples> all(entrants.size());
  for (const Entrant& entrant : entrants) entrant.side->load(entrant.load);
  for (int round = 0; round < rounds; ++round)
    for (std::size_t i = 0; i < entrants.size(); ++i) {
      const Samples one = measure_round(entrants[i]);
      if (round == 0) continue;  // caches and branches are still learning
      all[i].seal.push_back(one.seal[0]);
      all[i].open.push_back(one.open[0]);
    }
  return all;
}

}  // namespace saline::bench
