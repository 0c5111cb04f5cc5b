// Outbound: frames of the host through the policy and out of the wire port (RFC 4301 §5.1).
#include <rte_mbuf.h>
#include <rte_security.h>

#include <algorithm>
#include <cstring>

#include "host/salined/burst.hpp"
#include "host/salined/too_big.hpp"

namespace saline::daemon {

using base::Address;
using Clock = std::chrono::steady_clock;
using hw::DropReason;
using ipsec::Outcome;
using ipsec::SecurityAssociation;

namespace {

// How long a frame waits for its next hop.
constexpr std::chrono::seconds kHoldTime{1};

}  // namespace

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
  if (item.outcome == Outcome::drop || item.outcome == Outcome::split) {
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

}  // namespace saline::daemon
