// From an SA to rte_security's session request, or to the words that say why the card cannot (RFC
// 4301 §4.4.2.1); see card_session.hpp.
#include "host/salined/card_session.hpp"

#include <rte_cryptodev.h>

#include <cstring>

namespace saline::daemon {
namespace {

using crypto::Method;
using ipsec::SaConfig;

// Bytes of IV that DPDK counts for counter modes: salt and IV together.
constexpr std::uint16_t kCounterModeIv = 12;

struct CipherName {
  Method method;
  rte_crypto_cipher_algorithm algorithm;
};
constexpr CipherName kCiphers[] = {{Method::null_cipher, RTE_CRYPTO_CIPHER_NULL},
                                   {Method::des_cbc, RTE_CRYPTO_CIPHER_DES_CBC},
                                   {Method::des3_cbc, RTE_CRYPTO_CIPHER_3DES_CBC},
                                   {Method::aes_cbc, RTE_CRYPTO_CIPHER_AES_CBC},
                                   {Method::aes_ctr, RTE_CRYPTO_CIPHER_AES_CTR}};

struct AuthName {
  Method method;
  rte_crypto_auth_algorithm algorithm;
};
constexpr AuthName kAuths[] = {{Method::hmac_md5, RTE_CRYPTO_AUTH_MD5_HMAC},
                               {Method::hmac_sha1, RTE_CRYPTO_AUTH_SHA1_HMAC},
                               {Method::hmac_sha2_256, RTE_CRYPTO_AUTH_SHA256_HMAC},
                               {Method::hmac_sha2_384, RTE_CRYPTO_AUTH_SHA384_HMAC},
                               {Method::hmac_sha2_512, RTE_CRYPTO_AUTH_SHA512_HMAC}};

template <typename Rows>
auto find_method(const Rows& rows, Method method) -> decltype(&rows[0]) {
  for (const auto& row : rows) {
    if (row.method == method) return &row;
  }
  return nullptr;
}

bool covers(const rte_crypto_param_range& range, std::size_t value) {
  if (value < range.min || value > range.max) return false;
  return range.increment == 0 ? value == range.min || value == range.max
                              : (value - range.min) % range.increment == 0;
}

const rte_cryptodev_symmetric_capability* find_crypto(const rte_security_capability& able,
                                                      rte_crypto_sym_xform_type type,
                                                      int algorithm) {
  const rte_cryptodev_capabilities* row = able.crypto_capabilities;
  for (; row != nullptr && row->op != RTE_CRYPTO_OP_TYPE_UNDEFINED; ++row) {
    if (row->op != RTE_CRYPTO_OP_TYPE_SYMMETRIC || row->sym.xform_type != type) continue;
    const int found = type == RTE_CRYPTO_SYM_XFORM_AEAD     ? static_cast<int>(row->sym.aead.algo)
                      : type == RTE_CRYPTO_SYM_XFORM_CIPHER ? static_cast<int>(row->sym.cipher.algo)
                                                            : static_cast<int>(row->sym.auth.algo);
    if (found == algorithm) return &row->sym;
  }
  return nullptr;
}

std::string key_text(const crypto::Algorithm& algorithm, std::size_t key_bytes) {
  return std::string(algorithm.name) + " " + std::to_string(8 * key_bytes) + "-bit key not in card";
}

std::string not_in_card(const crypto::Algorithm& algorithm) {
  return std::string(algorithm.name) + " not in card";
}

std::size_t cipher_key_bytes(const SaConfig& config) {
  return config.encryption_key.size() - config.encryption->salt_bytes;
}

// DPDK wants pointers to non-const keys and does not write to them.
std::uint8_t* key_pointer(const base::Secret& key) {
  return const_cast<std::uint8_t*>(key.bytes().data());
}

void put_salt(const SaConfig& config, rte_security_ipsec_xform& ipsec) {
  if (config.encryption->salt_bytes != sizeof ipsec.salt) return;
  std::memcpy(&ipsec.salt, config.encryption_key.bytes().data() + cipher_key_bytes(config),
              sizeof ipsec.salt);
}

std::string put_aead(const SaConfig& config, const rte_security_capability& able, bool inbound,
                     SessionRequest& out) {
  if (config.encryption->method != Method::aes_gcm) return not_in_card(*config.encryption);
  const auto* sym = find_crypto(able, RTE_CRYPTO_SYM_XFORM_AEAD, RTE_CRYPTO_AEAD_AES_GCM);
  if (sym == nullptr || !covers(sym->aead.digest_size, config.encryption->icv_bytes)) {
    return not_in_card(*config.encryption);
  }
  const std::size_t key_bytes = cipher_key_bytes(config);
  if (!covers(sym->aead.key_size, key_bytes)) return key_text(*config.encryption, key_bytes);
  out.first.type = RTE_CRYPTO_SYM_XFORM_AEAD;
  rte_crypto_aead_xform& aead = out.first.aead;
  aead.op = inbound ? RTE_CRYPTO_AEAD_OP_DECRYPT : RTE_CRYPTO_AEAD_OP_ENCRYPT;
  aead.algo = RTE_CRYPTO_AEAD_AES_GCM;
  aead.key.data = key_pointer(config.encryption_key);
  aead.key.length = static_cast<std::uint16_t>(key_bytes);
  aead.iv.length = kCounterModeIv;
  aead.digest_length = config.encryption->icv_bytes;
  aead.aad_length = config.extended_sequence ? 12 : 8;
  put_salt(config, out.conf.ipsec);
  out.conf.crypto_xform = &out.first;
  return {};
}

std::string put_cipher(const SaConfig& config, const rte_security_capability& able, bool inbound,
                       rte_crypto_sym_xform& xform) {
  const auto* name = find_method(kCiphers, config.encryption->method);
  const auto* sym =
      name == nullptr ? nullptr : find_crypto(able, RTE_CRYPTO_SYM_XFORM_CIPHER, name->algorithm);
  if (sym == nullptr) return not_in_card(*config.encryption);
  const std::size_t key_bytes = cipher_key_bytes(config);
  if (!covers(sym->cipher.key_size, key_bytes)) return key_text(*config.encryption, key_bytes);
  xform.type = RTE_CRYPTO_SYM_XFORM_CIPHER;
  xform.cipher.op = inbound ? RTE_CRYPTO_CIPHER_OP_DECRYPT : RTE_CRYPTO_CIPHER_OP_ENCRYPT;
  xform.cipher.algo = name->algorithm;
  xform.cipher.key.data = key_pointer(config.encryption_key);
  xform.cipher.key.length = static_cast<std::uint16_t>(key_bytes);
  xform.cipher.iv.length = config.encryption->method == Method::aes_ctr
                               ? static_cast<std::uint16_t>(16)
                               : config.encryption->iv_bytes;
  return {};
}

std::string put_auth(const SaConfig& config, const rte_security_capability& able, bool inbound,
                     rte_crypto_sym_xform& xform) {
  if (config.integrity == nullptr) return "no integrity algorithm";
  const auto* name = find_method(kAuths, config.integrity->method);
  const auto* sym =
      name == nullptr ? nullptr : find_crypto(able, RTE_CRYPTO_SYM_XFORM_AUTH, name->algorithm);
  if (sym == nullptr || !covers(sym->auth.digest_size, config.integrity->icv_bytes)) {
    return not_in_card(*config.integrity);
  }
  if (!covers(sym->auth.key_size, config.integrity_key.size())) {
    return key_text(*config.integrity, config.integrity_key.size());
  }
  xform.type = RTE_CRYPTO_SYM_XFORM_AUTH;
  xform.auth.op = inbound ? RTE_CRYPTO_AUTH_OP_VERIFY : RTE_CRYPTO_AUTH_OP_GENERATE;
  xform.auth.algo = name->algorithm;
  xform.auth.key.data = key_pointer(config.integrity_key);
  xform.auth.key.length = static_cast<std::uint16_t>(config.integrity_key.size());
  xform.auth.digest_length = config.integrity->icv_bytes;
  return {};
}

// RFC 4303 §3.3.2: encrypt then sign; the other way round inbound.
std::string put_transform(const SaConfig& config, const rte_security_capability& able, bool inbound,
                          SessionRequest& out) {
  if (config.encryption->is_aead()) return put_aead(config, able, inbound, out);
  rte_crypto_sym_xform& cipher = inbound ? out.second : out.first;
  rte_crypto_sym_xform& auth = inbound ? out.first : out.second;
  std::string reason = put_cipher(config, able, inbound, cipher);
  if (reason.empty()) reason = put_auth(config, able, inbound, auth);
  if (!reason.empty()) return reason;
  put_salt(config, out.conf.ipsec);
  out.first.next = &out.second;
  out.conf.crypto_xform = &out.first;
  return {};
}

const rte_security_capability* find_capability(const rte_security_capability* row,
                                               const SaConfig& config, bool inbound) {
  const auto mode = config.mode == ipsec::Mode::tunnel ? RTE_SECURITY_IPSEC_SA_MODE_TUNNEL
                                                       : RTE_SECURITY_IPSEC_SA_MODE_TRANSPORT;
  const auto direction =
      inbound ? RTE_SECURITY_IPSEC_SA_DIR_INGRESS : RTE_SECURITY_IPSEC_SA_DIR_EGRESS;
  const auto protocol = config.id.protocol == ipsec::Protocol::esp ? RTE_SECURITY_IPSEC_SA_PROTO_ESP
                                                                   : RTE_SECURITY_IPSEC_SA_PROTO_AH;
  for (; row != nullptr && row->action != RTE_SECURITY_ACTION_TYPE_NONE; ++row) {
    if (row->action == RTE_SECURITY_ACTION_TYPE_INLINE_PROTOCOL &&
        row->protocol == RTE_SECURITY_PROTOCOL_IPSEC && row->ipsec.proto == protocol &&
        row->ipsec.mode == mode && row->ipsec.direction == direction) {
      return row;
    }
  }
  return nullptr;
}

// RFC 4301 §5.1.2: the outer header as the software path builds it.
std::string put_tunnel(const SaConfig& config, const rte_security_capability& able, bool inbound,
                       const ipsec::Settings& settings, rte_security_ipsec_xform& ipsec) {
  const base::Family family = config.id.destination.family;
  const ipsec::FamilySettings& variables = settings.of(family);
  if (config.source.is_unspecified()) return "no tunnel source address";
  constexpr std::uint32_t kHeaderFlags =
      ipsec::kFlagNoPathMtu | ipsec::kFlagDecapDscp | ipsec::kFlagNoEcn;
  if ((config.flags & kHeaderFlags) != 0) return "tunnel flags of the SA not in card";
  if (inbound) {
    if (settings.verify_tunnel_source) {
      ipsec.options.tunnel_hdr_verify = RTE_SECURITY_IPSEC_TUNNEL_VERIFY_SRC_DST_ADDR;
      if (able.ipsec.options.tunnel_hdr_verify < ipsec.options.tunnel_hdr_verify) {
        return "check of tunnel addresses not in card";
      }
    }
  } else {
    if (settings.copy_dscp && !able.ipsec.options.copy_dscp) return "copy of DSCP not in card";
    ipsec.options.copy_dscp = settings.copy_dscp;
    if (settings.tunnel_hop_limit == 0) return "copy of TTL not in card";
    if (family == base::Family::ipv6 && settings.copy_flow_label) {
      return "copy of flow label not in card";
    }
  }
  // rte_security knows RFC 6040 and no ECN at all, nothing between.
  if (variables.ecn == ipsec::Ecn::friendly) return "ecn=1 not in card";
  ipsec.options.ecn = variables.ecn == ipsec::Ecn::rfc6040;
  if (ipsec.options.ecn && !able.ipsec.options.ecn) return "ecn=2 not in card";
  if (family == base::Family::ipv4) {
    ipsec.tunnel.type = RTE_SECURITY_IPSEC_TUNNEL_IPV4;
    std::memcpy(&ipsec.tunnel.ipv4.src_ip, config.source.bytes.data(), 4);
    std::memcpy(&ipsec.tunnel.ipv4.dst_ip, config.id.destination.bytes.data(), 4);
    ipsec.tunnel.ipv4.dscp = settings.tunnel_dscp;
    ipsec.tunnel.ipv4.ttl = settings.tunnel_hop_limit;
    ipsec.tunnel.ipv4.df = variables.df_bit == ipsec::DfBit::set;
    ipsec.options.copy_df = variables.df_bit == ipsec::DfBit::copy;
    if (ipsec.options.copy_df && !able.ipsec.options.copy_df) return "copy of DF not in card";
  } else {
    ipsec.tunnel.type = RTE_SECURITY_IPSEC_TUNNEL_IPV6;
    std::memcpy(&ipsec.tunnel.ipv6.src_addr, config.source.bytes.data(), 16);
    std::memcpy(&ipsec.tunnel.ipv6.dst_addr, config.id.destination.bytes.data(), 16);
    ipsec.tunnel.ipv6.dscp = settings.tunnel_dscp;
    ipsec.tunnel.ipv6.hlimit = settings.tunnel_hop_limit;
  }
  return {};
}

std::string put_state(const SaConfig& config, const rte_security_capability& able, bool inbound,
                      rte_security_ipsec_xform& ipsec) {
  if (config.extended_sequence && !able.ipsec.options.esn) return "esn not in card";
  if (ipsec::may_cycle(config)) return "cycling sequence not in card";  // it never starts over
  if ((config.flags & (ipsec::kFlagPadRandom | ipsec::kFlagPadZero)) != 0) {
    return "padding contents not in card";
  }
  ipsec.options.esn = config.extended_sequence;
  ipsec.options.stats = able.ipsec.options.stats;
  if (inbound) {
    if (config.replay_window > able.ipsec.replay_win_sz_max) {
      return "replay window above the card's " + std::to_string(able.ipsec.replay_win_sz_max);
    }
    ipsec.replay_win_sz = config.replay_window;
  }
  ipsec.esn.value = config.sequence + 1;
  ipsec.life.packets_soft_limit = config.soft.packets;
  ipsec.life.packets_hard_limit = config.hard.packets;
  ipsec.life.bytes_soft_limit = config.soft.bytes;
  ipsec.life.bytes_hard_limit = config.hard.bytes;
  return {};
}

}  // namespace

namespace {

// Forms of an SA that rte_security has no word for, or this version does not hand to it.
std::string form_of(const SaConfig& config) {
  if (config.id.protocol == ipsec::Protocol::ipcomp) return "ipcomp not in card";
  if ((config.flags & ipsec::kFlagOld) != 0) return "old format not in card";
  if ((config.flags & ipsec::kFlagDerivedIv) != 0) return "derived iv not in card";
  if (config.udp.enabled()) return "udp encapsulation not in card";
  if (config.tfc_bytes != 0) return "tfc padding not in card";
  if (config.ah_align8) return "ah padded to 8 bytes not in card";
  return {};
}

}  // namespace

std::string describe_session(const ipsec::SecurityAssociation& association, const SaRole& role,
                             const ipsec::Settings& settings,
                             const rte_security_capability* capabilities, SessionRequest& out) {
  const SaConfig& config = association.config();
  const bool inbound = role.direction == SaDirection::inbound;
  if (const std::string form = form_of(config); !form.empty()) return form;
  if (role.inside_bundle) return "not outermost in a bundle";
  if (role.around_ipcomp_tunnel) return "IP in IP of an IPComp tunnel not in card";
  if (config.mode == ipsec::Mode::any) return "mode any: say transport or tunnel";
  const rte_security_capability* able = find_capability(capabilities, config, inbound);
  if (able == nullptr) {
    return config.id.protocol == ipsec::Protocol::ah ? "ah not in card" : "esp mode not in card";
  }
  out.conf.action_type = RTE_SECURITY_ACTION_TYPE_INLINE_PROTOCOL;
  out.conf.protocol = RTE_SECURITY_PROTOCOL_IPSEC;
  rte_security_ipsec_xform& ipsec = out.conf.ipsec;
  ipsec.spi = config.id.spi;
  ipsec.proto = able->ipsec.proto;
  ipsec.mode = able->ipsec.mode;
  ipsec.direction = able->ipsec.direction;
  std::string reason = put_transform(config, *able, inbound, out);
  if (reason.empty()) reason = put_state(config, *able, inbound, ipsec);
  if (reason.empty() && config.mode == ipsec::Mode::tunnel) {
    reason = put_tunnel(config, *able, inbound, settings, ipsec);
  }
  return reason;
}

}  // namespace saline::daemon
