// Message authentication codes that need no IV, keyed once and computed per packet without
// allocation. GMAC has an IV and is in aead.hpp.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "host/crypto/algorithms.hpp"

namespace saline::crypto {

class Mac {
 public:
  virtual ~Mac() = default;
  // Signs the parts in order and writes the leftmost out.size() bytes of the MAC, at most
  // mac_bytes(). False when the library failed.
  virtual bool compute(std::span<const std::span<const std::uint8_t>> parts,
                       std::span<std::uint8_t> out) const noexcept = 0;
  virtual std::size_t mac_bytes() const noexcept = 0;
};

// nullptr when the method is none of these. Key lengths are not checked against the table, so that
// published vectors of other lengths can be run; AES takes 16, 24 or 32 bytes (XCBC: 16), else
// Error(EINVAL).
std::unique_ptr<Mac> make_mac(Method method, std::span<const std::uint8_t> key);

// The families behind make_mac(); nullptr for a method of another.
std::unique_ptr<Mac> make_hmac(Method method, std::span<const std::uint8_t> key);
std::unique_ptr<Mac> make_keyed_hash(Method method, std::span<const std::uint8_t> key);
std::unique_ptr<Mac> make_block_mac(Method method, std::span<const std::uint8_t> key);

}  // namespace saline::crypto
