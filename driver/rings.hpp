// The three rings of the data path in memory that card and driver share. Everything here is
// noexcept and free of allocation once made; each ring belongs to one thread.
//
// Counts are free-running; an index is the count's low bits. A completion or event is whole when
// its last byte has the phase of this pass and its first three bytes are not all zero: the two
// halves may arrive in either order, and the driver zeroes an entry it has consumed.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "driver/device.hpp"
#include "driver/transport.hpp"

namespace saline::driver {

// Writes a register on the data path; a card that is gone sets `failed` instead of throwing.
class Doorbell {
 public:
  Doorbell(Transport& transport, std::atomic<bool>& failed)
      : transport_(transport), failed_(failed) {}
  void ring(std::uint32_t offset, std::uint32_t count) noexcept;
  void progress() noexcept { transport_.progress(); }
  void fail() noexcept { failed_.store(true, std::memory_order_relaxed); }
  bool failed() const noexcept { return failed_.load(std::memory_order_relaxed); }

 private:
  Transport& transport_;
  std::atomic<bool>& failed_;
};

// A part of a DmaMemory, as one ring sees it.
struct RingMemory {
  std::uint8_t* host = nullptr;
  std::uint64_t device = 0;
};

// Packet memory for transports that do not address process memory; empty otherwise.
struct BounceMemory {
  std::unique_ptr<DmaMemory> memory;
  std::uint32_t frame_bytes = 0;

  bool in_use() const noexcept { return memory != nullptr; }
  std::uint8_t* host(std::uint32_t slot) const noexcept {
    return memory->host().data() + std::size_t{slot} * frame_bytes;
  }
  std::uint64_t device(std::uint32_t slot) const noexcept {
    return memory->device_address() + std::uint64_t{slot} * frame_bytes;
  }
};

class TransmitRing {
 public:
  TransmitRing(Doorbell doorbell, RingMemory descriptors, RingMemory head, std::uint32_t entries,
               BounceMemory bounce);
  std::size_t transmit(std::span<const TxFrame> frames) noexcept;
  std::size_t reap(std::span<std::uint64_t> cookies) noexcept;
  std::size_t reclaim(std::span<std::uint64_t> cookies) noexcept;  // the card is at rest
  std::size_t room() const noexcept { return entries_ - (posted_ - reaped_); }
  std::uint32_t frame_bytes_max() const noexcept;
  std::uint64_t copied_bytes() const noexcept { return copied_.load(std::memory_order_relaxed); }

 private:
  std::size_t take_cookies(std::span<std::uint64_t> cookies, std::uint32_t available) noexcept;
  void write_descriptor(const TxFrame& frame) noexcept;

  Doorbell doorbell_;
  RingMemory descriptors_;
  RingMemory head_;
  std::uint32_t entries_;
  BounceMemory bounce_;
  std::vector<std::uint64_t> cookies_;
  std::uint32_t posted_ = 0;
  std::uint32_t reaped_ = 0;
  std::atomic<std::uint64_t> copied_{0};
};

class ReceiveRing {
 public:
  ReceiveRing(Doorbell doorbell, RingMemory descriptors, RingMemory completions,
              std::uint32_t entries, BounceMemory bounce);
  std::size_t post(std::span<const RxBuffer> buffers) noexcept;
  std::size_t receive(std::span<RxFrame> frames) noexcept;
  std::size_t reclaim(std::span<std::uint64_t> cookies) noexcept;  // the card is at rest
  std::size_t room() const noexcept { return entries_ - (posted_ - consumed_); }
  std::uint64_t copied_bytes() const noexcept { return copied_.load(std::memory_order_relaxed); }

 private:
  void take_completion(std::uint32_t index, RxFrame& frame) noexcept;

  Doorbell doorbell_;
  RingMemory descriptors_;
  RingMemory completions_;
  std::uint32_t entries_;
  BounceMemory bounce_;
  std::vector<RxBuffer> buffers_;
  std::uint32_t posted_ = 0;
  std::uint32_t consumed_ = 0;
  std::atomic<std::uint64_t> copied_{0};
};

class EventRing {
 public:
  EventRing(Doorbell doorbell, RingMemory events, std::uint32_t entries);
  std::size_t poll(std::span<hw::Event> events) noexcept;

 private:
  Doorbell doorbell_;
  RingMemory events_;
  std::uint32_t entries_;
  std::uint32_t consumed_ = 0;
};

}  // namespace saline::driver
