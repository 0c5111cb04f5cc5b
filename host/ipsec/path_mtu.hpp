// The path MTU of an SA (RFC 4301 §8.2): what ICMP said about its packets, as one value that only
// goes down, and is forgotten when it is old (RFC 1191 §6.3, RFC 8201 §4: ten minutes), so that a
// path that has become wider is found again. Who may be believed is icmp.hpp's business.
#pragma once

#include <atomic>
#include <cstdint>

#include "host/base/ip.hpp"

namespace saline::ipsec {

// Below these no path may go: RFC 791 §3.2 (what every host must take), RFC 8200 §5.
constexpr std::uint32_t smallest_path_mtu(base::Family family) noexcept {
  return family == base::Family::ipv6 ? 1280 : 576;
}

// The smaller of two MTUs where 0 is none.
constexpr std::uint32_t least_mtu(std::uint32_t a, std::uint32_t b) noexcept {
  if (a == 0 || b == 0) return a | b;
  return a < b ? a : b;
}

// RFC 1191 §7: the next common MTU below `total`, for a router that does not say its own.
std::uint32_t plateau_below(std::uint32_t total) noexcept;

// Written by the data thread, read by anyone.
class PathMtu {
 public:
  static constexpr std::uint64_t kLifetimeS = 600;

  // True when it is the value from now on; false when it is no news. IPv4: a value below the
  // smallest counts as the smallest; IPv6: is no news (RFC 8201 §4).
  bool lower(std::uint32_t mtu, base::Family family, std::uint64_t now_s) noexcept;
  // 0: not known.
  std::uint32_t get(std::uint64_t now_s) const noexcept {
    const std::uint64_t word = word_.load(std::memory_order_relaxed);
    return now_s < (word & kTimeMask) ? static_cast<std::uint32_t>(word >> kTimeBits) : 0;
  }

 private:
  static constexpr unsigned kTimeBits = 48;
  static constexpr std::uint64_t kTimeMask = (std::uint64_t{1} << kTimeBits) - 1;
  std::atomic<std::uint64_t> word_{0};  // the MTU above the second it ends in
};

}  // namespace saline::ipsec
