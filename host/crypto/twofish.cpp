// Twofish-CBC, which OpenSSL never had, by libgcrypt.
#include <gcrypt.h>

#include <cerrno>

#include "host/base/error.hpp"
#include "host/crypto/cipher.hpp"

namespace saline::crypto {

namespace {

// libgcrypt wants to be initialised once by whoever is the program; if nobody was, it is us.
void start_library() {
  static const bool started = [] {
    if (gcry_check_version(nullptr) == nullptr)
      throw base::Error(EIO, "libgcrypt could not be started");
    if (gcry_control(GCRYCTL_INITIALIZATION_FINISHED_P) == 0) {
      gcry_control(GCRYCTL_DISABLE_SECMEM, 0);
      gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
    }
    return true;
  }();
  static_cast<void>(started);
}

class Twofish final : public Cipher {
 public:
  explicit Twofish(std::span<const std::uint8_t> key) {
    start_library();
    const int algorithm = key.size() == 16 ? GCRY_CIPHER_TWOFISH128 : GCRY_CIPHER_TWOFISH;
    if (gcry_cipher_open(&handle_, algorithm, GCRY_CIPHER_MODE_CBC, 0) != 0 ||
        gcry_cipher_setkey(handle_, key.data(), key.size()) != 0) {
      gcry_cipher_close(handle_);
      throw base::Error(EIO, "libgcrypt refused a Twofish key");
    }
  }
  ~Twofish() override { gcry_cipher_close(handle_); }  // wipes the key schedule
  Twofish(const Twofish&) = delete;
  Twofish& operator=(const Twofish&) = delete;

  bool crypt(Direction direction, const std::uint8_t* iv,
             std::span<std::uint8_t> text) noexcept override {
    if (text.size() % 16 != 0 || gcry_cipher_setiv(handle_, iv, 16) != 0) return false;
    if (text.empty()) return true;
    return (direction == Direction::seal
                ? gcry_cipher_encrypt(handle_, text.data(), text.size(), nullptr, 0)
                : gcry_cipher_decrypt(handle_, text.data(), text.size(), nullptr, 0)) == 0;
  }

 private:
  gcry_cipher_hd_t handle_ = nullptr;
};

}  // namespace

std::unique_ptr<Cipher> make_twofish(const Algorithm& algorithm,
                                     std::span<const std::uint8_t> key) {
  if (algorithm.method != Method::twofish_cbc) return nullptr;
  return std::make_unique<Twofish>(key);
}

}  // namespace saline::crypto
