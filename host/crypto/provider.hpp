// Cryptography behind one burst interface: a Session holds the expanded keys of one SA, a Job is
// the work on one packet, and a Provider runs bursts of Jobs of any mix of Sessions. Running a
// burst never allocates, throws, locks or logs. It knows nothing of AH or ESP: the caller says
// which bytes are text and which are authenticated, in the order of RFC 4303 §3.3.2 (encrypt, then
// sign).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "host/base/secret.hpp"
#include "host/crypto/algorithms.hpp"

namespace saline::crypto {

enum class Direction : std::uint8_t { seal, open };

// The part of a Session that run() reads for one packet, so that whoever handles many SAs can keep
// this beside the SA and ask the caches for it ahead: `always`, and before `by_text_end` as many
// bytes as the packet has text (GHASH's powers: one a block, the first last), at most
// by_text_bytes.
struct HotMemory {
  const std::byte* always = nullptr;
  const std::byte* by_text_end = nullptr;
  std::uint16_t always_bytes = 0;
  std::uint16_t by_text_bytes = 0;
  std::uint16_t by_text_least = 0;
};

inline void prefetch(const HotMemory& hot, std::size_t text_bytes) noexcept {
  constexpr std::size_t kLine = 64;
  for (std::size_t at = 0; at < hot.always_bytes; at += kLine) __builtin_prefetch(hot.always + at);
  const std::size_t least = text_bytes > hot.by_text_least ? text_bytes : hot.by_text_least;
  const std::size_t wanted = least < hot.by_text_bytes ? least : hot.by_text_bytes;
  for (std::size_t at = 1; at <= wanted; at += kLine) __builtin_prefetch(hot.by_text_end - at);
}

// Expanded keys and scratch state of one SA, made by Provider::open. Used by one thread at a time;
// keys are wiped when it goes.
class Session {
 public:
  // Whose run() takes it, where a provider is made of two.
  enum class Owner : std::uint8_t { other, ipsec_mb };

  virtual ~Session() = default;
  // Constant for the life of the session.
  virtual HotMemory hot_memory(Direction) const noexcept { return {}; }
  Owner owner() const noexcept { return owner_; }

 protected:
  explicit Session(Owner owner = Owner::other) noexcept : owner_(owner) {}

 private:
  Owner owner_;
};

// Keys as PF_KEY carries them. encryption may be nullptr (AH) and integrity may be nullptr (AEAD,
// or a cipher alone).
struct SessionKeys {
  const Algorithm* encryption = nullptr;
  std::span<const std::uint8_t> encryption_key;  // salt, if any, last
  const Algorithm* integrity = nullptr;
  std::span<const std::uint8_t> integrity_key;
  // ICV length of `integrity` where it is not the row's: AH of RFC 1826 sends 16 bytes of each.
  // Providers other than OpenSSL's may refuse it with Error(ENOTSUP).
  std::uint8_t icv_bytes = 0;
};

enum class Result : std::uint8_t { pending, ok, icv_mismatch, failed };

// One packet's work.
//   seal: text is encrypted in place, then the ICV over `authenticated` is written to icv.
//   open: the ICV over `authenticated` is compared with icv in constant time, then text is
//         decrypted in place. After icv_mismatch, text holds nothing usable.
// For an AEAD `authenticated` is the AAD without the text; else it is everything that is signed,
// ciphertext included, hashed part after part. Unused parts are empty.
//
// GMAC (RFC 4543). In ESP its row is an AEAD and the job looks like one of GCM's: `authenticated`
// is SPI and sequence number, the provider signs IV and text besides and leaves text as it is. In
// AH its row is an integrity algorithm with an IV: iv points to the row's iv_bytes at the start of
// the ICV field, icv to the icv_bytes behind them, and `authenticated` is all that AH signs, the IV
// as it stands and only the ICV's own bytes as zero. Nobody uses that row in ESP.
//
// Where the row has_derived_iv(), iv points to the 4 bytes of the sequence number field.
struct Job {
  Session* session = nullptr;
  Direction direction = Direction::seal;
  Result result = Result::pending;
  const std::uint8_t* iv = nullptr;  // as on the wire; nullptr when there is none
  std::span<std::uint8_t> text;      // empty for AH and null encryption
  std::array<std::span<const std::uint8_t>, 3> authenticated;
  std::uint8_t* icv = nullptr;  // as many bytes as the algorithm's icv_bytes
};

class Provider {
 public:
  virtual ~Provider() = default;
  virtual std::string_view name() const noexcept = 0;
  virtual bool supports(const Algorithm* encryption, const Algorithm* integrity) const noexcept = 0;
  // Throws Error(EINVAL) for keys that do not fit, Error(ENOTSUP) for what it does not support.
  virtual std::unique_ptr<Session> open(const SessionKeys& keys) = 0;
  // Every job's result is set. Sessions may repeat within a burst. One thread at a time, while
  // another may open and close sessions.
  virtual void run(std::span<Job> burst) noexcept = 0;
};

// Everything in the table, by OpenSSL's libcrypto and what it lacks by libgcrypt.
std::unique_ptr<Provider> make_openssl_provider();
// What ipsec-mb is good at, by ipsec-mb; supports() says what that is. Throws Error(ENOTSUP) on a
// processor that it cannot run on.
std::unique_ptr<Provider> make_ipsec_mb_provider();
// Everything in the table, each row by the faster of the two; what the engine uses.
std::unique_ptr<Provider> make_provider();

// Unpredictable bytes for IVs (RFC 3602 §3) and SPIs: buffered, one object per thread.
class RandomStream {
 public:
  RandomStream();
  ~RandomStream();
  RandomStream(const RandomStream&) = delete;
  RandomStream& operator=(const RandomStream&) = delete;
  // False when the operating system's generator failed: then nothing may be sent.
  bool fill(std::span<std::uint8_t> out) noexcept;

 private:
  std::array<std::uint8_t, 4096> buffer_{};
  std::size_t used_ = sizeof(buffer_);
};

// One AES block (GHASH subkey, hardware key schedules). key is 16, 24 or 32 bytes, else
// Error(EINVAL).
std::array<std::uint8_t, 16> aes_encrypt_block(std::span<const std::uint8_t> key,
                                               std::span<const std::uint8_t, 16> in);
// The same into caller's memory, for C-like callers.
void aes_encrypt_block(std::span<const std::uint8_t> key, const std::uint8_t in[16],
                       std::uint8_t out[16]);

// DES keys that RFC 2405 §3.1 and RFC 2451 §2.3 refuse: weak or semi-weak parts, and for 3DES
// K1 = K2 or K2 = K3. Parity bits are not looked at. key is 8 or 24 bytes.
bool is_weak_des_key(std::span<const std::uint8_t> key) noexcept;

}  // namespace saline::crypto
