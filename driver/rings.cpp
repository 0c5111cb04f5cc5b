// Descriptors out, completions in: the driver's half of the ring protocol of docs/registers.md.
#include "driver/rings.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace saline::driver {
namespace {

constexpr std::size_t kEntryBytes = hw::kDescriptorBytes;
constexpr std::uint16_t kFrameBytesMin = 14;  // an Ethernet header

std::uint8_t phase_of(std::uint32_t count, std::uint32_t entries) noexcept {
  return count & entries ? 2 : 1;
}

// Whether the card has written entry `count` on this pass, both halves of it. Of the first three
// bytes one is not zero: a completion has bytes or a reason, an event has a kind.
bool is_complete(const std::uint8_t* entry, std::uint32_t count, std::uint32_t entries) noexcept {
  const auto* bytes = static_cast<const volatile std::uint8_t*>(entry);
  if (bytes[kEntryBytes - 1] != phase_of(count, entries)) return false;
  if ((bytes[0] | bytes[1] | bytes[2]) == 0) return false;
  std::atomic_thread_fence(std::memory_order_acquire);
  return true;
}

}  // namespace

void Doorbell::ring(std::uint32_t offset, std::uint32_t count) noexcept {
  std::atomic_thread_fence(std::memory_order_release);
  try {
    transport_.write32(offset, count & 0xffff);
  } catch (...) {  // the card does not answer: nothing more to say on the data path
    fail();
  }
}

TransmitRing::TransmitRing(Doorbell doorbell, RingMemory descriptors, RingMemory head,
                           std::uint32_t entries, BounceMemory bounce)
    : doorbell_(doorbell),
      descriptors_(descriptors),
      head_(head),
      entries_(entries),
      bounce_(std::move(bounce)),
      cookies_(entries) {}

std::uint32_t TransmitRing::frame_bytes_max() const noexcept {
  return bounce_.in_use() ? std::min(bounce_.frame_bytes, hw::kFrameBytesMax) : hw::kFrameBytesMax;
}

std::size_t TransmitRing::transmit(std::span<const TxFrame> frames) noexcept {
  if (doorbell_.failed()) return 0;
  const std::size_t limit = std::min(frames.size(), room());
  std::size_t done = 0;
  for (; done < limit; ++done) {
    const std::uint32_t bytes = frames[done].bytes;
    if (bytes < kFrameBytesMin || bytes > frame_bytes_max()) break;
    write_descriptor(frames[done]);
    ++posted_;
  }
  if (done != 0) doorbell_.ring(hw::reg::tx_tail, posted_);
  return done;
}

void TransmitRing::write_descriptor(const TxFrame& frame) noexcept {
  const std::uint32_t index = posted_ & (entries_ - 1);
  hw::TxDescriptor descriptor;
  descriptor.address = reinterpret_cast<std::uintptr_t>(frame.data);
  descriptor.bytes = frame.bytes;
  descriptor.protect = frame.protect;
  descriptor.classify = frame.classify;
  descriptor.sa_index = frame.sa_index;
  descriptor.sa_tag = frame.sa_tag;
  if (bounce_.in_use()) {
    std::memcpy(bounce_.host(index), frame.data, frame.bytes);
    descriptor.address = bounce_.device(index);
    copied_.fetch_add(frame.bytes, std::memory_order_relaxed);
  }
  const auto record = descriptor.encode();
  std::memcpy(descriptors_.host + index * kEntryBytes, record.data(), record.size());
  cookies_[index] = frame.cookie;
}

std::size_t TransmitRing::reap(std::span<std::uint64_t> cookies) noexcept {
  doorbell_.progress();
  std::uint32_t head = std::atomic_ref(*reinterpret_cast<std::uint32_t*>(head_.host))
                           .load(std::memory_order_acquire);
  if constexpr (std::endian::native == std::endian::big) head = __builtin_bswap32(head);
  const std::uint32_t available = head - reaped_;
  if (available > posted_ - reaped_) {  // a count the card cannot have: it is not to be trusted
    doorbell_.fail();
    return 0;
  }
  return take_cookies(cookies, available);
}

std::size_t TransmitRing::reclaim(std::span<std::uint64_t> cookies) noexcept {
  return take_cookies(cookies, posted_ - reaped_);
}

std::size_t TransmitRing::take_cookies(std::span<std::uint64_t> cookies,
                                       std::uint32_t available) noexcept {
  const std::size_t taken = std::min<std::size_t>(cookies.size(), available);
  for (std::size_t i = 0; i < taken; ++i) cookies[i] = cookies_[reaped_++ & (entries_ - 1)];
  return taken;
}

ReceiveRing::ReceiveRing(Doorbell doorbell, RingMemory descriptors, RingMemory completions,
                         std::uint32_t entries, BounceMemory bounce)
    : doorbell_(doorbell),
      descriptors_(descriptors),
      completions_(completions),
      entries_(entries),
      bounce_(std::move(bounce)),
      buffers_(entries) {}

std::size_t ReceiveRing::post(std::span<const RxBuffer> buffers) noexcept {
  if (doorbell_.failed()) return 0;
  const std::size_t count = std::min(buffers.size(), room());
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t index = posted_++ & (entries_ - 1);
    hw::RxDescriptor descriptor;
    descriptor.address = reinterpret_cast<std::uintptr_t>(buffers[i].data);
    descriptor.bytes = buffers[i].bytes;
    if (bounce_.in_use()) {
      descriptor.address = bounce_.device(index);
      descriptor.bytes = static_cast<std::uint16_t>(
          std::min<std::uint32_t>(buffers[i].bytes, bounce_.frame_bytes));
    }
    const auto record = descriptor.encode();
    std::memcpy(descriptors_.host + index * kEntryBytes, record.data(), record.size());
    buffers_[index] = buffers[i];
  }
  if (count != 0) doorbell_.ring(hw::reg::rx_tail, posted_);
  return count;
}

std::size_t ReceiveRing::receive(std::span<RxFrame> frames) noexcept {
  doorbell_.progress();
  std::size_t count = 0;
  while (count < frames.size() && consumed_ != posted_) {
    const std::uint32_t index = consumed_ & (entries_ - 1);
    if (!is_complete(completions_.host + index * kEntryBytes, consumed_, entries_)) break;
    take_completion(index, frames[count]);
    ++consumed_;
    ++count;
  }
  return count;
}

void ReceiveRing::take_completion(std::uint32_t index, RxFrame& frame) noexcept {
  std::uint8_t* entry = completions_.host + index * kEntryBytes;
  const hw::RxCompletion completion =
      hw::decode_rx_completion(std::span<const std::uint8_t, kEntryBytes>(entry, kEntryBytes));
  const RxBuffer& buffer = buffers_[index];
  frame.cookie = buffer.cookie;
  // Never more than the buffer holds, whatever the card says.
  frame.bytes = std::min(completion.bytes, buffer.bytes);
  frame.reason = static_cast<hw::DropReason>(completion.reason);
  frame.is_protected = completion.through_sa;
  frame.tunnel = completion.tunnel;
  frame.esp = completion.esp;
  frame.sa_index = completion.sa_index;
  frame.sa_tag = completion.sa_tag;
  frame.spi = completion.spi;
  frame.sequence_number = completion.sequence_number;
  if (bounce_.in_use()) {
    frame.bytes =
        static_cast<std::uint16_t>(std::min<std::uint32_t>(frame.bytes, bounce_.frame_bytes));
    std::memcpy(buffer.data, bounce_.host(index), frame.bytes);
    copied_.fetch_add(frame.bytes, std::memory_order_relaxed);
  }
  std::memset(entry, 0, kEntryBytes);
}

std::size_t ReceiveRing::reclaim(std::span<std::uint64_t> cookies) noexcept {
  std::size_t count = 0;
  for (; count < cookies.size() && consumed_ != posted_; ++count) {
    cookies[count] = buffers_[consumed_++ & (entries_ - 1)].cookie;
  }
  return count;
}

EventRing::EventRing(Doorbell doorbell, RingMemory events, std::uint32_t entries)
    : doorbell_(doorbell), events_(events), entries_(entries) {}

std::size_t EventRing::poll(std::span<hw::Event> events) noexcept {
  doorbell_.progress();
  std::size_t count = 0;
  for (; count < events.size(); ++count) {
    std::uint8_t* entry = events_.host + (consumed_ & (entries_ - 1)) * kEntryBytes;
    if (!is_complete(entry, consumed_, entries_)) break;
    events[count] =
        hw::decode_event(std::span<const std::uint8_t, kEntryBytes>(entry, kEntryBytes));
    std::memset(entry, 0, kEntryBytes);
    ++consumed_;
  }
  if (count != 0) doorbell_.ring(hw::reg::event_head, consumed_);
  return count;
}

}  // namespace saline::driver
