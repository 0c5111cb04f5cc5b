// The generated header: records keep their fields through bytes and back, first field first,
// reserved bits zero, and the tables of values and registers agree with the constants.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

#include "hw/interface/saline_hw.hpp"

namespace saline::hw {
namespace {

template <class Record, class Decode>
void round_trip(Decode decode) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (int round = 0; round < 200; ++round) {
    std::array<std::uint8_t, Record::kBytes> noise{};
    for (auto& byte : noise) byte = static_cast<std::uint8_t>(random());
    const Record record = decode(noise);
    const auto bytes = record.encode();
    ASSERT_EQ(decode(bytes), record);
    // What differs from the noise are reserved bits, and those are zero.
    for (std::size_t i = 0; i < noise.size(); ++i) ASSERT_EQ(bytes[i] & ~noise[i], 0) << i;
  }
}

TEST(Records, SurviveBytesAndBack) {
  round_trip<SaContext>([](const auto& b) { return decode_sa_context(b); });
  round_trip<LookupEntry>([](const auto& b) { return decode_lookup_entry(b); });
  round_trip<PolicyEntry>([](const auto& b) { return decode_policy_entry(b); });
  round_trip<TxDescriptor>([](const auto& b) { return decode_tx_descriptor(b); });
  round_trip<RxDescriptor>([](const auto& b) { return decode_rx_descriptor(b); });
  round_trip<RxCompletion>([](const auto& b) { return decode_rx_completion(b); });
  round_trip<Event>([](const auto& b) { return decode_event(b); });
  round_trip<SaCounters>([](const auto& b) { return decode_sa_counters(b); });
}

TEST(Records, AreZeroByDefault) {
  EXPECT_EQ(SaContext{}.encode(), (std::array<std::uint8_t, SaContext::kBytes>{}));
  EXPECT_EQ(decode_sa_context(SaContext{}.encode()), SaContext{});
}

TEST(Records, PutTheFirstFieldFirstAndMostSignificantBitFirst) {
  SaContext sa;
  sa.valid = true;
  sa.copy_flow_label = true;
  sa.suite = 2;
  sa.df_mode = 2;
  sa.spi = 0x0A0B0C0D;
  sa.flow_label = 0xABCDE;
  sa.sa_tag = 0x1122;
  sa.source = {1, 2, 3, 4};
  sa.key[31] = 0x99;
  sa.hash_powers[0] = 0x77;
  const auto bytes = sa.encode();
  EXPECT_EQ(bytes[0], 0x81);
  EXPECT_EQ(bytes[1], 2);
  EXPECT_EQ(bytes[3], 0x80);
  EXPECT_EQ(bytes[4], 0x0A);
  EXPECT_EQ(bytes[7], 0x0D);
  EXPECT_EQ(bytes[15], 0x0A);  // 12 reserved bits, then the label
  EXPECT_EQ(bytes[16], 0xBC);
  EXPECT_EQ(bytes[17], 0xDE);
  EXPECT_EQ(bytes[18], 0x11);
  EXPECT_EQ(bytes[20], 1);
  EXPECT_EQ(bytes[131], 0x99);
  EXPECT_EQ(bytes[132], 0x77);
  EXPECT_EQ((RxCompletion{.phase = 2}.encode()[31]), 2);
  EXPECT_EQ((TxDescriptor{.address = 0x0102030405060708}.encode()[7]), 8);
}

TEST(Records, IgnoreBitsBeyondAField) {
  SaContext sa;
  sa.df_mode = 0xFF;
  sa.flow_label = 0xFFFFFFFF;
  const auto bytes = sa.encode();
  EXPECT_EQ(bytes[3], 0xC0);
  EXPECT_EQ(bytes[14], 0);
  EXPECT_EQ(bytes[15], 0x0F);
}

TEST(Records, HaveTheSizesOfTheConstants) {
  EXPECT_EQ(SaContext::kBytes, kSaContextBytes);
  EXPECT_EQ(PolicyEntry::kBytes, kPolicyEntryBytes);
  EXPECT_EQ(LookupEntry::kBytes, kLookupEntryBytes);
  EXPECT_EQ(TxDescriptor::kBytes, kDescriptorBytes);
  EXPECT_EQ(RxDescriptor::kBytes, kDescriptorBytes);
  EXPECT_EQ(RxCompletion::kBytes, kDescriptorBytes);
  EXPECT_EQ(Event::kBytes, kDescriptorBytes);
  EXPECT_EQ(SaCounters::kBytes, 64u);
}

TEST(Values, HaveTheirNames) {
  for (const auto& [value, name, doc] : kDropReasonValues) {
    EXPECT_STREQ(to_string(value), name);
    EXPECT_LT(static_cast<std::size_t>(value), kDropReasonCount);
    EXPECT_NE(std::string(doc), "");
  }
  EXPECT_STREQ(to_string(DropReason::seq_overflow), "seq_overflow");
  EXPECT_STREQ(to_string(static_cast<DropReason>(200)), "unknown");
  EXPECT_EQ(static_cast<int>(Suite::aes_gcm_256_16), 2);
}

TEST(RegisterTable, HasEachOffsetOnce) {
  std::map<std::uint32_t, std::string> seen;
  for (const auto& r : kRegisters) {
    EXPECT_TRUE(seen.emplace(r.offset, r.name).second) << r.name;
    EXPECT_EQ(r.offset % 4, 0u) << r.name;
    EXPECT_LT(r.offset, 0x1000u) << r.name;
  }
  EXPECT_EQ(seen.at(reg::table_commit), "table_commit");
  EXPECT_EQ(seen.at(reg::fingerprint), "fingerprint");
}

}  // namespace
}  // namespace saline::hw
