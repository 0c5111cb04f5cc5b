// OpenSSL's ciphers behind EVP, fetched once from a library context of our own: what the program or
// openssl.cnf does to the default context changes nothing here, and the other way round. For the
// OpenSSL provider's files only.
#pragma once

#include <openssl/evp.h>

#include <cstdint>
#include <memory>
#include <span>

#include "host/crypto/algorithms.hpp"

namespace saline::crypto {

struct FreeCipherContext {
  void operator()(EVP_CIPHER_CTX* context) const noexcept { EVP_CIPHER_CTX_free(context); }
};
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, FreeCipherContext>;

// A context whose key schedule is done; a packet only sets its IV. GMAC gets GCM's cipher; CCM must
// know its tag's length. Throws
// Error(EINVAL) when the method has no cipher of that key length, Error(EIO) when OpenSSL fails.
CipherContext keyed_context(Method method, std::span<const std::uint8_t> key, bool seal,
                            int ccm_tag_bytes = 0);

// In place; false when libcrypto failed or kept bytes back.
bool update_text(EVP_CIPHER_CTX* context, std::span<std::uint8_t> text) noexcept;

}  // namespace saline::crypto
