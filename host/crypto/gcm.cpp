// AES-GCM (RFC 4106), ChaCha20-Poly1305 (RFC 7634) and AES-GMAC (RFC 4543) by OpenSSL's EVP: all
// three have a nonce of 4 bytes of salt and 8 of IV.
#include <algorithm>
#include <array>
#include <cstring>

#include "host/base/secret.hpp"
#include "host/crypto/aead.hpp"
#include "host/crypto/evp.hpp"

namespace saline::crypto {

namespace {

bool sign(EVP_CIPHER_CTX* context, std::span<const std::uint8_t> bytes) noexcept {
  int written = 0;
  return bytes.empty() || EVP_CipherUpdate(context, nullptr, &written, bytes.data(),
                                           static_cast<int>(bytes.size())) == 1;
}

class Gcm final : public Aead {
 public:
  Gcm(const Algorithm& algorithm, std::span<const std::uint8_t> key)
      : seal_(keyed_context(algorithm.method, key.first(key.size() - kSalt), true)),
        open_(keyed_context(algorithm.method, key.first(key.size() - kSalt), false)),
        icv_bytes_(algorithm.icv_bytes),
        encrypts_(algorithm.method != Method::aes_gmac),
        signs_text_(algorithm.method == Method::aes_gmac && algorithm.is_aead()) {
    std::copy(key.end() - kSalt, key.end(), salt_.begin());
  }
  ~Gcm() override { base::wipe(salt_); }

  // On opening, the tag decides before anyone sees the text.
  Result run(const Job& job) noexcept override {
    const bool seal = job.direction == Direction::seal;
    EVP_CIPHER_CTX* context = seal ? seal_.get() : open_.get();
    std::array<std::uint8_t, kSalt + kIv> nonce;
    std::memcpy(nonce.data(), salt_.data(), kSalt);
    std::memcpy(nonce.data() + kSalt, job.iv, kIv);
    if (EVP_CipherInit_ex(context, nullptr, nullptr, nullptr, nonce.data(), -1) != 1)
      return Result::failed;
    for (const auto& part : job.authenticated)
      if (!sign(context, part)) return Result::failed;
    // RFC 4543 §3.3: the IV and the plaintext are additional data.
    if (signs_text_ && (!sign(context, {job.iv, kIv}) || !sign(context, job.text)))
      return Result::failed;
    if (encrypts_ && !update_text(context, job.text)) return Result::failed;
    if (!seal && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, icv_bytes_, job.icv) != 1)
      return Result::failed;
    std::uint8_t nothing[16];
    int written = 0;
    if (EVP_CipherFinal_ex(context, nothing, &written) != 1) {
      if (encrypts_ && !job.text.empty()) std::memset(job.text.data(), 0, job.text.size());
      return seal ? Result::failed : Result::icv_mismatch;
    }
    if (seal && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, icv_bytes_, job.icv) != 1)
      return Result::failed;
    return Result::ok;
  }

 private:
  static constexpr std::size_t kSalt = 4;
  static constexpr std::size_t kIv = 8;

  CipherContext seal_;
  CipherContext open_;
  std::array<std::uint8_t, kSalt> salt_{};
  int icv_bytes_;
  bool encrypts_;
  bool signs_text_;
};

}  // namespace

std::unique_ptr<Aead> make_gcm(const Algorithm& algorithm, std::span<const std::uint8_t> key) {
  switch (algorithm.method) {
    case Method::aes_gcm:
    case Method::aes_gmac:
    case Method::chacha20_poly1305:
      return std::make_unique<Gcm>(algorithm, key);
    default:
      return nullptr;
  }
}

}  // namespace saline::crypto
