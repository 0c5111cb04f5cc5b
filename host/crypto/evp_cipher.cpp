// AES-CBC (RFC 3602), Camellia-CBC (RFC 4312) and AES-CTR (RFC 3686) by OpenSSL's EVP.
#include <algorithm>
#include <array>
#include <cstring>

#include "host/base/bytes.hpp"
#include "host/base/secret.hpp"
#include "host/crypto/cipher.hpp"
#include "host/crypto/evp.hpp"

namespace saline::crypto {

namespace {

class Cbc final : public Cipher {
 public:
  Cbc(Method method, std::span<const std::uint8_t> key)
      : seal_(keyed_context(method, key, true)), open_(keyed_context(method, key, false)) {}

  bool crypt(Direction direction, const std::uint8_t* iv,
             std::span<std::uint8_t> text) noexcept override {
    EVP_CIPHER_CTX* context = direction == Direction::seal ? seal_.get() : open_.get();
    return text.size() % 16 == 0 &&
           EVP_CipherInit_ex(context, nullptr, nullptr, nullptr, iv, -1) == 1 &&
           update_text(context, text);
  }

 private:
  CipherContext seal_;
  CipherContext open_;
};

class Ctr final : public Cipher {
 public:
  Ctr(std::span<const std::uint8_t> key, std::span<const std::uint8_t> salt)
      : context_(keyed_context(Method::aes_ctr, key, true)) {
    std::copy(salt.begin(), salt.end(), salt_.begin());
  }
  ~Ctr() override { base::wipe(salt_); }

  // RFC 3686 §4: nonce, IV, counter from 1.
  bool crypt(Direction, const std::uint8_t* iv, std::span<std::uint8_t> text) noexcept override {
    std::array<std::uint8_t, 16> block;
    std::memcpy(block.data(), salt_.data(), 4);
    std::memcpy(block.data() + 4, iv, 8);
    base::store32(block.data() + 12, 1);
    return EVP_CipherInit_ex(context_.get(), nullptr, nullptr, nullptr, block.data(), -1) == 1 &&
           update_text(context_.get(), text);
  }

 private:
  CipherContext context_;
  std::array<std::uint8_t, 4> salt_{};
};

}  // namespace

std::unique_ptr<Cipher> make_evp_cipher(const Algorithm& algorithm,
                                        std::span<const std::uint8_t> key) {
  const auto cipher_key = key.first(key.size() - algorithm.salt_bytes);
  switch (algorithm.method) {
    case Method::aes_cbc:
    case Method::camellia_cbc:
      return std::make_unique<Cbc>(algorithm.method, cipher_key);
    case Method::aes_ctr:
      return std::make_unique<Ctr>(cipher_key, key.last(algorithm.salt_bytes));
    default:
      return nullptr;
  }
}

}  // namespace saline::crypto
