// Counters of the port. What the driver sees it counts itself; drops are counted by the card, per
// reason and direction, and each is an extended statistic: rx_drop_replay, tx_drop_policy and so
// on.
#include <cstdio>

#include "driver/pmd/boundary.hpp"
#include "driver/pmd/port.hpp"

namespace saline::pmd {
namespace {

using driver::Direction;
using hw::DropReason;
using hw::PortCount;

std::uint64_t refused_since_reset(Port& port, Direction direction, DropReason reason) {
  const auto& base = direction == Direction::egress ? port.baseline.egress : port.baseline.ingress;
  return port.device->reason_count(direction, reason) - base[static_cast<std::size_t>(reason)];
}

// The order of extended statistics: reasons of ingress, reasons of egress, counters of the card,
// its clock cycles, packets whose form the port does not send.
constexpr std::size_t kExtendedCount =
    2 * (hw::kDropReasonValues.size() - 1) + hw::kPortCountValues.size() + 2;

template <class Visitor>  // visitor(prefix, name, value function)
void for_each_extended(Port& port, Visitor&& visit) {
  for (const Direction direction : {Direction::ingress, Direction::egress}) {
    for (const auto& reason : hw::kDropReasonValues) {
      if (reason.value == DropReason::none) continue;
      visit(direction == Direction::ingress ? "rx_drop_" : "tx_drop_", reason.name,
            [&] { return refused_since_reset(port, direction, reason.value); });
    }
  }
  for (const auto& count : hw::kPortCountValues) {
    visit("card_", count.name, [&] {
      return port.device->port_count(count.value) -
             port.baseline.port[static_cast<std::size_t>(count.value)];
    });
  }
  visit("card_", "cycles", [&] { return port.device->cycles() - port.baseline.cycles; });
  visit("tx_drop_", "form", [&] { return port.transmit.refused.get() - port.baseline.refused; });
}

}  // namespace

int stats_get(rte_eth_dev* dev, rte_eth_stats* stats) noexcept {
  return boundary("stats", [&] {
    Port& port = port_of(dev);
    const Baseline& base = port.baseline;
    stats->ipackets = port.receive.packets.get() - base.receive_packets;
    stats->ibytes = port.receive.bytes.get() - base.receive_bytes;
    stats->opackets = port.transmit.packets.get() - base.transmit_packets;
    stats->obytes = port.transmit.bytes.get() - base.transmit_bytes;
    stats->rx_nombuf = port.receive.no_mbuf.get() - base.no_mbuf;
    stats->imissed = refused_since_reset(port, Direction::ingress, DropReason::no_buffer);
    stats->ierrors = refused_since_reset(port, Direction::ingress, DropReason::mac) +
                     refused_since_reset(port, Direction::ingress, DropReason::dma);
    stats->oerrors = port.transmit.refused.get() - base.refused;
    for (const auto& reason : hw::kDropReasonValues) {
      if (reason.value == DropReason::none) continue;
      stats->oerrors += refused_since_reset(port, Direction::egress, reason.value);
    }
    stats->q_ipackets[0] = stats->ipackets;
    stats->q_ibytes[0] = stats->ibytes;
    stats->q_opackets[0] = stats->opackets;
    stats->q_obytes[0] = stats->obytes;
  });
}

int stats_reset(rte_eth_dev* dev) noexcept {
  return boundary("statistics reset", [&] {
    Port& port = port_of(dev);
    Baseline now;
    for (const auto& reason : hw::kDropReasonValues) {
      const auto index = static_cast<std::size_t>(reason.value);
      now.egress[index] = port.device->reason_count(Direction::egress, reason.value);
      now.ingress[index] = port.device->reason_count(Direction::ingress, reason.value);
    }
    for (const auto& count : hw::kPortCountValues) {
      now.port[static_cast<std::size_t>(count.value)] = port.device->port_count(count.value);
    }
    now.receive_packets = port.receive.packets.get();
    now.receive_bytes = port.receive.bytes.get();
    now.no_mbuf = port.receive.no_mbuf.get();
    now.transmit_packets = port.transmit.packets.get();
    now.transmit_bytes = port.transmit.bytes.get();
    now.refused = port.transmit.refused.get();
    now.cycles = port.device->cycles();
    port.baseline = now;
  });
}

int xstats_names(rte_eth_dev* dev, rte_eth_xstat_name* out, unsigned count) noexcept {
  if (out == nullptr || count < kExtendedCount) return kExtendedCount;
  std::size_t i = 0;
  for_each_extended(port_of(dev), [&](const char* prefix, const char* name, auto&&) {
    std::snprintf(out[i++].name, RTE_ETH_XSTATS_NAME_SIZE, "%s%s", prefix, name);
  });
  return kExtendedCount;
}

int xstats_get(rte_eth_dev* dev, rte_eth_xstat* out, unsigned count) noexcept {
  if (out == nullptr || count < kExtendedCount) return kExtendedCount;
  return boundary("extended statistics", [&] {
    std::size_t i = 0;
    for_each_extended(port_of(dev), [&](const char*, const char*, auto&& value) {
      out[i] = {.id = i, .value = value()};
      ++i;
    });
    return static_cast<int>(kExtendedCount);
  });
}

}  // namespace saline::pmd
