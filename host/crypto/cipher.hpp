// Encryption without integrity, keyed once for both directions, without allocation per packet.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "host/crypto/algorithms.hpp"
#include "host/crypto/provider.hpp"

namespace saline::crypto {

class Cipher {
 public:
  virtual ~Cipher() = default;
  // In place. False for text that is no multiple of the block, and when the library failed.
  virtual bool crypt(Direction direction, const std::uint8_t* iv,
                     std::span<std::uint8_t> text) noexcept = 0;
};

// nullptr when the method is none of the file's. The key has its salt, if any, last, and a length
// that the table allows.
std::unique_ptr<Cipher> make_evp_cipher(const Algorithm& algorithm,
                                        std::span<const std::uint8_t> key);
std::unique_ptr<Cipher> make_block64_cipher(const Algorithm& algorithm,
                                            std::span<const std::uint8_t> key);
std::unique_ptr<Cipher> make_twofish(const Algorithm& algorithm, std::span<const std::uint8_t> key);

}  // namespace saline::crypto
