// The data thread's working memory for one burst. Private to the data plane.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "host/salined/dataplane.hpp"
#include "host/salined/frame.hpp"

namespace saline::daemon {

// One packet of a burst, in the frame it came in or, when it is too large for any, in the slot's
// own buffer; mbuf is then nullptr.
struct Dataplane::Slot {
  rte_mbuf* mbuf = nullptr;
  std::uint8_t* large = nullptr;  // kLargeBytes, the slot's for good
  ipsec::Packet packet;
  std::array<std::uint8_t, kEthernetBytes> ethernet{};  // as received, then as sent
  bool came_in_fragments = false;
  bool is_piece = false;  // of a packet that has been split already
  // Outbound: of the packet as the host gave it.
  base::Address source;
  base::Address destination;

  bool may_be_split() const noexcept {
    constexpr std::uint8_t kDontFragment = 0x40;
    return came_in_fragments || (packet.data[0] >> 4 == 4 && (packet.data[6] & kDontFragment) == 0);
  }
};

struct Dataplane::Way {
  Port& to;
  FlowCounters& counters;
  ipsec::Reassembly& reassembly;
};

struct Dataplane::Burst {
  static constexpr std::size_t kLargeHeadroom = 1024;
  static constexpr std::size_t kLargeBytes =
      kLargeHeadroom + ipsec::Reassembly::kWholeMax + kFrameSlack;

  Burst() : large(kBurst * kLargeBytes) {
    for (std::size_t i = 0; i < kBurst; ++i) slots[i].large = &large[i * kLargeBytes];
  }

  std::vector<std::uint8_t> large;
  std::array<rte_mbuf*, kBurst> received{};
  std::array<rte_mbuf*, kBurst> ready{};  // to be sent, in order
  std::size_t ready_count = 0;
  std::array<rte_mbuf*, kBurst> answers{};  // to the host, about what it sent
  std::size_t answer_count = 0;
  std::array<Slot, kBurst> slots;
  std::array<ipsec::OutboundItem, kBurst> outbound;
  std::array<ipsec::InboundItem, kBurst> inbound;
  // The fragments of one packet that is protected in pieces.
  std::array<Slot, kBurst> piece_slots;
  std::array<ipsec::OutboundItem, kBurst> pieces;
};

// What the control thread published, held for one burst.
struct Dataplane::Views {
  const ipsec::SadView* sad;
  const ipsec::SpdView* spd;
  const NextHopView* next_hops;
  const ipsec::LocalAddresses* local;
  const SessionView* sessions;
};

// The addresses of an IP header; false when there is none.
bool read_addresses(const ipsec::Packet& packet, base::Address& source,
                    base::Address& destination) noexcept;

// Whether the packet may be a fragment: all of IPv4's, and IPv6 with an extension header.
bool may_be_fragment(const ipsec::Packet& packet) noexcept;

}  // namespace saline::daemon
