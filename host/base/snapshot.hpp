// An immutable value that one thread replaces while another reads it, without locks or reference
// counts on the reader's side (RCU with one hazard slot). Any number of writers must exclude each
// other; there is exactly one reader.
#pragma once

#include <atomic>
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

  // Writer. The former value lives until the reader has moved on; it is freed here or in a later
  // call. Values are freed oldest first, so what an older value refers to outlives it.
  void publish(std::unique_ptr<const T> next) {
    current_.store(next.get(), std::memory_order_seq_cst);
    retired_.push_back(std::move(owned_));
    owned_ = std::move(next);
    reclaim();
  }

  // Writer. Frees what the reader no longer holds; true when nothing is left waiting.
  bool reclaim() {
    const T* held = held_.load(std::memory_order_seq_cst);
    std::size_t freed = 0;
    while (freed < retired_.size() && retired_[freed].get() != held) ++freed;
    retired_.erase(retired_.begin(), retired_.begin() + static_cast<std::ptrdiff_t>(freed));
    return retired_.empty();
  }

  // Writer: the value last published.
  const T& newest() const noexcept { return *owned_; }

  // Reader. The value stays valid until the next acquire or release.
  const T* acquire() noexcept {
    const T* seen = current_.load(std::memory_order_acquire);
    for (;;) {
      held_.store(seen, std::memory_order_seq_cst);
      const T* again = current_.load(std::memory_order_seq_cst);
      if (again == seen) return seen;
      seen = again;
    }
  }
  void release() noexcept { held_.store(nullptr, std::memory_order_release); }

 private:
  std::unique_ptr<const T> owned_;
  std::vector<std::unique_ptr<const T>> retired_;
  std::atomic<const T*> current_{nullptr};
  std::atomic<const T*> held_{nullptr};
};

}  // namespace saline::base
