// The Internet checksum (RFC 1071) and the pseudo-headers of the protocols above IP (RFC 768,
// RFC 8200 §8.1).
#pragma once

#include <cstdint>
#include <span>

#include "host/base/ip.hpp"

namespace saline::ipsec {

// Adds 16-bit words to a sum that fold() ends; an odd last byte counts as the high half of a word.
// No overflow for what fits in an IP packet.
std::uint32_t add_words(std::span<const std::uint8_t> bytes, std::uint32_t sum = 0) noexcept;
// The one's complement sum; its complement is the checksum.
std::uint16_t fold(std::uint32_t sum) noexcept;

// The checksum of bytes and of what they are summed with; 0 where it is already in place and right.
std::uint16_t internet_checksum(std::span<const std::uint8_t> bytes,
                                std::uint32_t sum = 0) noexcept;

std::uint32_t pseudo_header_sum(const base::Address& source, const base::Address& destination,
                                std::uint8_t protocol, std::uint32_t length) noexcept;

// The checksum after words that added up to `old_sum` have become ones of `new_sum` (RFC 1624 §3).
std::uint16_t changed_checksum(std::uint16_t checksum, std::uint32_t old_sum,
                               std::uint32_t new_sum) noexcept;

}  // namespace saline::ipsec
