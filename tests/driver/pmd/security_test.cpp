// Inline protocol on a whole card, over rte_ethdev, rte_security and rte_flow alone: what the stock
// suite does not look at (verdicts, reasons, counters, userdata, what must not leave the port).
//
// The card is SALINE_TEST_CARD, device arguments with a MAC that loops back; by default the model.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

#include "tests/driver/pmd/port_fixture.hpp"
#include "tests/driver/pmd/session_conf.hpp"

namespace saline::pmd::test {
namespace {

using hw::DropReason;

constexpr std::size_t kEthernet = RTE_ETHER_HDR_LEN;
constexpr std::uint64_t kSecurityFlags =
    RTE_MBUF_F_RX_SEC_OFFLOAD | RTE_MBUF_F_RX_SEC_OFFLOAD_FAILED;

// IPv4 10.0.0.1 -> 10.0.0.2, UDP to `port`, right checksums.
Bytes plain_frame(std::size_t payload = 30, std::uint16_t port = 2000) {
  Bytes frame(kEthernet + 20 + 8 + payload, 0x33);
  frame[12] = 0x08;
  frame[13] = 0x00;
  auto* ip = reinterpret_cast<rte_ipv4_hdr*>(&frame[kEthernet]);
  *ip = {};
  ip->version_ihl = 0x45;
  ip->total_length = rte_cpu_to_be_16(static_cast<std::uint16_t>(28 + payload));
  ip->time_to_live = 64;
  ip->next_proto_id = IPPROTO_UDP;
  ip->src_addr = rte_cpu_to_be_32(ipv4(10, 0, 0, 1));
  ip->dst_addr = rte_cpu_to_be_32(ipv4(10, 0, 0, 2));
  ip->hdr_checksum = rte_ipv4_cksum(ip);
  auto* udp = reinterpret_cast<rte_udp_hdr*>(ip + 1);
  udp->src_port = rte_cpu_to_be_16(1000);
  udp->dst_port = rte_cpu_to_be_16(port);
  udp->dgram_len = rte_cpu_to_be_16(static_cast<std::uint16_t>(8 + payload));
  udp->dgram_cksum = 0;
  udp->dgram_cksum = rte_ipv4_udptcp_cksum(ip, udp);
  return frame;
}

std::size_t esp_offset(const Bytes& frame) { return kEthernet + (frame[12] == 0x08 ? 20 : 40); }

std::uint32_t word(const Bytes& frame, std::size_t offset) {
  return std::uint32_t{frame[offset]} << 24 | std::uint32_t{frame[offset + 1]} << 16 |
         std::uint32_t{frame[offset + 2]} << 8 | frame[offset + 3];
}
std::uint32_t spi_of(const Bytes& esp) { return word(esp, esp_offset(esp)); }
std::uint32_t sequence_of(const Bytes& esp) { return word(esp, esp_offset(esp) + 4); }

Bytes without_ethernet(const Bytes& frame) {
  return {frame.begin() + static_cast<long>(kEthernet), frame.end()};
}

class Security : public PortTest {
 protected:
  void SetUp() override {
    const char* card = std::getenv("SALINE_TEST_CARD");
    open(card != nullptr ? card : "transport=model,mac=loopback");
    if (!HasFatalFailure()) {
      rte_eth_dev_callback_register(port_, RTE_ETH_EVENT_IPSEC, on_event, this);
    }
  }
  void TearDown() override {
    if (port_ != kNoPort) {
      rte_eth_dev_callback_unregister(port_, RTE_ETH_EVENT_IPSEC, on_event, this);
    }
    for (rte_security_session* session : made_) {
      EXPECT_EQ(rte_security_session_destroy(security(), session), 0);
    }
    PortTest::TearDown();
  }

  rte_security_session* make(SessionConf& conf) {
    rte_security_session* session = create(conf.conf);
    EXPECT_NE(session, nullptr);
    if (session != nullptr) made_.push_back(session);
    return session;
  }
  void destroy(rte_security_session* session) {
    std::erase(made_, session);
    EXPECT_EQ(rte_security_session_destroy(security(), session), 0);
  }

  Mbuf marked(rte_security_session* session, const Bytes& frame) {
    Mbuf packet = mbuf(frame);
    rte_security_set_pkt_metadata(security(), session, packet.get(), nullptr);
    packet->ol_flags |= RTE_MBUF_F_TX_SEC_OFFLOAD;
    return packet;
  }

  // What the card makes of a frame; the SPI has no inbound SA yet.
  Bytes protect(rte_security_session* session, const Bytes& frame = plain_frame()) {
    send(marked(session, frame));
    const Mbuf got = receive();
    if (got == nullptr) throw std::runtime_error("the protected packet did not come back");
    EXPECT_EQ(got->ol_flags & kSecurityFlags, 0u);
    EXPECT_NE(got->packet_type & RTE_PTYPE_TUNNEL_MASK, 0u);
    return bytes_of(*got);
  }

  void expect_accepted(const Bytes& esp, const Bytes& plain, void* userdata) {
    send(esp);
    const Mbuf got = receive();
    ASSERT_NE(got, nullptr);
    EXPECT_EQ(got->ol_flags & kSecurityFlags, RTE_MBUF_F_RX_SEC_OFFLOAD) << reason(*got);
    EXPECT_EQ(without_ethernet(bytes_of(*got)), without_ethernet(plain));
    EXPECT_EQ(*rte_security_dynfield(got.get()), reinterpret_cast<std::uint64_t>(userdata));
    EXPECT_STREQ(reason(*got), "none");
  }

  // Delivered, flagged, with its reason, as received, and cut to 128 bytes at most.
  void expect_refused(const Bytes& esp, DropReason expected, void* userdata) {
    const std::uint64_t before = xstat(std::string("rx_drop_") + to_string(expected));
    send(esp);
    const Mbuf got = receive();
    ASSERT_NE(got, nullptr);
    EXPECT_EQ(got->ol_flags & kSecurityFlags, kSecurityFlags);
    EXPECT_STREQ(reason(*got), to_string(expected));
    EXPECT_EQ(*rte_security_dynfield(got.get()), reinterpret_cast<std::uint64_t>(userdata));
    const Bytes bytes = bytes_of(*got);
    EXPECT_LE(bytes.size(), 128u);
    EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), esp.begin()));
    EXPECT_EQ(xstat(std::string("rx_drop_") + to_string(expected)), before + 1);
  }

  void expect_untouched(const Bytes& frame) {
    send(frame);
    const Mbuf got = receive();
    ASSERT_NE(got, nullptr);
    EXPECT_EQ(got->ol_flags & kSecurityFlags, 0u);
    EXPECT_STREQ(reason(*got), "none");
    EXPECT_EQ(got->packet_type & RTE_PTYPE_TUNNEL_MASK,
              static_cast<std::uint32_t>(RTE_PTYPE_TUNNEL_ESP));
    EXPECT_EQ(bytes_of(*got), frame);
  }

  void expect_not_sent(Mbuf packet, DropReason expected) {
    const std::string name = std::string("tx_drop_") + to_string(expected);
    const std::uint64_t before = xstat(name);
    send(std::move(packet));
    EXPECT_TRUE(polling_until([&] { return xstat(name) != before; })) << name;
    expect_nothing();
    EXPECT_EQ(xstat(name), before + 1);
  }

  const char* reason(const rte_mbuf& packet) {
    return to_string(
        static_cast<DropReason>(rte_pmd_saline_reason(&packet, rte_pmd_saline_reason_offset())));
  }

  rte_security_ipsec_stats stats(rte_security_session* session) {
    rte_security_stats all{};
    EXPECT_EQ(rte_security_session_stats_get(security(), session, &all), 0);
    return all.ipsec;
  }

  static int on_event(std::uint16_t, rte_eth_event_type, void* self, void* description) {
    static_cast<Security*>(self)->events_.push_back(
        *static_cast<rte_eth_event_ipsec_desc*>(description));
    return 0;
  }
  // Events come with receive bursts.
  void expect_event(rte_eth_event_ipsec_subtype subtype, void* userdata) {
    polling_until([&] { return !events_.empty(); });
    expect_nothing();
    ASSERT_EQ(events_.size(), 1u);
    EXPECT_EQ(events_[0].subtype, subtype);
    EXPECT_EQ(events_[0].metadata, reinterpret_cast<std::uint64_t>(userdata));
    events_.clear();
  }

  rte_flow* rule(std::uint32_t priority, std::uint16_t port, rte_flow_action_type type,
                 rte_security_session* session = nullptr) {
    rte_flow_attr attributes{};
    attributes.egress = 1;
    attributes.priority = priority;
    rte_flow_item_udp spec{}, mask{};
    spec.hdr.dst_port = rte_cpu_to_be_16(port);
    mask.hdr.dst_port = 0xffff;
    const rte_flow_item items[] = {
        {.type = RTE_FLOW_ITEM_TYPE_IPV4, .spec = nullptr, .last = nullptr, .mask = nullptr},
        {.type = RTE_FLOW_ITEM_TYPE_UDP, .spec = &spec, .last = nullptr, .mask = &mask},
        {.type = RTE_FLOW_ITEM_TYPE_END, .spec = nullptr, .last = nullptr, .mask = nullptr}};
    const rte_flow_action_security conf{.security_session = session};
    const rte_flow_action actions[] = {{.type = type, .conf = session != nullptr ? &conf : nullptr},
                                       {.type = RTE_FLOW_ACTION_TYPE_END, .conf = nullptr}};
    rte_flow_error error{};
    rte_flow* flow = rte_flow_create(port_, &attributes, items, actions, &error);
    EXPECT_NE(flow, nullptr) << (error.message != nullptr ? error.message : "");
    return flow;
  }

  std::vector<rte_security_session*> made_;
  std::vector<rte_eth_event_ipsec_desc> events_;
};

// ---- what must work

struct Variant {
  const char* name;
  void (*bend)(SessionConf&);
};
void PrintTo(const Variant& variant, std::ostream* out) { *out << variant.name; }

class SecurityRoundTrip : public Security, public testing::WithParamInterface<Variant> {};

void ipv6_tunnel(SessionConf& conf) {
  conf.ipsec().tunnel = {};
  conf.ipsec().tunnel.type = RTE_SECURITY_IPSEC_TUNNEL_IPV6;
  conf.ipsec().tunnel.ipv6.src_addr.s6_addr[0] = 0x20;
  conf.ipsec().tunnel.ipv6.dst_addr.s6_addr[0] = 0x21;
}

INSTANTIATE_TEST_SUITE_P(
    Variant, SecurityRoundTrip,
    testing::Values(Variant{"tunnel_ipv4", [](SessionConf&) {}},
                    Variant{"tunnel_ipv6", ipv6_tunnel},
                    Variant{"transport", [](SessionConf& conf) { conf.transport(); }},
                    Variant{"key_256", [](SessionConf& conf) { conf.xform.aead.key.length = 32; }},
                    Variant{"esn_past_32_bits",
                            [](SessionConf& conf) {
                              conf.ipsec().options.esn = 1;
                              conf.ipsec().esn.value = (1ULL << 32) - 1;
                            }},
                    Variant{"verified_tunnel",
                            [](SessionConf& conf) {
                              conf.ipsec().options.tunnel_hdr_verify =
                                  RTE_SECURITY_IPSEC_TUNNEL_VERIFY_SRC_DST_ADDR;
                            }}),
    [](const auto& each) { return each.param.name; });

TEST_P(SecurityRoundTrip, GivesBackThePacketAndTheSessionsUserdata) {
  EgressConf out;
  IngressConf in;
  GetParam().bend(out);
  GetParam().bend(in);
  rte_security_session* egress = make(out);
  std::vector<Bytes> plain, esp;
  for (const std::size_t payload : {0u, 1u, 30u, 31u, 200u, 1300u}) {
    plain.push_back(plain_frame(payload));
    esp.push_back(protect(egress, plain.back()));
    ASSERT_GE(esp.back().size(), plain.back().size() + 8 + 8 + 2 + 16);
    EXPECT_EQ(spi_of(esp.back()), kSpi);
    const std::uint64_t first = out.ipsec().esn.value == 0 ? 1 : out.ipsec().esn.value;
    EXPECT_EQ(sequence_of(esp.back()), static_cast<std::uint32_t>(first + esp.size() - 1));
  }
  rte_security_session* ingress = make(in);
  for (std::size_t i = 0; i < esp.size(); ++i) expect_accepted(esp[i], plain[i], &in);

  std::uint64_t octets = 0;
  for (const Bytes& frame : plain) octets += frame.size();
  const rte_security_ipsec_stats sent = stats(egress), received = stats(ingress);
  EXPECT_EQ(sent.opackets, esp.size());
  EXPECT_EQ(received.ipackets, esp.size());
  EXPECT_EQ(sent.oerrors + received.ierrors, 0u);
  EXPECT_EQ(sent.obytes, received.ibytes);
  EXPECT_GT(sent.obytes, 0u);
  EXPECT_LT(sent.obytes, octets);  // without Ethernet
}

TEST_F(Security, DescribesTheDecryptedPacket) {
  EgressConf out;
  IngressConf in;
  const Bytes esp = protect(make(out));
  make(in);
  send(esp);
  const Mbuf got = receive();
  ASSERT_NE(got, nullptr);
  EXPECT_EQ(got->packet_type, RTE_PTYPE_L2_ETHER | RTE_PTYPE_L3_IPV4 | RTE_PTYPE_L4_UDP);
  EXPECT_EQ(got->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK, RTE_MBUF_F_RX_IP_CKSUM_GOOD);
  EXPECT_EQ(got->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK, RTE_MBUF_F_RX_L4_CKSUM_GOOD);
}

TEST_F(Security, BuildsTheTunnelHeaderItWasGiven) {
  EgressConf out;
  out.ipsec().tunnel.ipv4.ttl = 17;
  out.ipsec().tunnel.ipv4.df = 1;
  out.ipsec().tunnel.ipv4.dscp = 5;
  const Bytes esp = protect(make(out));
  const auto* ip = reinterpret_cast<const rte_ipv4_hdr*>(&esp[kEthernet]);
  EXPECT_EQ(ip->version_ihl, 0x45);
  EXPECT_EQ(ip->type_of_service, 5 << 2);
  EXPECT_EQ(rte_be_to_cpu_16(ip->total_length), esp.size() - kEthernet);
  EXPECT_EQ(ip->fragment_offset, rte_cpu_to_be_16(RTE_IPV4_HDR_DF_FLAG));
  EXPECT_EQ(ip->time_to_live, 17);
  EXPECT_EQ(ip->next_proto_id, IPPROTO_ESP);
  EXPECT_EQ(rte_be_to_cpu_32(ip->src_addr), kTunnelSource);
  EXPECT_EQ(rte_be_to_cpu_32(ip->dst_addr), kTunnelDestination);
  EXPECT_EQ(static_cast<std::uint16_t>(rte_raw_cksum(ip, sizeof *ip)), 0xffff);
}

TEST_F(Security, TakesThePacketWhicheverFamilyItsEthernetTypeAnnounces) {
  EgressConf out;
  ipv6_tunnel(out);
  rte_security_session* session = make(out);
  Bytes announces_tunnel = plain_frame();
  announces_tunnel[12] = 0x86;
  announces_tunnel[13] = 0xdd;
  for (const Bytes& frame : {plain_frame(), announces_tunnel}) {
    const Bytes esp = protect(session, frame);
    EXPECT_EQ(esp[12], 0x86);
    EXPECT_EQ(esp[kEthernet] >> 4, 6);
  }
}

TEST_F(Security, TakesAWholeBurstOfSessionsAtOnce) {
  std::vector<std::unique_ptr<EgressConf>> confs;
  std::vector<rte_security_session*> sessions;
  std::array<rte_mbuf*, 33> burst{};
  for (std::uint32_t i = 0; i < burst.size(); ++i) {
    confs.push_back(std::make_unique<EgressConf>());
    confs.back()->ipsec().spi = kSpi + i;
    sessions.push_back(make(*confs.back()));
    burst[i] = marked(sessions.back(), plain_frame(i)).release();
  }
  ASSERT_EQ(rte_eth_tx_burst(port_, 0, burst.data(), burst.size()), burst.size());
  for (std::uint32_t i = 0; i < burst.size(); ++i) {
    const Mbuf got = receive();
    ASSERT_NE(got, nullptr);
    EXPECT_EQ(spi_of(bytes_of(*got)), kSpi + i);
  }
}

// ---- what must be refused

TEST_F(Security, FlagsEveryFlippedBitAndLeavesTheWindowAlone) {
  EgressConf out;
  IngressConf in;
  const Bytes plain = plain_frame(3);
  const Bytes esp = protect(make(out), plain);
  rte_security_session* ingress = make(in);
  std::uint64_t refused = 0;
  for (std::size_t at = esp_offset(esp) + 8; at < esp.size(); at += 3) {
    Bytes bad = esp;
    bad[at] ^= static_cast<std::uint8_t>(1u << (at & 7));
    expect_refused(bad, DropReason::icv, &in);
    ++refused;
  }
  EXPECT_EQ(stats(ingress).ierrors, refused);
  EXPECT_EQ(stats(ingress).ipackets, 0u);
  expect_accepted(esp, plain, &in);
  EXPECT_EQ(stats(ingress).ipackets, 1u);
}

TEST_F(Security, FlagsAChangedSequenceNumber) {
  EgressConf out;
  IngressConf in;
  const Bytes esp = protect(make(out));
  make(in);
  Bytes bad = esp;
  bad[esp_offset(esp) + 7] = 9;
  expect_refused(bad, DropReason::icv, &in);
  expect_accepted(esp, plain_frame(), &in);
}

TEST_F(Security, FlagsReplaysAndWhatIsLeftOfTheWindow) {
  EgressConf out;
  IngressConf in;
  in.ipsec().replay_win_sz = 32;
  rte_security_session* egress = make(out);
  std::vector<Bytes> esp;
  for (int i = 0; i < 40; ++i) esp.push_back(protect(egress));
  rte_security_session* ingress = make(in);
  expect_accepted(esp[20], plain_frame(), &in);
  expect_refused(esp[20], DropReason::replay, &in);
  expect_accepted(esp[19], plain_frame(), &in);
  expect_refused(esp[19], DropReason::replay, &in);
  expect_accepted(esp[39], plain_frame(), &in);
  expect_refused(esp[0], DropReason::replay, &in);  // 39 behind, the window is 32
  expect_accepted(esp[21], plain_frame(), &in);
  EXPECT_EQ(stats(ingress).ipackets, 4u);
  EXPECT_EQ(stats(ingress).ierrors, 3u);
}

TEST_F(Security, ReceivesReplaysWhenNoWindowIsAskedFor) {
  EgressConf out;
  IngressConf in;
  in.ipsec().replay_win_sz = 0;
  const Bytes esp = protect(make(out));
  make(in);
  for (int i = 0; i < 3; ++i) expect_accepted(esp, plain_frame(), &in);
}

TEST_F(Security, FlagsTheWrongTunnelSource) {
  EgressConf out;
  IngressConf in;
  in.ipsec().options.tunnel_hdr_verify = RTE_SECURITY_IPSEC_TUNNEL_VERIFY_SRC_DST_ADDR;
  in.ipsec().tunnel.ipv4.src_ip.s_addr = rte_cpu_to_be_32(kTunnelSource + 1);
  const Bytes esp = protect(make(out));
  rte_security_session* ingress = make(in);
  expect_refused(esp, DropReason::policy, &in);
  EXPECT_EQ(stats(ingress).ierrors, 1u);
}

TEST_F(Security, LeavesAloneWhatIsForAnotherTunnelDestination) {
  EgressConf out;
  IngressConf in;
  in.ipsec().options.tunnel_hdr_verify = RTE_SECURITY_IPSEC_TUNNEL_VERIFY_DST_ADDR;
  in.ipsec().tunnel.ipv4.dst_ip.s_addr = rte_cpu_to_be_32(kTunnelDestination + 1);
  const Bytes esp = protect(make(out));
  make(in);
  expect_untouched(esp);
}

TEST_F(Security, FlagsThePacketOfAnotherKey) {
  EgressConf out;
  IngressConf in;
  in.key[5] ^= 1;
  const Bytes esp = protect(make(out));
  make(in);
  expect_refused(esp, DropReason::icv, &in);
}

TEST_F(Security, LeavesAnUnknownSpiAlone) {
  EgressConf out;
  IngressConf in;
  in.ipsec().spi = kSpi + 1;
  const Bytes esp = protect(make(out));
  make(in);
  expect_untouched(esp);
}

TEST_F(Security, LeavesAFragmentOfEspAlone) {
  EgressConf out;
  IngressConf in;
  Bytes esp = protect(make(out));
  make(in);
  auto* ip = reinterpret_cast<rte_ipv4_hdr*>(&esp[kEthernet]);
  ip->fragment_offset = rte_cpu_to_be_16(RTE_IPV4_HDR_MF_FLAG);
  ip->hdr_checksum = 0;
  ip->hdr_checksum = rte_ipv4_cksum(ip);
  send(esp);
  const Mbuf got = receive();
  ASSERT_NE(got, nullptr);
  EXPECT_EQ(got->ol_flags & kSecurityFlags, 0u);
  EXPECT_EQ(bytes_of(*got), esp);
}

// ---- lifetimes and sequence numbers

TEST_F(Security, AnnouncesTheSoftPacketLifetimeOnce) {
  EgressConf out;
  out.ipsec().life.packets_soft_limit = 2;
  rte_security_session* session = make(out);
  protect(session);
  EXPECT_TRUE(events_.empty());
  protect(session);
  expect_event(RTE_ETH_EVENT_IPSEC_SA_PKT_EXPIRY, &out);
  protect(session);
  expect_nothing();
  EXPECT_TRUE(events_.empty());
}

TEST_F(Security, AnnouncesTheSoftByteLifetime) {
  EgressConf out;
  out.ipsec().life.bytes_soft_limit = 100;
  rte_security_session* session = make(out);
  protect(session);
  protect(session);
  expect_event(RTE_ETH_EVENT_IPSEC_SA_BYTE_EXPIRY, &out);
}

TEST_F(Security, SendsNothingPastTheHardPacketLifetime) {
  EgressConf out;
  out.ipsec().life.packets_hard_limit = 2;
  rte_security_session* session = make(out);
  protect(session);
  protect(session);
  expect_not_sent(marked(session, plain_frame()), DropReason::lifetime);
  expect_event(RTE_ETH_EVENT_IPSEC_SA_PKT_HARD_EXPIRY, &out);
  EXPECT_EQ(stats(session).opackets, 2u);
  EXPECT_EQ(stats(session).oerrors, 1u);
}

TEST_F(Security, FlagsWhatComesPastTheHardLifetimeOfAnInboundSession) {
  EgressConf out;
  IngressConf in;
  in.ipsec().life.packets_hard_limit = 1;
  rte_security_session* egress = make(out);
  const Bytes first = protect(egress), second = protect(egress);
  make(in);
  expect_accepted(first, plain_frame(), &in);
  expect_refused(second, DropReason::lifetime, &in);
  expect_event(RTE_ETH_EVENT_IPSEC_SA_PKT_HARD_EXPIRY, &in);
}

TEST_F(Security, NeverLetsTheSequenceNumberWrap) {
  EgressConf out;
  out.ipsec().esn.value = 0xffffffff;
  rte_security_session* session = make(out);
  EXPECT_EQ(sequence_of(protect(session)), 0xffffffffu);
  expect_not_sent(marked(session, plain_frame()), DropReason::seq_overflow);
  expect_event(RTE_ETH_EVENT_IPSEC_ESN_OVERFLOW, &out);
}

TEST_F(Security, ContinuesAtTheSequenceNumberOfAnUpdate) {
  EgressConf out;
  rte_security_session* session = make(out);
  EXPECT_EQ(sequence_of(protect(session)), 1u);
  out.ipsec().esn.value = 700;
  ASSERT_EQ(rte_security_session_update(security(), session, &out.conf), 0);
  EXPECT_EQ(sequence_of(protect(session)), 700u);
  EXPECT_EQ(sequence_of(protect(session)), 701u);
}

// ---- the end of a session

TEST_F(Security, SendsNothingForADestroyedSession) {
  EgressConf out;
  rte_security_session* session = make(out);
  protect(session);
  Mbuf late = marked(session, plain_frame());
  destroy(session);
  expect_not_sent(std::move(late), DropReason::stale_sa);

  // Also when the slot has a new owner.
  EgressConf other;
  rte_security_session* next = make(other);
  late = marked(next, plain_frame());
  destroy(next);
  make(out);
  expect_not_sent(std::move(late), DropReason::stale_sa);
}

TEST_F(Security, LeavesPacketsOfADestroyedSessionAlone) {
  EgressConf out;
  IngressConf in;
  const Bytes esp = protect(make(out));
  rte_security_session* ingress = make(in);
  expect_accepted(esp, plain_frame(), &in);
  destroy(ingress);
  expect_untouched(esp);
}

TEST_F(Security, RefusesTheSameInboundSpiTwice) {
  IngressConf in, again;
  make(in);
  EXPECT_EQ(create(again.conf), nullptr);
}

TEST_F(Security, KeepsSessionsAndTheirNumbersOverAStop) {
  EgressConf out;
  rte_security_session* session = make(out);
  EXPECT_EQ(sequence_of(protect(session)), 1u);
  ASSERT_EQ(rte_eth_dev_stop(port_), 0);
  ASSERT_EQ(rte_eth_dev_start(port_), 0);
  EXPECT_EQ(sequence_of(protect(session)), 2u);
}

// ---- outbound rules

TEST_F(Security, AppliesOutboundRulesInOrder) {
  EgressConf out;
  rte_security_session* session = make(out);
  ASSERT_NE(rule(2, 2000, RTE_FLOW_ACTION_TYPE_SECURITY, session), nullptr);
  ASSERT_NE(rule(2, 3000, RTE_FLOW_ACTION_TYPE_DROP), nullptr);

  send(plain_frame(30, 2000));
  Mbuf got = receive();
  ASSERT_NE(got, nullptr);
  EXPECT_EQ(spi_of(bytes_of(*got)), kSpi);

  expect_not_sent(mbuf(plain_frame(30, 3000)), DropReason::policy);

  send(plain_frame(30, 4000));  // no rule: as it is
  got = receive();
  ASSERT_NE(got, nullptr);
  EXPECT_EQ(bytes_of(*got), plain_frame(30, 4000));

  ASSERT_NE(rule(1, 2000, RTE_FLOW_ACTION_TYPE_PASSTHRU), nullptr);
  send(plain_frame(30, 2000));
  got = receive();
  ASSERT_NE(got, nullptr);
  EXPECT_EQ(bytes_of(*got), plain_frame(30, 2000));
  rte_flow_error error{};
  EXPECT_EQ(rte_flow_flush(port_, &error), 0);
}

TEST_F(Security, DiscardsWhatARuleProtectedWithADestroyedSession) {
  EgressConf out;
  rte_security_session* session = make(out);
  ASSERT_NE(rule(0, 2000, RTE_FLOW_ACTION_TYPE_SECURITY, session), nullptr);
  destroy(session);
  EgressConf other;  // takes the slot
  make(other);
  expect_not_sent(mbuf(plain_frame()), DropReason::policy);
}

}  // namespace
}  // namespace saline::pmd::test
