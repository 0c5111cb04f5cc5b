// Inbound: frames of the wire through AH, ESP and the policy to the host (RFC 4301 §5.2).
#include <rte_mbuf.h>
#include <rte_security.h>

#include <algorithm>
#include <cstring>

#include "driver/pmd/rte_pmd_saline.h"
#include "host/ipsec/icmp.hpp"
#include "host/salined/burst.hpp"
#include "host/salined/frame_buffer.hpp"

namespace saline::daemon {

using base::Address;
using hw::DropReason;
using ipsec::Outcome;
using ipsec::SecurityAssociation;

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

// Only what the wire says in clear, about packets of ours.
void Dataplane::learn_path_mtu(const Views& views, const Slot& slot) noexcept {
  const std::uint8_t* ip = slot.packet.data;
  const bool ipv4 = ip[0] >> 4 == 4;
  if (slot.packet.length < 40 || ip[ipv4 ? 9 : 6] != (ipv4 ? ipsec::kIcmp : ipsec::kIcmpv6)) return;
  ipsec::Headers headers;
  if (!ipsec::parse_headers(slot.packet.bytes(), headers)) return;
  switch (ipsec::learn_path_mtu(slot.packet.bytes(), headers, *views.sad, now_s_)) {
    case ipsec::PathReport::none:
      break;
    case ipsec::PathReport::ignored:
      inbound_.path_mtu_ignored.add(1);
      break;
    case ipsec::PathReport::learned:
      inbound_.path_mtu_learned.add(1);
      break;
  }
}

namespace {

// Fragments that came through different SAs are never put together.
std::uint64_t context_of(const ipsec::Packet& packet) noexcept {
  std::uint64_t context = packet.history_count;
  for (std::size_t i = 0; i < packet.history_count; ++i) {
    context = context * 0x9e3779b97f4a7c15u ^
              reinterpret_cast<std::uintptr_t>(packet.history[i].association);
  }
  return context;
}

}  // namespace

// False when the frame is done with. Else the slot holds a packet for the Processor.
bool Dataplane::open_inbound(const Views& views, Slot& slot) noexcept {
  const auto* frame = rte_pktmbuf_mtod(slot.mbuf, const std::uint8_t*);
  const bool group = slot.mbuf->data_len != 0 && (frame[0] & 1) != 0;
  if (!group && slot.mbuf->data_len >= kEthernetBytes &&
      std::memcmp(frame, own_mac_.data(), own_mac_.size()) != 0) {
    inbound_.other_host.add(1);
    return drop(slot, inbound_, DropReason::none), false;
  }
  if (!open_frame(slot, inward())) return false;
  if ((slot.mbuf->ol_flags & RTE_MBUF_F_RX_SEC_OFFLOAD) != 0) return take_from_card(slot);
  if (parts_.settings.learn_path_mtu) learn_path_mtu(views, slot);
  if (!may_be_fragment(slot.packet)) return true;
  ipsec::Headers headers;
  if (!ipsec::parse_headers(slot.packet.bytes(), headers) || !headers.fragment) return true;
  // Behind UDP there may be ESP (RFC 3948), and only the first fragment would tell.
  const bool perhaps_protected = headers.upper_protocol == ipsec::kEsp ||
                                 headers.upper_protocol == ipsec::kAh ||
                                 headers.upper_protocol == ipsec::kUdp;
  if (!perhaps_protected || !views.local->contains(headers.destination)) return true;
  return put_together(slot, inward(), headers, 0);
}

// Whole packets for the policy, and its verdict. False when the packet is done with.
bool Dataplane::finish_inbound(const Views& views, Slot& slot, ipsec::InboundItem& item) noexcept {
  if (item.outcome == Outcome::drop) return drop(slot, inbound_, DropReason::none), false;
  Address source, destination;
  if (!read_addresses(slot.packet, source, destination))
    return drop(slot, inbound_, DropReason::malformed), false;
  const bool for_us = item.to_group || views.local->contains(destination);
  const auto direction = for_us ? ipsec::Direction::in : ipsec::Direction::fwd;
  if (views.spd->needs_whole_packets(direction) && may_be_fragment(slot.packet)) {
    ipsec::Headers headers;
    if (ipsec::parse_headers(slot.packet.bytes(), headers) && headers.fragment &&
        !put_together(slot, inward(), headers, context_of(slot.packet))) {
      return false;
    }
  }
  const auto verdict = processor_.check_inbound_policy(*views.spd, slot.packet, direction);
  item.policy = verdict.policy;
  if (verdict.reason == DropReason::none) return true;
  return drop(slot, inbound_, DropReason::none), false;
}

void Dataplane::wire_to_host(const Views& views, std::size_t count) noexcept {
  Burst& work = *burst_;
  inbound_.received.add(count);
  std::size_t packets = 0;
  for (std::size_t i = 0; i < count; ++i) {
    Slot& slot = work.slots[packets];
    slot.mbuf = own_frame(work.received[i], &parts_.frames);
    if (slot.mbuf != work.received[i]) inbound_.copied.add(1);
    if (slot.mbuf == nullptr) {
      drop(slot, inbound_, DropReason::no_buffer);
      continue;
    }
    if (!open_inbound(views, slot)) continue;
    ipsec::InboundItem& item = work.inbound[packets++];
    item = {};
    item.packet = &slot.packet;
    item.to_group = (slot.ethernet[0] & 1) != 0;
  }
  processor_.inbound(*views.sad, {work.inbound.data(), packets});
  for (std::size_t i = 0; i < packets; ++i) {
    Slot& slot = work.slots[i];
    // What ESP came in is nothing to the packet that was in it.
    if (slot.packet.history_count != 0) slot.came_in_fragments = false;
    if (!finish_inbound(views, slot, work.inbound[i])) continue;
    if (slot.packet.history_count != 0) {
      // The frame's address was the outer packet's; what came out of it is the host's.
      std::copy(own_mac_.begin(), own_mac_.end(), slot.ethernet.begin());
      if (parts_.settings.mss_clamp != 0 && work.inbound[i].policy != nullptr)
        clamp(views, slot, *work.inbound[i].policy);
    }
    deliver(slot);
  }
  send(inward());
}

}  // namespace saline::daemon
