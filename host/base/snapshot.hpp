// An immutable value that one thread replaces while others read it, without locks or reference
// counts on the readers' side (RCU with a hazard slot per reader). Any number of writers must
// exclude each other; readers are numbered, one thread each.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace saline::base {

template <typename T>
class Snapshot {
 public:
  explicit Snapshot(std::unique_ptr<const T> first) : owned_(std::move(first)) {
    current_.store(owned_.get(), std::memory_order_release);
  }

  static constexpr std::size_t kReadersMax = 8;

  // Writer. The former value lives until the readers have moved on; it is freed here or in a later
  // call. Values are freed oldest first, so what an older value refers to outlives it. Throws
  // std::bad_alloc, having done nothing, unless reserve() was called since the last publish().
  void publish(std::unique_ptr<const T> next) {
    reserve();
    current_.store(next.get(), std::memory_order_seq_cst);
    retired_.push_back(std::move(owned_));
    owned_ = std::move(next);
    reclaim();
  }
  void reserve() {
    if (retired_.size() == retired_.capacity()) retired_.reserve(2 * retired_.size() + 4);
  }

  // Writer. Frees what no reader holds any more; true when nothing is left waiting.
  bool reclaim() {
    std::array<const T*, kReadersMax> held;
    for (std::size_t i = 0; i < kReadersMax; ++i)
      held[i] = held_[i].value.load(std::memory_order_seq_cst);
    std::size_t freed = 0;
    while (freed < retired_.size() &&
           std::find(held.begin(), held.end(), retired_[freed].get()) == held.end())
      ++freed;
    retired_.erase(retired_.begin(), retired_.begin() + static_cast<std::ptrdiff_t>(freed));
    return retired_.empty();
  }

  // Writer: the value last published.
  const T& newest() const noexcept { return *owned_; }

  // A reader. The value stays valid until its next acquire or release.
  const T* acquire(std::size_t reader = 0) noexcept {
    std::atomic<const T*>& held = held_[reader].value;
    const T* seen = current_.load(std::memory_order_acquire);
    // Held already, and the writer knows: the common case, without a barrier.
    if (held.load(std::memory_order_relaxed) == seen) return seen;
    for (;;) {
      held.store(seen, std::memory_order_seq_cst);
      const T* again = current_.load(std::memory_order_seq_cst);
      if (again == seen) return seen;
      seen = again;
    }
  }
  void release(std::size_t reader = 0) noexcept {
    held_[reader].value.store(nullptr, std::memory_order_release);
  }

 private:
  struct alignas(64) Slot {
    std::atomic<const T*> value{nullptr};
  };

  std::unique_ptr<const T> owned_;
  std::vector<std::unique_ptr<const T>> retired_;
  std::atomic<const T*> current_{nullptr};
  std::array<Slot, kReadersMax> held_;
};

}  // namespace saline::base
