// See mss.hpp.
#include "host/ipsec/mss.hpp"

#include "host/base/bytes.hpp"
#include "host/ipsec/checksum.hpp"

namespace saline::ipsec {

namespace {

constexpr std::uint32_t kTcpBytes = 20;
constexpr std::uint8_t kSyn = 0x02;
constexpr std::uint8_t kEndOfOptions = 0, kNoOperation = 1, kMaximumSegmentSize = 2;

// The checksum after a 16-bit field went from `before` to `after`. A field at an odd
// place enters the sum with its bytes swapped.
std::uint16_t adjust(std::uint16_t checksum, std::uint16_t before, std::uint16_t after,
                     bool odd) noexcept {
  const auto swapped = [odd](std::uint16_t value) {
    return odd ? static_cast<std::uint16_t>(value << 8 | value >> 8) : value;
  };
  return changed_checksum(checksum, swapped(before), swapped(after));
}

}  // namespace

bool clamp_mss(std::span<std::uint8_t> packet, const Headers& headers,
               std::uint16_t most) noexcept {
  const std::uint32_t at = headers.upper_offset;
  if (headers.upper_protocol != kTcp || headers.fragment || at + kTcpBytes > headers.total)
    return false;
  std::uint8_t* tcp = &packet[at];
  const std::uint32_t bytes = (tcp[12] >> 4) * 4u;
  if ((tcp[13] & kSyn) == 0 || bytes < kTcpBytes || at + bytes > headers.total) return false;
  for (std::uint32_t option = kTcpBytes; option < bytes && tcp[option] != kEndOfOptions;) {
    if (tcp[option] == kNoOperation) {
      ++option;
      continue;
    }
    if (option + 2 > bytes || tcp[option + 1] < 2 || option + tcp[option + 1] > bytes) return false;
    if (tcp[option] == kMaximumSegmentSize && tcp[option + 1] == 4) {
      const std::uint16_t announced = base::load16(tcp + option + 2);
      if (announced <= most) return false;
      base::store16(tcp + option + 2, most);
      base::store16(tcp + 16, adjust(base::load16(tcp + 16), announced, most, option % 2 != 0));
      return true;
    }
    option += tcp[option + 1];
  }
  return false;
}

}  // namespace saline::ipsec
