// The driver's picture of the card's inbound lookup table: which way of which bucket an SA's
// (SPI, destination, protocol) has. Buckets are bounded, nothing is ever moved: a full bucket
// refuses, and the SA is then carried by software.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "hw/interface/saline_hw.hpp"

namespace saline::driver {

// SPI XOR protocol, as hw/rtl/ipsec_engine.sv says: SPIs are chosen by this side, and consecutive
// ones fill the table evenly. The destination takes no part, so that an entry for any destination
// is in the same bucket.
std::uint32_t lookup_hash(const hw::LookupEntry& entry) noexcept;

class LookupBuckets {
 public:
  // A power of two.
  explicit LookupBuckets(std::uint32_t buckets);

  // The table index the entry would have. Throws Error(EEXIST) when its key is there already,
  // ENOSPC when its bucket is full.
  std::uint32_t place(const hw::LookupEntry& entry) const;
  void put(std::uint32_t index, const hw::LookupEntry& entry) noexcept;
  void erase(std::uint32_t index) noexcept;
  // Index of the entry that leads to this slot.
  std::optional<std::uint32_t> of_slot(std::uint16_t sa_index) const noexcept;
  const hw::LookupEntry& at(std::uint32_t index) const { return entries_.at(index); }

 private:
  std::uint32_t buckets_;
  std::vector<hw::LookupEntry> entries_;
};

}  // namespace saline::driver
