// The data path: mbufs to frames and back. No allocation but from mempools, no lock, no log.
#include <algorithm>
#include <array>

#include "driver/pmd/port.hpp"
#include "driver/pmd/received.hpp"

namespace saline::pmd {
namespace {

constexpr std::size_t kBatch = 32;

rte_mbuf* mbuf_of(std::uint64_t cookie) noexcept { return reinterpret_cast<rte_mbuf*>(cookie); }
std::uint64_t cookie_of(rte_mbuf* mbuf) noexcept { return reinterpret_cast<std::uint64_t>(mbuf); }

void free_cookies(const std::uint64_t* cookies, std::size_t count) noexcept {
  for (std::size_t i = 0; i < count; ++i) rte_pktmbuf_free(mbuf_of(cookies[i]));
}

// ---- events

rte_eth_event_ipsec_subtype subtype(std::uint8_t kind) noexcept {
  switch (static_cast<hw::EventKind>(kind)) {
    case hw::EventKind::soft_packets:
      return RTE_ETH_EVENT_IPSEC_SA_PKT_EXPIRY;
    case hw::EventKind::soft_bytes:
      return RTE_ETH_EVENT_IPSEC_SA_BYTE_EXPIRY;
    case hw::EventKind::hard_packets:
      return RTE_ETH_EVENT_IPSEC_SA_PKT_HARD_EXPIRY;
    case hw::EventKind::hard_bytes:
      return RTE_ETH_EVENT_IPSEC_SA_BYTE_HARD_EXPIRY;
    case hw::EventKind::seq_overflow:
      return RTE_ETH_EVENT_IPSEC_ESN_OVERFLOW;
    case hw::EventKind::none:
      break;
  }
  return RTE_ETH_EVENT_IPSEC_UNKNOWN;
}

void deliver_events(Port& port) noexcept {
  std::array<hw::Event, kBatch> events;
  const std::size_t count = port.device->poll_events(events);
  for (std::size_t i = 0; i < count; ++i) {
    const hw::Event& event = events[i];
    const auto& owners = event.inbound ? port.ingress_owners : port.egress_owners;
    rte_eth_event_ipsec_desc description{};
    if (event.sa_index >= owners.size() ||
        !owners[event.sa_index].find(event.sa_tag, description.metadata)) {
      continue;  // the session is gone: nobody to tell
    }
    description.subtype = subtype(event.kind);
    rte_eth_dev_callback_process(port.dev, RTE_ETH_EVENT_IPSEC, &description);
  }
}

// ---- receive

void describe_security(const Port& port, const driver::RxFrame& frame, rte_mbuf& mbuf) noexcept {
  hw::DropReason reason = frame.reason;
  if (frame.is_protected) {
    std::uint64_t userdata = 0;
    const bool known = frame.sa_index < port.ingress_owners.size() &&
                       port.ingress_owners[frame.sa_index].find(frame.sa_tag, userdata);
    if (!known && reason == hw::DropReason::none) reason = hw::DropReason::stale_sa;
    *rte_security_dynfield(&mbuf) = userdata;
    mbuf.ol_flags |= RTE_MBUF_F_RX_SEC_OFFLOAD;
    if (reason != hw::DropReason::none) mbuf.ol_flags |= RTE_MBUF_F_RX_SEC_OFFLOAD_FAILED;
  }
  *RTE_MBUF_DYNFIELD(&mbuf, port.reason_offset, std::uint8_t*) = static_cast<std::uint8_t>(reason);
}

rte_mbuf* to_mbuf(const ReceiveQueue& queue, const driver::RxFrame& frame) noexcept {
  rte_mbuf* mbuf = mbuf_of(frame.cookie);
  mbuf->data_len = frame.bytes;
  mbuf->pkt_len = frame.bytes;
  mbuf->port = queue.port->dev->data->port_id;
  mbuf->ol_flags = 0;
  describe_security(*queue.port, frame, *mbuf);
  const bool still_esp = frame.esp || (frame.is_protected && frame.reason != hw::DropReason::none);
  describe_received(*mbuf, queue.offloads, still_esp);
  return mbuf;
}

// ---- transmit

// DPDK leaves open whether the Ethernet type in front of a packet to be protected announces that
// packet or the tunnel header to come (its own inline test suite does the latter); the card wants
// the former and writes the type of what it sends itself.
void announce_inner(rte_mbuf& mbuf) noexcept {
  if (mbuf.data_len <= RTE_ETHER_HDR_LEN) return;
  auto* ethernet = rte_pktmbuf_mtod(&mbuf, rte_ether_hdr*);
  const rte_be16_t ipv4 = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4);
  const rte_be16_t ipv6 = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV6);
  if (ethernet->ether_type != ipv4 && ethernet->ether_type != ipv6) return;
  const int version = *reinterpret_cast<const std::uint8_t*>(ethernet + 1) >> 4;
  const rte_be16_t type = version == 4 ? ipv4 : version == 6 ? ipv6 : ethernet->ether_type;
  if (type == ethernet->ether_type) return;
  // Shared data is not ours to write; the card refuses it as malformed.
  if (rte_mbuf_refcnt_read(&mbuf) == 1 && RTE_MBUF_DIRECT(&mbuf)) ethernet->ether_type = type;
}

enum class Form { sendable, refused };

Form to_frame(const Port& port, rte_mbuf& mbuf, driver::TxFrame& frame) noexcept {
  if (mbuf.nb_segs != 1 || mbuf.data_len < RTE_ETHER_HDR_LEN ||
      mbuf.data_len > port.device->frame_bytes_max()) {
    return Form::refused;
  }
  frame = {.data = rte_pktmbuf_mtod(&mbuf, const std::uint8_t*),
           .bytes = mbuf.data_len,
           .cookie = cookie_of(&mbuf)};
  if ((mbuf.ol_flags & RTE_MBUF_F_TX_SEC_OFFLOAD) != 0) {
    // A mark that names no SA of the card ends there as stale_sa: never in the clear.
    announce_inner(mbuf);
    const driver::SaSlot slot = Metadata::decode(*rte_security_dynfield(&mbuf));
    frame.protect = true;
    frame.sa_index = slot.index;
    frame.sa_tag = slot.tag;
  } else {
    frame.classify = port.classify.load(std::memory_order_relaxed);
  }
  return Form::sendable;
}

}  // namespace

void fill_receive_ring(ReceiveQueue& queue) noexcept {
  driver::Device& device = *queue.port->device;
  std::array<rte_mbuf*, kBatch> mbufs;
  std::array<driver::RxBuffer, kBatch> buffers;
  for (std::size_t room = device.receive_room(); room > 0;) {
    const std::size_t count = std::min(room, kBatch);
    if (rte_pktmbuf_alloc_bulk(queue.pool, mbufs.data(), static_cast<unsigned>(count)) != 0) {
      queue.no_mbuf.add(count);
      return;
    }
    for (std::size_t i = 0; i < count; ++i) {
      buffers[i] = {.data = rte_pktmbuf_mtod(mbufs[i], std::uint8_t*),
                    .bytes = queue.room,
                    .cookie = cookie_of(mbufs[i])};
    }
    const std::size_t posted = device.post_receive({buffers.data(), count});
    for (std::size_t i = posted; i < count; ++i) rte_pktmbuf_free(mbufs[i]);
    if (posted < count) return;
    room -= count;
  }
}

std::uint16_t receive_burst(void* opaque, rte_mbuf** packets, std::uint16_t count) noexcept {
  auto& queue = *static_cast<ReceiveQueue*>(opaque);
  Port& port = *queue.port;
  std::array<driver::RxFrame, kBatch> frames;
  std::uint16_t received = 0;
  std::uint64_t bytes = 0;
  while (received < count) {
    const std::size_t wanted = std::min<std::size_t>(kBatch, count - received);
    const std::size_t got = port.device->receive({frames.data(), wanted});
    for (std::size_t i = 0; i < got; ++i) {
      if (frames[i].bytes == 0) {  // lost to a bus error, which the card has counted
        rte_pktmbuf_free(mbuf_of(frames[i].cookie));
        continue;
      }
      packets[received++] = to_mbuf(queue, frames[i]);
      bytes += frames[i].bytes;
    }
    if (got < wanted) break;
  }
  fill_receive_ring(queue);
  deliver_events(port);
  queue.packets.add(received);
  queue.bytes.add(bytes);
  return received;
}

std::uint16_t transmit_burst(void* opaque, rte_mbuf** packets, std::uint16_t count) noexcept {
  auto& queue = *static_cast<TransmitQueue*>(opaque);
  Port& port = *queue.port;
  free_transmitted(*port.device);

  std::array<driver::TxFrame, kBatch> frames;
  std::uint16_t done = 0;
  std::uint64_t sent = 0, bytes = 0;
  while (done < count) {
    std::size_t batch = 0;
    std::uint64_t batch_bytes = 0;
    bool refused = false;
    while (batch < kBatch && done + batch < count && !refused) {
      refused = to_frame(port, *packets[done + batch], frames[batch]) == Form::refused;
      if (!refused) ++batch;
    }
    const std::size_t taken = port.device->transmit({frames.data(), batch});
    for (std::size_t i = 0; i < taken; ++i) batch_bytes += frames[i].bytes;
    done = static_cast<std::uint16_t>(done + taken);
    sent += taken;
    bytes += batch_bytes;
    if (taken < batch) break;
    if (refused) {
      rte_pktmbuf_free(packets[done++]);
      queue.refused.add(1);
    }
  }
  queue.packets.add(sent);
  queue.bytes.add(bytes);
  return done;
}

void free_transmitted(driver::Device& device) noexcept {
  std::array<std::uint64_t, kBatch> cookies;
  for (std::size_t count = kBatch; count == kBatch;) {
    count = device.reap_transmitted(cookies);
    free_cookies(cookies.data(), count);
  }
}

void free_held(driver::Device& device) noexcept {
  std::array<std::uint64_t, kBatch> cookies;
  while (const std::size_t count = device.reclaim_transmit(cookies)) {
    free_cookies(cookies.data(), count);
  }
  while (const std::size_t count = device.reclaim_receive(cookies)) {
    free_cookies(cookies.data(), count);
  }
}

}  // namespace saline::pmd
