// OpenSSL's ciphers; see evp.hpp.
#include "host/crypto/evp.hpp"

#include <openssl/provider.h>

#include <array>
#include <cerrno>

#include "host/base/error.hpp"

namespace saline::crypto {

namespace {

struct Name {
  Method method;
  std::size_t key_bytes;
  const char* name;
};

constexpr std::array kNames = {
    Name{Method::aes_cbc, 16, "AES-128-CBC"},
    Name{Method::aes_cbc, 24, "AES-192-CBC"},
    Name{Method::aes_cbc, 32, "AES-256-CBC"},
    Name{Method::camellia_cbc, 16, "CAMELLIA-128-CBC"},
    Name{Method::camellia_cbc, 24, "CAMELLIA-192-CBC"},
    Name{Method::camellia_cbc, 32, "CAMELLIA-256-CBC"},
    Name{Method::aes_ctr, 16, "AES-128-CTR"},
    Name{Method::aes_ctr, 24, "AES-192-CTR"},
    Name{Method::aes_ctr, 32, "AES-256-CTR"},
    Name{Method::aes_gcm, 16, "AES-128-GCM"},
    Name{Method::aes_gcm, 24, "AES-192-GCM"},
    Name{Method::aes_gcm, 32, "AES-256-GCM"},
    Name{Method::aes_ccm, 16, "AES-128-CCM"},
    Name{Method::aes_ccm, 24, "AES-192-CCM"},
    Name{Method::aes_ccm, 32, "AES-256-CCM"},
    Name{Method::chacha20_poly1305, 32, "ChaCha20-Poly1305"},
};

// Never freed: sessions may live until the program ends.
struct Library {
  Library() : context(OSSL_LIB_CTX_new()) {
    if (context == nullptr || OSSL_PROVIDER_load(context, "default") == nullptr)
      throw base::Error(EIO, "OpenSSL's default provider could not be loaded");
    for (std::size_t i = 0; i < kNames.size(); ++i)
      ciphers[i] = EVP_CIPHER_fetch(context, kNames[i].name, nullptr);
  }
  OSSL_LIB_CTX* context;
  std::array<EVP_CIPHER*, kNames.size()> ciphers;
};

const EVP_CIPHER* find_cipher(Method method, std::size_t key_bytes) {
  static const Library library;
  if (method == Method::aes_gmac) method = Method::aes_gcm;
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i].method != method || kNames[i].key_bytes != key_bytes) continue;
    if (library.ciphers[i] == nullptr)
      throw base::Error(EIO, std::string("this OpenSSL has no ") + kNames[i].name);
    return library.ciphers[i];
  }
  throw base::Error(EINVAL, "the cipher takes no key of that length");
}

int as_int(std::size_t bytes) noexcept { return static_cast<int>(bytes); }

}  // namespace

CipherContext keyed_context(Method method, std::span<const std::uint8_t> key, bool seal,
                            int ccm_tag_bytes) {
  const EVP_CIPHER* cipher = find_cipher(method, key.size());
  CipherContext context(EVP_CIPHER_CTX_new());
  if (!context || EVP_CipherInit_ex(context.get(), cipher, nullptr, nullptr, nullptr, seal) != 1)
    throw base::Error(EIO, "libcrypto could not make a cipher context");
  // RFC 4309 §4: L is 4, so that the nonce has 11 bytes. Both sizes must stand before the key.
  if (method == Method::aes_ccm &&
      (EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_CCM_SET_L, 4, nullptr) != 1 ||
       EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, ccm_tag_bytes, nullptr) != 1))
    throw base::Error(EIO, "libcrypto refused the sizes of CCM");
  if (EVP_CipherInit_ex(context.get(), nullptr, nullptr, key.data(), nullptr, -1) != 1)
    throw base::Error(EIO, "libcrypto refused a cipher key");
  EVP_CIPHER_CTX_set_padding(context.get(), 0);
  return context;
}

bool update_text(EVP_CIPHER_CTX* context, std::span<std::uint8_t> text) noexcept {
  int written = 0;
  return text.empty() ||
         (EVP_CipherUpdate(context, text.data(), &written, text.data(), as_int(text.size())) == 1 &&
          written == as_int(text.size()));
}

}  // namespace saline::crypto
