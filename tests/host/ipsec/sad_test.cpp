// Lookup, choice and life of SAs in the SAD.
#include "host/ipsec/sad.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <random>
#include <thread>

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
  static const base::Address source = address("10.0.0.1");
  static const base::Address destination = address("10.0.0.2");
  return {Protocol::esp, Mode::transport, source, destination, reqid, true};
}

// The id of numbered(spi), without the parsing of addresses.
SaId config_of_spi(std::uint32_t spi) {
  static const base::Address destination = address("10.0.0.2");
  return {spi, destination, Protocol::esp};
}

std::uint64_t seed_of_the_test() {
  const char* given = std::getenv("SALINE_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 0) : std::random_device{}();
}

// What SadView::choose says, from a list in order of addition.
SecurityAssociation* choose_from(const std::vector<std::shared_ptr<SecurityAssociation>>& order,
                                 const SaQuery& asked) {
  SecurityAssociation* best = nullptr;
  for (const auto& sa : order) {
    const SaConfig& config = sa->config();
    if (config.id.protocol != asked.protocol || config.id.destination != asked.destination ||
        config.source != asked.source || (config.mode != Mode::any && config.mode != asked.mode) ||
        (asked.reqid != 0 && config.reqid != asked.reqid) || !sa->usable())
      continue;
    const bool mature = sa->state() == State::mature;
    const bool better = best == nullptr || (mature && best->state() != State::mature);
    if (better || (!asked.prefer_oldest && sa->state() == best->state())) best = sa.get();
  }
  return best;
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

TEST(Sad, RemovedSaIsDeadAndGoneAtOnceAndFreedWhenTheReaderHasMovedOn) {
  Host host;
  const SaId id = host.add(numbered(0x1000))->id();
  const SadView* view = host.sad.view().acquire();
  SecurityAssociation* held = view->find(id);
  std::weak_ptr<SecurityAssociation> watched = host.sad.remove(id);
  EXPECT_EQ(view->find(id), nullptr);
  EXPECT_EQ(view->choose(query()), nullptr);
  EXPECT_EQ(host.sad.remove(id), nullptr);
  host.sad.publish();
  ASSERT_FALSE(watched.expired()) << "the reader may still hold it";
  EXPECT_EQ(held->state(), State::dead);
  EXPECT_EQ(host.sad.view().acquire()->find(id), nullptr);
  host.sad.reclaim();
  EXPECT_TRUE(watched.expired());
}

TEST(Sad, ReplacesALarvalSaInItsPlace) {
  Host host;
  host.sad.add(SecurityAssociation::create_larval(config_of(numbered(0x1000))));
  host.add(numbered(0x2000));
  auto mature = SecurityAssociation::create(config_of(numbered(0x1000)), *host.provider);
  host.sad.replace(mature);
  host.sad.publish();
  EXPECT_EQ(host.sad.all().front(), mature);
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

// Whatever the order of changes, the tables say what a plain list says, also while they grow.
TEST(Sad, AgreesWithAListThroughRandomChanges) {
  const std::uint64_t seed = seed_of_the_test();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  const auto provider = crypto::make_openssl_provider();
  Sad sad;
  std::vector<std::shared_ptr<SecurityAssociation>> model;
  const auto random_config = [&] {
    SaSpec spec = numbered(0x1000 + static_cast<std::uint32_t>(random() % 3000),
                           static_cast<std::uint32_t>(random() % 4));
    spec.destination = "10.0.0." + std::to_string(2 + random() % 3);
    spec.mode = static_cast<Mode>(random() % 3);
    return config_of(spec);
  };
  for (int step = 0; step < 20000; ++step) {
    SaConfig config = random_config();
    const auto place = std::find_if(model.begin(), model.end(),
                                    [&](const auto& sa) { return sa->id() == config.id; });
    if (random() % 3 != 0 && place == model.end()) {
      model.push_back(SecurityAssociation::create_larval(std::move(config)));
      model.back()->set_state(static_cast<State>(random() % 3));
      sad.add(model.back());
    } else if (place != model.end() && random() % 2 == 0) {
      *place = SecurityAssociation::create_larval(std::move(config));
      (*place)->set_state(State::mature);
      sad.replace(*place);
    } else if (place != model.end()) {
      EXPECT_EQ(sad.remove(config.id), *place);
      model.erase(place);
    }
    if (random() % 8 == 0) sad.publish();
    const SadView& view = *sad.view().acquire();
    const SaConfig wanted = random_config();
    const auto found = std::find_if(model.begin(), model.end(),
                                    [&](const auto& sa) { return sa->id() == wanted.id; });
    ASSERT_EQ(view.find(wanted.id), found == model.end() ? nullptr : found->get()) << step;
    ASSERT_EQ(sad.find(wanted.id), found == model.end() ? nullptr : *found);
    SaQuery asked{wanted.id.protocol, wanted.mode == Mode::any ? Mode::tunnel : wanted.mode,
                  wanted.source,      wanted.id.destination,
                  wanted.reqid,       random() % 2 == 0};
    ASSERT_EQ(view.choose(asked), choose_from(model, asked)) << step;
  }
  ASSERT_EQ(sad.all().size(), model.size());
  EXPECT_TRUE(std::equal(model.begin(), model.end(), sad.all().begin()));
}

// A reader looks up and uses SAs while the writer adds, replaces and removes them and the tables
// grow and are left: those that are always there are always found, and nothing is used after it was
// freed. A freed SA's SPI has been overwritten (and AddressSanitizer sees the rest).
TEST(Sad, ReadersFindWhatIsThereWhileTheWriterChangesIt) {
  const auto provider = crypto::make_openssl_provider();
  Sad sad;
  constexpr std::uint32_t kStaying = 100;
  const auto add = [&](std::uint32_t spi) {
    auto sa = SecurityAssociation::create_larval(config_of(numbered(spi, spi)));
    sa->set_state(State::mature);
    sad.add(sa);
  };
  for (std::uint32_t i = 0; i < kStaying; ++i) add(0x1000 + i);
  sad.publish();
  std::atomic<bool> done{false};
  std::atomic<std::uint64_t> rounds{0}, missed{0}, wrong{0};
  const auto read = [&](std::size_t reader) {
    std::mt19937_64 random(reader);
    while (!done) {
      const SadView& view = *sad.view().acquire(reader);
      for (int i = 0; i < 32; ++i) {
        const auto spi = static_cast<std::uint32_t>(0x1000 + random() % (kStaying * 40));
        SaId id = config_of_spi(spi);
        const SecurityAssociation* sa = view.find(id);
        if (sa == nullptr && spi < 0x1000 + kStaying) ++missed;
        if (sa != nullptr && sa->id().spi != spi) ++wrong;
        SaQuery asked = query(spi);
        sa = view.choose(asked);
        if (sa == nullptr && spi < 0x1000 + kStaying) ++missed;
        if (sa != nullptr && sa->id().spi != spi) ++wrong;
      }
      // The oldest of all peers stays; walking to the newest crosses all that come and go.
      SaQuery newest = query();
      newest.prefer_oldest = false;
      if (view.choose(newest) == nullptr) ++missed;
      ++rounds;
    }
    sad.view().release(reader);
  };
  std::thread first(read, 0), second(read, 1);
  std::mt19937_64 random(4711);
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(700);
  while (std::chrono::steady_clock::now() < end || rounds < 100) {
    const auto spi = static_cast<std::uint32_t>(0x1000 + kStaying + random() % (kStaying * 39));
    const SaId id = config_of_spi(spi);
    if (sad.find(id) == nullptr) {
      add(spi);
    } else if (random() % 3 == 0) {
      auto sa = SecurityAssociation::create_larval(config_of(numbered(spi, spi)));
      sa->set_state(State::mature);
      sad.replace(sa);
    } else {
      sad.remove(id);
    }
    if (random() % 4 == 0) sad.publish();
  }
  done = true;
  first.join();
  second.join();
  EXPECT_EQ(missed, 0u);
  EXPECT_EQ(wrong, 0u);
  EXPECT_GT(rounds, 100u);
}

}  // namespace saline::test
