// ICMP and ICMPv6 messages about a packet's size; see too_big.hpp.
#include "host/salined/too_big.hpp"

#include <algorithm>
#include <cstring>

#include "host/base/bytes.hpp"
#include "host/ipsec/checksum.hpp"
#include "host/ipsec/packet.hpp"

namespace saline::daemon {
namespace {

using base::Family;

constexpr std::size_t kIpv4Bytes = 20, kIpv6Bytes = 40, kIcmpBytes = 8;
constexpr std::size_t kQuotedIpv6 = 512;
constexpr std::uint32_t kIpv6SmallestMtu = 1280;  // RFC 8200 §5
constexpr std::uint16_t kDontFragment = 0x4000;
constexpr std::uint16_t kOffsetMask = 0x1fff;

// RFC 1122 §3.2.2, RFC 4443 §2.4: no errors about errors.
bool is_icmp_error(std::span<const std::uint8_t> packet, const ipsec::Headers& headers) noexcept {
  if (headers.upper_offset >= packet.size()) return false;
  const std::uint8_t type = packet[headers.upper_offset];
  if (headers.upper_protocol == ipsec::kIcmpv6) return type < 128;
  constexpr std::uint8_t kErrors[] = {3, 4, 5, 11, 12};
  return headers.upper_protocol == ipsec::kIcmp &&
         std::find(std::begin(kErrors), std::end(kErrors), type) != std::end(kErrors);
}

// What the message says: type, code, and the word behind the checksum.
struct Message {
  std::uint8_t type = 0;
  std::uint8_t code = 0;
  std::uint32_t word = 0;
};

std::size_t answer_ipv4(std::span<const std::uint8_t> packet, const Message& message,
                        TooBigAnswer& answer) noexcept {
  if ((base::load16(packet.data() + 6) & kOffsetMask) != 0) return 0;
  const std::size_t header = (packet[0] & 0x0f) * 4u;
  const std::size_t quoted = std::min(packet.size(), header + 8);
  const std::size_t total = kIpv4Bytes + kIcmpBytes + quoted;
  std::uint8_t* ip = answer.data();
  ip[0] = 0x45;
  base::store16(ip + 2, static_cast<std::uint16_t>(total));
  ip[8] = 64;
  ip[9] = ipsec::kIcmp;
  std::memcpy(ip + 12, packet.data() + 16, 4);
  std::memcpy(ip + 16, packet.data() + 12, 4);
  base::store16(ip + 10, ipsec::ipv4_header_checksum({ip, kIpv4Bytes}));
  std::uint8_t* icmp = ip + kIpv4Bytes;
  icmp[0] = message.type;
  icmp[1] = message.code;
  base::store32(icmp + 4, message.word);
  std::memcpy(icmp + kIcmpBytes, packet.data(), quoted);
  base::store16(icmp + 2, ipsec::internet_checksum({icmp, kIcmpBytes + quoted}));
  return total;
}

std::size_t answer_ipv6(std::span<const std::uint8_t> packet, const Message& message,
                        TooBigAnswer& answer) noexcept {
  const std::size_t quoted = std::min(packet.size(), kQuotedIpv6);
  const std::size_t length = kIcmpBytes + quoted;
  std::uint8_t* ip = answer.data();
  ip[0] = 0x60;
  base::store16(ip + 4, static_cast<std::uint16_t>(length));
  ip[6] = ipsec::kIcmpv6;
  ip[7] = 64;
  std::memcpy(ip + 8, packet.data() + 24, 16);
  std::memcpy(ip + 24, packet.data() + 8, 16);
  std::uint8_t* icmp = ip + kIpv6Bytes;
  icmp[0] = message.type;
  icmp[1] = message.code;
  base::store32(icmp + 4, message.word);
  std::memcpy(icmp + kIcmpBytes, packet.data(), quoted);
  const std::uint32_t pseudo =
      ipsec::add_words({ip + 8, 32}, static_cast<std::uint32_t>(length) + ipsec::kIcmpv6);
  base::store16(icmp + 2, ipsec::internet_checksum({icmp, length}, pseudo));
  return kIpv6Bytes + length;
}

// True when nobody may be told of this packet.
bool is_unanswerable(std::span<const std::uint8_t> packet, const ipsec::Headers& headers) noexcept {
  return headers.source.is_multicast() || headers.source.is_unspecified() ||
         headers.destination.is_multicast() || is_icmp_error(packet, headers);
}

}  // namespace

std::size_t answer_too_big(std::span<const std::uint8_t> packet, std::uint32_t mtu,
                           TooBigAnswer& answer) noexcept {
  ipsec::Headers headers;
  if (!ipsec::parse_headers(packet, headers) || is_unanswerable(packet, headers)) return 0;
  answer.fill(0);
  if (headers.family == Family::ipv6)
    return answer_ipv6(packet, {2, 0, std::max(mtu, kIpv6SmallestMtu)}, answer);
  if ((base::load16(packet.data() + 6) & kDontFragment) == 0) return 0;
  return answer_ipv4(packet, {3, 4, mtu & 0xffff}, answer);
}

std::size_t answer_prohibited(std::span<const std::uint8_t> packet, TooBigAnswer& answer) noexcept {
  ipsec::Headers headers;
  if (!ipsec::parse_headers(packet, headers) || is_unanswerable(packet, headers)) return 0;
  answer.fill(0);
  return headers.family == Family::ipv6 ? answer_ipv6(packet, {1, 1, 0}, answer)
                                        : answer_ipv4(packet, {3, 13, 0}, answer);
}

}  // namespace saline::daemon
