// A DPDK ethdev as a port. Asks for rte_security where the device has it; uses no other offload.
#include <rte_ethdev.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "host/base/error.hpp"
#include "host/salined/port.hpp"

namespace saline::daemon {
namespace {

using base::Error;

constexpr std::uint16_t kDescriptors = 1024;

class Ethdev : public EthdevPort {
 public:
  Ethdev(const std::string& device, rte_mempool* pool, std::optional<std::uint16_t> mtu)
      : name_(device.substr(0, device.find(','))) {
    if (rte_eth_dev_get_port_by_name(name_.c_str(), &id_) != 0) {
      throw Error(ENODEV, "there is no DPDK port " + name_ +
                              "; its driver's message above says why, or bind the device to a "
                              "driver that DPDK can use");
    }
    configure(pool, mtu);
    check(rte_eth_dev_start(id_), "start");
    // A device that cannot be promiscuous hears what is for its address, which will do.
    rte_eth_promiscuous_enable(id_);
  }

  ~Ethdev() override {
    rte_eth_dev_stop(id_);
    rte_eth_dev_close(id_);
  }

  const std::string& name() const noexcept override { return name_; }
  std::uint16_t id() const noexcept override { return id_; }

  MacAddress mac() const noexcept override {
    rte_ether_addr address{};
    rte_eth_macaddr_get(id_, &address);
    MacAddress out;
    std::memcpy(out.data(), address.addr_bytes, out.size());
    return out;
  }

  std::uint16_t mtu() const noexcept override {
    std::uint16_t mtu = RTE_ETHER_MTU;
    rte_eth_dev_get_mtu(id_, &mtu);
    return mtu;
  }

  std::uint32_t frame_max() const noexcept override { return mtu() + RTE_ETHER_HDR_LEN; }

  std::size_t receive(std::span<rte_mbuf*> frames) noexcept override {
    return rte_eth_rx_burst(id_, 0, frames.data(), static_cast<std::uint16_t>(frames.size()));
  }

  std::size_t send(std::span<rte_mbuf*> frames) noexcept override {
    const std::size_t sent =
        rte_eth_tx_burst(id_, 0, frames.data(), static_cast<std::uint16_t>(frames.size()));
    for (rte_mbuf* mbuf : frames.subspan(sent)) rte_pktmbuf_free(mbuf);
    return sent;
  }

 private:
  void check(int result, const char* what) const {
    if (result < 0) {
      throw Error(-result,
                  "the port " + name_ + " refuses to " + what + ": " + std::strerror(-result));
    }
  }

  void configure(rte_mempool* pool, std::optional<std::uint16_t> mtu) {
    rte_eth_dev_info info{};
    check(rte_eth_dev_info_get(id_, &info), "describe itself");
    rte_eth_conf conf{};
    conf.rxmode.offloads = info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_SECURITY;
    conf.txmode.offloads = info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_SECURITY;
    if (mtu) conf.rxmode.mtu = *mtu;
    check(rte_eth_dev_configure(id_, 1, 1, &conf), "be configured");
    if (mtu && *mtu != this->mtu()) check(rte_eth_dev_set_mtu(id_, *mtu), "have that MTU");
    std::uint16_t receive_entries = kDescriptors, transmit_entries = kDescriptors;
    check(rte_eth_dev_adjust_nb_rx_tx_desc(id_, &receive_entries, &transmit_entries),
          "size its rings");
    const auto socket = static_cast<unsigned>(std::max(0, rte_eth_dev_socket_id(id_)));
    check(rte_eth_rx_queue_setup(id_, 0, receive_entries, socket, nullptr, pool),
          "set up its receive queue");
    check(rte_eth_tx_queue_setup(id_, 0, transmit_entries, socket, nullptr),
          "set up its transmit queue");
  }

  std::string name_;
  std::uint16_t id_ = 0;
};

}  // namespace

std::unique_ptr<EthdevPort> open_ethdev(const std::string& device, rte_mempool* pool,
                                        std::optional<std::uint16_t> mtu) {
  return std::make_unique<Ethdev>(device, pool, mtu);
}

}  // namespace saline::daemon
