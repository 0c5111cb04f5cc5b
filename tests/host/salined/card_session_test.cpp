// The offload decision against a port's rte_security capabilities: what is asked for, and why not.
#include "host/salined/card_session.hpp"

#include <gtest/gtest.h>
#include <rte_cryptodev.h>

#include <cstring>

#include "tests/host/salined/engine_bed.hpp"

namespace saline::daemon {
namespace {

// A port with ESP AES-GCM, 128- and 256-bit keys, window 64.
struct GcmPort {
  GcmPort() {
    crypto[0].op = RTE_CRYPTO_OP_TYPE_SYMMETRIC;
    crypto[0].sym.xform_type = RTE_CRYPTO_SYM_XFORM_AEAD;
    crypto[0].sym.aead.algo = RTE_CRYPTO_AEAD_AES_GCM;
    crypto[0].sym.aead.key_size = {16, 32, 16};
    crypto[0].sym.aead.digest_size = {16, 16, 0};
    crypto[1].op = RTE_CRYPTO_OP_TYPE_UNDEFINED;
    std::size_t i = 0;
    for (const auto mode :
         {RTE_SECURITY_IPSEC_SA_MODE_TUNNEL, RTE_SECURITY_IPSEC_SA_MODE_TRANSPORT}) {
      for (const auto direction :
           {RTE_SECURITY_IPSEC_SA_DIR_EGRESS, RTE_SECURITY_IPSEC_SA_DIR_INGRESS}) {
        rte_security_capability& row = security[i++];
        row.action = RTE_SECURITY_ACTION_TYPE_INLINE_PROTOCOL;
        row.protocol = RTE_SECURITY_PROTOCOL_IPSEC;
        row.ipsec.proto = RTE_SECURITY_IPSEC_SA_PROTO_ESP;
        row.ipsec.mode = mode;
        row.ipsec.direction = direction;
        row.ipsec.options.copy_dscp = 1;
        row.ipsec.options.tunnel_hdr_verify = RTE_SECURITY_IPSEC_TUNNEL_VERIFY_SRC_DST_ADDR;
        row.ipsec.replay_win_sz_max = 64;
        row.crypto_capabilities = crypto;
      }
    }
    security[4].action = RTE_SECURITY_ACTION_TYPE_NONE;
  }
  rte_cryptodev_capabilities crypto[2]{};
  rte_security_capability security[5]{};
};

class CardSession : public testing::Test {
 protected:
  static ipsec::SaConfig gcm(std::size_t key_bytes) {
    ipsec::SaConfig config;
    config.id = {0x1234, base::Address::parse("10.0.0.2"), ipsec::Protocol::esp};
    config.source = base::Address::parse("10.0.0.1");
    config.mode = ipsec::Mode::tunnel;
    config.encryption = crypto::find_encryption(std::string_view("aes-gcm-16"));
    std::vector<std::uint8_t> key(key_bytes);
    for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::uint8_t>(i);
    config.encryption_key = base::Secret(key);
    config.replay_window = 32;
    return config;
  }

  std::string decide(ipsec::SaConfig config, SaRole role = {}) {
    association = ipsec::SecurityAssociation::create(std::move(config), *provider);
    request = {};
    return describe_session(*association, role, settings, port.security, request);
  }

  GcmPort port;
  ipsec::Settings settings;
  std::unique_ptr<crypto::Provider> provider = crypto::make_provider();
  std::shared_ptr<ipsec::SecurityAssociation> association;
  SessionRequest request;
};

TEST_F(CardSession, DescribesAnOutboundTunnel) {
  ASSERT_EQ(decide(gcm(36)), "");
  const rte_security_ipsec_xform& ipsec = request.conf.ipsec;
  EXPECT_EQ(ipsec.spi, 0x1234u);
  EXPECT_EQ(ipsec.direction, RTE_SECURITY_IPSEC_SA_DIR_EGRESS);
  EXPECT_EQ(ipsec.esn.value, 1u);
  EXPECT_EQ(ipsec.replay_win_sz, 0u);
  EXPECT_EQ(ipsec.options.copy_dscp, 1u);
  EXPECT_EQ(std::memcmp(&ipsec.tunnel.ipv4.dst_ip, "\x0a\0\0\x02", 4), 0);
  EXPECT_EQ(std::memcmp(&ipsec.salt, "\x20\x21\x22\x23", 4), 0) << "the salt is the key's end";
  const rte_crypto_sym_xform& xform = *request.conf.crypto_xform;
  EXPECT_EQ(xform.type, RTE_CRYPTO_SYM_XFORM_AEAD);
  EXPECT_EQ(xform.aead.op, RTE_CRYPTO_AEAD_OP_ENCRYPT);
  EXPECT_EQ(xform.aead.key.length, 32);
  EXPECT_EQ(xform.aead.digest_length, 16);
}

TEST_F(CardSession, DescribesAnInboundTransport) {
  auto config = gcm(20);
  config.mode = ipsec::Mode::transport;
  config.hard.packets = 100;
  ASSERT_EQ(decide(std::move(config), {SaDirection::inbound, false}), "");
  EXPECT_EQ(request.conf.ipsec.direction, RTE_SECURITY_IPSEC_SA_DIR_INGRESS);
  EXPECT_EQ(request.conf.ipsec.replay_win_sz, 32u);
  EXPECT_EQ(request.conf.ipsec.life.packets_hard_limit, 100u);
  EXPECT_EQ(request.conf.crypto_xform->aead.op, RTE_CRYPTO_AEAD_OP_DECRYPT);
}

TEST_F(CardSession, SaysWhyNot) {
  EXPECT_EQ(decide(gcm(28)), "aes-gcm-16 192-bit key not in card");
  EXPECT_EQ(decide(gcm(20), {SaDirection::outbound, true}), "not outermost in a bundle");
  EXPECT_EQ(decide(gcm(20), {SaDirection::inbound, false, true}),
            "IP in IP of an IPComp tunnel not in card");

  auto any = gcm(20);
  any.mode = ipsec::Mode::any;
  EXPECT_EQ(decide(std::move(any)), "mode any: say transport or tunnel");

  auto esn = gcm(20);
  esn.extended_sequence = true;
  EXPECT_EQ(decide(std::move(esn)), "esn not in card");

  auto wide = gcm(20);
  wide.replay_window = 128;
  EXPECT_EQ(decide(std::move(wide), {SaDirection::inbound, false}),
            "replay window above the card's 64");

  auto cbc = gcm(16);
  cbc.encryption = crypto::find_encryption(std::string_view("aes-cbc"));
  cbc.integrity = crypto::find_integrity(std::string_view("hmac-sha1"));
  cbc.integrity_key = base::Secret(std::vector<std::uint8_t>(20, 1));
  EXPECT_EQ(decide(std::move(cbc)), "aes-cbc not in card");

  ipsec::SaConfig ah = gcm(20);
  ah.id.protocol = ipsec::Protocol::ah;
  ah.encryption = nullptr;
  ah.encryption_key = {};
  ah.integrity = crypto::find_integrity(std::string_view("hmac-sha1"));
  ah.integrity_key = base::Secret(std::vector<std::uint8_t>(20, 1));
  EXPECT_EQ(decide(std::move(ah)), "ah not in card");

  auto tunnel = gcm(20);
  EXPECT_EQ(tunnel.mode, ipsec::Mode::tunnel);
  settings.ipv4.ecn = ipsec::Ecn::rfc6040;
  EXPECT_EQ(decide(std::move(tunnel)), "ecn=2 not in card");
}

TEST_F(CardSession, EcnIsWhatTheVariableSays) {
  for (auto& row : port.security) row.ipsec.options.ecn = 1;
  EXPECT_EQ(decide(gcm(20)), "");
  EXPECT_FALSE(request.conf.ipsec.options.ecn);
  settings.ipv4.ecn = ipsec::Ecn::friendly;
  EXPECT_EQ(decide(gcm(20)), "ecn=1 not in card");
  settings.ipv4.ecn = ipsec::Ecn::rfc6040;
  EXPECT_EQ(decide(gcm(20)), "");
  EXPECT_TRUE(request.conf.ipsec.options.ecn);
}

// setkey asks for cycling by default; a counter mode never cycles anyway.
TEST_F(CardSession, CyclingOfACounterModeIsNoReason) {
  auto config = gcm(20);
  config.flags = ipsec::kFlagCycleSequence;
  EXPECT_EQ(decide(std::move(config)), "");
}

TEST_F(CardSession, CapabilitiesAreReadNotAssumed) {
  port.crypto[0].sym.aead.key_size = {16, 16, 0};
  EXPECT_EQ(decide(gcm(36)), "aes-gcm-16 256-bit key not in card");
  EXPECT_EQ(decide(gcm(20)), "");
  port.security[0].action = RTE_SECURITY_ACTION_TYPE_NONE;
  EXPECT_EQ(decide(gcm(20)), "esp mode not in card");
}

}  // namespace
}  // namespace saline::daemon
