// rte_security sessions as the tests ask for them: an ESP tunnel between 192.0.2.1 and 192.0.2.2
// with AES-GCM, to be bent by each test.
#pragma once

#include <netinet/in.h>

#include <array>
#include <cstdint>
#include <numeric>

#include "driver/pmd/dpdk.hpp"

namespace saline::pmd::test {

constexpr std::uint32_t ipv4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) {
  return RTE_IPV4(a, b, c, d);
}

constexpr std::uint32_t kTunnelSource = ipv4(192, 0, 2, 1);
constexpr std::uint32_t kTunnelDestination = ipv4(192, 0, 2, 2);
constexpr std::uint32_t kSpi = 0x1234abcd;

// Not copyable: the configuration points into itself.
class SessionConf {
 public:
  explicit SessionConf(rte_security_ipsec_sa_direction direction, std::uint16_t key_bytes = 16) {
    std::iota(key.begin(), key.end(), std::uint8_t{0xa0});
    xform.type = RTE_CRYPTO_SYM_XFORM_AEAD;
    xform.aead.op = direction == RTE_SECURITY_IPSEC_SA_DIR_EGRESS ? RTE_CRYPTO_AEAD_OP_ENCRYPT
                                                                  : RTE_CRYPTO_AEAD_OP_DECRYPT;
    xform.aead.algo = RTE_CRYPTO_AEAD_AES_GCM;
    xform.aead.key.data = key.data();
    xform.aead.key.length = key_bytes;
    xform.aead.iv.length = 12;
    xform.aead.digest_length = 16;
    xform.aead.aad_length = 8;
    conf.action_type = RTE_SECURITY_ACTION_TYPE_INLINE_PROTOCOL;
    conf.protocol = RTE_SECURITY_PROTOCOL_IPSEC;
    conf.crypto_xform = &xform;
    conf.userdata = this;
    ipsec().spi = kSpi;
    ipsec().salt = 0x44332211;  // bytes 11 22 33 44 in memory
    ipsec().direction = direction;
    ipsec().proto = RTE_SECURITY_IPSEC_SA_PROTO_ESP;
    ipsec().mode = RTE_SECURITY_IPSEC_SA_MODE_TUNNEL;
    ipsec().tunnel.type = RTE_SECURITY_IPSEC_TUNNEL_IPV4;
    ipsec().tunnel.ipv4.src_ip.s_addr = rte_cpu_to_be_32(kTunnelSource);
    ipsec().tunnel.ipv4.dst_ip.s_addr = rte_cpu_to_be_32(kTunnelDestination);
    if (direction == RTE_SECURITY_IPSEC_SA_DIR_INGRESS) ipsec().replay_win_sz = 64;
  }
  SessionConf(const SessionConf&) = delete;
  SessionConf& operator=(const SessionConf&) = delete;

  rte_security_ipsec_xform& ipsec() { return conf.ipsec; }
  void transport() {
    ipsec().mode = RTE_SECURITY_IPSEC_SA_MODE_TRANSPORT;
    ipsec().tunnel = {};
  }

  rte_security_session_conf conf{};
  rte_crypto_sym_xform xform{};
  std::array<std::uint8_t, 64> key{};
};

struct EgressConf : SessionConf {
  explicit EgressConf(std::uint16_t key_bytes = 16)
      : SessionConf(RTE_SECURITY_IPSEC_SA_DIR_EGRESS, key_bytes) {}
};

struct IngressConf : SessionConf {
  explicit IngressConf(std::uint16_t key_bytes = 16)
      : SessionConf(RTE_SECURITY_IPSEC_SA_DIR_INGRESS, key_bytes) {}
};

}  // namespace saline::pmd::test
