// The provider for every row of the table. A Session is made of one part per family: a cipher
// (cipher.hpp), a MAC (mac.hpp), or one thing that is both (aead.hpp).
#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include "host/base/error.hpp"
#include "host/base/secret.hpp"
#include "host/crypto/aead.hpp"
#include "host/crypto/cipher.hpp"
#include "host/crypto/mac.hpp"
#include "host/crypto/provider.hpp"

namespace saline::crypto {

namespace {

struct OpensslSession final : Session {
  std::unique_ptr<Aead> aead;  // then there is nothing else
  std::unique_ptr<Cipher> cipher;
  std::unique_ptr<Mac> mac;
  std::uint8_t icv_bytes = 0;
};

bool none(const Algorithm* row) noexcept {
  return row == nullptr || row->method == Method::null_integrity ||
         row->method == Method::null_cipher;
}

void check_key(const Algorithm& algorithm, std::span<const std::uint8_t> key) {
  if (!algorithm.key_bits_valid(static_cast<unsigned>(key.size() * 8)))
    throw base::Error(EINVAL, "a key of " + std::to_string(key.size() * 8) + " bits does not fit " +
                                  std::string(algorithm.name));
}

bool run_cipher(OpensslSession& session, const Job& job) noexcept {
  return !session.cipher || job.text.empty() ||
         session.cipher->crypt(job.direction, job.iv, job.text);
}

Result run_one(OpensslSession& session, const Job& job) noexcept {
  if (session.aead) return session.aead->run(job);
  const bool seal = job.direction == Direction::seal;
  if (seal && !run_cipher(session, job)) return Result::failed;
  if (session.mac) {
    std::array<std::uint8_t, 64> icv;
    const std::span<std::uint8_t> wanted(icv.data(), session.icv_bytes);
    if (!session.mac->compute(job.authenticated, wanted)) return Result::failed;
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
    if (encryption == nullptr && integrity == nullptr) return false;
    if (encryption != nullptr &&
        (encryption->kind == Kind::integrity || encryption->kind == Kind::compression))
      return false;
    if (integrity != nullptr && integrity->kind != Kind::integrity) return false;
    // An AEAD brings its own; GMAC as an integrity algorithm is AH's (RFC 4543 §3.4).
    if (encryption != nullptr && encryption->is_aead()) return none(integrity);
    return integrity == nullptr || integrity->iv_bytes == 0 || encryption == nullptr;
  }

  std::unique_ptr<Session> open(const SessionKeys& keys) override {
    if (!supports(keys.encryption, keys.integrity))
      throw base::Error(ENOTSUP, "these algorithms do not go together");
    auto session = std::make_unique<OpensslSession>();
    if (keys.encryption != nullptr) open_cipher(*session, *keys.encryption, keys.encryption_key);
    if (keys.integrity != nullptr) open_integrity(*session, keys);
    return session;
  }

  void run(std::span<Job> burst) noexcept override {
    for (Job& job : burst) job.result = run_one(static_cast<OpensslSession&>(*job.session), job);
  }

 private:
  static void open_cipher(OpensslSession& session, const Algorithm& algorithm,
                          std::span<const std::uint8_t> key) {
    check_key(algorithm, key);
    if (algorithm.is_aead()) {
      session.aead = make_gcm(algorithm, key);
      if (!session.aead) session.aead = make_ccm(algorithm, key);
    } else if (!none(&algorithm)) {
      session.cipher = make_evp_cipher(algorithm, key);
      if (!session.cipher) session.cipher = make_block64_cipher(algorithm, key);
      if (!session.cipher) session.cipher = make_twofish(algorithm, key);
    }
  }

  static void open_integrity(OpensslSession& session, const SessionKeys& keys) {
    const Algorithm& algorithm = *keys.integrity;
    check_key(algorithm, keys.integrity_key);
    if (none(&algorithm)) return;
    session.aead = algorithm.iv_bytes == 0 ? nullptr : make_gcm(algorithm, keys.integrity_key);
    session.mac = make_mac(algorithm.method, keys.integrity_key);
    session.icv_bytes = keys.icv_bytes == 0 ? algorithm.icv_bytes : keys.icv_bytes;
    if (session.mac ? session.icv_bytes > session.mac->mac_bytes()
                    : session.icv_bytes != algorithm.icv_bytes)
      throw base::Error(EINVAL, std::string(algorithm.name) + " has no ICV of " +
                                    std::to_string(session.icv_bytes) + " bytes");
  }
};

}  // namespace

std::unique_ptr<Provider> make_openssl_provider() { return std::make_unique<OpensslProvider>(); }

}  // namespace saline::crypto
