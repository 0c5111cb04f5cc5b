// The data thread's working memory for one burst. Private to the data plane.
#pragma once

#include <array>
#include <cstdint>

#include "host/salined/dataplane.hpp"
#include "host/salined/frame.hpp"

namespace saline::daemon {

struct Dataplane::Slot {
  rte_mbuf* mbuf = nullptr;
  ipsec::Packet packet;
  std::array<std::uint8_t, kEthernetBytes> ethernet{};  // as received, then as sent
  // Outbound: of the packet as the host gave it.
  base::Address source;
  base::Address destination;
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

// The addresses of an IP header; false when there is none.
bool read_addresses(const ipsec::Packet& packet, base::Address& source,
                    base::Address& destination) noexcept;

}  // namespace saline::daemon
