// mbufs as the data plane needs them: one segment that nobody else reads, since packets are changed
// where they lie.
#pragma once

#include <cstdint>
#include <span>

struct rte_mbuf;
struct rte_mempool;

namespace saline::daemon {

// An empty frame with room in front for the headers of a bundle; nullptr when there is none left.
rte_mbuf* new_frame(rte_mempool* pool) noexcept;

// `frame` itself when it is one segment and all ours; else a copy that is, and `frame` is freed:
// chained, indirect, shared or attached buffers. nullptr when there is no room for the copy.
rte_mbuf* own_frame(rte_mbuf* frame, rte_mempool* pool) noexcept;

// A frame of as many segments as it takes: an Ethernet header and a packet behind it. nullptr when
// the pool is empty.
rte_mbuf* chain_frame(std::span<const std::uint8_t> ethernet, std::span<const std::uint8_t> packet,
                      rte_mempool* pool) noexcept;

}  // namespace saline::daemon
