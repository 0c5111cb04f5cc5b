// Secrets: ownership, wiping, comparison.
#include "host/base/secret.hpp"

#include <gtest/gtest.h>

#include <array>
#include <new>
#include <utility>

namespace saline::base {

TEST(Secret, OwnsMovesAndClones) {
  const std::array<std::uint8_t, 3> key{1, 2, 3};
  Secret first(key);
  Secret copy = first.clone();
  Secret moved = std::move(first);
  EXPECT_TRUE(first.empty());  // NOLINT: moved-from state is part of the contract
  EXPECT_EQ(moved.size(), 3u);
  EXPECT_NE(moved.bytes().data(), copy.bytes().data());
  EXPECT_TRUE(equal_constant_time(moved.bytes(), copy.bytes()));
  copy = Secret();
  EXPECT_TRUE(copy.empty());
}

TEST(Secret, WipeLeavesZeros) {
  std::array<std::uint8_t, 32> memory;
  memory.fill(0xA5);
  wipe(memory);
  EXPECT_EQ(memory, (std::array<std::uint8_t, 32>{}));
  wipe({});
}

TEST(Secret, EqualComparesEveryByteAndTheLength) {
  std::array<std::uint8_t, 16> a{};
  for (std::size_t i = 0; i < a.size(); ++i) {
    auto b = a;
    b[i] = 1;
    EXPECT_FALSE(equal_constant_time(a, b)) << i;
  }
  EXPECT_TRUE(equal_constant_time(a, std::array<std::uint8_t, 16>{}));
  EXPECT_FALSE(equal_constant_time(a, std::span(a).first(15)));
}

}  // namespace saline::base
