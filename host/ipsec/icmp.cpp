// See icmp.hpp.
#include "host/ipsec/icmp.hpp"

#include <algorithm>

#include "host/base/bytes.hpp"
#include "host/ipsec/checksum.hpp"

namespace saline::ipsec {

namespace {

using base::Address;
using base::Family;
using base::load16;
using base::load32;

constexpr std::uint32_t kIcmpBytes = 8;
constexpr std::uint8_t kUnreachable = 3, kFragmentationNeeded = 4;
constexpr std::uint8_t kPacketTooBig = 2;
constexpr std::uint16_t kOffsetMask = 0x1FFF, kDontFragment = 0x4000;

// What is quoted of a packet: as much as the sender of the error chose to.
struct Quote {
  Address source;
  Address destination;
  std::uint8_t protocol = 0;
  std::uint32_t total = 0;
  bool may_be_fragmented = false;
  std::span<const std::uint8_t> upper;
};

bool read_ipv4_quote(std::span<const std::uint8_t> bytes, Quote& out) noexcept {
  if (bytes.size() < 20 || bytes[0] >> 4 != 4) return false;
  const std::uint32_t header = (bytes[0] & 15u) * 4;
  const std::uint16_t fragment = load16(&bytes[6]);
  if (header < 20 || header > bytes.size() || (fragment & kOffsetMask) != 0) return false;
  out.source = Address::from_bytes(Family::ipv4, bytes.subspan(12, 4));
  out.destination = Address::from_bytes(Family::ipv4, bytes.subspan(16, 4));
  out.protocol = bytes[9];
  out.total = load16(&bytes[2]);
  out.may_be_fragmented = (fragment & kDontFragment) == 0;
  out.upper = bytes.subspan(header);
  return true;
}

bool read_ipv6_quote(std::span<const std::uint8_t> bytes, Quote& out) noexcept {
  if (bytes.size() < 40 || bytes[0] >> 4 != 6) return false;
  out.source = Address::from_bytes(Family::ipv6, bytes.subspan(8, 16));
  out.destination = Address::from_bytes(Family::ipv6, bytes.subspan(24, 16));
  out.protocol = bytes[6];
  out.total = 40u + load16(&bytes[4]);
  std::size_t at = 40;
  // A handful of headers at most; of a fragment only the first names an SPI.
  for (unsigned count = 0; count < 4; ++count) {
    const bool fragment = out.protocol == kFragment;
    if (!fragment && out.protocol != kHopByHop && out.protocol != kDestinationOptions) break;
    if (at + 8 > bytes.size()) return false;
    if (fragment && (load16(&bytes[at + 2]) & 0xFFF8) != 0) return false;
    out.protocol = bytes[at];
    at += fragment ? 8 : (bytes[at + 1] + 1u) * 8;
  }
  if (at > bytes.size()) return false;
  out.upper = bytes.subspan(at);
  return true;
}

// The SA that the quoted packet names, with all it says checked; nullptr when there is none.
SecurityAssociation* find_sender(const Quote& quote, const SadView& sad) noexcept {
  std::span<const std::uint8_t> header = quote.upper;
  UdpEncapsulation ports;
  std::uint8_t protocol = quote.protocol;
  if (protocol == kUdp) {
    if (header.size() < 12) return nullptr;
    ports = {load16(&header[0]), load16(&header[2])};
    header = header.subspan(8);
    protocol = kEsp;
  }
  const std::size_t spi_at = protocol == kAh ? 4 : 0;
  if (header.size() < spi_at + 4) return nullptr;
  SecurityAssociation* sa =
      sad.find({load32(&header[spi_at]), quote.destination, static_cast<Protocol>(protocol)});
  if (sa == nullptr || !sa->usable()) return nullptr;
  const SaConfig& config = sa->config();
  if (!config.source.is_unspecified() && config.source != quote.source) return nullptr;
  ports.original = config.udp.original;  // which is not in a packet
  if (!(config.udp == ports)) return nullptr;
  // A card counts for itself; and AH in a short quote names no number.
  if (!sa->offloaded() && header.size() >= spi_at + 8) {
    const auto last = static_cast<std::uint32_t>(sa->counters().sequence.get());
    const std::uint32_t age = last - load32(&header[spi_at + 4]);
    if (last == 0 || age >= 1u << 31) return nullptr;
  }
  return sa;
}

}  // namespace

PathReport learn_path_mtu(std::span<const std::uint8_t> packet, const Headers& headers,
                          const SadView& sad, std::uint64_t now_s) noexcept {
  const std::uint32_t at = headers.upper_offset;
  const bool ipv4 = headers.family == Family::ipv4;
  if (headers.upper_protocol != (ipv4 ? kIcmp : kIcmpv6) || headers.fragment ||
      headers.total < at + kIcmpBytes)
    return PathReport::none;
  const std::span<const std::uint8_t> message = packet.subspan(at, headers.total - at);
  const bool too_big = ipv4 ? message[0] == kUnreachable && message[1] == kFragmentationNeeded
                            : message[0] == kPacketTooBig;
  Quote quote;
  if (!too_big || !(ipv4 ? read_ipv4_quote(message.subspan(kIcmpBytes), quote)
                         : read_ipv6_quote(message.subspan(kIcmpBytes), quote)))
    return PathReport::none;
  if (quote.protocol != kEsp && quote.protocol != kAh && quote.protocol != kUdp)
    return PathReport::none;
  const std::uint32_t pseudo = ipv4
                                   ? 0
                                   : pseudo_header_sum(headers.source, headers.destination, kIcmpv6,
                                                       static_cast<std::uint32_t>(message.size()));
  SecurityAssociation* sa = nullptr;
  if (internet_checksum(message, pseudo) == 0 && quote.source == headers.destination)
    sa = find_sender(quote, sad);
  if (sa == nullptr) return quote.protocol == kUdp ? PathReport::none : PathReport::ignored;
  if (quote.may_be_fragmented || (sa->config().flags & kFlagNoPathMtu) != 0)
    return PathReport::ignored;
  std::uint32_t mtu = ipv4 ? load16(&message[6]) : load32(&message[4]);
  if (ipv4 && mtu == 0) mtu = plateau_below(quote.total);
  return sa->path_mtu().lower(mtu, headers.family, now_s) ? PathReport::learned
                                                          : PathReport::ignored;
}

}  // namespace saline::ipsec
