// The card's shell under test without the driver: a card whose engine is a loopback stand-in
// (tests/sim/loopback), memory with faults on demand, and rings written by hand from the records of
// hw/interface.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>
#include <random>
#include <set>
#include <vector>

#include "hw/interface/saline_hw.hpp"
#include "sim/card.hpp"
#include "sim/mac_link.hpp"

namespace saline::sim {

constexpr std::uint64_t kMemoryBase = 0x12'3456'0000;  // both address halves are in use

// A stretch of device memory. Bursts that touch an address in `faults` are refused, and so are
// bursts outside.
class RigMemory : public Memory {
 public:
  explicit RigMemory(std::size_t bytes) : data(bytes) {}

  bool read(std::uint64_t address, std::span<std::uint8_t> out) noexcept override {
    ++reads;
    if (!good(address, out.size())) return false;
    std::memcpy(out.data(), at(address), out.size());
    return true;
  }
  bool write(std::uint64_t address, std::span<const std::uint8_t> bytes) noexcept override {
    ++writes;
    if (!good(address, bytes.size())) return false;
    std::memcpy(at(address), bytes.data(), bytes.size());
    return true;
  }
  std::uint8_t* at(std::uint64_t address) { return &data.at(address - kMemoryBase); }

  std::vector<std::uint8_t> data;
  std::set<std::uint64_t> faults;
  std::size_t reads = 0, writes = 0;

 private:
  bool good(std::uint64_t address, std::size_t bytes) const {
    if (address < kMemoryBase || address - kMemoryBase + bytes > data.size()) return false;
    const auto fault = faults.lower_bound(address);
    return fault == faults.end() || *fault >= address + bytes;
  }
};

// Where things are in the memory of the rig.
struct RigLayout {
  std::uint64_t tx = kMemoryBase + 0x0000'0000;
  std::uint64_t rx = kMemoryBase + 0x0010'0000;
  std::uint64_t done = kMemoryBase + 0x0020'0000;
  std::uint64_t events = kMemoryBase + 0x0030'0000;
  std::uint64_t head = kMemoryBase + 0x0040'0040;
  std::uint64_t buffers = kMemoryBase + 0x0050'0000;
  unsigned tx_log2 = 4, rx_log2 = 4, event_log2 = 2;
};

class Rig {
 public:
  explicit Rig(CardOptions options = {}) : memory(0x0200'0000), card(memory, mac, options) {}

  void write64(std::uint32_t low, std::uint64_t value) {
    card.write32(low, static_cast<std::uint32_t>(value));
    card.write32(low + 4, static_cast<std::uint32_t>(value >> 32));
  }

  void start(const RigLayout& wanted = {}) {
    layout = wanted;
    write64(hw::reg::tx_base_low, layout.tx);
    write64(hw::reg::tx_head_low, layout.head);
    write64(hw::reg::rx_base_low, layout.rx);
    write64(hw::reg::rx_done_low, layout.done);
    write64(hw::reg::event_base_low, layout.events);
    card.write32(hw::reg::tx_size_log2, layout.tx_log2);
    card.write32(hw::reg::rx_size_log2, layout.rx_log2);
    card.write32(hw::reg::event_size_log2, layout.event_log2);
    std::fill_n(memory.at(layout.done), hw::RxCompletion::kBytes << layout.rx_log2, 0);
    std::fill_n(memory.at(layout.events), hw::Event::kBytes << layout.event_log2, 0);
    std::fill_n(memory.at(layout.head), 64, 0);
    tx_posted = rx_posted = rx_taken = events_taken = 0;
    card.write32(hw::reg::control, 1);
  }

  void post_tx(const hw::TxDescriptor& descriptor) {
    const auto bytes = descriptor.encode();
    const std::uint64_t slot = tx_posted++ & ((1u << layout.tx_log2) - 1);
    std::copy(bytes.begin(), bytes.end(), memory.at(layout.tx + slot * bytes.size()));
  }
  void post_rx(std::uint64_t address, std::uint16_t room) {
    const auto bytes = hw::RxDescriptor{.address = address, .bytes = room}.encode();
    const std::uint64_t slot = rx_posted++ & ((1u << layout.rx_log2) - 1);
    std::copy(bytes.begin(), bytes.end(), memory.at(layout.rx + slot * bytes.size()));
  }
  void ring_tx() { card.write32(hw::reg::tx_tail, tx_posted & 0xffff); }
  void ring_rx() { card.write32(hw::reg::rx_tail, rx_posted & 0xffff); }

  // Sends bytes from that address.
  void send(std::uint64_t address, const std::vector<std::uint8_t>& frame) {
    std::copy(frame.begin(), frame.end(), memory.at(address));
    post_tx({.address = address, .bytes = static_cast<std::uint16_t>(frame.size())});
    ring_tx();
  }

  // Runs until the card is at rest; a card that does not come to rest fails the test.
  void settle() {
    for (int tries = 0; tries < 200; ++tries) {
      if (card.run(5000)) return;
    }
    FAIL() << "the card does not come to rest";
  }

  std::uint32_t head() {
    std::uint32_t value = 0;
    std::memcpy(&value, memory.at(layout.head), sizeof value);
    return value;
  }

  // The next completion, by its phase.
  bool completion(hw::RxCompletion& completion) {
    const std::uint64_t slot = rx_taken & ((1u << layout.rx_log2) - 1);
    const std::uint8_t phase = (rx_taken >> layout.rx_log2 & 1) != 0 ? 2 : 1;
    std::array<std::uint8_t, hw::RxCompletion::kBytes> bytes{};
    std::copy_n(memory.at(layout.done + slot * bytes.size()), bytes.size(), bytes.begin());
    completion = hw::decode_rx_completion(bytes);
    if (completion.phase != phase) return false;
    ++rx_taken;
    return true;
  }

  bool event(hw::Event& event) {
    const std::uint64_t slot = events_taken & ((1u << layout.event_log2) - 1);
    const std::uint8_t phase = (events_taken >> layout.event_log2 & 1) != 0 ? 2 : 1;
    std::array<std::uint8_t, hw::Event::kBytes> bytes{};
    std::copy_n(memory.at(layout.events + slot * bytes.size()), bytes.size(), bytes.begin());
    event = hw::decode_event(bytes);
    if (event.phase != phase) return false;
    ++events_taken;
    return true;
  }

  // The 16 words of a counter snapshot.
  std::array<std::uint32_t, 16> snapshot(hw::CountBank bank, std::uint32_t index) {
    card.write32(hw::reg::count_select, static_cast<std::uint32_t>(bank));
    card.write32(hw::reg::count_index, index);
    std::array<std::uint32_t, 16> words{};
    for (auto& word : words) word = card.read32(hw::reg::count_data);
    return words;
  }
  std::uint64_t count(hw::CountBank bank, std::uint32_t index) {
    const auto words = snapshot(bank, index);
    return std::uint64_t{words[0]} << 32 | words[1];
  }
  std::uint64_t tx_drops(hw::DropReason reason) {
    return count(hw::CountBank::egress_reasons, static_cast<std::uint32_t>(reason));
  }
  std::uint64_t rx_drops(hw::DropReason reason) {
    return count(hw::CountBank::ingress_reasons, static_cast<std::uint32_t>(reason));
  }

  RigMemory memory;
  QueueMac mac;
  Card card;
  RigLayout layout;
  std::uint32_t tx_posted = 0, rx_posted = 0, rx_taken = 0, events_taken = 0;
};

inline std::vector<std::uint8_t> random_frame(std::mt19937_64& random, std::size_t bytes) {
  std::vector<std::uint8_t> frame(bytes);
  for (auto& byte : frame) byte = static_cast<std::uint8_t>(random());
  return frame;
}

}  // namespace saline::sim
