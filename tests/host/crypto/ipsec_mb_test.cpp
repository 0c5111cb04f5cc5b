// What only the ipsec-mb provider has: memory of its own for keys, sessions that tell what a packet
// reads of them, and limits. That it computes the right bytes is in agreement_test.cpp.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>

#include "host/crypto/key_memory.hpp"
#include "tests/host/crypto/providers.hpp"
#include "tests/host/crypto/sealing.hpp"

namespace saline::test {

using namespace saline::crypto;

namespace {

std::unique_ptr<Session> open_with_key(Provider& provider, const char* encryption,
                                       const char* integrity, std::uint8_t key_byte) {
  SessionKeys keys;
  keys.encryption = find_encryption(encryption);
  const Bytes cipher_key(keys.encryption->key_bits_min / 8, key_byte);
  keys.encryption_key = cipher_key;
  Bytes mac_key;
  if (integrity != nullptr) {
    keys.integrity = find_integrity(integrity);
    mac_key.assign(keys.integrity->key_bits_min / 8, key_byte);
    keys.integrity_key = mac_key;
  }
  return provider.open(keys);
}

class IpsecMb : public testing::Test {
 protected:
  void SetUp() override {
    try {
      provider = make_ipsec_mb_provider();
    } catch (const base::Error& error) {
      GTEST_SKIP() << error.what();
    }
  }
  std::unique_ptr<Provider> provider;
};

}  // namespace

TEST(KeyMemory, BlocksAreLinesOfTheirOwnAndZero) {
  std::set<std::uint8_t*> seen;
  for (int i = 0; i < 6000; ++i) {  // more than a region
    auto* const block = static_cast<std::uint8_t*>(allocate_key_memory(448));
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block) % 64, 0u);
    EXPECT_TRUE(std::all_of(block, block + 448, [](std::uint8_t byte) { return byte == 0; }));
    std::memset(block, 0xAA, 448);
    seen.insert(block);
  }
  ASSERT_EQ(seen.size(), 6000u);
  const std::uint8_t* before = nullptr;
  for (std::uint8_t* block : seen) {
    EXPECT_TRUE(before == nullptr || block - before >= 448);
    before = block;
  }
  for (std::uint8_t* block : seen) free_key_memory(block);
}

TEST(KeyMemory, AFreedBlockIsWipedAtOnceAndUsedAgain) {
  auto* const block = static_cast<std::uint8_t*>(allocate_key_memory(384));
  std::memset(block, 0xAA, 384);
  free_key_memory(block + 200);  // any address inside
  // The region stays; the first word links free blocks.
  EXPECT_TRUE(std::all_of(block + 8, block + 384, [](std::uint8_t byte) { return byte == 0; }));
  auto* const again = static_cast<std::uint8_t*>(allocate_key_memory(384));
  EXPECT_EQ(again, block);
  EXPECT_TRUE(std::all_of(again, again + 384, [](std::uint8_t byte) { return byte == 0; }));
  free_key_memory(again);
}

TEST_F(IpsecMb, ASessionLeavesNoKeyBehind) {
  for (const char* cipher : {"aes-gcm-16", "aes-cbc"}) {
    auto session = open_with_key(*provider, cipher, cipher[4] == 'c' ? "hmac-sha1" : nullptr, 0x5C);
    const HotMemory hot = session->hot_memory(Direction::seal);
    ASSERT_GT(hot.always_bytes, 64);
    const auto* const bytes = reinterpret_cast<const std::uint8_t*>(hot.always);
    const auto is_zero = [](std::uint8_t byte) { return byte == 0; };
    EXPECT_FALSE(std::all_of(bytes + 16, bytes + hot.always_bytes, is_zero));
    session.reset();
    EXPECT_TRUE(std::all_of(bytes + 16, bytes + hot.always_bytes, is_zero));
  }
}

namespace {

// One packet through a session; an AEAD's or a chain's.
Sealed run_packet(Provider& provider, Session& session, bool aead, Direction direction, Bytes text,
                  Bytes icv) {
  Sealed packet{Result::pending, std::move(text), std::move(icv)};
  const Bytes iv(16, 3);
  Job job;
  job.session = &session;
  job.direction = direction;
  job.iv = iv.data();
  job.text = packet.text;
  job.authenticated[0] = aead ? std::span<const std::uint8_t>(iv).first(8)
                              : std::span<const std::uint8_t>(packet.text);
  job.icv = packet.icv.data();
  provider.run({&job, 1});
  packet.result = job.result;
  return packet;
}

void copy_hot(const HotMemory& from, const HotMemory& to) {
  ASSERT_EQ(from.always_bytes, to.always_bytes);
  std::memcpy(const_cast<std::byte*>(to.always), from.always, from.always_bytes);
  if (from.by_text_bytes == 0) return;
  std::memcpy(const_cast<std::byte*>(to.by_text_end) - to.by_text_bytes,
              from.by_text_end - from.by_text_bytes, from.by_text_bytes);
}

}  // namespace

// All that a packet reads lies in what is announced: a session that is given the announced memory
// of another does what the other does.
TEST_F(IpsecMb, HotMemoryHoldsAllThatAPacketReads) {
  const std::unique_ptr<Provider> providers[] = {make_ipsec_mb_provider(), make_provider()};
  for (const auto& each : providers)
    for (const char* cipher : {"aes-gcm-16", "aes-cbc", "aes-ctr"})
      for (const Direction direction : {Direction::seal, Direction::open}) {
        SCOPED_TRACE(std::string(each->name()) + " " + cipher);
        const bool aead = std::string(cipher) == "aes-gcm-16";
        const char* const hash = aead ? nullptr : "hmac-sha2-256";
        const auto one = open_with_key(*each, cipher, hash, 1);
        const auto two = open_with_key(*each, cipher, hash, 2);
        const Bytes plain(1424, 0x77);
        const Sealed sealed = run_packet(*each, *one, aead, Direction::seal, plain, Bytes(16));
        const auto as_one_does = [&] {
          if (direction == Direction::seal)
            return run_packet(*each, *two, aead, direction, plain, Bytes(16)).text == sealed.text;
          return run_packet(*each, *two, aead, direction, sealed.text, sealed.icv).text == plain;
        };
        EXPECT_FALSE(as_one_does());
        prefetch(one->hot_memory(direction), plain.size());
        copy_hot(one->hot_memory(direction), two->hot_memory(direction));
        EXPECT_TRUE(as_one_does());
      }
}

TEST_F(IpsecMb, RefusesWhatItDoesNotKnow) {
  for (const char* cipher : {"camellia-cbc", "blowfish-cbc", "twofish-cbc"}) {
    EXPECT_FALSE(provider->supports(find_encryption(cipher), nullptr));
    try {
      open_with_key(*provider, cipher, nullptr, 1);
      FAIL() << cipher;
    } catch (const base::Error& error) {
      EXPECT_EQ(error.errno_value(), ENOTSUP);
    }
  }
}

TEST_F(IpsecMb, NothingToSignFailsAndSpoilsNothing) {
  const Bytes key(20, 1);
  const Bytes good = sign(*provider, "hmac-sha1", key, Bytes(100, 2));
  EXPECT_EQ(sign(*provider, "hmac-sha1", key, {}), Bytes{});
  EXPECT_EQ(sign(*provider, "hmac-sha1", key, Bytes(100, 2)), good);
}

}  // namespace saline::test
