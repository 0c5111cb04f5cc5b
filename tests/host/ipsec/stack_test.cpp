// Any order and depth of transforms: random stacks of up to six, through two hosts and the policy.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "tests/host/ipsec/bed.hpp"

namespace saline::test {

using namespace saline::ipsec;
using hw::DropReason;

namespace {

using Generator = std::mt19937_64;

std::uint64_t seed_of_run() {
  const char* given = std::getenv("SALINE_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 0) : std::random_device{}();
}

// A transform of any kind, without its addresses.
SaSpec random_transform(Generator& generator, std::uint32_t layer) {
  SaSpec spec;
  spec.spi = 0x1000 + layer;
  spec.reqid = layer + 1;
  spec.esn = generator() % 2 == 0;
  spec.mode = generator() % 2 == 0 ? Mode::transport : Mode::tunnel;
  switch (generator() % 8) {
    case 0:
      spec.encryption = "aes-gcm-16";
      spec.integrity = "";
      break;
    case 1:
      spec.protocol = Protocol::ah;
      spec.integrity = "hmac-sha2-256";
      spec.align8 = generator() % 2 == 0;
      break;
    case 2:
      spec.protocol = Protocol::ipcomp;
      spec.esn = false;
      break;
    case 3:
      spec.udp = {4500, 4500, {}};
      break;
    case 4:
      spec.encryption = "des-cbc";
      spec.integrity = "";
      spec.window = 0;
      spec.esn = false;
      spec.flags = kFlagOld;
      break;
    case 5:
      spec.protocol = Protocol::ah;
      spec.integrity = "hmac-md5";
      spec.window = 0;
      spec.esn = false;
      spec.flags = kFlagOld;
      break;
    case 6:
      spec.encryption = "null";
      spec.integrity = "hmac-sha2-512";
      spec.flags = generator() % 2 == 0 ? kFlagPadZero : kFlagPadRandom;
      break;
    default:
      break;
  }
  return spec;
}

struct Stack {
  std::vector<SaSpec> layers;  // innermost first
  Bytes plain;
};

Stack random_stack(Generator& generator) {
  Stack stack;
  bool ipv6 = generator() % 2 == 0;
  std::string source = ipv6 ? "fd00::1" : "192.168.0.1";
  std::string destination = ipv6 ? "fd00::2" : "192.168.0.2";
  const std::size_t bytes = generator() % 700;
  const bool dull = generator() % 2 == 0;
  stack.plain = ip_packet(source, destination, kUdp,
                          dull ? udp(0) : udp(bytes, static_cast<std::uint8_t>(generator())));
  if (dull) stack.plain = ip_packet(source, destination, 200, Bytes(bytes, 'd'));
  const auto depth = static_cast<std::uint32_t>(1 + generator() % 6);
  for (std::uint32_t layer = 0; layer < depth; ++layer) {
    SaSpec spec = random_transform(generator, layer);
    if (spec.mode == Mode::tunnel) {
      ipv6 = generator() % 2 == 0;
      const std::string hop = std::to_string(layer + 1);
      source = ipv6 ? "2001:db8:" + hop + "::1" : "10." + hop + ".0.1";
      destination = ipv6 ? "2001:db8:" + hop + "::2" : "10." + hop + ".0.2";
    }
    spec.source = source;
    spec.destination = destination;
    stack.layers.push_back(spec);
  }
  return stack;
}

std::string describe(const Stack& stack) {
  std::string text;
  for (const SaSpec& spec : stack.layers) {
    text += spec.protocol == Protocol::ah       ? "ah"
            : spec.protocol == Protocol::ipcomp ? "ipcomp"
                                                : "esp " + spec.encryption;
    text += spec.udp.enabled() ? "-udp" : "";
    text += (spec.flags & kFlagOld) != 0 ? "-old" : "";
    text += spec.mode == Mode::tunnel ? "/tunnel/" + spec.destination + " " : "/transport ";
  }
  return text;
}

Policy policy_of(const Stack& stack, Direction direction) {
  Policy policy = policy_for({stack.layers.front()}, direction);
  policy.requests.clear();
  const bool ipv6 = stack.plain[0] >> 4 == 6;
  policy.selector.source.address.family = ipv6 ? base::Family::ipv6 : base::Family::ipv4;
  policy.selector.destination.address.family = policy.selector.source.address.family;
  for (const SaSpec& spec : stack.layers)
    policy.requests.push_back(policy_for({spec}).requests.front());
  return policy;
}

// Outermost first; compression in transport mode may have been left out.
void expect_history(const Stack& stack, const Packet& packet) {
  std::size_t at = 0;
  for (std::size_t layer = stack.layers.size(); layer-- > 0;) {
    const SaSpec& spec = stack.layers[layer];
    const bool there =
        at < packet.history_count && packet.history[at].association->config().reqid == spec.reqid;
    if (!there && spec.protocol == Protocol::ipcomp && spec.mode == Mode::transport) continue;
    ASSERT_TRUE(there) << "layer " << layer;
    EXPECT_EQ(packet.history[at].mode, spec.mode);
    ++at;
  }
  EXPECT_EQ(at, packet.history_count);
}

}  // namespace

TEST(Stack, RandomStacksComeBackWithTheirHistory) {
  const std::uint64_t seed = seed_of_run();
  SCOPED_TRACE("SALINE_SEED=" + std::to_string(seed));
  Generator generator(seed);
  for (int round = 0; round < 400; ++round) {
    const Stack stack = random_stack(generator);
    SCOPED_TRACE(describe(stack));
    Host sender, receiver;
    for (const SaSpec& spec : stack.layers) {
      sender.add(spec);
      receiver.add(spec);
    }
    receiver.add_policy(policy_of(stack, Direction::in));
    Buffer buffer(stack.plain, 1024, 1024);
    const OutboundItem sent = sender.protect(buffer, policy_of(stack, Direction::out));
    ASSERT_EQ(sent.outcome, Outcome::pass) << hw::to_string(sent.reason);
    Buffer arrived(buffer.bytes(), 256, 4096);
    const InboundItem got = receiver.open(arrived);
    ASSERT_EQ(got.outcome, Outcome::pass) << hw::to_string(got.reason);
    ASSERT_EQ(arrived.bytes(), stack.plain);
    expect_history(stack, arrived.packet());
    ASSERT_EQ(receiver.check(arrived), DropReason::none);
  }
}

TEST(Stack, OneLayerLessIsRefusedByPolicy) {
  const std::uint64_t seed = seed_of_run();
  SCOPED_TRACE("SALINE_SEED=" + std::to_string(seed));
  Generator generator(seed);
  int refused = 0;
  for (int round = 0; round < 200; ++round) {
    const Stack stack = random_stack(generator);
    SCOPED_TRACE(describe(stack));
    Stack shorter = stack;
    const SaSpec left_out = shorter.layers.back();
    shorter.layers.pop_back();
    // A transform of another mode or compression may be left out without a change of ends.
    if (shorter.layers.empty() || left_out.protocol == Protocol::ipcomp) continue;
    Host sender, receiver;
    for (const SaSpec& spec : stack.layers) {
      sender.add(spec);
      receiver.add(spec);
    }
    receiver.add_policy(policy_of(stack, Direction::in));
    Buffer buffer(stack.plain, 1024, 1024);
    ASSERT_EQ(sender.protect(buffer, policy_of(shorter, Direction::out)).outcome, Outcome::pass);
    Buffer arrived(buffer.bytes(), 256, 4096);
    ASSERT_EQ(receiver.open(arrived).outcome, Outcome::pass);
    EXPECT_EQ(receiver.check(arrived), DropReason::policy);
    ++refused;
  }
  EXPECT_GT(refused, 50);
}

TEST(Stack, A17DeeperThanTheLimitIsRefused) {
  SaSpec spec;
  spec.window = 0;
  Host sender, receiver;
  sender.add(spec);
  receiver.add(spec);
  Bytes packet = ip_packet(spec.source, spec.destination, kUdp, udp(10));
  for (std::size_t depth = 0; depth <= kNestingMax; ++depth) {
    Buffer buffer(packet);
    ASSERT_EQ(sender.protect(buffer, policy_for({spec})).outcome, Outcome::pass);
    packet = buffer.bytes();
    Buffer arrived(packet);
    const InboundItem item = receiver.open(arrived);
    if (depth < kNestingMax)
      EXPECT_EQ(item.outcome, Outcome::pass) << depth;
    else
      EXPECT_EQ(item.reason, DropReason::nesting);
  }
}

}  // namespace saline::test
