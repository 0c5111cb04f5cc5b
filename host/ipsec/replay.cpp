// The window as a ring of 64-bit blocks (RFC 6479 §2).
#include "host/ipsec/replay.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <string>

#include "host/base/error.hpp"

namespace saline::ipsec {

namespace {

// Without a window the high half is still inferred, as if half the number space were one.
constexpr std::uint32_t kInferenceWindow = 1u << 31;

}  // namespace

ReplayWindow::ReplayWindow(std::uint32_t packets, bool extended)
    : packets_(std::min(packets, kPacketsMax)), extended_(extended) {
  if (packets > kPacketsMax)
    throw base::Error(EINVAL, "a replay window of " + std::to_string(packets) +
                                  " packets is larger than " + std::to_string(kPacketsMax));
  if (packets == 0) return;
  // One block more than the window covers: the block being filled may not hold old bits.
  const std::uint32_t blocks = std::bit_ceil((packets + kBlockBits - 1) / kBlockBits + 1);
  blocks_ = std::make_unique<std::uint64_t[]>(blocks);
  mask_ = blocks - 1;
}

// RFC 4303 App. A2.2. A number before the first epoch becomes 0, which is never acceptable.
std::uint64_t ReplayWindow::infer(std::uint32_t low, std::uint64_t newest) const noexcept {
  const std::uint32_t window = packets_ == 0 ? kInferenceWindow : packets_;
  const auto top_low = static_cast<std::uint32_t>(newest);
  const std::uint64_t epoch = newest >> 32;
  const std::uint32_t bottom = top_low - window + 1;
  if (top_low >= window - 1) return (low >= bottom ? epoch : epoch + 1) << 32 | low;  // case A
  if (low < bottom) return epoch << 32 | low;                                         // case B
  return epoch == 0 ? 0 : (epoch - 1) << 32 | low;
}

void ReplayWindow::clear_blocks(std::uint64_t from, std::uint64_t to) noexcept {
  if (packets_ == 0) return;
  const std::uint64_t steps =
      std::min<std::uint64_t>(to / kBlockBits - from / kBlockBits, std::uint64_t{mask_} + 1);
  for (std::uint64_t i = 1; i <= steps; ++i) blocks_[(from / kBlockBits + i) & mask_] = 0;
}

void ReplayWindow::restart(std::uint64_t top) noexcept {
  top_.store(top, std::memory_order_relaxed);
  if (packets_ == 0) return;
  std::fill_n(blocks_.get(), std::size_t{mask_} + 1, ~0ull);
  block_of(top) = ~0ull >> (kBlockBits - 1 - top % kBlockBits);
}

}  // namespace saline::ipsec
