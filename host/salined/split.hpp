// Splitting a slot's packet into frames. Private to the data plane.
#pragma once

#include <rte_mbuf.h>

#include "host/ipsec/fragment.hpp"
#include "host/salined/burst.hpp"
#include "host/salined/frame_buffer.hpp"

namespace saline::daemon {

// Calls use(frame, packet) for each fragment: a frame with the packet in it, but no Ethernet header
// yet. False when the packet cannot be split, or the frames ran out.
template <typename Use>
bool Dataplane::split(const Slot& slot, std::uint32_t mtu, Use&& use) noexcept {
  std::array<std::uint8_t, 4> identification{};
  ipsec::Splitter splitter;
  if (!random_.fill(identification) ||
      !splitter.start(slot.packet.bytes(), mtu, base::load32(identification.data()))) {
    return false;
  }
  for (;;) {
    rte_mbuf* frame = new_frame(&parts_.frames);
    if (frame == nullptr) return false;
    ipsec::Packet packet;
    packet.data = rte_pktmbuf_mtod(frame, std::uint8_t*) + kEthernetBytes;
    const std::uint32_t room = rte_pktmbuf_tailroom(frame) - kEthernetBytes;
    packet.length = splitter.next({packet.data, room});
    if (packet.length == 0) {
      rte_pktmbuf_free(frame);
      return splitter.done();
    }
    packet.headroom = frame->data_off;
    packet.tailroom = room - packet.length;
    use(frame, packet);
  }
}

}  // namespace saline::daemon
