// Multiplication in GF(2^128), one bit at a time and in constant time: four products per SA.
#include "driver/gcm_powers.hpp"

#include <algorithm>
#include <cerrno>

#include "host/base/bytes.hpp"
#include "host/base/error.hpp"
#include "host/base/secret.hpp"
#include "host/crypto/provider.hpp"

namespace saline::driver {
namespace {

// A polynomial over GF(2) modulo x^128 + x^7 + x^2 + x + 1, in GCM's order: the coefficient of x^0
// is the most significant bit of the first byte.
struct Block {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
};

// NIST SP 800-38D §6.3, algorithm 1, without branches on the operands.
Block multiply(const Block& x, const Block& y) noexcept {
  Block product;
  Block v = y;
  for (unsigned i = 0; i < 128; ++i) {
    const std::uint64_t word = i < 64 ? x.high : x.low;
    const std::uint64_t take = ~((word >> (63 - i % 64) & 1) - 1);
    product.high ^= v.high & take;
    product.low ^= v.low & take;
    const std::uint64_t reduce = ~((v.low & 1) - 1);
    v.low = v.low >> 1 | v.high << 63;
    v.high = v.high >> 1 ^ (0xe100000000000000u & reduce);
  }
  return product;
}

}  // namespace

std::array<std::uint8_t, 64> gcm_powers_of(std::span<const std::uint8_t, 16> subkey) {
  const Block h{base::load64(subkey.data()), base::load64(subkey.data() + 8)};
  std::array<Block, 4> powers;  // H^4 first
  powers[3] = h;
  for (int i = 2; i >= 0; --i) powers[i] = multiply(powers[i + 1], h);
  std::array<std::uint8_t, 64> out;
  for (std::size_t i = 0; i < powers.size(); ++i) {
    base::store64(out.data() + 16 * i, powers[i].high);
    base::store64(out.data() + 16 * i + 8, powers[i].low);
  }
  base::wipe({reinterpret_cast<std::uint8_t*>(powers.data()), sizeof(powers)});
  return out;
}

std::array<std::uint8_t, 64> gcm_hash_powers(std::span<const std::uint8_t> key) {
  if (key.size() != 16 && key.size() != 32) {
    throw base::Error(
        EINVAL, "an AES-GCM key of the card has 16 or 32 bytes, not " + std::to_string(key.size()));
  }
  const std::array<std::uint8_t, 16> zero{};
  std::array<std::uint8_t, 16> subkey = crypto::aes_encrypt_block(key, zero);
  const auto powers = gcm_powers_of(subkey);
  base::wipe(subkey);
  return powers;
}

}  // namespace saline::driver
