// The provider for every row of the table, by OpenSSL's libcrypto. A Session keeps EVP contexts
// whose key schedules are done; a job only sets an IV. DES and 3DES go below EVP, so that DES needs
// no legacy provider to be configured on the machine.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/des.h>
#include <openssl/evp.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>

#include "host/base/bytes.hpp"
#include "host/base/error.hpp"
#include "host/crypto/hmac.hpp"
#include "host/crypto/provider.hpp"

namespace saline::crypto {

namespace {

struct FreeContext {
  void operator()(EVP_CIPHER_CTX* context) const noexcept { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;

struct OpensslSession final : Session {
  ~OpensslSession() override {
    base::wipe(salt);
    base::wipe({reinterpret_cast<std::uint8_t*>(des.data()), sizeof(des)});
  }

  Method cipher = Method::null_cipher;
  Context seal;  // an SA added by hand does not say in which direction it will be used
  Context open;
  std::array<std::uint8_t, 4> salt{};
  std::array<DES_key_schedule, 3> des{};
  std::unique_ptr<Hmac> hmac;
  std::uint8_t icv_bytes = 0;
};

const EVP_CIPHER* evp_cipher(Method method, std::size_t key_bytes) {
  switch (method) {
    case Method::aes_cbc:
      return key_bytes == 16   ? EVP_aes_128_cbc()
             : key_bytes == 24 ? EVP_aes_192_cbc()
                               : EVP_aes_256_cbc();
    case Method::aes_ctr:
      return key_bytes == 16   ? EVP_aes_128_ctr()
             : key_bytes == 24 ? EVP_aes_192_ctr()
                               : EVP_aes_256_ctr();
    case Method::aes_gcm:
      return key_bytes == 16   ? EVP_aes_128_gcm()
             : key_bytes == 24 ? EVP_aes_192_gcm()
                               : EVP_aes_256_gcm();
    default:
      return nullptr;
  }
}

Context keyed_context(const EVP_CIPHER* cipher, std::span<const std::uint8_t> key, bool seal) {
  Context context(EVP_CIPHER_CTX_new());
  if (!context || EVP_CipherInit_ex(context.get(), cipher, nullptr, key.data(), nullptr, seal) != 1)
    throw base::Error(EIO, "libcrypto refused a cipher key");
  EVP_CIPHER_CTX_set_padding(context.get(), 0);
  return context;
}

void check_key(const Algorithm& algorithm, std::span<const std::uint8_t> key) {
  if (!algorithm.key_bits_valid(static_cast<unsigned>(key.size() * 8)))
    throw base::Error(EINVAL, "a key of " + std::to_string(key.size() * 8) + " bits does not fit " +
                                  std::string(algorithm.name));
}

int as_int(std::size_t bytes) noexcept { return static_cast<int>(bytes); }

bool crypt_text(EVP_CIPHER_CTX* context, std::span<std::uint8_t> text) noexcept {
  int written = 0;
  return text.empty() ||
         (EVP_CipherUpdate(context, text.data(), &written, text.data(), as_int(text.size())) == 1 &&
          written == as_int(text.size()));
}

// RFC 4106 §4: nonce is salt, then IV. On opening, the tag decides before anyone sees the text.
Result run_gcm(OpensslSession& session, const Job& job) noexcept {
  const bool seal = job.direction == Direction::seal;
  EVP_CIPHER_CTX* context = seal ? session.seal.get() : session.open.get();
  std::array<std::uint8_t, 12> nonce;
  std::memcpy(nonce.data(), session.salt.data(), 4);
  std::memcpy(nonce.data() + 4, job.iv, 8);
  if (EVP_CipherInit_ex(context, nullptr, nullptr, nullptr, nonce.data(), -1) != 1)
    return Result::failed;
  int written = 0;
  for (const auto& part : job.authenticated)
    if (!part.empty() &&
        EVP_CipherUpdate(context, nullptr, &written, part.data(), as_int(part.size())) != 1)
      return Result::failed;
  if (!crypt_text(context, job.text)) return Result::failed;
  if (!seal && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, 16, job.icv) != 1)
    return Result::failed;
  std::uint8_t nothing[16];
  if (EVP_CipherFinal_ex(context, nothing, &written) != 1) {
    if (!job.text.empty()) std::memset(job.text.data(), 0, job.text.size());
    return seal ? Result::failed : Result::icv_mismatch;
  }
  if (seal && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, job.icv) != 1)
    return Result::failed;
  return Result::ok;
}

bool run_des(OpensslSession& session, const Job& job) noexcept {
  DES_cblock iv;
  std::memcpy(iv, job.iv, sizeof(iv));
  const int direction = job.direction == Direction::seal ? DES_ENCRYPT : DES_DECRYPT;
  const long bytes = static_cast<long>(job.text.size());
  std::uint8_t* text = job.text.data();
  if (session.cipher == Method::des_cbc)
    DES_ncbc_encrypt(text, text, bytes, &session.des[0], &iv, direction);
  else
    DES_ede3_cbc_encrypt(text, text, bytes, &session.des[0], &session.des[1], &session.des[2], &iv,
                         direction);
  return bytes % 8 == 0;
}

bool run_cipher(OpensslSession& session, const Job& job) noexcept {
  if (job.text.empty() || session.cipher == Method::null_cipher) return true;
  if (session.cipher == Method::des_cbc || session.cipher == Method::des3_cbc)
    return run_des(session, job);
  EVP_CIPHER_CTX* context =
      job.direction == Direction::seal ? session.seal.get() : session.open.get();
  std::array<std::uint8_t, 16> block;
  const std::uint8_t* iv = job.iv;
  if (session.cipher == Method::aes_ctr) {  // RFC 3686 §4: nonce, IV, counter from 1
    std::memcpy(block.data(), session.salt.data(), 4);
    std::memcpy(block.data() + 4, job.iv, 8);
    base::store32(block.data() + 12, 1);
    iv = block.data();
  } else if (job.text.size() % 16 != 0) {
    return false;
  }
  return EVP_CipherInit_ex(context, nullptr, nullptr, nullptr, iv, -1) == 1 &&
         crypt_text(context, job.text);
}

Result run_one(OpensslSession& session, const Job& job) noexcept {
  if (session.cipher == Method::aes_gcm) return run_gcm(session, job);
  const bool seal = job.direction == Direction::seal;
  if (seal && !run_cipher(session, job)) return Result::failed;
  if (session.hmac) {
    std::array<std::uint8_t, 64> icv;
    const std::span<std::uint8_t> wanted(icv.data(), session.icv_bytes);
    session.hmac->compute(job.authenticated, wanted);
    if (seal)
      std::memcpy(job.icv, icv.data(), wanted.size());
    else if (!base::equal_constant_time(wanted, {job.icv, wanted.size()}))
      return Result::icv_mismatch;
  }
  if (!seal && !run_cipher(session, job)) return Result::failed;
  return Result::ok;
}

class OpensslProvider final : public Provider {
 public:
  std::string_view name() const noexcept override { return "openssl"; }

  bool supports(const Algorithm* encryption, const Algorithm* integrity) const noexcept override {
    return (encryption != nullptr || integrity != nullptr) && known(encryption) && known(integrity);
  }

  std::unique_ptr<Session> open(const SessionKeys& keys) override {
    if (!known(keys.encryption) || !known(keys.integrity) || keys.icv_bytes != 0)
      throw base::Error(ENOTSUP, "this algorithm is not supported yet");
    auto session = std::make_unique<OpensslSession>();
    if (keys.encryption != nullptr) open_cipher(*session, *keys.encryption, keys.encryption_key);
    if (keys.integrity != nullptr && keys.integrity->method != Method::null_integrity) {
      check_key(*keys.integrity, keys.integrity_key);
      session->hmac = make_hmac(keys.integrity->method, keys.integrity_key);
      session->icv_bytes = keys.integrity->icv_bytes;
    }
    return session;
  }

  void run(std::span<Job> burst) noexcept override {
    for (Job& job : burst) job.result = run_one(static_cast<OpensslSession&>(*job.session), job);
  }

 private:
  static bool known(const Algorithm* row) noexcept {
    if (row == nullptr) return true;
    switch (row->method) {
      case Method::null_integrity:
      case Method::hmac_md5:
      case Method::hmac_sha1:
      case Method::hmac_sha2_256:
      case Method::hmac_sha2_384:
      case Method::hmac_sha2_512:
      case Method::null_cipher:
      case Method::des_cbc:
      case Method::des3_cbc:
      case Method::aes_cbc:
      case Method::aes_ctr:
        return true;
      default:
        return row->method == Method::aes_gcm && row->icv_bytes == 16;
    }
  }
  static void open_cipher(OpensslSession& session, const Algorithm& algorithm,
                          std::span<const std::uint8_t> key) {
    check_key(algorithm, key);
    session.cipher = algorithm.method;
    const auto cipher_key = key.first(key.size() - algorithm.salt_bytes);
    const auto salt = key.last(algorithm.salt_bytes);
    std::copy(salt.begin(), salt.end(), session.salt.begin());
    if (const EVP_CIPHER* cipher = evp_cipher(algorithm.method, cipher_key.size())) {
      session.seal = keyed_context(cipher, cipher_key, true);
      session.open = keyed_context(cipher, cipher_key, false);
    } else if (algorithm.method != Method::null_cipher) {
      for (std::size_t i = 0; i < cipher_key.size() / 8; ++i) {
        DES_cblock part;
        std::memcpy(part, cipher_key.data() + i * 8, sizeof(part));
        DES_set_key_unchecked(&part, &session.des[i]);
        base::wipe(part);
      }
    }
  }
};

}  // namespace

std::unique_ptr<Provider> make_openssl_provider() { return std::make_unique<OpensslProvider>(); }

}  // namespace saline::crypto
