// A bounded queue from one thread to one other, without locks: the data thread tells the control
// thread what it saw and never waits for it. When full, the news is dropped: the packet that caused
// it was dropped too, and the next one brings the same news.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <optional>

namespace saline::daemon {

template <typename T, std::size_t kEntries>
class Queue {
  static_assert((kEntries & (kEntries - 1)) == 0, "a power of two");

 public:
  // Writer. False when full.
  bool push(const T& value) noexcept {
    const std::size_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - head_.load(std::memory_order_acquire) == kEntries) return false;
    entries_[tail % kEntries] = value;
    tail_.store(tail + 1, std::memory_order_release);
    return true;
  }

  // Reader.
  std::optional<T> pop() noexcept {
    const std::size_t head = head_.load(std::memory_order_relaxed);
    if (head == tail_.load(std::memory_order_acquire)) return std::nullopt;
    const T value = entries_[head % kEntries];
    head_.store(head + 1, std::memory_order_release);
    return value;
  }

 private:
  std::array<T, kEntries> entries_{};
  std::atomic<std::size_t> head_{0};
  std::atomic<std::size_t> tail_{0};
};

// Uses what `next` gives, `most` of it at a time: a writer that goes on must not keep the reader.
template <typename Next, typename Use>
void use_some(std::size_t most, Next next, Use use) {
  for (; most != 0; --most) {
    const auto value = next();
    if (!value) return;
    use(*value);
  }
}

}  // namespace saline::daemon
