// Shapes, and sessions in the library's forms.
#include "host/crypto/ipsec_mb_session.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <new>
#include <string>
#include <utility>

#include "host/base/error.hpp"
#include "host/base/secret.hpp"
#include "host/crypto/gcm_vaes.hpp"
#include "host/crypto/key_memory.hpp"

namespace saline::crypto::ipsec_mb {

std::array<Shape, kShapesMax> shapes;

namespace {

constexpr std::uint16_t kHead = sizeof(MbSession);
constexpr std::size_t kDesSchedule = 128;
constexpr std::size_t kDes3Pointers = 32;  // three, and the schedules stay aligned to 16

std::mutex shapes_mutex;
std::size_t shapes_used = 0;

bool same(const Shape& a, const Shape& b) noexcept {
  return a.cipher == b.cipher && a.integrity == b.integrity && a.kind == b.kind &&
         a.key_bytes == b.key_bytes && a.icv_bytes == b.icv_bytes && a.iv_bytes == b.iv_bytes;
}

std::uint16_t round_key_bytes(std::size_t key_bytes) noexcept {
  return static_cast<std::uint16_t>((key_bytes / 4 + 7) * 16);
}

std::uint16_t up_to_16(std::size_t bytes) noexcept {
  return static_cast<std::uint16_t>((bytes + 15) / 16 * 16);
}

// What a hash keeps in a session, part after part.
struct HashParts {
  IMB_HASH_ALG algorithm = IMB_AUTH_NULL;
  std::array<std::uint16_t, 3> bytes{};
  std::uint8_t cut_icv = 0;  // the library writes this, or the full MAC, and nothing else
  std::uint8_t full = 0;
};

HashParts hash_parts(Method method) noexcept {
  switch (method) {
    case Method::hmac_md5:
      return {IMB_AUTH_MD5, {16, 16, 0}, 12, 16};
    case Method::hmac_sha1:
      return {IMB_AUTH_HMAC_SHA_1, {20, 20, 0}, 12, 20};
    case Method::hmac_sha2_256:
      return {IMB_AUTH_HMAC_SHA_256, {32, 32, 0}, 16, 32};
    case Method::hmac_sha2_384:
      return {IMB_AUTH_HMAC_SHA_384, {64, 64, 0}, 24, 48};
    case Method::hmac_sha2_512:
      return {IMB_AUTH_HMAC_SHA_512, {64, 64, 0}, 32, 64};
    case Method::aes_xcbc_mac:
      return {IMB_AUTH_AES_XCBC, {176, 16, 16}, 12, 16};
    case Method::aes_cmac:
      return {IMB_AUTH_AES_CMAC, {176, 16, 16}, 12, 16};
    default:
      return {};
  }
}

bool knows_cipher(Method method) noexcept {
  switch (method) {
    case Method::null_cipher:
    case Method::des_cbc:
    case Method::des3_cbc:
    case Method::aes_cbc:
    case Method::aes_ctr:
      return true;
    default:
      return false;
  }
}

bool knows_aead(Method method) noexcept {
  return method == Method::aes_gcm || method == Method::aes_gmac || method == Method::aes_ccm ||
         method == Method::chacha20_poly1305;
}

bool is_null(const Algorithm* integrity) noexcept {
  return integrity == nullptr || integrity->method == Method::null_integrity;
}

// The library does not say how much of its structure it uses: look what it writes.
GcmLayout find_gcm_layout(IMB_MGR& manager) {
  GcmLayout layout;
  layout.powers = offsetof(gcm_key_data, ghash_keys);
  layout.powers_end = layout.powers;
  const std::array<std::uint8_t, 32> key{};
  for (const std::uint8_t before : {std::uint8_t{0}, std::uint8_t{0xFF}}) {
    alignas(64) std::array<std::uint8_t, sizeof(gcm_key_data)> data;
    data.fill(before);
    IMB_AES256_GCM_PRE(&manager, key.data(), reinterpret_cast<gcm_key_data*>(data.data()));
    for (std::size_t i = layout.powers_end; i < data.size(); ++i)
      if (data[i] != before) layout.powers_end = static_cast<std::uint16_t>(i + 1);
  }
  layout.powers_end = up_to_16(layout.powers_end);
  layout.first_power_last =
      layout.powers_end - layout.powers == sizeof(gcm_key_data{}.ghash_keys.vaes_avx512);
  return layout;
}

// ---- shapes

void shape_own_gcm(Shape& shape) {
  shape.kind = Kind::gcm_vaes;
  shape.seal_keys = shape.open_keys = kHead;
  shape.hash_keys[0] = static_cast<std::uint16_t>(kHead + round_key_bytes(shape.key_bytes));
  shape.bytes = static_cast<std::uint16_t>(shape.hash_keys[0] + gcm_vaes::kPowerBytes);
}

void shape_gcm(Shape& shape, IMB_MGR& manager) {
  const GcmLayout& layout = gcm_layout(manager);
  shape.kind = shape.cipher == Method::aes_gcm ? Kind::gcm : Kind::gmac;
  shape.seal_keys = shape.open_keys = kHead;
  shape.bytes = static_cast<std::uint16_t>(kHead + layout.powers_end);
}

void shape_aead(Shape& shape) {
  shape.kind = Kind::aead;
  shape.seal_keys = shape.open_keys = kHead;
  const bool ccm = shape.cipher == Method::aes_ccm;
  shape.cipher_mode = ccm ? IMB_CIPHER_CCM : IMB_CIPHER_CHACHA20_POLY1305;
  shape.hash_alg = ccm ? IMB_AUTH_AES_CCM : IMB_AUTH_CHACHA20_POLY1305;
  shape.mac_bytes = shape.icv_bytes;
  shape.bytes = static_cast<std::uint16_t>(kHead + (ccm ? round_key_bytes(shape.key_bytes) : 32));
}

// AES-CBC: keys to encrypt | head, hash | keys to decrypt, so that either direction reads one
// stretch. The others have one set of keys, behind the hash's.
void shape_chained(Shape& shape) {
  const HashParts parts = hash_parts(shape.integrity);
  shape.hash_alg = parts.algorithm;
  shape.mac_bytes = parts.cut_icv == shape.icv_bytes ? parts.cut_icv : parts.full;
  const bool two_sets = shape.cipher == Method::aes_cbc;
  std::size_t at = two_sets ? round_key_bytes(shape.key_bytes) : 0;
  shape.head = static_cast<std::uint16_t>(at);
  at += kHead;
  for (std::size_t i = 0; i < parts.bytes.size(); ++i) {
    shape.hash_keys[i] = static_cast<std::uint16_t>(at);
    at = up_to_16(at + parts.bytes[i]);
  }
  shape.open_keys = static_cast<std::uint16_t>(at);
  shape.seal_keys = two_sets ? std::uint16_t{0} : shape.open_keys;
  switch (shape.cipher) {
    case Method::aes_cbc:
      shape.cipher_mode = IMB_CIPHER_CBC;
      at += round_key_bytes(shape.key_bytes);
      break;
    case Method::aes_ctr:
      shape.cipher_mode = IMB_CIPHER_CNTR;
      at += round_key_bytes(shape.key_bytes);
      break;
    case Method::des_cbc:
      shape.cipher_mode = IMB_CIPHER_DES;
      at += kDesSchedule;
      break;
    case Method::des3_cbc:
      shape.cipher_mode = IMB_CIPHER_DES3;
      at += kDes3Pointers + 3 * kDesSchedule;
      break;
    default:
      break;
  }
  shape.bytes = static_cast<std::uint16_t>(at);
}

// ---- keys

void expand_aes(IMB_MGR& manager, std::span<const std::uint8_t> key, void* seal, void* open) {
  if (key.size() == 16)
    IMB_AES_KEYEXP_128(&manager, key.data(), seal, open);
  else if (key.size() == 24)
    IMB_AES_KEYEXP_192(&manager, key.data(), seal, open);
  else
    IMB_AES_KEYEXP_256(&manager, key.data(), seal, open);
}

void expand_des3(IMB_MGR& manager, std::span<const std::uint8_t> key, std::byte* at) {
  const void* schedules[3];
  for (std::size_t i = 0; i < 3; ++i) {
    std::byte* const schedule = at + kDes3Pointers + i * kDesSchedule;
    IMB_DES_KEYSCHED(&manager, reinterpret_cast<std::uint64_t*>(schedule), key.data() + i * 8);
    schedules[i] = schedule;
  }
  std::memcpy(at, schedules, sizeof(schedules));
}

void expand_cipher(IMB_MGR& manager, const Shape& shape, std::span<const std::uint8_t> key,
                   std::byte* block) {
  alignas(16) std::array<std::uint8_t, 240> unused;
  std::byte* const seal = block + shape.seal_keys;
  switch (shape.cipher) {
    case Method::aes_cbc:
      expand_aes(manager, key, seal, block + shape.open_keys);
      break;
    case Method::aes_ctr:
    case Method::aes_ccm:
      expand_aes(manager, key, seal, unused.data());
      base::wipe(unused);
      break;
    case Method::des_cbc:
      IMB_DES_KEYSCHED(&manager, reinterpret_cast<std::uint64_t*>(seal), key.data());
      break;
    case Method::des3_cbc:
      expand_des3(manager, key, seal);
      break;
    case Method::chacha20_poly1305:
      std::memcpy(seal, key.data(), key.size());
      break;
    case Method::aes_gcm:
    case Method::aes_gmac: {
      if (shape.kind == Kind::gcm_vaes) {
        expand_aes(manager, key, seal, unused.data());
        base::wipe(unused);
        gcm_vaes::expand_powers(reinterpret_cast<const std::uint8_t*>(seal),
                                shape.key_bytes / 4 + 6,
                                reinterpret_cast<std::uint8_t*>(block + shape.hash_keys[0]));
        break;
      }
      auto* const data = reinterpret_cast<gcm_key_data*>(seal);
      if (key.size() == 16)
        IMB_AES128_GCM_PRE(&manager, key.data(), data);
      else if (key.size() == 24)
        IMB_AES192_GCM_PRE(&manager, key.data(), data);
      else
        IMB_AES256_GCM_PRE(&manager, key.data(), data);
      break;
    }
    default:
      break;
  }
}

// RFC 2104 §4: the states after the key's own block, inner and outer.
void expand_hmac(hash_one_block_t hash, std::size_t block_bytes, std::span<const std::uint8_t> key,
                 std::byte* inner, std::byte* outer) {
  for (const auto& [mask, state] : {std::pair(0x36, inner), std::pair(0x5C, outer)}) {
    alignas(16) std::array<std::uint8_t, 128> padded{};
    std::copy(key.begin(), key.end(), padded.begin());
    for (std::uint8_t& byte : padded) byte = static_cast<std::uint8_t>(byte ^ mask);
    hash(padded.data(), state);
    base::wipe(std::span(padded).first(block_bytes));
  }
}

void expand_hash(IMB_MGR& manager, const Shape& shape, std::span<const std::uint8_t> key,
                 std::byte* block) {
  std::byte* const first = block + shape.hash_keys[0];
  std::byte* const second = block + shape.hash_keys[1];
  std::byte* const third = block + shape.hash_keys[2];
  alignas(16) std::array<std::uint8_t, 176> unused;
  switch (shape.integrity) {
    case Method::hmac_md5:
      return expand_hmac(manager.md5_one_block, 64, key, first, second);
    case Method::hmac_sha1:
      return expand_hmac(manager.sha1_one_block, 64, key, first, second);
    case Method::hmac_sha2_256:
      return expand_hmac(manager.sha256_one_block, 64, key, first, second);
    case Method::hmac_sha2_384:
      return expand_hmac(manager.sha384_one_block, 128, key, first, second);
    case Method::hmac_sha2_512:
      return expand_hmac(manager.sha512_one_block, 128, key, first, second);
    case Method::aes_xcbc_mac:
      IMB_AES_XCBC_KEYEXP(&manager, key.data(), first, second, third);
      return;
    case Method::aes_cmac:
      IMB_AES_KEYEXP_128(&manager, key.data(), first, unused.data());
      IMB_AES_CMAC_SUBKEY_GEN_128(&manager, first, second, third);
      base::wipe(unused);
      return;
    default:
      return;
  }
}

void check_key(const Algorithm& algorithm, std::span<const std::uint8_t> key) {
  if (!algorithm.key_bits_valid(static_cast<unsigned>(key.size() * 8)))
    throw base::Error(EINVAL, "a key of " + std::to_string(key.size() * 8) + " bits does not fit " +
                                  std::string(algorithm.name));
}

[[noreturn]] void refuse() { throw base::Error(ENOTSUP, "ipsec-mb does not know this transform"); }

// The algorithm whose key, salt and IV the job's are: the cipher, or GMAC alone as AH has it.
const Algorithm* keyed_by_cipher(const SessionKeys& keys) noexcept {
  if (keys.encryption != nullptr) return keys.encryption;
  return keys.integrity != nullptr && keys.integrity->method == Method::aes_gmac ? keys.integrity
                                                                                 : nullptr;
}

Shape shape_of(IMB_MGR& manager, const SessionKeys& keys, bool own_gcm) {
  Shape shape;
  const Algorithm* const cipher = keyed_by_cipher(keys);
  if (cipher != nullptr) {
    const auto key = cipher == keys.encryption ? keys.encryption_key : keys.integrity_key;
    check_key(*cipher, key);
    shape.cipher = cipher->method;
    shape.salt_bytes = cipher->salt_bytes;
    shape.iv_bytes = cipher->iv_bytes;
    shape.text_multiple = cipher->block_bytes;
    shape.key_bytes = static_cast<std::uint8_t>(key.size() - cipher->salt_bytes);
    shape.icv_bytes = cipher->icv_bytes;
  }
  if (cipher != nullptr && knows_aead(cipher->method)) {
    // AH's GMAC is told from ESP's by having no cipher: only ESP's signs the IV by itself.
    if (cipher == keys.integrity) shape.integrity = Method::aes_gmac;
    if (cipher->method == Method::aes_ccm && shape.key_bytes == 24) refuse();
    if (cipher->method == Method::aes_gcm && own_gcm)
      shape_own_gcm(shape);
    else if (cipher->method == Method::aes_gcm || cipher->method == Method::aes_gmac)
      shape_gcm(shape, manager);
    else
      shape_aead(shape);
    return shape;
  }
  if (!is_null(keys.integrity)) {
    check_key(*keys.integrity, keys.integrity_key);
    shape.integrity = keys.integrity->method;
    shape.icv_bytes = keys.integrity->icv_bytes;
  }
  shape_chained(shape);
  return shape;
}

}  // namespace

Manager make_manager() {
  Manager manager(alloc_mb_mgr(0));
  if (!manager) throw std::bad_alloc();
  init_mb_mgr_auto(manager.get(), nullptr);
  const bool tests_itself = (manager->features & IMB_FEATURE_SELF_TEST) != 0;
  const bool passed = (manager->features & IMB_FEATURE_SELF_TEST_PASS) != 0;
  if (imb_get_errno(manager.get()) != 0 || manager->used_arch < IMB_ARCH_SSE ||
      (tests_itself && !passed))
    throw base::Error(ENOTSUP, "ipsec-mb has no code for this processor; OpenSSL does all");
  return manager;
}

const GcmLayout& gcm_layout(IMB_MGR& manager) {
  static const GcmLayout layout = find_gcm_layout(manager);
  return layout;
}

Manager make_sha_ni_manager(const IMB_MGR& first) {
  const bool wide = first.used_arch == IMB_ARCH_AVX || first.used_arch == IMB_ARCH_AVX2;
  if (!wide || (first.features & IMB_FEATURE_SHANI) == 0) return nullptr;
  Manager manager(alloc_mb_mgr(0));
  if (!manager) throw std::bad_alloc();
  init_mb_mgr_sse(manager.get());
  return imb_get_errno(manager.get()) == 0 ? std::move(manager) : nullptr;
}

std::uint8_t add_shape(const Shape& shape) {
  const std::lock_guard lock(shapes_mutex);
  for (std::size_t i = 0; i < shapes_used; ++i)
    if (same(shapes[i], shape)) return static_cast<std::uint8_t>(i);
  if (shapes_used == shapes.size()) throw base::Error(ENOSPC, "too many transforms at once");
  shapes[shapes_used] = shape;
  return static_cast<std::uint8_t>(shapes_used++);
}

void MbSession::operator delete(void* head) noexcept { free_key_memory(head); }

HotMemory MbSession::hot_memory(Direction direction) const noexcept {
  const Shape& s = shape();
  HotMemory hot;
  hot.always = block();
  hot.always_bytes = s.bytes;
  if (s.cipher == Method::aes_cbc && direction == Direction::seal) {
    hot.always_bytes = s.open_keys;
  } else if (s.cipher == Method::aes_cbc) {
    hot.always += s.head;
    hot.always_bytes = static_cast<std::uint16_t>(s.bytes - s.head);
  } else if (s.kind == Kind::gcm || s.kind == Kind::gmac) {
    constexpr std::size_t kPowers = offsetof(gcm_key_data, ghash_keys);
    hot.always_bytes = static_cast<std::uint16_t>(kHead + round_key_bytes(s.key_bytes));
    hot.by_text_end = hot.always + s.bytes;
    hot.by_text_bytes = static_cast<std::uint16_t>(s.bytes - kHead - kPowers);
    constexpr std::size_t kAllPowers = sizeof(gcm_key_data{}.ghash_keys.vaes_avx512);
    hot.by_text_least = hot.by_text_bytes == kAllPowers ? std::uint16_t{64} : hot.by_text_bytes;
  }
  return hot;
}

bool supports(const Algorithm* encryption, const Algorithm* integrity) noexcept {
  if (encryption == nullptr)
    return !is_null(integrity) && (integrity->method == Method::aes_gmac ||
                                   hash_parts(integrity->method).algorithm != IMB_AUTH_NULL);
  if (knows_aead(encryption->method)) return is_null(integrity);
  if (!knows_cipher(encryption->method)) return false;
  if (is_null(integrity)) return encryption->method != Method::null_cipher;
  return hash_parts(integrity->method).algorithm != IMB_AUTH_NULL;
}

bool is_faster(const IMB_MGR& manager, const SessionKeys& keys) noexcept {
  if (!supports(keys.encryption, keys.integrity)) return false;
  if (keys.icv_bytes != 0 && !is_null(keys.integrity) &&
      keys.icv_bytes != keys.integrity->icv_bytes)
    return false;
  if (keys.encryption == nullptr) return true;
  const Method cipher = keys.encryption->method;
  // Without AVX-512 DES is a plain loop here; 192-bit keys of CCM are unknown.
  if (cipher == Method::des_cbc || cipher == Method::des3_cbc)
    return manager.used_arch >= IMB_ARCH_AVX512;
  return cipher != Method::aes_ccm ||
         keys.encryption_key.size() - keys.encryption->salt_bytes != 24;
}

std::unique_ptr<Session> open_session(IMB_MGR& manager, const SessionKeys& keys, bool own_gcm) {
  if (!supports(keys.encryption, keys.integrity)) refuse();
  if (keys.icv_bytes != 0 && !is_null(keys.integrity) &&
      keys.icv_bytes != keys.integrity->icv_bytes)
    refuse();
  const Shape shape = shape_of(manager, keys, own_gcm);
  const std::uint8_t index = add_shape(shape);
  auto* const block = static_cast<std::byte*>(allocate_key_memory(shape.bytes));
  const Algorithm* const cipher = keyed_by_cipher(keys);
  std::array<std::uint8_t, 4> salt{};
  if (cipher != nullptr) {
    const auto key = cipher == keys.encryption ? keys.encryption_key : keys.integrity_key;
    const auto own_salt = key.last(cipher->salt_bytes);
    std::copy(own_salt.begin(), own_salt.end(), salt.begin());
    expand_cipher(manager, shape, key.first(shape.key_bytes), block);
  }
  if (shape.kind == Kind::chained) expand_hash(manager, shape, keys.integrity_key, block);
  return std::unique_ptr<Session>(new (block + shape.head) MbSession(index, salt));
}

}  // namespace saline::crypto::ipsec_mb
