// The anti-replay window alone: vectors, walks, a model.
#include "host/ipsec/replay.hpp"

#include <gtest/gtest.h>

#include <random>
#include <set>

#include "host/base/error.hpp"
#include "tests/host/vectors.hpp"

namespace saline::test {

using ipsec::ReplayWindow;

namespace {

std::uint64_t number(const std::string& text) { return std::stoull(text, nullptr, 16); }

bool accept(ReplayWindow& window, std::uint32_t low) {
  const ReplayWindow::Check check = window.check(low);
  return check.acceptable && window.commit(check.sequence);
}

}  // namespace

TEST(Replay, InfersTheHighHalfAsRfc4303AppendixA2) {
  SALINE_NEEDS_VECTORS("own/esn_window_cases.json");
  const JsonFile file(vectors_path("own/esn_window_cases.json"));
  const Json cases = file.root()["cases"];
  ASSERT_EQ(cases.size(), 5523u);
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const Json test = cases[i];
    const std::uint64_t top = number(test["top"].text());
    const auto low = static_cast<std::uint32_t>(number(test["seq_lo"].text()));
    SCOPED_TRACE("case " + std::to_string(i) + " window " +
                 std::to_string(test["window"].number()) + " top " + test["top"].text() + " low " +
                 test["seq_lo"].text());
    ReplayWindow window(static_cast<std::uint32_t>(test["window"].number()), true);
    ASSERT_TRUE(window.commit(top));
    const ReplayWindow::Check check = window.check(low);
    const std::string expected = test["class"].text();
    const bool is_top = check.sequence == top;
    EXPECT_EQ(check.acceptable, expected != "reject_before_crypto" && !is_top);
    if (test["seq_hi_for_icv"].present()) {
      EXPECT_EQ(check.sequence >> 32, number(test["seq_hi_for_icv"].text()));
    }
    EXPECT_EQ(check.sequence > top, expected == "right_of_window");
  }
}

TEST(Replay, WalksWithDuplicatesEdgesAndForgeries) {
  SALINE_NEEDS_VECTORS("own/replay32_walks.json");
  const JsonFile file(vectors_path("own/replay32_walks.json"));
  const Json cases = file.root()["cases"];
  ASSERT_GE(cases.size(), 4u);
  for (std::size_t c = 0; c < cases.size(); ++c) {
    ReplayWindow window(static_cast<std::uint32_t>(cases[c]["window"].number()), false);
    const Json steps = cases[c]["steps"];
    for (std::size_t i = 0; i < steps.size(); ++i) {
      SCOPED_TRACE("window " + std::to_string(window.packets()) + " step " + std::to_string(i));
      const Json sequence = steps[i]["seq"];
      const std::string expected = steps[i]["expect"].text();
      if (sequence.is_text()) {  // sent with a corrupted ICV: checked, never committed
        const auto low = static_cast<std::uint32_t>(std::stoul(sequence.text().substr(1)));
        EXPECT_TRUE(window.check(low).acceptable);
        continue;
      }
      EXPECT_EQ(accept(window, static_cast<std::uint32_t>(sequence.number())), expected == "accept")
          << sequence.number() << ' ' << expected;
    }
  }
}

TEST(Replay, AgreesWithAModelThatRemembersEverything) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 generator(seed);
  for (std::uint32_t packets :
       {1u, 31u, 32u, 33u, 64u, 65u, 100u, 128u, 1000u, 4096u, 5000u, 1u << 17}) {
    for (bool extended : {false, true}) {
      ReplayWindow window(packets, extended);
      std::set<std::uint64_t> seen;
      // Starts near an epoch's end when extended, so that the high half has to be inferred.
      std::uint64_t top = extended ? 0xFFFFFFFFull - generator() % 2000 : 1000;
      ASSERT_TRUE(window.commit(top));
      seen.insert(top);
      for (int i = 0; i < 5000; ++i) {
        const std::int64_t jump = generator() % 8 == 0
                                      ? static_cast<std::int64_t>(generator() % (3 * packets + 8))
                                      : 1 - static_cast<std::int64_t>(generator() % (packets + 8));
        if (jump < 0 && top < static_cast<std::uint64_t>(-jump)) continue;
        const std::uint64_t sequence = top + jump;
        const bool fresh = sequence + packets > top && !seen.contains(sequence);
        // What is left of the window may be taken for the next epoch; it then fails its ICV.
        const ReplayWindow::Check check = window.check(static_cast<std::uint32_t>(sequence));
        const bool accepted = check.acceptable && check.sequence == sequence;
        ASSERT_EQ(accepted, fresh) << sequence << " of top " << top << " window " << packets;
        if (!accepted) continue;
        ASSERT_TRUE(window.commit(sequence));
        ASSERT_FALSE(window.commit(sequence));
        seen.insert(sequence);
        top = std::max(top, sequence);
        ASSERT_EQ(window.top(), top);
      }
    }
  }
}

TEST(Replay, B1RejectsSequenceZero) {
  ReplayWindow window(64, false);
  EXPECT_FALSE(window.check(0).acceptable);
  EXPECT_FALSE(window.commit(0));
}

TEST(Replay, B2HandlesTheEdges) {
  ReplayWindow window(64, false);
  EXPECT_TRUE(accept(window, 100));
  EXPECT_FALSE(accept(window, 100));
  EXPECT_TRUE(accept(window, 37)) << "left edge";
  EXPECT_FALSE(accept(window, 36)) << "left of the window";
  EXPECT_TRUE(accept(window, 101));
  EXPECT_TRUE(accept(window, 101 + (1u << 31)));
  EXPECT_FALSE(accept(window, 101));
  EXPECT_TRUE(accept(window, 0xFFFFFFFF));
  EXPECT_FALSE(accept(window, 1));
}

TEST(Replay, B8WindowZeroIsOffAndTooLargeIsRefused) {
  ReplayWindow off(0, false);
  EXPECT_TRUE(accept(off, 5));
  EXPECT_TRUE(accept(off, 5));
  EXPECT_TRUE(accept(off, 0));
  EXPECT_NO_THROW(ReplayWindow(1u << 20, true));
  EXPECT_THROW(ReplayWindow((1u << 20) + 1, true), base::Error);
  EXPECT_THROW(ReplayWindow(1u << 31, false), base::Error);
}

TEST(Replay, WindowOffStillInfersTheHighHalf) {
  ReplayWindow off(0, true);
  ASSERT_TRUE(off.commit(0xFFFFFFF0));
  EXPECT_EQ(off.check(5).sequence, 0x100000005ull);
  EXPECT_EQ(off.check(0xFFFFFF00).sequence, 0xFFFFFF00ull);
}

TEST(Replay, RestartTakesEverythingBeforeForSeen) {
  ReplayWindow window(128, false);
  window.restart(1000);
  for (std::uint32_t low = 1; low <= 1000; ++low) EXPECT_FALSE(window.check(low).acceptable) << low;
  EXPECT_TRUE(accept(window, 1001));
  EXPECT_TRUE(accept(window, 1100));
  EXPECT_TRUE(accept(window, 1002));
}

TEST(Replay, LastNumbersOfAll) {
  ReplayWindow window(64, true);
  window.restart(0xFFFFFFFFFFFFFFF0ull);
  EXPECT_TRUE(accept(window, 0xFFFFFFFF));
  EXPECT_EQ(window.top(), 0xFFFFFFFFFFFFFFFFull);
  EXPECT_FALSE(accept(window, 0xFFFFFFFF));
  EXPECT_TRUE(accept(window, 0xFFFFFFF8));
  EXPECT_FALSE(accept(window, 3));
}

}  // namespace saline::test
