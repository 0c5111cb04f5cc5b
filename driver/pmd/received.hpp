// What a received frame is: packet type and checksum flags of its mbuf.
#pragma once

#include <cstdint>

#include "driver/pmd/dpdk.hpp"

namespace saline::pmd {

// Sets packet_type, and for the RTE_ETH_RX_OFFLOAD_*_CKSUM bits in `offloads` the flags of
// checksums that were in fact checked, here in software; the others stay UNKNOWN. The frame is
// mbuf's first segment. `esp`: the frame is ESP that the card left alone.
void describe_received(rte_mbuf& mbuf, std::uint64_t offloads, bool esp) noexcept;

// Types describe_received tells apart, ended by RTE_PTYPE_UNKNOWN.
const std::uint32_t* supported_packet_types() noexcept;

}  // namespace saline::pmd
