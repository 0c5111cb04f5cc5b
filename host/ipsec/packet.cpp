// Parsing of IP headers and of the selectors of a packet.
#include "host/ipsec/packet.hpp"

#include <algorithm>
#include <cstring>

#include "host/base/bytes.hpp"
#include "host/ipsec/routing_header.hpp"

namespace saline::ipsec {

using base::Family;
using base::load16;

bool Packet::grow_front(std::uint32_t count) noexcept {
  if (count > headroom) return false;
  data -= count;
  headroom -= count;
  length += count;
  return true;
}

bool Packet::grow_back(std::uint32_t count) noexcept {
  if (count > tailroom) return false;
  tailroom -= count;
  length += count;
  return true;
}

void Packet::shrink_front(std::uint32_t count) noexcept {
  data += count;
  headroom += count;
  length -= count;
}

void Packet::shrink_back(std::uint32_t count) noexcept {
  tailroom += count;
  length -= count;
}

// The sum of RFC 1071 does not care about byte order: 32 bits at a time, folded, swapped at the
// end.
std::uint16_t ipv4_header_checksum(std::span<const std::uint8_t> header) noexcept {
  std::uint64_t sum = 0;
  for (std::size_t at = 0; at + 4 <= header.size(); at += 4) {
    std::uint32_t word = base::load32(&header[at]);
    if (at == 8) word &= 0xFFFF0000;  // its own field
    sum += word;
  }
  return fold_checksum(sum);
}

namespace {

constexpr unsigned kExtensionsMax = 16;

// An address is written by one store and never put together from parts: it is read again a few
// cycles later, by loads that cannot take what they read from more than one store on its way.
using Lane = std::uint64_t __attribute__((vector_size(16)));

void set_ipv4(base::Address& out, const std::uint8_t* bytes) noexcept {
  std::uint32_t word;
  std::memcpy(&word, bytes, sizeof(word));
  const Lane lane{word, 0};
  std::memcpy(out.bytes.data(), &lane, sizeof(lane));
  out.family = Family::ipv4;
}

void set_ipv6(base::Address& out, const std::uint8_t* bytes) noexcept {
  Lane lane;
  std::memcpy(&lane, bytes, sizeof(lane));
  std::memcpy(out.bytes.data(), &lane, sizeof(lane));
  out.family = Family::ipv6;
}

void copy(base::Address& out, const base::Address& from) noexcept {
  Lane lane;
  std::memcpy(&lane, from.bytes.data(), sizeof(lane));
  std::memcpy(out.bytes.data(), &lane, sizeof(lane));
  out.family = from.family;
}

// Finds a source route; false when an option's length is wrong.
bool parse_ipv4_options(std::span<const std::uint8_t> options, Headers& out) noexcept {
  for (std::size_t at = 0; at < options.size();) {
    const std::uint8_t type = options[at];
    if (type == 0) return true;
    if (type == 1) {
      ++at;
      continue;
    }
    if (at + 2 > options.size()) return false;
    const std::uint8_t bytes = options[at + 1];
    if (bytes < 2 || at + bytes > options.size()) return false;
    if (type == 131 || type == 137) {  // loose and strict source route, RFC 791 §3.1
      if (bytes < 3) return false;
      const std::uint8_t pointer = options[at + 2];
      if (bytes >= 7 && pointer <= bytes - 3) {
        out.routed = true;
        set_ipv4(out.final_destination, &options[at + bytes - 4]);
      }
    }
    at += bytes;
  }
  return true;
}

bool parse_ipv4(std::span<const std::uint8_t> packet, Headers& out) noexcept {
  if (packet.size() < 20) return false;
  const std::uint32_t header = (packet[0] & 15u) * 4;
  out.total = load16(&packet[2]);
  if (header < 20 || out.total < header || out.total > packet.size()) return false;
  out.family = Family::ipv4;
  set_ipv4(out.source, &packet[12]);
  set_ipv4(out.destination, &packet[16]);
  set_ipv4(out.final_destination, &packet[16]);
  out.upper_protocol = packet[9];
  out.upper_offset = out.insert_offset = header;
  out.upper_protocol_field = out.insert_protocol_field = 9;
  out.fragment = (load16(&packet[6]) & 0x3FFF) != 0;
  return header == 20 || parse_ipv4_options(packet.subspan(20, header - 20), out);
}

// RFC 8200 §4.4. Type 0 with segments left is refused (RFC 5095 §3); where the way of a type is
// known, the final destination is foreseen.
bool parse_routing(std::span<const std::uint8_t> header, Headers& out) noexcept {
  const std::uint8_t type = header[2];
  if (header[3] == 0) return true;
  if (type == 0) return false;
  out.routed = true;
  const bool foreseen = type >= 2 && type <= 4;
  return !foreseen || final_destination(header, out.final_destination.bytes.data());
}

bool parse_ipv6(std::span<const std::uint8_t> packet, Headers& out) noexcept {
  if (packet.size() < 40) return false;
  out.total = 40u + load16(&packet[4]);
  if (out.total > packet.size()) return false;
  out.family = Family::ipv6;
  set_ipv6(out.source, &packet[8]);
  set_ipv6(out.destination, &packet[24]);
  set_ipv6(out.final_destination, &packet[24]);
  std::uint8_t next = packet[6];
  std::uint32_t at = 40;
  std::uint32_t field = 6;
  out.insert_offset = at;
  out.insert_protocol_field = field;
  for (unsigned count = 0;; ++count) {
    const bool options = next == kDestinationOptions || (next == kHopByHop && at == 40);
    if (!options && next != kRouting && next != kFragment) {
      if (next == kHopByHop) return false;  // RFC 8200 §4.1: first or not at all
      break;
    }
    if (count == kExtensionsMax || at + 8 > out.total) return false;
    const std::uint32_t bytes = next == kFragment ? 8 : (packet[at + 1] + 1u) * 8;
    if (at + bytes > out.total) return false;
    if (next == kRouting && !parse_routing(packet.subspan(at, bytes), out)) return false;
    const bool was_fragment = next == kFragment;
    field = at;
    if (next != kDestinationOptions) {
      out.insert_offset = at + bytes;
      out.insert_protocol_field = field;
    }
    next = packet[at];
    at += bytes;
    if (was_fragment) {  // what follows may be the middle of anything
      out.fragment = true;
      break;
    }
  }
  out.upper_protocol = next;
  out.upper_offset = at;
  out.upper_protocol_field = field;
  return true;
}

}  // namespace

bool parse_headers(std::span<const std::uint8_t> packet, Headers& out) noexcept {
  out = Headers{};
  if (packet.empty()) return false;
  switch (packet[0] >> 4) {
    case 4:
      return parse_ipv4(packet, out);
    case 6:
      return parse_ipv6(packet, out);
    default:
      return false;
  }
}

bool parse_flow(std::span<const std::uint8_t> packet, Flow& out) noexcept {
  Headers headers;
  return parse_headers(packet, headers) && parse_flow(packet, headers, out);
}

bool parse_flow(std::span<const std::uint8_t> packet, const Headers& headers, Flow& out) noexcept {
  out = Flow{};
  copy(out.source, headers.source);
  copy(out.destination, headers.final_destination);
  if (headers.fragment) {
    out.fragment = true;
    out.upper_protocol = kAnyProtocol;
    return true;
  }
  std::uint8_t next = headers.upper_protocol;
  std::uint32_t at = headers.upper_offset;
  for (unsigned count = 0; count < kExtensionsMax; ++count) {
    const bool options = next == kDestinationOptions && headers.family == Family::ipv6;
    if (next != kAh && !options) break;
    if (at + 8 > headers.total) return false;
    const std::uint32_t bytes = next == kAh ? (packet[at + 1] + 2u) * 4 : (packet[at + 1] + 1u) * 8;
    next = packet[at];
    at += bytes;
    if (at > headers.total) return false;
  }
  out.upper_protocol = next;
  const std::uint32_t left = headers.total - at;
  constexpr std::uint8_t kDccp = 33;
  if (next == kTcp || next == kUdp || next == kSctp || next == kUdpLite || next == kDccp) {
    if (left < 4) return true;
    out.source_port = load16(&packet[at]);
    out.destination_port = load16(&packet[at + 2]);
    out.ports_known = true;
  } else if (next == kIcmp || next == kIcmpv6) {
    if (left < 2) return true;
    out.source_port = packet[at];
    out.destination_port = packet[at + 1];
    out.ports_known = true;
  }
  return true;
}

}  // namespace saline::ipsec
