// What every fuzz target is made of. A target defines one() and seeds(); entry.cpp makes a
// libFuzzer program of it, mutate_main.cpp a small regression test for any compiler.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace saline::fuzz {

using Bytes = std::vector<std::uint8_t>;

// One input, read from its front; zeros behind its end.
class Input {
 public:
  explicit Input(std::span<const std::uint8_t> bytes) : left_(bytes) {}
  std::uint8_t take8();
  std::uint16_t take16();
  std::uint32_t take32();
  Bytes take(std::size_t count);  // as many as there are
  Bytes rest() { return take(left_.size()); }
  std::size_t left() const { return left_.size(); }

 private:
  std::span<const std::uint8_t> left_;
};

// Runs one input; ends the program through require() where an oracle is contradicted.
void one(Input input);
// Inputs to begin with.
std::vector<Bytes> seeds();

[[noreturn]] void contradicted(const char* what, const char* file, int line);

Bytes join(std::initializer_list<Bytes> parts);

}  // namespace saline::fuzz

#define SALINE_REQUIRE(condition, what) \
  ((condition) ? void() : saline::fuzz::contradicted(what, __FILE__, __LINE__))
