// ESP in UDP as the control thread sees it (RFC 3948): the ports that the data thread looks into,
// peers whose translator moves them, keepalives.
#include <algorithm>
#include <string>

#include "host/base/log.hpp"
#include "host/ipsec/udp_encapsulation.hpp"
#include "host/salined/convert.hpp"
#include "host/salined/engine.hpp"

namespace saline::daemon {

using base::Address;
using pfkey::Message;

namespace {

pfkey::AddressExtension host_address(const Address& address) {
  return {{address, 0}, 0, static_cast<std::uint8_t>(8 * base::address_bytes(address.family))};
}

}  // namespace

// Inbound SAs open a port, which closes with the last of them.
void Engine::open_port(SaEntry& entry, bool wanted) {
  const ipsec::SaConfig& config = entry.association->config();
  const bool inbound = local_.empty() || local_.contains(config.id.destination);
  const std::uint16_t port =
      wanted && inbound && config.udp.enabled() ? config.udp.destination_port : 0;
  if (port == entry.open_port) return;
  if (port != 0) ++port_users_[port];
  if (entry.open_port != 0 && --port_users_[entry.open_port] == 0) {
    port_users_.erase(entry.open_port);
  }
  entry.open_port = port;
  auto ports = std::make_unique<ipsec::EncapsulationPorts>();
  for (const auto& [open, users] : port_users_) ports->add(open);
  ports_.publish(std::move(ports));
}

// SADB_X_NAT_T_NEW_MAPPING, as Linux has it: SA, SRC and SPORT as they were, DST and DPORT what
// they are now, to the registered. Answered by the key daemon, or at once where the operator lets
// us.
void Engine::peer_moved(SaEntry& entry) {
  const ipsec::SaConfig& config = entry.association->config();
  ipsec::PeerMapping now;
  if (!entry.association->mapping().get(now)) return;
  base::log(
      base::Priority::notice, "sad", "peer moved",
      {{"spi", std::to_string(config.id.spi)},
       {"from", config.source.to_string() + " port " + std::to_string(config.udp.source_port)},
       {"to", now.address.to_string() + " port " + std::to_string(now.port)}});
  if (parts_.rules.follow_peer) {
    for (auto& [id, other] : entries_) {
      const ipsec::SaConfig& way_back = other.association->config();
      if (way_back.udp.enabled() && id.destination == config.source &&
          way_back.source == config.id.destination &&
          way_back.udp.destination_port == config.udp.source_port) {
        other.association->mapping().set(now);
      }
    }
  }
  if (announcer_ == nullptr) return;
  Message message(pfkey::MessageType::nat_t_new_mapping);
  message.satype = pfkey::SaType::esp;
  message.sa = entry.described.sa;
  message.source = host_address(config.source);
  message.nat_t_source_port = config.udp.source_port;
  message.destination = host_address(now.address);
  message.nat_t_destination_port = now.port;
  announcer_->to_registered(message);
}

void Engine::make_keepalive(SaEntry& entry, std::uint64_t now_s) {
  const ipsec::SecurityAssociation& sa = *entry.association;
  if (!sa.config().udp.enabled() || !sa.usable() || entry.role.direction != SaDirection::outbound) {
    return;
  }
  const std::uint64_t last = std::max(sa.counters().last_used_s.get(), entry.keepalive_s);
  if (now_s - last < parts_.rules.keepalive_interval_s) return;
  Keepalive packet;
  packet.length = ipsec::build_keepalive(sa, packet.bytes);
  if (packet.length == 0) return;
  ipsec::PeerMapping peer{sa.config().id.destination, 0};
  sa.mapping().get(peer);
  packet.destination = peer.address;
  entry.keepalive_s = now_s;
  keepalives_.push_back(packet);
}

}  // namespace saline::daemon
