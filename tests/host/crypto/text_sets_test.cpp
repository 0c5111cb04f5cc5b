// Published sets in text files, each whole as far as it fits the table: NIST CAVP, BoringSSL and
// Botan. Nonces, tags and keys of other sizes than IPsec's are left out; the counts say how many
// stay.
#include <gtest/gtest.h>

#include <cctype>
#include <map>

#include "host/crypto/mac.hpp"
#include "tests/host/crypto/providers.hpp"
#include "tests/host/crypto/vector_case.hpp"
#include "tests/host/crypto/vector_files.hpp"
#include "tests/host/vectors.hpp"

namespace saline::test {

namespace {

// Nonce and row of an AEAD by its sizes; false when IPsec has no such.
bool size_aead(VectorCase& c, std::string row, const Bytes& nonce) {
  const std::size_t salt = row == "aes-ccm" ? 3 : 4;
  if (nonce.size() != salt + 8) return false;
  split_nonce(c, nonce, salt);
  c.row = row == "chacha20-poly1305" ? row : row + "-" + std::to_string(c.icv.size());
  return fits(c);
}

void cut_icv(VectorCase& c, std::size_t bytes) {
  const auto text = c.cipher.end() - static_cast<std::ptrdiff_t>(bytes);
  c.icv.assign(text, c.cipher.end());
  c.cipher.erase(text, c.cipher.end());
}

bool mac_is(const char* row, const Bytes& key, const Bytes& message, const Bytes& mac) {
  const auto signer = crypto::make_mac(crypto::find_integrity(row)->method, key);
  Bytes out(mac.size());
  const std::span<const std::uint8_t> parts[] = {message};
  return signer->compute(parts, out) && out == mac;
}

}  // namespace

class TextSets : public ProviderTest {
 protected:
  void count(const VectorCase& c) {
    run_case(*provider, c);
    ++ran;
  }
  int ran = 0;
};
SALINE_FOR_ALL_PROVIDERS(TextSets);

TEST_P(TextSets, CavpGcm) {
  SALINE_NEEDS_VECTORS("nist/cavp/gcmtestvectors");
  for (const char* name : {"Decrypt128", "Decrypt192", "Decrypt256", "EncryptExtIV128",
                           "EncryptExtIV192", "EncryptExtIV256"})
    for_each_record(vectors_path("nist/cavp/gcmtestvectors/gcm") + name + ".rsp",
                    [&](const Fields& f) {
                      VectorCase c;
                      c.key = field_bytes(f, "Key");
                      c.aad = field_bytes(f, "AAD");
                      c.plain = field_bytes(f, "PT");
                      c.cipher = field_bytes(f, "CT");
                      c.icv = field_bytes(f, "Tag");
                      c.valid = !f.contains("FAIL");
                      if (f.contains("Key") && size_aead(c, "aes-gcm", field_bytes(f, "IV")))
                        count(c);
                    });
  EXPECT_EQ(ran, 6750);
}

TEST_P(TextSets, CavpCcm) {
  SALINE_NEEDS_VECTORS("nist/cavp/ccmtestvectors");
  for (const char* bits : {"128", "192", "256"}) {
    Bytes key;  // stands once for several records
    for_each_record(vectors_path("nist/cavp/ccmtestvectors/VNT") + bits + ".rsp",
                    [&](const Fields& f) {
                      if (f.contains("Key")) key = field_bytes(f, "Key");
                      if (!f.contains("CT")) return;
                      VectorCase c;
                      c.key = key;
                      c.aad = field_bytes(f, "Adata");
                      c.plain = field_bytes(f, "Payload");
                      c.cipher = field_bytes(f, "CT");
                      cut_icv(c, 16);
                      if (size_aead(c, "aes-ccm", field_bytes(f, "Nonce"))) count(c);
                    });
  }
  EXPECT_EQ(ran, 30);
}

TEST_P(TextSets, CavpCbc) {
  SALINE_NEEDS_VECTORS("nist/cavp");
  std::vector<std::pair<std::string, const char*>> files;
  for (const std::string bits : {"128", "192", "256"}) {
    files.emplace_back("aesmmt/CBCMMT" + bits, "aes-cbc");
    for (const std::string kind : {"GFSbox", "KeySbox", "VarKey", "VarTxt"})
      files.emplace_back("KAT_AES/CBC" + kind + bits, "aes-cbc");
  }
  for (const std::string n : {"1", "2", "3"}) files.emplace_back("tdesmmt/TCBCMMT" + n, "3des-cbc");
  for (const std::string kind : {"invperm", "permop", "subtab", "varkey", "vartext"})
    files.emplace_back("KAT_TDES/TCBC" + kind, "3des-cbc");
  for (const auto& [file, row] : files)
    for_each_record(vectors_path("nist/cavp/" + file + ".rsp"), [&, &name = row](const Fields& f) {
      VectorCase c;
      c.row = name;
      c.key = field_bytes(f, "KEY");
      for (const char* part : {"KEYs", "KEY1", "KEY2", "KEY3"})
        for (int times = 0; times < (std::string(part) == "KEYs" ? 3 : 1); ++times)
          c.key = join(c.key, field_bytes(f, part));
      c.iv = field_bytes(f, "IV");
      c.plain = field_bytes(f, "PLAINTEXT");
      c.cipher = field_bytes(f, "CIPHERTEXT");
      if (f.contains("CIPHERTEXT") && fits(c)) count(c);
    });
  EXPECT_EQ(ran, 2668);
}

TEST_P(TextSets, CavpCmac) {
  SALINE_NEEDS_VECTORS("nist/cavp/cmactestvectors");
  for (const char* name : {"GenAES128", "GenAES192", "GenAES256", "VerAES128", "VerAES256"})
    for_each_record(vectors_path("nist/cavp/cmactestvectors/CMAC") + name + ".rsp",
                    [&](const Fields& f) {
                      if (!f.contains("Mac")) return;
                      VectorCase c;
                      c.row = "aes-cmac";
                      c.key = field_bytes(f, "Key");
                      c.aad = field_bytes(f, "Msg");
                      if (field_text(f, "Mlen") == "0") c.aad.clear();
                      c.icv = field_bytes(f, "Mac");
                      c.valid = !field_text(f, "Result").starts_with("F");
                      EXPECT_EQ(mac_is("aes-cmac", c.key, c.aad, c.icv), c.valid);
                      ++ran;
                      if (fits(c)) run_case(*provider, c);
                    });
  EXPECT_EQ(ran, 816);
}

TEST_P(TextSets, CavpHmac) {
  SALINE_NEEDS_VECTORS("nist/cavp/hmactestvectors/HMAC.rsp");
  const std::map<std::string, const char*> rows = {{"20", "hmac-sha1"},
                                                   {"32", "hmac-sha2-256"},
                                                   {"48", "hmac-sha2-384"},
                                                   {"64", "hmac-sha2-512"}};
  for_each_record(vectors_path("nist/cavp/hmactestvectors/HMAC.rsp"), [&](const Fields& f) {
    const auto row = rows.find(field_text(f, "L"));
    if (row == rows.end() || !f.contains("Mac")) return;
    VectorCase c;
    c.row = row->second;
    c.key = field_bytes(f, "Key");
    c.aad = field_bytes(f, "Msg");
    c.icv = field_bytes(f, "Mac");
    EXPECT_TRUE(mac_is(row->second, c.key, c.aad, c.icv)) << field_text(f, "Count");
    ++ran;
    if (fits(c)) run_case(*provider, c);
  });
  EXPECT_EQ(ran, 1200);
}

TEST_P(TextSets, BoringSsl) {
  SALINE_NEEDS_VECTORS("boringssl");
  const std::map<std::string, const char*> ciphers = {{"AES-128-CBC", "aes-cbc"},
                                                      {"AES-192-CBC", "aes-cbc"},
                                                      {"AES-256-CBC", "aes-cbc"},
                                                      {"DES-EDE3-CBC", "3des-cbc"},
                                                      {"DES-CBC", "des-cbc"}};
  for (const char* name : {"aes_128_cbc", "aes_192_cbc", "aes_256_cbc", "tdes_cbc"})
    for_each_record(vectors_path("boringssl/") + name + ".txt", [&](const Fields& f) {
      const auto row = ciphers.find(field_text(f, "Cipher"));
      if (row == ciphers.end()) return;
      VectorCase c;
      c.row = row->second;
      c.key = field_bytes(f, "Key");
      c.iv = field_bytes(f, "IV");
      c.plain = field_bytes(f, "Plaintext");
      c.cipher = field_bytes(f, "Ciphertext");
      if (fits(c)) count(c);
    });
  const std::pair<const char*, const char*> aeads[] = {
      {"aes_128_gcm_tests", "aes-gcm"},
      {"aes_192_gcm_tests", "aes-gcm"},
      {"aes_256_gcm_tests", "aes-gcm"},
      {"chacha20_poly1305_tests", "chacha20-poly1305"}};
  for (const auto& [name, row] : aeads)
    for_each_record(vectors_path("boringssl/") + name + ".txt", [&, &row = row](const Fields& f) {
      if (!f.contains("KEY")) return;
      VectorCase c;
      c.key = field_bytes(f, "KEY");
      c.aad = field_bytes(f, "AD");
      c.plain = field_bytes(f, "IN");
      c.cipher = field_bytes(f, "CT");
      c.icv = field_bytes(f, "TAG");
      if (size_aead(c, row, field_bytes(f, "NONCE"))) count(c);
    });
  const std::map<std::string, const char*> macs = {{"MD5", "hmac-md5"},
                                                   {"SHA1", "hmac-sha1"},
                                                   {"SHA256", "hmac-sha2-256"},
                                                   {"SHA384", "hmac-sha2-384"},
                                                   {"SHA512", "hmac-sha2-512"}};
  for_each_record(vectors_path("boringssl/boringssl_hmac_tests.txt"), [&](const Fields& f) {
    const auto row = macs.find(field_text(f, "HMAC"));
    if (row == macs.end() || !f.contains("Output")) return;
    ++ran;
    EXPECT_TRUE(mac_is(row->second, field_bytes(f, "Key"), field_bytes(f, "Input"),
                       field_bytes(f, "Output")));
  });
  EXPECT_EQ(ran, 2770);
}

TEST_P(TextSets, BotanCiphers) {
  SALINE_NEEDS_VECTORS("botan");
  const std::map<std::string, std::pair<const char*, std::size_t>> rows = {
      {"DES/CBC/NoPadding", {"des-cbc", 0}},           {"DES/CBC/PKCS7", {"des-cbc", 8}},
      {"TripleDES/CBC/NoPadding", {"3des-cbc", 0}},    {"TripleDES/CBC/PKCS7", {"3des-cbc", 8}},
      {"Blowfish/CBC/NoPadding", {"blowfish-cbc", 0}}, {"CAST-128/CBC/PKCS7", {"cast128-cbc", 8}},
      {"AES-128/CBC/NoPadding", {"aes-cbc", 0}},       {"AES-192/CBC/NoPadding", {"aes-cbc", 0}},
      {"AES-256/CBC/NoPadding", {"aes-cbc", 0}},       {"AES-128/CBC/PKCS7", {"aes-cbc", 16}}};
  for_each_record(vectors_path("botan/modes_cbc.vec"), [&](const Fields& f) {
    const auto row = rows.find(field_text(f, "title"));
    if (row == rows.end()) return;
    VectorCase c;
    c.row = row->second.first;
    c.key = field_bytes(f, "Key");
    if (c.row == "3des-cbc" && c.key.size() == 16)
      c.key = join(c.key, Bytes(c.key.begin(), c.key.begin() + 8));
    c.iv = field_bytes(f, "Nonce");
    c.plain = field_bytes(f, "In");
    if (const std::size_t block = row->second.second; block != 0) {  // RFC 5652 §6.3
      const std::size_t pad = block - c.plain.size() % block;
      c.plain.insert(c.plain.end(), pad, static_cast<std::uint8_t>(pad));
    }
    c.cipher = field_bytes(f, "Out");
    if (fits(c)) count(c);
  });
  EXPECT_EQ(ran, 117);
}

TEST_P(TextSets, BotanAeads) {
  SALINE_NEEDS_VECTORS("botan");
  const std::tuple<const char*, const char*, const char*> files[] = {
      {"aead_gcm", "AES-", "aes-gcm"},
      {"aead_ccm", "AES-", "aes-ccm"},
      {"aead_chacha20poly1305", "ChaCha20Poly1305", "chacha20-poly1305"}};
  for (const auto& [name, prefix, row] : files)
    for_each_record(vectors_path("botan/") + name + ".vec",
                    [&, &start = prefix, &base = row](const Fields& f) {
                      if (!field_text(f, "title").starts_with(start)) return;
                      VectorCase c;
                      c.key = field_bytes(f, "Key");
                      c.aad = field_bytes(f, "AD");
                      c.plain = field_bytes(f, "In");
                      c.cipher = field_bytes(f, "Out");
                      if (c.cipher.size() < c.plain.size()) return;
                      cut_icv(c, c.cipher.size() - c.plain.size());
                      if (size_aead(c, base, field_bytes(f, "Nonce"))) count(c);
                    });
  EXPECT_EQ(ran, 163);
}

TEST_P(TextSets, BotanMacs) {
  SALINE_NEEDS_VECTORS("botan");
  const std::map<std::string, const char*> rows = {
      {"CMAC(AES-128)", "aes-cmac"},      {"CMAC(AES-192)", "aes-cmac"},
      {"CMAC(AES-256)", "aes-cmac"},      {"HMAC(MD5)", "hmac-md5"},
      {"HMAC(SHA-1)", "hmac-sha1"},       {"HMAC(RIPEMD-160)", "hmac-ripemd160"},
      {"HMAC(SHA-256)", "hmac-sha2-256"}, {"HMAC(SHA-384)", "hmac-sha2-384"},
      {"HMAC(SHA-512)", "hmac-sha2-512"}};
  for (const char* name : {"mac_cmac", "mac_hmac"})
    for_each_record(vectors_path("botan/") + name + ".vec", [&](const Fields& f) {
      const auto row = rows.find(field_text(f, "title"));
      if (row == rows.end() || !f.contains("Out")) return;
      VectorCase c;
      c.row = row->second;
      c.key = field_bytes(f, "Key");
      c.aad = field_bytes(f, "In");
      c.icv = field_bytes(f, "Out");
      EXPECT_TRUE(mac_is(row->second, c.key, c.aad, c.icv)) << c.row;
      ++ran;
      if (fits(c)) run_case(*provider, c);
    });
  for_each_record(vectors_path("botan/mac_gmac.vec"), [&](const Fields& f) {
    if (!field_text(f, "title").starts_with("GMAC(AES-")) return;
    VectorCase c;
    c.key = field_bytes(f, "Key");
    c.row = "aes-gmac-" + std::to_string(c.key.size() * 8);
    c.aad = field_bytes(f, "In");
    c.icv = field_bytes(f, "Out");
    const Bytes nonce = field_bytes(f, "IV");
    if (nonce.size() != 12) return;
    split_nonce(c, nonce, 4);
    if (fits(c)) count(c);
  });
  EXPECT_EQ(ran, 211);
}

}  // namespace saline::test
