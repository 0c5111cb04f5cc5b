// Published sets in JSON, each whole as far as it fits the table: Wycheproof (C2SP), Intel's
// ipsec-mb, which writes the same shape, ACVP samples, and the RFC figures that strongSwan carries.
// Nonces, tags and keys of other sizes than IPsec's are left out; the counts say how many stay.
#include <gtest/gtest.h>

#include <map>

#include "host/base/error.hpp"
#include "host/crypto/mac.hpp"
#include "tests/host/crypto/providers.hpp"
#include "tests/host/crypto/vector_case.hpp"
#include "tests/host/vectors.hpp"

namespace saline::test {

namespace {

enum class Family : std::uint8_t { aead, mac, gmac, cbc, cbc_pkcs5, ctr };

struct JsonSet {
  const char* file;
  Family family;
  const char* row;  // of an AEAD with several ICVs without its size
  int cases;
};

std::size_t salt_bytes(const std::string& row) { return row.starts_with("aes-ccm") ? 3 : 4; }

// The MAC itself, whatever its length and that of the key.
bool mac_is(const char* row, const Bytes& key, const Bytes& message, const Bytes& mac) {
  Bytes out(mac.size());
  try {
    const auto signer = crypto::make_mac(crypto::find_integrity(row)->method, key);
    const std::span<const std::uint8_t> parts[] = {message};
    return mac.size() <= signer->mac_bytes() && signer->compute(parts, out) && out == mac;
  } catch (const base::Error&) {
    return false;
  }
}

void pad_pkcs5(Bytes& text) {
  const std::size_t pad = 16 - text.size() % 16;
  text.insert(text.end(), pad, static_cast<std::uint8_t>(pad));
}

// A test in Wycheproof's shape; false when it is not for IPsec.
bool wycheproof_case(const JsonSet& set, const Json& group, const Json& test, VectorCase& c) {
  c.row = set.row;
  c.key = test["key"].hex();
  c.plain = test["msg"].hex();
  c.cipher = test["ct"].hex();
  c.icv = test["tag"].hex();
  c.aad = test["aad"].hex();
  c.iv = test["iv"].hex();
  c.valid = test["result"].text() == "valid";
  switch (set.family) {
    case Family::aead:
      if (c.row != "chacha20-poly1305") c.row += "-" + std::to_string(c.icv.size());
      if (c.iv.size() != salt_bytes(c.row) + 8) return false;
      split_nonce(c, c.iv, salt_bytes(c.row));
      return true;
    case Family::gmac:
      c.row = "aes-gmac-" + std::to_string(group["keySize"].number());
      if (c.iv.size() != 12) return false;
      split_nonce(c, c.iv, 4);
      c.aad = std::move(c.plain);
      c.plain.clear();
      return true;
    case Family::mac:
      c.aad = std::move(c.plain);
      c.plain.clear();
      return true;
    case Family::cbc_pkcs5:
      pad_pkcs5(c.plain);
      return c.valid;
    case Family::ctr:  // RFC 3686 §4: the nonce is before the IV, the counter starts at 1
      if (c.iv.size() != 12) return false;
      split_nonce(c, c.iv, 4);
      return true;
    case Family::cbc:
      return true;
  }
  return false;
}

constexpr JsonSet kWycheproofSets[] = {
    {"wycheproof/aes_gcm_test.json", Family::aead, "aes-gcm", 197},
    {"wycheproof/aes_ccm_test.json", Family::aead, "aes-ccm", 18},
    {"wycheproof/chacha20_poly1305_test.json", Family::aead, "chacha20-poly1305", 316},
    {"wycheproof/aes_gmac_test.json", Family::gmac, "", 207},
    {"wycheproof/aes_cmac_test.json", Family::mac, "aes-cmac", 311},
    {"wycheproof/camellia_cbc_pkcs5_test.json", Family::cbc_pkcs5, "camellia-cbc", 72},
    {"wycheproof/aes_cbc_pkcs5_test.json", Family::cbc_pkcs5, "aes-cbc", 72},
    {"wycheproof/hmac_sha1_test.json", Family::mac, "hmac-sha1", 170},
    {"wycheproof/hmac_sha256_test.json", Family::mac, "hmac-sha2-256", 174},
    {"wycheproof/hmac_sha384_test.json", Family::mac, "hmac-sha2-384", 174},
    {"wycheproof/hmac_sha512_test.json", Family::mac, "hmac-sha2-512", 174},
    {"intel-ipsec-mb/gcm_test.json", Family::aead, "aes-gcm", 17},
    {"intel-ipsec-mb/ccm_128_test.json", Family::aead, "aes-ccm", 0},
    {"intel-ipsec-mb/ccm_256_test.json", Family::aead, "aes-ccm", 0},
    {"intel-ipsec-mb/chacha20_poly1305_test.json", Family::aead, "chacha20-poly1305", 3},
    {"intel-ipsec-mb/gmac_test.json", Family::gmac, "", 3},
    {"intel-ipsec-mb/cmac_128_test.json", Family::mac, "aes-cmac", 17},
    {"intel-ipsec-mb/cmac_256_test.json", Family::mac, "aes-cmac", 4},
    {"intel-ipsec-mb/xcbc_test.json", Family::mac, "aes-xcbc-mac", 7},
    {"intel-ipsec-mb/hmac_md5_test.json", Family::mac, "hmac-md5", 15},
    {"intel-ipsec-mb/hmac_sha1_test.json", Family::mac, "hmac-sha1", 8},
    {"intel-ipsec-mb/hmac_sha256_test.json", Family::mac, "hmac-sha2-256", 8},
    {"intel-ipsec-mb/hmac_sha384_test.json", Family::mac, "hmac-sha2-384", 7},
    {"intel-ipsec-mb/hmac_sha512_test.json", Family::mac, "hmac-sha2-512", 7},
    {"intel-ipsec-mb/cbc_test.json", Family::cbc, "aes-cbc", 7},
    {"intel-ipsec-mb/ctr_test.json", Family::ctr, "aes-ctr", 14},
    {"intel-ipsec-mb/des_test.json", Family::cbc, "des-cbc", 2},
    {"intel-ipsec-mb/des3_test.json", Family::cbc, "3des-cbc", 4},
};

}  // namespace

class JsonSets : public ProviderTest {};
SALINE_FOR_ALL_PROVIDERS(JsonSets);

TEST_P(JsonSets, WycheproofAndIntel) {
  SALINE_NEEDS_VECTORS("wycheproof");
  for (const JsonSet& set : kWycheproofSets) {
    const JsonFile file(vectors_path(set.file));
    const Json groups = file.root()["testGroups"];
    int ran = 0;
    for (std::size_t g = 0; g < groups.size(); ++g) {
      const Json tests = groups[g]["tests"];
      for (std::size_t i = 0; i < tests.size(); ++i) {
        SCOPED_TRACE(std::string(set.file) + " tcId " + std::to_string(tests[i]["tcId"].number()));
        VectorCase c;
        if (!wycheproof_case(set, groups[g], tests[i], c)) continue;
        const bool is_mac = set.family == Family::mac;
        if (is_mac) {
          EXPECT_EQ(mac_is(set.row, c.key, c.aad, c.icv), c.valid);
        }
        ran += is_mac;
        if (!fits(c)) continue;
        run_case(*provider, c);
        ran += !is_mac;
      }
    }
    EXPECT_EQ(ran, set.cases) << set.file;
  }
}

namespace {

// A test in ACVP's shape.
VectorCase acvp_case(const JsonSet& set, const Json& group, const Json& test) {
  const Json expected = test["expected"];
  const auto either = [&](const char* name) {
    return test[name].present() ? test[name].hex() : expected[name].hex();
  };
  VectorCase c;
  c.row = set.row;
  c.key = test["key"].hex();
  c.plain = either("pt");
  c.cipher = either("ct");
  c.icv = set.family == Family::mac ? either("mac") : either("tag");
  c.aad = test["aad"].hex();
  c.iv = test["iv"].hex();
  c.valid = !expected["testPassed"].present() || expected["testPassed"].truth();
  if (set.family == Family::aead) c.row += "-" + std::to_string(c.icv.size());
  if (set.family == Family::gmac) c.row = "aes-gmac-" + std::to_string(group["keyLen"].number());
  if (set.family == Family::aead || set.family == Family::gmac) split_nonce(c, c.iv, 4);
  if (set.family == Family::mac)
    c.aad = test["message"].present() ? test["message"].hex() : test["msg"].hex();
  return c;
}

constexpr JsonSet kAcvpSets[] = {
    {"acvp/ACVP-AES-GCM.json", Family::aead, "aes-gcm", 18},
    {"acvp/ACVP-AES-GMAC.json", Family::gmac, "", 90},
    {"acvp/ACVP-AES-CBC.json", Family::cbc, "aes-cbc", 36},
    {"acvp/CMAC-AES.json", Family::mac, "aes-cmac", 8},
    {"acvp/HMAC-SHA-1.json", Family::mac, "hmac-sha1", 7},
    {"acvp/HMAC-SHA2-256.json", Family::mac, "hmac-sha2-256", 8},
    {"acvp/HMAC-SHA2-384.json", Family::mac, "hmac-sha2-384", 7},
    {"acvp/HMAC-SHA2-512.json", Family::mac, "hmac-sha2-512", 7},
};

}  // namespace

TEST_P(JsonSets, Acvp) {
  SALINE_NEEDS_VECTORS("acvp");
  for (const JsonSet& set : kAcvpSets) {
    const JsonFile file(vectors_path(set.file));
    const Json root = file.root().size() != 0 ? file.root()[std::size_t{0}] : file.root();
    const Json groups = root["testGroups"];
    int ran = 0;
    for (std::size_t g = 0; g < groups.size(); ++g) {
      if (groups[g]["testType"].text() != "AFT") continue;
      const Json tests = groups[g]["tests"];
      for (std::size_t i = 0; i < tests.size(); ++i) {
        SCOPED_TRACE(std::string(set.file) + " tcId " + std::to_string(tests[i]["tcId"].number()));
        VectorCase c = acvp_case(set, groups[g], tests[i]);
        const bool is_mac = set.family == Family::mac;
        if (is_mac) {
          EXPECT_EQ(mac_is(set.row, c.key, c.aad, c.icv), c.valid);
        }
        ran += is_mac;
        if (!fits(c)) continue;
        run_case(*provider, c);
        ran += !is_mac;
      }
    }
    EXPECT_EQ(ran, set.cases) << set.file;
  }
}

TEST_P(JsonSets, StrongSwansRfcFigures) {
  SALINE_NEEDS_VECTORS("rfc/strongswan_alg_vectors.json");
  const std::map<std::string, const char*> rows = {{"ENCR_AES_CBC", "aes-cbc"},
                                                   {"ENCR_AES_CTR", "aes-ctr"},
                                                   {"ENCR_AES_CCM_ICV8", "aes-ccm-8"},
                                                   {"ENCR_AES_CCM_ICV12", "aes-ccm-12"},
                                                   {"ENCR_AES_CCM_ICV16", "aes-ccm-16"},
                                                   {"ENCR_AES_GCM_ICV8", "aes-gcm-8"},
                                                   {"ENCR_AES_GCM_ICV12", "aes-gcm-12"},
                                                   {"ENCR_AES_GCM_ICV16", "aes-gcm-16"},
                                                   {"ENCR_CAMELLIA_CBC", "camellia-cbc"},
                                                   {"ENCR_CHACHA20_POLY1305", "chacha20-poly1305"},
                                                   {"ENCR_3DES", "3des-cbc"},
                                                   {"ENCR_DES", "des-cbc"},
                                                   {"ENCR_BLOWFISH", "blowfish-cbc"},
                                                   {"ENCR_CAST", "cast128-cbc"},
                                                   {"ENCR_NULL", "null"},
                                                   {"AUTH_AES_CMAC_96", "aes-cmac"},
                                                   {"AUTH_AES_XCBC_96", "aes-xcbc-mac"},
                                                   {"AUTH_HMAC_MD5_96", "hmac-md5"},
                                                   {"AUTH_HMAC_SHA1_96", "hmac-sha1"},
                                                   {"AUTH_HMAC_SHA2_256_128", "hmac-sha2-256"},
                                                   {"AUTH_HMAC_SHA2_384_192", "hmac-sha2-384"},
                                                   {"AUTH_HMAC_SHA2_512_256", "hmac-sha2-512"}};
  const JsonFile file(vectors_path("rfc/strongswan_alg_vectors.json"));
  int ran = 0;
  for (const char* group : {"aes_cbc", "aes_ccm", "aes_cmac", "aes_ctr", "aes_gcm", "aes_xcbc",
                            "camellia_cbc", "chacha20poly1305", "3des_cbc", "md5_hmac", "sha1_hmac",
                            "sha2_hmac", "null", "des", "blowfish", "cast"}) {
    const Json tests = file.root()["vectors"][group];
    for (std::size_t i = 0; i < tests.size(); ++i) {
      const Json test = tests[i];
      SCOPED_TRACE(test["name"].text());
      const auto row = rows.find(test["alg"].text());
      if (row == rows.end()) continue;
      VectorCase c;
      c.row = row->second;
      c.key = test["key"].hex();
      c.iv = test["iv"].hex();
      c.plain = test["plain"].hex();
      c.cipher = test["cipher"].hex();
      c.aad = test["kind"].text() == "signer" ? test["data"].hex() : test["adata"].hex();
      c.icv = test["mac"].hex();
      if (test["kind"].text() == "aead") {  // one key has more bytes than its case uses
        c.key.resize(
            static_cast<std::size_t>(test["key_size"].number() + test["salt_size"].number()));
        const auto text = c.cipher.begin() + static_cast<std::ptrdiff_t>(c.plain.size());
        c.icv.assign(text, c.cipher.end());
        c.cipher.erase(text, c.cipher.end());
      }
      if (!fits(c)) continue;
      run_case(*provider, c);
      ++ran;
    }
  }
  EXPECT_EQ(ran, 92);
}

}  // namespace saline::test
