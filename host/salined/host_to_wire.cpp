// Outbound: frames of the host through the policy and out of the wire port (RFC 4301 §5.1).
#include <rte_mbuf.h>
#include <rte_security.h>

#include <algorithm>
#include <cstring>

#include "host/salined/burst.hpp"
#include "host/salined/frame_buffer.hpp"
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
  send(outward());
}

// RFC 3948 §4. A few at a time: what is left waits for the next turn.
void Dataplane::send_keepalives(const Views& views) noexcept {
  for (std::size_t count = 0; count < kBurst; ++count) {
    const auto keepalive = keepalives_.pop();
    if (!keepalive) break;
    std::array<std::uint8_t, kEthernetBytes> ethernet{};
    const bool ipv4 = keepalive->destination.family == base::Family::ipv4;
    base::store16(ethernet.data() + 12, ipv4 ? kEtherIpv4 : kEtherIpv6);
    rte_mbuf* frame =
        chain_frame(ethernet, std::span(keepalive->bytes).first(keepalive->length), &parts_.frames);
    if (frame == nullptr) break;
    transmit_frame(views, frame, {}, keepalive->destination);
  }
  send(outward());
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

// An ICMP message to the host about the slot's packet. False when there is none, or too many have
// gone already.
bool Dataplane::answer(const Slot& slot, std::span<const std::uint8_t> icmp) noexcept {
  if (icmp.empty() || answer_budget_ == 0 || burst_->answer_count == kBurst) return false;
  Slot message;
  message.mbuf = new_frame(&parts_.frames);
  if (message.mbuf == nullptr) return false;
  --answer_budget_;
  message.packet.data = rte_pktmbuf_mtod(message.mbuf, std::uint8_t*) + kEthernetBytes;
  message.packet.length = static_cast<std::uint32_t>(icmp.size());
  std::memcpy(message.packet.data, icmp.data(), icmp.size());
  std::copy(own_mac_.begin(), own_mac_.end(), message.ethernet.begin());
  std::copy_n(slot.ethernet.begin(), 6, message.ethernet.begin() + 6);
  burst_->answers[burst_->answer_count++] = frame_of(message);
  return true;
}

void Dataplane::refuse_outbound(Slot& slot, const ipsec::OutboundItem& item) noexcept {
  TooBigAnswer icmp;
  const std::span<const std::uint8_t> packet = slot.packet.bytes();
  if (item.reason == DropReason::too_big && !slot.is_piece) {
    answer(slot, {icmp.data(), answer_too_big(packet, item.fitting_mtu, icmp)});
  } else if (item.reason == DropReason::policy && parts_.settings.report_discard) {
    answer(slot, {icmp.data(), answer_prohibited(packet, icmp)});
  }
  drop(slot, outbound_, DropReason::none);
}

void Dataplane::transmit_frame(const Views& views, rte_mbuf* frame, const Address& from,
                               const Address& to) noexcept {
  // A packet that got another destination goes to that one's next hop; else the host has addressed
  // the frame already.
  if (to == from || address_frame(views, frame, to)) {
    push_ready(frame, outward());
  } else {
    hold(frame, to);
  }
}

void Dataplane::finish_outbound(const Views& views, Slot& slot,
                                ipsec::OutboundItem& item) noexcept {
  if (item.acquire >= 0) {
    acquires_.push(
        {item.policy->id, static_cast<std::uint32_t>(item.acquire), slot.source, slot.destination});
  }
  Address source, destination;
  read_addresses(slot.packet, source, destination);
  switch (item.outcome) {
    case Outcome::drop:
      return refuse_outbound(slot, item);
    case Outcome::split:
      // A piece fits by its making, unless the path has become narrower within the burst.
      if (slot.is_piece) return drop(slot, outbound_, DropReason::too_big);
      return protect_pieces(views, slot, item);
    case Outcome::to_card: {
      const ipsec::SaConfig& config = item.card->config();
      if (config.mode == ipsec::Mode::tunnel) destination = config.id.destination;
      if (slot.mbuf == nullptr) return drop(slot, outbound_, DropReason::too_big);
      if (!give_to_card(views, slot, *item.card))
        return drop(slot, outbound_, DropReason::stale_sa);
      outbound_.by_card.add(1);
      return transmit(views, slot, destination, ipsec::Reassembly::kWholeMax);
    }
    case Outcome::pass:
      break;
  }
  const bool clear = item.policy == nullptr || item.policy->action != ipsec::Action::ipsec;
  if (!clear || slot.packet.length <= wire_mtu_) {
    const std::uint32_t mtu = item.fragment_to != 0 ? item.fragment_to : wire_mtu_;
    return transmit(views, slot, destination, mtu);
  }
  // In clear and too large: as a router would do.
  if (slot.may_be_split()) return transmit(views, slot, destination, wire_mtu_);
  item.reason = DropReason::too_big;
  item.fitting_mtu = wire_mtu_;
  outbound_.refused[static_cast<std::size_t>(DropReason::too_big)].add(1);
  refuse_outbound(slot, item);
}

// False when the frame is done with. Else the slot holds a packet for the policy.
bool Dataplane::open_outbound(const Views& views, Slot& slot) noexcept {
  const Way way = outward();
  slot.mbuf->ol_flags = 0;
  if (!open_frame(slot, way)) return false;
  if (views.spd->needs_whole_packets(ipsec::Direction::out) && may_be_fragment(slot.packet)) {
    ipsec::Headers headers;
    if (ipsec::parse_headers(slot.packet.bytes(), headers) && headers.fragment &&
        !put_together(slot, way, headers, 0)) {
      return false;
    }
  }
  if (!read_addresses(slot.packet, slot.source, slot.destination)) {
    drop(slot, outbound_, DropReason::malformed);
    return false;
  }
  if (parts_.settings.mss_clamp != 0) {
    ipsec::Flow flow;
    if (ipsec::parse_flow(slot.packet.bytes(), flow) && flow.upper_protocol == ipsec::kTcp) {
      const ipsec::Policy* policy = views.spd->match(ipsec::Direction::out, flow);
      if (policy != nullptr && policy->action == ipsec::Action::ipsec) clamp(views, slot, *policy);
    }
  }
  return true;
}

void Dataplane::host_to_wire(const Views& views, std::size_t count) noexcept {
  Burst& work = *burst_;
  const Way way = outward();
  outbound_.received.add(count);
  std::size_t packets = 0;
  for (std::size_t i = 0; i < count; ++i) {
    Slot& slot = work.slots[packets];
    slot.mbuf = own_frame(work.received[i], &parts_.frames);
    if (slot.mbuf != work.received[i]) outbound_.copied.add(1);
    if (slot.mbuf == nullptr) {
      drop(slot, outbound_, DropReason::no_buffer);
      continue;
    }
    if (!open_outbound(views, slot)) continue;
    ipsec::OutboundItem& item = work.outbound[packets++];
    item = {};
    item.packet = &slot.packet;
    item.mtu = wire_mtu_;
    item.may_split = slot.came_in_fragments;
  }
  processor_.outbound(*views.spd, *views.sad, {work.outbound.data(), packets});
  for (std::size_t i = 0; i < packets; ++i) {
    finish_outbound(views, work.slots[i], work.outbound[i]);
  }
  send(way);
  if (work.answer_count != 0) parts_.host.send({work.answers.data(), work.answer_count});
  work.answer_count = 0;
}

}  // namespace saline::daemon
