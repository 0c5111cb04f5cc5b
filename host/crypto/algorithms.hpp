// THE table of transforms: one row per algorithm that Saline knows, with its name in setkey(8), its
// PF_KEY number (Linux numbering), its sizes and the hardware suite that carries it. Nobody else
// keeps such a list: codecs, SAs, providers and the offload decision all read this one.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "hw/interface/saline_hw.hpp"

namespace saline::crypto {

// Aead rows are looked up among the ciphers, as in PF_KEY, and take no integrity algorithm.
// Compression numbers are a space of their own.
enum class Kind : std::uint8_t { integrity, cipher, aead, compression };

// What a provider has to compute. Rows that differ in sizes only share a method.
enum class Method : std::uint8_t {
  null_integrity,
  hmac_md5,
  hmac_sha1,
  hmac_sha2_256,
  hmac_sha2_384,
  hmac_sha2_512,
  hmac_ripemd160,
  keyed_md5,   // RFC 1828
  keyed_sha1,  // RFC 1852
  aes_xcbc_mac,
  aes_cmac,
  null_cipher,
  des_cbc,
  des3_cbc,
  des_cbc_iv4,   // the IV is 4 bytes and their complement (RFC 1829 §2)
  des3_cbc_iv4,  // the same
  blowfish_cbc,
  cast128_cbc,
  aes_cbc,
  camellia_cbc,
  twofish_cbc,
  aes_ctr,
  aes_gcm,
  aes_ccm,
  aes_gmac,  // of AH as integrity, of ESP as AEAD (RFC 4543)
  chacha20_poly1305,
  deflate,
};

// RFC 8221 as updated by RFC 9395. What it does not name is "may", unless it is the same
// construction as something it names.
enum class Advice : std::uint8_t { may, should_not, must_not };

// The hardware suite for one cipher key size (salt not counted).
struct KeySuite {
  std::uint16_t cipher_key_bits = 0;
  hw::Suite suite = hw::Suite::none;
};

// Key sizes are counted as PF_KEY counts them: the cipher key followed by the salt of a counter
// mode (AES-128-GCM: 128 + 32 = 160). Valid sizes are min, min + step, ..., max.
struct Algorithm {
  std::string_view name;  // as setkey writes it
  Kind kind;
  Method method;
  std::uint8_t pfkey_id;  // SADB_AALG_*, SADB_EALG_* or SADB_X_*, Linux numbering
  std::uint16_t key_bits_min;
  std::uint16_t key_bits_max;
  std::uint16_t key_bits_step;
  std::uint8_t salt_bytes;   // the last bytes of the key are the salt (nonce)
  std::uint8_t iv_bytes;     // on the wire: before the ciphertext, or in AH before the ICV
  std::uint8_t block_bytes;  // ciphertext is a multiple of this; 1 for stream modes
  std::uint8_t icv_bytes;    // on the wire; 0 for a plain cipher
  std::array<KeySuite, 3> suites;
  std::string_view document;  // "RFC 4106", or the draft that it never outgrew
  Advice advice;
  std::uint32_t pfkey_flags;  // SADB_SAFLAGS that tell it from another row of the same number

  bool is_aead() const noexcept { return kind == Kind::aead; }
  // The IV must be unique, not unpredictable, and must never repeat under one key.
  bool is_counter_mode() const noexcept { return salt_bytes != 0; }
  // No IV on the wire: it is the 4 bytes of the sequence number field (SADB_X_EXT_DERIV).
  bool has_derived_iv() const noexcept {
    return iv_bytes == 0 && (method == Method::des_cbc_iv4 || method == Method::des3_cbc_iv4);
  }
  bool key_bits_valid(unsigned bits) const noexcept {
    return bits >= key_bits_min && bits <= key_bits_max &&
           (key_bits_step == 0 ? bits == key_bits_min : (bits - key_bits_min) % key_bits_step == 0);
  }
};

// All rows, integrity first. Pointers into it stay valid for the life of the program.
std::span<const Algorithm> algorithms() noexcept;

// The SADB_SAFLAGS that choose between rows of one number.
inline constexpr std::uint32_t kPfkeyFlagOld = 0x01;
inline constexpr std::uint32_t kPfkeyFlagIv4Bytes = 0x10;
inline constexpr std::uint32_t kPfkeyFlagDerivedIv = 0x20;

// By PF_KEY number; nullptr when unknown. Encryption finds ciphers and AEADs; flags are those of
// the SA, of which IV4B and DERIV count here.
const Algorithm* find_integrity(std::uint8_t pfkey_id) noexcept;
const Algorithm* find_encryption(std::uint8_t pfkey_id, std::uint32_t pfkey_flags = 0) noexcept;
const Algorithm* find_compression(std::uint8_t pfkey_id) noexcept;

// By setkey name or alias ("hmac-sha256", "rijndael-cbc", "simple"); nullptr when unknown.
const Algorithm* find_integrity(std::string_view name) noexcept;
const Algorithm* find_encryption(std::string_view name) noexcept;
const Algorithm* find_compression(std::string_view name) noexcept;

// The card's suite for this pair, none when no card knows it. Either may be nullptr; key_bits are
// those of the encryption key, or of the integrity key when there is no encryption (AH).
hw::Suite hardware_suite(const Algorithm* encryption, const Algorithm* integrity,
                         unsigned key_bits) noexcept;

}  // namespace saline::crypto
