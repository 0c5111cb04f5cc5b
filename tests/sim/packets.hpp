// Random IP packets for tests that hold two implementations against each other.
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

#include "host/base/ip.hpp"
#include "host/ipsec/packet.hpp"

namespace saline::sim {

using Bytes = std::vector<std::uint8_t>;

class PacketSource {
 public:
  explicit PacketSource(std::uint64_t seed) : random_(seed) {}

  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
  bool one_in(std::uint64_t n) { return below(n) == 0; }

  base::Address address(base::Family family) {
    base::Address out;
    out.family = family;
    const bool v4 = family == base::Family::ipv4;
    out.bytes[0] = v4 ? 10 : 0xFD;
    for (std::size_t i = 1; i < (v4 ? 4u : 16u); ++i)
      out.bytes[i] = static_cast<std::uint8_t>(random_());
    return out;
  }

  // From a few addresses and ports only, now and then a fragment: for what selects packets.
  base::Address near_address(base::Family family) {
    base::Address out;
    out.family = family;
    out.bytes[0] = family == base::Family::ipv4 ? 10 : 0xFD;
    out.bytes[base::address_bytes(family) - 2] = static_cast<std::uint8_t>(below(2));
    out.bytes[base::address_bytes(family) - 1] = static_cast<std::uint8_t>(below(4));
    return out;
  }
  Bytes near_packet(const base::Address& source, const base::Address& destination) {
    Bytes out = packet(source, destination);
    ipsec::Headers headers;
    if (!ipsec::parse_headers(out, headers) || headers.upper_protocol == 47) return out;
    put16(out, headers.upper_offset, below(4));
    put16(out, headers.upper_offset + 2, below(4));
    if (source.family == base::Family::ipv4 && one_in(6)) {
      put16(out, 6, 0x2000 | (one_in(2) ? below(100) : 0));
      put16(out, 10, 0);
      put16(out, 10, ipsec::ipv4_header_checksum({out.data(), headers.upper_offset}));
    }
    return out;
  }

  // A well-formed packet; small sizes are likelier, as their edges are where mistakes live.
  Bytes packet(const base::Address& source, const base::Address& destination) {
    const std::size_t payload = one_in(4) ? below(1400) : below(90);
    return source.family == base::Family::ipv4 ? ipv4(source, destination, payload)
                                               : ipv6(source, destination, payload);
  }

 private:
  static void append(Bytes& out, const Bytes& more) {
    const std::size_t old = out.size();
    out.resize(old + more.size());
    std::copy_n(more.begin(), more.size(), out.begin() + static_cast<std::ptrdiff_t>(old));
  }
  static void put16(Bytes& b, std::size_t at, std::size_t value) {
    b[at] = static_cast<std::uint8_t>(value >> 8);
    b[at + 1] = static_cast<std::uint8_t>(value);
  }

  Bytes upper(std::uint8_t& protocol, std::size_t payload) {
    static constexpr std::uint8_t protocols[] = {1, 6, 17, 58, 132, 47};
    protocol = protocols[below(6)];
    const std::size_t header = protocol == 6 ? 20 : 8;
    Bytes out(header + payload);
    for (auto& b : out) b = static_cast<std::uint8_t>(random_());
    if (protocol == 17) put16(out, 4, out.size());
    if (protocol == 6) out[12] = 0x50;
    return out;
  }

  Bytes ipv4(const base::Address& source, const base::Address& destination, std::size_t payload) {
    std::uint8_t protocol = 0;
    const Bytes text = upper(protocol, payload);
    const std::size_t options = one_in(8) ? 4 * (1 + below(10)) : 0;
    Bytes out(20 + options, 1);  // options: NOP
    out[0] = static_cast<std::uint8_t>(0x45 + options / 4);
    out[1] = one_in(2) ? static_cast<std::uint8_t>(random_()) : 0;
    put16(out, 2, out.size() + text.size());
    put16(out, 4, below(65536));
    put16(out, 6, one_in(2) ? 0x4000 : 0);
    out[8] = static_cast<std::uint8_t>(2 + below(250));
    out[9] = protocol;
    std::copy_n(source.bytes.begin(), 4, out.begin() + 12);
    std::copy_n(destination.bytes.begin(), 4, out.begin() + 16);
    put16(out, 10, 0);
    put16(out, 10, ipsec::ipv4_header_checksum(out));
    append(out, text);
    return out;
  }

  Bytes ipv6(const base::Address& source, const base::Address& destination, std::size_t payload) {
    std::uint8_t protocol = 0;
    const Bytes text = upper(protocol, payload);
    Bytes chain;
    std::uint8_t first = protocol;
    if (one_in(8)) {  // hop-by-hop options of one PadN
      first = 0;
      chain = {protocol, 0, 1, 4, 0, 0, 0, 0};
    }
    Bytes out(40, 0);
    out[0] = static_cast<std::uint8_t>(0x60 | (one_in(2) ? below(16) : 0));
    out[1] = one_in(2) ? static_cast<std::uint8_t>(random_()) : 0;
    put16(out, 2, one_in(2) ? below(65536) : 0);
    put16(out, 4, chain.size() + text.size());
    out[6] = first;
    out[7] = static_cast<std::uint8_t>(2 + below(250));
    std::copy_n(source.bytes.begin(), 16, out.begin() + 8);
    std::copy_n(destination.bytes.begin(), 16, out.begin() + 24);
    append(out, chain);
    append(out, text);
    return out;
  }

  std::mt19937_64 random_;
};

}  // namespace saline::sim
