// One AES block, by libcrypto.
#include <openssl/evp.h>

#include <cerrno>
#include <memory>

#include "host/base/error.hpp"
#include "host/crypto/provider.hpp"

namespace saline::crypto {

void aes_encrypt_block(std::span<const std::uint8_t> key, const std::uint8_t in[16],
                       std::uint8_t out[16]) {
  const EVP_CIPHER* cipher = key.size() == 16   ? EVP_aes_128_ecb()
                             : key.size() == 24 ? EVP_aes_192_ecb()
                             : key.size() == 32 ? EVP_aes_256_ecb()
                                                : nullptr;
  if (cipher == nullptr) throw base::Error(EINVAL, "an AES key has 16, 24 or 32 bytes");
  const std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> context(
      EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  int written = 0;
  if (!context || EVP_EncryptInit_ex(context.get(), cipher, nullptr, key.data(), nullptr) != 1 ||
      EVP_EncryptUpdate(context.get(), out, &written, in, 16) != 1 || written != 16)
    throw base::Error(EIO, "libcrypto could not encrypt an AES block");
}

std::array<std::uint8_t, 16> aes_encrypt_block(std::span<const std::uint8_t> key,
                                               std::span<const std::uint8_t, 16> in) {
  std::array<std::uint8_t, 16> out;
  aes_encrypt_block(key, in.data(), out.data());
  return out;
}

}  // namespace saline::crypto
