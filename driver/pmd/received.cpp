// Packet types and checksums of received frames. Looks at the headers it can see and past one VLAN
// tag; extension headers of IPv6 and inner headers of ESP that was left alone stay unseen.
#include "driver/pmd/received.hpp"

#include <cstddef>

namespace saline::pmd {
namespace {

constexpr std::uint32_t kTypes[] = {
    RTE_PTYPE_L2_ETHER,    RTE_PTYPE_L2_ETHER_VLAN, RTE_PTYPE_L2_ETHER_ARP, RTE_PTYPE_L3_IPV4,
    RTE_PTYPE_L3_IPV4_EXT, RTE_PTYPE_L3_IPV6,       RTE_PTYPE_L3_IPV6_EXT,  RTE_PTYPE_L4_TCP,
    RTE_PTYPE_L4_UDP,      RTE_PTYPE_L4_FRAG,       RTE_PTYPE_L4_ICMP,      RTE_PTYPE_TUNNEL_ESP,
    RTE_PTYPE_UNKNOWN};

constexpr std::uint16_t kFragmentBits = RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK;

std::uint32_t upper_type(std::uint8_t protocol) noexcept {
  switch (protocol) {
    case IPPROTO_TCP:
      return RTE_PTYPE_L4_TCP;
    case IPPROTO_UDP:
      return RTE_PTYPE_L4_UDP;
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
      return RTE_PTYPE_L4_ICMP;
    default:
      return 0;
  }
}

std::uint64_t upper_offload(std::uint8_t protocol) noexcept {
  return protocol == IPPROTO_TCP   ? RTE_ETH_RX_OFFLOAD_TCP_CKSUM
         : protocol == IPPROTO_UDP ? RTE_ETH_RX_OFFLOAD_UDP_CKSUM
                                   : 0;
}

// Whether the checksum of TCP or UDP in `bytes` bytes at `header` can be checked: there, and not
// left out by the sender (RFC 768: a UDP checksum of zero).
bool has_upper_checksum(std::uint8_t protocol, const std::uint8_t* header,
                        std::size_t bytes) noexcept {
  if (protocol == IPPROTO_TCP) return bytes >= sizeof(rte_tcp_hdr);
  if (bytes < sizeof(rte_udp_hdr)) return false;
  return reinterpret_cast<const rte_udp_hdr*>(header)->dgram_cksum != 0;
}

void describe_ipv4(rte_mbuf& mbuf, const std::uint8_t* packet, std::size_t bytes,
                   std::uint64_t offloads, bool esp) noexcept {
  const auto* header = reinterpret_cast<const rte_ipv4_hdr*>(packet);
  if (bytes < sizeof *header || (packet[0] >> 4) != 4) return;
  const std::size_t header_bytes = rte_ipv4_hdr_len(header);
  const std::size_t total = rte_be_to_cpu_16(header->total_length);
  if (header_bytes < sizeof *header || total < header_bytes || total > bytes) return;
  mbuf.packet_type |= header_bytes > sizeof *header ? RTE_PTYPE_L3_IPV4_EXT : RTE_PTYPE_L3_IPV4;
  if ((offloads & RTE_ETH_RX_OFFLOAD_IPV4_CKSUM) != 0) {
    const bool good = static_cast<std::uint16_t>(rte_raw_cksum(header, header_bytes)) == 0xffff;
    mbuf.ol_flags |= good ? RTE_MBUF_F_RX_IP_CKSUM_GOOD : RTE_MBUF_F_RX_IP_CKSUM_BAD;
  }
  if (esp) return;
  if ((header->fragment_offset & rte_cpu_to_be_16(kFragmentBits)) != 0) {
    mbuf.packet_type |= RTE_PTYPE_L4_FRAG;
    return;
  }
  const std::uint8_t protocol = header->next_proto_id;
  mbuf.packet_type |= upper_type(protocol);
  const std::uint8_t* upper = packet + header_bytes;
  if ((offloads & upper_offload(protocol)) != 0 &&
      has_upper_checksum(protocol, upper, total - header_bytes)) {
    mbuf.ol_flags |= rte_ipv4_udptcp_cksum_verify(header, upper) == 0 ? RTE_MBUF_F_RX_L4_CKSUM_GOOD
                                                                      : RTE_MBUF_F_RX_L4_CKSUM_BAD;
  }
}

void describe_ipv6(rte_mbuf& mbuf, const std::uint8_t* packet, std::size_t bytes,
                   std::uint64_t offloads, bool esp) noexcept {
  const auto* header = reinterpret_cast<const rte_ipv6_hdr*>(packet);
  if (bytes < sizeof *header || (packet[0] >> 4) != 6) return;
  const std::size_t payload = rte_be_to_cpu_16(header->payload_len);
  if (payload > bytes - sizeof *header) return;
  const std::uint8_t protocol = header->proto;
  const std::uint32_t upper_kind = upper_type(protocol);
  const bool extended = upper_kind == 0 && !esp && protocol != IPPROTO_NONE;
  mbuf.packet_type |= extended ? RTE_PTYPE_L3_IPV6_EXT : RTE_PTYPE_L3_IPV6;
  if (esp) return;
  mbuf.packet_type |= upper_kind;
  const std::uint8_t* upper = packet + sizeof *header;
  if ((offloads & upper_offload(protocol)) != 0 && has_upper_checksum(protocol, upper, payload)) {
    mbuf.ol_flags |= rte_ipv6_udptcp_cksum_verify(header, upper) == 0 ? RTE_MBUF_F_RX_L4_CKSUM_GOOD
                                                                      : RTE_MBUF_F_RX_L4_CKSUM_BAD;
  }
}

}  // namespace

void describe_received(rte_mbuf& mbuf, std::uint64_t offloads, bool esp) noexcept {
  const std::uint8_t* frame = rte_pktmbuf_mtod(&mbuf, const std::uint8_t*);
  const std::size_t bytes = mbuf.data_len;
  mbuf.packet_type = RTE_PTYPE_L2_ETHER;
  if (esp) mbuf.packet_type |= RTE_PTYPE_TUNNEL_ESP;
  if (bytes < RTE_ETHER_HDR_LEN) return;

  std::size_t offset = RTE_ETHER_HDR_LEN;
  std::uint16_t ether_type =
      rte_be_to_cpu_16(reinterpret_cast<const rte_ether_hdr*>(frame)->ether_type);
  if (ether_type == RTE_ETHER_TYPE_VLAN && bytes >= offset + sizeof(rte_vlan_hdr)) {
    ether_type = rte_be_to_cpu_16(reinterpret_cast<const rte_vlan_hdr*>(frame + offset)->eth_proto);
    offset += sizeof(rte_vlan_hdr);
    mbuf.packet_type = (mbuf.packet_type & ~RTE_PTYPE_L2_MASK) | RTE_PTYPE_L2_ETHER_VLAN;
  }
  if (ether_type == RTE_ETHER_TYPE_IPV4) {
    describe_ipv4(mbuf, frame + offset, bytes - offset, offloads, esp);
  } else if (ether_type == RTE_ETHER_TYPE_IPV6) {
    describe_ipv6(mbuf, frame + offset, bytes - offset, offloads, esp);
  } else if (ether_type == RTE_ETHER_TYPE_ARP) {
    mbuf.packet_type = (mbuf.packet_type & ~RTE_PTYPE_L2_MASK) | RTE_PTYPE_L2_ETHER_ARP;
  }
}

const std::uint32_t* supported_packet_types() noexcept { return kTypes; }

}  // namespace saline::pmd
