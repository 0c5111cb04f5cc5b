// The GHASH subkey powers that hash_powers of an SaContext holds (NIST SP 800-38D §6.3): the card
// hashes four blocks at a time and does not compute them itself.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace saline::driver {

// H^4, H^3, H^2, H of an AES key of 16 or 32 bytes (without the salt). The result is key material:
// wipe it. Throws Error(EINVAL) for any other key length.
std::array<std::uint8_t, 64> gcm_hash_powers(std::span<const std::uint8_t> key);

// The same from the subkey H.
std::array<std::uint8_t, 64> gcm_powers_of(std::span<const std::uint8_t, 16> subkey);

}  // namespace saline::driver
