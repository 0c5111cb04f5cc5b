// Outer destinations to link-layer addresses; see next_hops.hpp.
#include "host/salined/next_hops.hpp"

#include <string_view>

namespace saline::daemon {

std::size_t AddressHash::operator()(const base::Address& address) const noexcept {
  return std::hash<std::string_view>{}(
      {reinterpret_cast<const char*>(address.bytes.data()), address.bytes.size()});
}

NextHops::NextHops(Netlink& netlink, unsigned device, std::optional<MacAddress> station)
    : netlink_(netlink),
      device_(device),
      station_(station),
      view_(std::make_unique<NextHopView>()) {}

bool NextHops::look_up(const base::Address& destination, NextHopView& into, bool resolve) {
  const auto route = device_ == 0 ? std::nullopt : netlink_.route(destination);
  if (!route || route->device != device_) {
    if (station_) into[destination] = *station_;
    return station_.has_value();
  }
  if (const auto mac = netlink_.neighbour(device_, route->next_hop)) {
    into[destination] = *mac;
    return true;
  }
  if (resolve) netlink_.resolve(device_, route->next_hop);
  return false;
}

void NextHops::wanted(const base::Address& destination) {
  if (device_ == 0 && !station_) return;
  if (destinations_.size() >= kDestinationsMax) {
    destinations_.clear();
    view_.publish(std::make_unique<NextHopView>());
  }
  destinations_.insert(destination);
  if (view_.newest().contains(destination)) return;
  auto next = std::make_unique<NextHopView>(view_.newest());
  if (look_up(destination, *next, true)) view_.publish(std::move(next));
}

void NextHops::refresh() {
  if (destinations_.empty()) return;
  auto next = std::make_unique<NextHopView>();
  for (const base::Address& destination : destinations_) look_up(destination, *next, false);
  if (*next != view_.newest()) view_.publish(std::move(next));
}

}  // namespace saline::daemon
