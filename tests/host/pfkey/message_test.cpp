// The codec against bytes typed by hand, and against itself.
#include "host/pfkey/message.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>

#include "host/base/error.hpp"
#include "tests/host/pfkey/samples.hpp"

namespace saline::pfkey {
namespace {

using ::testing::ElementsAreArray;

void expect_same(const Message& a, const Message& b) {
  EXPECT_EQ(static_cast<const PublicMessage&>(a), static_cast<const PublicMessage&>(b));
  const auto same_key = [](const std::optional<Key>& x, const std::optional<Key>& y) {
    ASSERT_EQ(x.has_value(), y.has_value());
    if (!x) return;
    EXPECT_EQ(x->bits, y->bits);
    EXPECT_TRUE(std::ranges::equal(x->bytes.bytes(), y->bytes.bytes()));
  };
  same_key(a.key_auth, b.key_auth);
  same_key(a.key_encrypt, b.key_encrypt);
}

TEST(PfkeyMessage, DecodesAnAddTypedByHand) {
  const Message m = decode(bytes_of(kAddHex));
  EXPECT_EQ(m.type, MessageType::add);
  EXPECT_EQ(m.satype, SaType::esp);
  EXPECT_EQ(m.seq, 7U);
  EXPECT_EQ(m.pid, 12345U);
  EXPECT_EQ(m.sa, (Sa{0x1000, 4, SaState::larval, 3, 12, 0x40}));
  EXPECT_EQ(m.hard, (Lifetime{0, 0, 3600, 0}));
  EXPECT_FALSE(m.soft);
  EXPECT_EQ(m.source, address("10.0.0.1", 32));
  EXPECT_EQ(m.destination, address("10.0.0.2", 32));
  ASSERT_TRUE(m.key_encrypt);
  EXPECT_EQ(m.key_encrypt->bits, 128);
  EXPECT_EQ(m.key_encrypt->bytes.bytes()[15], 0xff);
  EXPECT_FALSE(m.key_auth);
  EXPECT_EQ(m.sa2, (Sa2{Mode::tunnel, 0, 5}));
}

TEST(PfkeyMessage, EncodesTheSameBytes) {
  const auto add = bytes_of(kAddHex);
  EXPECT_THAT(encode(decode(add)), ElementsAreArray(add));
  const auto spdadd = bytes_of(kSpdAddHex);
  EXPECT_THAT(encode(decode(spdadd)), ElementsAreArray(spdadd));
}

TEST(PfkeyMessage, DecodesAPolicyTypedByHand) {
  expect_same(decode(bytes_of(kSpdAddHex)), sample_spdadd());
  EXPECT_THAT(encode(sample_spdadd()), ElementsAreArray(bytes_of(kSpdAddHex)));
}

TEST(PfkeyMessage, ReadsExtensionsInAnyOrder) {
  auto bytes = bytes_of(kAddHex);  // SA2 is the last 16 bytes; move it to the front
  std::rotate(bytes.begin() + 16, bytes.end() - 16, bytes.end());
  expect_same(decode(bytes), decode(bytes_of(kAddHex)));
}

TEST(PfkeyMessage, EveryPartComesBack) {
  Message m = sample_add();
  m.error = ENOENT;
  m.sa->replay = 255;
  m.sa->state = SaState::dead;
  m.sa->flags = 0xffffffff;
  m.current = Lifetime{1, UINT64_MAX, 1700000000, 1700000001};
  m.soft = Lifetime{4, 5, 6, 7};
  m.source = address("2001:db8::1", 127, 4500, 0);
  m.destination = address("::", 0);
  m.proxy = address("192.0.2.0", 24, 1, 17);
  m.source_identity = Identity{IdentityType::fqdn, 9, "gate.example.org"};
  m.destination_identity = Identity{IdentityType::user_fqdn, UINT64_MAX, ""};
  m.proposal =
      Proposal{32, {Combination{2, 3, 1, 128, 160, 192, 256, {1, 2, 3, 4}, {5, 6, 7, 8}}, {}}};
  m.supported_auth = {{2, 0, 128, 128}, {5, 0, 256, 256}};
  m.supported_encrypt.emplace();
  m.spi_range = SpiRange{0x100, 0xffffffff};
  m.policy = sample_spdadd().policy;
  m.policy->requests.push_back({51, Mode::transport, Level::unique, 0xffffffff, {}, {}});
  m.policy->id = 0x1234;
  m.nat_t_type = kNatTEspInUdp;
  m.nat_t_source_port = 4500;
  m.nat_t_destination_port = 0xffff;
  m.nat_t_original = address("10.9.8.7", 32);
  m.security_context = SecurityContext{1, 2, "system_u:object_r:spd_t:s0"};
  m.kmaddress = KmAddress{{base::Address::parse("::1"), 500}, {base::Address::parse("::2"), 0}};
  m.replay_window = 4096;
  m.saline_hello = kFeaturePath | kFeatureReplay;
  m.saline_path = SalinePath{Path::card, ""};
  expect_same(decode(encode(m, kFeaturePath | kFeatureReplay)), m);
  expect_same(decode(encode(m.clone(), kFeaturePath | kFeatureReplay)), m);
}

TEST(PfkeyMessage, ExtensionTwentySixIsAFilterOrAReplayWindow) {
  Message m(MessageType::dump);
  m.filter = Filter{{base::Address::parse("10.0.0.0"), 8}, {base::Address::parse("0.0.0.0"), 0}};
  expect_same(decode(encode(m)), m);
  m.filter = Filter{{base::Address::parse("2001:db8::"), 32}, {base::Address::parse("::"), 0}};
  expect_same(decode(encode(m)), m);
  m.filter.reset();
  m.replay_window = 1024;
  EXPECT_EQ(encode(m, kFeatureReplay).size(), 24U);
  EXPECT_EQ(decode(encode(m, kFeatureReplay)).replay_window, 1024U);
}

TEST(PfkeyMessage, PrivateExtensionsGoOnlyToThoseWhoAsked) {
  Message m(MessageType::get);
  m.replay_window = 1024;
  m.saline_path = SalinePath{Path::software, "no suite"};
  EXPECT_EQ(encode(m).size(), 16U);
  EXPECT_EQ(encode(m, kFeatureReplay).size(), 24U);
  EXPECT_EQ(decode(encode(m, kFeaturePath)).saline_path, m.saline_path);
}

TEST(PfkeyMessage, ANullCipherHasAKeyOfZeroBits) {
  Message m = sample_add();
  m.key_encrypt = Key{};
  const Message back = decode(encode(m));
  ASSERT_TRUE(back.key_encrypt);
  EXPECT_EQ(back.key_encrypt->bits, 0);
  EXPECT_TRUE(back.key_encrypt->bytes.empty());
}

TEST(PfkeyMessage, KeysThatAreNotAMultipleOfEightBytesArePadded) {
  Message m = sample_add();
  m.key_encrypt = key_of(20);
  const Message back = decode(encode(m));
  EXPECT_EQ(back.key_encrypt->bits, 160);
  EXPECT_EQ(encode(m).size() % 8, 0U);
}

TEST(PfkeyMessage, WithoutKeysHasNone) {
  const Message shown = sample_add().without_keys();
  EXPECT_FALSE(shown.key_auth);
  EXPECT_FALSE(shown.key_encrypt);
  EXPECT_EQ(shown.sa, sample_add().sa);
  const Bytes bytes = encode(shown);
  EXPECT_EQ(std::ranges::count(bytes, 0xA5), 0);
}

TEST(PfkeyMessage, RefusesToEncodeWhatHasNoForm) {
  Message m = sample_add();
  m.key_encrypt->bits = 136;
  EXPECT_THROW(encode(m), base::Error);
  m = sample_add();
  m.source->endpoint.address = {};
  EXPECT_THROW(encode(m), base::Error);
  m = sample_spdadd();
  m.policy->requests[0].source.reset();
  EXPECT_THROW(encode(m), base::Error);
}

TEST(PfkeyMessage, AnErrorIsTheHeaderOfTheRequest) {
  const Bytes error = encode_error(bytes_of(kAddHex), EEXIST);
  EXPECT_THAT(error, ElementsAreArray(bytes_of("02 03 11 03 0200 0000 07000000 39300000")));
  const Bytes short_one = encode_error(bytes_of("02 03"), EMSGSIZE);
  EXPECT_THAT(short_one, ElementsAreArray(bytes_of("02 03 5a 00 0200 0000 00000000 00000000")));
}

TEST(PfkeyMessage, NamesAreThoseOfTheRfc) {
  EXPECT_STREQ(name(MessageType::del), "DELETE");
  EXPECT_STREQ(name(MessageType::spddelete2), "X_SPDDELETE2");
  EXPECT_STREQ(name(MessageType::migrate), "X_MIGRATE");
}

}  // namespace
}  // namespace saline::pfkey
