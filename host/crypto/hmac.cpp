// HMAC (RFC 2104) with the key's two compression states computed once, so that a packet costs its
// own blocks and two more.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <algorithm>
#include <array>

#include "host/crypto/digest.hpp"
#include "host/crypto/mac.hpp"

namespace saline::crypto {

namespace {

template <typename H>
class Hmac final : public Mac {
 public:
  explicit Hmac(std::span<const std::uint8_t> key) noexcept {
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

  ~Hmac() override {
    H::wipe(inner_);
    H::wipe(outer_);
  }

  std::size_t mac_bytes() const noexcept override { return H::kDigest; }

  bool compute(std::span<const std::span<const std::uint8_t>> parts,
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
    return true;
  }

 private:
  static void start(typename H::Context& context, std::array<std::uint8_t, H::kBlock> padded,
                    std::uint8_t mask) noexcept {
    for (std::uint8_t& byte : padded) byte = static_cast<std::uint8_t>(byte ^ mask);
    H::init(context);
    H::update(context, padded);
    base::wipe(padded);
  }

  typename H::Context inner_;
  typename H::Context outer_;
};

}  // namespace

std::unique_ptr<Mac> make_hmac(Method method, std::span<const std::uint8_t> key) {
  switch (method) {
    case Method::hmac_md5:
      return std::make_unique<Hmac<Md5>>(key);
    case Method::hmac_sha1:
      return std::make_unique<Hmac<Sha1>>(key);
    case Method::hmac_sha2_256:
      return std::make_unique<Hmac<Sha256>>(key);
    case Method::hmac_sha2_384:
      return std::make_unique<Hmac<Sha384>>(key);
    case Method::hmac_sha2_512:
      return std::make_unique<Hmac<Sha512>>(key);
    case Method::hmac_ripemd160:
      return std::make_unique<Hmac<Ripemd160>>(key);
    default:
      return nullptr;
  }
}

}  // namespace saline::crypto
