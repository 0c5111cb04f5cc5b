// Which SA slots of one direction are taken, and by which tag. Bookkeeping only: no card here.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "driver/device.hpp"

namespace saline::driver {

class SaSlots {
 public:
  SaSlots(Direction direction, std::uint32_t count);

  // The slot that take() would take: the one free for longest, so that a tag is reused late.
  // Throws Error(ENOSPC).
  SaSlot next() const;
  void take(const SaSlot& slot) noexcept;
  void release(const SaSlot& slot) noexcept;
  bool holds(const SaSlot& slot) const noexcept;
  std::size_t free_count() const noexcept { return free_.size(); }
  std::vector<SaSlot> taken() const;

 private:
  struct Entry {
    std::uint16_t tag = 0;  // of the SA here, or of the last one
    bool taken = false;
  };
  Direction direction_;
  std::vector<Entry> entries_;
  std::deque<std::uint16_t> free_;
};

}  // namespace saline::driver
