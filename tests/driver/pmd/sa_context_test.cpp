// Sessions to SA contexts and refusals, without a card.
#include "driver/pmd/sa_context.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "driver/gcm_powers.hpp"
#include "host/base/error.hpp"
#include "tests/driver/pmd/session_conf.hpp"

namespace saline::pmd {
namespace {

using test::EgressConf;
using test::IngressConf;
using test::SessionConf;

const driver::Capabilities kCard{
    .sa_slots = 256, .lookup_buckets = 256, .policies = 64, .suites = 0b110, .window = 1024};

std::array<std::uint8_t, 16> address(std::uint8_t a, std::uint8_t b, std::uint8_t c,
                                     std::uint8_t d) {
  return {a, b, c, d};
}

TEST(SaContext, CarriesAnOutboundTunnel) {
  const SecurityCapabilities capabilities(kCard);
  EgressConf session(32);
  session.ipsec().options.esn = 1;
  session.ipsec().options.copy_dscp = 1;
  session.ipsec().options.ecn = 1;
  session.ipsec().tunnel.ipv4.dscp = 0x12;
  session.ipsec().tunnel.ipv4.df = 1;
  session.ipsec().tunnel.ipv4.ttl = 9;
  session.ipsec().esn.value = 0x123456789aULL;
  session.ipsec().life = {.packets_soft_limit = 1,
                          .bytes_soft_limit = 2,
                          .packets_hard_limit = 3,
                          .bytes_hard_limit = 4};
  SessionContext context;
  to_context(session.conf, kCard, capabilities, context);
  const hw::SaContext& sa = context.sa;

  EXPECT_FALSE(context.inbound);
  EXPECT_TRUE(sa.tunnel);
  EXPECT_FALSE(sa.outer_ipv6);
  EXPECT_TRUE(sa.esn);
  EXPECT_FALSE(sa.deliver_failed);
  EXPECT_TRUE(sa.copy_dscp);
  EXPECT_TRUE(sa.ecn_copy);
  EXPECT_EQ(sa.suite, static_cast<std::uint8_t>(hw::Suite::aes_gcm_256_16));
  EXPECT_EQ(sa.replay_words, 0);
  EXPECT_EQ(sa.df_mode, static_cast<std::uint8_t>(hw::DfMode::set));
  EXPECT_EQ(sa.spi, test::kSpi);
  EXPECT_EQ(sa.salt, 0x11223344u);
  EXPECT_EQ(sa.hop_limit, 9);
  EXPECT_EQ(sa.traffic_class, 0x12 << 2);
  EXPECT_EQ(sa.source, address(192, 0, 2, 1));
  EXPECT_EQ(sa.destination, address(192, 0, 2, 2));
  EXPECT_EQ(sa.sequence_number, 0x1234567899ULL);
  EXPECT_EQ(sa.packets_soft, 1u);
  EXPECT_EQ(sa.bytes_soft, 2u);
  EXPECT_EQ(sa.packets_hard, 3u);
  EXPECT_EQ(sa.bytes_hard, 4u);
  EXPECT_EQ(std::memcmp(sa.key.data(), session.key.data(), 32), 0);
  EXPECT_EQ(sa.hash_powers, driver::gcm_hash_powers({session.key.data(), 32}));
}

TEST(SaContext, CarriesAnIpv6Tunnel) {
  const SecurityCapabilities capabilities(kCard);
  EgressConf session;
  session.ipsec().tunnel = {};
  session.ipsec().tunnel.type = RTE_SECURITY_IPSEC_TUNNEL_IPV6;
  session.ipsec().tunnel.ipv6.src_addr.s6_addr[0] = 0x20;
  session.ipsec().tunnel.ipv6.dst_addr.s6_addr[15] = 0x21;
  session.ipsec().tunnel.ipv6.dscp = 3;
  session.ipsec().tunnel.ipv6.flabel = 0xabcde;
  SessionContext context;
  to_context(session.conf, kCard, capabilities, context);
  EXPECT_TRUE(context.sa.outer_ipv6);
  EXPECT_EQ(context.sa.source[0], 0x20);
  EXPECT_EQ(context.sa.destination[15], 0x21);
  EXPECT_EQ(context.sa.traffic_class, 12);
  EXPECT_EQ(context.sa.flow_label, 0xabcdeu);
  EXPECT_EQ(context.sa.hop_limit, 64);  // 0 in the session
}

TEST(SaContext, StartsAtSequenceNumberOneByDefault) {
  const SecurityCapabilities capabilities(kCard);
  EgressConf session;
  SessionContext context;
  to_context(session.conf, kCard, capabilities, context);
  EXPECT_EQ(context.sa.sequence_number, 0u);
}

TEST(SaContext, CarriesAnInboundSaThatItsSpiAloneNames) {
  const SecurityCapabilities capabilities(kCard);
  IngressConf session;
  session.ipsec().replay_win_sz = 33;
  session.ipsec().esn.value = 7;
  SessionContext context;
  to_context(session.conf, kCard, capabilities, context);
  EXPECT_TRUE(context.inbound);
  EXPECT_TRUE(context.sa.deliver_failed);
  EXPECT_EQ(context.sa.replay_words, 2);  // never a smaller window than asked for
  EXPECT_EQ(context.sa.sequence_number, 6u);
  EXPECT_FALSE(context.sa.verify_outer);
  EXPECT_EQ(context.lookup_destination().family, base::Family::none);
}

TEST(SaContext, LooksUpAndVerifiesTunnelAddressesOnRequest) {
  const SecurityCapabilities capabilities(kCard);
  for (const auto verify :
       {RTE_SECURITY_IPSEC_TUNNEL_VERIFY_DST_ADDR, RTE_SECURITY_IPSEC_TUNNEL_VERIFY_SRC_DST_ADDR}) {
    IngressConf session;
    session.ipsec().options.tunnel_hdr_verify = verify & 3;
    SessionContext context;
    to_context(session.conf, kCard, capabilities, context);
    EXPECT_EQ(context.lookup_destination(), base::Address::parse("192.0.2.2"));
    EXPECT_EQ(context.sa.verify_outer, verify == RTE_SECURITY_IPSEC_TUNNEL_VERIFY_SRC_DST_ADDR);
  }
}

TEST(SaContext, NeverTakesTheSameIvBaseTwice) {
  const SecurityCapabilities capabilities(kCard);
  EgressConf session;
  std::set<std::uint64_t> bases;
  for (int i = 0; i < 16; ++i) {
    SessionContext context;
    to_context(session.conf, kCard, capabilities, context);
    bases.insert(context.sa.iv_base);
  }
  EXPECT_EQ(bases.size(), 16u);
}

TEST(SaContext, IsWipedWhenItGoes) {
  const SecurityCapabilities capabilities(kCard);
  IngressConf session;
  alignas(SessionContext) std::array<std::uint8_t, sizeof(SessionContext)> memory{};
  auto* context = new (memory.data()) SessionContext;
  to_context(session.conf, kCard, capabilities, *context);
  const auto key_at = [&] {
    return std::search(memory.begin(), memory.end(), session.key.begin(), session.key.begin() + 16);
  };
  ASSERT_NE(key_at(), memory.end());
  context->~SessionContext();
  EXPECT_EQ(key_at(), memory.end());
}

struct Refusal {
  std::string name;
  int errno_value;
  bool inbound;
  std::function<void(SessionConf&)> bend;
};

void PrintTo(const Refusal& refusal, std::ostream* out) { *out << refusal.name; }

class SaContextRefuses : public testing::TestWithParam<Refusal> {};

TEST_P(SaContextRefuses, WithASentence) {
  const SecurityCapabilities capabilities(kCard);
  SessionConf session(GetParam().inbound ? RTE_SECURITY_IPSEC_SA_DIR_INGRESS
                                         : RTE_SECURITY_IPSEC_SA_DIR_EGRESS);
  GetParam().bend(session);
  SessionContext context;
  try {
    to_context(session.conf, kCard, capabilities, context);
    FAIL() << "accepted";
  } catch (const base::Error& error) {
    EXPECT_EQ(error.errno_value(), GetParam().errno_value) << error.what();
    EXPECT_GT(std::strlen(error.what()), 20u);
    EXPECT_THAT(error.what(), testing::Not(testing::HasSubstr("a0a1")));
  }
}

const bool kIn = true, kOut = false;

INSTANTIATE_TEST_SUITE_P(
    Session, SaContextRefuses,
    testing::Values(
        Refusal{"lookaside", ENOTSUP, kOut,
                [](auto& s) { s.conf.action_type = RTE_SECURITY_ACTION_TYPE_LOOKASIDE_PROTOCOL; }},
        Refusal{"macsec", ENOTSUP, kOut,
                [](auto& s) { s.conf.protocol = RTE_SECURITY_PROTOCOL_MACSEC; }},
        Refusal{"ah", ENOTSUP, kOut,
                [](auto& s) { s.ipsec().proto = RTE_SECURITY_IPSEC_SA_PROTO_AH; }},
        Refusal{"spi_zero", EINVAL, kOut, [](auto& s) { s.ipsec().spi = 0; }},
        Refusal{"udp_encap", ENOTSUP, kOut, [](auto& s) { s.ipsec().options.udp_encap = 1; }},
        Refusal{"udp_ports", ENOTSUP, kIn, [](auto& s) { s.ipsec().options.udp_ports_verify = 1; }},
        Refusal{"dec_ttl", ENOTSUP, kOut, [](auto& s) { s.ipsec().options.dec_ttl = 1; }},
        Refusal{"iv_gen", ENOTSUP, kOut, [](auto& s) { s.ipsec().options.iv_gen_disable = 1; }},
        Refusal{"ip_csum", ENOTSUP, kOut, [](auto& s) { s.ipsec().options.ip_csum_enable = 1; }},
        Refusal{"l4_csum", ENOTSUP, kIn, [](auto& s) { s.ipsec().options.l4_csum_enable = 1; }},
        Refusal{"reassembly", ENOTSUP, kIn,
                [](auto& s) { s.ipsec().options.ip_reassembly_en = 1; }},
        Refusal{"reserved", ENOTSUP, kIn, [](auto& s) { s.ipsec().options.reserved_opts = 1; }},
        Refusal{"verify_three", ENOTSUP, kIn,
                [](auto& s) { s.ipsec().options.tunnel_hdr_verify = 3; }},
        Refusal{"inbound_copy_dscp", ENOTSUP, kIn,
                [](auto& s) { s.ipsec().options.copy_dscp = 1; }},
        Refusal{"transport_copy_df", ENOTSUP, kOut,
                [](auto& s) {
                  s.transport();
                  s.ipsec().options.copy_df = 1;
                }},
        Refusal{"transport_verify", ENOTSUP, kIn,
                [](auto& s) {
                  s.transport();
                  s.ipsec().options.tunnel_hdr_verify = 1;
                }},
        Refusal{"window", ENOTSUP, kIn, [](auto& s) { s.ipsec().replay_win_sz = 1025; }},
        Refusal{"sequence_without_esn", EINVAL, kOut,
                [](auto& s) { s.ipsec().esn.value = 1ULL << 32; }},
        Refusal{"no_transform", EINVAL, kOut, [](auto& s) { s.conf.crypto_xform = nullptr; }},
        Refusal{"cipher", ENOTSUP, kOut,
                [](auto& s) { s.xform.type = RTE_CRYPTO_SYM_XFORM_CIPHER; }},
        Refusal{"ccm", ENOTSUP, kOut, [](auto& s) { s.xform.aead.algo = RTE_CRYPTO_AEAD_AES_CCM; }},
        Refusal{"aes_192", ENOTSUP, kOut, [](auto& s) { s.xform.aead.key.length = 24; }},
        Refusal{"no_key", EINVAL, kOut, [](auto& s) { s.xform.aead.key.data = nullptr; }},
        Refusal{"icv_8", ENOTSUP, kOut, [](auto& s) { s.xform.aead.digest_length = 8; }},
        Refusal{"decrypt_outbound", EINVAL, kOut,
                [](auto& s) { s.xform.aead.op = RTE_CRYPTO_AEAD_OP_DECRYPT; }},
        Refusal{"no_tunnel_source", EINVAL, kOut,
                [](auto& s) { s.ipsec().tunnel.ipv4.src_ip.s_addr = 0; }},
        Refusal{"no_tunnel_destination", EINVAL, kIn,
                [](auto& s) {
                  s.ipsec().options.tunnel_hdr_verify = 1;
                  s.ipsec().tunnel.ipv4.dst_ip.s_addr = 0;
                }},
        Refusal{"dscp", EINVAL, kOut, [](auto& s) { s.ipsec().tunnel.ipv4.dscp = 64; }},
        Refusal{"mode", EINVAL, kOut,
                [](auto& s) { s.ipsec().mode = static_cast<rte_security_ipsec_sa_mode>(0); }}),
    [](const auto& each) { return each.param.name; });

TEST(Capabilities, FollowTheCard) {
  driver::Capabilities small = kCard;
  small.suites = 1u << static_cast<unsigned>(hw::Suite::aes_gcm_256_16);
  small.window = 64;
  const SecurityCapabilities capabilities(small);
  std::size_t count = 0;
  for (const auto* each = capabilities.table(); each->action != RTE_SECURITY_ACTION_TYPE_NONE;
       ++each, ++count) {
    const auto& aead = each->crypto_capabilities[0].sym.aead;
    EXPECT_EQ(aead.key_size.min, 32);
    EXPECT_EQ(aead.key_size.max, 32);
    EXPECT_EQ(each->crypto_capabilities[1].op, RTE_CRYPTO_OP_TYPE_UNDEFINED);
    const bool inbound = each->ipsec.direction == RTE_SECURITY_IPSEC_SA_DIR_INGRESS;
    EXPECT_EQ(each->ipsec.replay_win_sz_max, inbound ? 64u : 0u);
  }
  EXPECT_EQ(count, 4u);

  EgressConf session(16);
  SessionContext context;
  EXPECT_THROW(to_context(session.conf, small, capabilities, context), base::Error);
}

TEST(Capabilities, OfferBothKeySizesInOneEntry) {
  const SecurityCapabilities capabilities(kCard);
  const auto& aead = capabilities.table()->crypto_capabilities[0].sym.aead;
  EXPECT_EQ(aead.key_size.min, 16);
  EXPECT_EQ(aead.key_size.max, 32);
  EXPECT_EQ(aead.key_size.increment, 16);  // not 192 bits
}

}  // namespace
}  // namespace saline::pmd
