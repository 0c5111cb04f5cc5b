// The table itself, and its aliases.
#include "host/crypto/algorithms.hpp"

#include <utility>

namespace saline::crypto {

namespace {

using hw::Suite;

// Columns: name, kind, method, PF_KEY id; key bits min, max, step; salt, IV, block, ICV bytes;
// hardware suites; RFC; legacy.
constexpr std::array<Algorithm, 12> kTable = {{
    {"null",
     Kind::integrity,
     Method::null_integrity,
     251,
     0,
     0,
     0,
     0,
     0,
     1,
     0,
     {},
     "RFC 4303",
     false},
    {"hmac-md5",
     Kind::integrity,
     Method::hmac_md5,
     2,
     128,
     128,
     0,
     0,
     0,
     1,
     12,
     {},
     "RFC 2403",
     true},
    {"hmac-sha1",
     Kind::integrity,
     Method::hmac_sha1,
     3,
     160,
     160,
     0,
     0,
     0,
     1,
     12,
     {},
     "RFC 2404",
     false},
    {"hmac-sha2-256",
     Kind::integrity,
     Method::hmac_sha2_256,
     5,
     256,
     256,
     0,
     0,
     0,
     1,
     16,
     {},
     "RFC 4868",
     false},
    {"hmac-sha2-384",
     Kind::integrity,
     Method::hmac_sha2_384,
     6,
     384,
     384,
     0,
     0,
     0,
     1,
     24,
     {},
     "RFC 4868",
     false},
    {"hmac-sha2-512",
     Kind::integrity,
     Method::hmac_sha2_512,
     7,
     512,
     512,
     0,
     0,
     0,
     1,
     32,
     {},
     "RFC 4868",
     false},
    {"null", Kind::cipher, Method::null_cipher, 11, 0, 0, 0, 0, 0, 1, 0, {}, "RFC 2410", false},
    {"des-cbc", Kind::cipher, Method::des_cbc, 2, 64, 64, 0, 0, 8, 8, 0, {}, "RFC 2405", true},
    {"3des-cbc", Kind::cipher, Method::des3_cbc, 3, 192, 192, 0, 0, 8, 8, 0, {}, "RFC 2451", true},
    {"aes-cbc",
     Kind::cipher,
     Method::aes_cbc,
     12,
     128,
     256,
     64,
     0,
     16,
     16,
     0,
     {},
     "RFC 3602",
     false},
    {"aes-ctr", Kind::cipher, Method::aes_ctr, 13, 160, 288, 64, 4, 8, 1, 0, {}, "RFC 3686", false},
    {"aes-gcm-16",
     Kind::aead,
     Method::aes_gcm,
     20,
     160,
     288,
     64,
     4,
     8,
     1,
     16,
     {{{128, Suite::aes_gcm_128_16}, {256, Suite::aes_gcm_256_16}, {}}},
     "RFC 4106",
     false},
}};

// Other spellings that setkey scripts use.
constexpr std::pair<std::string_view, std::string_view> kIntegrityAliases[] = {
    {"hmac-sha256", "hmac-sha2-256"},
    {"hmac-sha384", "hmac-sha2-384"},
    {"hmac-sha512", "hmac-sha2-512"},
};
constexpr std::pair<std::string_view, std::string_view> kEncryptionAliases[] = {
    {"rijndael-cbc", "aes-cbc"},
    {"simple", "null"},
    {"aes-gcm", "aes-gcm-16"},
};

template <typename Matches>
const Algorithm* find(bool integrity, Matches matches) noexcept {
  for (const Algorithm& row : kTable)
    if ((row.kind == Kind::integrity) == integrity && matches(row)) return &row;
  return nullptr;
}

}  // namespace

std::span<const Algorithm> algorithms() noexcept { return kTable; }

const Algorithm* find_integrity(std::uint8_t pfkey_id) noexcept {
  return find(true, [=](const Algorithm& row) { return row.pfkey_id == pfkey_id; });
}

const Algorithm* find_encryption(std::uint8_t pfkey_id) noexcept {
  return find(false, [=](const Algorithm& row) { return row.pfkey_id == pfkey_id; });
}

const Algorithm* find_integrity(std::string_view name) noexcept {
  for (const auto& [alias, real] : kIntegrityAliases)
    if (alias == name) name = real;
  return find(true, [=](const Algorithm& row) { return row.name == name; });
}

const Algorithm* find_encryption(std::string_view name) noexcept {
  for (const auto& [alias, real] : kEncryptionAliases)
    if (alias == name) name = real;
  return find(false, [=](const Algorithm& row) { return row.name == name; });
}

hw::Suite hardware_suite(const Algorithm* encryption, const Algorithm* integrity,
                         unsigned key_bits) noexcept {
  const bool no_integrity = integrity == nullptr || integrity->method == Method::null_integrity;
  if (encryption == nullptr || !encryption->is_aead() || !no_integrity) return Suite::none;
  for (const KeySuite& entry : encryption->suites)
    if (entry.suite != Suite::none &&
        entry.cipher_key_bits + encryption->salt_bytes * 8u == key_bits)
      return entry.suite;
  return Suite::none;
}

}  // namespace saline::crypto
