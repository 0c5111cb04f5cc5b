// The SPD alone: processor cycles a packet of the policy lookup, bursts of 32, one thread. Tables
// of N policies; `same` asks for 10,000 flows over and over through the flow cache, `new` for a
// flow never seen before each time, through the cache and without it. `change` is the time in which
// one change of a policy takes effect, `adds` how many policies a second the control thread puts
// in.
//   spd.<table><N>.<same|new|new_uncached>.cycles, spd.<table><N>.change_us, .adds_s
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "host/ipsec/flow_cache.hpp"

namespace {

using namespace saline;
using namespace saline::ipsec;
using base::Address;
using base::Family;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kBurst = 32;
constexpr int kRounds = 15;

std::uint64_t cycles() {
#if defined(__x86_64__)
  return __rdtsc();
#else
  return static_cast<std::uint64_t>(Clock::now().time_since_epoch().count());
#endif
}

struct Table {
  const char* name;
  std::function<Selector(std::mt19937_64&, std::size_t)> make;
};

Address address(Family family, std::uint64_t bits) {
  Address result;
  result.family = family;
  for (std::size_t i = 0; i < base::address_bytes(family); ++i)
    result.bytes[i] = static_cast<std::uint8_t>(bits >> 8 * (7 - i % 8));
  return result;
}

Selector pair(Family family, std::uint64_t source, std::uint64_t source_length,
              std::uint64_t destination, std::uint64_t destination_length) {
  Selector selector;
  selector.source = {address(family, source), static_cast<std::uint8_t>(source_length)};
  selector.destination = {address(family, destination),
                          static_cast<std::uint8_t>(destination_length)};
  return selector;
}

const Table kTables[] = {
    {"sites",  // /24 to /24
     [](auto& random, std::size_t) { return pair(Family::ipv4, random(), 24, random(), 24); }},
    {"hosts",  // /32 to /32, TCP, one port
     [](auto& random, std::size_t) {
       Selector selector = pair(Family::ipv4, random(), 32, random(), 32);
       selector.upper_protocol = kTcp;
       selector.destination_port = static_cast<std::uint16_t>(1 + random() % 65535);
       return selector;
     }},
    {"random",  // /16../32 to /16../32
     [](auto& random, std::size_t) {
       return pair(Family::ipv4, random(), 16 + random() % 17, random(), 16 + random() % 17);
     }},
    {"tuples",  // any lengths, protocols and ports
     [](auto& random, std::size_t) {
       Selector selector = pair(Family::ipv4, random(), random() % 33, random(), random() % 33);
       if (random() % 2 != 0) selector.upper_protocol = kTcp;
       if (random() % 2 != 0) selector.source_port = static_cast<std::uint16_t>(random() % 4);
       if (random() % 2 != 0) selector.destination_port = static_cast<std::uint16_t>(random() % 4);
       return selector;
     }},
    {"sites6",  // /64 to /64
     [](auto& random, std::size_t) {
       Selector selector = pair(Family::ipv6, random(), 64, random(), 64);
       for (base::Prefix* prefix : {&selector.source, &selector.destination})
         prefix->address.bytes[0] = 0x20, prefix->address.bytes[1] = 0x01;
       return selector;
     }},
};

Flow flow_of(std::mt19937_64& random, const Selector& selector) {
  Flow flow;
  const auto inside = [&](const base::Prefix& prefix) {
    Address result = address(prefix.address.family, random());
    for (unsigned bit = 0; bit < prefix.length; ++bit) {
      const auto mask = static_cast<std::uint8_t>(0x80 >> bit % 8);
      std::uint8_t& byte = result.bytes[bit / 8];
      byte = static_cast<std::uint8_t>((byte & ~mask) | (prefix.address.bytes[bit / 8] & mask));
    }
    return result;
  };
  flow.source = inside(selector.source);
  flow.destination = inside(selector.destination);
  flow.upper_protocol = kTcp;
  flow.ports_known = true;
  flow.source_port =
      selector.source_port != 0 ? selector.source_port : static_cast<std::uint16_t>(random());
  flow.destination_port = selector.destination_port != 0 ? selector.destination_port
                                                         : static_cast<std::uint16_t>(random());
  return flow;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// The median burst of many: what the machine does beside it only ever adds.
template <typename Look>
double measure(std::vector<Flow>& flows, bool renew, Look&& look) {
  std::vector<double> bursts;
  std::vector<const Policy*> found(kBurst);
  for (int round = 0; round < kRounds; ++round) {
    if (renew)
      for (Flow& flow : flows) flow.source_port = static_cast<std::uint16_t>(flow.source_port + 1);
    for (std::size_t i = 0; i + kBurst <= flows.size(); i += kBurst) {
      const std::uint64_t start = cycles();
      look(std::span<const Flow>(flows).subspan(i, kBurst), std::span<const Policy*>(found));
      if (round > 1) bursts.push_back(static_cast<double>(cycles() - start) / kBurst);
    }
  }
  return median(std::move(bursts));
}

void run(const Table& table, std::size_t count) {
  std::mt19937_64 random(1);
  Spd spd;
  std::vector<Selector> selectors;
  const auto begin = Clock::now();
  while (spd.size() < count) {
    Policy policy;
    policy.action = Action::none;
    policy.selector = table.make(random, spd.size());
    if (spd.find(Direction::out, policy.selector) != nullptr) continue;
    selectors.push_back(policy.selector);
    spd.add(std::move(policy));
    spd.publish();
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  const std::string name = std::string("spd.") + table.name + std::to_string(count);
  std::vector<Flow> flows;
  for (std::size_t i = 0; i < 10000 / kBurst * kBurst; ++i)
    flows.push_back(flow_of(random, selectors[random() % count]));
  const SpdView& view = *spd.view().acquire();
  FlowCache cache;
  const auto through = [&](auto some, auto found) {
    cache.match(view, Direction::out, some, found);
  };
  const auto without = [&](auto some, auto found) { view.match(Direction::out, some, found); };
  std::printf("%s.same.cycles %.0f\n", name.c_str(), measure(flows, false, through));
  flows.clear();
  for (std::size_t i = 0; i < 100000; ++i)
    flows.push_back(flow_of(random, selectors[random() % count]));
  std::printf("%s.new_uncached.cycles %.0f\n", name.c_str(), measure(flows, true, without));
  std::printf("%s.new.cycles %.0f\n", name.c_str(), measure(flows, true, through));
  spd.view().release();
  std::vector<double> changes;
  for (int i = 0; i < 200; ++i) {
    const Selector& selector = selectors[random() % count];
    const auto start = Clock::now();
    if (const auto removed = spd.remove(Direction::out, selector)) {
      spd.publish();
      Policy again;
      again.action = Action::none;
      again.selector = selector;
      spd.add(std::move(again));
      spd.publish();
    }
    changes.push_back(std::chrono::duration<double, std::micro>(Clock::now() - start).count() / 2);
  }
  std::printf("%s.change_us %.1f (worst %.1f)\n", name.c_str(), median(changes),
              *std::max_element(changes.begin(), changes.end()));
  std::printf("%s.adds_s %.0f\n", name.c_str(), static_cast<double>(count) / seconds);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  for (const Table& table : kTables) {
    if (argc > 1 && std::strcmp(argv[1], table.name) != 0) continue;
    for (const std::size_t count : {1ul, 10000ul, 50000ul, 100000ul}) run(table, count);
  }
}
