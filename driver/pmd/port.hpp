// One net_saline port: the card, its one pair of queues, and what the application set up on it.
//
// Threads, as ethdev has them: control operations of a port by one thread at a time; one thread in
// rx_burst (which also delivers events), one in tx_burst; destroying a session while its packets
// are in flight is safe here, since descriptors and completions carry the tag of the SA.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "driver/device.hpp"
#include "driver/pmd/capabilities.hpp"
#include "driver/pmd/dpdk.hpp"

namespace saline::pmd {

class PolicyRules;

// A counter with one writer that any thread may read.
class Count {
 public:
  void add(std::uint64_t more) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
  }
  std::uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

// What the data path must know of the SA in a slot: who it is and what the application calls it.
class SaOwner {
 public:
  void set(std::uint16_t tag, void* userdata) noexcept {
    // Not before the former tag is gone, where clear() took it away.
    userdata_.store(reinterpret_cast<std::uint64_t>(userdata), std::memory_order_release);
    tag_.store(tag, std::memory_order_release);
  }
  void clear() noexcept { tag_.store(0, std::memory_order_release); }  // 0: no SA has that tag
  // False when the slot's SA is another one by now.
  bool find(std::uint16_t tag, std::uint64_t& userdata) const noexcept {
    if (tag == 0 || tag_.load(std::memory_order_acquire) != tag) return false;
    userdata = userdata_.load(std::memory_order_acquire);
    return tag_.load(std::memory_order_relaxed) == tag;
  }

 private:
  std::atomic<std::uint16_t> tag_{0};
  std::atomic<std::uint64_t> userdata_{0};
};

struct Port;

struct ReceiveQueue {
  Port* port = nullptr;
  rte_mempool* pool = nullptr;
  std::uint32_t entries = 0;
  std::uint16_t room = 0;  // bytes of a buffer
  std::uint64_t offloads = 0;
  Count packets, bytes, no_mbuf;
};

struct TransmitQueue {
  Port* port = nullptr;
  std::uint32_t entries = 0;
  Count packets, bytes, refused;  // refused: a form the port does not send (segments, length)
};

// Counters that the card never resets, as they were when the application last reset them.
struct Baseline {
  std::array<std::uint64_t, hw::kDropReasonCount> egress{}, ingress{};
  std::array<std::uint64_t, hw::kPortCountCount> port{};
  std::uint64_t receive_packets = 0, receive_bytes = 0, no_mbuf = 0;
  std::uint64_t transmit_packets = 0, transmit_bytes = 0, refused = 0;
  std::uint64_t cycles = 0;
};

struct Port {
  Port(std::unique_ptr<driver::Device> card, bool loops_back);
  ~Port();

  std::unique_ptr<driver::Device> device;
  bool loopback;  // the MAC sends back what it is given: lpbk_mode may be asked for
  SecurityCapabilities capabilities;
  rte_eth_dev* dev = nullptr;
  rte_ether_addr address{};
  rte_security_ctx security{};
  int reason_offset = -1;  // of the dynamic mbuf field

  ReceiveQueue receive;
  TransmitQueue transmit;
  Baseline baseline;

  std::vector<SaOwner> egress_owners, ingress_owners;  // index = slot
  std::unique_ptr<PolicyRules> rules;
  rte_flow* flows = nullptr;          // every rule of the port, in a list
  std::atomic<bool> classify{false};  // an egress rule exists: packets without an SA are matched
  std::atomic<bool> failure_logged{false};

  std::vector<SaOwner>& owners(driver::Direction direction) noexcept {
    return direction == driver::Direction::egress ? egress_owners : ingress_owners;
  }
};

// dev_private holds a pointer: DPDK frees it without a destructor.
inline Port*& port_slot(const rte_eth_dev* dev) noexcept {
  return *static_cast<Port**>(dev->data->dev_private);
}
inline Port& port_of(const rte_eth_dev* dev) noexcept { return *port_slot(dev); }
inline Port& port_of(void* device) noexcept { return port_of(static_cast<rte_eth_dev*>(device)); }

// Operation tables, each in the file of its name.
const eth_dev_ops* ethdev_operations() noexcept;
const rte_security_ops* security_operations() noexcept;
const rte_flow_ops* flow_operations() noexcept;

// ethdev.cpp: harmless when stopped.
void stop(Port& port);

// flow.cpp: forgets the handles, not what the card does.
void free_flows(Port& port) noexcept;

// burst.cpp
std::uint16_t receive_burst(void* queue, rte_mbuf** packets, std::uint16_t count) noexcept;
std::uint16_t transmit_burst(void* queue, rte_mbuf** packets, std::uint16_t count) noexcept;
void fill_receive_ring(ReceiveQueue& queue) noexcept;
void free_transmitted(driver::Device& device) noexcept;
void free_held(driver::Device& device) noexcept;  // after a stop

// stats.cpp
int stats_get(rte_eth_dev* dev, rte_eth_stats* stats) noexcept;
int stats_reset(rte_eth_dev* dev) noexcept;
int xstats_get(rte_eth_dev* dev, rte_eth_xstat* out, unsigned count) noexcept;
int xstats_names(rte_eth_dev* dev, rte_eth_xstat_name* out, unsigned count) noexcept;

// What an rte_security session keeps of itself.
struct Session {
  std::uint32_t spi = 0;
  driver::SaSlot slot;
  base::Address destination{};  // inbound: by which packets find it, beside the SPI
};

inline Session& session_of(rte_security_session* session) noexcept {
  return *static_cast<Session*>(SECURITY_GET_SESS_PRIV(session));
}

// A session's mark for the data path, what fast_mdata and the mbuf's security field hold.
struct Metadata {
  static constexpr std::uint64_t kMark = std::uint64_t{0x5a11} << 48;

  static std::uint64_t encode(const driver::SaSlot& slot) noexcept {
    return kMark | std::uint64_t{slot.index} << 16 | slot.tag;
  }
  // Tag 0, which no SA has, for anything that is not a mark.
  static driver::SaSlot decode(std::uint64_t value) noexcept {
    if ((value & ~std::uint64_t{0xffffffff}) != kMark) return {};
    return {driver::Direction::egress, static_cast<std::uint16_t>(value >> 16),
            static_cast<std::uint16_t>(value)};
  }
};

}  // namespace saline::pmd
