// The GHASH powers against libcrypto: the ICVs of two messages that differ by the field's one in
// one block differ by a power of H, with no multiplication on this side.
#include "driver/gcm_powers.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "host/base/bytes.hpp"
#include "host/base/error.hpp"
#include "host/crypto/provider.hpp"

namespace saline::driver {
namespace {

using Block = std::array<std::uint8_t, 16>;

Block icv_of(crypto::Provider& provider, crypto::Session& session,
             const std::vector<std::uint8_t>& aad) {
  const std::array<std::uint8_t, 8> iv{1, 2, 3, 4, 5, 6, 7, 8};
  Block icv{};
  crypto::Job job;
  job.session = &session;
  job.iv = iv.data();
  job.authenticated[0] = aad;
  job.icv = icv.data();
  provider.run({&job, 1});
  EXPECT_EQ(job.result, crypto::Result::ok);
  return icv;
}

class GcmPowers : public testing::TestWithParam<std::size_t> {};
INSTANTIATE_TEST_SUITE_P(KeyBytes, GcmPowers, testing::Values(16, 32));

TEST_P(GcmPowers, AgreeWithTheIcvsOfLibcrypto) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const auto provider = crypto::make_provider();
  for (int round = 0; round < 20; ++round) {
    std::vector<std::uint8_t> key_and_salt(GetParam() + 4);
    for (auto& byte : key_and_salt) byte = static_cast<std::uint8_t>(random());
    const auto powers = gcm_hash_powers(std::span(key_and_salt).first(GetParam()));
    crypto::SessionKeys keys;
    keys.encryption = crypto::find_encryption("aes-gcm-16");
    ASSERT_NE(keys.encryption, nullptr);
    keys.encryption_key = key_and_salt;
    const auto session = provider->open(keys);
    // Three blocks of AAD and the length block: block i is multiplied by H^(4 - i).
    const Block zero = icv_of(*provider, *session, std::vector<std::uint8_t>(48));
    for (std::size_t block = 0; block < 3; ++block) {
      std::vector<std::uint8_t> aad(48);
      aad[16 * block] = 0x80;
      Block power = icv_of(*provider, *session, aad);
      for (std::size_t i = 0; i < 16; ++i) power[i] ^= zero[i];
      EXPECT_EQ(base::to_hex(power), base::to_hex(std::span(powers).subspan(16 * block, 16)));
    }
    const Block subkey =
        crypto::aes_encrypt_block(std::span(key_and_salt).first(GetParam()), Block{});
    EXPECT_EQ(base::to_hex(subkey), base::to_hex(std::span(powers).last(16)));
  }
}

TEST(GcmPowersOfAKey, RefuseOtherKeyLengths) {
  for (const std::size_t bytes : {0, 8, 20, 24, 36}) {
    EXPECT_THROW(gcm_hash_powers(std::vector<std::uint8_t>(bytes)), base::Error) << bytes;
  }
}

}  // namespace
}  // namespace saline::driver
