// Lays the rings out in shared memory and programs their registers.
#include "driver/ring_set.hpp"

#include <bit>
#include <cerrno>
#include <string>

#include "host/base/error.hpp"

namespace saline::driver {
namespace {

constexpr std::size_t kLineBytes = 64;

std::size_t ring_bytes(std::uint32_t entries) {
  return std::size_t{entries} * hw::kDescriptorBytes;
}

std::uint32_t log2_of(std::uint32_t entries) {
  return static_cast<std::uint32_t>(std::countr_zero(entries));
}

void check_entries(std::uint32_t entries, const char* name) {
  if (!std::has_single_bit(entries) || entries < 4 || entries > 32768) {
    throw base::Error(EINVAL, std::string("the ") + name +
                                  " ring must have a power of two from 4 to 32768 entries, not " +
                                  std::to_string(entries));
  }
}

const RingSizes& checked(const RingSizes& sizes) {
  check_entries(sizes.transmit, "transmit");
  check_entries(sizes.receive, "receive");
  check_entries(sizes.events, "event");
  if (sizes.frame_bytes < 64 || sizes.frame_bytes > hw::kFrameBytesMax) {
    throw base::Error(
        EINVAL, "a frame buffer must have 64 to " + std::to_string(hw::kFrameBytesMax) + " bytes");
  }
  return sizes;
}

}  // namespace

RingSet::RingSet(Transport& transport, const RingSizes& sizes, std::atomic<bool>& failed)
    : transport_(transport),
      sizes_(checked(sizes)),
      memory_(transport.allocate(ring_bytes(sizes.transmit) + 2 * ring_bytes(sizes.receive) +
                                 ring_bytes(sizes.events) + kLineBytes)),
      transmit_memory_(take(ring_bytes(sizes.transmit))),
      receive_memory_(take(ring_bytes(sizes.receive))),
      completion_memory_(take(ring_bytes(sizes.receive))),
      event_memory_(take(ring_bytes(sizes.events))),
      head_memory_(take(kLineBytes)) {
  const Doorbell doorbell(transport, failed);
  transmit_ = std::make_unique<TransmitRing>(doorbell, transmit_memory_, head_memory_,
                                             sizes.transmit, bounce(sizes.transmit));
  receive_ = std::make_unique<ReceiveRing>(doorbell, receive_memory_, completion_memory_,
                                           sizes.receive, bounce(sizes.receive));
  events_ = std::make_unique<EventRing>(doorbell, event_memory_, sizes.events);
}

BounceMemory RingSet::bounce(std::uint32_t entries) const {
  BounceMemory memory;
  if (transport_.addresses_process_memory()) return memory;
  memory.frame_bytes =
      static_cast<std::uint32_t>((sizes_.frame_bytes + kLineBytes - 1) / kLineBytes * kLineBytes);
  memory.memory = transport_.allocate(std::size_t{entries} * memory.frame_bytes);
  return memory;
}

RingMemory RingSet::take(std::size_t bytes) noexcept {
  const RingMemory part{memory_->host().data() + used_, memory_->device_address() + used_};
  used_ += bytes;
  return part;
}

void RingSet::write_address(std::uint32_t low_register, std::uint64_t address) {
  transport_.write32(low_register, static_cast<std::uint32_t>(address));
  transport_.write32(low_register + 4, static_cast<std::uint32_t>(address >> 32));
}

void RingSet::program() {
  write_address(hw::reg::tx_base_low, transmit_memory_.device);
  write_address(hw::reg::tx_head_low, head_memory_.device);
  write_address(hw::reg::rx_base_low, receive_memory_.device);
  write_address(hw::reg::rx_done_low, completion_memory_.device);
  write_address(hw::reg::event_base_low, event_memory_.device);
  transport_.write32(hw::reg::tx_size_log2, log2_of(sizes_.transmit));
  transport_.write32(hw::reg::rx_size_log2, log2_of(sizes_.receive));
  transport_.write32(hw::reg::event_size_log2, log2_of(sizes_.events));
  for (const std::uint32_t count : {hw::reg::tx_tail, hw::reg::rx_tail, hw::reg::event_head}) {
    transport_.write32(count, 0);
  }
}

}  // namespace saline::driver
