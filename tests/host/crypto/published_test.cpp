// Published sets from the vector collection: Wycheproof (C2SP) and NIST CAVP. Each test counts what
// it ran, so that a renamed field cannot turn it into nothing.
#include <gtest/gtest.h>

#include <functional>
#include <map>

#include "host/crypto/mac.hpp"
#include "tests/host/crypto/providers.hpp"
#include "tests/host/crypto/sealing.hpp"
#include "tests/host/vectors.hpp"

namespace saline::test {

using crypto::Direction;
using crypto::Result;

namespace {

using Fields = std::map<std::string, std::string>;

// A CAVP response file: `[Name = value]` sections and `Name = value` records, empty lines between.
void for_each_record(const std::string& path, const std::function<void(const Fields&)>& visit) {
  std::ifstream file(path);
  ASSERT_TRUE(file) << path;
  Fields section;
  Fields record;
  const auto flush = [&] {
    if (record.empty()) return;
    Fields all = section;
    for (const auto& field : record) all[field.first] = field.second;
    visit(all);
    record.clear();
  };
  for (std::string line; std::getline(file, line);) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ']')) line.pop_back();
    if (line.empty() || line[0] == '#') {
      flush();
      continue;
    }
    const bool heading = line[0] == '[';
    if (heading) line.erase(0, 1);
    const std::size_t equals = line.find('=');
    const auto trim = [](std::string text) {
      text.erase(0, text.find_first_not_of(' '));
      text.erase(text.find_last_not_of(' ') + 1);
      return text;
    };
    const std::string name = trim(line.substr(0, equals));
    (heading ? section : record)[name] =
        equals == std::string::npos ? "" : trim(line.substr(equals + 1));
  }
  flush();
}

Bytes join(Bytes first, const Bytes& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

// A 96-bit nonce as RFC 4106 splits it.
struct SplitNonce {
  Bytes key_and_salt;
  Bytes iv;
};
SplitNonce split(const Bytes& key, const Bytes& nonce) {
  return {join(key, Bytes(nonce.begin(), nonce.begin() + 4)),
          Bytes(nonce.begin() + 4, nonce.end())};
}

}  // namespace

class Wycheproof : public ProviderTest {};
class Cavp : public ProviderTest {};
SALINE_FOR_ALL_PROVIDERS(Wycheproof);
SALINE_FOR_ALL_PROVIDERS(Cavp);

TEST_P(Wycheproof, AesGcm) {
  SALINE_NEEDS_VECTORS("wycheproof/aes_gcm_test.json");
  const JsonFile file(vectors_path("wycheproof/aes_gcm_test.json"));
  int valid = 0;
  int invalid = 0;
  const Json groups = file.root()["testGroups"];
  for (std::size_t g = 0; g < groups.size(); ++g) {
    if (groups[g]["ivSize"].number() != 96 || groups[g]["tagSize"].number() != 128) continue;
    const Json tests = groups[g]["tests"];
    for (std::size_t i = 0; i < tests.size(); ++i) {
      const Json test = tests[i];
      SCOPED_TRACE("tcId " + std::to_string(test["tcId"].number()));
      const SplitNonce nonce = split(test["key"].hex(), test["iv"].hex());
      const bool good = test["result"].text() == "valid";
      const auto opened = crypt(*provider, "aes-gcm-16", Direction::open, nonce.key_and_salt,
                                nonce.iv, test["ct"].hex(), test["aad"].hex(), test["tag"].hex());
      EXPECT_EQ(opened.result, good ? Result::ok : Result::icv_mismatch);
      if (!good) {
        ++invalid;
        continue;
      }
      ++valid;
      EXPECT_EQ(opened.text, test["msg"].hex());
      const auto sealed = crypt(*provider, "aes-gcm-16", Direction::seal, nonce.key_and_salt,
                                nonce.iv, test["msg"].hex(), test["aad"].hex());
      EXPECT_EQ(sealed.text, test["ct"].hex());
      EXPECT_EQ(sealed.icv, test["tag"].hex());
    }
  }
  EXPECT_EQ(valid, 116);
  EXPECT_EQ(invalid, 81);
}

TEST_P(Wycheproof, AesCbc) {
  SALINE_NEEDS_VECTORS("wycheproof/aes_cbc_pkcs5_test.json");
  const JsonFile file(vectors_path("wycheproof/aes_cbc_pkcs5_test.json"));
  int ran = 0;
  const Json groups = file.root()["testGroups"];
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const Json tests = groups[g]["tests"];
    for (std::size_t i = 0; i < tests.size(); ++i) {
      const Json test = tests[i];
      if (test["result"].text() != "valid") continue;
      SCOPED_TRACE("tcId " + std::to_string(test["tcId"].number()));
      Bytes padded = test["msg"].hex();
      const std::size_t pad = 16 - padded.size() % 16;
      padded.insert(padded.end(), pad, static_cast<std::uint8_t>(pad));
      EXPECT_EQ(
          crypt(*provider, "aes-cbc", Direction::seal, test["key"].hex(), test["iv"].hex(), padded)
              .text,
          test["ct"].hex());
      ++ran;
    }
  }
  EXPECT_EQ(ran, 72);
}

TEST_P(Wycheproof, Hmac) {
  SALINE_NEEDS_VECTORS("wycheproof/hmac_sha256_test.json");
  const std::pair<const char*, const char*> sets[] = {{"hmac_sha1_test.json", "hmac-sha1"},
                                                      {"hmac_sha256_test.json", "hmac-sha2-256"},
                                                      {"hmac_sha384_test.json", "hmac-sha2-384"},
                                                      {"hmac_sha512_test.json", "hmac-sha2-512"}};
  for (const auto& [name, algorithm] : sets) {
    const JsonFile file(vectors_path(std::string("wycheproof/") + name));
    int ran = 0;
    const Json groups = file.root()["testGroups"];
    for (std::size_t g = 0; g < groups.size(); ++g) {
      const Json tests = groups[g]["tests"];
      for (std::size_t i = 0; i < tests.size(); ++i) {
        const Json test = tests[i];
        const auto hmac =
            crypto::make_hmac(crypto::find_integrity(algorithm)->method, test["key"].hex());
        const Bytes message = test["msg"].hex();
        Bytes mac(test["tag"].hex().size());
        const std::span<const std::uint8_t> parts[] = {message};
        hmac->compute(parts, mac);
        const bool good = test["result"].text() == "valid";
        EXPECT_EQ(mac == test["tag"].hex(), good) << name << " tcId " << test["tcId"].number();
        if (good) {
          EXPECT_TRUE(signs_as(*provider, algorithm, test["key"].hex(), message, mac))
              << name << " tcId " << test["tcId"].number();
        }
        ++ran;
      }
    }
    EXPECT_GE(ran, 170) << name;
  }
}

TEST_P(Cavp, AesGcm) {
  SALINE_NEEDS_VECTORS("nist/cavp/gcmtestvectors");
  int passed = 0;
  int failed = 0;
  for (const char* bits : {"128", "192", "256"}) {
    for (const char* kind : {"gcmDecrypt", "gcmEncryptExtIV"}) {
      const bool seal = std::string(kind) != "gcmDecrypt";
      const std::string path =
          vectors_path(std::string("nist/cavp/gcmtestvectors/") + kind + bits + ".rsp");
      for_each_record(path, [&](const Fields& f) {
        if (!f.contains("Key") || f.at("IVlen") != "96" || f.at("Taglen") != "128") return;
        const SplitNonce nonce = split(base::from_hex(f.at("Key")), base::from_hex(f.at("IV")));
        const Bytes text = base::from_hex(f.at(seal ? "PT" : "CT"));
        const auto done = crypt(*provider, "aes-gcm-16", seal ? Direction::seal : Direction::open,
                                nonce.key_and_salt, nonce.iv, text, base::from_hex(f.at("AAD")),
                                seal ? Bytes(16) : base::from_hex(f.at("Tag")));
        if (f.contains("FAIL")) {
          EXPECT_EQ(done.result, Result::icv_mismatch) << path << f.at("Count");
          ++failed;
          return;
        }
        EXPECT_EQ(done.result, Result::ok) << path << f.at("Count");
        EXPECT_EQ(done.text, base::from_hex(f.at(seal ? "CT" : "PT"))) << path << f.at("Count");
        if (seal) {
          EXPECT_EQ(done.icv, base::from_hex(f.at("Tag"))) << path << f.at("Count");
        }
        ++passed;
      });
    }
  }
  EXPECT_GE(passed, 1500);
  EXPECT_GE(failed, 400);
}

TEST_P(Cavp, CbcCiphers) {
  SALINE_NEEDS_VECTORS("nist/cavp/aesmmt");
  const std::pair<const char*, const char*> files[] = {
      {"aesmmt/CBCMMT128.rsp", "aes-cbc"},      {"aesmmt/CBCMMT192.rsp", "aes-cbc"},
      {"aesmmt/CBCMMT256.rsp", "aes-cbc"},      {"KAT_AES/CBCVarKey256.rsp", "aes-cbc"},
      {"KAT_AES/CBCGFSbox128.rsp", "aes-cbc"},  {"KAT_AES/CBCKeySbox192.rsp", "aes-cbc"},
      {"KAT_AES/CBCVarTxt128.rsp", "aes-cbc"},  {"tdesmmt/TCBCMMT1.rsp", "3des-cbc"},
      {"tdesmmt/TCBCMMT2.rsp", "3des-cbc"},     {"tdesmmt/TCBCMMT3.rsp", "3des-cbc"},
      {"KAT_TDES/TCBCvarkey.rsp", "des-cbc"},   {"KAT_TDES/TCBCvartext.rsp", "des-cbc"},
      {"KAT_TDES/TCBCinvperm.rsp", "3des-cbc"},
  };
  int ran = 0;
  for (const auto& [name, cipher] : files) {
    for_each_record(vectors_path(std::string("nist/cavp/") + name), [&](const Fields& f) {
      if (!f.contains("PLAINTEXT")) return;
      Bytes key;
      if (f.contains("KEY")) key = base::from_hex(f.at("KEY"));
      if (f.contains("KEY1")) key = base::from_hex(f.at("KEY1") + f.at("KEY2") + f.at("KEY3"));
      if (f.contains("KEYs")) {
        const std::string part = f.at("KEYs");
        key = base::from_hex(std::string(cipher) == "des-cbc" ? part : part + part + part);
      }
      const Bytes iv = base::from_hex(f.at("IV"));
      const Bytes plain = base::from_hex(f.at("PLAINTEXT"));
      const Bytes text = base::from_hex(f.at("CIPHERTEXT"));
      EXPECT_EQ(crypt(*provider, cipher, Direction::seal, key, iv, plain).text, text) << name;
      EXPECT_EQ(crypt(*provider, cipher, Direction::open, key, iv, text).text, plain) << name;
      ++ran;
    });
  }
  EXPECT_GE(ran, 1000);
}

TEST_P(Cavp, Hmac) {
  SALINE_NEEDS_VECTORS("nist/cavp/hmactestvectors/HMAC.rsp");
  const std::map<std::string, const char*> names = {{"20", "hmac-sha1"},
                                                    {"32", "hmac-sha2-256"},
                                                    {"48", "hmac-sha2-384"},
                                                    {"64", "hmac-sha2-512"}};
  int ran = 0;
  for_each_record(vectors_path("nist/cavp/hmactestvectors/HMAC.rsp"), [&](const Fields& f) {
    const auto name = names.find(f.at("L"));
    if (name == names.end() || !f.contains("Mac")) return;
    const Bytes key = base::from_hex(f.at("Key"));
    const auto hmac = crypto::make_hmac(crypto::find_integrity(name->second)->method, key);
    const Bytes message = base::from_hex(f.at("Msg"));
    Bytes mac(std::stoul(f.at("Tlen")));
    const std::span<const std::uint8_t> parts[] = {message};
    hmac->compute(parts, mac);
    EXPECT_EQ(base::to_hex(mac), f.at("Mac")) << f.at("Count");
    EXPECT_TRUE(signs_as(*provider, name->second, key, message, mac)) << f.at("Count");
    ++ran;
  });
  EXPECT_GE(ran, 1000);
}

}  // namespace saline::test
