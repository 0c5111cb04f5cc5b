// Inbound: frames of the wire through AH, ESP and the policy to the host (RFC 4301 §5.2).
#include <rte_mbuf.h>
#include <rte_security.h>

#include <algorithm>
#include <cstring>

#include "driver/pmd/rte_pmd_saline.h"
#include "host/salined/burst.hpp"

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

}  // namespace saline::daemon
