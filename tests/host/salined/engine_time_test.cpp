// Lifetimes, EXPIRE and ACQUIRE: RFC 2367 §3.1.6, §3.1.8.
#include <gtest/gtest.h>

#include "tests/host/salined/engine_bed.hpp"

namespace saline::daemon {
namespace {

using pfkey::Message;
using pfkey::MessageType;

std::string kinds(const Ears& ears) {
  std::string text;
  for (const Message& message : ears.registered_heard) {
    if (message.type == MessageType::expire) text += message.hard ? "hard " : "soft ";
    if (message.type == MessageType::acquire) text += "acquire ";
  }
  return text;
}

void add_with(EngineBed& bed, pfkey::Lifetime soft, pfkey::Lifetime hard) {
  Message sa = EngineBed::sa(0x1000);
  sa.soft = soft;
  sa.hard = hard;
  bed.add(std::move(sa));
}

TEST(Lifetime, SoftThenHardByAge) {
  EngineBed bed;
  add_with(bed, {.addtime_s = 80}, {.addtime_s = 100});
  bed.now_s += 79;
  bed.engine.tick();
  EXPECT_EQ(kinds(bed.ears), "");
  bed.now_s += 1;
  bed.engine.tick();
  bed.engine.tick();
  EXPECT_EQ(kinds(bed.ears), "soft ") << "once";
  EXPECT_EQ(bed.entry(0x1000).association->state(), ipsec::State::dying);
  bed.now_s += 20;
  bed.engine.tick();
  EXPECT_EQ(kinds(bed.ears), "soft hard ");
  EXPECT_TRUE(bed.engine.associations().empty());
  EXPECT_TRUE(bed.card.held.empty());
}

TEST(Lifetime, CountsFromTheFirstUse) {
  EngineBed bed;
  add_with(bed, {}, {.usetime_s = 10});
  bed.now_s += 1000;
  bed.engine.tick();
  EXPECT_FALSE(bed.engine.associations().empty()) << "never used";
  bed.card.held.begin()->second = {1, 100};
  bed.engine.tick();
  bed.now_s += 9;
  bed.engine.tick();
  EXPECT_FALSE(bed.engine.associations().empty());
  bed.now_s += 1;
  bed.engine.tick();
  EXPECT_EQ(kinds(bed.ears), "hard ");
}

TEST(Lifetime, BytesOfTheCardCount) {
  EngineBed bed;
  add_with(bed, {.bytes = 800}, {.bytes = 1000});
  bed.card.held.begin()->second = {8, 800};
  bed.engine.tick();
  EXPECT_EQ(kinds(bed.ears), "soft ");
  bed.card.held.begin()->second = {10, 1000};
  bed.engine.tick();
  EXPECT_EQ(kinds(bed.ears), "soft hard ");
}

TEST(Lifetime, ExpireCarriesTheSaAndNoKeys) {
  EngineBed bed;
  add_with(bed, {}, {.addtime_s = 5});
  bed.now_s += 5;
  bed.engine.tick();
  ASSERT_EQ(bed.ears.registered_heard.size(), 1u);
  const Message& message = bed.ears.registered_heard.front();
  EXPECT_EQ(message.sa->spi, 0x1000u);
  EXPECT_EQ(message.pid, 0u);
  EXPECT_EQ(message.hard->addtime_s, 5u);
  EXPECT_FALSE(message.soft);
  EXPECT_TRUE(message.current && message.source && message.destination && message.sa2);
  EXPECT_FALSE(message.key_encrypt);
}

TEST(Lifetime, EventsOfTheCardExpireTheSa) {
  EngineBed bed;
  bed.add(EngineBed::sa(0x1000));
  const auto* sa = bed.entry(0x1000).association.get();
  bed.card.events = {{sa, ipsec::kEventSoft}};
  bed.engine.take_events();
  EXPECT_EQ(kinds(bed.ears), "soft ");
  bed.card.events = {{sa, ipsec::kEventHard}, {nullptr, ipsec::kEventHard}};
  bed.engine.take_events();
  EXPECT_EQ(kinds(bed.ears), "soft hard ");
  EXPECT_TRUE(bed.engine.associations().empty());
}

TEST(Lifetime, AUsedUpSequenceNumberEndsTheSa) {
  EngineBed bed;
  Message sa = EngineBed::sa(0x1000);
  sa.sa->flags = pfkey::kSaFlagCyclicSequence;  // which a counter mode does not do
  bed.add(std::move(sa));
  bed.entry(0x1000).association->raise(ipsec::kEventSeqOverflow);
  bed.engine.take_events();
  EXPECT_EQ(kinds(bed.ears), "hard ");
}

AcquireNeed need_of(const Message& policy) {
  return {policy.policy->id, 0, base::Address::parse("10.0.0.1"), base::Address::parse("10.0.0.2")};
}

TEST(Acquire, AsksTheRegisteredOncePerInterval) {
  EngineBed bed;
  Message request = EngineBed::policy({EngineBed::transport(50, 9)});
  const AcquireNeed need = need_of(bed.engine.spdadd(request, bed.client));
  for (int i = 0; i < 5; ++i) bed.engine.acquire_needed(need);
  EXPECT_EQ(kinds(bed.ears), "acquire ");
  const Message& message = bed.ears.registered_heard.front();
  EXPECT_NE(message.seq, 0u);
  EXPECT_EQ(message.policy->id, need.policy_id);
  EXPECT_EQ(message.sa2->reqid, 9u);
  EXPECT_EQ(message.destination->endpoint.address.to_string(), "10.0.0.2");
  EXPECT_FALSE(message.proposal->combinations.empty());
  bed.now_s += 20;
  bed.engine.tick();
  bed.engine.acquire_needed(need);
  EXPECT_EQ(kinds(bed.ears), "acquire acquire ");
}

TEST(Acquire, AFailedNegotiationMayBeTriedAgain) {
  EngineBed bed;
  Message request = EngineBed::policy({EngineBed::transport(50)});
  const AcquireNeed need = need_of(bed.engine.spdadd(request, bed.client));
  bed.engine.acquire_needed(need);
  Message failed(MessageType::acquire);
  failed.seq = bed.ears.registered_heard.front().seq;
  failed.error = ECONNREFUSED;
  bed.engine.acquire(failed, bed.client);
  bed.engine.acquire_needed(need);
  EXPECT_EQ(kinds(bed.ears), "acquire acquire ");
}

TEST(Acquire, IsNotSentWhereNobodyListensOrAnSaExists) {
  EngineBed bed;
  Message request = EngineBed::policy({EngineBed::transport(50)});
  const AcquireNeed need = need_of(bed.engine.spdadd(request, bed.client));
  bed.ears.registered = false;
  bed.engine.acquire_needed(need);
  bed.ears.registered = true;
  bed.add(EngineBed::sa(0x1000));
  bed.engine.acquire_needed(need);
  bed.engine.acquire_needed({12345, 0, need.source, need.destination});
  EXPECT_EQ(kinds(bed.ears), "");
}

TEST(Acquire, OfATunnelNamesItsEnds) {
  EngineBed bed;
  pfkey::PolicyRequest tunnel = EngineBed::transport(50);
  tunnel.mode = pfkey::Mode::tunnel;
  tunnel.source = base::Endpoint{base::Address::parse("192.0.2.1"), 0};
  tunnel.destination = base::Endpoint{base::Address::parse("192.0.2.2"), 0};
  Message request = EngineBed::policy({tunnel});
  bed.engine.acquire_needed(need_of(bed.engine.spdadd(request, bed.client)));
  ASSERT_EQ(bed.ears.registered_heard.size(), 1u);
  EXPECT_EQ(bed.ears.registered_heard[0].source->endpoint.address.to_string(), "192.0.2.1");
  EXPECT_EQ(bed.ears.registered_heard[0].destination->endpoint.address.to_string(), "192.0.2.2");
}

}  // namespace
}  // namespace saline::daemon
