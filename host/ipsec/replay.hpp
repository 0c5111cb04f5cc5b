// Anti-replay of one inbound SA (RFC 4303 §3.4.3) with inference of the high half of extended
// sequence numbers (RFC 4303 App. A2), as a bitmap of blocks that never shifts (RFC 6479 §2).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace saline::ipsec {

// Checked and moved by one thread; the right edge may be read by any.
class ReplayWindow {
 public:
  static constexpr std::uint32_t kPacketsMax = 1u << 20;

  // packets 0 turns the check off; the sequence number is then only inferred. Throws Error(EINVAL)
  // above kPacketsMax.
  ReplayWindow(std::uint32_t packets, bool extended);

  struct Check {
    bool acceptable = false;     // worth an ICV check
    std::uint64_t sequence = 0;  // with the inferred high half
  };
  // Step 1, before the ICV; changes nothing.
  Check check(std::uint32_t low) const noexcept {
    const std::uint64_t newest = top();
    const std::uint64_t sequence = extended_ ? infer(low, newest) : low;
    return {sequence > newest || packets_ == 0 || is_new(sequence, newest), sequence};
  }
  // Step 2, after a good ICV: checks again, as packets of one burst are checked together. False
  // means replay.
  bool commit(std::uint64_t sequence) noexcept {
    const std::uint64_t newest = top();
    if (sequence > newest) {
      if (sequence / kBlockBits != newest / kBlockBits) clear_blocks(newest, sequence);
      top_.store(sequence, std::memory_order_relaxed);
    } else if (packets_ == 0) {
      return true;
    } else if (!is_new(sequence, newest)) {
      return false;
    }
    if (packets_ != 0) block_of(sequence) |= 1ull << (sequence % kBlockBits);
    return true;
  }

  std::uint32_t packets() const noexcept { return packets_; }
  bool extended() const noexcept { return extended_; }
  // The right edge: the highest number accepted so far, 0 at first.
  std::uint64_t top() const noexcept { return top_.load(std::memory_order_relaxed); }
  // Continues after `top`; everything up to it counts as seen.
  void restart(std::uint64_t top) noexcept;
  // Asks the caches for what check and commit of that number will read.
  void prefetch(std::uint32_t low) const noexcept {
    if (packets_ != 0) __builtin_prefetch(&block_of(low), 1);
  }

 private:
  static constexpr std::uint32_t kBlockBits = 64;

  std::uint64_t infer(std::uint32_t low, std::uint64_t newest) const noexcept;
  void clear_blocks(std::uint64_t from, std::uint64_t to) noexcept;
  std::uint64_t& block_of(std::uint64_t sequence) const noexcept {
    return blocks_[(sequence / kBlockBits) & mask_];
  }
  bool is_new(std::uint64_t sequence, std::uint64_t newest) const noexcept {
    return sequence != 0 && newest - sequence < packets_ &&
           (block_of(sequence) >> (sequence % kBlockBits) & 1) == 0;
  }

  std::atomic<std::uint64_t> top_{0};
  std::unique_ptr<std::uint64_t[]> blocks_;  // a power of two, one more than the window needs
  std::uint32_t mask_ = 0;                   // number of blocks less one
  std::uint32_t packets_;
  bool extended_;
};

}  // namespace saline::ipsec
