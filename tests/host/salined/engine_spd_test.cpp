// PF_KEY requests about policies.
#include <gtest/gtest.h>

#include "tests/host/salined/engine_bed.hpp"

namespace saline::daemon {
namespace {

using pfkey::Direction;
using pfkey::Message;
using pfkey::MessageType;

Message by_id(MessageType type, std::uint32_t id) {
  Message message(type);
  message.policy = pfkey::Policy{};
  message.policy->id = id;
  return message;
}

TEST(EngineSpd, IdsTellTheDirectionAndSurviveAnUpdate) {
  EngineBed bed;
  const std::pair<Direction, std::uint32_t> low_bits[] = {
      {Direction::in, 0}, {Direction::out, 1}, {Direction::fwd, 2}};
  for (const auto& [direction, bits] : low_bits) {
    Message request = EngineBed::policy({EngineBed::transport(50)}, direction);
    EXPECT_EQ(bed.engine.spdadd(request, bed.client).policy->id & 7, bits);
  }
  const std::uint32_t before = bed.spd.all().front()->id;
  const auto direction = static_cast<Direction>(bed.spd.all().front()->direction);
  Message update = EngineBed::policy({EngineBed::transport(51)}, direction, MessageType::spdupdate);
  EXPECT_EQ(bed.engine.spdupdate(update, bed.client).policy->id, before);
  EXPECT_EQ(bed.spd.find(before)->requests.front().protocol, ipsec::Protocol::ah);
}

TEST(EngineSpd, SecondAddOfTheSameSelectorIsRefusedAndUpdateCreates) {
  EngineBed bed;
  Message update = EngineBed::policy({}, Direction::out, MessageType::spdupdate);
  EXPECT_NE(bed.engine.spdupdate(update, bed.client).policy->id, 0u);
  Message add = EngineBed::policy({EngineBed::transport(50)});
  EXPECT_EQ(errno_of([&] { bed.engine.spdadd(add, bed.client); }), EEXIST);
  EXPECT_EQ(bed.spd.all().size(), 1u);
}

TEST(EngineSpd, PrioritiesAreEchoedAndOrderTheSearch) {
  EngineBed bed;
  for (std::uint32_t priority : {pfkey::kPriorityDefault, 0u, 0xffffffffu}) {
    Message request = EngineBed::policy({EngineBed::transport(50)});
    request.policy->priority = priority;
    request.source->proto = request.destination->proto = static_cast<std::uint8_t>(priority >> 28);
    request.source->proto = request.destination->proto =
        static_cast<std::uint8_t>(1 + (priority >> 28));
    EXPECT_EQ(bed.engine.spdadd(request, bed.client).policy->priority, priority);
  }
  Message request(MessageType::spddump);
  const auto dump = bed.engine.spddump(request, bed.client);
  EXPECT_EQ(dump->next()->policy->priority, 0u);
  EXPECT_EQ(dump->next()->policy->priority, pfkey::kPriorityDefault);
  EXPECT_EQ(dump->next()->policy->priority, 0xffffffffu);
  EXPECT_FALSE(dump->next());
}

TEST(EngineSpd, DeleteBySelectorAndById) {
  EngineBed bed;
  Message add = EngineBed::policy({EngineBed::transport(50)});
  bed.engine.spdadd(add, bed.client);
  Message by_selector = EngineBed::policy({}, Direction::out, MessageType::spddelete);
  bed.engine.spddelete(by_selector, bed.client);
  EXPECT_EQ(errno_of([&] { bed.engine.spddelete(by_selector, bed.client); }), ENOENT);
  Message again = EngineBed::policy({EngineBed::transport(50)});
  const std::uint32_t id = bed.engine.spdadd(again, bed.client).policy->id;
  Message request = by_id(MessageType::spddelete2, id);
  const Message reply = bed.engine.spddelete2(request, bed.client);
  EXPECT_TRUE(reply.source && reply.destination);
  EXPECT_TRUE(bed.spd.all().empty());
  EXPECT_EQ(errno_of([&] { bed.engine.spddelete2(request, bed.client); }), ENOENT);
}

TEST(EngineSpd, GetShowsCountersAndRequests) {
  EngineBed bed;
  Message add = EngineBed::policy({EngineBed::transport(50), EngineBed::transport(51)});
  const std::uint32_t id = bed.engine.spdadd(add, bed.client).policy->id;
  bed.spd.find(id)->bytes.add(99);
  bed.spd.find(id)->last_used_s.set(123);
  Message request = by_id(MessageType::spdget, id);
  const Message reply = bed.engine.spdget(request, bed.client);
  EXPECT_EQ(reply.current->bytes, 99u);
  EXPECT_EQ(reply.current->usetime_s, 123u);
  ASSERT_EQ(reply.policy->requests.size(), 2u);
  EXPECT_EQ(reply.policy->requests[1].proto, 51);
  Message unknown = by_id(MessageType::spdget, id + 8);
  EXPECT_EQ(errno_of([&] { bed.engine.spdget(unknown, bed.client); }), ENOENT);
}

TEST(EngineSpd, RefusedPolicyLeavesNothing) {
  EngineBed bed;
  pfkey::PolicyRequest tunnel = EngineBed::transport(50);
  tunnel.mode = pfkey::Mode::tunnel;  // without ends
  Message request = EngineBed::policy({tunnel});
  EXPECT_EQ(errno_of([&] { bed.engine.spdadd(request, bed.client); }), EINVAL);
  EXPECT_TRUE(bed.spd.all().empty());
}

TEST(EngineSpd, UniqueWithoutANumberGetsOneOfOurs) {
  EngineBed bed;
  pfkey::PolicyRequest unique = EngineBed::transport(50);
  unique.level = pfkey::Level::unique;
  Message request = EngineBed::policy({unique});
  EXPECT_GT(bed.engine.spdadd(request, bed.client).policy->requests[0].reqid, pfkey::kReqidMax);
}

TEST(EngineSpd, PolicyEndsWithItsLifetime) {
  EngineBed bed;
  Message request = EngineBed::policy({EngineBed::transport(50)});
  request.hard = pfkey::Lifetime{.addtime_s = 60};
  const std::uint32_t id = bed.engine.spdadd(request, bed.client).policy->id;
  bed.now_s += 59;
  bed.engine.tick();
  EXPECT_EQ(bed.spd.all().size(), 1u);
  bed.now_s += 1;
  bed.engine.tick();
  EXPECT_TRUE(bed.spd.all().empty());
  ASSERT_EQ(bed.ears.all_heard.size(), 1u);
  EXPECT_EQ(bed.ears.all_heard[0].type, MessageType::spdexpire);
  EXPECT_EQ(bed.ears.all_heard[0].policy->id, id);
}

TEST(EngineSpd, IdlePolicyEndsAndAUsedOneStays) {
  EngineBed bed;
  Message request = EngineBed::policy({EngineBed::transport(50)});
  request.hard = pfkey::Lifetime{.usetime_s = 60};
  const std::uint32_t id = bed.engine.spdadd(request, bed.client).policy->id;
  bed.now_s += 50;
  bed.spd.find(id)->last_used_s.set(bed.now_s);
  bed.now_s += 50;
  bed.engine.tick();
  EXPECT_EQ(bed.spd.all().size(), 1u);
  bed.now_s += 10;
  bed.engine.tick();
  EXPECT_TRUE(bed.spd.all().empty());
}

}  // namespace
}  // namespace saline::daemon
