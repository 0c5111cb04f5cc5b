// The algorithm table agrees with itself and with the RFCs.
#include "host/crypto/algorithms.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <tuple>

namespace saline::crypto {

TEST(Algorithms, NamesAndNumbersAreUniqueWithinTheirKind) {
  std::set<std::pair<Kind, std::string_view>> names;
  std::set<std::tuple<Kind, int, std::uint32_t>> numbers;
  for (const Algorithm& row : algorithms()) {
    const Kind kind = row.kind == Kind::aead ? Kind::cipher : row.kind;
    EXPECT_TRUE(names.emplace(kind, row.name).second) << row.name;
    EXPECT_TRUE(numbers.emplace(kind, row.pfkey_id, row.pfkey_flags).second) << row.name;
  }
}

TEST(Algorithms, SizesAgreeWithEachOther) {
  for (const Algorithm& row : algorithms()) {
    SCOPED_TRACE(row.name);
    EXPECT_TRUE(row.key_bits_valid(row.key_bits_min));
    EXPECT_TRUE(row.key_bits_valid(row.key_bits_max));
    EXPECT_FALSE(row.key_bits_valid(row.key_bits_max + 8u));
    EXPECT_EQ(row.key_bits_valid(row.key_bits_min + 8u), row.key_bits_step == 8);
    EXPECT_EQ(row.icv_bytes != 0, row.kind == Kind::aead || (row.kind == Kind::integrity &&
                                                             row.method != Method::null_integrity));
    EXPECT_LE(row.icv_bytes, 32) << "icv buffers of the packet walk";
    EXPECT_LE(row.iv_bytes, 16);
    EXPECT_TRUE(row.document.starts_with("RFC ") || row.document.starts_with("draft-"));
  }
}

TEST(Algorithms, CountKeysAsPfkeyDoes) {
  const Algorithm* gcm = find_encryption("aes-gcm-16");
  ASSERT_NE(gcm, nullptr);
  EXPECT_EQ(gcm->key_bits_min, 160);
  EXPECT_EQ(gcm->key_bits_max, 288);
  EXPECT_TRUE(gcm->key_bits_valid(224));
  EXPECT_FALSE(gcm->key_bits_valid(128));
  EXPECT_EQ(gcm->pfkey_id, 20);
}

TEST(Algorithms, Sha256IsCutTo128BitsAsRfc4868Says) {
  EXPECT_EQ(find_integrity("hmac-sha2-256")->icv_bytes, 16);
  EXPECT_EQ(find_integrity(std::uint8_t{5})->icv_bytes, 16);
}

TEST(Algorithms, AliasesFindTheSameRow) {
  EXPECT_EQ(find_encryption("rijndael-cbc"), find_encryption("aes-cbc"));
  EXPECT_EQ(find_encryption("simple"), find_encryption("null"));
  EXPECT_EQ(find_integrity("hmac-sha256"), find_integrity("hmac-sha2-256"));
  EXPECT_NE(find_integrity("null"), find_encryption("null"));
  EXPECT_EQ(find_encryption("hmac-sha1"), nullptr);
  EXPECT_EQ(find_integrity("aes-cbc"), nullptr);
  EXPECT_EQ(find_encryption("rot13"), nullptr);
  EXPECT_EQ(find_encryption(std::uint8_t{0}), nullptr);
}

TEST(Algorithms, HardwareSuiteDependsOnKeySizeAndIntegrity) {
  const Algorithm* gcm = find_encryption("aes-gcm-16");
  EXPECT_EQ(hardware_suite(gcm, nullptr, 160), hw::Suite::aes_gcm_128_16);
  EXPECT_EQ(hardware_suite(gcm, find_integrity("null"), 288), hw::Suite::aes_gcm_256_16);
  EXPECT_EQ(hardware_suite(gcm, nullptr, 224), hw::Suite::none);
  EXPECT_EQ(hardware_suite(gcm, find_integrity("hmac-sha1"), 160), hw::Suite::none);
  EXPECT_EQ(hardware_suite(nullptr, find_integrity("hmac-sha1"), 160), hw::Suite::none);
  EXPECT_EQ(hardware_suite(find_encryption("aes-cbc"), nullptr, 128), hw::Suite::none);
}

}  // namespace saline::crypto
