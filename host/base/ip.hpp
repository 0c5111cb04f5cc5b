// IP addresses and prefixes of both families as plain values. Bytes are in network order, as on
// the wire; an IPv4 address uses the first four and keeps the rest zero, so that values compare and
// hash as they are and copy unchanged into hardware records.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

struct sockaddr;

namespace saline::base {

enum class Family : std::uint8_t { none = 0, ipv4 = 4, ipv6 = 6 };

constexpr std::size_t address_bytes(Family family) {
  return family == Family::ipv4 ? 4 : family == Family::ipv6 ? 16 : 0;
}

struct Address {
  Family family = Family::none;
  std::array<std::uint8_t, 16> bytes{};

  static Address from_bytes(Family family, std::span<const std::uint8_t> bytes);
  // Numeric text only; throws Error(EINVAL) naming the text.
  static Address parse(std::string_view text);
  std::string to_string() const;
  std::span<const std::uint8_t> wire() const { return {bytes.data(), address_bytes(family)}; }
  bool is_unspecified() const noexcept { return (words()[0] | words()[1]) == 0; }
  bool is_multicast() const;
  auto operator<=>(const Address&) const = default;
  bool operator==(const Address& other) const noexcept {
    return family == other.family && words() == other.words();
  }
  // The bytes as they lie, for whoever compares or hashes.
  std::array<std::uint64_t, 2> words() const noexcept {
    std::array<std::uint64_t, 2> result;
    std::memcpy(result.data(), bytes.data(), sizeof(result));
    return result;
  }
};

// An address range by prefix length; bits below the prefix are kept as given and never compared.
struct Prefix {
  Address address;
  std::uint8_t length = 0;

  bool contains(const Address& candidate) const noexcept;
  std::string to_string() const;  // "10.0.0.0/8"; "/32" and "/128" are left out
  auto operator<=>(const Prefix&) const = default;
};

// Port is in host order here and in network order inside the sockaddr.
struct Endpoint {
  Address address;
  std::uint16_t port = 0;
  auto operator<=>(const Endpoint&) const = default;
};

// Throws Error(EAFNOSUPPORT) for any family but AF_INET and AF_INET6, Error(EINVAL) when short.
Endpoint endpoint_from_sockaddr(std::span<const std::uint8_t> sockaddr_bytes);
// sizeof(sockaddr_in) or sizeof(sockaddr_in6) bytes, by family.
std::size_t sockaddr_bytes(Family family);
void endpoint_to_sockaddr(const Endpoint& endpoint, std::span<std::uint8_t> out);

}  // namespace saline::base
