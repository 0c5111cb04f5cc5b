// SAs that are refused, and sizes on the wire.
#include "host/ipsec/association.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "host/base/error.hpp"
#include "tests/host/ipsec/bed.hpp"

namespace saline::test {

using namespace saline::ipsec;
using testing::HasSubstr;

namespace {

void refuses(SaConfig config, const std::string& sentence, int code = EINVAL) {
  const auto provider = crypto::make_provider();
  try {
    SecurityAssociation::create(std::move(config), *provider);
    ADD_FAILURE() << "accepted, wanted: " << sentence;
  } catch (const base::Error& error) {
    EXPECT_EQ(error.errno_value(), code);
    EXPECT_THAT(error.what(), HasSubstr(sentence));
  }
}

template <typename Change>
SaConfig changed(Change change, const SaSpec& spec = {}) {
  SaConfig config = config_of(spec);
  change(config);
  return config;
}

SaSpec ah() {
  SaSpec spec;
  spec.protocol = Protocol::ah;
  return spec;
}

}  // namespace

TEST(Association, RefusesKeysOfTheWrongLength) {
  refuses(changed([](SaConfig& c) { c.encryption_key = base::Secret(Bytes(15)); }),
          "aes-cbc takes a key of 128 to 256 bits, not 120");
  refuses(changed([](SaConfig& c) { c.integrity_key = base::Secret(Bytes(21)); }),
          "hmac-sha1 takes a key of 160 bits, not 168");
  SaSpec gcm;
  gcm.encryption = "aes-gcm-16";
  gcm.integrity = "";
  refuses(changed([](SaConfig& c) { c.encryption_key = base::Secret(Bytes(16)); }, gcm),
          "aes-gcm-16 takes a key of 160 to 288 bits, not 128");
}

TEST(Association, NeverNamesTheKeyInItsErrors) {
  SaConfig config = config_of({});
  const Bytes key(15, 0x61);
  config.encryption_key = base::Secret(key);
  const auto provider = crypto::make_provider();
  try {
    SecurityAssociation::create(std::move(config), *provider);
    FAIL();
  } catch (const base::Error& error) {
    EXPECT_THAT(error.what(), testing::Not(HasSubstr("aaaa")));
    EXPECT_THAT(error.what(), testing::Not(HasSubstr("6161")));
  }
}

TEST(Association, RefusesWeakDesKeys) {
  SaSpec des;
  des.encryption = "des-cbc";
  refuses(changed([](SaConfig& c) { c.encryption_key = base::Secret(Bytes(8, 1)); }, des), "weak");
  SaSpec des3;
  des3.encryption = "3des-cbc";
  refuses(changed([](SaConfig& c) { c.encryption_key = base::Secret(Bytes(24, 0x23)); }, des3),
          "weak or has equal parts");
}

TEST(Association, RefusesWhatRfc8221ForbidsUnlessToldTo) {
  const auto provider = crypto::make_provider();
  int forbidden = 0;
  for (const crypto::Algorithm& row : crypto::algorithms()) {
    // Old formats have rules of their own; compression is no part of RFC 8221.
    if (row.pfkey_flags != 0 || row.kind == crypto::Kind::compression ||
        row.method == crypto::Method::null_integrity)
      continue;
    SaSpec spec;
    if (row.kind == crypto::Kind::integrity) {
      spec.protocol = Protocol::ah;
      spec.integrity = row.name;
    } else {
      spec.encryption = row.name;
      if (row.is_aead()) spec.integrity = "";
    }
    EXPECT_NO_THROW(SecurityAssociation::create(config_of(spec), *provider)) << row.name;
    if (row.advice == crypto::Advice::must_not) {
      ++forbidden;
      refuses(changed([](SaConfig& c) { c.allow_legacy = false; }, spec), "RFC 8221", EPERM);
    } else {
      SaConfig config = config_of(spec);
      config.allow_legacy = false;
      EXPECT_NO_THROW(SecurityAssociation::create(std::move(config), *provider)) << row.name;
    }
  }
  EXPECT_EQ(forbidden, 6);
}

TEST(Association, A21RefusesEncryptionWithoutIntegrityUnlessToldTo) {
  const auto without = [](SaConfig& c) {
    c.integrity = nullptr;
    c.integrity_key = base::Secret();
    c.replay_window = 0;
  };
  refuses(changed(without), "encryption without integrity");
  refuses(changed([](SaConfig& c) {
            c.integrity = crypto::find_integrity("null");
            c.integrity_key = base::Secret();
          }),
          "encryption without integrity");
  const auto provider = crypto::make_provider();
  SaConfig allowed = changed(without);
  allowed.allow_unauthenticated = true;
  EXPECT_NO_THROW(SecurityAssociation::create(std::move(allowed), *provider));
  SaConfig with_window = changed(without);
  with_window.allow_unauthenticated = true;
  with_window.replay_window = 32;
  refuses(std::move(with_window), "anti-replay needs an integrity algorithm");
}

TEST(Association, A22RefusesNullWithNull) {
  SaSpec null;
  null.encryption = "null";
  null.integrity = "null";
  SaConfig config = config_of(null);
  config.allow_unauthenticated = true;
  refuses(std::move(config), "neither encryption nor integrity");
}

TEST(Association, RefusesWhatDoesNotBelongTogether) {
  refuses(changed([](SaConfig& c) { c.id.spi = 0; }), "SPI 0 is reserved");
  refuses(changed([](SaConfig& c) { c.id.spi = 255; }), "SPI 255 is reserved");
  refuses(changed([](SaConfig& c) { c.source = address("::1"); }), "one family");
  refuses(changed([](SaConfig& c) { c.id.destination = {}; }), "needs a destination");
  refuses(changed([](SaConfig& c) { c.replay_window = ReplayWindow::kPacketsMax + 1; }),
          "replay window");
  refuses(changed([](SaConfig& c) { c.encryption = nullptr; }), "ESP needs an encryption");
  refuses(changed([](SaConfig& c) { c.encryption = crypto::find_integrity("hmac-sha1"); }),
          "no encryption algorithm");
  refuses(changed([](SaConfig& c) {
            c.soft.bytes = 2;
            c.hard.bytes = 1;
          }),
          "soft lifetime");
  SaSpec gcm;
  gcm.encryption = "aes-gcm-16";
  refuses(config_of(gcm), "brings its own integrity");
  refuses(changed([](SaConfig& c) { c.encryption = crypto::find_encryption("aes-cbc"); }, ah()),
          "AH does not encrypt");
  refuses(changed([](SaConfig& c) { c.integrity = nullptr; }, ah()), "AH needs an integrity");
}

TEST(Association, SizesOnTheWire) {
  Host host;
  const auto overhead = [&](SaSpec spec, std::uint32_t payload, base::Family family) {
    static std::uint32_t spi = 0x5000;
    spec.spi = ++spi;
    return host.add(spec)->overhead(payload, family);
  };
  SaSpec gcm;
  gcm.encryption = "aes-gcm-16";
  gcm.integrity = "";
  EXPECT_EQ(overhead(gcm, 62, base::Family::ipv4), 8u + 8 + 0 + 2 + 16);
  EXPECT_EQ(overhead(gcm, 63, base::Family::ipv4), 8u + 8 + 3 + 2 + 16);
  EXPECT_EQ(overhead(SaSpec{}, 14, base::Family::ipv4), 8u + 16 + 0 + 2 + 12);
  EXPECT_EQ(overhead(SaSpec{}, 15, base::Family::ipv4), 8u + 16 + 15 + 2 + 12);
  EXPECT_EQ(overhead(ah(), 100, base::Family::ipv4), 24u);
  SaSpec ah256 = ah();
  ah256.integrity = "hmac-sha2-256";
  EXPECT_EQ(overhead(ah256, 100, base::Family::ipv4), 28u);
  EXPECT_EQ(overhead(ah256, 100, base::Family::ipv6), 32u);
}

}  // namespace saline::test
