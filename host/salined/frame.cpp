// The link's own traffic: RFC 4861, RFC 2710, RFC 3810; see frame.hpp.
#include "host/salined/frame.hpp"

#include "host/ipsec/protocols.hpp"

namespace saline::daemon {
namespace {

constexpr std::size_t kIpv6Bytes = 40;
constexpr std::uint8_t kRouterSolicitation = 133, kRedirect = 137;
constexpr std::uint8_t kListenerQuery = 130, kListenerDone = 132, kListenerReport2 = 143;

bool is_link_local_or_none(const std::uint8_t* address) noexcept {
  if (address[0] == 0xfe && (address[1] & 0xc0) == 0x80) return true;
  std::uint8_t bits = 0;
  for (std::size_t i = 0; i < 16; ++i) bits |= address[i];
  return bits == 0;
}

}  // namespace

bool is_link_discovery(std::span<const std::uint8_t> packet) noexcept {
  if (packet.size() < kIpv6Bytes + 8 || (packet[0] >> 4) != 6) return false;
  const std::uint8_t next = packet[6], hop_limit = packet[7];
  if (next == ipsec::kIcmpv6 && hop_limit == 255) {
    const std::uint8_t type = packet[kIpv6Bytes];
    return type >= kRouterSolicitation && type <= kRedirect;
  }
  // Listener messages come behind one hop-by-hop header of eight bytes (router alert).
  if (next != ipsec::kHopByHop || hop_limit != 1 || packet.size() < kIpv6Bytes + 16) return false;
  const std::uint8_t* option = packet.data() + kIpv6Bytes;
  if (option[0] != ipsec::kIcmpv6 || option[1] != 0) return false;
  const std::uint8_t type = option[8];
  const bool listener =
      (type >= kListenerQuery && type <= kListenerDone) || type == kListenerReport2;
  return listener && is_link_local_or_none(packet.data() + 8);
}

}  // namespace saline::daemon
