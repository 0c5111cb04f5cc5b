// Encryption and integrity in one, and GMAC: what needs the whole job rather than a text. Keyed
// once for both directions, without allocation per packet.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "host/crypto/algorithms.hpp"
#include "host/crypto/provider.hpp"

namespace saline::crypto {

class Aead {
 public:
  virtual ~Aead() = default;
  virtual Result run(const Job& job) noexcept = 0;
};

// nullptr when the method is none of the file's. The key has its salt last and a length that the
// table allows. GMAC is here both as the AEAD of ESP and as the integrity algorithm of AH.
std::unique_ptr<Aead> make_gcm(const Algorithm& algorithm, std::span<const std::uint8_t> key);
std::unique_ptr<Aead> make_ccm(const Algorithm& algorithm, std::span<const std::uint8_t> key);

}  // namespace saline::crypto
