// Anti-replay of one inbound SA (RFC 4303 §3.4.3) with inference of the high half of extended
// sequence numbers (RFC 4303 App. A2), as a bitmap of blocks that never shifts (RFC 6479 §2).
#pragma once

#include <cstdint>
#include <vector>

namespace saline::ipsec {

class ReplayWindow {
 public:
  static constexpr std::uint32_t kPacketsMax = 4096;

  // packets 0 turns the check off; the sequence number is then only inferred. Throws Error(EINVAL)
  // above kPacketsMax.
  ReplayWindow(std::uint32_t packets, bool extended);

  struct Check {
    bool acceptable = false;     // worth an ICV check
    std::uint64_t sequence = 0;  // with the inferred high half
  };
  // Step 1, before the ICV; changes nothing.
  Check check(std::uint32_t low) const noexcept;
  // Step 2, after a good ICV: checks again, as packets of one burst are checked together. False
  // means replay.
  bool commit(std::uint64_t sequence) noexcept;

  std::uint32_t packets() const noexcept { return packets_; }
  bool extended() const noexcept { return extended_; }
  // The right edge: the highest number accepted so far, 0 at first.
  std::uint64_t top() const noexcept { return top_; }
  // Continues after `top`; everything up to it counts as seen.
  void restart(std::uint64_t top) noexcept;

 private:
  std::uint64_t infer(std::uint32_t low) const noexcept;
  bool seen(std::uint64_t sequence) const noexcept;

  std::uint32_t packets_;
  bool extended_;
  std::uint64_t top_ = 0;
  std::vector<std::uint64_t> blocks_;  // a power of two, one more than the window needs
};

}  // namespace saline::ipsec
