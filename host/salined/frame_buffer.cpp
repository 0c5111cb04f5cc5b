// See frame_buffer.hpp.
#include "host/salined/frame_buffer.hpp"

#include <rte_mbuf.h>

#include <algorithm>
#include <cstring>

#include "host/salined/port.hpp"

namespace saline::daemon {
namespace {

bool is_shared(const rte_mbuf* frame) noexcept {
  return rte_mbuf_refcnt_read(frame) != 1 || RTE_MBUF_CLONED(frame) ||
         (RTE_MBUF_HAS_EXTBUF(frame) && !RTE_MBUF_HAS_PINNED_EXTBUF(frame) &&
          rte_mbuf_ext_refcnt_read(frame->shinfo) != 1);
}

}  // namespace

rte_mbuf* new_frame(rte_mempool* pool) noexcept {
  rte_mbuf* frame = rte_pktmbuf_alloc(pool);
  if (frame != nullptr) frame->data_off = kFrameHeadroom;
  return frame;
}

rte_mbuf* own_frame(rte_mbuf* frame, rte_mempool* pool) noexcept {
  if (frame->nb_segs == 1 && !is_shared(frame)) return frame;
  rte_mbuf* copy = rte_pktmbuf_copy(frame, pool, 0, UINT32_MAX);
  rte_pktmbuf_free(frame);
  if (copy == nullptr || copy->nb_segs == 1) return copy;
  rte_pktmbuf_free(copy);  // larger than a frame of the port may be
  return nullptr;
}

rte_mbuf* chain_frame(std::span<const std::uint8_t> ethernet, std::span<const std::uint8_t> packet,
                      rte_mempool* pool) noexcept {
  rte_mbuf* first = new_frame(pool);
  if (first == nullptr) return nullptr;
  std::memcpy(rte_pktmbuf_append(first, static_cast<std::uint16_t>(ethernet.size())),
              ethernet.data(), ethernet.size());
  rte_mbuf* last = first;
  while (!packet.empty()) {
    if (rte_pktmbuf_tailroom(last) == 0) {
      rte_mbuf* next = new_frame(pool);
      if (next == nullptr || rte_pktmbuf_chain(first, next) != 0) {
        rte_pktmbuf_free(next);
        rte_pktmbuf_free(first);
        return nullptr;
      }
      last = next;
    }
    const auto bytes = static_cast<std::uint16_t>(
        std::min<std::size_t>(packet.size(), rte_pktmbuf_tailroom(last)));
    std::memcpy(rte_pktmbuf_mtod_offset(last, std::uint8_t*, last->data_len), packet.data(), bytes);
    last->data_len = static_cast<std::uint16_t>(last->data_len + bytes);
    first->pkt_len += bytes;
    packet = packet.subspan(bytes);
  }
  return first;
}

}  // namespace saline::daemon
