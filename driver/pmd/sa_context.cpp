// The one place where rte_security's words become the card's (RFC 4301 §4.4.2.1). Every field of
// the session is either carried, without effect in this direction, or refused.
#include "driver/pmd/sa_context.hpp"

#include <sys/random.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>

#include "driver/gcm_powers.hpp"
#include "host/base/error.hpp"
#include "host/base/secret.hpp"

namespace saline::pmd {
namespace {

using base::Error;

constexpr std::uint8_t kDefaultHopLimit = 64;
constexpr std::uint32_t kWindowUnit = 32;  // packets per replay word
constexpr std::size_t kIcvBytes = 16;

[[noreturn]] void unsupported(const std::string& what) {
  throw Error(ENOTSUP, what + "; see the port's rte_security capabilities");
}

std::uint64_t random_iv_base() {
  std::uint64_t value = 0;
  if (getrandom(&value, sizeof value, 0) != sizeof value) {
    throw base::system_error("no random numbers for the IV: getrandom");
  }
  return value;
}

void check_kind(const rte_security_session_conf& conf) {
  if (conf.action_type != RTE_SECURITY_ACTION_TYPE_INLINE_PROTOCOL) {
    unsupported("only inline protocol sessions are offloaded");
  }
  if (conf.protocol != RTE_SECURITY_PROTOCOL_IPSEC)
    unsupported("only IPsec sessions are offloaded");
  if (conf.ipsec.proto != RTE_SECURITY_IPSEC_SA_PROTO_ESP) unsupported("only ESP is offloaded");
  if (conf.ipsec.mode != RTE_SECURITY_IPSEC_SA_MODE_TUNNEL &&
      conf.ipsec.mode != RTE_SECURITY_IPSEC_SA_MODE_TRANSPORT) {
    throw Error(EINVAL, "the mode is neither tunnel nor transport");
  }
  if (conf.ipsec.direction != RTE_SECURITY_IPSEC_SA_DIR_EGRESS &&
      conf.ipsec.direction != RTE_SECURITY_IPSEC_SA_DIR_INGRESS) {
    throw Error(EINVAL, "the direction is neither egress nor ingress");
  }
  // RFC 4303 §2.1: 0 is for local use and never on the wire.
  if (conf.ipsec.spi == 0) throw Error(EINVAL, "SPI 0 is not allowed on the wire");
}

void check_options(const rte_security_ipsec_xform& ipsec, const rte_security_capability& able) {
  const rte_security_ipsec_sa_options& asked = ipsec.options;
  const rte_security_ipsec_sa_options& can = able.ipsec.options;
  const bool inbound = ipsec.direction == RTE_SECURITY_IPSEC_SA_DIR_INGRESS;
  const struct {
    bool asked, can;
    const char* name;
  } options[] = {
      {asked.esn != 0, can.esn != 0, "esn"},
      {asked.udp_encap != 0, can.udp_encap != 0, "udp_encap"},
      {asked.copy_dscp != 0, can.copy_dscp != 0, "copy_dscp in this mode and direction"},
      {asked.copy_flabel != 0, can.copy_flabel != 0, "copy_flabel in this mode"},
      {asked.copy_df != 0, can.copy_df != 0, "copy_df in this mode"},
      {asked.dec_ttl != 0, can.dec_ttl != 0, "dec_ttl"},
      {asked.ecn != 0, can.ecn != 0, "ecn in this mode"},
      {asked.iv_gen_disable != 0 && !inbound, can.iv_gen_disable != 0, "iv_gen_disable"},
      {asked.tunnel_hdr_verify > can.tunnel_hdr_verify && inbound, false, "tunnel_hdr_verify = 3"},
      {asked.udp_ports_verify != 0, can.udp_ports_verify != 0, "udp_ports_verify"},
      {asked.ip_csum_enable != 0, can.ip_csum_enable != 0, "ip_csum_enable"},
      {asked.l4_csum_enable != 0, can.l4_csum_enable != 0, "l4_csum_enable"},
      {asked.ip_reassembly_en != 0, can.ip_reassembly_en != 0, "ip_reassembly_en"},
      {asked.reserved_opts != 0, false, "a reserved bit"},
  };
  for (const auto& option : options) {
    if (option.asked && !option.can) {
      unsupported(std::string("the session option ") + option.name + " is not offloaded");
    }
  }
}

// RFC 4106: the salt is the first four bytes of the nonce, the IV the other eight.
void convert_transform(const rte_security_session_conf& conf, const driver::Capabilities& card,
                       hw::SaContext& sa) {
  const rte_crypto_sym_xform* xform = conf.crypto_xform;
  if (xform == nullptr) throw Error(EINVAL, "the session has no crypto transform");
  if (xform->type != RTE_CRYPTO_SYM_XFORM_AEAD || xform->next != nullptr ||
      xform->aead.algo != RTE_CRYPTO_AEAD_AES_GCM) {
    unsupported("only AES-GCM is offloaded");
  }
  const auto op = conf.ipsec.direction == RTE_SECURITY_IPSEC_SA_DIR_EGRESS
                      ? RTE_CRYPTO_AEAD_OP_ENCRYPT
                      : RTE_CRYPTO_AEAD_OP_DECRYPT;
  if (xform->aead.op != op) {
    throw Error(EINVAL, "the AEAD operation does not fit the direction of the SA");
  }
  if (xform->aead.digest_length != kIcvBytes) unsupported("only a 16-byte ICV is offloaded");
  if (xform->aead.key.data == nullptr) throw Error(EINVAL, "the key pointer is NULL");
  const hw::Suite suite = gcm_suite(card, xform->aead.key.length);
  if (suite == hw::Suite::none) {
    unsupported("this card has no AES-GCM with a key of " +
                std::to_string(8 * xform->aead.key.length) + " bits");
  }
  sa.suite = static_cast<std::uint8_t>(suite);
  std::copy_n(xform->aead.key.data, xform->aead.key.length, sa.key.begin());
  auto powers = driver::gcm_hash_powers({xform->aead.key.data, xform->aead.key.length});
  sa.hash_powers = powers;
  base::wipe(powers);
  sa.salt = rte_be_to_cpu_32(conf.ipsec.salt);
  sa.iv_base = random_iv_base();
}

// esn.value is the next sequence number to send or the next one expected; 0 stands for 1.
void convert_sequence(const rte_security_ipsec_xform& ipsec, const driver::Capabilities& card,
                      hw::SaContext& sa) {
  sa.esn = ipsec.options.esn;
  if (!sa.esn && ipsec.esn.value > std::numeric_limits<std::uint32_t>::max()) {
    throw Error(EINVAL, "esn.value needs more than 32 bits but the option esn is off");
  }
  sa.sequence_number = ipsec.esn.value == 0 ? 0 : ipsec.esn.value - 1;
  if (ipsec.direction == RTE_SECURITY_IPSEC_SA_DIR_INGRESS) {
    if (ipsec.replay_win_sz > card.window) {
      unsupported("the card's largest anti-replay window is " + std::to_string(card.window) +
                  " packets, not " + std::to_string(ipsec.replay_win_sz));
    }
    sa.replay_words =
        static_cast<std::uint8_t>((ipsec.replay_win_sz + kWindowUnit - 1) / kWindowUnit);
  }
}

template <class Bytes>
void copy_address(const Bytes& from, std::array<std::uint8_t, 16>& to) {
  static_assert(std::is_trivially_copyable_v<Bytes> && sizeof(Bytes) <= 16);
  to.fill(0);
  std::memcpy(to.data(), &from, sizeof from);
}

// RFC 4301 §5.1.2.
void convert_tunnel(const rte_security_ipsec_xform& ipsec, SessionContext& out) {
  hw::SaContext& sa = out.sa;
  sa.tunnel = true;
  sa.ecn_copy = ipsec.options.ecn;
  sa.copy_dscp = ipsec.options.copy_dscp;
  sa.copy_flow_label = ipsec.options.copy_flabel;
  if (ipsec.tunnel.type == RTE_SECURITY_IPSEC_TUNNEL_IPV4) {
    const auto& ipv4 = ipsec.tunnel.ipv4;
    copy_address(ipv4.src_ip, sa.source);
    copy_address(ipv4.dst_ip, sa.destination);
    if (ipv4.dscp > 63) throw Error(EINVAL, "tunnel.ipv4.dscp is not a 6-bit value");
    sa.traffic_class = static_cast<std::uint8_t>(ipv4.dscp << 2);
    sa.hop_limit = ipv4.ttl;
    sa.df_mode = static_cast<std::uint8_t>(ipsec.options.copy_df ? hw::DfMode::copy
                                           : ipv4.df != 0        ? hw::DfMode::set
                                                                 : hw::DfMode::clear);
  } else if (ipsec.tunnel.type == RTE_SECURITY_IPSEC_TUNNEL_IPV6) {
    const auto& ipv6 = ipsec.tunnel.ipv6;
    sa.outer_ipv6 = true;
    copy_address(ipv6.src_addr, sa.source);
    copy_address(ipv6.dst_addr, sa.destination);
    if (ipv6.dscp > 63) throw Error(EINVAL, "tunnel.ipv6.dscp is not a 6-bit value");
    if (ipv6.flabel > 0xfffff) throw Error(EINVAL, "tunnel.ipv6.flabel is not a 20-bit value");
    sa.traffic_class = static_cast<std::uint8_t>(ipv6.dscp << 2);
    sa.flow_label = ipv6.flabel;
    sa.hop_limit = ipv6.hlimit;
  } else {
    throw Error(EINVAL, "the tunnel type is neither IPv4 nor IPv6");
  }
  if (sa.hop_limit == 0) sa.hop_limit = kDefaultHopLimit;

  constexpr std::array<std::uint8_t, 16> kNone{};
  const unsigned verify = ipsec.options.tunnel_hdr_verify;
  const bool needs_destination = !out.inbound || verify != 0;
  const bool needs_source = !out.inbound || verify == RTE_SECURITY_IPSEC_TUNNEL_VERIFY_SRC_DST_ADDR;
  if ((needs_destination && sa.destination == kNone) || (needs_source && sa.source == kNone)) {
    throw Error(EINVAL, "a tunnel endpoint that the session needs is the unspecified address");
  }
  if (out.inbound) {
    out.any_destination = !needs_destination;
    sa.verify_outer = needs_source;
  }
}

}  // namespace

SessionContext::~SessionContext() {
  static_assert(std::is_trivially_copyable_v<hw::SaContext>);
  base::wipe({reinterpret_cast<std::uint8_t*>(&sa), sizeof sa});
}

base::Address SessionContext::lookup_destination() const {
  if (any_destination) return {};
  return {.family = sa.outer_ipv6 ? base::Family::ipv6 : base::Family::ipv4,
          .bytes = sa.destination};
}

void to_context(const rte_security_session_conf& conf, const driver::Capabilities& card,
                const SecurityCapabilities& capabilities, SessionContext& out) {
  check_kind(conf);
  const rte_security_ipsec_xform& ipsec = conf.ipsec;
  check_options(ipsec, capabilities.of(ipsec.mode, ipsec.direction));

  out.inbound = ipsec.direction == RTE_SECURITY_IPSEC_SA_DIR_INGRESS;
  hw::SaContext& sa = out.sa;
  sa.spi = ipsec.spi;
  sa.deliver_failed = out.inbound;  // rte_security: a packet that fails is the application's to see
  convert_transform(conf, card, sa);
  convert_sequence(ipsec, card, sa);
  sa.packets_soft = ipsec.life.packets_soft_limit;
  sa.packets_hard = ipsec.life.packets_hard_limit;
  sa.bytes_soft = ipsec.life.bytes_soft_limit;
  sa.bytes_hard = ipsec.life.bytes_hard_limit;
  if (ipsec.mode == RTE_SECURITY_IPSEC_SA_MODE_TUNNEL) {
    convert_tunnel(ipsec, out);
  } else {
    out.any_destination = out.inbound;
    if (out.inbound && ipsec.options.tunnel_hdr_verify != 0) {
      unsupported("tunnel_hdr_verify needs tunnel mode");
    }
  }
}

}  // namespace saline::pmd
