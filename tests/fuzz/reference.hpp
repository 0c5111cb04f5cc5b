// Slow readings of IP headers, written from the RFCs and not from the product: the other opinion
// that fuzz targets hold it against.
#pragma once

#include <optional>
#include <vector>

#include "host/base/ip.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace saline::fuzz {

// One header of the chain, or one option of an IPv4 header.
struct Piece {
  std::uint8_t type = 0;  // its own protocol number, or the option's type
  std::size_t at = 0;
  std::size_t bytes = 0;
};

struct SlowHeaders {
  bool ipv6 = false;
  std::size_t total = 0;
  std::vector<Piece> chain;    // IPv6: extension headers up to a fragment header
  std::vector<Piece> options;  // IPv4: options of two bytes and more
  std::uint8_t upper = 0;      // protocol behind the chain
  std::size_t upper_at = 0;
  std::size_t upper_named_at = 0;
  std::size_t insert_at = 0;  // where a transport mode header goes
  std::size_t insert_named_at = 0;
  bool fragment = false;
  bool routed = false;
  base::Address final_destination;
};

// nullopt: malformed.
std::optional<SlowHeaders> slow_headers(const Bytes& packet);

struct SlowPorts {
  std::uint8_t protocol = 0;
  std::optional<std::uint16_t> source;
  std::optional<std::uint16_t> destination;
};
// Behind AH and later destination options; nullopt: malformed.
std::optional<SlowPorts> slow_ports(const Bytes& packet, const SlowHeaders& headers);

std::uint16_t slow_checksum(const Bytes& packet, std::size_t header_bytes);

// The headers as AH signs them with default variables (RFC 4302 §3.3.3.1), up to `end`; nullopt:
// cannot be signed.
std::optional<Bytes> slow_mute(const Bytes& packet, const SlowHeaders& headers, std::size_t end);

}  // namespace saline::fuzz
