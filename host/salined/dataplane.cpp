// The data thread: opening and closing frames, one turn, the loop; see dataplane.hpp.
#include "host/salined/dataplane.hpp"

#include <rte_eal.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <cstring>
#include <thread>

#include "driver/pmd/rte_pmd_saline.h"
#include "host/salined/burst.hpp"

namespace saline::daemon {

using base::Address;
using Clock = std::chrono::steady_clock;
using hw::DropReason;

namespace {

// ICMP errors to the host per tenth of a second (RFC 4443 §2.4).
constexpr unsigned kAnswersPerPeriod = 50;
// When there is nothing to do: poll on for a while, then sleep, longer and longer.
constexpr unsigned kIdleTurns = 64;
constexpr std::chrono::microseconds kFirstSleep{20};
constexpr std::chrono::microseconds kLongestSleep{500};

}  // namespace

bool read_addresses(const ipsec::Packet& packet, Address& source, Address& destination) noexcept {
  const std::uint8_t version = packet.length == 0 ? 0 : packet.data[0] >> 4;
  if (version == 4 && packet.length >= 20) {
    source = Address::from_bytes(base::Family::ipv4, {packet.data + 12, 4});
    destination = Address::from_bytes(base::Family::ipv4, {packet.data + 16, 4});
    return true;
  }
  if (version == 6 && packet.length >= 40) {
    source = Address::from_bytes(base::Family::ipv6, {packet.data + 8, 16});
    destination = Address::from_bytes(base::Family::ipv6, {packet.data + 24, 16});
    return true;
  }
  return false;
}

Dataplane::Dataplane(DataplaneParts parts)
    : parts_(std::move(parts)),
      own_mac_(parts_.wire.mac()),
      wire_mtu_(parts_.wire.mtu()),
      reason_offset_(rte_pmd_saline_reason_offset()),
      processor_(parts_.provider),
      burst_(std::make_unique<Burst>()) {
  processor_.set_settings(parts_.settings);
}

Dataplane::~Dataplane() {
  for (std::size_t i = 0; i < held_count_; ++i) rte_pktmbuf_free(held_[i].frame);
}

void Dataplane::drop(Slot& slot, FlowCounters& counters, DropReason reason) noexcept {
  if (reason != DropReason::none) counters.refused[static_cast<std::size_t>(reason)].add(1);
  rte_pktmbuf_free(slot.mbuf);
  slot.mbuf = nullptr;
}

// Takes the Ethernet header off and leaves the packet with all the room around it. False when the
// frame is done with: passed on or dropped.
bool Dataplane::open_frame(Slot& slot, FlowCounters& counters) noexcept {
  rte_mbuf* mbuf = slot.mbuf;
  auto* frame = rte_pktmbuf_mtod(mbuf, std::uint8_t*);
  switch (classify_frame({frame, mbuf->data_len})) {
    case FrameKind::malformed:
      return drop(slot, counters, DropReason::malformed), false;
    case FrameKind::hidden_ip:
      return drop(slot, counters, DropReason::unsupported), false;
    case FrameKind::not_ip:
      counters.not_ip.add(1);
      burst_->ready[burst_->ready_count++] = mbuf;
      return false;
    case FrameKind::ip:
      break;
  }
  std::memcpy(slot.ethernet.data(), frame, kEthernetBytes);
  slot.packet = {};
  slot.packet.data = frame + kEthernetBytes;
  slot.packet.length = static_cast<std::uint32_t>(mbuf->data_len - kEthernetBytes);
  slot.packet.headroom = mbuf->data_off;  // the rest is for the Ethernet header
  slot.packet.tailroom = rte_pktmbuf_tailroom(mbuf);
  // Only from the link itself: what a card took out of a tunnel answers to policy.
  const bool decapsulated = (mbuf->ol_flags & RTE_MBUF_F_RX_SEC_OFFLOAD) != 0;
  if (!decapsulated && is_link_discovery({slot.packet.data, slot.packet.length})) {
    counters.discovery.add(1);
    burst_->ready[burst_->ready_count++] = mbuf;
    return false;
  }
  return true;
}

// Makes a frame again of what the packet has become.
void Dataplane::close_frame(Slot& slot) noexcept {
  rte_mbuf* mbuf = slot.mbuf;
  const ipsec::Packet& packet = slot.packet;
  std::uint8_t* frame = packet.data - kEthernetBytes;
  base::store16(slot.ethernet.data() + 12, packet.data[0] >> 4 == 4 ? kEtherIpv4 : kEtherIpv6);
  std::memcpy(frame, slot.ethernet.data(), kEthernetBytes);
  mbuf->data_off = static_cast<std::uint16_t>(frame - static_cast<std::uint8_t*>(mbuf->buf_addr));
  mbuf->data_len = static_cast<std::uint16_t>(packet.length + kEthernetBytes);
  mbuf->pkt_len = mbuf->data_len;
}

void Dataplane::send(Port& port, FlowCounters& counters) noexcept {
  const std::size_t count = burst_->ready_count;
  if (count == 0) return;
  const std::size_t sent = port.send({burst_->ready.data(), count});
  counters.sent.add(sent);
  counters.port_full.add(count - sent);
  burst_->ready_count = 0;
}

bool Dataplane::turn() noexcept {
  // Before any frame is taken: an SA that a frame names is in this view or a newer one.
  const Views views{parts_.sad.view().acquire(), parts_.spd.view().acquire(),
                    parts_.next_hops.acquire(), parts_.local_addresses.acquire(),
                    parts_.card != nullptr ? parts_.card->sessions().acquire() : &no_sessions_};
  processor_.set_local_addresses(views.local);
  if (held_count_ != 0) release_held(views);
  const std::size_t from_host = parts_.host.receive(burst_->received);
  if (from_host != 0) host_to_wire(views, from_host);
  const std::size_t from_wire = parts_.wire.receive(burst_->received);
  if (from_wire != 0) wire_to_host(views, from_wire);
  parts_.sad.view().release();
  parts_.spd.view().release();
  parts_.next_hops.release();
  parts_.local_addresses.release();
  if (parts_.card != nullptr) parts_.card->sessions().release();
  return from_host + from_wire != 0;
}

void Dataplane::run(const std::atomic<bool>& stop) noexcept {
  rte_thread_register();  // gives the thread a packet cache; works without
  if (parts_.cpu) {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(*parts_.cpu, &cpus);
    pthread_setaffinity_np(pthread_self(), sizeof cpus, &cpus);
  }
  unsigned idle_turns = 0;
  auto sleep = kFirstSleep;
  Clock::time_point next_time{};
  while (!stop.load(std::memory_order_relaxed)) {
    if (const auto now = Clock::now(); now >= next_time) {
      processor_.set_time(parts_.clock());
      answer_budget_ = kAnswersPerPeriod;
      next_time = now + std::chrono::milliseconds(100);
    }
    if (turn()) {
      idle_turns = 0;
      sleep = kFirstSleep;
    } else if (++idle_turns > kIdleTurns) {
      std::this_thread::sleep_for(sleep);
      sleep = std::min(sleep * 2, kLongestSleep);
    }
  }
  rte_thread_unregister();
}

}  // namespace saline::daemon
