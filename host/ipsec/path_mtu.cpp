// See path_mtu.hpp.
#include "host/ipsec/path_mtu.hpp"

#include <algorithm>
#include <iterator>

namespace saline::ipsec {

std::uint32_t plateau_below(std::uint32_t total) noexcept {
  constexpr std::uint32_t kPlateaus[] = {32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296, 68};
  for (const std::uint32_t plateau : kPlateaus)
    if (plateau < total) return plateau;
  return kPlateaus[std::size(kPlateaus) - 1];
}

bool PathMtu::lower(std::uint32_t mtu, base::Family family, std::uint64_t now_s) noexcept {
  const std::uint32_t least = smallest_path_mtu(family);
  if (mtu < least && family == base::Family::ipv6) return false;
  mtu = std::min(std::max(mtu, least), 65535u);
  const std::uint32_t now = get(now_s);
  if (now != 0 && mtu >= now) return false;
  word_.store(std::uint64_t{mtu} << kTimeBits | ((now_s + kLifetimeS) & kTimeMask),
              std::memory_order_relaxed);
  return true;
}

}  // namespace saline::ipsec
