// What the kernel knows of addresses, routes and neighbours, by rtnetlink(7). Synchronous questions
// and a descriptor that becomes readable when anything of it changed. Nothing is cached here.
// Throws base::Error for a socket that fails; an answer "there is none" is std::nullopt.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "host/base/ip.hpp"
#include "host/salined/port.hpp"

namespace saline::daemon {

struct Route {
  unsigned device = 0;     // interface index
  base::Address next_hop;  // the gateway, or the destination itself when it is on the link
};

class Netlink {
 public:
  Netlink();
  ~Netlink();
  Netlink(const Netlink&) = delete;
  Netlink& operator=(const Netlink&) = delete;

  // All unicast addresses of this network namespace.
  std::vector<base::Address> addresses();
  // How the kernel would send to `destination`.
  std::optional<Route> route(const base::Address& destination);
  // A usable link-layer address; unresolved ones are none.
  std::optional<MacAddress> neighbour(unsigned device, const base::Address& address);
  // Has the kernel resolve the neighbour; the answer comes as a change.
  void resolve(unsigned device, const base::Address& address);

  struct Changes {
    bool addresses = false;
    bool paths = false;  // routes, neighbours or links
  };
  int changes_fd() const noexcept { return changes_fd_; }
  // Reads all that is waiting; a lost message counts as a change of everything.
  Changes take_changes();

 private:
  template <typename Visitor>
  void ask(std::span<std::uint8_t> request, Visitor&& visit);

  int fd_ = -1;
  int changes_fd_ = -1;
  std::uint32_t sequence_ = 0;
};

}  // namespace saline::daemon
