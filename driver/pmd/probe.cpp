// The vdev driver: device arguments to a card to a port.
//
//   net_saline0,transport=model|xrt[,mac_address=XX:XX:XX:XX:XX:XX][,KEY=VALUE...]
//
// Every other key goes to the transport (driver/transport.hpp), which refuses what it does not
// know.
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "driver/pmd/boundary.hpp"
#include "driver/pmd/flow.hpp"
#include "driver/pmd/port.hpp"
#include "driver/pmd/rte_pmd_saline.h"

namespace saline::pmd {
namespace {

using base::Error;

struct Arguments {
  std::string transport;
  rte_ether_addr address{};
  driver::Options options;
};

void collect(const rte_kvargs& pairs, driver::Options& options) {
  for (unsigned i = 0; i < pairs.count; ++i) {
    const std::string key = pairs.pairs[i].key;
    if (pairs.pairs[i].value == nullptr)
      throw Error(EINVAL, key + " needs a value: " + key + "=...");
    if (!options.emplace(key, pairs.pairs[i].value).second) {
      throw Error(EINVAL, key + " is given twice");
    }
  }
}

std::string take(driver::Options& options, const char* key) {
  const auto node = options.extract(key);
  return node.empty() ? std::string() : node.mapped();
}

Arguments parse(const char* text) {
  Arguments arguments;
  const std::unique_ptr<rte_kvargs, void (*)(rte_kvargs*)> pairs(
      rte_kvargs_parse(text != nullptr ? text : "", nullptr), rte_kvargs_free);
  if (!pairs) throw Error(EINVAL, "the device arguments are not of the form key=value,key=value");
  collect(*pairs, arguments.options);
  arguments.transport = take(arguments.options, "transport");
  if (arguments.transport.empty()) {
    throw Error(EINVAL,
                "which card? Give transport=model or transport=xrt in the device arguments");
  }
  if (const std::string address = take(arguments.options, "mac_address"); address.empty()) {
    rte_eth_random_addr(arguments.address.addr_bytes);
  } else if (rte_ether_unformat_addr(address.c_str(), &arguments.address) != 0 ||
             rte_is_valid_assigned_ether_addr(&arguments.address) == 0) {
    throw Error(EINVAL, "mac_address=" + address + " is not a unicast Ethernet address");
  }
  return arguments;
}

// An emulated card has its MAC set by the environment of the emulation, where none said is
// loopback.
bool loops_back(const Arguments& arguments, const driver::Device& device) {
  const char* set = std::getenv("SALINE_MAC");
  if (arguments.transport == "xrt") {
    const bool emulated = device.description().find("emulation") != std::string::npos;
    return emulated && (set == nullptr || std::strcmp(set, "loopback") == 0);
  }
  const auto mac = arguments.options.find("mac");
  return mac != arguments.options.end() && mac->second == "loopback";
}

// Structures of the driver SDK carry no ABI promise, so one build fits one release.
void check_environment() {
  const std::string built = "DPDK " SALINE_DPDK_VERSION;
  if (built != rte_version()) {
    throw Error(ENODEV, "this driver is built for " + built + " and cannot run in " +
                            rte_version() + "; build it again");
  }
  if (rte_eal_process_type() != RTE_PROC_PRIMARY) {
    throw Error(ENOTSUP,
                "a card serves one primary process; secondary processes are not supported");
  }
}

int register_reason_field() {
  rte_mbuf_dynfield field{};
  std::strncpy(field.name, RTE_PMD_SALINE_REASON_DYNFIELD, sizeof field.name - 1);
  field.size = sizeof(std::uint8_t);
  field.align = alignof(std::uint8_t);
  const int offset = rte_mbuf_dynfield_register(&field);
  if (offset < 0 || rte_security_dynfield_register() < 0) {
    throw Error(rte_errno, "no room in the mbuf for the fields of rte_security and drop reasons");
  }
  return offset;
}

void attach(rte_vdev_device* vdev, std::unique_ptr<Port> port) {
  rte_eth_dev* dev = rte_eth_vdev_allocate(vdev, sizeof(Port*));
  if (dev == nullptr) throw Error(ENOMEM, "no ethdev port is free");
  port->dev = dev;
  port->security.device = dev;
  port->security.ops = security_operations();
  port->security.flags = RTE_SEC_CTX_F_FAST_SET_MDATA;
  dev->security_ctx = &port->security;
  dev->data->mac_addrs = &port->address;
  dev->data->promiscuous = 1;
  dev->data->all_multicast = 1;
  dev->dev_ops = ethdev_operations();
  dev->rx_pkt_burst = receive_burst;
  dev->tx_pkt_burst = transmit_burst;
  port_slot(dev) = port.release();
  rte_eth_dev_probing_finish(dev);
}

int probe(rte_vdev_device* vdev) noexcept {
  return boundary(rte_vdev_device_name(vdev), [&] {
    check_environment();
    const Arguments arguments = parse(rte_vdev_device_args(vdev));
    const int reason_offset = register_reason_field();
    auto device = std::make_unique<driver::Device>(
        driver::open_transport(arguments.transport, arguments.options));
    log(RTE_LOG_INFO, "%s: %s, %u SA slots each way", rte_vdev_device_name(vdev),
        device->description().c_str(), device->capabilities().sa_slots);
    const bool loopback = loops_back(arguments, *device);
    auto port = std::make_unique<Port>(std::move(device), loopback);
    port->address = arguments.address;
    port->reason_offset = reason_offset;
    attach(vdev, std::move(port));
  });
}

int remove(rte_vdev_device* vdev) noexcept {
  rte_eth_dev* dev = rte_eth_dev_allocated(rte_vdev_device_name(vdev));
  if (dev == nullptr) return 0;
  ethdev_operations()->dev_close(dev);
  return rte_eth_dev_release_port(dev);
}

rte_vdev_driver driver_entry = [] {
  rte_vdev_driver entry{};
  entry.probe = probe;
  entry.remove = remove;
  return entry;
}();

RTE_PMD_REGISTER_VDEV(net_saline, driver_entry);
RTE_PMD_REGISTER_PARAM_STRING(
    net_saline,
    "transport=model|xrt mac_address=<address> mac=<loopback|none|iface:NAME> "
    "device=<index|bdf> xclbin=<path>");

}  // namespace
}  // namespace saline::pmd
