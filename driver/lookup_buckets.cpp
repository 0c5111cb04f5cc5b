// Placement in the inbound lookup table: the first free way of the one bucket a key has.
#include "driver/lookup_buckets.hpp"

#include <cerrno>

#include "host/base/error.hpp"

namespace saline::driver {
namespace {

bool same_key(const hw::LookupEntry& a, const hw::LookupEntry& b) noexcept {
  if (a.protocol != b.protocol || a.spi != b.spi || a.any_destination != b.any_destination) {
    return false;
  }
  return a.any_destination || (a.ipv6 == b.ipv6 && a.destination == b.destination);
}

}  // namespace

std::uint32_t lookup_hash(const hw::LookupEntry& entry) noexcept {
  return entry.spi ^ entry.protocol;
}

LookupBuckets::LookupBuckets(std::uint32_t buckets)
    : buckets_(buckets), entries_(std::size_t{buckets} * hw::kLookupWays) {}

std::uint32_t LookupBuckets::place(const hw::LookupEntry& entry) const {
  const std::uint32_t first = (lookup_hash(entry) & (buckets_ - 1)) * hw::kLookupWays;
  std::optional<std::uint32_t> free;
  for (std::uint32_t way = 0; way < hw::kLookupWays; ++way) {
    const hw::LookupEntry& there = entries_[first + way];
    if (!there.valid) {
      if (!free) free = first + way;
    } else if (same_key(there, entry)) {
      throw base::Error(EEXIST, "the card holds an SA of this SPI, destination and protocol");
    }
  }
  if (!free) {
    throw base::Error(ENOSPC,
                      "the card's lookup bucket for this SPI is full: choose another SPI, "
                      "or leave the SA to software");
  }
  return *free;
}

void LookupBuckets::put(std::uint32_t index, const hw::LookupEntry& entry) noexcept {
  entries_[index] = entry;
}

void LookupBuckets::erase(std::uint32_t index) noexcept { entries_[index] = {}; }

std::optional<std::uint32_t> LookupBuckets::of_slot(std::uint16_t sa_index) const noexcept {
  for (std::uint32_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].valid && entries_[i].sa_index == sa_index) return i;
  }
  return std::nullopt;
}

}  // namespace saline::driver
