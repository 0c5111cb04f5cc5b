// The formats of RFC 1826 and RFC 1827, IVs of RFC 1829 and derived ones, and the forms of RFC 4303
// and RFC 4302 that an SA must ask for: AH padded to 8 bytes, AH with GMAC, TFC padding.
#include <gtest/gtest.h>

#include <random>

#include "host/base/bytes.hpp"
#include "tests/host/ipsec/bed.hpp"

namespace saline::test {

using namespace saline::ipsec;
using hw::DropReason;

namespace {

SaSpec old_esp(const std::string& cipher, std::uint32_t flags = kFlagOld) {
  SaSpec spec;
  spec.encryption = cipher;
  spec.integrity = "";
  spec.window = 0;
  spec.flags = flags;
  return spec;
}

Bytes packet_of(const SaSpec& spec, std::size_t bytes = 100) {
  return ip_packet(spec.source, spec.destination, kUdp, udp(bytes));
}

// What DES-CBC with that whole IV finds in `text`.
Bytes opened(const SaSpec& spec, const char* cipher, const Bytes& iv, Bytes text) {
  const auto provider = crypto::make_openssl_provider();
  const SaConfig config = config_of(spec);
  crypto::SessionKeys keys;
  keys.encryption = crypto::find_encryption(std::string_view(cipher));
  keys.encryption_key = config.encryption_key.bytes();
  const auto session = provider->open(keys);
  crypto::Job job;
  job.session = session.get();
  job.direction = crypto::Direction::open;
  job.iv = iv.data();
  job.text = text;
  provider->run({&job, 1});
  EXPECT_EQ(job.result, crypto::Result::ok);
  return text;
}

Bytes with_complement(std::span<const std::uint8_t> four) {
  Bytes iv(four.begin(), four.end());
  for (std::size_t i = 0; i < 4; ++i) iv.push_back(static_cast<std::uint8_t>(~iv[i]));
  return iv;
}

void comes_through(const SaSpec& spec, const Bytes& plain) {
  const Bytes wire = protect_with(spec, plain);
  Host host;
  auto sa = host.add(spec);
  Buffer buffer(wire);
  const InboundItem item = host.open(buffer);
  ASSERT_EQ(item.outcome, Outcome::pass) << hw::to_string(item.reason);
  EXPECT_EQ(buffer.bytes(), plain);
  EXPECT_EQ(buffer.packet().history[0].association, sa.get());
}

}  // namespace

TEST(OldEsp, HasNeitherNumberNorIcv) {
  for (const Mode mode : {Mode::transport, Mode::tunnel}) {
    SaSpec spec = old_esp("des-cbc");
    spec.mode = mode;
    const Bytes plain = packet_of(spec);
    const Bytes wire = protect_with(spec, plain);
    EXPECT_EQ(base::load32(&wire[20]), spec.spi);
    EXPECT_EQ((wire.size() - 20 - 4 - 8) % 8, 0u);
    const Bytes text = opened(spec, "des-cbc", {wire.begin() + 24, wire.begin() + 32},
                              {wire.begin() + 32, wire.end()});
    const std::size_t from = mode == Mode::tunnel ? 0 : 20;
    EXPECT_TRUE(std::equal(plain.begin() + from, plain.end(), text.begin()));
    comes_through(spec, plain);
  }
}

TEST(OldEsp, An32BitIvIsFollowedByItsComplement) {
  SaSpec spec = old_esp("des-32iv", kFlagOld | kFlagIv4Bytes);
  const Bytes plain = packet_of(spec);
  const Bytes wire = protect_with(spec, plain);
  EXPECT_EQ((wire.size() - 20 - 4 - 4) % 8, 0u);
  const Bytes text =
      opened(spec, "des-cbc", with_complement({&wire[24], 4}), {wire.begin() + 28, wire.end()});
  EXPECT_TRUE(std::equal(plain.begin() + 20, plain.end(), text.begin()));
  comes_through(spec, plain);
}

TEST(OldEsp, TakesTheSamePacketTwice) {
  const SaSpec spec = old_esp("3des-cbc");
  const Bytes wire = protect_with(spec, packet_of(spec));
  Host host;
  auto sa = host.add(spec);
  for (int i = 0; i < 2; ++i) {
    Buffer buffer(wire);
    EXPECT_EQ(host.open(buffer).outcome, Outcome::pass);
  }
  EXPECT_EQ(sa->counters().packets.get(), 2u);
}

TEST(DerivedIv, IsTheSequenceNumber) {
  for (const char* cipher : {"des", "3des"}) {
    SaSpec spec;
    spec.encryption = std::string(cipher) + "-deriv";
    spec.flags = kFlagDerivedIv;
    const Bytes plain = packet_of(spec);
    const Bytes wire = protect_with(spec, plain);
    const Bytes text =
        opened(spec, cipher[0] == 'd' ? "des-cbc" : "3des-cbc", with_complement({&wire[24], 4}),
               {wire.begin() + 28, wire.end() - 12});
    EXPECT_TRUE(std::equal(plain.begin() + 20, plain.end(), text.begin()));
    comes_through(spec, plain);
  }
}

TEST(OldAh, HasA16ByteIcvAndNoNumber) {
  for (const char* integrity : {"hmac-md5", "hmac-sha1", "keyed-md5", "keyed-sha1"}) {
    for (const bool ipv6 : {false, true}) {
      for (const Mode mode : {Mode::transport, Mode::tunnel}) {
        SaSpec spec;
        spec.source = ipv6 ? "2001:db8::1" : "10.0.0.1";
        spec.destination = ipv6 ? "2001:db8::2" : "10.0.0.2";
        spec.protocol = Protocol::ah;
        spec.mode = mode;
        spec.integrity = integrity;
        spec.window = 0;
        spec.flags = kFlagOld;
        const Bytes plain = packet_of(spec);
        const Bytes wire = protect_with(spec, plain);
        const std::size_t header = ipv6 ? 40 : 20;
        EXPECT_EQ(wire[header + 1], 4) << "the ICV in words, RFC 1826 §3.2";
        EXPECT_EQ(wire.size(), plain.size() + 24 + (mode == Mode::tunnel ? header : 0));
        comes_through(spec, plain);
        Bytes bad = wire;
        bad.back() ^= 1;
        Host host;
        host.add(spec);
        Buffer buffer(bad);
        EXPECT_EQ(host.open(buffer).reason, DropReason::icv);
      }
    }
  }
}

TEST(OldFormats, ContradictionsAreRefused) {
  Host host;
  const auto refuses = [&](SaSpec spec, bool allow_legacy = true) {
    SaConfig config = config_of(spec);
    config.allow_legacy = allow_legacy;
    EXPECT_ANY_THROW(host.add(std::move(config)));
  };
  refuses(old_esp("des-cbc"), false);
  SaSpec spec = old_esp("des-cbc");
  spec.window = 32;
  refuses(spec);
  spec = old_esp("des-cbc");
  spec.integrity = "hmac-md5";
  refuses(spec);
  refuses(old_esp("des-deriv", kFlagOld | kFlagDerivedIv));
  refuses(old_esp("null"));
  spec = SaSpec{};
  spec.encryption = "des-32iv";
  spec.flags = kFlagIv4Bytes;
  refuses(spec);
  spec = SaSpec{};
  spec.protocol = Protocol::ah;
  spec.integrity = "aes-gmac-128";
  spec.window = 0;
  spec.flags = kFlagOld;
  refuses(spec);
}

TEST(AhAlign8, PadsOverIpv4AndTakesBoth) {
  SaSpec spec;
  spec.protocol = Protocol::ah;
  spec.integrity = "hmac-sha2-256";
  SaSpec padded = spec;
  padded.align8 = true;
  const Bytes plain = packet_of(spec);
  const Bytes wire = protect_with(spec, plain);
  const Bytes wide = protect_with(padded, plain);
  EXPECT_EQ(wire.size(), plain.size() + 28);
  EXPECT_EQ(wide.size(), plain.size() + 32);
  EXPECT_EQ(wide[21], 6);
  for (const auto& [bytes, receiver, accepted] : {std::tuple(wire, spec, true),
                                                  {wide, padded, true},
                                                  {wire, padded, true},
                                                  {wide, spec, false}}) {
    Host host;
    host.add(receiver);
    Buffer buffer(bytes);
    const InboundItem item = host.open(buffer);
    EXPECT_EQ(item.outcome == Outcome::pass, accepted);
    if (accepted)
      EXPECT_EQ(buffer.bytes(), plain);
    else
      EXPECT_EQ(item.reason, DropReason::malformed);
  }
}

TEST(AhGmac, HasItsIvInTheIcvField) {
  for (const char* integrity : {"aes-gmac-128", "aes-gmac-192", "aes-gmac-256"}) {
    for (const bool ipv6 : {false, true}) {
      SaSpec spec;
      spec.source = ipv6 ? "2001:db8::1" : "10.0.0.1";
      spec.destination = ipv6 ? "2001:db8::2" : "10.0.0.2";
      spec.protocol = Protocol::ah;
      spec.integrity = integrity;
      const Bytes plain = packet_of(spec);
      const Bytes wire = protect_with(spec, plain);
      EXPECT_EQ(wire.size(), plain.size() + (ipv6 ? 40u : 36u));
      comes_through(spec, plain);
      for (const std::size_t at : {14u, 20u}) {  // the IV is signed, and is the nonce
        Bytes bad = wire;
        bad[(ipv6 ? 40 : 20) + at] ^= 1;
        Host host;
        host.add(spec);
        Buffer buffer(bad);
        EXPECT_EQ(host.open(buffer).reason, DropReason::icv);
      }
    }
  }
}

TEST(Tfc, ShortPacketsAreFilledAndTrimmed) {
  SaSpec spec;
  spec.mode = Mode::tunnel;
  SaConfig config = config_of(spec);
  config.tfc_bytes = 600;
  Host sender, receiver;
  sender.add(std::move(config));
  receiver.add(spec);
  for (const std::size_t bytes : {1u, 100u, 571u, 572u, 573u, 900u}) {
    const Bytes plain = packet_of(spec, bytes);
    Buffer buffer(plain, 256, 1024);
    ASSERT_EQ(sender.protect(buffer, policy_for({spec})).outcome, Outcome::pass);
    const std::size_t filled = std::max<std::size_t>(600, plain.size());
    EXPECT_EQ(buffer.bytes().size(), 20 + 8 + 16 + (filled + 2 + 15) / 16 * 16 + 12);
    Buffer arrived(buffer.bytes());
    ASSERT_EQ(receiver.open(arrived).outcome, Outcome::pass);
    EXPECT_EQ(arrived.bytes(), plain);
  }
  SaConfig transport = config_of(SaSpec{});
  transport.tfc_bytes = 600;
  EXPECT_ANY_THROW(sender.add(std::move(transport)));
}

}  // namespace saline::test
