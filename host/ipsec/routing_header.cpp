// Routing headers; see routing_header.hpp.
#include "host/ipsec/routing_header.hpp"

#include <algorithm>

namespace saline::ipsec {

namespace {

constexpr std::size_t kAddress = 16;
constexpr std::size_t kFixed = 8;

constexpr std::uint8_t kMobility = 2;
constexpr std::uint8_t kSourceRpl = 3;
constexpr std::uint8_t kSegments = 4;

// RFC 6554 §3: all but the last address have lost their first cmpr_i bytes, the last its first
// cmpr_e, which are those of the destination.
struct RplAddresses {
  std::size_t elided_inner = 0;
  std::size_t elided_last = 0;
  std::size_t count = 0;

  std::size_t offset(std::size_t index) const noexcept {
    return kFixed + index * (kAddress - elided_inner);
  }
  std::size_t elided(std::size_t index) const noexcept {
    return index + 1 == count ? elided_last : elided_inner;
  }
};

bool read_rpl(std::span<const std::uint8_t> header, RplAddresses& out) noexcept {
  out.elided_inner = header[4] >> 4;
  out.elided_last = header[4] & 15u;
  const std::size_t padding = header[5] >> 4;
  const std::size_t last = kAddress - out.elided_last;
  if (header.size() < kFixed + padding + last) return false;
  const std::size_t inner = header.size() - kFixed - padding - last;
  if (inner % (kAddress - out.elided_inner) != 0) return false;
  out.count = inner / (kAddress - out.elided_inner) + 1;
  return header[3] <= out.count;
}

// RFC 8754 §2: last entry and segments left lie in the list, and the list in the header.
bool segments_fit(std::span<const std::uint8_t> header) noexcept {
  const std::size_t last_entry = header[4];
  return header[3] <= last_entry && kFixed + (last_entry + 1) * kAddress <= header.size();
}

bool fits(std::span<const std::uint8_t> header, RplAddresses& rpl) noexcept {
  switch (header[2]) {
    case kMobility:
      return header.size() == kFixed + kAddress && header[3] == 1;
    case kSourceRpl:
      return read_rpl(header, rpl);
    case kSegments:
      return segments_fit(header);
    default:
      return false;
  }
}

}  // namespace

bool arrive(std::span<std::uint8_t> header, std::uint8_t* destination) noexcept {
  if (header[3] == 0) return true;
  RplAddresses rpl;
  if (!fits(header, rpl)) return false;
  if (header[2] == kMobility) {
    std::swap_ranges(destination, destination + kAddress, &header[kFixed]);
  } else if (header[2] == kSegments) {
    std::copy_n(&header[kFixed], kAddress, destination);
  } else {
    for (std::size_t i = rpl.count - header[3]; i < rpl.count; ++i)
      std::swap_ranges(destination + rpl.elided(i), destination + kAddress, &header[rpl.offset(i)]);
  }
  header[3] = 0;
  return true;
}

bool final_destination(std::span<const std::uint8_t> header, std::uint8_t* destination) noexcept {
  if (header[3] == 0) return true;
  RplAddresses rpl;
  if (!fits(header, rpl)) return false;
  const bool rpl_last = header[2] == kSourceRpl;
  const std::size_t elided = rpl_last ? rpl.elided_last : 0;
  const std::size_t at = rpl_last ? rpl.offset(rpl.count - 1) : kFixed;
  std::copy_n(&header[at], kAddress - elided, destination + elided);
  return true;
}

bool mute_segment_tlvs(std::span<std::uint8_t> header) noexcept {
  if (header[2] != kSegments) return true;
  if (!segments_fit(header)) return false;
  for (std::size_t at = kFixed + (header[4] + std::size_t{1}) * kAddress; at < header.size();) {
    const std::uint8_t type = header[at];
    if (type == 0) {  // Pad1
      ++at;
      continue;
    }
    if (at + 2 > header.size() || at + 2 + header[at + 1] > header.size()) return false;
    const std::size_t bytes = header[at + 1];
    if ((type & 0x80) != 0)
      std::fill_n(header.begin() + static_cast<std::ptrdiff_t>(at) + 2, bytes, 0);
    at += 2 + bytes;
  }
  return true;
}

}  // namespace saline::ipsec
