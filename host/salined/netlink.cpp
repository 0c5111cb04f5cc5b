// rtnetlink(7) requests and answers by hand; see netlink.hpp.
#include "host/salined/netlink.hpp"

#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "host/base/error.hpp"

namespace saline::daemon {
namespace {

using base::Address;
using base::Error;
using base::Family;

constexpr std::size_t kBufferBytes = 32768;
// An entry in one of these states has a link-layer address that may be used.
constexpr std::uint16_t kUsable =
    NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP;

std::uint8_t af(Family family) { return family == Family::ipv6 ? AF_INET6 : AF_INET; }

Family family_of(int af_number) {
  return af_number == AF_INET ? Family::ipv4 : af_number == AF_INET6 ? Family::ipv6 : Family::none;
}

// A request under construction: header, fixed part, attributes.
template <typename Fixed>
class Request {
 public:
  Request(std::uint16_t type, std::uint16_t flags, const Fixed& fixed) {
    header().nlmsg_type = type;
    header().nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
    header().nlmsg_len = NLMSG_LENGTH(sizeof fixed);
    std::memcpy(NLMSG_DATA(&header()), &fixed, sizeof fixed);
  }
  void attribute(std::uint16_t type, std::span<const std::uint8_t> value) {
    auto* place = bytes_.data() + NLMSG_ALIGN(header().nlmsg_len);
    const rtattr head{static_cast<unsigned short>(RTA_LENGTH(value.size())), type};
    std::memcpy(place, &head, sizeof head);
    std::memcpy(place + RTA_LENGTH(0), value.data(), value.size());
    header().nlmsg_len =
        static_cast<std::uint32_t>(NLMSG_ALIGN(header().nlmsg_len) + RTA_ALIGN(head.rta_len));
  }
  std::span<std::uint8_t> bytes() { return {bytes_.data(), header().nlmsg_len}; }

 private:
  nlmsghdr& header() { return *reinterpret_cast<nlmsghdr*>(bytes_.data()); }
  alignas(nlmsghdr) std::array<std::uint8_t, 128> bytes_{};
};

// visitor(type, value) for each attribute behind the fixed part of `Fixed`.
template <typename Fixed, typename Visitor>
void for_each_attribute(const nlmsghdr& message, Visitor&& visitor) {
  const auto* body = static_cast<const std::uint8_t*>(NLMSG_DATA(&message));
  const std::uint8_t* at = body + NLMSG_ALIGN(sizeof(Fixed));
  const std::uint8_t* end = reinterpret_cast<const std::uint8_t*>(&message) + message.nlmsg_len;
  while (at + sizeof(rtattr) <= end) {
    rtattr head;
    std::memcpy(&head, at, sizeof head);
    if (head.rta_len < sizeof head || at + head.rta_len > end) return;
    visitor(head.rta_type,
            std::span<const std::uint8_t>(at + RTA_LENGTH(0), head.rta_len - RTA_LENGTH(0)));
    at += RTA_ALIGN(head.rta_len);
  }
}

template <typename Fixed>
const Fixed* fixed_part(const nlmsghdr& message) {
  if (message.nlmsg_len < NLMSG_LENGTH(sizeof(Fixed))) return nullptr;
  return static_cast<const Fixed*>(NLMSG_DATA(&message));
}

Address address_from(int af_number, std::span<const std::uint8_t> bytes) {
  const Family family = family_of(af_number);
  if (family == Family::none || bytes.size() != base::address_bytes(family)) return {};
  return Address::from_bytes(family, bytes);
}

int open_socket(std::uint32_t groups) {
  const int fd = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) throw base::system_error("socket(AF_NETLINK)");
  sockaddr_nl local{};
  local.nl_family = AF_NETLINK;
  local.nl_groups = groups;
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&local), sizeof local) != 0) {
    const Error failure = base::system_error("bind(AF_NETLINK)");
    ::close(fd);
    throw failure;
  }
  return fd;
}

}  // namespace

Netlink::Netlink() : fd_(open_socket(0)) {
  try {
    changes_fd_ = open_socket(RTMGRP_LINK | RTMGRP_NEIGH | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
                              RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE);
  } catch (...) {
    ::close(fd_);
    throw;
  }
}

Netlink::~Netlink() {
  ::close(fd_);
  ::close(changes_fd_);
}

// Sends and reads until the answer is complete: NLMSG_DONE of a dump, else the one message or the
// acknowledgement. An error in the answer ends it without a visit.
template <typename Visitor>
void Netlink::ask(std::span<std::uint8_t> request, Visitor&& visit) {
  auto* head = reinterpret_cast<nlmsghdr*>(request.data());
  head->nlmsg_seq = ++sequence_;
  const bool dump = (head->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
  if (::send(fd_, request.data(), request.size(), 0) < 0) throw base::system_error("netlink send");
  alignas(nlmsghdr) std::array<std::uint8_t, kBufferBytes> buffer;
  for (;;) {
    const ssize_t got = ::recv(fd_, buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw base::system_error("netlink recv");
    auto left = static_cast<unsigned>(got);
    for (auto* message = reinterpret_cast<nlmsghdr*>(buffer.data()); NLMSG_OK(message, left);
         message = NLMSG_NEXT(message, left)) {
      if (message->nlmsg_seq != sequence_) continue;
      if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR) return;
      visit(*message);
      if (!dump) return;
    }
  }
}

std::vector<Address> Netlink::addresses() {
  Request<ifaddrmsg> request(RTM_GETADDR, NLM_F_DUMP, ifaddrmsg{});
  std::vector<Address> found;
  ask(request.bytes(), [&](const nlmsghdr& message) {
    const auto* fixed = fixed_part<ifaddrmsg>(message);
    if (fixed == nullptr || message.nlmsg_type != RTM_NEWADDR) return;
    // On a point-to-point link IFA_ADDRESS is the peer, and IFA_LOCAL is ours.
    Address own, local;
    for_each_attribute<ifaddrmsg>(message, [&](unsigned type, std::span<const std::uint8_t> value) {
      if (type == IFA_ADDRESS) own = address_from(fixed->ifa_family, value);
      if (type == IFA_LOCAL) local = address_from(fixed->ifa_family, value);
    });
    if (local.family != Family::none) own = local;
    if (own.family != Family::none) found.push_back(own);
  });
  return found;
}

std::optional<Route> Netlink::route(const Address& destination) {
  rtmsg fixed{};
  fixed.rtm_family = af(destination.family);
  fixed.rtm_dst_len = static_cast<std::uint8_t>(8 * base::address_bytes(destination.family));
  Request<rtmsg> request(RTM_GETROUTE, 0, fixed);
  request.attribute(RTA_DST, destination.wire());
  std::optional<Route> found;
  ask(request.bytes(), [&](const nlmsghdr& message) {
    const auto* route = fixed_part<rtmsg>(message);
    if (route == nullptr || message.nlmsg_type != RTM_NEWROUTE || route->rtm_type != RTN_UNICAST) {
      return;
    }
    Route answer{0, destination};
    for_each_attribute<rtmsg>(message, [&](unsigned type, std::span<const std::uint8_t> value) {
      if (type == RTA_OIF && value.size() == sizeof answer.device) {
        std::memcpy(&answer.device, value.data(), sizeof answer.device);
      }
      if (type == RTA_GATEWAY) answer.next_hop = address_from(route->rtm_family, value);
    });
    if (answer.device != 0 && answer.next_hop.family != Family::none) found = answer;
  });
  return found;
}

std::optional<MacAddress> Netlink::neighbour(unsigned device, const Address& address) {
  ndmsg fixed{};
  fixed.ndm_family = af(address.family);
  fixed.ndm_ifindex = static_cast<int>(device);
  Request<ndmsg> request(RTM_GETNEIGH, 0, fixed);
  request.attribute(NDA_DST, address.wire());
  std::optional<MacAddress> found;
  ask(request.bytes(), [&](const nlmsghdr& message) {
    const auto* entry = fixed_part<ndmsg>(message);
    if (entry == nullptr || message.nlmsg_type != RTM_NEWNEIGH ||
        (entry->ndm_state & kUsable) == 0) {
      return;
    }
    for_each_attribute<ndmsg>(message, [&](unsigned type, std::span<const std::uint8_t> value) {
      MacAddress mac;
      if (type != NDA_LLADDR || value.size() != mac.size()) return;
      std::copy(value.begin(), value.end(), mac.begin());
      found = mac;
    });
  });
  return found;
}

void Netlink::resolve(unsigned device, const Address& address) {
  ndmsg fixed{};
  fixed.ndm_family = af(address.family);
  fixed.ndm_ifindex = static_cast<int>(device);
  fixed.ndm_state = NUD_NONE;
  fixed.ndm_flags = NTF_USE;  // as if a packet waited for it
  Request<ndmsg> request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_ACK, fixed);
  request.attribute(NDA_DST, address.wire());
  ask(request.bytes(), [](const nlmsghdr&) {});
}

Netlink::Changes Netlink::take_changes() {
  Changes changes;
  alignas(nlmsghdr) std::array<std::uint8_t, kBufferBytes> buffer;
  for (;;) {
    const ssize_t got = ::recv(changes_fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == ENOBUFS) {
      changes = {true, true};
      continue;
    }
    if (got < 0) return changes;
    auto left = static_cast<unsigned>(got);
    for (auto* message = reinterpret_cast<nlmsghdr*>(buffer.data()); NLMSG_OK(message, left);
         message = NLMSG_NEXT(message, left)) {
      const bool address = message->nlmsg_type == RTM_NEWADDR || message->nlmsg_type == RTM_DELADDR;
      changes.addresses |= address;
      changes.paths |= !address;
    }
  }
}

}  // namespace saline::daemon
