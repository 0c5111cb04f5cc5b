// The data thread: bursts of frames between the host port and the wire port, every IP packet
// through the policy (RFC 4301 §5), run to completion. Nothing here allocates, locks or logs per
// packet; the only system calls are the TAP's.
//
// Passes without policy: what is not IP (ARP and the like), neighbour and router discovery (RFC
// 4861) and multicast listener reports (RFC 2710, RFC 3810) of the link itself; a policy 0/0 must
// not lock out the link. Refused: IP in a wrapping that hides it from policy (VLAN, MPLS, PPPoE).
// A packet that is too big once protected is fragmented, before or after, or answered with ICMP, at
// a limited rate (RFC 4301 §8). Fragments are put together where AH, ESP or the policy need whole
// packets (RFC 4301 §7); what came in fragments leaves in fragments.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>

#include "host/base/snapshot.hpp"
#include "host/ipsec/process.hpp"
#include "host/ipsec/reassembly.hpp"
#include "host/salined/card.hpp"
#include "host/salined/engine.hpp"
#include "host/salined/next_hops.hpp"
#include "host/salined/port.hpp"
#include "host/salined/queue.hpp"

namespace saline::daemon {

struct DataplaneParts {
  Port& host;
  Port& wire;
  rte_mempool& frames;
  ipsec::Sad& sad;
  ipsec::Spd& spd;
  crypto::Provider& provider;
  Card* card = nullptr;  // nullptr: everything in software
  base::Snapshot<NextHopView>& next_hops;
  base::Snapshot<ipsec::LocalAddresses>& local_addresses;
  ipsec::Settings settings;
  std::function<std::uint64_t()> clock;
  std::optional<unsigned> cpu;
  base::Snapshot<ipsec::EncapsulationPorts>* encapsulation_ports = nullptr;  // nullptr: 4500 alone
};

// Per direction; drops include those the Processor counts.
struct FlowCounters {
  ipsec::Counter received;
  ipsec::Counter sent;
  ipsec::Counter not_ip;      // passed without policy
  ipsec::Counter discovery;   // the same: neighbour discovery and the like
  ipsec::Counter port_full;   // the other port did not take it
  ipsec::Counter other_host;  // from the wire, for another station
  ipsec::Counter by_card;     // protected or decrypted by the card
  ipsec::Counter copied;      // chained or shared buffers
  ipsec::Counter fragmented;  // packets sent in fragments
  ipsec::Counter path_mtu_learned;
  ipsec::Counter path_mtu_ignored;  // ICMP about AH or ESP that was not believed, or no news
  ipsec::ReasonCounters refused;    // by this layer
};

class Dataplane {
 public:
  static constexpr std::size_t kBurst = 32;

  explicit Dataplane(DataplaneParts parts);
  ~Dataplane();
  Dataplane(const Dataplane&) = delete;
  Dataplane& operator=(const Dataplane&) = delete;

  // One round; true when there was something to do. For run() and tests.
  bool turn() noexcept;
  // Until stop is set. Sleeps when there is nothing to do.
  void run(const std::atomic<bool>& stop) noexcept;

  // Control thread. From the next round on; the time for reassembly stays as it was.
  void change_settings(const ipsec::Settings& settings) {
    new_settings_.publish(std::make_unique<ipsec::Settings>(settings));
  }
  // Control thread. A keepalive of ESP in UDP goes out with the next turn; false when too many
  // wait.
  bool push_keepalive(const Keepalive& packet) noexcept { return keepalives_.push(packet); }
  std::optional<AcquireNeed> next_acquire() noexcept { return acquires_.pop(); }
  std::optional<base::Address> next_wanted_hop() noexcept { return wanted_hops_.pop(); }
  const FlowCounters& outbound() const noexcept { return outbound_; }
  const FlowCounters& inbound() const noexcept { return inbound_; }
  const ipsec::Reassembly::Counters& outbound_reassembly() const noexcept {
    return outbound_whole_.counters();
  }
  const ipsec::Reassembly::Counters& inbound_reassembly() const noexcept {
    return inbound_whole_.counters();
  }
  const ipsec::Counters& processor_counters() const noexcept { return processor_.counters(); }

 private:
  struct Slot;  // one packet of a burst
  struct Held {
    rte_mbuf* frame = nullptr;
    base::Address destination;
    std::chrono::steady_clock::time_point until;
  };
  struct Burst;
  struct Views;

  // What goes from one port to the other.
  struct Way;

  void serve_time() noexcept;
  void take_settings() noexcept;
  Way outward() noexcept;
  Way inward() noexcept;

  void host_to_wire(const Views& views, std::size_t count) noexcept;
  bool open_outbound(const Views& views, Slot& slot) noexcept;
  void finish_outbound(const Views& views, Slot& slot, ipsec::OutboundItem& item) noexcept;
  void protect_pieces(const Views& views, Slot& slot, const ipsec::OutboundItem& item) noexcept;
  void transmit(const Views& views, Slot& slot, const base::Address& destination,
                std::uint32_t mtu) noexcept;
  void transmit_frame(const Views& views, rte_mbuf* frame, const base::Address& from,
                      const base::Address& to) noexcept;
  void refuse_outbound(Slot& slot, const ipsec::OutboundItem& item) noexcept;
  bool answer(const Slot& slot, std::span<const std::uint8_t> icmp) noexcept;

  void wire_to_host(const Views& views, std::size_t count) noexcept;
  bool open_inbound(const Views& views, Slot& slot) noexcept;
  bool take_from_card(Slot& slot) noexcept;
  void learn_path_mtu(const Views& views, const Slot& slot) noexcept;
  bool finish_inbound(const Views& views, Slot& slot, ipsec::InboundItem& item) noexcept;
  void deliver(Slot& slot) noexcept;

  bool open_frame(Slot& slot, Way way) noexcept;
  bool put_together(Slot& slot, Way way, const ipsec::Headers& headers,
                    std::uint64_t context) noexcept;
  template <typename Use>
  bool split(const Slot& slot, std::uint32_t mtu, Use&& use) noexcept;
  rte_mbuf* frame_of(Slot& slot) noexcept;
  void clamp(const Views& views, Slot& slot, const ipsec::Policy& policy) noexcept;
  void push_ready(rte_mbuf* frame, Way way) noexcept;
  bool address_frame(const Views& views, rte_mbuf* frame,
                     const base::Address& destination) noexcept;
  void hold(rte_mbuf* frame, const base::Address& destination) noexcept;
  void release_held(const Views& views) noexcept;
  void send_keepalives(const Views& views) noexcept;
  bool give_to_card(const Views& views, Slot& slot, ipsec::SecurityAssociation& sa) noexcept;
  void drop(Slot& slot, FlowCounters& counters, hw::DropReason reason) noexcept;
  void send(Way way) noexcept;

  DataplaneParts parts_;
  MacAddress own_mac_;
  std::uint32_t wire_mtu_;
  int reason_offset_ = -1;
  ipsec::Processor processor_;
  base::Snapshot<ipsec::Settings> new_settings_;
  const ipsec::Settings* settings_in_use_ = nullptr;
  ipsec::Reassembly outbound_whole_;
  ipsec::Reassembly inbound_whole_;
  crypto::RandomStream random_;  // identifications of IPv6 fragments (RFC 7739 §5)
  std::uint64_t now_s_ = 0;
  std::chrono::steady_clock::time_point next_time_{};
  unsigned answer_budget_ = 0;
  FlowCounters outbound_;
  FlowCounters inbound_;
  Queue<Keepalive, 256> keepalives_;
  Queue<AcquireNeed, 256> acquires_;
  Queue<base::Address, 256> wanted_hops_;
  std::array<Held, 64> held_{};  // for their next hop
  std::size_t held_count_ = 0;
  const SessionView no_sessions_;
  std::unique_ptr<Burst> burst_;
};

}  // namespace saline::daemon
