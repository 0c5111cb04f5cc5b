// The window as a ring of 64-bit blocks (RFC 6479 §2).
#include "host/ipsec/replay.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <string>

#include "host/base/error.hpp"

namespace saline::ipsec {

namespace {

constexpr std::uint32_t kBlockBits = 64;
// Without a window the high half is still inferred, as if half the number space were one.
constexpr std::uint32_t kInferenceWindow = 1u << 31;

}  // namespace

ReplayWindow::ReplayWindow(std::uint32_t packets, bool extended)
    : packets_(packets), extended_(extended) {
  if (packets > kPacketsMax)
    throw base::Error(EINVAL, "a replay window of " + std::to_string(packets) +
                                  " packets is larger than " + std::to_string(kPacketsMax));
  if (packets == 0) return;
  // One block more than the window covers: the block being filled may not hold old bits.
  blocks_.resize(std::bit_ceil((packets + kBlockBits - 1) / kBlockBits + 1));
}

// RFC 4303 App. A2.2. A number before the first epoch becomes 0, which is never acceptable.
std::uint64_t ReplayWindow::infer(std::uint32_t low) const noexcept {
  if (!extended_) return low;
  const std::uint32_t window = packets_ == 0 ? kInferenceWindow : packets_;
  const auto top_low = static_cast<std::uint32_t>(top_);
  const std::uint64_t epoch = top_ >> 32;
  const std::uint32_t bottom = top_low - window + 1;
  if (top_low >= window - 1) return (low >= bottom ? epoch : epoch + 1) << 32 | low;  // case A
  if (low < bottom) return epoch << 32 | low;                                         // case B
  return epoch == 0 ? 0 : (epoch - 1) << 32 | low;
}

bool ReplayWindow::seen(std::uint64_t sequence) const noexcept {
  const std::uint64_t block = blocks_[(sequence / kBlockBits) & (blocks_.size() - 1)];
  return (block >> (sequence % kBlockBits) & 1) != 0;
}

ReplayWindow::Check ReplayWindow::check(std::uint32_t low) const noexcept {
  Check result;
  result.sequence = infer(low);
  if (packets_ == 0) {
    result.acceptable = true;
  } else if (result.sequence > top_) {
    result.acceptable = true;
  } else {
    result.acceptable =
        result.sequence != 0 && top_ - result.sequence < packets_ && !seen(result.sequence);
  }
  return result;
}

bool ReplayWindow::commit(std::uint64_t sequence) noexcept {
  if (packets_ == 0) {
    top_ = std::max(top_, sequence);
    return true;
  }
  if (sequence > top_) {
    const std::uint64_t from = top_ / kBlockBits;
    const std::uint64_t steps =
        std::min<std::uint64_t>(sequence / kBlockBits - from, blocks_.size());
    for (std::uint64_t i = 1; i <= steps; ++i) blocks_[(from + i) & (blocks_.size() - 1)] = 0;
    top_ = sequence;
  } else if (sequence == 0 || top_ - sequence >= packets_ || seen(sequence)) {
    return false;
  }
  blocks_[(sequence / kBlockBits) & (blocks_.size() - 1)] |= 1ull << (sequence % kBlockBits);
  return true;
}

void ReplayWindow::restart(std::uint64_t top) noexcept {
  top_ = top;
  if (packets_ == 0) return;
  std::fill(blocks_.begin(), blocks_.end(), ~0ull);
  blocks_[(top / kBlockBits) & (blocks_.size() - 1)] = ~0ull >> (kBlockBits - 1 - top % kBlockBits);
}

}  // namespace saline::ipsec
