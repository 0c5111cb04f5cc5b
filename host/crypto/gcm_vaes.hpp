// AES-GCM (NIST SP 800-38D, 96-bit nonces) with the 256-bit forms of AES and carry-less multiply.
// ipsec-mb 1.3 has these instructions in use with AVX-512 only; processors with AVX2 and them run
// this twice as fast. In constant time. Kept apart, because the file is compiled for such
// processors.
#pragma once

#include <cstddef>
#include <cstdint>

namespace saline::crypto::gcm_vaes {

// GHASH keys as this code wants them: H to the powers 8 to 1, byte-reflected, times x^-1.
inline constexpr std::size_t kPowerBytes = 8 * 16;

bool runs_here() noexcept;

// Round keys of AES-128, -192, -256: 11, 13 or 15 times 16 bytes; powers behind them. Aligned
// to 16.
void expand_powers(const std::uint8_t* round_keys, int rounds, std::uint8_t* powers) noexcept;

struct Message {
  const std::uint8_t* round_keys = nullptr;
  const std::uint8_t* powers = nullptr;
  int rounds = 10;                      // 10, 12, 14
  const std::uint8_t* nonce = nullptr;  // 12 bytes
  const std::uint8_t* aad = nullptr;
  std::size_t aad_bytes = 0;
  std::uint8_t* text = nullptr;  // in place
  std::size_t text_bytes = 0;
};
// The tag is written whole; cutting and comparing is the caller's.
void seal(const Message& message, std::uint8_t tag[16]) noexcept;
void open(const Message& message, std::uint8_t tag[16]) noexcept;

}  // namespace saline::crypto::gcm_vaes
