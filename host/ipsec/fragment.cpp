// See fragment.hpp.
#include "host/ipsec/fragment.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "host/base/bytes.hpp"
#include "host/ipsec/path_mtu.hpp"
#include "host/ipsec/tunnel.hpp"

namespace saline::ipsec {

namespace {

using base::Family;
using base::load16;
using base::load32;
using base::store16;
using base::store32;

constexpr std::uint16_t kDontFragment = 0x4000;
constexpr std::uint16_t kMoreFragments = 0x2000;
constexpr std::uint16_t kOffsetMask = 0x1FFF;

// RFC 791 §3.1: options with the copied flag go into every fragment. Returns their bytes, padded to
// four; writes them where `out` is not nullptr. The options have been parsed before.
std::uint32_t copied_options(std::span<const std::uint8_t> options, std::uint8_t* out) noexcept {
  std::uint32_t kept = 0;
  for (std::size_t at = 0; at < options.size() && options[at] != 0;) {
    const std::size_t bytes = options[at] == 1 ? 1 : options[at + 1];
    if ((options[at] & 0x80) != 0) {
      if (out != nullptr) std::memcpy(out + kept, &options[at], bytes);
      kept += static_cast<std::uint32_t>(bytes);
    }
    at += bytes;
  }
  for (; kept % 4 != 0; ++kept)
    if (out != nullptr) out[kept] = 0;
  return kept;
}

constexpr std::uint32_t round_down8(std::uint32_t value) noexcept { return value & ~7u; }

bool has_df(const std::uint8_t* ipv4) noexcept { return (load16(ipv4 + 6) & kDontFragment) != 0; }

bool may_be_split(const Oversize& packet) noexcept {
  return packet.came_in_fragments ||
         (packet.headers->family == Family::ipv4 && !has_df(packet.data));
}

bool outer_may_be_split(const Oversize& packet, const Settings& settings) noexcept {
  if (packet.by_card) return false;
  if (packet.outer_family == Family::none)
    return packet.headers->family == Family::ipv6 || !has_df(packet.data);
  return packet.outer_family == Family::ipv6 ||
         !outer_df(settings.ipv4.df_bit, packet.data, packet.outer_flags);
}

}  // namespace

bool parse_fragment(std::span<const std::uint8_t> packet, const Headers& headers,
                    FragmentInfo& out) noexcept {
  if (!headers.fragment) return false;
  out = FragmentInfo{};
  out.family = headers.family;
  out.payload_at = headers.upper_offset;
  out.payload_bytes = headers.total - headers.upper_offset;
  out.protocol = headers.upper_protocol;
  if (headers.family == Family::ipv4) {
    const std::uint16_t field = load16(&packet[6]);
    out.identification = load16(&packet[4]);
    out.offset = (field & kOffsetMask) * 8u;
    out.more = (field & kMoreFragments) != 0;
    out.header_bytes = headers.upper_offset;
    out.protocol_field = headers.upper_protocol_field;
    return true;
  }
  // The parse stops behind the fragment header: it is the last it saw.
  out.header_bytes = headers.upper_offset - kFragmentHeaderBytes;
  const std::uint8_t* header = &packet[out.header_bytes];
  out.offset = load16(header + 2) & 0xFFF8u;
  out.more = (header[3] & 1) != 0;
  out.identification = load32(header + 4);
  out.protocol_field = 6;
  for (std::uint32_t at = 40; packet[out.protocol_field] != kFragment;) {
    out.protocol_field = at;
    at += (packet[at + 1] + 1u) * 8;
  }
  return true;
}

bool Splitter::start(std::span<const std::uint8_t> packet, std::uint32_t mtu,
                     std::uint32_t identification) noexcept {
  *this = Splitter{};
  Headers headers;
  if (!parse_headers(packet, headers)) return false;
  family_ = headers.family;
  mtu_ = mtu;
  identification_ = identification;
  if (headers.total > mtu) {
    if (family_ == Family::ipv4) {
      const std::uint16_t field = load16(&packet[6]);
      base_offset_ = (field & kOffsetMask) * 8u;
      more_behind_ = (field & kMoreFragments) != 0;
      header_ = first_header_ = headers.upper_offset;
      later_header_ = 20 + copied_options(packet.subspan(20, header_ - 20), nullptr);
    } else {
      if (headers.fragment) return false;
      header_ = headers.insert_offset;
      protocol_field_ = headers.insert_protocol_field;
      first_header_ = later_header_ = header_ + kFragmentHeaderBytes;
    }
    if (mtu < first_header_ + 8 || headers.total - header_ <= 8) return false;
  }
  packet_ = packet.first(headers.total);
  return true;
}

std::uint32_t Splitter::next(std::span<std::uint8_t> buffer) noexcept {
  if (packet_.empty() || buffer.size() < std::min<std::size_t>(mtu_, packet_.size())) return 0;
  if (packet_.size() <= mtu_) {
    std::memcpy(buffer.data(), packet_.data(), packet_.size());
    return static_cast<std::uint32_t>(std::exchange(packet_, {}).size());
  }
  const std::uint32_t left = static_cast<std::uint32_t>(packet_.size()) - header_ - at_;
  if (left == 0) return 0;
  const std::uint32_t room = mtu_ - (at_ == 0 ? first_header_ : later_header_);
  // The first is never the last: an IPv6 packet may be too long by its fragment header alone.
  const bool last = left <= room && at_ != 0;
  const std::uint32_t bytes = last ? left : round_down8(std::min(room, left - 1));
  return family_ == Family::ipv4 ? write_ipv4(buffer, bytes, last)
                                 : write_ipv6(buffer, bytes, last);
}

std::uint32_t Splitter::write_ipv4(std::span<std::uint8_t> buffer, std::uint32_t bytes,
                                   bool last) noexcept {
  const std::uint32_t header = at_ == 0 ? first_header_ : later_header_;
  std::uint8_t* out = buffer.data();
  std::memcpy(out, packet_.data(), at_ == 0 ? header_ : 20);
  if (at_ != 0) {
    copied_options(packet_.subspan(20, header_ - 20), out + 20);
    out[0] = static_cast<std::uint8_t>(0x40 | header / 4);
  }
  std::memcpy(out + header, packet_.data() + header_ + at_, bytes);
  const bool more = !last || more_behind_;
  store16(out + 2, static_cast<std::uint16_t>(header + bytes));
  store16(out + 6,
          static_cast<std::uint16_t>((more ? kMoreFragments : 0u) | (base_offset_ + at_) / 8));
  store16(out + 10, ipv4_header_checksum({out, header}));
  at_ += bytes;
  return header + bytes;
}

std::uint32_t Splitter::write_ipv6(std::span<std::uint8_t> buffer, std::uint32_t bytes,
                                   bool last) noexcept {
  std::uint8_t* out = buffer.data();
  std::memcpy(out, packet_.data(), header_);
  std::uint8_t* fragment = out + header_;
  fragment[0] = std::exchange(out[protocol_field_], kFragment);
  fragment[1] = 0;
  store16(fragment + 2, static_cast<std::uint16_t>(at_ | (last ? 0u : 1u)));
  store32(fragment + 4, identification_);
  std::memcpy(fragment + kFragmentHeaderBytes, packet_.data() + header_ + at_, bytes);
  store16(out + 4, static_cast<std::uint16_t>(header_ - 40 + kFragmentHeaderBytes + bytes));
  at_ += bytes;
  return header_ + kFragmentHeaderBytes + bytes;
}

Split choose_split(const Oversize& packet, const Settings& settings) noexcept {
  const Headers& headers = *packet.headers;
  const bool splittable = may_be_split(packet);
  const std::uint32_t header =
      headers.insert_offset + (headers.family == Family::ipv6 ? kFragmentHeaderBytes : 0);
  const bool before = splittable && packet.tunnel_innermost && packet.fitting_mtu >= header + 8 &&
                      !(headers.family == Family::ipv6 && headers.fragment);
  // An IPv6 sender may rely on 1280 bytes getting through (RFC 2473 §7.1).
  const bool owed =
      headers.family == Family::ipv6 && headers.total <= smallest_path_mtu(Family::ipv6);
  const bool after = (splittable || owed) && outer_may_be_split(packet, settings);
  if (after && (settings.fragment_after || !before)) return Split::after;
  return before ? Split::before : Split::never;
}

}  // namespace saline::ipsec
