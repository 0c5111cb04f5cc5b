// Snapshots: what a reader holds stays alive.
#include "host/base/snapshot.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace saline::base {

struct Tracked {
  explicit Tracked(int number) : value(number) { ++alive; }
  ~Tracked() {
    value = -1;
    --alive;
  }
  int value;
  static inline std::atomic<int> alive{0};
};

TEST(Snapshot, KeepsWhatTheReaderHolds) {
  Snapshot<Tracked> snapshot(std::make_unique<Tracked>(1));
  const Tracked* held = snapshot.acquire();
  snapshot.publish(std::make_unique<Tracked>(2));
  snapshot.publish(std::make_unique<Tracked>(3));
  EXPECT_EQ(held->value, 1);
  EXPECT_EQ(Tracked::alive, 3) << "freed newest first";
  EXPECT_EQ(snapshot.acquire()->value, 3);
  EXPECT_TRUE(snapshot.reclaim());
  EXPECT_EQ(Tracked::alive, 1);
}

TEST(Snapshot, ReleaseFreesEverythingOld) {
  Snapshot<Tracked> snapshot(std::make_unique<Tracked>(1));
  snapshot.acquire();
  snapshot.publish(std::make_unique<Tracked>(2));
  EXPECT_FALSE(snapshot.reclaim());
  snapshot.release();
  EXPECT_TRUE(snapshot.reclaim());
}

TEST(Snapshot, ReaderNeverSeesAFreedValue) {
  Snapshot<Tracked> snapshot(std::make_unique<Tracked>(1));
  std::atomic<bool> done{false};
  std::thread reader([&] {
    int last = 0;
    while (!done) {
      const int seen = snapshot.acquire()->value;
      EXPECT_GE(seen, last);
      last = seen;
    }
    snapshot.release();
  });
  for (int i = 2; i < 20000; ++i) snapshot.publish(std::make_unique<Tracked>(i));
  done = true;
  reader.join();
  EXPECT_TRUE(snapshot.reclaim());
}

}  // namespace saline::base
