// Ethernet as far as the data plane looks at it, and the link's own traffic that policy leaves
// alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "host/base/bytes.hpp"

namespace saline::daemon {

inline constexpr std::uint32_t kEthernetBytes = 14;
inline constexpr std::uint16_t kEtherIpv4 = 0x0800;
inline constexpr std::uint16_t kEtherIpv6 = 0x86dd;

enum class FrameKind : std::uint8_t { ip, not_ip, hidden_ip, malformed };

// hidden_ip: a wrapping that would carry IP past the policy.
inline FrameKind classify_frame(std::span<const std::uint8_t> frame) noexcept {
  if (frame.size() < kEthernetBytes) return FrameKind::malformed;
  switch (base::load16(frame.data() + 12)) {
    case kEtherIpv4:
    case kEtherIpv6:
      return FrameKind::ip;
    case 0x8100:  // 802.1Q
    case 0x88a8:  // 802.1ad
    case 0x9100:  // QinQ before the standard
    case 0x8847:  // MPLS
    case 0x8848:
    case 0x8864:  // PPPoE session
      return FrameKind::hidden_ip;
    default:
      return FrameKind::not_ip;
  }
}

// Neighbour and router discovery (RFC 4861 §6.1, §7.1: hop limit 255, so never forwarded) and
// multicast listener messages (RFC 3810 §5: link-local source, hop limit 1).
bool is_link_discovery(std::span<const std::uint8_t> packet) noexcept;

}  // namespace saline::daemon
