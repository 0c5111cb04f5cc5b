// The packet walk without its cryptography: cycles a packet for parsing, policy, SA, window,
// headers and bookkeeping, under a provider that says yes and does nothing. ESP tunnel in IPv4 with
// the sizes of AES-GCM, bursts of 32, packets spread over the SAs at random. Figures are medians of
// bursts, so that a preempted one does not count.
// One SA: policy lookup and check as well. Arguments: SAs, rounds.
//   walk.<packet bytes>.sas<N>.<outbound|inbound>.cycles
//   walk.<packet bytes>.sas<N>.table_bytes: of the SAD's tables, for each SA
#include <x86intrin.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "host/crypto/provider.hpp"
#include "host/ipsec/process.hpp"

namespace {

using namespace saline;
using namespace saline::ipsec;
using Bytes = std::vector<std::uint8_t>;

constexpr std::size_t kBurst = 32;
constexpr std::uint32_t kHeadroom = 128;
constexpr std::uint32_t kBufferBytes = 2176;

class NoCrypto final : public crypto::Provider {
 public:
  struct Nothing final : crypto::Session {};
  std::string_view name() const noexcept override { return "none"; }
  bool supports(const crypto::Algorithm*, const crypto::Algorithm*) const noexcept override {
    return true;
  }
  std::unique_ptr<crypto::Session> open(const crypto::SessionKeys&) override {
    return std::make_unique<Nothing>();
  }
  void run(std::span<crypto::Job> burst) noexcept override {
    for (crypto::Job& job : burst) job.result = crypto::Result::ok;
  }
};

base::Address ipv4(std::uint32_t value) {
  const std::uint8_t bytes[] = {
      static_cast<std::uint8_t>(value >> 24), static_cast<std::uint8_t>(value >> 16),
      static_cast<std::uint8_t>(value >> 8), static_cast<std::uint8_t>(value)};
  return base::Address::from_bytes(base::Family::ipv4, bytes);
}

class Bed {
 public:
  Bed(std::size_t sas, std::size_t bytes)
      : processor_(provider_), count_(sas == 1 ? kBurst : 4096), random_(4711) {
    policies_.resize(sas);
    for (std::uint32_t i = 0; i < sas; ++i) {
      SaConfig config;
      config.id = {0x10000 + i, ipv4(0xC0000000 + i), Protocol::esp};
      config.source = ipv4(0xB0000001);
      config.mode = Mode::tunnel;
      config.encryption = crypto::find_encryption("aes-gcm-16");
      config.encryption_key = base::Secret(Bytes(20, 7));
      config.replay_window = 1024;
      Policy& policy = policies_[i];
      policy.action = Action::ipsec;
      policy.requests.push_back(
          {Protocol::esp, Mode::tunnel, Level::require, config.source, config.id.destination, 0});
      sad_.add(SecurityAssociation::create(std::move(config), provider_));
    }
    sad_.publish();
    for (Direction direction : {Direction::in, Direction::out}) {
      Policy any;
      any.direction = direction;
      any.action = Action::ipsec;
      any.selector.source = {ipv4(0x0A000000), 8};
      any.selector.destination = {ipv4(0x0A000000), 8};
      any.requests = policies_[0].requests;
      spd_.add(std::move(any));
    }
    spd_.publish();
    memory_.resize(count_ * kBufferBytes);
    packets_.resize(count_);
    which_.resize(count_);
    for (std::size_t i = 0; i < count_; ++i) fill(i, bytes);
  }

  void fill(std::size_t i, std::size_t bytes) {
    std::uint8_t* at = memory_.data() + i * kBufferBytes + kHeadroom;
    const std::uint8_t header[] = {0x45,
                                   0,
                                   static_cast<std::uint8_t>(bytes >> 8),
                                   static_cast<std::uint8_t>(bytes),
                                   0,
                                   1,
                                   0,
                                   0,
                                   64,
                                   kUdp,
                                   0,
                                   0,
                                   10,
                                   0,
                                   0,
                                   1,
                                   10,
                                   0,
                                   0,
                                   2,
                                   4,
                                   0,
                                   5,
                                   0};
    std::copy(std::begin(header), std::end(header), at);
    packets_[i].data = at;
    packets_[i].length = static_cast<std::uint32_t>(bytes);
    packets_[i].headroom = kHeadroom;
    packets_[i].tailroom = kBufferBytes - kHeadroom - packets_[i].length;
    which_[i] = random_() % policies_.size();
  }

  double table_bytes_per_sa() const {
    return static_cast<double>(sad_.table_bytes()) / static_cast<double>(policies_.size());
  }

  bool run(std::size_t rounds, std::vector<double>& outbound, std::vector<double>& inbound) {
    bool good = true;
    for (std::size_t round = 0; round < rounds; ++round) {
      for (std::size_t first = 0; first < count_; first += kBurst)
        good = seal(first, outbound) && good;
      for (std::size_t first = 0; first < count_; first += kBurst)
        good = open(first, inbound) && good;
    }
    return good;
  }

 private:
  bool seal(std::size_t first, std::vector<double>& cycles) {
    std::array<OutboundItem, kBurst> items;
    for (std::size_t i = 0; i < kBurst; ++i) {
      items[i].packet = &packets_[first + i];
      items[i].policy = &policies_[which_[first + i]];
    }
    const std::uint64_t start = __rdtsc();
    if (policies_.size() == 1)
      processor_.outbound(*spd_.view().acquire(), *sad_.view().acquire(), items);
    else
      processor_.outbound(*sad_.view().acquire(), items);
    cycles.push_back(static_cast<double>(__rdtsc() - start) / kBurst);
    bool good = true;
    for (const OutboundItem& item : items) good = good && item.outcome == Outcome::pass;
    return good;
  }

  bool open(std::size_t first, std::vector<double>& cycles) {
    std::array<InboundItem, kBurst> items;
    for (std::size_t i = 0; i < kBurst; ++i) {
      items[i].packet = &packets_[first + i];
      packets_[first + i].history_count = 0;
    }
    bool good = true;
    const std::uint64_t start = __rdtsc();
    if (policies_.size() == 1)
      processor_.inbound(*spd_.view().acquire(), *sad_.view().acquire(), items);
    else
      processor_.inbound(*sad_.view().acquire(), items);
    cycles.push_back(static_cast<double>(__rdtsc() - start) / kBurst);
    for (const InboundItem& item : items) good = good && item.outcome == Outcome::pass;
    return good;
  }

  NoCrypto provider_;
  Sad sad_;
  Spd spd_;
  Processor processor_;
  std::size_t count_;  // packets; of one SA they stay in the caches
  std::mt19937_64 random_;
  std::vector<Policy> policies_;
  Bytes memory_;
  std::vector<Packet> packets_;
  std::vector<std::size_t> which_;
};

double median(std::vector<double>& values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::size_t> counts{1, 16384};
  if (argc > 1) counts = {std::strtoull(argv[1], nullptr, 0)};
  bool good = true;
  constexpr std::size_t bytes = 64;
  for (const std::size_t sas : counts) {
    std::vector<double> outbound, inbound;
    Bed bed(sas, bytes);
    const std::size_t rounds = argc > 2 ? std::strtoull(argv[2], nullptr, 0) : sas == 1 ? 3000 : 40;
    good = bed.run(rounds, outbound, inbound) && good;
    const std::string name = "walk." + std::to_string(bytes) + ".sas" + std::to_string(sas);
    std::printf("%s.outbound.cycles: %.1f\n", name.c_str(), median(outbound));
    std::printf("%s.inbound.cycles: %.1f\n", name.c_str(), median(inbound));
    std::printf("%s.table_bytes: %.1f\n", name.c_str(), bed.table_bytes_per_sa());
  }
  if (!good) std::fprintf(stderr, "walk_bench: a packet was refused\n");
  return good ? 0 : 1;
}
