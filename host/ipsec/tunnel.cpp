// Outer headers, and the way out of them.
#include "host/ipsec/tunnel.hpp"

#include <array>
#include <cstring>

#include "host/base/bytes.hpp"
#include "host/ipsec/association.hpp"

namespace saline::ipsec {

namespace {

using base::Family;

constexpr std::uint8_t kEct1 = 1;
constexpr std::uint8_t kEct0 = 2;
constexpr std::uint8_t kCongestionExperienced = 3;

constexpr std::uint32_t kFlowLabelMask = 0xFFFFF;

std::uint8_t hop_limit(const std::uint8_t* header) noexcept {
  return header[header[0] >> 4 == 4 ? 8 : 7];
}

Ecn ecn_of(const FamilySettings& variables, std::uint32_t flags) noexcept {
  return (flags & kFlagNoEcn) != 0 ? Ecn::forbidden : variables.ecn;
}

}  // namespace

bool outer_df(DfBit mode, const std::uint8_t* inner, std::uint32_t flags) noexcept {
  if ((flags & kFlagNoPathMtu) != 0) return false;
  switch (mode) {
    case DfBit::clear:
      return false;
    case DfBit::set:
      return true;
    case DfBit::copy:
      return inner[0] >> 4 == 4 && (inner[6] & 0x40) != 0;
  }
  return false;
}

std::uint8_t traffic_class(const std::uint8_t* header) noexcept {
  if (header[0] >> 4 == 4) return header[1];
  return static_cast<std::uint8_t>(base::load16(header) >> 4);
}

void set_traffic_class(std::uint8_t* header, std::uint8_t value) noexcept {
  if (header[0] >> 4 == 4) {
    header[1] = value;
    const std::size_t bytes = (header[0] & 15u) * 4;
    base::store16(header + 10, ipv4_header_checksum({header, bytes}));
  } else {
    base::store16(header, static_cast<std::uint16_t>(0x6000 | value << 4 | (header[1] & 15)));
  }
}

void set_ecn(std::uint8_t* header, std::uint8_t ecn) noexcept {
  set_traffic_class(header, static_cast<std::uint8_t>((traffic_class(header) & 0xFC) | ecn));
}

std::uint8_t outer_ecn(Ecn mode, std::uint8_t inner) noexcept {
  if (mode == Ecn::forbidden) return 0;
  // RFC 3168 §9.1.1: a mark made before the tunnel stays inside.
  if (mode == Ecn::friendly && inner == kCongestionExperienced) return kEct0;
  return inner;
}

bool inner_ecn(Ecn mode, std::uint8_t inner, std::uint8_t outer, std::uint8_t& result) noexcept {
  result = inner;
  if (mode == Ecn::forbidden) return true;
  if (outer == kCongestionExperienced) {
    if (inner == 0) return false;
    result = kCongestionExperienced;
  } else if (mode == Ecn::rfc6040 && outer == kEct1 && inner == kEct0) {
    result = kEct1;
  }
  return true;
}

void write_outer_header(const Packet& packet, const OuterHeader& outer, const std::uint8_t* inner,
                        const Settings& settings) noexcept {
  const Family family = outer.destination.family;
  const FamilySettings& variables = settings.of(family);
  const std::uint8_t inner_class = traffic_class(inner);
  const auto dscp = static_cast<std::uint8_t>(settings.copy_dscp ? inner_class & 0xFC
                                                                 : settings.tunnel_dscp << 2);
  const auto outer_class =
      static_cast<std::uint8_t>(dscp | outer_ecn(ecn_of(variables, outer.flags), inner_class & 3));
  const std::uint8_t hops =
      settings.tunnel_hop_limit != 0 ? settings.tunnel_hop_limit : hop_limit(inner);
  std::uint8_t* header = packet.data;
  if (family == Family::ipv4) {
    // Word by word, with the checksum from the same words: nothing is read back.
    const std::array<std::uint32_t, 5> words{
        0x45000000u | std::uint32_t{outer_class} << 16 | (packet.length & 0xFFFF),
        std::uint32_t{outer.identification} << 16 |
            (outer_df(variables.df_bit, inner, outer.flags) ? 0x4000u : 0u),
        std::uint32_t{hops} << 24 | std::uint32_t{outer.protocol} << 16,
        base::load32(outer.source.bytes.data()), base::load32(outer.destination.bytes.data())};
    const std::uint64_t sum = std::uint64_t{words[0]} + words[1] + words[2] + words[3] + words[4];
    base::store32(header, words[0]);
    base::store32(header + 4, words[1]);
    base::store32(header + 8, words[2] | fold_checksum(sum));
    base::store32(header + 12, words[3]);
    base::store32(header + 16, words[4]);
  } else {
    const std::uint32_t label =
        settings.copy_flow_label && inner[0] >> 4 == 6 ? base::load32(inner) & kFlowLabelMask : 0;
    base::store32(header, 0x60000000u | static_cast<std::uint32_t>(outer_class) << 20 | label);
    base::store16(header + 4, static_cast<std::uint16_t>(packet.length - 40));
    header[6] = outer.protocol;
    header[7] = hops;
    std::memcpy(header + 8, outer.source.bytes.data(), 16);
    std::memcpy(header + 24, outer.destination.bytes.data(), 16);
  }
}

hw::DropReason enter_inner(Packet& packet, std::uint8_t next_header, std::uint8_t outer_class,
                           Family outer_family, const Settings& settings, std::uint32_t flags,
                           Headers& inner) noexcept {
  const std::uint8_t version = next_header == kIpv4 ? 4 : 6;
  if (packet.length < (version == 4 ? 20u : 40u) || packet.data[0] >> 4 != version)
    return hw::DropReason::malformed;
  if (!parse_headers(packet.bytes(), inner)) return hw::DropReason::malformed;
  packet.shrink_back(packet.length - inner.total);
  const std::uint8_t before = traffic_class(packet.data);
  std::uint8_t ecn = 0;
  if (!inner_ecn(ecn_of(settings.of(outer_family), flags), before & 3, outer_class & 3, ecn))
    return hw::DropReason::ecn;
  const std::uint8_t dscp = (flags & kFlagDecapDscp) != 0 ? outer_class : before;
  const auto after = static_cast<std::uint8_t>((dscp & 0xFC) | ecn);
  if (after != before) set_traffic_class(packet.data, after);
  return hw::DropReason::none;
}

}  // namespace saline::ipsec
