// Muting of IPv4 and IPv6 headers for AH (RFC 4302 App. A).
#include "host/ipsec/mutable_fields.hpp"

#include <algorithm>
#include <cstring>

#include "host/base/bytes.hpp"
#include "host/ipsec/routing_header.hpp"

namespace saline::ipsec {

namespace {

// RFC 4302 App. A1.
bool is_immutable_ipv4_option(std::uint8_t type) noexcept {
  switch (type) {
    case 130:  // security
    case 133:  // extended security
    case 134:  // commercial security
    case 148:  // router alert
    case 149:  // sender directed multi-destination delivery
      return true;
    default:
      return false;
  }
}

bool mute_ipv4_options(std::span<std::uint8_t> header) noexcept {
  for (std::size_t at = 20; at < header.size();) {
    const std::uint8_t type = header[at];
    if (type == 0) return true;
    if (type == 1) {
      ++at;
      continue;
    }
    if (at + 2 > header.size()) return false;
    const std::uint8_t bytes = header[at + 1];
    if (bytes < 2 || at + bytes > header.size()) return false;
    // A source route that is not at its end: sign the destination the packet will have there.
    if ((type == 131 || type == 137) && bytes >= 7 && header[at + 2] <= bytes - 3)
      std::memcpy(&header[16], &header[at + bytes - 4u], 4);
    if (!is_immutable_ipv4_option(type)) std::memset(&header[at], 0, bytes);
    at += bytes;
  }
  return true;
}

bool mute_ipv4(std::span<std::uint8_t> header, const FamilySettings& settings) noexcept {
  if (settings.ah_clear_tos) header[1] = 0;
  const int kept = base::load16(&header[6]) & settings.ah_offset_mask;
  base::store16(&header[6], static_cast<std::uint16_t>(kept));
  header[8] = 0;
  base::store16(&header[10], 0);
  return mute_ipv4_options(header);
}

// RFC 4302 App. A2: an option whose third-highest bit is set may change en route.
bool mute_ipv6_options(std::span<std::uint8_t> extension) noexcept {
  for (std::size_t at = 2; at < extension.size();) {
    const std::uint8_t type = extension[at];
    if (type == 0) {  // Pad1
      ++at;
      continue;
    }
    if (at + 2 > extension.size()) return false;
    const std::size_t bytes = extension[at + 1];
    if (at + 2 + bytes > extension.size()) return false;
    if ((type & 0x20) != 0)
      std::fill_n(extension.begin() + static_cast<std::ptrdiff_t>(at) + 2, bytes, 0);
    at += 2 + bytes;
  }
  return true;
}

bool mute_ipv6(std::span<std::uint8_t> headers) noexcept {
  base::store32(headers.data(), 0x60000000);
  headers[7] = 0;
  std::uint8_t next = headers[6];
  for (std::size_t at = 40; at + 8 <= headers.size() && next != kAh;) {
    const std::size_t bytes = (headers[at + 1] + 1u) * 8;
    if (at + bytes > headers.size()) return false;
    const auto extension = headers.subspan(at, bytes);
    if (next == kRouting) {
      if (!arrive(extension, &headers[24]) || !mute_segment_tlvs(extension)) return false;
    } else if (!mute_ipv6_options(extension)) {
      return false;
    }
    next = headers[at];
    at += bytes;
  }
  return true;
}

}  // namespace

bool mute(std::span<std::uint8_t> headers, const Settings& settings) noexcept {
  return headers[0] >> 4 == 4 ? mute_ipv4(headers, settings.ipv4) : mute_ipv6(headers);
}

}  // namespace saline::ipsec
