// HMAC (RFC 2104) with the key's two compression states computed once, so that a packet costs its
// own blocks and two more, and no allocation. Uses libcrypto's digest functions below EVP: in
// OpenSSL 3.0 restarting an EVP_MAC duplicates, and so allocates, a context per packet.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "host/crypto/algorithms.hpp"

namespace saline::crypto {

class Hmac {
 public:
  virtual ~Hmac() = default;
  // Hashes the parts in order and writes the leftmost out.size() bytes of the MAC.
  virtual void compute(std::span<const std::span<const std::uint8_t>> parts,
                       std::span<std::uint8_t> out) const noexcept = 0;
};

// nullptr when the method is no HMAC. Any key length.
std::unique_ptr<Hmac> make_hmac(Method method, std::span<const std::uint8_t> key);

}  // namespace saline::crypto
