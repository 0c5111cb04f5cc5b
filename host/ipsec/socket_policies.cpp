// The table of sockets with policies, and how a packet finds its own.
#include "host/ipsec/socket_policies.hpp"

#include <cerrno>
#include <utility>
#include <vector>

#include "host/base/error.hpp"

namespace saline::ipsec {

namespace {

using base::Address;
using base::Error;
using base::Family;

std::size_t index_of(Direction direction) noexcept { return direction == Direction::out ? 1 : 0; }

// Which ends a socket has fixed.
unsigned shape_of(const SocketEnds& ends) noexcept {
  return (ends.local.family != Family::none ? 1u : 0u) |
         (ends.remote.family != Family::none ? 2u : 0u);
}

bool names_ports(std::uint8_t protocol) noexcept {
  return protocol == kTcp || protocol == kUdp || protocol == kSctp || protocol == kUdpLite;
}

void validate(const SocketEnds& ends) {
  if (ends.family == Family::none) throw Error(EINVAL, "a socket has an address family");
  for (const Address* address : {&ends.local, &ends.remote})
    if (address->family != Family::none && address->family != ends.family)
      throw Error(EINVAL, "the two ends of a socket must be of its family");
  if (names_ports(ends.protocol) && ends.local_port == 0)
    throw Error(EINVAL, "a socket without a local port has no packets yet: bind it first");
  if (ends.remote.family == Family::none && ends.remote_port != 0)
    throw Error(EINVAL, "a remote port needs a remote address");
}

}  // namespace

std::size_t SocketPolicyView::Hash::operator()(const SocketEnds& ends) const noexcept {
  std::uint64_t hash =
      std::uint64_t{ends.protocol} << 40 | std::uint64_t{ends.local_port} << 16 | ends.remote_port;
  for (const Address* address : {&ends.local, &ends.remote})
    for (std::size_t i = 0; i < 16; i += 8) {
      std::uint64_t word = 0;
      for (std::size_t j = i; j < i + 8; ++j) word = word << 8 | address->bytes[j];
      hash = (hash ^ word) * 0x9E3779B97F4A7C15u;
      hash ^= hash >> 32;
    }
  return static_cast<std::size_t>(hash);
}

const Policy* SocketPolicyView::find(Direction direction, const Flow& flow) const noexcept {
  if (direction != Direction::in && direction != Direction::out) return nullptr;
  const std::size_t index = index_of(direction);
  if (shapes_[index] == 0) return nullptr;
  const bool out = direction == Direction::out;
  SocketEnds exact;
  exact.family = flow.source.family;
  exact.protocol = flow.upper_protocol;
  exact.local = out ? flow.source : flow.destination;
  exact.remote = out ? flow.destination : flow.source;
  if (names_ports(flow.upper_protocol)) {
    if (!flow.ports_known) return nullptr;
    exact.local_port = out ? flow.source_port : flow.destination_port;
    exact.remote_port = out ? flow.destination_port : flow.source_port;
  }
  for (const unsigned shape : {3u, 2u, 1u, 0u}) {
    if ((shapes_[index] >> shape & 1) == 0) continue;
    SocketEnds ends = exact;
    if ((shape & 1) == 0) ends.local = {};
    if ((shape & 2) == 0) ends.remote = {}, ends.remote_port = 0;
    // The socket is found; that it leaves the matter to the SPD is an answer too.
    if (const auto found = tables_[index].find(ends); found != tables_[index].end())
      return found->second.get();
  }
  return nullptr;
}

SocketPolicies::SocketPolicies() : view_(std::make_unique<SocketPolicyView>()) {}

SocketPolicies::Handle SocketPolicies::open(Owner owner) {
  sockets_[++last_handle_].owner = owner;
  return last_handle_;
}

std::shared_ptr<const Policy> SocketPolicies::set(Handle handle, Direction direction,
                                                  const SocketEnds& ends, Kind kind,
                                                  std::vector<Request> requests, bool privileged) {
  const auto socket = sockets_.find(handle);
  if (socket == sockets_.end()) throw Error(ENOENT, "there is no such socket");
  if (direction != Direction::in && direction != Direction::out)
    throw Error(EINVAL, "a socket's policy is for in or out");
  if (kind == Kind::bypass && !privileged)
    throw Error(EACCES, "bypass takes the privilege to administer the network");
  validate(ends);
  Policy policy;
  policy.direction = direction;
  policy.action = kind == Kind::ipsec ? Action::ipsec : Action::none;
  policy.requests = std::move(requests);
  policy.selector.upper_protocol = ends.protocol;
  const bool out = direction == Direction::out;
  base::Prefix& local = out ? policy.selector.source : policy.selector.destination;
  base::Prefix& remote = out ? policy.selector.destination : policy.selector.source;
  for (const auto& [prefix, address] : {std::pair{&local, &ends.local}, {&remote, &ends.remote}}) {
    prefix->address = *address;
    prefix->address.family = ends.family;
    const std::size_t bits = address->family == Family::none ? 0 : 8;
    prefix->length = static_cast<std::uint8_t>(bits * base::address_bytes(ends.family));
  }
  policy.validate();
  if (++last_id_ < kFirstId) last_id_ = kFirstId;
  policy.id = last_id_;
  auto made = kind == Kind::entrust ? nullptr : std::make_shared<const Policy>(std::move(policy));
  socket->second.ends = ends;
  socket->second.policies[index_of(direction)] = made;
  socket->second.set[index_of(direction)] = true;
  return made;
}

void SocketPolicies::move(Handle handle, const SocketEnds& ends) {
  const auto socket = sockets_.find(handle);
  if (socket == sockets_.end()) throw Error(ENOENT, "there is no such socket");
  validate(ends);
  socket->second.ends = ends;
}

void SocketPolicies::remove(Handle handle) noexcept { sockets_.erase(handle); }

void SocketPolicies::remove_all(Owner owner) noexcept {
  std::erase_if(sockets_, [&](const auto& entry) { return entry.second.owner == owner; });
}

std::shared_ptr<const Policy> SocketPolicies::find(std::uint32_t id) const {
  for (const auto& [handle, socket] : sockets_)
    for (const auto& policy : socket.policies)
      if (policy != nullptr && policy->id == id) return policy;
  return nullptr;
}

void SocketPolicies::publish() {
  auto view = std::make_unique<SocketPolicyView>();
  for (const auto& [handle, socket] : sockets_)
    for (std::size_t index = 0; index < 2; ++index) {
      if (!socket.set[index]) continue;
      // Sockets that share their ends (SO_REUSEPORT): the last one opened decides.
      view->tables_[index][socket.ends] = socket.policies[index];
      view->shapes_[index] |= static_cast<std::uint8_t>(1u << shape_of(socket.ends));
    }
  view_.publish(std::move(view));
}

}  // namespace saline::ipsec
