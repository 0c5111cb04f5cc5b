// The data thread: frames into packets and back, one turn, the loop; see dataplane.hpp.
#include "host/salined/dataplane.hpp"

#include <rte_eal.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <cstring>
#include <thread>
#include <utility>

#include "driver/pmd/rte_pmd_saline.h"
#include "host/ipsec/mss.hpp"
#include "host/salined/burst.hpp"
#include "host/salined/frame_buffer.hpp"

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

bool may_be_fragment(const ipsec::Packet& packet) noexcept {
  const std::uint8_t version = packet.length == 0 ? 0 : packet.data[0] >> 4;
  if (version == 4) return packet.length >= 20 && (base::load16(packet.data + 6) & 0x3fff) != 0;
  if (version != 6 || packet.length < 40) return false;
  const std::uint8_t next = packet.data[6];
  return next == ipsec::kFragment || next == ipsec::kHopByHop || next == ipsec::kRouting ||
         next == ipsec::kDestinationOptions;
}

Dataplane::Dataplane(DataplaneParts parts)
    : parts_(std::move(parts)),
      own_mac_(parts_.wire.mac()),
      wire_mtu_(parts_.wire.mtu()),
      reason_offset_(rte_pmd_saline_reason_offset()),
      processor_(parts_.provider),
      new_settings_(std::make_unique<ipsec::Settings>(parts_.settings)),
      outbound_whole_({.time_s = parts_.settings.reassembly_time_s}),
      inbound_whole_({.time_s = parts_.settings.reassembly_time_s}),
      burst_(std::make_unique<Burst>()) {
  processor_.set_settings(parts_.settings);
}

Dataplane::~Dataplane() {
  for (std::size_t i = 0; i < held_count_; ++i) rte_pktmbuf_free(held_[i].frame);
}

Dataplane::Way Dataplane::outward() noexcept { return {parts_.wire, outbound_, outbound_whole_}; }

Dataplane::Way Dataplane::inward() noexcept { return {parts_.host, inbound_, inbound_whole_}; }

void Dataplane::drop(Slot& slot, FlowCounters& counters, DropReason reason) noexcept {
  if (reason != DropReason::none) counters.refused[static_cast<std::size_t>(reason)].add(1);
  rte_pktmbuf_free(slot.mbuf);
  slot.mbuf = nullptr;
}

// Takes the Ethernet header off and leaves the packet with all the room around it. False when the
// frame is done with: passed on or dropped.
bool Dataplane::open_frame(Slot& slot, Way way) noexcept {
  rte_mbuf* mbuf = slot.mbuf;
  auto* frame = rte_pktmbuf_mtod(mbuf, std::uint8_t*);
  switch (classify_frame({frame, mbuf->data_len})) {
    case FrameKind::malformed:
      return drop(slot, way.counters, DropReason::malformed), false;
    case FrameKind::hidden_ip:
      return drop(slot, way.counters, DropReason::unsupported), false;
    case FrameKind::not_ip:
      way.counters.not_ip.add(1);
      push_ready(mbuf, way);
      return false;
    case FrameKind::ip:
      break;
  }
  std::memcpy(slot.ethernet.data(), frame, kEthernetBytes);
  slot.packet.data = frame + kEthernetBytes;
  slot.packet.length = mbuf->data_len - kEthernetBytes;
  slot.packet.headroom = mbuf->data_off;  // the rest is for the Ethernet header
  slot.packet.tailroom = rte_pktmbuf_tailroom(mbuf);
  slot.packet.history_count = 0;
  slot.came_in_fragments = slot.is_piece = false;
  // Only from the link itself: what a card took out of a tunnel answers to policy.
  const bool decapsulated = (mbuf->ol_flags & RTE_MBUF_F_RX_SEC_OFFLOAD) != 0;
  if (!decapsulated && is_link_discovery({slot.packet.data, slot.packet.length})) {
    way.counters.discovery.add(1);
    push_ready(mbuf, way);
    return false;
  }
  return true;
}

// Makes a frame again of what the packet has become; nullptr when no buffer holds it. The slot is
// empty then.
rte_mbuf* Dataplane::frame_of(Slot& slot) noexcept {
  const ipsec::Packet& packet = slot.packet;
  base::store16(slot.ethernet.data() + 12, packet.data[0] >> 4 == 4 ? kEtherIpv4 : kEtherIpv6);
  rte_mbuf* mbuf = std::exchange(slot.mbuf, nullptr);
  if (mbuf == nullptr) return chain_frame(slot.ethernet, packet.bytes(), &parts_.frames);
  std::uint8_t* frame = packet.data - kEthernetBytes;
  std::memcpy(frame, slot.ethernet.data(), kEthernetBytes);
  mbuf->data_off = static_cast<std::uint16_t>(frame - static_cast<std::uint8_t*>(mbuf->buf_addr));
  mbuf->data_len = static_cast<std::uint16_t>(packet.length + kEthernetBytes);
  mbuf->pkt_len = mbuf->data_len;
  return mbuf;
}

void Dataplane::send(Way way) noexcept {
  const std::size_t count = burst_->ready_count;
  if (count == 0) return;
  const std::size_t sent = way.to.send({burst_->ready.data(), count});
  way.counters.sent.add(sent);
  way.counters.port_full.add(count - sent);
  burst_->ready_count = 0;
}

void Dataplane::push_ready(rte_mbuf* frame, Way way) noexcept {
  if (burst_->ready_count == kBurst) send(way);
  burst_->ready[burst_->ready_count++] = frame;
}

// RFC 4459 §3.2; `policy` is the one that protects the packet.
void Dataplane::clamp(const Views& views, Slot& slot, const ipsec::Policy& policy) noexcept {
  ipsec::Headers headers;
  if (!ipsec::parse_headers(slot.packet.bytes(), headers) ||
      headers.upper_protocol != ipsec::kTcp) {
    return;
  }
  std::uint16_t most = parts_.settings.mss_clamp;
  if (most == 1) {
    const std::uint32_t overhead = ipsec::worst_case_overhead(policy, *views.sad, parts_.settings);
    most = ipsec::mss_for(wire_mtu_ > overhead ? wire_mtu_ - overhead : 0, headers.family);
  }
  if (most != 0) ipsec::clamp_mss(slot.packet.bytes(), headers, most);
}

void Dataplane::serve_time() noexcept {
  const auto now = Clock::now();
  if (now < next_time_) return;
  next_time_ = now + std::chrono::milliseconds(100);
  now_s_ = parts_.clock();
  processor_.set_time(now_s_);
  answer_budget_ = kAnswersPerPeriod;
  constexpr auto kReason = static_cast<std::size_t>(DropReason::reassembly);
  outbound_.refused[kReason].add(outbound_whole_.expire(now_s_));
  inbound_.refused[kReason].add(inbound_whole_.expire(now_s_));
}

// Held from round to round: that they are the same ones is known by their address.
void Dataplane::take_settings() noexcept {
  const ipsec::Settings* settings = new_settings_.acquire();
  if (settings == settings_in_use_) return;
  settings_in_use_ = settings;
  parts_.settings = *settings;
  processor_.set_settings(*settings);
}

bool Dataplane::turn() noexcept {
  serve_time();
  take_settings();
  // Before any frame is taken: an SA that a frame names is in this view or a newer one.
  const Views views{parts_.sad.view().acquire(), parts_.spd.view().acquire(),
                    parts_.next_hops.acquire(), parts_.local_addresses.acquire(),
                    parts_.card != nullptr ? parts_.card->sessions().acquire() : &no_sessions_};
  processor_.set_local_addresses(views.local);
  auto* ports = parts_.encapsulation_ports;
  if (ports != nullptr) processor_.set_encapsulation_ports(ports->acquire());
  if (held_count_ != 0) release_held(views);
  send_keepalives(views);
  const std::size_t from_host = parts_.host.receive(burst_->received);
  if (from_host != 0) host_to_wire(views, from_host);
  const std::size_t from_wire = parts_.wire.receive(burst_->received);
  if (from_wire != 0) wire_to_host(views, from_wire);
  parts_.sad.view().release();
  parts_.spd.view().release();
  parts_.next_hops.release();
  parts_.local_addresses.release();
  if (ports != nullptr) ports->release();
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
  while (!stop.load(std::memory_order_relaxed)) {
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
