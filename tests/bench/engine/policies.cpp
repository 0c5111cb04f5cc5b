// The cost of the outbound SPD: packets that a policy lets pass in the clear, so that parse and
// lookup are all there is, and of changing one policy among many.
#include "tests/bench/engine/policies.hpp"

#include <array>
#include <chrono>
#include <cstring>
#include <random>
#include <stdexcept>

#include "host/base/bytes.hpp"
#include "host/crypto/provider.hpp"
#include "host/ipsec/process.hpp"
#include "tests/bench/engine/side.hpp"

namespace saline::bench {

namespace {

using namespace saline::ipsec;

constexpr std::size_t kPackets = 4096;
constexpr std::size_t kFlows = 1024;  // that repeat
constexpr std::size_t kBytes = 64;
constexpr int kRounds = 9;

base::Address address(std::uint32_t value) {
  std::array<std::uint8_t, 4> bytes;
  base::store32(bytes.data(), value);
  return base::Address::from_bytes(base::Family::ipv4, bytes);
}

// Networks, hosts, and hosts with a port, as gateways have them; none overlaps another.
Policy make_policy(std::uint32_t i) {
  const std::uint32_t net = i << 8;
  Policy policy;
  policy.direction = Direction::out;
  policy.action = Action::none;
  const std::uint8_t bits = i % 2 == 0 ? 24 : 32;
  const std::uint32_t low = i % 2 == 0 ? 0 : 1;
  policy.selector.source = base::Prefix{address(0x0A000000 + net + low), bits};
  policy.selector.destination = base::Prefix{address(0x0B000000 + net + low), bits};
  if (i % 4 == 3) {
    policy.selector.upper_protocol = 17;
    policy.selector.destination_port = 443;
  }
  return policy;
}

// A flow of policy i; of networks another host for each `variant`.
void write_flow(std::uint8_t* packet, std::uint32_t i, std::uint32_t variant) {
  const std::uint32_t host = i % 2 == 0 ? 1 + variant % 250 : 1;
  base::store32(packet + 12, 0x0A000000 + (i << 8) + host);
  base::store32(packet + 16, 0x0B000000 + (i << 8) + host);
  base::store16(packet + 20, static_cast<std::uint16_t>(1024 + variant % 60000));
  base::store16(packet + 22, 443);
  base::store16(packet + 10, 0);
}

class PolicyBench {
 public:
  explicit PolicyBench(std::uint32_t policies)
      : policies_(policies), provider_(crypto::make_provider()), processor_(*provider_) {
    for (std::uint32_t i = 0; i < policies; ++i) spd_.add(make_policy(i));
    spd_.publish();
    const auto clear = clear_packet(kBytes, 0);
    memory_.resize(kPackets * kBytes);
    packets_.resize(kPackets);
    for (std::size_t i = 0; i < kPackets; ++i) {
      packets_[i].data = memory_.data() + i * kBytes;
      packets_[i].length = kBytes;
      std::memcpy(packets_[i].data, clear.data(), kBytes);
    }
  }

  double cycles(bool every_packet_new) {
    std::vector<double> rounds;
    for (int round = 0; round < kRounds; ++round) {
      for (std::size_t i = 0; i < kPackets; ++i) choose_flow(i, every_packet_new);
      std::vector<std::uint64_t> bursts;
      for (std::size_t first = 0; first < kPackets; first += kBurst) bursts.push_back(run(first));
      if (round != 0) rounds.push_back(median(bursts) / kBurst);
    }
    return median(rounds);
  }

  // From the request until a data thread that looks sees it.
  double change_ms() {
    using Clock = std::chrono::steady_clock;
    std::vector<double> all;
    for (std::uint32_t i = 0; i < 21; ++i) {
      const auto start = Clock::now();
      if (i % 2 == 0)
        spd_.add(make_policy(policies_ + i));
      else
        spd_.remove(Direction::out, make_policy(policies_ + i - 1).selector);
      spd_.publish();
      spd_.view().acquire();
      all.push_back(std::chrono::duration<double, std::milli>(Clock::now() - start).count());
    }
    return median(all);
  }

 private:
  void choose_flow(std::size_t packet, bool every_packet_new) {
    const auto any = static_cast<std::uint32_t>(dice_());
    std::mt19937 repeated(any % kFlows);
    const auto policy = static_cast<std::uint32_t>(every_packet_new ? any : repeated()) % policies_;
    write_flow(packets_[packet].data, policy, every_packet_new ? ++fresh_ : 0);
  }

  std::uint64_t run(std::size_t first) {
    std::array<OutboundItem, kBurst> items;
    for (std::size_t i = 0; i < kBurst; ++i) items[i].packet = &packets_[first + i];
    const std::uint64_t start = now_cycles();
    processor_.outbound(*spd_.view().acquire(), *sad_.view().acquire(), items);
    const std::uint64_t took = now_cycles() - start;
    for (const OutboundItem& item : items)
      if (item.outcome != Outcome::pass || item.policy == nullptr)
        throw std::runtime_error("a packet did not find its policy");
    return took;
  }

  std::uint32_t policies_;
  std::unique_ptr<crypto::Provider> provider_;
  Processor processor_;
  Sad sad_;
  Spd spd_;
  std::mt19937 dice_{1};
  std::uint32_t fresh_ = 0;
  std::vector<std::uint8_t> memory_;
  std::vector<Packet> packets_;
};

}  // namespace

void measure_policies() {
  double one = 0;
  for (const std::uint32_t policies : {1u, 10000u, 50000u}) {
    PolicyBench bench(policies);
    const std::string name = "engine.policies" + std::to_string(policies);
    const double repeated = bench.cycles(false);
    const double fresh = bench.cycles(true);
    if (policies == 1) one = repeated;
    print_figure(name + ".cycles", repeated, 0);
    print_figure(name + ".new.cycles", fresh, 0);
    if (policies == 1) continue;
    print_figure(name + ".more_cycles", repeated - one, 0);
    print_figure(name + ".new.more_cycles", fresh - one, 0);
    if (policies == 50000) print_figure("engine.policy_change_ms", bench.change_ms(), 2);
  }
}

}  // namespace saline::bench
