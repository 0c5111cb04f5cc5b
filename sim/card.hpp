// The Verilated card (hw/rtl/saline_card.sv) as an object: a clock, AXI4-Lite registers, an AXI4
// memory interface served by a Memory, and a MAC served by a Mac. Used by the in-process transport
// (model.cpp), the process behind libxrt (emulation/) and the tests. It has no thread and no lock:
// one caller at a time. Verilator's headers stay inside card.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace saline::sim {

// What the card's AXI4 master reaches. Addresses are device addresses; one call per burst, never
// across a 4 KiB boundary. False becomes an AXI error response (SLVERR) for the whole burst.
class Memory {
 public:
  virtual ~Memory() = default;
  virtual bool read(std::uint64_t address, std::span<std::uint8_t> out) noexcept = 0;
  // Only bytes the card strobed: a burst with a gap arrives as several calls, in address order.
  virtual bool write(std::uint64_t address, std::span<const std::uint8_t> data) noexcept = 0;
};

// The other side of the card's MAC, frames without FCS.
class Mac {
 public:
  struct Frame {
    std::vector<std::uint8_t> bytes;
    bool damaged = false;  // as a MAC marks a frame with a bad FCS
  };

  virtual ~Mac() = default;
  virtual void transmit(std::span<const std::uint8_t> frame) noexcept = 0;
  // The next received frame (1 to frame_bytes_max bytes), false when there is none. Polled often.
  virtual bool receive(Frame& frame) noexcept = 0;
};

struct CardOptions {
  // Percent of clocks in which each AXI and MAC channel is stalled at random; 0 is never.
  unsigned stall_percent = 0;
  std::uint64_t stall_seed = 1;
  // Clocks from an accepted read address to its first beat, as a PCIe round trip would add.
  unsigned read_latency = 2;
};

class Card {
 public:
  // Comes out of reset with every register at its reset value. Both outlive the card.
  Card(Memory& memory, Mac& mac, CardOptions options = {});
  ~Card();
  Card(const Card&) = delete;
  Card& operator=(const Card&) = delete;

  // One AXI4-Lite access; the clock runs meanwhile. Throws base::Error(EIO) without an answer.
  std::uint32_t read32(std::uint32_t offset);
  void write32(std::uint32_t offset, std::uint32_t value);

  void step() noexcept;  // one clock
  // Steps while there is work, at most max_cycles; true when idle at the end. An idle card with no
  // frame waiting at its MAC costs one receive() and no clock.
  bool run(unsigned max_cycles) noexcept;

  std::uint64_t cycles() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace saline::sim
