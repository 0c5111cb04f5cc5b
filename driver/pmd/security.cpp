// rte_security: inline protocol sessions as SAs of the card. A session's private data is a slot and
// its tag, nothing else: keys live in the card alone. Sessions survive a stop of the port; closing
// it wipes the card, and destroying a session after that does nothing.
#include "driver/pmd/boundary.hpp"
#include "driver/pmd/flow.hpp"
#include "driver/pmd/port.hpp"
#include "driver/pmd/sa_context.hpp"

namespace saline::pmd {
namespace {

using base::Error;
using driver::Direction;
using driver::SaSlot;

SaSlot add(driver::Device& device, const SessionContext& context) {
  return context.inbound
             ? device.add_ingress_sa(context.sa, context.lookup_destination(), IPPROTO_ESP)
             : device.add_egress_sa(context.sa);
}

int create(void* dev, rte_security_session_conf* conf, rte_security_session* session) noexcept {
  return boundary("session", [&] {
    Port& port = port_of(dev);
    SessionContext context;
    to_context(*conf, port.device->capabilities(), port.capabilities, context);
    const SaSlot slot = add(*port.device, context);
    port.owners(slot.direction)[slot.index].set(slot.tag, conf->userdata);
    session_of(session) = {conf->ipsec.spi, slot, context.lookup_destination()};
    session->fast_mdata = Metadata::encode(slot);
  });
}

// The whole session is described anew, its next sequence number included; only what packets
// find it by must stay: direction, SPI and the inbound tunnel destination.
int update(void* dev, rte_security_session* session, rte_security_session_conf* conf) noexcept {
  return boundary("session update", [&] {
    Port& port = port_of(dev);
    const Session& old = session_of(session);
    SessionContext context;
    to_context(*conf, port.device->capabilities(), port.capabilities, context);
    if (context.inbound != (old.slot.direction == Direction::ingress) ||
        context.sa.spi != old.spi ||
        (context.inbound && context.lookup_destination() != old.destination)) {
      throw Error(EINVAL,
                  "direction, SPI and inbound tunnel destination of a session cannot change; "
                  "create a new one");
    }
    port.device->restart_sa(old.slot, context.sa);
    port.owners(old.slot.direction)[old.slot.index].set(old.slot.tag, conf->userdata);
  });
}

int destroy(void* dev, rte_security_session* session) noexcept {
  return boundary("session destroy", [&] {
    Port& port = port_of(dev);
    const SaSlot slot = session_of(session).slot;
    if (!port.device->holds(slot)) throw Error(ESRCH, "the card no longer holds this session");
    port.owners(slot.direction)[slot.index].clear();
    if (slot.direction == Direction::egress) port.rules->discard_instead(slot);
    port.device->remove_sa(slot);
    session_of(session) = {};
    session->fast_mdata = 0;
  });
}

unsigned private_bytes(void*) noexcept { return sizeof(Session); }

int statistics(void* dev, rte_security_session* session, rte_security_stats* stats) noexcept {
  return boundary("session statistics", [&] {
    if (session == nullptr) throw Error(EINVAL, "statistics are per session; name one");
    const SaSlot slot = session_of(session).slot;
    const hw::SaCounters counters = port_of(dev).device->sa_counters(slot);
    const std::uint64_t errors = counters.replay + counters.icv + counters.other;
    *stats = {};
    stats->protocol = RTE_SECURITY_PROTOCOL_IPSEC;
    if (slot.direction == Direction::egress) {
      stats->ipsec.opackets = counters.packets;
      stats->ipsec.obytes = counters.octets;
      stats->ipsec.oerrors = errors;
    } else {
      stats->ipsec.ipackets = counters.packets;
      stats->ipsec.ibytes = counters.octets;
      stats->ipsec.ierrors = errors;
    }
  });
}

int set_metadata(void*, rte_security_session* session, rte_mbuf* mbuf, void*) noexcept {
  *rte_security_dynfield(mbuf) = session->fast_mdata;
  return 0;
}

const rte_security_capability* capabilities(void* dev) noexcept {
  return port_of(dev).capabilities.table();
}

}  // namespace

const rte_security_ops* security_operations() noexcept {
  static const rte_security_ops operations = [] {
    rte_security_ops table{};
    table.session_create = create;
    table.session_update = update;
    table.session_get_size = private_bytes;
    table.session_stats_get = statistics;
    table.session_destroy = destroy;
    table.set_pkt_metadata = set_metadata;
    table.capabilities_get = capabilities;
    return table;
  }();
  return &operations;
}

}  // namespace saline::pmd
