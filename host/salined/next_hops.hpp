// The link-layer address behind each outer destination: a view that the data thread looks up
// without a system call, filled by the control thread from the kernel's routes and neighbours.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>

#include "host/base/ip.hpp"
#include "host/base/snapshot.hpp"
#include "host/salined/netlink.hpp"

namespace saline::daemon {

struct AddressHash {
  std::size_t operator()(const base::Address& address) const noexcept;
};

using NextHopView = std::unordered_map<base::Address, MacAddress, AddressHash>;

class NextHops {
 public:
  // Destinations beyond this many are forgotten, all at once, and learnt anew.
  static constexpr std::size_t kDestinationsMax = 4096;

  // device: interface index of the host port; 0 when it is no network device and the kernel has no
  // next hops to ask for. Where it knows none, `station` is the next hop of everything.
  NextHops(Netlink& netlink, unsigned device, std::optional<MacAddress> station = {});

  // Control thread: a packet needed this destination and did not find it.
  void wanted(const base::Address& destination);
  // Control thread: routes or neighbours changed.
  void refresh();

  base::Snapshot<NextHopView>& view() noexcept { return view_; }

 private:
  // True when found; else resolution is under way, or there is no route by way of this device.
  bool look_up(const base::Address& destination, NextHopView& into, bool resolve);

  Netlink& netlink_;
  unsigned device_;
  std::optional<MacAddress> station_;
  std::set<base::Address> destinations_;
  base::Snapshot<NextHopView> view_;
};

}  // namespace saline::daemon
