// UDP around ESP; see udp_encapsulation.hpp.
#include "host/ipsec/udp_encapsulation.hpp"

#include <algorithm>
#include <cstring>

#include "host/base/bytes.hpp"
#include "host/ipsec/checksum.hpp"
#include "host/ipsec/tunnel.hpp"

namespace saline::ipsec {

namespace {

constexpr std::uint8_t kKeepaliveByte = 0xFF;
constexpr std::uint8_t kKeepaliveHopLimit = 64;

// Where a protocol over IP keeps its checksum, with how many bytes that takes; 0 bytes: it has none
// over addresses.
struct ChecksumPlace {
  std::uint32_t offset = 0;
  std::uint32_t least_bytes = 0;
};

ChecksumPlace checksum_place(std::uint8_t protocol) noexcept {
  switch (protocol) {
    case kTcp:
      return {16, 20};
    case kUdp:
      return {6, 8};
    case kIcmpv6:
      return {2, 4};
    default:
      return {};
  }
}

std::uint32_t address_sum(const base::Address& address) noexcept {
  return add_words(std::span(address.bytes).first(base::address_bytes(address.family)));
}

}  // namespace

UdpContent look_into_udp(std::span<const std::uint8_t> packet, const Headers& headers) noexcept {
  const auto datagram = packet.subspan(headers.upper_offset, headers.total - headers.upper_offset);
  if (datagram.size() < kUdpHeader || base::load16(&datagram[4]) != datagram.size())
    return UdpContent::damaged;
  if (base::load16(&datagram[6]) != 0) {
    const std::uint32_t pseudo = pseudo_header_sum(headers.source, headers.destination, kUdp,
                                                   static_cast<std::uint32_t>(datagram.size()));
    if (internet_checksum(datagram, pseudo) != 0) return UdpContent::damaged;
  }
  const auto content = datagram.subspan(kUdpHeader);
  if (content.size() == 1 && content[0] == kKeepaliveByte) return UdpContent::keepalive;
  if (content.size() < 4) return UdpContent::damaged;
  return base::load32(content.data()) == 0 ? UdpContent::ike : UdpContent::esp;
}

void write_udp_header(std::uint8_t* udp, std::uint16_t source_port, std::uint16_t destination_port,
                      std::uint32_t bytes) noexcept {
  base::store16(udp, source_port);
  base::store16(udp + 2, destination_port);
  base::store16(udp + 4, static_cast<std::uint16_t>(bytes));
  base::store16(udp + 6, 0);
}

void write_udp_checksum(const Packet& packet, std::uint32_t offset) noexcept {
  const std::span<std::uint8_t> datagram = packet.bytes().subspan(offset);
  const base::Address source = base::Address::from_bytes(base::Family::ipv6, {packet.data + 8, 16});
  const base::Address destination =
      base::Address::from_bytes(base::Family::ipv6, {packet.data + 24, 16});
  base::store16(&datagram[6], 0);
  const std::uint16_t checksum = internet_checksum(
      datagram,
      pseudo_header_sum(source, destination, kUdp, static_cast<std::uint32_t>(datagram.size())));
  base::store16(&datagram[6], checksum == 0 ? 0xFFFF : checksum);
}

void correct_checksum(const Packet& packet, const base::Address& original_source) noexcept {
  Headers headers;
  if (!parse_headers(packet.bytes(), headers) || headers.fragment) return;
  const bool known = !original_source.is_unspecified() && original_source.family == headers.family;
  if (known && original_source == headers.source) return;
  const ChecksumPlace place = checksum_place(headers.upper_protocol);
  const std::uint32_t bytes = headers.total - headers.upper_offset;
  if (place.least_bytes == 0 || bytes < place.least_bytes) return;
  const std::span<std::uint8_t> message = packet.bytes().subspan(headers.upper_offset, bytes);
  std::uint8_t* field = &message[place.offset];
  const std::uint16_t before = base::load16(field);
  const bool udp = headers.upper_protocol == kUdp;
  if (udp && before == 0) return;
  std::uint16_t after;
  if (known) {
    after = changed_checksum(before, address_sum(original_source), address_sum(headers.source));
  } else {
    base::store16(field, 0);
    const std::uint32_t pseudo =
        pseudo_header_sum(headers.source, headers.destination, headers.upper_protocol, bytes);
    after = internet_checksum(message, pseudo);
  }
  base::store16(field, udp && after == 0 ? 0xFFFF : after);
}

std::size_t build_keepalive(const SecurityAssociation& association,
                            std::span<std::uint8_t> out) noexcept {
  const SaConfig& config = association.config();
  const base::Family family = config.id.destination.family;
  const std::size_t header = outer_header_bytes(family);
  const std::size_t total = header + kUdpHeader + 1;
  if (!config.udp.enabled() || config.source.family != family || out.size() < total) return 0;
  PeerMapping peer{config.id.destination, config.udp.destination_port};
  association.mapping().get(peer);
  std::fill_n(out.begin(), total, 0);
  if (family == base::Family::ipv4) {
    out[0] = 0x45;
    base::store16(&out[2], static_cast<std::uint16_t>(total));
    out[8] = kKeepaliveHopLimit;
    out[9] = kUdp;
    std::memcpy(&out[12], config.source.bytes.data(), 4);
    std::memcpy(&out[16], peer.address.bytes.data(), 4);
    base::store16(&out[10], ipv4_header_checksum(out.first(header)));
  } else {
    out[0] = 0x60;
    base::store16(&out[4], static_cast<std::uint16_t>(total - header));
    out[6] = kUdp;
    out[7] = kKeepaliveHopLimit;
    std::memcpy(&out[8], config.source.bytes.data(), 16);
    std::memcpy(&out[24], peer.address.bytes.data(), 16);
  }
  write_udp_header(&out[header], config.udp.source_port, peer.port, kUdpHeader + 1);
  out[header + kUdpHeader] = kKeepaliveByte;
  if (family == base::Family::ipv6) {
    Packet packet;
    packet.data = out.data();
    packet.length = static_cast<std::uint32_t>(total);
    write_udp_checksum(packet, static_cast<std::uint32_t>(header));
  }
  return total;
}

}  // namespace saline::ipsec
