// A packet as the IPsec walk sees it: a view of someone else's buffer, starting at the outermost IP
// header, with room around it to grow, and the list of SAs it came through. Parsing of IPv4 and
// IPv6 headers as far as IPsec needs them (RFC 4301 §4.4.1.1, RFC 8200 §4). Owns no memory.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "host/base/ip.hpp"
#include "host/ipsec/protocols.hpp"

namespace saline::ipsec {

class SecurityAssociation;

// One step of decapsulation. mode is the one actually used: never any.
struct HistoryEntry {
  const SecurityAssociation* association = nullptr;
  Mode mode = Mode::transport;
};

inline constexpr std::size_t kNestingMax = 8;

// data points to the IP header; [data - headroom, data + length + tailroom) may be written.
struct Packet {
  std::uint8_t* data = nullptr;
  std::uint32_t length = 0;
  std::uint32_t headroom = 0;
  std::uint32_t tailroom = 0;
  // Outermost first, in the order the headers were peeled. The caller pushes the entries of
  // what the card has peeled before the packet got here.
  std::array<HistoryEntry, kNestingMax> history{};
  std::uint8_t history_count = 0;

  std::span<std::uint8_t> bytes() const noexcept { return {data, length}; }
  // False when the list is full (drop reason nesting).
  bool push_history(const SecurityAssociation* association, Mode mode) noexcept {
    if (history_count == kNestingMax) return false;
    history[history_count++] = {association, mode};
    return true;
  }
  // Both return false and change nothing when there is no room.
  bool grow_front(std::uint32_t count) noexcept;
  bool grow_back(std::uint32_t count) noexcept;
  void shrink_front(std::uint32_t count) noexcept;
  void shrink_back(std::uint32_t count) noexcept;
};

// What a parse of the IP headers found. Offsets count from the IP header.
struct Headers {
  base::Family family = base::Family::none;
  base::Address source;
  base::Address destination;        // as in the base header
  base::Address final_destination;  // behind a source route or routing header, else destination
  std::uint32_t total = 0;          // of the IP packet; the buffer may hold padding behind it
  std::uint8_t upper_protocol =
      0;  // first header that is no IPv6 extension header; AH and ESP are upper
  std::uint32_t upper_offset = 0;
  std::uint32_t upper_protocol_field = 0;  // offset of the byte that names upper_protocol
  // Where a transport mode header goes, and the byte that must name it: before the destination
  // options that are for the final destination (RFC 4303 §3.1.1).
  std::uint32_t insert_offset = 0;
  std::uint32_t insert_protocol_field = 0;
  bool fragment = false;  // MF or an offset; in IPv6 any fragment header
  bool routed = false;    // a routing header with segments left: not at its final destination
};

// False when malformed: version, lengths, total beyond the buffer, extension chain off the end or
// longer than 16 headers.
bool parse_headers(std::span<const std::uint8_t> packet, Headers& out) noexcept;

// The selectors of a packet. An ICMP type is the source port and its code the destination port. A
// fragment has protocol any and no ports, even a first fragment, so that only a rule that asks for
// neither matches it (RFC 4301 §7).
struct Flow {
  base::Address source;
  base::Address destination;
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  std::uint8_t upper_protocol = 0;
  bool ports_known = false;
  bool fragment = false;
};

// False when malformed. Looks for the upper protocol through AH, never behind ESP. The second form
// takes what parse_headers has found in the same bytes.
bool parse_flow(std::span<const std::uint8_t> packet, Flow& out) noexcept;
bool parse_flow(std::span<const std::uint8_t> packet, const Headers& headers, Flow& out) noexcept;

// The end of RFC 1071: a sum of 32-bit words, in host byte order, as a checksum.
constexpr std::uint16_t fold_checksum(std::uint64_t sum) noexcept {
  sum = (sum & 0xFFFFFFFF) + (sum >> 32);
  sum = (sum & 0xFFFF) + (sum >> 16);
  sum = (sum & 0xFFFF) + (sum >> 16);
  sum = (sum & 0xFFFF) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

// RFC 1071 over an IPv4 header whose checksum field is taken as zero.
std::uint16_t ipv4_header_checksum(std::span<const std::uint8_t> header) noexcept;

}  // namespace saline::ipsec
