// The table itself, and its aliases.
#include "host/crypto/algorithms.hpp"

#include <span>
#include <utility>

namespace saline::crypto {

namespace {

using hw::Suite;

// PF_KEY numbers are those of Linux; where it has none, those of KAME and FreeBSD; where those are
// taken, one of 249 to 255, which RFC 2407 §6 leaves to private use:
//   aes-gmac-128, -192, -256 (AH)  11, 12, 13  FreeBSD and NetBSD
//   keyed-md5, keyed-sha1, null    249 to 251  KAME
//   aes-cmac                       253         our own: nobody has one
//   hmac-sha2-256-96               254         our own: Linux and KAME cut number 5 itself
//   twofish-cbc                    253         KAME
//   chacha20-poly1305              254         our own: FreeBSD's 15 is Linux's aes-ccm-12
//   des-deriv, 3des-deriv          2, 3        KAME, with the SA flag DERIV
//   des-32iv                       2           KAME, with the SA flags OLD and IV4B

constexpr Algorithm integrity(std::string_view name, Method method, std::uint8_t id,
                              std::uint16_t key_bits, std::uint8_t icv_bytes,
                              std::string_view document, Advice advice = Advice::may) {
  return {name, Kind::integrity, method, id,       key_bits, key_bits, 0, 0, 0,
          1,    icv_bytes,       {},     document, advice,   0};
}

constexpr Algorithm ah_gmac(std::string_view name, std::uint8_t id, std::uint16_t key_bits) {
  return {name, Kind::integrity, Method::aes_gmac, id, key_bits, key_bits, 0, 4, 8, 1, 16,
          {},   "RFC 4543",      Advice::may,      0};
}

struct KeyBits {
  std::uint16_t min;
  std::uint16_t max;
  std::uint16_t step;
};

constexpr Algorithm cbc(std::string_view name, Method method, std::uint8_t id, KeyBits key,
                        std::uint8_t iv_bytes, std::uint8_t block_bytes, std::string_view document,
                        Advice advice = Advice::may, std::uint32_t flags = 0) {
  return {name,     Kind::cipher, method, id, key.min,  key.max, key.step, 0,
          iv_bytes, block_bytes,  0,      {}, document, advice,  flags};
}

// A counter mode: an AES key (or another of the same sizes) with a salt behind it, 8 bytes of IV.
constexpr Algorithm counter(std::string_view name, Kind kind, Method method, std::uint8_t id,
                            KeyBits cipher_key, std::uint8_t salt_bytes, std::uint8_t icv_bytes,
                            std::string_view document, std::array<KeySuite, 3> suites = {}) {
  const auto with_salt = [=](unsigned bits) {
    return static_cast<std::uint16_t>(bits + salt_bytes * 8u);
  };
  return {name,
          kind,
          method,
          id,
          with_salt(cipher_key.min),
          with_salt(cipher_key.max),
          cipher_key.step,
          salt_bytes,
          8,
          1,
          icv_bytes,
          suites,
          document,
          Advice::may,
          0};
}

constexpr Algorithm compression(std::string_view name, Method method, std::uint8_t id,
                                std::string_view document) {
  return {name, Kind::compression, method, id, 0, 0, 0, 0, 0, 1, 0, {}, document, Advice::may, 0};
}

constexpr KeyBits kAesKey{128, 256, 64};
constexpr KeyBits kDesKey{64, 64, 0};
constexpr KeyBits kDes3Key{192, 192, 0};
constexpr std::array<KeySuite, 3> kGcm16Suites{
    {{128, Suite::aes_gcm_128_16}, {256, Suite::aes_gcm_256_16}, {}}};

// RFC 8221 §5 and §6, RFC 9395 §4. keyed-sha1 is to SHA-1 what KPDK_MD5 is to MD5; an SA of
// hmac-sha2-256-96 or 3des-deriv is what an operator with an old peer must be able to have.
constexpr std::array kTable = {
    integrity("null", Method::null_integrity, 251, 0, 0, "RFC 4303"),
    integrity("hmac-md5", Method::hmac_md5, 2, 128, 12, "RFC 2403", Advice::must_not),
    integrity("hmac-sha1", Method::hmac_sha1, 3, 160, 12, "RFC 2404"),
    integrity("hmac-sha2-256", Method::hmac_sha2_256, 5, 256, 16, "RFC 4868"),
    integrity("hmac-sha2-256-96", Method::hmac_sha2_256, 254, 256, 12,
              "draft-ietf-ipsec-ciph-sha-256-00", Advice::should_not),
    integrity("hmac-sha2-384", Method::hmac_sha2_384, 6, 384, 24, "RFC 4868"),
    integrity("hmac-sha2-512", Method::hmac_sha2_512, 7, 512, 32, "RFC 4868"),
    integrity("hmac-ripemd160", Method::hmac_ripemd160, 8, 160, 12, "RFC 2857"),
    integrity("keyed-md5", Method::keyed_md5, 249, 128, 12, "RFC 1828", Advice::must_not),
    integrity("keyed-sha1", Method::keyed_sha1, 250, 160, 12, "RFC 1852", Advice::must_not),
    integrity("aes-xcbc-mac", Method::aes_xcbc_mac, 9, 128, 12, "RFC 3566"),
    integrity("aes-cmac", Method::aes_cmac, 253, 128, 12, "RFC 4494"),
    ah_gmac("aes-gmac-128", 11, 160),
    ah_gmac("aes-gmac-192", 12, 224),
    ah_gmac("aes-gmac-256", 13, 288),

    cbc("null", Method::null_cipher, 11, {0, 0, 0}, 0, 1, "RFC 2410"),
    cbc("des-cbc", Method::des_cbc, 2, kDesKey, 8, 8, "RFC 2405", Advice::must_not),
    cbc("des-deriv", Method::des_cbc_iv4, 2, kDesKey, 0, 8, "draft-ietf-ipsec-ciph-des-derived-01",
        Advice::must_not, kPfkeyFlagDerivedIv),
    cbc("des-32iv", Method::des_cbc_iv4, 2, kDesKey, 4, 8, "RFC 1829", Advice::must_not,
        kPfkeyFlagOld | kPfkeyFlagIv4Bytes),
    cbc("3des-cbc", Method::des3_cbc, 3, kDes3Key, 8, 8, "RFC 2451", Advice::should_not),
    cbc("3des-deriv", Method::des3_cbc_iv4, 3, kDes3Key, 0, 8,
        "draft-ietf-ipsec-ciph-des-derived-01", Advice::should_not, kPfkeyFlagDerivedIv),
    cbc("cast128-cbc", Method::cast128_cbc, 6, {40, 128, 8}, 8, 8, "RFC 2451", Advice::must_not),
    cbc("blowfish-cbc", Method::blowfish_cbc, 7, {40, 448, 8}, 8, 8, "RFC 2451", Advice::must_not),
    cbc("aes-cbc", Method::aes_cbc, 12, kAesKey, 16, 16, "RFC 3602"),
    cbc("camellia-cbc", Method::camellia_cbc, 22, kAesKey, 16, 16, "RFC 4312"),
    // libgcrypt has no 192-bit keys for it.
    cbc("twofish-cbc", Method::twofish_cbc, 253, {128, 256, 128}, 16, 16,
        "draft-ietf-ipsec-ciph-aes-cbc-00"),
    counter("aes-ctr", Kind::cipher, Method::aes_ctr, 13, kAesKey, 4, 0, "RFC 3686"),
    counter("aes-ccm-8", Kind::aead, Method::aes_ccm, 14, kAesKey, 3, 8, "RFC 4309"),
    counter("aes-ccm-12", Kind::aead, Method::aes_ccm, 15, kAesKey, 3, 12, "RFC 4309"),
    counter("aes-ccm-16", Kind::aead, Method::aes_ccm, 16, kAesKey, 3, 16, "RFC 4309"),
    counter("aes-gcm-8", Kind::aead, Method::aes_gcm, 18, kAesKey, 4, 8, "RFC 4106"),
    counter("aes-gcm-12", Kind::aead, Method::aes_gcm, 19, kAesKey, 4, 12, "RFC 4106"),
    counter("aes-gcm-16", Kind::aead, Method::aes_gcm, 20, kAesKey, 4, 16, "RFC 4106",
            kGcm16Suites),
    counter("aes-gmac", Kind::aead, Method::aes_gmac, 23, kAesKey, 4, 16, "RFC 4543"),
    counter("chacha20-poly1305", Kind::aead, Method::chacha20_poly1305, 254, {256, 256, 0}, 4, 16,
            "RFC 7634"),

    compression("deflate", Method::deflate, 2, "RFC 2394"),
};

// Other spellings that setkey scripts use.
using Alias = std::pair<std::string_view, std::string_view>;
constexpr Alias kIntegrityAliases[] = {
    {"hmac-sha256", "hmac-sha2-256"}, {"hmac-sha384", "hmac-sha2-384"},
    {"hmac-sha512", "hmac-sha2-512"}, {"aes-128-gmac", "aes-gmac-128"},
    {"aes-192-gmac", "aes-gmac-192"}, {"aes-256-gmac", "aes-gmac-256"},
};
constexpr Alias kEncryptionAliases[] = {
    {"rijndael-cbc", "aes-cbc"},   {"simple", "null"},
    {"aes-gcm", "aes-gcm-16"},     {"aes-ccm", "aes-ccm-16"},
    {"null-aes-gmac", "aes-gmac"},
};

enum class Space : std::uint8_t { integrity, encryption, compression };

Space space_of(const Algorithm& row) noexcept {
  return row.kind == Kind::integrity     ? Space::integrity
         : row.kind == Kind::compression ? Space::compression
                                         : Space::encryption;
}

template <typename Matches>
const Algorithm* find(Space space, Matches matches) noexcept {
  for (const Algorithm& row : kTable)
    if (space_of(row) == space && matches(row)) return &row;
  return nullptr;
}

const Algorithm* find_named(Space space, std::span<const Alias> aliases,
                            std::string_view name) noexcept {
  for (const auto& [alias, real] : aliases)
    if (alias == name) name = real;
  return find(space, [=](const Algorithm& row) { return row.name == name; });
}

}  // namespace

std::span<const Algorithm> algorithms() noexcept { return kTable; }

const Algorithm* find_integrity(std::uint8_t pfkey_id) noexcept {
  return find(Space::integrity, [=](const Algorithm& row) { return row.pfkey_id == pfkey_id; });
}

const Algorithm* find_encryption(std::uint8_t pfkey_id, std::uint32_t pfkey_flags) noexcept {
  constexpr std::uint32_t kIvFlags = kPfkeyFlagIv4Bytes | kPfkeyFlagDerivedIv;
  return find(Space::encryption, [=](const Algorithm& row) {
    return row.pfkey_id == pfkey_id && (row.pfkey_flags & kIvFlags) == (pfkey_flags & kIvFlags);
  });
}

const Algorithm* find_compression(std::uint8_t pfkey_id) noexcept {
  return find(Space::compression, [=](const Algorithm& row) { return row.pfkey_id == pfkey_id; });
}

const Algorithm* find_integrity(std::string_view name) noexcept {
  return find_named(Space::integrity, kIntegrityAliases, name);
}

const Algorithm* find_encryption(std::string_view name) noexcept {
  return find_named(Space::encryption, kEncryptionAliases, name);
}

const Algorithm* find_compression(std::string_view name) noexcept {
  return find_named(Space::compression, {}, name);
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
