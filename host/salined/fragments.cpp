// Fragments in and out of the data plane; see dataplane.hpp.
#include <algorithm>
#include <cstring>

#include "host/salined/split.hpp"

namespace saline::daemon {

using base::Address;
using hw::DropReason;

// False when the fragment waits for others or is refused; else the slot holds the whole packet.
// `headers` is the parse of the slot's packet.
bool Dataplane::put_together(Slot& slot, Way way, const ipsec::Headers& headers,
                             std::uint64_t context) noexcept {
  using Result = ipsec::Reassembly::Result;
  std::uint8_t* whole = slot.large + Burst::kLargeHeadroom;
  std::uint32_t length = 0;
  switch (way.reassembly.add(slot.packet.bytes(), headers, context, now_s_,
                             {whole, ipsec::Reassembly::kWholeMax}, length)) {
    case Result::refused:
      return drop(slot, way.counters, DropReason::reassembly), false;
    case Result::held:
      return drop(slot, way.counters, DropReason::none), false;
    case Result::whole:
      break;
  }
  slot.came_in_fragments = true;
  rte_mbuf* mbuf = slot.mbuf;
  if (mbuf != nullptr &&
      length + kFrameHeadroom + kEthernetBytes + kFrameSlack / 2 <= mbuf->buf_len) {
    slot.packet.data = static_cast<std::uint8_t*>(mbuf->buf_addr) + kFrameHeadroom + kEthernetBytes;
    std::memcpy(slot.packet.data, whole, length);
    slot.packet.headroom = kFrameHeadroom;
    slot.packet.tailroom = mbuf->buf_len - kFrameHeadroom - kEthernetBytes - length;
  } else {
    rte_pktmbuf_free(mbuf);
    slot.mbuf = nullptr;
    slot.packet.data = whole;
    slot.packet.headroom = Burst::kLargeHeadroom - kEthernetBytes;
    slot.packet.tailroom =
        static_cast<std::uint32_t>(Burst::kLargeBytes - Burst::kLargeHeadroom - length);
  }
  slot.packet.length = length;
  return true;
}

// Fragment before: each piece goes through the same policy by itself.
void Dataplane::protect_pieces(const Views& views, Slot& slot,
                               const ipsec::OutboundItem& item) noexcept {
  Burst& work = *burst_;
  std::size_t count = 0;
  const auto protect = [&]() noexcept {
    processor_.outbound(*views.sad, {work.pieces.data(), count});
    for (std::size_t i = 0; i < count; ++i)
      finish_outbound(views, work.piece_slots[i], work.pieces[i]);
    count = 0;
  };
  const bool whole = split(slot, item.fitting_mtu, [&](rte_mbuf* frame, ipsec::Packet& packet) {
    Slot& piece = work.piece_slots[count];
    piece.mbuf = frame;
    piece.packet = packet;
    piece.ethernet = slot.ethernet;
    piece.came_in_fragments = false;
    piece.is_piece = true;
    piece.source = slot.source;
    piece.destination = slot.destination;
    work.pieces[count] = {};
    work.pieces[count].packet = &piece.packet;
    work.pieces[count].policy = item.policy;
    work.pieces[count].mtu = item.mtu;
    if (++count == kBurst) protect();
  });
  protect();
  if (!whole) return drop(slot, outbound_, DropReason::no_buffer);
  outbound_.fragmented.add(1);
  drop(slot, outbound_, DropReason::none);
}

// Sends what the slot holds, in fragments where it is larger than `mtu`, to the station behind
// `destination`.
void Dataplane::transmit(const Views& views, Slot& slot, const Address& destination,
                         std::uint32_t mtu) noexcept {
  if (slot.packet.length <= mtu) {
    rte_mbuf* frame = frame_of(slot);
    if (frame == nullptr) return drop(slot, outbound_, DropReason::no_buffer);
    return transmit_frame(views, frame, slot.destination, destination);
  }
  const bool whole = split(slot, mtu, [&](rte_mbuf* frame, ipsec::Packet& packet) {
    Slot piece;
    piece.mbuf = frame;
    piece.packet = packet;
    piece.ethernet = slot.ethernet;
    transmit_frame(views, frame_of(piece), slot.destination, destination);
  });
  if (whole) outbound_.fragmented.add(1);
  drop(slot, outbound_, whole ? DropReason::none : DropReason::no_buffer);
}

// To the host. What came in fragments leaves in fragments, if it must; else the host may take it
// larger than its MTU.
void Dataplane::deliver(Slot& slot) noexcept {
  const Way way = inward();
  const std::uint32_t mtu = parts_.host.mtu();
  if (slot.packet.length <= mtu ||
      (!slot.came_in_fragments && slot.packet.length + kEthernetBytes <= parts_.host.frame_max())) {
    rte_mbuf* frame = frame_of(slot);
    if (frame == nullptr) return drop(slot, inbound_, DropReason::no_buffer);
    return push_ready(frame, way);
  }
  if (!slot.may_be_split()) return drop(slot, inbound_, DropReason::too_big);
  const bool whole = split(slot, mtu, [&](rte_mbuf* frame, ipsec::Packet& packet) {
    Slot piece;
    piece.mbuf = frame;
    piece.packet = packet;
    piece.ethernet = slot.ethernet;
    push_ready(frame_of(piece), way);
  });
  if (whole) inbound_.fragmented.add(1);
  drop(slot, inbound_, whole ? DropReason::none : DropReason::no_buffer);
}

}  // namespace saline::daemon
