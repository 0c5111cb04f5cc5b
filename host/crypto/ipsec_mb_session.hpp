// The session of the ipsec-mb provider: one block of memory that holds expanded keys in the
// library's own forms and a head of 16 bytes among them. What all sessions of one transform have in
// common, from sizes to offsets in the block, stands once, in a Shape. Private to the provider.
#pragma once

// The library's old names (GCM, DES, ...) are macros that rename members of its structures.
#define NO_COMPAT_IMB_API_053
#include <intel-ipsec-mb.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "host/crypto/provider.hpp"

namespace saline::crypto::ipsec_mb {

struct FreeManager {
  void operator()(IMB_MGR* manager) const noexcept { free_mb_mgr(manager); }
};
using Manager = std::unique_ptr<IMB_MGR, FreeManager>;

// Ready to work; throws Error(ENOTSUP) when the library has no code for this processor.
Manager make_manager();
// Between SHA-NI and AVX-512 the library hashes SHA-1 and SHA-256 eight lanes wide without SHA-NI;
// its SSE code has two lanes with it. Keys are the same. nullptr where there is nothing to win.
Manager make_sha_ni_manager(const IMB_MGR& first);

// How run() handles a job.
enum class Kind : std::uint8_t {
  gcm,       // one call per packet: the library has no lanes for it, and no cheaper way
  gcm_vaes,  // the same by our own code, see gcm_vaes.hpp
  gmac,      // the same, text signed in the clear
  chained,   // cipher and hash, either possibly null: multi-buffer jobs
  aead,      // AES-CCM and ChaCha20-Poly1305: multi-buffer jobs
};

struct Shape {
  Kind kind = Kind::chained;
  Method cipher = Method::null_cipher;
  Method integrity = Method::null_integrity;
  std::uint8_t key_bytes = 0;  // of the cipher, or of GMAC
  std::uint8_t salt_bytes = 0;
  std::uint8_t iv_bytes = 0;
  std::uint8_t icv_bytes = 0;
  std::uint8_t text_multiple = 1;
  std::uint8_t mac_bytes = 0;  // as the library writes it: icv_bytes, or the full MAC, to be cut
  IMB_CIPHER_MODE cipher_mode = IMB_CIPHER_NULL;
  IMB_HASH_ALG hash_alg = IMB_AUTH_NULL;

  // Offsets in the block.
  std::uint16_t head = 0;
  std::uint16_t seal_keys = 0;
  std::uint16_t open_keys = 0;
  std::uint16_t hash_keys[3] = {};
  std::uint16_t bytes = 0;  // of the block
};

// The library's data for GCM on this processor: bytes it writes behind the round keys.
struct GcmLayout {
  std::uint16_t powers = 0;       // offset of the first byte of GHASH's powers
  std::uint16_t powers_end = 0;   // all that is used of gcm_key_data
  bool first_power_last = false;  // H at the end, H^2 before it, ...
};
const GcmLayout& gcm_layout(IMB_MGR& manager);

// Sessions say by one byte which shape is theirs. Never removed; add_shape finds an equal one first
// and takes a lock.
inline constexpr std::size_t kShapesMax = 255;
extern std::array<Shape, kShapesMax> shapes;
std::uint8_t add_shape(const Shape& shape);

class MbSession final : public Session {
 public:
  MbSession(std::uint8_t shape, std::array<std::uint8_t, 4> salt) noexcept
      : Session(Owner::ipsec_mb), shape_(shape), salt_(salt) {}
  // Wipes the whole block, keys included.
  static void operator delete(void* head) noexcept;
  static void* operator new(std::size_t, void* at) noexcept { return at; }

  HotMemory hot_memory(Direction direction) const noexcept override;
  const Shape& shape() const noexcept { return shapes[shape_]; }
  const std::array<std::uint8_t, 4>& salt() const noexcept { return salt_; }
  const std::byte* block() const noexcept {
    return reinterpret_cast<const std::byte*>(this) - shape().head;
  }

 private:
  std::uint8_t shape_;
  std::array<std::uint8_t, 4> salt_;
};
static_assert(sizeof(MbSession) == 16);

bool supports(const Algorithm* encryption, const Algorithm* integrity) noexcept;
// By measurement: true where a burst of these goes faster through this library than through
// OpenSSL.
bool is_faster(const IMB_MGR& manager, const SessionKeys& keys) noexcept;
// Throws as Provider::open does.
std::unique_ptr<Session> open_session(IMB_MGR& manager, const SessionKeys& keys, bool own_gcm);

}  // namespace saline::crypto::ipsec_mb
