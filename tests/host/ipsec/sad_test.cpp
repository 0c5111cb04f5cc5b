// Lookup, choice and life of SAs in the SAD.
#include "host/ipsec/sad.hpp"

#include <gtest/gtest.h>

#include <cerrno>

#include "host/base/error.hpp"
#include "tests/host/ipsec/bed.hpp"

namespace saline::test {

using namespace saline::ipsec;

namespace {

SaSpec numbered(std::uint32_t spi, std::uint32_t reqid = 0) {
  SaSpec spec;
  spec.spi = spi;
  spec.reqid = reqid;
  return spec;
}

SaQuery query(std::uint32_t reqid = 0) {
  return {Protocol::esp, Mode::transport, address("10.0.0.1"), address("10.0.0.2"), reqid, true};
}

}  // namespace

TEST(Sad, FindsByTheWholeTriple) {
  Host host;
  std::vector<std::shared_ptr<SecurityAssociation>> all;
  for (std::uint32_t i = 0; i < 300; ++i) all.push_back(host.add(numbered(0x1000 + i)));
  const SadView& view = *host.sad.view().acquire();
  for (const auto& sa : all) EXPECT_EQ(view.find(sa->id()), sa.get());
  SaId other = all[5]->id();
  other.protocol = Protocol::ah;
  EXPECT_EQ(view.find(other), nullptr);
  other = all[5]->id();
  other.destination = address("10.0.0.3");
  EXPECT_EQ(view.find(other), nullptr);
  EXPECT_EQ(SadView().find(all[5]->id()), nullptr);
  EXPECT_EQ(SadView().choose(query()), nullptr);
}

TEST(Sad, RefusesTheSameTripleTwice) {
  Host host;
  host.add(numbered(0x1000));
  try {
    host.add(numbered(0x1000));
    FAIL();
  } catch (const base::Error& error) {
    EXPECT_EQ(error.errno_value(), EEXIST);
  }
  SaSpec elsewhere = numbered(0x1000);
  elsewhere.destination = "10.0.0.77";
  EXPECT_NO_THROW(host.add(elsewhere));
}

TEST(Sad, RemovedSaIsDeadAtOnceAndGoneAfterPublish) {
  Host host;
  auto sa = host.add(numbered(0x1000));
  const SadView* view = host.sad.view().acquire();
  EXPECT_EQ(host.sad.remove(sa->id()), sa);
  EXPECT_EQ(sa->state(), State::dead);
  EXPECT_EQ(view->find(sa->id()), sa.get()) << "the reader's view does not change";
  host.sad.publish();
  EXPECT_EQ(host.sad.view().acquire()->find(sa->id()), nullptr);
  EXPECT_EQ(host.sad.remove(sa->id()), nullptr);
}

TEST(Sad, ReplacesALarvalSaInItsPlace) {
  Host host;
  host.sad.add(SecurityAssociation::create_larval(config_of(numbered(0x1000))));
  host.add(numbered(0x2000));
  auto mature = SecurityAssociation::create(config_of(numbered(0x1000)), *host.provider);
  host.sad.replace(mature);
  host.sad.publish();
  EXPECT_EQ(host.sad.all()[0], mature);
  EXPECT_EQ(host.sad.view().acquire()->choose(query()), mature.get());
  auto unknown = SecurityAssociation::create(config_of(numbered(0x3000)), *host.provider);
  EXPECT_THROW(host.sad.replace(unknown), base::Error);
}

TEST(Sad, ChoosesOldestMatureOrNewestThenDying) {
  Host host;
  auto first = host.add(numbered(0x1000));
  auto second = host.add(numbered(0x1001));
  auto third = host.add(numbered(0x1002));
  const SadView& view = *host.sad.view().acquire();
  SaQuery newest = query();
  newest.prefer_oldest = false;
  EXPECT_EQ(view.choose(query()), first.get());
  EXPECT_EQ(view.choose(newest), third.get());
  first->set_state(State::dying);
  EXPECT_EQ(view.choose(query()), second.get());
  second->set_state(State::dead);
  third->set_state(State::larval);
  EXPECT_EQ(view.choose(query()), first.get()) << "dying is better than none";
  first->set_state(State::dead);
  EXPECT_EQ(view.choose(query()), nullptr);
}

TEST(Sad, ChoiceHonoursModeRequestIdAndAddresses) {
  Host host;
  SaSpec tunnel = numbered(0x1000);
  tunnel.mode = Mode::tunnel;
  host.add(tunnel);
  auto bound = host.add(numbered(0x1001, 7));
  auto plain = host.add(numbered(0x1002));
  const SadView& view = *host.sad.view().acquire();
  EXPECT_EQ(view.choose(query()), bound.get()) << "request id 0 takes any SA";
  EXPECT_EQ(view.choose(query(7)), bound.get());
  EXPECT_EQ(view.choose(query(8)), nullptr);
  SaQuery other = query();
  other.source = address("10.0.0.9");
  EXPECT_EQ(view.choose(other), nullptr);
  SaSpec any = numbered(0x1003, 9);
  any.mode = Mode::any;
  auto flexible = host.add(any);
  EXPECT_EQ(host.sad.view().acquire()->choose(query(9)), flexible.get());
  (void)plain;
}

}  // namespace saline::test
