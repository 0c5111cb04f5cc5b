// The host-wide variables net.inet.ipsec.*, net.inet6.ipsec6.* and net.saline.* that the packet
// walk and its caller obey.
#pragma once

#include <cstdint>

#include "host/base/ip.hpp"
#include "host/ipsec/protocols.hpp"

namespace saline::ipsec {

enum class DfBit : std::uint8_t { clear = 0, set = 1, copy = 2 };

// The ecn variable: 0 keeps ECN out of the outer header, 1 is KAME's "ECN friendly" (RFC 3168
// §9.1.1, full functionality), 2 is RFC 6040 normal mode.
enum class Ecn : std::uint8_t { forbidden = 0, friendly = 1, rfc6040 = 2 };

// One per family: net.inet.ipsec and net.inet6.ipsec6. Where a variable is an IPv4 matter only, the
// IPv6 set's copy is not read.
struct FamilySettings {
  Action default_policy = Action::none;  // discard or none
  Level esp_transport = Level::use;
  Level esp_tunnel = Level::use;
  Level ah_transport = Level::use;
  Level ah_tunnel = Level::use;
  bool ah_clear_tos = true;
  std::uint16_t ah_offset_mask = 0;
  DfBit df_bit = DfBit::clear;
  Ecn ecn = Ecn::forbidden;
};

// What the control thread obeys when it makes and keeps SAs.
struct SaRules {
  bool allow_unauthenticated = false;  // encryption without integrity
  // ESP in UDP: an outbound SA sends to where its peer's packets now come from, without waiting for
  // a key daemon.
  bool follow_peer = false;
  // ESP in UDP: keepalives of outbound SAs that send nothing else (RFC 3948 §4); 0: none, as when
  // the key daemon sends them.
  std::uint16_t keepalive_interval_s = 0;
};

struct Settings {
  FamilySettings ipv4;
  FamilySettings ipv6;
  bool prefer_oldest_sa = true;  // net.key.preferred_oldsa
  bool copy_dscp = true;         // outer DSCP as inner; else tunnel_dscp (RFC 2983)
  std::uint8_t tunnel_dscp = 0;
  std::uint8_t tunnel_hop_limit = 64;  // 0: as inner
  bool copy_flow_label = false;        // outer flow label as inner, where both are IPv6; else 0
  // A packet that may be fragmented and is too big once protected: protected whole and the outer
  // packet fragmented, where that one may be; else fragmented first, in tunnel mode.
  bool fragment_after = false;
  bool verify_tunnel_source = true;  // outer source must be the SA's
  bool strict_padding = false;       // refuse padding other than 1, 2, 3, ...
  // Inbound AH is lost by KAME when a tunnel is taken off around it: policies that require it there
  // refuse what they ask for (ipsec(4), BUGS). Only for who depends on that.
  bool kame_compat = false;
  // ICMP errors answer to the policy of the packet they quote as well (RFC 4301 §6).
  bool icmp_by_payload = true;
  // The caller's, see path_mtu.hpp, reassembly.hpp and mss.hpp.
  bool learn_path_mtu = true;  // from ICMP about protected packets
  std::uint16_t reassembly_time_s = 30;
  bool report_discard = false;  // ICMP "prohibited" for what outbound policy discards
  std::uint16_t mss_clamp = 0;  // 0: off; 1: what fits the path; else the largest MSS

  SaRules sa;

  const FamilySettings& of(base::Family family) const noexcept {
    return family == base::Family::ipv6 ? ipv6 : ipv4;
  }
};

}  // namespace saline::ipsec
