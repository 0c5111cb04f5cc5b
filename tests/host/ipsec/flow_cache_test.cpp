// The flow cache: answers as the SPD does, forgets with every change of it, and steps aside when
// flows do not come again.
#include "host/ipsec/flow_cache.hpp"

#include <gtest/gtest.h>

namespace saline::test {

using namespace saline::ipsec;

namespace {

Policy policy(const char* source, std::uint8_t length, std::uint16_t port = 0) {
  Policy result;
  result.action = Action::discard;
  result.selector.source = {base::Address::parse(source), length};
  result.selector.destination = {base::Address::parse("0.0.0.0"), 0};
  result.selector.destination_port = port;
  return result;
}

Flow flow(std::uint32_t number) {
  Flow result;
  result.source = result.destination = base::Address::parse("10.0.0.1");
  for (std::size_t i = 0; i < 3; ++i)
    result.destination.bytes[i + 1] = static_cast<std::uint8_t>(number >> 8 * i);
  result.source_port = 1000;
  result.destination_port = static_cast<std::uint16_t>(number >> 24 | 1);
  result.upper_protocol = kUdp;
  result.ports_known = true;
  return result;
}

struct Bed {
  Bed() {
    id = spd.add(policy("10.0.0.0", 8))->id;
    spd.publish();
  }
  const Policy* ask(const Flow& what, Direction direction = Direction::out) {
    const Policy* found = nullptr;
    cache.match(*spd.view().acquire(), direction, {&what, 1}, {&found, 1});
    return found;
  }
  Spd spd;
  FlowCache cache;
  std::uint32_t id = 0;
};

}  // namespace

TEST(FlowCache, RemembersForOneGeneration) {
  Bed bed;
  EXPECT_EQ(bed.ask(flow(1))->id, bed.id);
  EXPECT_EQ(bed.ask(flow(1))->id, bed.id);
  EXPECT_EQ(bed.cache.counts().hits, 1u);
  Policy better = policy("10.0.0.1", 32);
  better.priority = -1;
  const std::uint32_t better_id = bed.spd.add(std::move(better))->id;
  EXPECT_EQ(bed.ask(flow(1))->id, bed.id) << "not yet published";
  bed.spd.publish();
  EXPECT_EQ(bed.ask(flow(1))->id, better_id);
  bed.spd.clear();
  bed.spd.publish();
  EXPECT_EQ(bed.ask(flow(1)), nullptr);
  EXPECT_EQ(bed.ask(flow(1)), nullptr);
  EXPECT_EQ(bed.cache.counts().hits, 3u);
}

TEST(FlowCache, EveryPartOfAFlowCounts) {
  Bed bed;
  const Flow first = flow(1);
  bed.ask(first);
  std::vector<Flow> others(8, first);
  others[0].source.bytes[3] = 9;
  others[1].destination.bytes[0] = 9;
  others[2].source_port = 9;
  others[3].destination_port = 9;
  others[4].upper_protocol = kTcp;
  others[5].ports_known = false;
  others[6].fragment = true;
  others[7].source.bytes[15] = 9;
  for (const Flow& other : others) bed.ask(other);
  bed.ask(first, Direction::in);
  EXPECT_EQ(bed.cache.counts().hits, 0u);
  bed.ask(first);
  EXPECT_EQ(bed.cache.counts().hits, 1u);
}

TEST(FlowCache, StepsAsideForFlowsThatNeverComeAgainAndComesBack) {
  Bed bed;
  for (std::uint32_t i = 0; i < 20000; ++i) ASSERT_EQ(bed.ask(flow(i))->id, bed.id);
  EXPECT_FALSE(bed.cache.wide());
  EXPECT_GT(bed.cache.counts().passed_by, 10000u);
  for (std::uint32_t i = 0; i < 400000 && !bed.cache.wide(); ++i) bed.ask(flow(i % 1000));
  EXPECT_TRUE(bed.cache.wide());
  const std::uint64_t hits = bed.cache.counts().hits;
  for (std::uint32_t i = 0; i < 3000; ++i) bed.ask(flow(i % 1000));
  EXPECT_GE(bed.cache.counts().hits, hits + 1900);
}

}  // namespace saline::test
