// The SPD's answer is that of a search through an ordered list, whatever the policies, the order in
// which they came, and what was added, changed and removed in between. The list here is the
// specification: a vector, sorted by priority then insertion, and Selector::matches.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <random>
#include <thread>

#include "host/ipsec/spd.hpp"

namespace saline::test {

using namespace saline::ipsec;
using base::Family;

namespace {

std::uint64_t seed() {
  const char* text = std::getenv("SALINE_SEED");
  return text != nullptr ? std::strtoull(text, nullptr, 0) : std::random_device{}();
}

// Prefixes and addresses from few bits, so that they nest and overlap.
struct Shape {
  unsigned least, most;  // prefix lengths
  unsigned choices;      // per byte
  bool ports;
};

class Source {
 public:
  Source(std::uint64_t seed, Shape shape) : generator_(seed), shape_(shape) {}
  std::uint64_t below(std::uint64_t count) { return generator_() % count; }
  bool one_in(std::uint64_t count) { return below(count) == 0; }

  base::Address address(Family family) {
    base::Address result;
    result.family = family;
    for (std::size_t i = 0; i < base::address_bytes(family); ++i)
      result.bytes[i] = static_cast<std::uint8_t>(below(shape_.choices) * 0x5B);
    return result;
  }
  base::Prefix prefix(Family family) {
    const unsigned bits = static_cast<unsigned>(base::address_bytes(family)) * 8;
    const unsigned least = std::min(shape_.least, bits), most = std::min(shape_.most, bits);
    unsigned length = least + static_cast<unsigned>(below(most - least + 1));
    if (one_in(5)) length = static_cast<unsigned>(below(bits / 8 + 1)) * 8;
    return {address(family), static_cast<std::uint8_t>(length)};
  }
  std::uint8_t protocol() {
    constexpr std::array<std::uint8_t, 4> protocols{kTcp, kUdp, kIcmp, kIcmpv6};
    return protocols[below(4)];
  }
  std::uint16_t port() { return static_cast<std::uint16_t>(1 + below(3)); }

  Policy policy() {
    Policy policy;
    const Family family = one_in(2) ? Family::ipv4 : Family::ipv6;
    policy.direction = static_cast<Direction>(1 + below(3));
    policy.action = one_in(2) ? Action::discard : Action::none;
    policy.priority = static_cast<std::int32_t>(below(4)) - 2;
    if (one_in(50)) policy.priority = one_in(2) ? INT32_MIN : INT32_MAX;
    policy.selector.source = prefix(family);
    policy.selector.destination = prefix(family);
    if (shape_.ports) {
      if (!one_in(3)) policy.selector.upper_protocol = protocol();
      if (one_in(2)) policy.selector.source_port = port();
      if (one_in(2)) policy.selector.destination_port = port();
    }
    return policy;
  }
  Flow flow() {
    Flow flow;
    const Family family = one_in(2) ? Family::ipv4 : Family::ipv6;
    flow.source = address(family);
    flow.destination = address(family);
    flow.fragment = one_in(8);
    flow.upper_protocol = flow.fragment ? kAnyProtocol : protocol();
    flow.ports_known = !flow.fragment && !one_in(8);
    if (flow.ports_known) {
      flow.source_port = port();
      flow.destination_port = port();
    }
    return flow;
  }

 private:
  std::mt19937_64 generator_;
  Shape shape_;
};

class Oracle {
 public:
  void add(const Policy& policy) { policies_.push_back(policy); }
  const Policy* match(Direction direction, const Flow& flow) const {
    const bool forwards = std::any_of(policies_.begin(), policies_.end(), [](const Policy& policy) {
      return policy.direction == Direction::fwd;
    });
    if (direction == Direction::fwd && !forwards) direction = Direction::in;
    const Policy* best = nullptr;
    for (const Policy& policy : policies_)
      if (policy.direction == direction && policy.selector.matches(flow) &&
          (best == nullptr || policy.priority < best->priority))
        best = &policy;
    return best;
  }
  std::vector<Policy>& policies() { return policies_; }

 private:
  std::vector<Policy> policies_;  // in order of insertion
};

void expect_equal(Spd& spd, const Oracle& oracle, Source& random, std::size_t flows) {
  const SpdView& view = *spd.view().acquire();
  std::vector<Flow> burst(flows);
  std::vector<const Policy*> found(flows);
  for (Flow& flow : burst) flow = random.flow();
  for (const Direction direction : {Direction::in, Direction::out, Direction::fwd}) {
    view.match(direction, burst, found);
    for (std::size_t i = 0; i < flows; ++i) {
      const Policy* wanted = oracle.match(direction, burst[i]);
      ASSERT_EQ(found[i] == nullptr ? 0 : found[i]->id, wanted == nullptr ? 0 : wanted->id)
          << burst[i].source.to_string() << " > " << burst[i].destination.to_string();
      if (i < 4) {
        ASSERT_EQ(view.match(direction, burst[i]), found[i]);
      }
    }
  }
  spd.view().release();
}

void change(Spd& spd, Oracle& oracle, Source& random) {
  std::vector<Policy>& policies = oracle.policies();
  Policy policy = random.policy();
  const std::uint64_t what = random.below(10);
  if (what < 6 || policies.empty()) {
    if (spd.find(policy.direction, policy.selector) != nullptr) return;
    policy.id = spd.add(Policy(policy))->id;
    oracle.add(policy);
  } else {
    const auto at = policies.begin() + static_cast<std::ptrdiff_t>(random.below(policies.size()));
    if (what < 8) {
      ASSERT_NE(random.one_in(2) ? spd.remove(at->id) : spd.remove(at->direction, at->selector),
                nullptr);
      policies.erase(at);
    } else {
      policy.direction = at->direction;
      policy.selector = at->selector;
      policy.id = at->id;
      if (random.one_in(2)) policy.priority = at->priority;
      ASSERT_EQ(spd.update(Policy(policy))->id, at->id);
      if (policy.priority == at->priority) {
        *at = policy;
      } else {
        policies.erase(at);
        policies.push_back(policy);
      }
    }
  }
  if (random.one_in(2)) spd.publish();
}

class SpdOracle : public testing::TestWithParam<Shape> {};

}  // namespace

TEST_P(SpdOracle, AnswersAsTheOrderedListDoes) {
  const std::uint64_t start = seed();
  SCOPED_TRACE("SALINE_SEED=" + std::to_string(start));
  Source random(start, GetParam());
  Spd spd(700);  // numbers of insertion start over on the way
  Oracle oracle;
  for (int round = 0; round < 60 && !testing::Test::HasFatalFailure(); ++round) {
    for (int i = 0; i < 20; ++i) change(spd, oracle, random);
    if (round == 40) {
      spd.clear();
      oracle = Oracle();
    }
    spd.publish();
    ASSERT_EQ(spd.size(), oracle.policies().size());
    expect_equal(spd, oracle, random, 100);
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, SpdOracle,
                         testing::Values(Shape{0, 128, 2, true}, Shape{8, 24, 2, true},
                                         Shape{24, 32, 2, false}, Shape{128, 128, 2, true},
                                         Shape{0, 0, 3, true}, Shape{48, 64, 3, true},
                                         Shape{0, 128, 256, false}, Shape{10, 16, 3, false},
                                         Shape{0, 128, 1, false}));  // the last: one address

// Many flows, many prefixes, and none of the nesting: the shape of a gateway's table.
TEST(SpdOracle, D14TenThousandSitesInEitherOrder) {
  Source random(seed(), Shape{16, 24, 256, false});
  for (const bool reversed : {false, true}) {
    std::vector<Policy> policies;
    for (unsigned i = 0; i < 10000; ++i) {
      Policy policy;
      policy.id = i + 1;
      policy.action = Action::none;
      policy.selector.source = {base::Address::parse("10.0.0.0"), 24};
      policy.selector.destination = {base::Address::parse("172.0.0.0"), 24};
      for (base::Prefix* prefix : {&policy.selector.source, &policy.selector.destination}) {
        prefix->address.bytes[1] = static_cast<std::uint8_t>(i >> 8);
        prefix->address.bytes[2] = static_cast<std::uint8_t>(i);
      }
      policies.push_back(policy);
    }
    if (reversed) std::reverse(policies.begin(), policies.end());
    Spd spd;
    for (const Policy& policy : policies) spd.add(Policy(policy));
    Policy rest;
    rest.action = Action::discard;
    rest.selector = {{base::Address::parse("0.0.0.0"), 0}, 0, {base::Address::parse("0.0.0.0"), 0}};
    const std::uint32_t last = spd.add(Policy(rest))->id;
    spd.publish();
    const SpdView& view = *spd.view().acquire();
    for (unsigned i = 0; i < 10000; ++i) {
      Flow flow;
      flow.source = policies[i].selector.source.address;
      flow.destination = policies[i].selector.destination.address;
      flow.upper_protocol = kUdp;
      flow.source.bytes[3] = flow.destination.bytes[3] =
          static_cast<std::uint8_t>(random.below(256));
      ASSERT_EQ(view.match(Direction::out, flow)->id, policies[i].id);
      flow.destination.bytes[2] ^= 1;
      ASSERT_EQ(view.match(Direction::out, flow)->id, last);
    }
  }
}

// Readers never miss a policy that stays, nor see one that was taken away before they looked.
TEST(SpdOracle, ReadersGoOnWhileTheTableChanges) {
  const std::uint64_t start = seed();
  SCOPED_TRACE("SALINE_SEED=" + std::to_string(start));
  Source random(start, Shape{8, 32, 4, true});
  Spd spd;
  Policy stays;
  stays.id = 1;
  stays.action = Action::none;
  stays.priority = 1000;
  stays.selector = {{base::Address::parse("0.0.0.0"), 0}, 0, {base::Address::parse("0.0.0.0"), 0}};
  spd.add(Policy(stays));
  Policy first = stays;
  first.id = 2;
  first.priority = INT32_MIN;  // and nobody came before
  first.selector.source = {base::Address::parse("9.9.9.0"), 24};
  spd.add(Policy(first));
  spd.publish();
  std::atomic<bool> done{false};
  std::atomic<std::uint64_t> wrong{0};
  std::thread reader([&] {
    Source flows(start + 1, Shape{8, 32, 4, true});
    std::vector<Flow> burst(32);
    std::vector<const Policy*> found(32);
    while (!done) {
      for (Flow& flow : burst) {
        do flow = flows.flow();
        while (flow.source.family != Family::ipv4);
      }
      burst[0].source = base::Address::parse("9.9.9.9");
      const SpdView& view = *spd.view().acquire();
      view.match(Direction::out, burst, found);
      if (found[0] == nullptr || found[0]->id != 2) ++wrong;
      for (std::size_t i = 1; i < 32; ++i)
        if (found[i] == nullptr || (found[i]->id != 1 && !found[i]->selector.matches(burst[i])))
          ++wrong;
    }
    spd.view().release();
  });
  std::vector<std::uint32_t> ids;
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(400);
  while (std::chrono::steady_clock::now() < until) {
    Policy policy = random.policy();
    policy.direction = Direction::out;
    if (ids.size() < 300 && spd.find(policy.direction, policy.selector) == nullptr) {
      ids.push_back(spd.add(std::move(policy))->id);
    } else if (!ids.empty()) {
      std::swap(ids[random.below(ids.size())], ids.back());
      spd.remove(ids.back());
      ids.pop_back();
    }
    spd.publish();
  }
  done = true;
  reader.join();
  EXPECT_EQ(wrong, 0u);
}

}  // namespace saline::test
