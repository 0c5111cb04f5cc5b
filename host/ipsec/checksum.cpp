// RFC 1071 word by word.
#include "host/ipsec/checksum.hpp"

#include "host/base/bytes.hpp"

namespace saline::ipsec {

std::uint32_t add_words(std::span<const std::uint8_t> bytes, std::uint32_t sum) noexcept {
  std::size_t at = 0;
  for (; at + 1 < bytes.size(); at += 2) sum += base::load16(&bytes[at]);
  if (at < bytes.size()) sum += static_cast<std::uint32_t>(bytes[at] << 8);
  return sum;
}

std::uint16_t fold(std::uint32_t sum) noexcept {
  while (sum >> 16 != 0) sum = (sum & 0xFFFF) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

std::uint16_t internet_checksum(std::span<const std::uint8_t> bytes, std::uint32_t sum) noexcept {
  return static_cast<std::uint16_t>(~fold(add_words(bytes, sum)));
}

std::uint32_t pseudo_header_sum(const base::Address& source, const base::Address& destination,
                                std::uint8_t protocol, std::uint32_t length) noexcept {
  const std::size_t bytes = base::address_bytes(source.family);
  std::uint32_t sum = add_words(std::span(source.bytes).first(bytes));
  sum = add_words(std::span(destination.bytes).first(bytes), sum);
  return sum + protocol + (length & 0xFFFF) + (length >> 16);
}

std::uint16_t changed_checksum(std::uint16_t checksum, std::uint32_t old_sum,
                               std::uint32_t new_sum) noexcept {
  const auto complement = [](std::uint16_t word) { return static_cast<std::uint16_t>(~word); };
  return complement(fold(std::uint32_t{complement(checksum)} + complement(fold(old_sum)) +
                         std::uint32_t{fold(new_sum)}));
}

}  // namespace saline::ipsec
