// Header chains as lists of pieces first, conclusions from the lists afterwards.
#include "tests/fuzz/reference.hpp"

#include <algorithm>

namespace saline::fuzz {

namespace {

unsigned word(const Bytes& packet, std::size_t at) { return packet[at] * 256u + packet[at + 1]; }

base::Address address_from(const Bytes& packet, std::size_t at, base::Family family) {
  base::Address address;
  address.family = family;
  for (std::size_t i = 0; i < (family == base::Family::ipv4 ? 4u : 16u); ++i)
    address.bytes[i] = packet[at + i];
  return address;
}

bool is_source_route(const Piece& option) { return option.type == 131 || option.type == 137; }

bool has_addresses_left(const Bytes& packet, const Piece& option) {
  return option.bytes >= 7 && packet[option.at + 2] + 3u <= option.bytes;
}

std::optional<SlowHeaders> slow_ipv4(const Bytes& packet) {
  SlowHeaders found;
  if (packet.size() < 20) return std::nullopt;
  const std::size_t header = packet[0] % 16 * 4u;
  found.total = word(packet, 2);
  if (header < 20 || found.total < header || found.total > packet.size()) return std::nullopt;
  for (std::size_t at = 20; at < header && packet[at] != 0;) {
    std::size_t bytes = 1;
    if (packet[at] != 1) {
      if (at + 1 == header) return std::nullopt;
      bytes = packet[at + 1];
      if (bytes < 2 || at + bytes > header) return std::nullopt;
      found.options.push_back({packet[at], at, bytes});
    }
    at += bytes;
  }
  found.final_destination = address_from(packet, 16, base::Family::ipv4);
  for (const Piece& option : found.options) {
    if (!is_source_route(option)) continue;
    if (option.bytes < 3) return std::nullopt;
    if (!has_addresses_left(packet, option)) continue;
    found.routed = true;
    found.final_destination =
        address_from(packet, option.at + option.bytes - 4, base::Family::ipv4);
  }
  found.upper = packet[9];
  found.upper_named_at = found.insert_named_at = 9;
  found.upper_at = found.insert_at = header;
  found.fragment = (packet[6] & 0x3F) != 0 || packet[7] != 0;
  return found;
}

// Where a routing header with segments left ends; nothing for lengths that do not fit.
std::optional<base::Address> slow_end_of_route(const Bytes& packet, const Piece& piece,
                                               const base::Address& so_far) {
  const std::uint8_t* header = packet.data() + piece.at;
  const unsigned left = header[3];
  std::size_t from = 8, kept = 0;  // the address behind its first bytes, which stay
  switch (header[2]) {
    case 0:  // RFC 5095 §3
      return std::nullopt;
    case 2:  // RFC 6275 §6.4
      if (piece.bytes != 24 || left != 1) return std::nullopt;
      break;
    case 3: {  // RFC 6554 §3
      const int inner = 16 - header[4] / 16, last = 16 - header[4] % 16;
      const int before = static_cast<int>(piece.bytes) - 8 - header[5] / 16 - last;
      if (before < 0 || before % inner != 0) return std::nullopt;
      if (static_cast<int>(left) > before / inner + 1) return std::nullopt;
      from += static_cast<std::size_t>(before);
      kept = static_cast<std::size_t>(16 - last);
      break;
    }
    case 4:  // RFC 8754 §2
      if (left > header[4] || 8u + (header[4] + 1u) * 16 > piece.bytes) return std::nullopt;
      break;
    default:
      return so_far;
  }
  base::Address end = so_far;
  for (std::size_t i = kept; i < 16; ++i) end.bytes[i] = header[from + i - kept];
  return end;
}

std::optional<SlowHeaders> slow_ipv6(const Bytes& packet) {
  constexpr std::size_t kChainMax = 16;
  SlowHeaders found;
  found.ipv6 = true;
  if (packet.size() < 40) return std::nullopt;
  found.total = 40 + word(packet, 4);
  if (found.total > packet.size()) return std::nullopt;
  std::uint8_t next = packet[6];
  std::size_t at = 40;
  while (next == 0 || next == 43 || next == 44 || next == 60) {
    if (next == 0 && !found.chain.empty()) return std::nullopt;
    if (found.chain.size() == kChainMax || at + 8 > found.total) return std::nullopt;
    const std::size_t bytes = next == 44 ? 8 : 8 + packet[at + 1] * 8u;
    if (at + bytes > found.total) return std::nullopt;
    found.chain.push_back({next, at, bytes});
    const bool last = next == 44;
    next = packet[at];
    at += bytes;
    if (last) break;
  }
  found.upper = next;
  found.upper_at = at;
  found.upper_named_at = found.chain.empty() ? 6 : found.chain.back().at;
  // A transport header goes behind the last header that routers or the reassembly read.
  found.insert_at = 40;
  found.insert_named_at = 6;
  found.final_destination = address_from(packet, 24, base::Family::ipv6);
  for (const Piece& piece : found.chain) {
    if (piece.type != 60) {
      found.insert_at = piece.at + piece.bytes;
      found.insert_named_at = piece.at;
    }
    found.fragment |= piece.type == 44;
    if (piece.type != 43 || packet[piece.at + 3] == 0) continue;
    found.routed = true;
    const auto end = slow_end_of_route(packet, piece, found.final_destination);
    if (!end) return std::nullopt;
    found.final_destination = *end;
  }
  return found;
}

void zero(Bytes& bytes, std::size_t at, std::size_t count) {
  std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), count, 0);
}

Bytes mute_ipv4(const Bytes& packet, const SlowHeaders& headers, std::size_t end) {
  Bytes image(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(end));
  for (std::size_t at : {1u, 6u, 7u, 8u, 10u, 11u}) image[at] = 0;
  for (std::size_t i = 0; i < 4; ++i) image[16 + i] = headers.final_destination.bytes[i];
  static constexpr std::uint8_t kImmutable[] = {130, 133, 134, 148, 149};
  for (const Piece& option : headers.options)
    if (std::count(std::begin(kImmutable), std::end(kImmutable), option.type) == 0)
      zero(image, option.at, option.bytes);
  return image;
}

// Options or TLVs from there to there, whose data may change where the type has that bit. False
// when one runs off the end.
bool mute_options(Bytes& image, std::size_t from, std::size_t end, std::uint8_t changes) {
  if (from > end) return false;
  for (std::size_t at = from; at < end;) {
    if (image[at] == 0) {
      ++at;
      continue;
    }
    if (at + 2 > end || at + 2 + image[at + 1] > end) return false;
    if ((image[at] & changes) != 0) zero(image, at + 2, image[at + 1]);
    at += 2u + image[at + 1];
  }
  return true;
}

std::optional<Bytes> mute_ipv6(const Bytes& packet, const SlowHeaders& headers, std::size_t end) {
  Bytes image(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(end));
  image[0] = 0x60;
  zero(image, 1, 3);
  image[7] = 0;
  for (const Piece& piece : headers.chain) {
    if (piece.at >= end) break;
    if (piece.type == 43) {
      if (image[piece.at + 3] != 0) return std::nullopt;  // the target does not go there
      const std::size_t tlvs = piece.at + 8 + (image[piece.at + 4] + 1u) * 16;  // RFC 8754 §2
      if (image[piece.at + 2] == 4 && !mute_options(image, tlvs, piece.at + piece.bytes, 0x80))
        return std::nullopt;
    } else if (!mute_options(image, piece.at + 2, piece.at + piece.bytes, 0x20)) {
      return std::nullopt;
    }
  }
  return image;
}

}  // namespace

std::optional<SlowHeaders> slow_headers(const Bytes& packet) {
  if (packet.empty()) return std::nullopt;
  if (packet[0] / 16 == 4) return slow_ipv4(packet);
  if (packet[0] / 16 == 6) return slow_ipv6(packet);
  return std::nullopt;
}

std::optional<SlowPorts> slow_ports(const Bytes& packet, const SlowHeaders& headers) {
  SlowPorts found;
  std::uint8_t next = headers.upper;
  std::size_t at = headers.upper_at;
  for (int count = 0; count < 16 && (next == 51 || (headers.ipv6 && next == 60)); ++count) {
    if (at + 8 > headers.total) return std::nullopt;
    const std::size_t bytes = next == 51 ? 8 + packet[at + 1] * 4u : 8 + packet[at + 1] * 8u;
    next = packet[at];
    at += bytes;
    if (at > headers.total) return std::nullopt;
  }
  found.protocol = next;
  static constexpr std::uint8_t kWithPorts[] = {6, 17, 33, 132, 136};
  if (std::count(std::begin(kWithPorts), std::end(kWithPorts), next) != 0) {
    if (at + 4 > headers.total) return found;
    found.source = static_cast<std::uint16_t>(word(packet, at));
    found.destination = static_cast<std::uint16_t>(word(packet, at + 2));
  } else if (next == 1 || next == 58) {
    if (at + 2 > headers.total) return found;
    found.source = packet[at];
    found.destination = packet[at + 1];
  }
  return found;
}

std::uint16_t slow_checksum(const Bytes& packet, std::size_t header_bytes) {
  unsigned sum = 0;
  for (std::size_t at = 0; at < header_bytes; at += 2) {
    sum += at == 10 ? 0 : word(packet, at);
    if (sum > 0xFFFF) sum -= 0xFFFF;
  }
  return static_cast<std::uint16_t>(0xFFFF - sum);
}

std::optional<Bytes> slow_mute(const Bytes& packet, const SlowHeaders& headers, std::size_t end) {
  if (headers.ipv6) return mute_ipv6(packet, headers, end);
  return mute_ipv4(packet, headers, end);
}

}  // namespace saline::fuzz
