// The device layer: one card behind a Transport, as SA slots, policies, counters and rings.
//
// Knows the records of hw/interface and nothing of DPDK or of the daemon's SAD. Two kinds of use:
//   control path  start, stop, tables, counters: any thread, one mutex, throws base::Error; a
//                 refused request leaves nothing behind in the card
//   data path     transmit and reap_transmitted by one thread, post_receive and receive by one
//                 thread, poll_events by one thread; noexcept, no allocation, lock or system call
//                 of its own (a simulated card's transport may need them)
// start and stop must not run while a data path call does.
//
// Buffers. Where the transport addresses process memory, frames are used in place; otherwise they
// are copied through memory both sides see, and copied_bytes() says how much. The data path gives
// buffers back by their cookie, in the order they were given.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "driver/transport.hpp"
#include "host/base/ip.hpp"
#include "hw/interface/saline_hw.hpp"

namespace saline::driver {

enum class Direction : std::uint8_t { egress, ingress };

// What this build of the card can do; read once, when the Device is made.
struct Capabilities {
  std::uint32_t sa_slots = 0;        // in each direction
  std::uint32_t lookup_buckets = 0;  // of hw::kLookupWays entries
  std::uint32_t policies = 0;
  std::uint32_t suites = 0;  // bit n: hw::Suite n
  std::uint32_t window = 0;  // largest anti-replay window, packets

  bool has(hw::Suite suite) const noexcept {
    return (suites >> static_cast<unsigned>(suite) & 1) != 0;
  }
};

// Entries of each ring, powers of two from 4 to 32768. frame_bytes is the room of a bounce buffer:
// the largest frame where the transport does not address process memory.
struct RingSizes {
  std::uint32_t transmit = 256;
  std::uint32_t receive = 256;
  std::uint32_t events = 256;
  std::uint32_t frame_bytes = 2048;
};

// One SA in the card. The tag changes each time a slot is used anew, so that a descriptor,
// completion or event of the slot's former SA is recognised. It is never zero.
struct SaSlot {
  Direction direction = Direction::egress;
  std::uint16_t index = 0;
  std::uint16_t tag = 0;
  bool operator==(const SaSlot&) const = default;
};

// A frame to send. data stays the caller's but must not change until its cookie is reaped.
struct TxFrame {
  const std::uint8_t* data = nullptr;
  std::uint16_t bytes = 0;  // 14 to frame_bytes_max()
  bool protect = false;     // apply the SA in (sa_index, sa_tag)
  bool classify = false;    // ask the policy table
  std::uint16_t sa_index = 0;
  std::uint16_t sa_tag = 0;
  std::uint64_t cookie = 0;
};

// An empty buffer for a received frame.
struct RxBuffer {
  std::uint8_t* data = nullptr;
  std::uint16_t bytes = 0;  // room
  std::uint64_t cookie = 0;
};

// A received frame, in the buffer its cookie names. A refused one (reason is not none) is here
// only if its SA asked for that, and holds no more than its first 128 bytes, as received.
struct RxFrame {
  std::uint64_t cookie = 0;
  std::uint16_t bytes = 0;
  hw::DropReason reason = hw::DropReason::none;
  bool is_protected = false;  // came through the SA in (sa_index, sa_tag)
  bool tunnel = false;        // a tunnel header was removed
  bool esp = false;           // ESP that the card left alone
  std::uint16_t sa_index = 0;
  std::uint16_t sa_tag = 0;
  std::uint32_t spi = 0;
  std::uint64_t sequence_number = 0;  // with the inferred high half for ESN
};

class Device {
 public:
  // Throws Error(ENODEV) when the registers are not a Saline card's, Error(EPROTO) naming both
  // fingerprints when the card was built from another saline.toml.
  explicit Device(std::unique_ptr<Transport> transport);
  ~Device();  // stops the card and wipes its SAs; never throws
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  const Capabilities& capabilities() const noexcept;
  std::string description() const;  // of the transport

  // ---- life
  // Throws Error(EINVAL) for a size out of range, ENOMEM, EBUSY when started.
  void start(const RingSizes& sizes);
  // Returns when nothing is in flight; buffers the card never used are then reclaimed below.
  // Throws Error(ETIMEDOUT) when the card does not come to rest. Harmless when stopped.
  void stop();
  bool started() const noexcept;
  // True once a data path call could not reach the card; they do nothing from then on.
  bool failed() const noexcept;

  // ---- SAs. sa_tag and valid of the context are set here. Throw Error(ENOSPC) when no slot (or no
  // way of the lookup bucket) is free, EEXIST when (SPI, destination, protocol) is there already,
  // EINVAL for a suite or window the card lacks, ESRCH when the slot no longer holds that SA.
  // A destination of Family::none is any: the SPI alone names the SA (any_destination of the lookup
  // entry; the bucket is chosen by SPI and protocol, so both kinds of entry share it).
  SaSlot add_egress_sa(const hw::SaContext& context);
  SaSlot add_ingress_sa(const hw::SaContext& context, const base::Address& destination,
                        std::uint8_t protocol = 50);
  // Lifetimes, tunnel header fields and keys change; sequence number, window and counters stay.
  // The SPI of an ingress SA may not change: EINVAL.
  void update_sa(const SaSlot& slot, const hw::SaContext& context);
  // As update_sa, but sequence number, window and counters start anew from the context.
  void restart_sa(const SaSlot& slot, const hw::SaContext& context);
  void remove_sa(const SaSlot& slot);  // and wipes its keys in the card
  bool holds(const SaSlot& slot) const noexcept;
  hw::SaCounters sa_counters(const SaSlot& slot);
  std::size_t free_sa_slots(Direction direction) const noexcept;

  // ---- outbound policies, the lowest matching index wins. Throw Error(EINVAL) past the table.
  void set_policy(std::uint32_t index, const hw::PolicyEntry& entry);  // valid is set here
  void clear_policy(std::uint32_t index);
  void set_policy_default_discard(bool discard);  // of classify frames without a match

  // ---- counters since reset
  std::uint64_t port_count(hw::PortCount count);
  std::uint64_t reason_count(Direction direction, hw::DropReason reason);
  std::uint64_t cycles();
  std::uint64_t copied_bytes() const noexcept;

  // ---- data path
  std::size_t frame_bytes_max() const noexcept;
  // Takes frames from the front as long as there is room (and they have a legal length: check
  // before) and returns how many.
  std::size_t transmit(std::span<const TxFrame> frames) noexcept;
  // Cookies of frames whose buffers are the caller's again.
  std::size_t reap_transmitted(std::span<std::uint64_t> cookies) noexcept;
  std::size_t transmit_room() const noexcept;

  std::size_t post_receive(std::span<const RxBuffer> buffers) noexcept;
  std::size_t receive(std::span<RxFrame> frames) noexcept;
  std::size_t receive_room() const noexcept;  // how many more buffers can be posted

  std::size_t poll_events(std::span<hw::Event> events) noexcept;

  // ---- after stop: cookies the card still held. Call until they return 0.
  std::size_t reclaim_transmit(std::span<std::uint64_t> cookies) noexcept;
  std::size_t reclaim_receive(std::span<std::uint64_t> cookies) noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace saline::driver
