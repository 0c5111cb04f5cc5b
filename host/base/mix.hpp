// The mixing step of the hashes of tables: every bit of both factors reaches every bit.
#pragma once

#include <cstdint>

namespace saline::base {

// Both halves of the product, one over the other.
inline std::uint64_t mix(std::uint64_t a, std::uint64_t b) noexcept {
  __extension__ using Wide = unsigned __int128;
  const Wide product = Wide{a} * b;
  return static_cast<std::uint64_t>(product >> 64) ^ static_cast<std::uint64_t>(product);
}

}  // namespace saline::base
