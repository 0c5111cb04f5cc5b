// The port's control operations of ethdev.
#include <algorithm>
#include <bit>

#include "driver/pmd/boundary.hpp"
#include "driver/pmd/flow.hpp"
#include "driver/pmd/port.hpp"
#include "driver/pmd/received.hpp"

namespace saline::pmd {
namespace {

using base::Error;

constexpr std::uint64_t kReceiveOffloads =
    RTE_ETH_RX_OFFLOAD_CHECKSUM | RTE_ETH_RX_OFFLOAD_SECURITY;
constexpr std::uint64_t kTransmitOffloads =
    RTE_ETH_TX_OFFLOAD_SECURITY | RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
constexpr std::uint32_t kEthernetOverhead = RTE_ETHER_HDR_LEN + sizeof(rte_vlan_hdr);
// A frame may still grow by outer header and ESP before it meets the card's own limit.
constexpr std::uint32_t kFrameMax = hw::kFrameBytesMax - 256;
constexpr std::uint16_t kEntriesMin = 64, kEntriesMax = 32768;

int configure(rte_eth_dev* dev) noexcept {
  return boundary("configure", [&] {
    if (dev->data->dev_conf.lpbk_mode != 0 && !port_of(dev).loopback) {
      throw Error(ENOTSUP,
                  "lpbk_mode needs a card whose MAC loops back: transport=model,mac=loopback");
    }
  });
}

void set_link(rte_eth_dev* dev, bool up) noexcept {
  rte_eth_link link{};
  link.link_speed = RTE_ETH_SPEED_NUM_100G;
  link.link_duplex = RTE_ETH_LINK_FULL_DUPLEX;
  link.link_autoneg = RTE_ETH_LINK_FIXED;
  link.link_status = up ? RTE_ETH_LINK_UP : RTE_ETH_LINK_DOWN;
  rte_eth_linkstatus_set(dev, &link);
}

int start(rte_eth_dev* dev) noexcept {
  return boundary("start", [&] {
    Port& port = port_of(dev);
    if (port.receive.pool == nullptr || port.transmit.entries == 0) {
      throw Error(EINVAL, "set up one receive and one transmit queue first");
    }
    const std::uint32_t largest_frame = dev->data->mtu + kEthernetOverhead;
    if (largest_frame > port.receive.room) {
      throw Error(EINVAL, "frames of an MTU of " + std::to_string(dev->data->mtu) +
                              " do not fit the receive buffers of " +
                              std::to_string(port.receive.room) + " bytes; use larger mbufs");
    }
    port.receive.offloads = dev->data->dev_conf.rxmode.offloads;
    port.device->start({.transmit = port.transmit.entries,
                        .receive = port.receive.entries,
                        .frame_bytes = port.receive.room});
    fill_receive_ring(port.receive);
    if (port.device->receive_room() == port.receive.entries) {
      stop(port);
      throw Error(ENOMEM, "the mempool of the receive queue has no mbufs to post");
    }
    dev->data->rx_queue_state[0] = RTE_ETH_QUEUE_STATE_STARTED;
    dev->data->tx_queue_state[0] = RTE_ETH_QUEUE_STATE_STARTED;
    set_link(dev, true);
  });
}

int stop_port(rte_eth_dev* dev) noexcept {
  set_link(dev, false);
  dev->data->rx_queue_state[0] = RTE_ETH_QUEUE_STATE_STOPPED;
  dev->data->tx_queue_state[0] = RTE_ETH_QUEUE_STATE_STOPPED;
  return boundary("stop", [&] { stop(port_of(dev)); });
}

// ethdev has stopped the port; SAs and rules stay, since their owners still hold their handles.
int reset(rte_eth_dev* dev) noexcept { return stop_port(dev); }

int close(rte_eth_dev* dev) noexcept {
  if (rte_eal_process_type() != RTE_PROC_PRIMARY) return 0;
  Port*& port = port_slot(dev);
  if (port == nullptr) return 0;
  const int result = stop_port(dev);
  dev->security_ctx = nullptr;
  dev->data->mac_addrs = nullptr;  // lives in the port, not in rte_malloc
  delete port;                     // wipes the card's SAs
  port = nullptr;
  return result;
}

int describe(rte_eth_dev*, rte_eth_dev_info* info) noexcept {
  info->max_rx_queues = info->max_tx_queues = 1;
  info->min_rx_bufsize = RTE_ETHER_MIN_MTU + kEthernetOverhead;
  info->max_rx_pktlen = kFrameMax;
  info->min_mtu = RTE_ETHER_MIN_MTU;
  info->max_mtu = static_cast<std::uint16_t>(kFrameMax - kEthernetOverhead);
  info->max_mac_addrs = 1;
  info->rx_offload_capa = kReceiveOffloads;
  info->tx_offload_capa = kTransmitOffloads;
  info->rx_desc_lim = {.nb_max = kEntriesMax,
                       .nb_min = kEntriesMin,
                       .nb_align = 1,
                       .nb_seg_max = 1,
                       .nb_mtu_seg_max = 1};
  info->tx_desc_lim = info->rx_desc_lim;
  info->default_rxportconf = {.burst_size = 32, .ring_size = 1024, .nb_queues = 1};
  info->default_txportconf = info->default_rxportconf;
  info->speed_capa = RTE_ETH_LINK_SPEED_100G | RTE_ETH_LINK_SPEED_FIXED;
  return 0;
}

int receive_setup(rte_eth_dev* dev, std::uint16_t queue, std::uint16_t entries, unsigned,
                  const rte_eth_rxconf*, rte_mempool* pool) noexcept {
  return boundary("receive queue", [&] {
    const int room = rte_pktmbuf_data_room_size(pool) - RTE_PKTMBUF_HEADROOM;
    if (room < RTE_ETHER_MIN_MTU) throw Error(EINVAL, "the mbufs are too small for a frame");
    Port& port = port_of(dev);
    port.receive.port = &port;
    port.receive.pool = pool;
    port.receive.entries = std::bit_ceil(std::max(entries, kEntriesMin));
    port.receive.room = static_cast<std::uint16_t>(std::min<int>(room, hw::kFrameBytesMax));
    dev->data->rx_queues[queue] = &port.receive;
  });
}

int transmit_setup(rte_eth_dev* dev, std::uint16_t queue, std::uint16_t entries, unsigned,
                   const rte_eth_txconf*) noexcept {
  Port& port = port_of(dev);
  port.transmit.port = &port;
  port.transmit.entries = std::bit_ceil(std::max(entries, kEntriesMin));
  dev->data->tx_queues[queue] = &port.transmit;
  return 0;
}

int transmit_cleanup(void* queue, std::uint32_t) noexcept {
  free_transmitted(*static_cast<TransmitQueue*>(queue)->port->device);
  return 0;
}

int link_update(rte_eth_dev* dev, int) noexcept {
  Port& port = port_of(dev);
  const bool failed = port.device->failed();
  if (failed && !port.failure_logged.exchange(true)) {
    log(RTE_LOG_ERR, "the card no longer answers; restart the application to use it again");
  }
  set_link(dev, port.device->started() && !failed);
  return 0;
}

// The card hands up every frame.
int always_on(rte_eth_dev*) noexcept { return 0; }
int never_off(rte_eth_dev*) noexcept { return -ENOTSUP; }

int set_mtu(rte_eth_dev* dev, std::uint16_t mtu) noexcept {
  return boundary("mtu", [&] {
    const Port& port = port_of(dev);
    if (port.receive.pool != nullptr && mtu + kEthernetOverhead > port.receive.room) {
      throw Error(EINVAL, "an MTU of " + std::to_string(mtu) +
                              " does not fit the receive buffers of " +
                              std::to_string(port.receive.room) + " bytes; use larger mbufs");
    }
  });
}

int set_address(rte_eth_dev* dev, rte_ether_addr* address) noexcept {
  port_of(dev).address = *address;
  return 0;
}

int set_multicast(rte_eth_dev*, rte_ether_addr*, std::uint32_t) noexcept { return 0; }

const std::uint32_t* packet_types(rte_eth_dev*) noexcept { return supported_packet_types(); }

int flow_ops(rte_eth_dev*, const rte_flow_ops** operations) noexcept {
  *operations = flow_operations();
  return 0;
}

}  // namespace

Port::Port(std::unique_ptr<driver::Device> card, bool loops_back)
    : device(std::move(card)),
      loopback(loops_back),
      capabilities(device->capabilities()),
      egress_owners(device->capabilities().sa_slots),
      ingress_owners(device->capabilities().sa_slots),
      rules(std::make_unique<PolicyRules>(*device)) {}

Port::~Port() { free_flows(*this); }

void stop(Port& port) {
  port.device->stop();  // throws: the card may still reach for the mbufs, so they stay its own
  free_held(*port.device);
}

const eth_dev_ops* ethdev_operations() noexcept {
  static const eth_dev_ops operations = [] {
    eth_dev_ops table{};
    table.dev_configure = configure;
    table.dev_start = start;
    table.dev_stop = stop_port;
    table.dev_reset = reset;
    table.dev_close = close;
    table.dev_infos_get = describe;
    table.dev_supported_ptypes_get = packet_types;
    table.rx_queue_setup = receive_setup;
    table.tx_queue_setup = transmit_setup;
    table.tx_done_cleanup = transmit_cleanup;
    table.link_update = link_update;
    table.promiscuous_enable = always_on;
    table.promiscuous_disable = never_off;
    table.allmulticast_enable = always_on;
    table.allmulticast_disable = never_off;
    table.set_mc_addr_list = set_multicast;
    table.mac_addr_set = set_address;
    table.mtu_set = set_mtu;
    table.stats_get = stats_get;
    table.stats_reset = stats_reset;
    table.xstats_get = xstats_get;
    table.xstats_get_names = xstats_names;
    table.xstats_reset = stats_reset;
    table.flow_ops_get = flow_ops;
    return table;
  }();
  return &operations;
}

}  // namespace saline::pmd
