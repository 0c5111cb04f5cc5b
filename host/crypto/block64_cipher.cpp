// The CBC ciphers of 64-bit blocks: DES (RFC 2405), 3DES, Blowfish and CAST-128 (RFC 2451), by
// libcrypto below EVP, so that OpenSSL's legacy provider, which a machine may not have, is not
// needed. CAST-128 has 12 rounds for keys up to 80 bits (RFC 2144 §2.5); libcrypto sees to it.
//
// A 4-byte IV stands for itself and its complement (RFC 1829 §2); with KAME's "derived" IV the 4
// bytes are the sequence number field.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/blowfish.h>
#include <openssl/cast.h>
#include <openssl/des.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "host/base/secret.hpp"
#include "host/crypto/cipher.hpp"

namespace saline::crypto {

namespace {

using Iv = std::array<std::uint8_t, 8>;

class Des final : public Cipher {
 public:
  Des(std::span<const std::uint8_t> key, bool short_iv)
      : triple_(key.size() == 24), short_iv_(short_iv) {
    for (std::size_t i = 0; i < key.size() / 8; ++i) {
      DES_cblock part;
      std::memcpy(part, key.data() + i * 8, sizeof(part));
      DES_set_key_unchecked(&part, &schedules_[i]);
      base::wipe(part);
    }
  }
  ~Des() override {
    base::wipe({reinterpret_cast<std::uint8_t*>(schedules_.data()), sizeof(schedules_)});
  }

  bool crypt(Direction direction, const std::uint8_t* iv,
             std::span<std::uint8_t> text) noexcept override {
    if (text.size() % 8 != 0) return false;
    DES_cblock chain;
    std::memcpy(chain, iv, short_iv_ ? 4 : 8);
    for (std::size_t i = 0; short_iv_ && i < 4; ++i)
      chain[i + 4] = static_cast<std::uint8_t>(~chain[i]);
    const int seal = direction == Direction::seal ? DES_ENCRYPT : DES_DECRYPT;
    const long bytes = static_cast<long>(text.size());
    if (triple_)
      DES_ede3_cbc_encrypt(text.data(), text.data(), bytes, &schedules_[0], &schedules_[1],
                           &schedules_[2], &chain, seal);
    else
      DES_ncbc_encrypt(text.data(), text.data(), bytes, &schedules_[0], &chain, seal);
    return true;
  }

 private:
  bool triple_;
  bool short_iv_;
  std::array<DES_key_schedule, 3> schedules_{};
};

// Ciphers of one key schedule and a key of any length.
template <typename Key, void (*SetKey)(Key*, int, const unsigned char*),
          void (*Crypt)(const unsigned char*, unsigned char*, long, const Key*, unsigned char*,
                        int)>
class Cbc64 final : public Cipher {
 public:
  explicit Cbc64(std::span<const std::uint8_t> key) {
    SetKey(&key_, static_cast<int>(key.size()), key.data());
  }
  ~Cbc64() override { base::wipe({reinterpret_cast<std::uint8_t*>(&key_), sizeof(key_)}); }

  bool crypt(Direction direction, const std::uint8_t* iv,
             std::span<std::uint8_t> text) noexcept override {
    if (text.size() % 8 != 0) return false;
    Iv chain;
    std::memcpy(chain.data(), iv, chain.size());
    Crypt(text.data(), text.data(), static_cast<long>(text.size()), &key_, chain.data(),
          direction == Direction::seal ? 1 : 0);
    return true;
  }

 private:
  Key key_;
};

using Blowfish = Cbc64<BF_KEY, BF_set_key, BF_cbc_encrypt>;
using Cast128 = Cbc64<CAST_KEY, CAST_set_key, CAST_cbc_encrypt>;

}  // namespace

std::unique_ptr<Cipher> make_block64_cipher(const Algorithm& algorithm,
                                            std::span<const std::uint8_t> key) {
  switch (algorithm.method) {
    case Method::des_cbc:
    case Method::des3_cbc:
      return std::make_unique<Des>(key, false);
    case Method::des_cbc_iv4:
    case Method::des3_cbc_iv4:
      return std::make_unique<Des>(key, true);
    case Method::blowfish_cbc:
      return std::make_unique<Blowfish>(key);
    case Method::cast128_cbc:
      return std::make_unique<Cast128>(key);
    default:
      return nullptr;
  }
}

}  // namespace saline::crypto
