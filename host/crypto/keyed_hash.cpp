// Keyed MD5 (RFC 1828 §2) and keyed SHA-1 (RFC 1852 §2): hash of the key filled up to a block with
// the hash's own padding, of the text, and of the key once more. KAME's keyed-sha1 writes the
// length in that padding as MD5 does, least significant byte first, and so does not interoperate
// with RFC 1852 or with this.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <algorithm>
#include <array>

#include "host/base/bytes.hpp"
#include "host/crypto/digest.hpp"
#include "host/crypto/mac.hpp"

namespace saline::crypto {

namespace {

template <typename H, bool LittleEndianLength>
class KeyedHash final : public Mac {
 public:
  explicit KeyedHash(std::span<const std::uint8_t> key) : key_(key) {
    constexpr std::size_t kLength = 8;
    std::array<std::uint8_t, H::kBlock + kLength> fill{0x80};
    const std::size_t zeros = (2 * H::kBlock - 1 - kLength - key.size() % H::kBlock) % H::kBlock;
    std::uint8_t* length = fill.data() + 1 + zeros;
    base::store64(length, key.size() * 8);
    if (LittleEndianLength) std::reverse(length, length + kLength);
    H::init(start_);
    H::update(start_, key);
    H::update(start_, {fill.data(), 1 + zeros + kLength});
  }

  ~KeyedHash() override { H::wipe(start_); }

  std::size_t mac_bytes() const noexcept override { return H::kDigest; }

  bool compute(std::span<const std::span<const std::uint8_t>> parts,
               std::span<std::uint8_t> out) const noexcept override {
    std::array<std::uint8_t, H::kDigest> digest;
    typename H::Context context = start_;
    for (const auto& part : parts)
      if (!part.empty()) H::update(context, part);
    H::update(context, key_.bytes());
    H::final(context, digest.data());
    std::copy_n(digest.begin(), std::min(out.size(), digest.size()), out.begin());
    return true;
  }

 private:
  base::Secret key_;
  typename H::Context start_;
};

}  // namespace

std::unique_ptr<Mac> make_keyed_hash(Method method, std::span<const std::uint8_t> key) {
  if (method == Method::keyed_md5) return std::make_unique<KeyedHash<Md5, true>>(key);
  if (method == Method::keyed_sha1) return std::make_unique<KeyedHash<Sha1, false>>(key);
  return nullptr;
}

}  // namespace saline::crypto
