// Sessions, random bytes, single AES blocks and weak DES keys.
#include "host/crypto/provider.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "host/base/bytes.hpp"
#include "host/base/error.hpp"
#include "tests/host/crypto/providers.hpp"
#include "tests/host/crypto/sealing.hpp"

namespace saline::test {

using namespace saline::crypto;

class ProviderRules : public ProviderTest {};
SALINE_FOR_ALL_PROVIDERS(ProviderRules);

TEST_P(ProviderRules, TruncatedTextOfABlockCipherFails) {
  EXPECT_EQ(crypt(*provider, "aes-cbc", Direction::seal, Bytes(16), Bytes(16), Bytes(17)).result,
            Result::failed);
}

TEST_P(ProviderRules, WrongIcvLeavesNoPlaintext) {
  const Bytes key(20, 7);
  const Bytes iv(8, 1);
  const Bytes plain(40, 0x61);
  auto sealed = crypt(*provider, "aes-gcm-16", Direction::seal, key, iv, plain);
  sealed.icv[15] ^= 1;
  const auto opened =
      crypt(*provider, "aes-gcm-16", Direction::open, key, iv, sealed.text, {}, sealed.icv);
  EXPECT_EQ(opened.result, Result::icv_mismatch);
  EXPECT_EQ(opened.text, Bytes(40)) << "unauthenticated plaintext was left";
}

TEST_P(ProviderRules, ASessionGoesBothWaysInAnyOrder) {
  SessionKeys keys;
  keys.encryption = find_encryption("aes-cbc");
  const Bytes cipher_key(32, 3);
  keys.encryption_key = cipher_key;
  keys.integrity = find_integrity("hmac-sha1");
  const Bytes mac_key(20, 4);
  keys.integrity_key = mac_key;
  const auto session = provider->open(keys);
  const Bytes iv(16, 9);
  Bytes text(64, 0x55);
  Bytes icv(12);
  for (int round = 0; round < 3; ++round) {
    Job job;
    job.session = session.get();
    job.iv = iv.data();
    job.text = text;
    job.authenticated[0] = text;
    job.icv = icv.data();
    provider->run({&job, 1});
    EXPECT_EQ(job.result, Result::ok);
    EXPECT_NE(text, Bytes(64, 0x55));
    job.direction = Direction::open;
    provider->run({&job, 1});
    EXPECT_EQ(job.result, Result::ok);
    EXPECT_EQ(text, Bytes(64, 0x55));
  }
}

TEST(RandomStream, DoesNotRepeat) {
  RandomStream stream;
  std::set<Bytes> seen;
  for (int i = 0; i < 2000; ++i) {
    Bytes iv(16);
    ASSERT_TRUE(stream.fill(iv));
    EXPECT_TRUE(seen.insert(iv).second);
  }
}

// NIST FIPS 197, appendix C.
TEST(AesBlock, MatchesTheStandard) {
  const Bytes plain = base::from_hex("00112233445566778899aabbccddeeff");
  const std::pair<std::size_t, const char*> cases[] = {
      {16, "69c4e0d86a7b0430d8cdb78070b4c55a"},
      {24, "dda97ca4864cdfe06eaf70a0ec0d7191"},
      {32, "8ea2b7ca516745bfeafc49904b496089"},
  };
  for (const auto& [bytes, cipher] : cases) {
    Bytes key(bytes);
    for (std::size_t i = 0; i < bytes; ++i) key[i] = static_cast<std::uint8_t>(i);
    std::array<std::uint8_t, 16> out;
    aes_encrypt_block(key, plain.data(), out.data());
    EXPECT_EQ(base::to_hex(out), cipher);
  }
  std::array<std::uint8_t, 16> out;
  EXPECT_THROW(aes_encrypt_block(Bytes(15), plain.data(), out.data()), base::Error);
}

TEST(DesKeys, WeakOnesAreKnown) {
  EXPECT_TRUE(is_weak_des_key(base::from_hex("0101010101010101")));
  EXPECT_TRUE(is_weak_des_key(base::from_hex("0000000000000000"))) << "parity is not looked at";
  EXPECT_TRUE(is_weak_des_key(base::from_hex("01fe01fe01fe01fe"))) << "semi-weak";
  EXPECT_FALSE(is_weak_des_key(base::from_hex("0123456789abcdef")));
  const std::string a = "0123456789abcdef";
  const std::string b = "23456789abcdef01";
  const std::string c = "456789abcdef0123";
  EXPECT_TRUE(is_weak_des_key(base::from_hex(a + a + c))) << "K1 = K2";
  EXPECT_TRUE(is_weak_des_key(base::from_hex(a + b + b))) << "K2 = K3";
  EXPECT_FALSE(is_weak_des_key(base::from_hex(a + b + a))) << "two-key 3DES is allowed";
  EXPECT_FALSE(is_weak_des_key(base::from_hex(a + b + c)));
}

}  // namespace saline::test
