// A card in fifty lines for tests of the device layer: registers, a log of table commits, rings
// that send every frame straight back. And what no good card does: wrong identity, refused writes,
// impossible counts, half-written completions.
#pragma once

#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <vector>

#include "driver/transport.hpp"
#include "host/base/bytes.hpp"
#include "host/base/error.hpp"
#include "hw/interface/saline_hw.hpp"

namespace saline::driver {

struct Commit {
  hw::Table table;
  std::uint32_t index;
  hw::TableOp op;
  std::vector<std::uint8_t> record;
};

// What a test sees and sets; outlives the transport, which the Device owns.
struct FakeCard {
  FakeCard() {
    for (const hw::Register& reg : hw::kRegisters) registers[reg.offset] = reg.reset.value_or(0);
    registers[hw::reg::status] = 1;
    registers[hw::reg::caps_sa_slots] = 8;
    registers[hw::reg::caps_lookup] = 4;
    registers[hw::reg::caps_policies] = 4;
    registers[hw::reg::caps_suites] = 0b110;
    registers[hw::reg::caps_window] = 1024;
  }

  std::uint64_t address(std::uint32_t low) {
    return std::uint64_t{registers[low + 4]} << 32 | registers[low];
  }
  std::uint8_t* entry(std::uint32_t base, std::uint32_t size_log2, std::uint32_t count) {
    const std::uint32_t entries = 1u << registers[size_log2];
    return reinterpret_cast<std::uint8_t*>(address(base)) + (count & (entries - 1)) * 32;
  }
  std::uint8_t phase(std::uint32_t size_log2, std::uint32_t count) {
    return (count >> registers[size_log2] & 1) != 0 ? 2 : 1;
  }

  // Takes one posted frame and delivers it to the next posted buffer, if there is one.
  bool forward_one() {
    if (static_cast<std::uint16_t>(registers[hw::reg::tx_tail] - sent) == 0) return false;
    std::uint8_t* at = entry(hw::reg::tx_base_low, hw::reg::tx_size_log2, sent);
    const auto tx = hw::decode_tx_descriptor(std::span<const std::uint8_t, 32>(at, 32));
    descriptors.push_back(tx);
    if (static_cast<std::uint16_t>(registers[hw::reg::rx_tail] - received) != 0) {
      at = entry(hw::reg::rx_base_low, hw::reg::rx_size_log2, received);
      const auto rx = hw::decode_rx_descriptor(std::span<const std::uint8_t, 32>(at, 32));
      std::memcpy(reinterpret_cast<void*>(rx.address), reinterpret_cast<const void*>(tx.address),
                  std::min(tx.bytes, rx.bytes));
      hw::RxCompletion completion;
      completion.bytes = claimed_bytes != 0 ? claimed_bytes : tx.bytes;
      if (frames_lost > 0) {
        --frames_lost;
        completion.bytes = 0;
        completion.reason = static_cast<std::uint8_t>(hw::DropReason::dma);
      }
      completion.spi = 0x1234;
      completion.phase = phase(hw::reg::rx_size_log2, received);
      const auto record = completion.encode();
      at = entry(hw::reg::rx_done_low, hw::reg::rx_size_log2, received);
      std::memcpy(at + half_from, record.data() + half_from, 32 - half_from);
      ++received;
    }
    ++sent;
    *reinterpret_cast<std::uint32_t*>(address(hw::reg::tx_head_low)) = sent + extra_head;
    return true;
  }

  std::map<std::uint32_t, std::uint32_t> registers;
  std::vector<std::uint8_t> staged;
  std::vector<Commit> commits;
  std::vector<hw::TxDescriptor> descriptors;
  std::uint32_t sent = 0, received = 0;
  // Faults.
  int commits_until_refusal = -1;
  bool refuse_doorbells = false;
  std::uint32_t extra_head = 0;
  std::uint16_t claimed_bytes = 0;
  std::size_t half_from = 0;  // completions lack their first bytes
  bool never_idle = false;
  unsigned frames_lost = 0;  // to bus errors
};

class FakeTransport : public Transport {
 public:
  explicit FakeTransport(FakeCard& card, bool in_place = true) : card_(card), in_place_(in_place) {}

  std::uint32_t read32(std::uint32_t offset) override {
    if (offset == hw::reg::status && card_.never_idle) return 0;
    return card_.registers[offset];
  }

  void write32(std::uint32_t offset, std::uint32_t value) override {
    const bool doorbell = offset == hw::reg::tx_tail || offset == hw::reg::rx_tail;
    if (doorbell && card_.refuse_doorbells && value != 0) throw base::Error(EIO, "gone");
    card_.registers[offset] = value;
    if (offset == hw::reg::table_data) {
      card_.staged.resize(card_.staged.size() + 4);
      base::store32(&card_.staged[card_.staged.size() - 4], value);
    }
    if (offset == hw::reg::table_commit) {
      if (card_.commits_until_refusal == 0) throw base::Error(EIO, "gone");
      if (card_.commits_until_refusal > 0) --card_.commits_until_refusal;
      card_.commits.push_back({static_cast<hw::Table>(card_.registers[hw::reg::table_select]),
                               card_.registers[hw::reg::table_index],
                               static_cast<hw::TableOp>(value), std::move(card_.staged)});
      card_.staged.clear();
    }
    if (offset == hw::reg::control && (value & 1) == 0) card_.sent = card_.received = 0;
  }

  std::unique_ptr<DmaMemory> allocate(std::size_t bytes) override {
    return std::make_unique<Pages>((bytes + 4095) / 4096 * 4096);
  }
  bool addresses_process_memory() const noexcept override { return in_place_; }
  void progress() noexcept override {
    while (card_.forward_one()) {
    }
  }
  std::string description() const override { return "fake"; }

 private:
  class Pages : public DmaMemory {
   public:
    explicit Pages(std::size_t bytes) : memory_(bytes / 8) {}
    std::span<std::uint8_t> host() noexcept override {
      return {reinterpret_cast<std::uint8_t*>(memory_.data()), memory_.size() * 8};
    }
    std::uint64_t device_address() const noexcept override {
      return reinterpret_cast<std::uint64_t>(memory_.data());
    }
    void to_device(std::size_t, std::size_t) override {}
    void from_device(std::size_t, std::size_t) override {}

   private:
    std::vector<std::uint64_t> memory_;
  };

  FakeCard& card_;
  bool in_place_;
};

}  // namespace saline::driver
