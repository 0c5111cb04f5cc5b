// Packet types and checksum flags of received frames, without a port.
#include "driver/pmd/received.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <vector>

namespace saline::pmd {
namespace {

constexpr std::uint64_t kAll = RTE_ETH_RX_OFFLOAD_CHECKSUM;
constexpr std::uint64_t kChecksumFlags = RTE_MBUF_F_RX_IP_CKSUM_MASK | RTE_MBUF_F_RX_L4_CKSUM_MASK;

// Ethernet, IPv4, UDP and 10 bytes of payload, all checksums right.
std::vector<std::uint8_t> udp_frame() {
  std::vector<std::uint8_t> frame(14 + 20 + 8 + 10, 0x5a);
  frame[12] = 0x08;
  frame[13] = 0x00;
  auto* ip = reinterpret_cast<rte_ipv4_hdr*>(&frame[14]);
  *ip = {};
  ip->version_ihl = 0x45;
  ip->total_length = rte_cpu_to_be_16(38);
  ip->time_to_live = 64;
  ip->next_proto_id = IPPROTO_UDP;
  ip->src_addr = rte_cpu_to_be_32(RTE_IPV4(10, 0, 0, 1));
  ip->dst_addr = rte_cpu_to_be_32(RTE_IPV4(10, 0, 0, 2));
  ip->hdr_checksum = rte_ipv4_cksum(ip);
  auto* udp = reinterpret_cast<rte_udp_hdr*>(ip + 1);
  udp->src_port = rte_cpu_to_be_16(1000);
  udp->dst_port = rte_cpu_to_be_16(2000);
  udp->dgram_len = rte_cpu_to_be_16(18);
  udp->dgram_cksum = 0;
  udp->dgram_cksum = rte_ipv4_udptcp_cksum(ip, udp);
  return frame;
}

std::vector<std::uint8_t> tcp6_frame() {
  std::vector<std::uint8_t> frame(14 + 40 + 20 + 5, 0);
  frame[12] = 0x86;
  frame[13] = 0xdd;
  auto* ip = reinterpret_cast<rte_ipv6_hdr*>(&frame[14]);
  ip->vtc_flow = rte_cpu_to_be_32(6u << 28);
  ip->payload_len = rte_cpu_to_be_16(25);
  ip->proto = IPPROTO_TCP;
  ip->src_addr[15] = 1;
  ip->dst_addr[15] = 2;
  auto* tcp = reinterpret_cast<rte_tcp_hdr*>(ip + 1);
  tcp->data_off = 0x50;
  tcp->cksum = rte_ipv6_udptcp_cksum(ip, tcp);
  return frame;
}

struct Described {
  std::uint32_t type;
  std::uint64_t flags;
};

Described describe(std::vector<std::uint8_t> frame, std::uint64_t offloads = kAll,
                   bool esp = false) {
  rte_mbuf mbuf{};
  mbuf.buf_addr = frame.data();
  mbuf.data_len = static_cast<std::uint16_t>(frame.size());
  describe_received(mbuf, offloads, esp);
  return {mbuf.packet_type, mbuf.ol_flags & kChecksumFlags};
}

TEST(Received, ConfirmsRightChecksums) {
  const Described got = describe(udp_frame());
  EXPECT_EQ(got.type, RTE_PTYPE_L2_ETHER | RTE_PTYPE_L3_IPV4 | RTE_PTYPE_L4_UDP);
  EXPECT_EQ(got.flags, RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD);
}

TEST(Received, FindsEveryWrongByte) {
  const auto good = udp_frame();
  for (std::size_t i = 14 + 8; i < good.size(); ++i) {
    auto bad = good;
    bad[i] ^= 0x10;
    if (i == 14 + 9) continue;  // the protocol: not UDP any more
    const bool in_ip_header = i < 14 + 20;
    const std::uint64_t flags = describe(bad).flags;
    if (in_ip_header) {
      EXPECT_NE(flags & RTE_MBUF_F_RX_IP_CKSUM_BAD, 0u) << i;
    } else if (i != 14 + 20 + 4 && i != 14 + 20 + 5) {  // the UDP length is not in our arithmetic
      EXPECT_EQ(flags, RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_BAD) << i;
    }
  }
}

TEST(Received, ClaimsNothingThatWasNotChecked) {
  EXPECT_EQ(describe(udp_frame(), 0).flags, 0u);
  EXPECT_EQ(describe(udp_frame(), RTE_ETH_RX_OFFLOAD_IPV4_CKSUM).flags,
            RTE_MBUF_F_RX_IP_CKSUM_GOOD);

  auto without_udp_checksum = udp_frame();
  without_udp_checksum[14 + 20 + 6] = without_udp_checksum[14 + 20 + 7] = 0;
  EXPECT_EQ(describe(without_udp_checksum).flags, RTE_MBUF_F_RX_IP_CKSUM_GOOD);

  auto fragment = udp_frame();
  auto* ip = reinterpret_cast<rte_ipv4_hdr*>(&fragment[14]);
  ip->fragment_offset = rte_cpu_to_be_16(RTE_IPV4_HDR_MF_FLAG);
  ip->hdr_checksum = 0;
  ip->hdr_checksum = rte_ipv4_cksum(ip);
  const Described got = describe(fragment);
  EXPECT_EQ(got.type, RTE_PTYPE_L2_ETHER | RTE_PTYPE_L3_IPV4 | RTE_PTYPE_L4_FRAG);
  EXPECT_EQ(got.flags, RTE_MBUF_F_RX_IP_CKSUM_GOOD);

  auto cut = udp_frame();
  cut.resize(cut.size() - 1);
  EXPECT_EQ(describe(cut).type, RTE_PTYPE_L2_ETHER);
  EXPECT_EQ(describe(cut).flags, 0u);
}

TEST(Received, NeverReadsPastAFrameThatIsCutAnywhere) {
  for (const auto& whole : {udp_frame(), tcp6_frame()}) {
    for (std::size_t length = 0; length < whole.size(); ++length) {
      EXPECT_EQ(describe({whole.begin(), whole.begin() + static_cast<long>(length)}).flags, 0u);
    }
  }
}

TEST(Received, KnowsIpv6) {
  const Described got = describe(tcp6_frame());
  EXPECT_EQ(got.type, RTE_PTYPE_L2_ETHER | RTE_PTYPE_L3_IPV6 | RTE_PTYPE_L4_TCP);
  EXPECT_EQ(got.flags, RTE_MBUF_F_RX_L4_CKSUM_GOOD);
  auto bad = tcp6_frame();
  bad.back() ^= 1;
  EXPECT_EQ(describe(bad).flags, RTE_MBUF_F_RX_L4_CKSUM_BAD);
}

TEST(Received, MarksEspThatTheCardLeftAlone) {
  auto frame = udp_frame();
  frame[14 + 9] = IPPROTO_ESP;
  EXPECT_EQ(describe(frame, kAll, true).type,
            RTE_PTYPE_L2_ETHER | RTE_PTYPE_L3_IPV4 | RTE_PTYPE_TUNNEL_ESP);
}

TEST(Received, LooksPastOneVlanTag) {
  auto frame = udp_frame();
  frame.insert(frame.begin() + 12, {0x81, 0x00, 0x00, 0x05});
  const Described got = describe(frame);
  EXPECT_EQ(got.type, RTE_PTYPE_L2_ETHER_VLAN | RTE_PTYPE_L3_IPV4 | RTE_PTYPE_L4_UDP);
  EXPECT_EQ(got.flags, RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD);
}

}  // namespace
}  // namespace saline::pmd
