// AES-CCM (RFC 4309) by OpenSSL's EVP, which wants to know the length of the text first and all
// additional data at once.
#include <algorithm>
#include <array>
#include <cstring>

#include "host/base/secret.hpp"
#include "host/crypto/aead.hpp"
#include "host/crypto/evp.hpp"

namespace saline::crypto {

namespace {

class Ccm final : public Aead {
 public:
  Ccm(const Algorithm& algorithm, std::span<const std::uint8_t> key)
      : seal_(keyed_context(Method::aes_ccm, key.first(key.size() - kSalt), true,
                            algorithm.icv_bytes)),
        open_(keyed_context(Method::aes_ccm, key.first(key.size() - kSalt), false,
                            algorithm.icv_bytes)),
        icv_bytes_(algorithm.icv_bytes) {
    std::copy(key.end() - kSalt, key.end(), salt_.begin());
  }
  ~Ccm() override { base::wipe(salt_); }

  Result run(const Job& job) noexcept override {
    const bool seal = job.direction == Direction::seal;
    EVP_CIPHER_CTX* context = seal ? seal_.get() : open_.get();
    std::span<const std::uint8_t> additional;
    if (!begin(context, job, seal) || !gather(job, additional)) return Result::failed;
    int written = 0;
    if (!additional.empty() && EVP_CipherUpdate(context, nullptr, &written, additional.data(),
                                                static_cast<int>(additional.size())) != 1)
      return Result::failed;
    std::uint8_t nothing[16];
    std::uint8_t* text = job.text.empty() ? nothing : job.text.data();
    if (EVP_CipherUpdate(context, text, &written, text, static_cast<int>(job.text.size())) != 1) {
      if (!job.text.empty()) std::memset(job.text.data(), 0, job.text.size());
      return seal ? Result::failed : Result::icv_mismatch;
    }
    if (seal && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, icv_bytes_, job.icv) != 1)
      return Result::failed;
    return Result::ok;
  }

 private:
  static constexpr std::size_t kSalt = 3;
  static constexpr std::size_t kIv = 8;

  // RFC 4309 §4: nonce, expected tag, length of the text.
  bool begin(EVP_CIPHER_CTX* context, const Job& job, bool seal) const noexcept {
    std::array<std::uint8_t, kSalt + kIv> nonce;
    std::memcpy(nonce.data(), salt_.data(), kSalt);
    std::memcpy(nonce.data() + kSalt, job.iv, kIv);
    int written = 0;
    return EVP_CipherInit_ex(context, nullptr, nullptr, nullptr, nonce.data(), -1) == 1 &&
           (seal ||
            EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, icv_bytes_, job.icv) == 1) &&
           EVP_CipherUpdate(context, nullptr, &written, nullptr,
                            static_cast<int>(job.text.size())) == 1;
  }

  // Additional data in one piece: where it lies, or copied together when it has several parts, of
  // which ESP's are 12 bytes.
  bool gather(const Job& job, std::span<const std::uint8_t>& out) noexcept {
    std::size_t total = 0;
    for (const auto& part : job.authenticated) {
      if (part.empty()) continue;
      if (total == 0) out = part;
      total += part.size();
    }
    if (total == out.size()) return true;
    if (total > gathered_.size()) return false;
    std::size_t at = 0;
    for (const auto& part : job.authenticated) {
      std::copy(part.begin(), part.end(), gathered_.begin() + static_cast<std::ptrdiff_t>(at));
      at += part.size();
    }
    out = {gathered_.data(), total};
    return true;
  }

  CipherContext seal_;
  CipherContext open_;
  std::array<std::uint8_t, kSalt> salt_{};
  std::array<std::uint8_t, 64> gathered_{};
  int icv_bytes_;
};

}  // namespace

std::unique_ptr<Aead> make_ccm(const Algorithm& algorithm, std::span<const std::uint8_t> key) {
  if (algorithm.method != Method::aes_ccm) return nullptr;
  return std::make_unique<Ccm>(algorithm, key);
}

}  // namespace saline::crypto
