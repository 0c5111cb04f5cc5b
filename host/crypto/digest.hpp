// libcrypto's hash functions below EVP, as types: in OpenSSL 3.0 restarting an EVP digest or MAC
// duplicates, and so allocates, a context per packet. For the .cpp files of hash-based MACs only,
// which define OPENSSL_SUPPRESS_DEPRECATED first.
#pragma once

#include <openssl/md5.h>
#include <openssl/ripemd.h>
#include <openssl/sha.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "host/base/secret.hpp"

namespace saline::crypto {

template <typename Context_, int (*Init)(Context_*), int (*Update)(Context_*, const void*, size_t),
          int (*Final)(unsigned char*, Context_*), std::size_t Block, std::size_t Digest>
struct Hash {
  using Context = Context_;
  static constexpr std::size_t kBlock = Block;
  static constexpr std::size_t kDigest = Digest;
  static void init(Context& context) noexcept { Init(&context); }
  static void update(Context& context, std::span<const std::uint8_t> bytes) noexcept {
    Update(&context, bytes.data(), bytes.size());
  }
  static void final(Context& context, std::uint8_t* digest) noexcept { Final(digest, &context); }
  static void wipe(Context& context) noexcept {
    base::wipe({reinterpret_cast<std::uint8_t*>(&context), sizeof(context)});
  }
};

using Md5 = Hash<MD5_CTX, MD5_Init, MD5_Update, MD5_Final, 64, 16>;
using Ripemd160 = Hash<RIPEMD160_CTX, RIPEMD160_Init, RIPEMD160_Update, RIPEMD160_Final, 64, 20>;
using Sha1 = Hash<SHA_CTX, SHA1_Init, SHA1_Update, SHA1_Final, 64, 20>;
using Sha256 = Hash<SHA256_CTX, SHA256_Init, SHA256_Update, SHA256_Final, 64, 32>;
using Sha384 = Hash<SHA512_CTX, SHA384_Init, SHA384_Update, SHA384_Final, 128, 48>;
using Sha512 = Hash<SHA512_CTX, SHA512_Init, SHA512_Update, SHA512_Final, 128, 64>;

}  // namespace saline::crypto
