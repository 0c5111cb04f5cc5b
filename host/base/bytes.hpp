// Big-endian loads and stores over raw bytes, and hexadecimal text. No bounds checks: callers have
// parsed the lengths.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace saline::base {

inline std::uint16_t load16(const std::uint8_t* from) noexcept {
  return static_cast<std::uint16_t>((from[0] << 8) | from[1]);
}

inline std::uint32_t load32(const std::uint8_t* from) noexcept {
  std::uint32_t value;
  std::memcpy(&value, from, sizeof(value));
  return std::endian::native == std::endian::little ? __builtin_bswap32(value) : value;
}

inline std::uint64_t load64(const std::uint8_t* from) noexcept {
  std::uint64_t value;
  std::memcpy(&value, from, sizeof(value));
  return std::endian::native == std::endian::little ? __builtin_bswap64(value) : value;
}

inline void store16(std::uint8_t* to, std::uint16_t value) noexcept {
  to[0] = static_cast<std::uint8_t>(value >> 8);
  to[1] = static_cast<std::uint8_t>(value);
}

inline void store32(std::uint8_t* to, std::uint32_t value) noexcept {
  if (std::endian::native == std::endian::little) value = __builtin_bswap32(value);
  std::memcpy(to, &value, sizeof(value));
}

inline void store64(std::uint8_t* to, std::uint64_t value) noexcept {
  if (std::endian::native == std::endian::little) value = __builtin_bswap64(value);
  std::memcpy(to, &value, sizeof(value));
}

// Lower case, no separators.
std::string to_hex(std::span<const std::uint8_t> bytes);

// An even number of digits, no prefix, no separators; throws Error(EINVAL) naming no content, as
// the text may be a key.
std::vector<std::uint8_t> from_hex(std::string_view text);

}  // namespace saline::base
