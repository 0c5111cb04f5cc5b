// Addresses, prefixes and socket addresses, by inet_pton(3) and inet_ntop(3).
#include "host/base/ip.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "host/base/bytes.hpp"
#include "host/base/error.hpp"

namespace saline::base {

Address Address::from_bytes(Family family, std::span<const std::uint8_t> bytes) {
  Address address;
  const std::size_t count = address_bytes(family);
  if (bytes.size() < count)
    throw Error(EINVAL, "an address of " + std::to_string(count) + " bytes was cut short");
  address.family = family;
  std::copy_n(bytes.begin(), count, address.bytes.begin());
  return address;
}

Address Address::parse(std::string_view text) {
  const std::string terminated(text);
  Address address;
  if (inet_pton(AF_INET, terminated.c_str(), address.bytes.data()) == 1) {
    address.family = Family::ipv4;
  } else if (inet_pton(AF_INET6, terminated.c_str(), address.bytes.data()) == 1) {
    address.family = Family::ipv6;
  } else {
    throw Error(EINVAL, "'" + terminated + "' is not a numeric IPv4 or IPv6 address");
  }
  return address;
}

std::string Address::to_string() const {
  if (family == Family::none) return "none";
  char text[INET6_ADDRSTRLEN];
  inet_ntop(family == Family::ipv4 ? AF_INET : AF_INET6, bytes.data(), text, sizeof(text));
  return text;
}

bool Address::is_multicast() const {
  if (family == Family::ipv4) return (bytes[0] & 0xF0) == 0xE0;
  return family == Family::ipv6 && bytes[0] == 0xFF;
}

bool Prefix::contains(const Address& candidate) const noexcept {
  if (candidate.family != address.family) return false;
  const std::size_t bits = std::min<std::size_t>(length, address_bytes(address.family) * 8);
  const std::uint64_t high = load64(candidate.bytes.data()) ^ load64(address.bytes.data());
  if (bits <= 64) return bits == 0 || high >> (64 - bits) == 0;
  const std::uint64_t low = load64(candidate.bytes.data() + 8) ^ load64(address.bytes.data() + 8);
  return high == 0 && low >> (128 - bits) == 0;
}

std::string Prefix::to_string() const {
  if (length == address_bytes(address.family) * 8) return address.to_string();
  return address.to_string() + "/" + std::to_string(length);
}

Endpoint endpoint_from_sockaddr(std::span<const std::uint8_t> bytes) {
  sa_family_t family = AF_UNSPEC;
  if (bytes.size() < offsetof(sockaddr, sa_data))
    throw Error(EINVAL, "a socket address was cut short");
  std::memcpy(&family, bytes.data() + offsetof(sockaddr, sa_family), sizeof(family));
  if (family != AF_INET && family != AF_INET6)
    throw Error(EAFNOSUPPORT,
                "address family " + std::to_string(family) + " is neither AF_INET nor AF_INET6");
  const Family ours = family == AF_INET ? Family::ipv4 : Family::ipv6;
  if (bytes.size() < sockaddr_bytes(ours)) throw Error(EINVAL, "a socket address was cut short");
  Endpoint endpoint;
  endpoint.address.family = ours;
  if (ours == Family::ipv4) {
    sockaddr_in in{};
    std::memcpy(&in, bytes.data(), sizeof(in));
    std::memcpy(endpoint.address.bytes.data(), &in.sin_addr, 4);
    endpoint.port = ntohs(in.sin_port);
  } else {
    sockaddr_in6 in{};
    std::memcpy(&in, bytes.data(), sizeof(in));
    std::memcpy(endpoint.address.bytes.data(), &in.sin6_addr, 16);
    endpoint.port = ntohs(in.sin6_port);
  }
  return endpoint;
}

std::size_t sockaddr_bytes(Family family) {
  return family == Family::ipv6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
}

void endpoint_to_sockaddr(const Endpoint& endpoint, std::span<std::uint8_t> out) {
  const Family family = endpoint.address.family;
  if (family == Family::none) throw Error(EAFNOSUPPORT, "an address without a family");
  if (out.size() < sockaddr_bytes(family)) throw Error(EINVAL, "no room for a socket address");
  if (family == Family::ipv4) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(endpoint.port);
    std::memcpy(&in.sin_addr, endpoint.address.bytes.data(), 4);
    std::memcpy(out.data(), &in, sizeof(in));
  } else {
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(endpoint.port);
    std::memcpy(&in.sin6_addr, endpoint.address.bytes.data(), 16);
    std::memcpy(out.data(), &in, sizeof(in));
  }
}

}  // namespace saline::base
