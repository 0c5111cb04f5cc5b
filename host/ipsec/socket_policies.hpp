// Policies of single sockets (ipsec(4): IP_IPSEC_POLICY, IPV6_IPSEC_POLICY), which win over the SPD
// for the packets of that socket, in and out; never for forwarded ones. A packet finds its socket
// as the host's own demultiplexing does: by protocol and local port, and by the addresses as far as
// the socket is bound or connected, the most exact first; at most four probes.
//
// Who calls: the control plane, for every socket on which a program has set a policy. The preload
// library reports (owner = its session, the socket's protocol, local and remote end) after
// setsockopt, bind, connect and the first send, in that order, each with set() on the same handle,
// and remove() on close; the session's end removes all that it owns. Changes show with publish(),
// whose cost grows with the number of sockets that have policies, as a rule a handful (IKE
// daemons).
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "host/base/snapshot.hpp"
#include "host/ipsec/policy.hpp"

namespace saline::ipsec {

// An address of family none is any; its family is then the other end's, or that of `family`.
struct SocketEnds {
  base::Family family = base::Family::none;
  std::uint8_t protocol = 0;
  base::Address local;
  std::uint16_t local_port = 0;  // 0 for protocols without ports
  base::Address remote;
  std::uint16_t remote_port = 0;
  bool operator==(const SocketEnds&) const = default;
};

class SocketPolicyView {
 public:
  // nullptr: none of a socket that has one, or one that leaves it to the SPD.
  const Policy* find(Direction direction, const Flow& flow) const noexcept;
  bool empty(Direction direction) const noexcept {
    return shapes_[direction == Direction::out ? 1 : 0] == 0;
  }

 private:
  friend class SocketPolicies;
  struct Hash {
    std::size_t operator()(const SocketEnds& ends) const noexcept;
  };
  using Table = std::unordered_map<SocketEnds, std::shared_ptr<const Policy>, Hash>;
  std::array<Table, 2> tables_;           // in, out
  std::array<std::uint8_t, 2> shapes_{};  // which of the four probes can find anything, a bit each
};

class SocketPolicies {
 public:
  using Owner = std::uint64_t;
  using Handle = std::uint64_t;
  enum class Kind : std::uint8_t {
    ipsec,    // `policy` and its requests
    bypass,   // in clear, whatever the SPD says: for IKE daemons
    entrust,  // as the SPD says; the same as none, but remembered
  };
  // Ids of the policies made here; no PF_KEY client names them.
  static constexpr std::uint32_t kFirstId = 0x80000000;

  SocketPolicies();

  // A handle for one socket of `owner`; it has no policy yet.
  Handle open(Owner owner);
  // Sets or replaces the socket's policy of a direction, in or out. Throws Error(ENOENT) for an
  // unknown handle, Error(EINVAL) for ends or requests that make no sense, and Error(EACCES) for a
  // bypass by somebody without privilege.
  std::shared_ptr<const Policy> set(Handle handle, Direction direction, const SocketEnds& ends,
                                    Kind kind, std::vector<Request> requests, bool privileged);
  // The ends of the socket as they are now, both directions; throws Error(ENOENT).
  void move(Handle handle, const SocketEnds& ends);
  void remove(Handle handle) noexcept;
  void remove_all(Owner owner) noexcept;

  std::size_t size() const noexcept { return sockets_.size(); }
  // For ACQUIRE: the policy with that id, nullptr when its socket is gone.
  std::shared_ptr<const Policy> find(std::uint32_t id) const;

  void publish();
  base::Snapshot<SocketPolicyView>& view() noexcept { return view_; }

 private:
  struct Socket {
    Owner owner = 0;
    SocketEnds ends;
    std::array<std::shared_ptr<const Policy>, 2> policies;  // in, out; none: entrust
    std::array<bool, 2> set{};
  };

  std::map<Handle, Socket> sockets_;
  Handle last_handle_ = 0;
  std::uint32_t last_id_ = kFirstId;
  base::Snapshot<SocketPolicyView> view_;
};

}  // namespace saline::ipsec
