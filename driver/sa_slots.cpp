// Slots by age of release, tags by use.
#include "driver/sa_slots.hpp"

#include <cerrno>

#include "host/base/error.hpp"

namespace saline::driver {

SaSlots::SaSlots(Direction direction, std::uint32_t count)
    : direction_(direction), entries_(count) {
  for (std::uint32_t i = 0; i < count; ++i) free_.push_back(static_cast<std::uint16_t>(i));
}

SaSlot SaSlots::next() const {
  if (free_.empty()) {
    throw base::Error(ENOSPC, "all " + std::to_string(entries_.size()) +
                                  " SA slots of the card are in use in this direction");
  }
  const std::uint16_t index = free_.front();
  const std::uint16_t tag = entries_[index].tag;
  return {direction_, index, static_cast<std::uint16_t>(tag == 0xffff ? 1 : tag + 1)};
}

void SaSlots::take(const SaSlot& slot) noexcept {
  free_.pop_front();
  entries_[slot.index] = {slot.tag, true};
}

void SaSlots::release(const SaSlot& slot) noexcept {
  entries_[slot.index].taken = false;
  free_.push_back(slot.index);
}

bool SaSlots::holds(const SaSlot& slot) const noexcept {
  return slot.index < entries_.size() && entries_[slot.index].taken &&
         entries_[slot.index].tag == slot.tag;
}

std::vector<SaSlot> SaSlots::taken() const {
  std::vector<SaSlot> result;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].taken) {
      result.push_back({direction_, static_cast<std::uint16_t>(i), entries_[i].tag});
    }
  }
  return result;
}

}  // namespace saline::driver
