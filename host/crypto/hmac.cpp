// HMAC over libcrypto's MD5, SHA-1 and SHA-2.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "host/crypto/hmac.hpp"

#include <openssl/md5.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>

#include "host/base/secret.hpp"

namespace saline::crypto {

namespace {

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
};

using Md5 = Hash<MD5_CTX, MD5_Init, MD5_Update, MD5_Final, 64, 16>;
using Sha1 = Hash<SHA_CTX, SHA1_Init, SHA1_Update, SHA1_Final, 64, 20>;
using Sha256 = Hash<SHA256_CTX, SHA256_Init, SHA256_Update, SHA256_Final, 64, 32>;
using Sha384 = Hash<SHA512_CTX, SHA384_Init, SHA384_Update, SHA384_Final, 128, 48>;
using Sha512 = Hash<SHA512_CTX, SHA512_Init, SHA512_Update, SHA512_Final, 128, 64>;

template <typename H>
class HmacOf final : public Hmac {
 public:
  explicit HmacOf(std::span<const std::uint8_t> key) noexcept {
    std::array<std::uint8_t, H::kBlock> padded{};
    if (key.size() > H::kBlock) {
      H::init(inner_);
      H::update(inner_, key);
      H::final(inner_, padded.data());
    } else {
      std::copy(key.begin(), key.end(), padded.begin());
    }
    start(inner_, padded, 0x36);
    start(outer_, padded, 0x5C);
    base::wipe(padded);
  }

  ~HmacOf() override {
    wipe_context(inner_);
    wipe_context(outer_);
  }

  void compute(std::span<const std::span<const std::uint8_t>> parts,
               std::span<std::uint8_t> out) const noexcept override {
    std::array<std::uint8_t, H::kDigest> digest;
    typename H::Context context = inner_;
    for (const auto& part : parts)
      if (!part.empty()) H::update(context, part);
    H::final(context, digest.data());
    context = outer_;
    H::update(context, digest);
    H::final(context, digest.data());
    std::copy_n(digest.begin(), std::min(out.size(), digest.size()), out.begin());
  }

 private:
  static void start(typename H::Context& context, std::array<std::uint8_t, H::kBlock> padded,
                    std::uint8_t mask) noexcept {
    for (std::uint8_t& byte : padded) byte = static_cast<std::uint8_t>(byte ^ mask);
    H::init(context);
    H::update(context, padded);
    base::wipe(padded);
  }
  static void wipe_context(typename H::Context& context) noexcept {
    base::wipe({reinterpret_cast<std::uint8_t*>(&context), sizeof(context)});
  }

  typename H::Context inner_;
  typename H::Context outer_;
};

}  // namespace

std::unique_ptr<Hmac> make_hmac(Method method, std::span<const std::uint8_t> key) {
  switch (method) {
    case Method::hmac_md5:
      return std::make_unique<HmacOf<Md5>>(key);
    case Method::hmac_sha1:
      return std::make_unique<HmacOf<Sha1>>(key);
    case Method::hmac_sha2_256:
      return std::make_unique<HmacOf<Sha256>>(key);
    case Method::hmac_sha2_384:
      return std::make_unique<HmacOf<Sha384>>(key);
    case Method::hmac_sha2_512:
      return std::make_unique<HmacOf<Sha512>>(key);
    default:
      return nullptr;
  }
}

}  // namespace saline::crypto
