// The table of rte_security capabilities: ESP with AES-GCM (RFC 4303, RFC 4106), nothing else.
#include "driver/pmd/capabilities.hpp"

#include <algorithm>

namespace saline::pmd {
namespace {

struct Gcm {
  std::uint16_t key_bytes;
  hw::Suite suite;
};
constexpr Gcm kGcm[] = {{16, hw::Suite::aes_gcm_128_16}, {32, hw::Suite::aes_gcm_256_16}};

// AAD is SPI and sequence number, with ESN's high half (RFC 4106 §5); the 12 bytes of IV that DPDK
// counts are salt and IV together.
rte_cryptodev_capabilities gcm_capability(std::uint16_t key_min, std::uint16_t key_max) {
  rte_cryptodev_capabilities capability{};
  capability.op = RTE_CRYPTO_OP_TYPE_SYMMETRIC;
  capability.sym.xform_type = RTE_CRYPTO_SYM_XFORM_AEAD;
  capability.sym.aead.algo = RTE_CRYPTO_AEAD_AES_GCM;
  capability.sym.aead.block_size = 16;
  capability.sym.aead.key_size = {key_min, key_max, static_cast<std::uint16_t>(key_max - key_min)};
  capability.sym.aead.digest_size = {16, 16, 0};
  capability.sym.aead.aad_size = {8, 12, 4};
  capability.sym.aead.iv_size = {12, 12, 0};
  return capability;
}

rte_security_capability esp_capability(rte_security_ipsec_sa_mode mode,
                                       rte_security_ipsec_sa_direction direction,
                                       const driver::Capabilities& card) {
  rte_security_capability capability{};
  capability.action = RTE_SECURITY_ACTION_TYPE_INLINE_PROTOCOL;
  capability.protocol = RTE_SECURITY_PROTOCOL_IPSEC;
  capability.ol_flags = RTE_SECURITY_TX_OLOAD_NEED_MDATA;
  capability.ipsec.proto = RTE_SECURITY_IPSEC_SA_PROTO_ESP;
  capability.ipsec.mode = mode;
  capability.ipsec.direction = direction;

  rte_security_ipsec_sa_options& options = capability.ipsec.options;
  options.esn = 1;
  options.stats = 1;
  if (mode == RTE_SECURITY_IPSEC_SA_MODE_TUNNEL) {
    options.copy_df = 1;
    options.copy_flabel = 1;
    options.ecn = 1;
    // DPDK wants the option to work both ways; decapsulation leaves the inner DSCP alone, as
    // RFC 4301 §5.1.2 demands, so only egress has it.
    options.copy_dscp = direction == RTE_SECURITY_IPSEC_SA_DIR_EGRESS;
  }
  if (direction == RTE_SECURITY_IPSEC_SA_DIR_INGRESS) {
    options.tunnel_hdr_verify = RTE_SECURITY_IPSEC_TUNNEL_VERIFY_SRC_DST_ADDR;
    capability.ipsec.replay_win_sz_max = card.window;
  }
  return capability;
}

}  // namespace

hw::Suite gcm_suite(const driver::Capabilities& card, std::size_t key_bytes) noexcept {
  for (const Gcm& gcm : kGcm) {
    if (gcm.key_bytes == key_bytes && card.has(gcm.suite)) return gcm.suite;
  }
  return hw::Suite::none;
}

SecurityCapabilities::SecurityCapabilities(const driver::Capabilities& card) {
  std::vector<std::uint16_t> keys;
  for (const Gcm& gcm : kGcm) {
    if (card.has(gcm.suite)) keys.push_back(gcm.key_bytes);
  }
  if (!keys.empty()) crypto_.push_back(gcm_capability(keys.front(), keys.back()));
  crypto_.push_back({});
  for (const auto mode :
       {RTE_SECURITY_IPSEC_SA_MODE_TUNNEL, RTE_SECURITY_IPSEC_SA_MODE_TRANSPORT}) {
    for (const auto direction :
         {RTE_SECURITY_IPSEC_SA_DIR_EGRESS, RTE_SECURITY_IPSEC_SA_DIR_INGRESS}) {
      security_.push_back(esp_capability(mode, direction, card));
      security_.back().crypto_capabilities = crypto_.data();
    }
  }
  security_.push_back({});
}

const rte_security_capability& SecurityCapabilities::of(
    rte_security_ipsec_sa_mode mode, rte_security_ipsec_sa_direction direction) const noexcept {
  return *std::find_if(security_.begin(), security_.end() - 2, [&](const auto& capability) {
    return capability.ipsec.mode == mode && capability.ipsec.direction == direction;
  });
}

}  // namespace saline::pmd
