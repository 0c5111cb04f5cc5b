// Which way an SA points, whether another SA is applied outside it, and with that who carries it.
#include <cerrno>

#include "host/base/error.hpp"
#include "host/base/log.hpp"
#include "host/salined/engine.hpp"

namespace saline::daemon {
namespace {

using base::Address;
using base::Error;
using ipsec::SaId;

constexpr const char* kSpiShared = "another inbound SA has its SPI";

// Whether `request`, whose packets go from `source` to `destination` where these are known, may be
// answered by an SA like this.
bool answers(const ipsec::SaConfig& config, const ipsec::Request& request, const Address& source,
             const Address& destination, const ipsec::Selector& selector) {
  if (config.id.protocol != request.protocol) return false;
  if (config.mode != ipsec::Mode::any && request.mode != ipsec::Mode::any &&
      config.mode != request.mode) {
    return false;
  }
  if (request.reqid != 0 && request.reqid != config.reqid) return false;
  if (destination.is_unspecified()) {
    return selector.destination.contains(config.id.destination) &&
           (config.source.is_unspecified() || selector.source.contains(config.source));
  }
  return destination == config.id.destination &&
         (config.source.is_unspecified() || source == config.source);
}

// What the policy does around an SA like this.
void find_role(const ipsec::Policy& policy, const ipsec::SaConfig& config, SaRole& role) {
  Address source, destination;  // of the innermost header a request sees; absent: the packet's own
  bool compressed = false;      // that header is an IPComp tunnel's
  for (std::size_t i = 0; i < policy.requests.size(); ++i) {
    const ipsec::Request& request = policy.requests[i];
    if (!request.destination.is_unspecified()) {
      source = request.source;
      destination = request.destination;
    }
    if (answers(config, request, source, destination, policy.selector)) {
      role.inside_bundle |= i + 1 < policy.requests.size();
      role.around_ipcomp_tunnel |= compressed;
    }
    if (request.mode == ipsec::Mode::tunnel)
      compressed = request.protocol == ipsec::Protocol::ipcomp;
  }
}

}  // namespace

SaRole Engine::role_of(const ipsec::SaConfig& config) const {
  SaRole role;
  if (local_.contains(config.id.destination)) role.direction = SaDirection::inbound;
  for (const auto& policy : parts_.spd.all()) {
    const bool outbound = policy->direction == ipsec::Direction::out;
    if (outbound == (role.direction == SaDirection::outbound)) find_role(*policy, config, role);
  }
  return role;
}

// Other inbound SAs of this host that share the SPI and the protocol of an inbound one.
std::vector<Engine::SaEntry*> Engine::same_spi(const SaId& id) {
  std::vector<SaEntry*> found;
  if (!local_.contains(id.destination)) return found;
  for (auto at = entries_.lower_bound(SaId{id.spi, {}, {}});
       at != entries_.end() && at->first.spi == id.spi; ++at) {
    if (at->first != id && at->first.protocol == id.protocol &&
        local_.contains(at->first.destination)) {
      found.push_back(&at->second);
    }
  }
  return found;
}

// rte_security names an inbound SA in transport mode by its SPI alone: such an SA takes the packets
// to every destination (RFC 4301 §4.1 tells them apart, so software must).
bool Engine::holds_spi(const SaEntry& entry) const {
  return entry.placement.card && entry.association->config().mode != ipsec::Mode::tunnel;
}

// An SA that has carried packets stays where its window is.
bool Engine::may_leave_card(SaEntry& entry) {
  refresh_counters(entry);
  return parts_.offload_mode != OffloadMode::require &&
         entry.association->counters().packets.get() == 0;
}

// Refuses an SA whose packets another one in the card would take.
void Engine::check_spi_is_free(const SaId& id) {
  for (SaEntry* other : same_spi(id)) {
    if (!holds_spi(*other) || may_leave_card(*other)) continue;
    throw Error(EEXIST,
                "an SA in the card holds this SPI for every destination: choose another "
                "SPI, or delete the one to " +
                    other->association->id().destination.to_string());
  }
}

void Engine::give_up_spi(const SaId& id) {
  for (SaEntry* other : same_spi(id)) {
    if (holds_spi(*other) && may_leave_card(*other)) move_to_software(*other);
  }
}

void Engine::move_to_software(SaEntry& entry) {
  parts_.offload.remove(*entry.association);
  entry.placement = {false, kSpiShared};
  base::log(base::Priority::notice, "offload", "left the card",
            {{"spi", std::to_string(entry.association->id().spi)},
             {"destination", entry.association->id().destination.to_string()},
             {"why", entry.placement.reason}});
}

void Engine::place(SaEntry& entry) {
  const ipsec::SaConfig& config = entry.association->config();
  entry.role = role_of(config);
  if (parts_.offload_mode == OffloadMode::never) {
    entry.placement = {false, "offload=never"};
  } else if (config.mode != ipsec::Mode::tunnel && !same_spi(config.id).empty()) {
    entry.placement = {false, kSpiShared};
  } else {
    entry.placement = parts_.offload.place(*entry.association, entry.role);
  }
}

// Policies or addresses changed, and perhaps the roles of SAs with them. An SA that has carried
// packets stays where its sequence number or window is; where that is wrong now, its packets are
// dropped as unsupported until it is replaced.
void Engine::review_placements() {
  for (auto& [id, entry] : entries_) {
    if (!entry.association->usable()) continue;
    const SaRole role = role_of(entry.association->config());
    if (role == entry.role) continue;
    refresh_counters(entry);
    if (entry.association->counters().packets.get() != 0) {
      if (entry.placement.card) {
        base::log(base::Priority::warning, "offload", "stays in the card",
                  {{"spi", std::to_string(id.spi)},
                   {"destination", id.destination.to_string()},
                   {"why", "it has carried packets; delete and add it to move it"}});
      }
      continue;
    }
    parts_.offload.remove(*entry.association);
    place(entry);
    give_up_spi(id);
    if (parts_.offload_mode == OffloadMode::require && !entry.placement.card) {
      base::log(base::Priority::warning, "offload", "left the card",
                {{"spi", std::to_string(id.spi)},
                 {"destination", id.destination.to_string()},
                 {"why", entry.placement.reason}});
    }
  }
}

void Engine::set_local_addresses(std::vector<Address> addresses) {
  std::set<Address> next(addresses.begin(), addresses.end());
  if (next == local_) return;
  local_ = std::move(next);
  for (auto& [id, entry] : entries_) open_port(entry, true);
  review_placements();
}

}  // namespace saline::daemon
