// A net_saline port on a card of the test's choice: EAL once per process, a port per test.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "driver/pmd/port.hpp"
#include "driver/pmd/rte_pmd_saline.h"

namespace saline::pmd::test {

using Bytes = std::vector<std::uint8_t>;

// EAL's files go where nothing is left of them.
struct RuntimeDirectory {
  RuntimeDirectory() { setenv("RUNTIME_DIRECTORY", mkdtemp(path.data()), 1); }
  ~RuntimeDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::string path = "/tmp/saline-pmd-test-XXXXXX";
};

inline void start_eal() {
  static const RuntimeDirectory directory;
  static const bool started = [] {
    const std::string prefix = "saline_test_" + std::to_string(getpid());
    std::vector<std::string> words{"pmd_test",    "-l",          "0",
                                   "--no-huge",   "-m",          "128",
                                   "--no-pci",    "--no-shconf", "--no-telemetry",
                                   "--log-level", "lib.eal:err", "--file-prefix",
                                   prefix};
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    return rte_eal_init(static_cast<int>(arguments.size()), arguments.data()) >= 0;
  }();
  ASSERT_TRUE(started) << "rte_eal_init: " << rte_strerror(rte_errno);
}

struct MbufFree {
  void operator()(rte_mbuf* mbuf) const { rte_pktmbuf_free(mbuf); }
};
using Mbuf = std::unique_ptr<rte_mbuf, MbufFree>;

inline Bytes bytes_of(const rte_mbuf& mbuf) {
  const auto* data = rte_pktmbuf_mtod(&mbuf, const std::uint8_t*);
  return {data, data + mbuf.data_len};
}

class PortTest : public testing::Test {
 protected:
  static constexpr std::uint16_t kEntries = 128;
  static constexpr const char* kName = "net_saline0";

  // Probes, configures, sets up and starts. `arguments` as on a command line.
  void open(const std::string& arguments) {
    start_eal();
    ASSERT_EQ(rte_vdev_init(kName, arguments.c_str()), 0);
    ASSERT_EQ(rte_eth_dev_get_port_by_name(kName, &port_), 0);
    pool_ = rte_pktmbuf_pool_create("pool", 1023, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
    ASSERT_NE(pool_, nullptr);
    rte_eth_conf conf{};
    conf.rxmode.offloads = RTE_ETH_RX_OFFLOAD_CHECKSUM | RTE_ETH_RX_OFFLOAD_SECURITY;
    conf.txmode.offloads = RTE_ETH_TX_OFFLOAD_SECURITY | RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
    ASSERT_EQ(rte_eth_dev_configure(port_, 1, 1, &conf), 0);
    ASSERT_EQ(rte_eth_rx_queue_setup(port_, 0, kEntries, SOCKET_ID_ANY, nullptr, pool_), 0);
    ASSERT_EQ(rte_eth_tx_queue_setup(port_, 0, kEntries, SOCKET_ID_ANY, nullptr), 0);
    ASSERT_EQ(rte_eth_dev_start(port_), 0);
    started_ = true;
  }

  // Every mbuf must be back in its pool when the port is closed.
  void TearDown() override {
    if (port_ != kNoPort) {
      if (started_) {
        EXPECT_EQ(rte_eth_dev_stop(port_), 0);
      }
      EXPECT_EQ(rte_eth_dev_close(port_), 0);
    }
    if (pool_ != nullptr) {
      EXPECT_EQ(rte_mempool_in_use_count(pool_), 0u) << "mbufs leaked";
      rte_mempool_free(pool_);
    }
    if (sessions_ != nullptr) rte_mempool_free(sessions_);
    rte_vdev_uninit(kName);
  }

  Mbuf mbuf(const Bytes& frame) {
    rte_mbuf* made = rte_pktmbuf_alloc(pool_);
    if (made == nullptr) throw std::runtime_error("no mbuf");
    std::memcpy(rte_pktmbuf_append(made, static_cast<std::uint16_t>(frame.size())), frame.data(),
                frame.size());
    made->l2_len = RTE_ETHER_HDR_LEN;
    return Mbuf(made);
  }

  void send(Mbuf packet) {
    rte_mbuf* raw = packet.release();
    const std::uint16_t sent = rte_eth_tx_burst(port_, 0, &raw, 1);
    if (sent != 1) rte_pktmbuf_free(raw);
    ASSERT_EQ(sent, 1);
  }
  void send(const Bytes& frame) { send(mbuf(frame)); }

  // The next packet, or none within the time given.
  Mbuf receive(std::chrono::milliseconds patience = std::chrono::seconds(10)) {
    const auto end = std::chrono::steady_clock::now() + patience;
    rte_mbuf* got = nullptr;
    do {
      if (rte_eth_rx_burst(port_, 0, &got, 1) == 1) return Mbuf(got);
    } while (std::chrono::steady_clock::now() < end);
    return nullptr;
  }
  // Polls the port, on which nothing may arrive, until `condition`; false when that takes too long.
  template <class Condition>
  bool polling_until(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      EXPECT_EQ(receive(std::chrono::milliseconds(1)), nullptr);
    }
    return true;
  }
  // Long enough for the card to have dealt with everything it was given.
  void expect_nothing() { EXPECT_EQ(receive(std::chrono::milliseconds(50)), nullptr); }

  std::uint64_t xstat(const std::string& name) {
    std::uint64_t id = 0, value = 0;
    EXPECT_EQ(rte_eth_xstats_get_id_by_name(port_, name.c_str(), &id), 0) << name;
    EXPECT_EQ(rte_eth_xstats_get_by_id(port_, &id, &value, 1), 1);
    return value;
  }

  rte_security_ctx* security() {
    return static_cast<rte_security_ctx*>(rte_eth_dev_get_sec_ctx(port_));
  }

  rte_security_session* create(rte_security_session_conf& conf) {
    if (sessions_ == nullptr) {
      sessions_ = rte_mempool_create("sessions", 1023, rte_security_session_get_size(security()), 0,
                                     0, nullptr, nullptr, nullptr, nullptr, SOCKET_ID_ANY, 0);
    }
    return static_cast<rte_security_session*>(
        rte_security_session_create(security(), &conf, sessions_));
  }

  static constexpr std::uint16_t kNoPort = 0xffff;
  std::uint16_t port_ = kNoPort;
  bool started_ = false;
  rte_mempool* pool_ = nullptr;
  rte_mempool* sessions_ = nullptr;
};

}  // namespace saline::pmd::test
