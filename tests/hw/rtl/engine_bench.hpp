// The Verilated ipsec_engine with its channels: frames in and out on both sides, table writes and
// counters while traffic runs, random stalls everywhere.
#pragma once

#include <memory>
#include <utility>

#include "Vipsec_engine.h"
#include "tests/hw/rtl/esp_model.hpp"

namespace saline::hw::bench {

template <size_t Words>
void put_big(VlWide<Words>& port, std::span<const uint8_t> record) {
  std::memset(port.data(), 0, 4 * Words);
  for (size_t i = 0; i < record.size(); i++) {
    const size_t at = record.size() - 1 - i;
    port[at / 4] |= static_cast<uint32_t>(record[i]) << (8 * (at % 4));
  }
}

template <size_t Words>
std::array<uint8_t, 4 * Words> get_big(const VlWide<Words>& port) {
  std::array<uint8_t, 4 * Words> record;
  for (size_t i = 0; i < record.size(); i++) {
    const size_t at = record.size() - 1 - i;
    record[i] = static_cast<uint8_t>(port[at / 4] >> (8 * (at % 4)));
  }
  return record;
}

struct Received {
  RxCompletion completion;
  Bytes frame;
};

class EngineBench {
 public:
  explicit EngineBench(uint64_t seed_value);
  ~EngineBench();

  // ---- Traffic
  void transmit(const Bytes& frame, const TxDescriptor& how = {});
  void transmit(const Bytes& frame, uint16_t index, const SaContext& sa);  // protect by descriptor
  void receive(const Bytes& frame, bool damaged = false);
  /// Runs until nothing is inside and all input is taken, or progress stops.
  void run();
  void tick();
  void stall(unsigned percent);
  /// Of the MAC, the host and its completions.
  void stall_sinks(unsigned percent);
  void stall_events(unsigned percent) { event_channel_.stall_percent = percent; }

  std::vector<Bytes> sent() { return std::exchange(mac_packets_.done, {}); }
  std::vector<Received> delivered();
  size_t sent_count() const { return mac_packets_.done.size(); }
  size_t delivered_count() const { return rx_packets_.done.size(); }
  std::vector<Event> events() { return std::exchange(event_channel_.taken, {}); }

  // ---- Tables and counters: run the clock until done
  void install(Table table, uint16_t index, const SaContext& sa, TableOp op = TableOp::install);
  void remove(Table table, uint16_t index);
  void write(const LookupEntry& entry, uint16_t way = 0);
  void unlink(uint32_t spi, uint16_t way = 0);
  void write(uint16_t index, const PolicyEntry& entry);
  /// An inbound SA and the lookup entry that leads to it.
  void hold(uint16_t index, const SaContext& sa, std::span<const uint8_t> destination,
            uint16_t way = 0);
  SaCounters sa_counters(CountBank bank, uint16_t index);
  uint64_t counter(CountBank bank, uint16_t index);
  uint64_t refused(CountBank bank, DropReason reason) {
    return counter(bank, static_cast<uint16_t>(reason));
  }

  Random random;
  Vipsec_engine model;
  uint64_t cycles = 0;

 private:
  using Record = VlWide<8>;
  struct MacBeat {
    BeatPort beat;
    bool error = false;
  };
  void table(Table table, TableOp op, uint16_t index, std::span<const uint8_t> record);
  std::array<uint8_t, 64> snapshot(CountBank bank, uint16_t index);

  Driver<Record> tx_meta_;
  Driver<BeatPort> tx_;
  Driver<MacBeat> mac_rx_;
  Monitor<Beat> mac_tx_;
  Monitor<RxCompletion> rx_meta_;
  Monitor<Beat> rx_;
  Monitor<Event> event_channel_;
  Packets mac_packets_, rx_packets_;
};

/// A frame as a peer's stack would give it to `sa`, of a form that SA can carry.
Bytes carried_frame(Random& random, const SaContext& sa, size_t payload_max);

class Engine : public testing::Test {
 protected:
  void SetUp() override {
    std::printf("SALINE_SEED=%llu\n", static_cast<unsigned long long>(seed_));
  }
  uint64_t seed_ = seed();
  EngineBench engine{seed_};
  Random& random = engine.random;
};

}  // namespace saline::hw::bench
