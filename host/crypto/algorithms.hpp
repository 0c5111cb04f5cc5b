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
enum class Kind : std::uint8_t { integrity, cipher, aead };

// What a provider has to compute. Rows that differ in sizes only may share a method.
enum class Method : std::uint8_t {
  null_integrity,
  hmac_md5,
  hmac_sha1,
  hmac_sha2_256,
  hmac_sha2_384,
  hmac_sha2_512,
  null_cipher,
  des_cbc,
  des3_cbc,
  aes_cbc,
  aes_ctr,
  aes_gcm,
};

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
  std::uint8_t iv_bytes;     // on the wire, in front of the ciphertext
  std::uint8_t block_bytes;  // ciphertext is a multiple of this; 1 for stream modes
  std::uint8_t icv_bytes;    // on the wire; 0 for a plain cipher
  std::array<KeySuite, 3> suites;
  std::string_view rfc;  // "RFC 4106"
  bool legacy;           // RFC 8221 says MUST NOT or SHOULD NOT

  bool is_aead() const noexcept { return kind == Kind::aead; }
  bool is_counter_mode() const noexcept {
    return method == Method::aes_gcm || method == Method::aes_ctr;
  }
  bool key_bits_valid(unsigned bits) const noexcept {
    return bits >= key_bits_min && bits <= key_bits_max &&
           (key_bits_step == 0 ? bits == key_bits_min : (bits - key_bits_min) % key_bits_step == 0);
  }
};

// All rows, integrity first. Pointers into it stay valid for the life of the program.
std::span<const Algorithm> algorithms() noexcept;

// By PF_KEY number; nullptr when unknown. Encryption finds ciphers and AEADs.
const Algorithm* find_integrity(std::uint8_t pfkey_id) noexcept;
const Algorithm* find_encryption(std::uint8_t pfkey_id) noexcept;

// By setkey name or alias ("hmac-sha256", "rijndael-cbc", "simple"); nullptr when unknown.
const Algorithm* find_integrity(std::string_view name) noexcept;
const Algorithm* find_encryption(std::string_view name) noexcept;

// The card's suite for this pair, none when no card knows it. Either may be nullptr; key_bits are
// those of the encryption key, or of the integrity key when there is no encryption (AH).
hw::Suite hardware_suite(const Algorithm* encryption, const Algorithm* integrity,
                         unsigned key_bits) noexcept;

}  // namespace saline::crypto
