// The bursts of the data thread (RFC 4301 §5.1, §5.2); see dataplane.hpp.
#include "host/salined/dataplane.hpp"

#include <rte_eal.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_security.h>

#include <algorithm>
#include <cstring>
#include <thread>

#include "driver/pmd/rte_pmd_saline.h"
#include "host/salined/frame.hpp"
#include "host/salined/too_big.hpp"

namespace saline::daemon {

using base::Address;
using Clock = std::chrono::steady_clock;
using hw::DropReason;
using ipsec::Outcome;
using ipsec::SecurityAssociation;

struct Dataplane::Slot {
  rte_mbuf* mbuf = nullptr;
  ipsec::Packet packet;
  std::array<std::uint8_t, kEthernetBytes> ethernet{};  // as received, then as sent
  // Outbound: of the packet as the host gave it.
  Address source;
  Address destination;
};

struct Dataplane::Burst {
  std::array<rte_mbuf*, kBurst> received{};
  std::array<rte_mbuf*, kBurst> ready{};  // to be sent, in order
  std::size_t ready_count = 0;
  std::array<rte_mbuf*, kBurst> answers{};  // to the host, about what it sent
  std::size_t answer_count = 0;
  std::array<Slot, kBurst> slots;
  std::array<ipsec::OutboundItem, kBurst> outbound;
  std::array<ipsec::InboundItem, kBurst> inbound;
};

// What the control thread published, held for one burst.
struct Dataplane::Views {
  const ipsec::SadView* sad;
  const ipsec::SpdView* spd;
  const NextHopView* next_hops;
  const ipsec::LocalAddresses* local;
  const SessionView* sessions;
};

namespace {

// ICMP errors to the host per tenth of a second (RFC 4443 §2.4).
constexpr unsigned kAnswersPerPeriod = 50;
// How long a frame waits for its next hop.
constexpr std::chrono::seconds kHoldTime{1};
// When there is nothing to do: poll on for a while, then sleep, longer and longer.
constexpr unsigned kIdleTurns = 64;
constexpr std::chrono::microseconds kFirstSleep{20};
constexpr std::chrono::microseconds kLongestSleep{500};

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

}  // namespace

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

// ---- host to wire

bool Dataplane::address_frame(const Views& views, rte_mbuf* frame,
                              const Address& destination) noexcept {
  const auto hop = views.next_hops->find(destination);
  if (hop == views.next_hops->end()) return false;
  auto* header = rte_pktmbuf_mtod(frame, std::uint8_t*);
  std::copy(hop->second.begin(), hop->second.end(), header);
  std::copy(own_mac_.begin(), own_mac_.end(), header + 6);
  return true;
}

// A frame that waits for its next hop; the kernel holds a few back in the same way.
void Dataplane::hold(rte_mbuf* frame, const Address& destination) noexcept {
  wanted_hops_.push(destination);
  if (held_count_ == held_.size()) {
    outbound_.refused[static_cast<std::size_t>(DropReason::no_neighbour)].add(1);
    rte_pktmbuf_free(frame);
    return;
  }
  held_[held_count_++] = {frame, destination, Clock::now() + kHoldTime};
}

void Dataplane::release_held(const Views& views) noexcept {
  std::size_t kept = 0;
  const auto now = Clock::now();
  for (std::size_t i = 0; i < held_count_; ++i) {
    const Held held = held_[i];
    if (burst_->ready_count < kBurst && address_frame(views, held.frame, held.destination)) {
      burst_->ready[burst_->ready_count++] = held.frame;
    } else if (now >= held.until) {
      outbound_.refused[static_cast<std::size_t>(DropReason::no_neighbour)].add(1);
      rte_pktmbuf_free(held.frame);
    } else {
      held_[kept++] = held;
    }
  }
  held_count_ = kept;
  send(parts_.wire, outbound_);
}

bool Dataplane::give_to_card(const Views& views, Slot& slot, SecurityAssociation& sa) noexcept {
  const auto session = views.sessions->find(&sa);
  if (session == views.sessions->end()) return false;
  rte_mbuf* mbuf = slot.mbuf;
  const bool ipv4 = slot.packet.data[0] >> 4 == 4;
  mbuf->l2_len = kEthernetBytes;
  // A nine-bit field, and 60 at most.
  mbuf->l3_len = (ipv4 ? (slot.packet.data[0] & 0x0f) * 4u : 40u) & 0x1ff;
  mbuf->ol_flags |= RTE_MBUF_F_TX_SEC_OFFLOAD | (ipv4 ? RTE_MBUF_F_TX_IPV4 : RTE_MBUF_F_TX_IPV6);
  rte_security_set_pkt_metadata(static_cast<rte_security_ctx*>(parts_.card->security_context()),
                                session->second, mbuf, nullptr);
  return true;
}

// The frame becomes its own answer. False when there is none to give.
bool Dataplane::tell_too_big(Slot& slot, std::uint32_t fitting_mtu) noexcept {
  if (answer_budget_ == 0) return false;
  TooBigAnswer answer;
  const std::size_t bytes =
      answer_too_big({slot.packet.data, slot.packet.length}, fitting_mtu, answer);
  if (bytes == 0 || bytes > slot.packet.length + slot.packet.tailroom) return false;
  --answer_budget_;
  std::memcpy(slot.packet.data, answer.data(), bytes);
  slot.packet.length = static_cast<std::uint32_t>(bytes);
  std::copy_n(slot.ethernet.begin(), 6, slot.ethernet.begin() + 6);
  std::copy(own_mac_.begin(), own_mac_.end(), slot.ethernet.begin());
  close_frame(slot);
  burst_->answers[burst_->answer_count++] = slot.mbuf;
  return true;
}

void Dataplane::finish_outbound(const Views& views, Slot& slot,
                                ipsec::OutboundItem& item) noexcept {
  if (item.acquire >= 0) {
    acquires_.push(
        {item.policy->id, static_cast<std::uint32_t>(item.acquire), slot.source, slot.destination});
  }
  if (item.outcome == Outcome::drop) {
    if (item.reason != DropReason::too_big || !tell_too_big(slot, item.fitting_mtu)) {
      drop(slot, outbound_, DropReason::none);
    }
    return;
  }
  Address source, destination;
  read_addresses(slot.packet, source, destination);
  if (item.outcome == Outcome::to_card) {
    const ipsec::SaConfig& config = item.card->config();
    if (config.mode == ipsec::Mode::tunnel) destination = config.id.destination;
    if (!give_to_card(views, slot, *item.card)) return drop(slot, outbound_, DropReason::stale_sa);
    outbound_.by_card.add(1);
  }
  close_frame(slot);
  // A packet that got another destination goes to that one's next hop; else the host has addressed
  // the frame already.
  if (destination == slot.destination || address_frame(views, slot.mbuf, destination)) {
    burst_->ready[burst_->ready_count++] = slot.mbuf;
  } else {
    hold(slot.mbuf, destination);
  }
}

void Dataplane::host_to_wire(const Views& views, std::size_t count) noexcept {
  Burst& work = *burst_;
  outbound_.received.add(count);
  std::size_t packets = 0;
  for (std::size_t i = 0; i < count; ++i) {
    Slot& slot = work.slots[packets];
    slot.mbuf = work.received[i];
    slot.mbuf->ol_flags = 0;
    if (!open_frame(slot, outbound_)) continue;
    const auto verdict = processor_.find_outbound_policy(*views.spd, slot.packet);
    if (verdict.reason != DropReason::none ||
        !read_addresses(slot.packet, slot.source, slot.destination)) {
      drop(slot, outbound_, DropReason::none);
      continue;
    }
    work.outbound[packets] = {};
    work.outbound[packets].packet = &slot.packet;
    work.outbound[packets].policy = verdict.policy;
    work.outbound[packets].mtu = wire_mtu_;
    ++packets;
  }
  processor_.outbound(*views.sad, {work.outbound.data(), packets});
  for (std::size_t i = 0; i < packets; ++i) {
    finish_outbound(views, work.slots[i], work.outbound[i]);
  }
  send(parts_.wire, outbound_);
  if (work.answer_count != 0) parts_.host.send({work.answers.data(), work.answer_count});
  work.answer_count = 0;
}

// ---- wire to host

// What the card says of the frame. False when it was refused there.
bool Dataplane::take_from_card(Slot& slot) noexcept {
  const rte_mbuf& mbuf = *slot.mbuf;
  auto* sa = reinterpret_cast<SecurityAssociation*>(*rte_security_dynfield(slot.mbuf));
  if ((mbuf.ol_flags & RTE_MBUF_F_RX_SEC_OFFLOAD_FAILED) != 0) {
    auto reason = DropReason::icv;  // a NIC that does not say why
    if (reason_offset_ >= 0) {
      reason = static_cast<DropReason>(rte_pmd_saline_reason(&mbuf, reason_offset_));
    }
    if (sa != nullptr) sa->refuse(reason);
    return drop(slot, inbound_, reason), false;
  }
  // The view of this burst keeps the SA alive: it is taken from the card before it leaves the SAD.
  Address source, destination;
  const bool usable =
      sa != nullptr && sa->usable() && read_addresses(slot.packet, source, destination);
  if (!usable) return drop(slot, inbound_, DropReason::no_sa), false;
  // A transport mode SA is found by SPI alone in many a NIC (RFC 4301 §4.1 asks for more).
  const ipsec::SaConfig& config = sa->config();
  if (config.mode == ipsec::Mode::transport && config.id.destination != destination) {
    sa->refuse(DropReason::no_sa);
    return drop(slot, inbound_, DropReason::no_sa), false;
  }
  slot.packet.push_history(sa, config.mode);
  inbound_.by_card.add(1);
  return true;
}

void Dataplane::finish_inbound(const Views& views, Slot& slot, ipsec::InboundItem& item) noexcept {
  if (item.outcome == Outcome::drop) return drop(slot, inbound_, DropReason::none);
  Address source, destination;
  if (!read_addresses(slot.packet, source, destination)) {
    return drop(slot, inbound_, DropReason::malformed);
  }
  const bool to_group = (slot.ethernet[0] & 1) != 0;
  const bool for_us = to_group || views.local->contains(destination);
  const auto verdict = processor_.check_inbound_policy(
      *views.spd, slot.packet, for_us ? ipsec::Direction::in : ipsec::Direction::fwd);
  if (verdict.reason != DropReason::none) return drop(slot, inbound_, DropReason::none);
  if (slot.packet.history_count != 0) {
    // The frame's address was the outer packet's; what came out of it is the host's.
    std::copy(own_mac_.begin(), own_mac_.end(), slot.ethernet.begin());
  }
  close_frame(slot);
  burst_->ready[burst_->ready_count++] = slot.mbuf;
}

void Dataplane::wire_to_host(const Views& views, std::size_t count) noexcept {
  Burst& work = *burst_;
  inbound_.received.add(count);
  std::size_t packets = 0;
  for (std::size_t i = 0; i < count; ++i) {
    Slot& slot = work.slots[packets];
    slot.mbuf = work.received[i];
    const auto* frame = rte_pktmbuf_mtod(slot.mbuf, const std::uint8_t*);
    const bool group = slot.mbuf->data_len != 0 && (frame[0] & 1) != 0;
    if (!group && slot.mbuf->data_len >= kEthernetBytes &&
        std::memcmp(frame, own_mac_.data(), own_mac_.size()) != 0) {
      inbound_.other_host.add(1);
      drop(slot, inbound_, DropReason::none);
      continue;
    }
    if (!open_frame(slot, inbound_)) continue;
    if ((slot.mbuf->ol_flags & RTE_MBUF_F_RX_SEC_OFFLOAD) != 0 && !take_from_card(slot)) continue;
    work.inbound[packets] = {};
    work.inbound[packets].packet = &slot.packet;
    ++packets;
  }
  processor_.inbound(*views.sad, {work.inbound.data(), packets});
  for (std::size_t i = 0; i < packets; ++i) finish_inbound(views, work.slots[i], work.inbound[i]);
  send(parts_.host, inbound_);
}

// ---- the thread

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
