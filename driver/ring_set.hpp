// The rings of one card and the memory under them: one piece for all rings, one per direction for
// bounce buffers, all of it allocated before DMA starts.
#pragma once

#include <atomic>
#include <memory>

#include "driver/rings.hpp"

namespace saline::driver {

class RingSet {
 public:
  // Throws Error(EINVAL) for a size out of range, ENOMEM. `failed` outlives the rings.
  RingSet(Transport& transport, const RingSizes& sizes, std::atomic<bool>& failed);

  // Tells the card where the rings are; their counts start at zero.
  void program();

  TransmitRing& transmit() noexcept { return *transmit_; }
  ReceiveRing& receive() noexcept { return *receive_; }
  EventRing& events() noexcept { return *events_; }

 private:
  BounceMemory bounce(std::uint32_t entries) const;
  RingMemory take(std::size_t bytes) noexcept;
  void write_address(std::uint32_t low_register, std::uint64_t address);

  Transport& transport_;
  RingSizes sizes_;
  std::unique_ptr<DmaMemory> memory_;
  std::size_t used_ = 0;
  RingMemory transmit_memory_, receive_memory_, completion_memory_, event_memory_, head_memory_;
  std::unique_ptr<TransmitRing> transmit_;
  std::unique_ptr<ReceiveRing> receive_;
  std::unique_ptr<EventRing> events_;
};

}  // namespace saline::driver
