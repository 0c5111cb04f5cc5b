// How the engine benchmark measures: the time stamp counter around one burst of packets in memory.
// A figure is the median over the bursts of a round, and then over rounds in which all sides take
// turns, so that a preempted burst or a busy minute of the machine falls out. Cycles are the
// counter's.
#pragma once

#include <x86intrin.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace saline::bench {

inline constexpr std::size_t kBurst = 32;

inline std::uint64_t now_cycles() noexcept {
  _mm_lfence();
  const std::uint64_t now = __rdtsc();
  _mm_lfence();
  return now;
}

double cycles_per_second();

template <typename T>
double median(std::vector<T> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return static_cast<double>(*middle);
}

inline void print_figure(const std::string& name, double value, int digits = 3) {
  std::printf("%s: %.*f\n", name.c_str(), digits, value);
  std::fflush(stdout);
}

}  // namespace saline::bench
