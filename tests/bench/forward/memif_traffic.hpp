// Traffic through a gateway's two memif ports (shared memory between processes), as much as it
// takes. This process is one DPDK application with both peers; made once.
#pragma once

#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <unistd.h>

#include <chrono>
#include <stdexcept>
#include <string>

#include "tests/bench/forward/frames.hpp"

namespace saline::bench {

class MemifTraffic {
 public:
  // The gateway serves `folder`/plain and `folder`/wire.
  explicit MemifTraffic(const std::string& folder) {
    std::vector<std::string> words{
        "forward_bench", "--no-shconf", "--no-huge",        "--no-pci", "-m",
        "128",           "--lcores=0",  "--log-level=error"};
    for (const char* side : {"plain", "wire"})
      words.push_back("--vdev=net_memif_" + std::string(side) + ",role=client,socket-abstract=no," +
                      "bsize=2048,rsize=10,socket=" + folder + "/" + side);
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    if (rte_eal_init(static_cast<int>(argv.size()), argv.data()) < 0)
      throw std::runtime_error("EAL does not start");
    pool_ = rte_pktmbuf_pool_create("traffic", 16383, 256, 0, 2176, SOCKET_ID_ANY);
    if (pool_ == nullptr) throw std::runtime_error("no packet memory");
    start("net_memif_plain", plain_);
    start("net_memif_wire", wire_);
  }

  // Packets a second that come out on the other side; 0 when nothing comes within 10 s. Keeps some
  // of them in `seen` when it is empty.
  double rate(bool from_plain, const std::vector<Frame>& frames, std::vector<Frame>& seen) {
    const std::uint16_t in = from_plain ? plain_ : wire_, out = from_plain ? wire_ : plain_;
    for (int tenth = 0; pump(in, out, frames, 0.1, seen) == 0; ++tenth)
      if (tenth == 100) return 0;
    return static_cast<double>(pump(in, out, frames, kSeconds, seen)) / kSeconds;
  }

 private:
  static constexpr double kSeconds = 1.5;
  static constexpr std::uint16_t kBurst = 32;

  static void start(const char* name, std::uint16_t& id, rte_mempool* pool) {
    rte_eth_conf conf{};
    if (rte_eth_dev_get_port_by_name(name, &id) != 0 ||
        rte_eth_dev_configure(id, 1, 1, &conf) != 0 ||
        rte_eth_rx_queue_setup(id, 0, 1024, 0, nullptr, pool) != 0 ||
        rte_eth_tx_queue_setup(id, 0, 1024, 0, nullptr) != 0 || rte_eth_dev_start(id) != 0)
      throw std::runtime_error(std::string(name) + " does not start");
  }
  void start(const char* name, std::uint16_t& id) {
    start(name, id, pool_);
    rte_eth_link link{};
    for (int tenth = 0; tenth < 200; ++tenth) {
      if (rte_eth_link_get_nowait(id, &link) == 0 && link.link_status == RTE_ETH_LINK_UP) return;
      usleep(100'000);
    }
    throw std::runtime_error(std::string(name) + ": the gateway does not answer");
  }

  void send(std::uint16_t port, const std::vector<Frame>& frames) {
    rte_mbuf* burst[kBurst];
    if (rte_pktmbuf_alloc_bulk(pool_, burst, kBurst) != 0) return;
    for (rte_mbuf* mbuf : burst) {
      const Frame& frame = frames[next_++ % frames.size()];
      std::memcpy(rte_pktmbuf_append(mbuf, static_cast<std::uint16_t>(frame.size())), frame.data(),
                  frame.size());
    }
    const std::uint16_t sent = rte_eth_tx_burst(port, 0, burst, kBurst);
    if (sent < kBurst) rte_pktmbuf_free_bulk(burst + sent, kBurst - sent);
  }

  std::uint64_t pump(std::uint16_t in, std::uint16_t out, const std::vector<Frame>& frames,
                     double seconds, std::vector<Frame>& seen) {
    using Clock = std::chrono::steady_clock;
    const auto end = Clock::now() + std::chrono::duration<double>(seconds);
    std::uint64_t received = 0;
    const bool collect = seen.empty();
    rte_mbuf* burst[kBurst * 2];
    while (Clock::now() < end) {
      send(in, frames);
      const std::uint16_t count = rte_eth_rx_burst(out, 0, burst, kBurst * 2);
      received += count;
      for (std::uint16_t i = 0; collect && i < count && seen.size() < 1024; ++i) {
        const auto* data = rte_pktmbuf_mtod(burst[i], const std::uint8_t*);
        seen.emplace_back(data, data + burst[i]->data_len);
      }
      rte_pktmbuf_free_bulk(burst, count);
    }
    return received;
  }

  rte_mempool* pool_ = nullptr;
  std::uint16_t plain_ = 0, wire_ = 0;
  std::size_t next_ = 0;
};

}  // namespace saline::bench
