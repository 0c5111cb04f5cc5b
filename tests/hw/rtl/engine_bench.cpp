// engine_bench.hpp: ports, channels and the clock of the Verilated engine.
#include "tests/hw/rtl/engine_bench.hpp"

namespace saline::hw::bench {

EngineBench::EngineBench(uint64_t seed_value)
    : random(seed_value),
      tx_meta_(model.tx_meta_valid_i, model.tx_meta_ready_o,
               [this](const Record& record) { model.tx_meta_i = record; }),
      tx_(model.tx_valid_i, model.tx_ready_o,
          [this](const BeatPort& beat) { model.tx_beat_i = beat; }),
      mac_rx_(model.mac_rx_valid_i, model.mac_rx_ready_o,
              [this](const MacBeat& beat) {
                model.mac_rx_beat_i = beat.beat;
                model.mac_rx_error_i = beat.error;
              }),
      mac_tx_(model.mac_tx_valid_o, model.mac_tx_ready_i,
              [this] { return from_port(model.mac_tx_beat_o); }),
      rx_meta_(model.rx_meta_valid_o, model.rx_meta_ready_i,
               [this] { return decode_rx_completion(get_big(model.rx_meta_o)); }),
      rx_(model.rx_valid_o, model.rx_ready_i, [this] { return from_port(model.rx_beat_o); }),
      event_channel_(model.event_valid_o, model.event_ready_i,
                     [this] { return decode_event(get_big(model.event_o)); }) {
  mac_tx_.on_word = [this](const Beat& beat) { mac_packets_(beat); };
  rx_.on_word = [this](const Beat& beat) { rx_packets_(beat); };
  model.enable_i = 1;
  model.policy_default_discard_i = 0;
  model.table_valid_i = 0;
  model.count_valid_i = 0;
  model.tx_drop_i = 0;
  model.rx_drop_i = 0;
  model.rx_delivered_i = 0;
  model.event_lost_i = 0;
  model.bus_error_i = 0;
  reset(model);
}

EngineBench::~EngineBench() { model.final(); }

void EngineBench::tick() {
  clock(model, random, tx_meta_, tx_, mac_rx_, mac_tx_, rx_meta_, rx_, event_channel_);
  cycles++;
}

void EngineBench::stall(unsigned percent) {
  tx_meta_.stall_percent = tx_.stall_percent = mac_rx_.stall_percent = percent;
  event_channel_.stall_percent = percent;
  stall_sinks(percent);
}

void EngineBench::stall_sinks(unsigned percent) {
  mac_tx_.stall_percent = rx_meta_.stall_percent = rx_.stall_percent = percent;
}

void EngineBench::transmit(const Bytes& frame, const TxDescriptor& how) {
  TxDescriptor descriptor = how;
  descriptor.bytes = static_cast<uint16_t>(frame.size());
  Record record;
  put_big(record, descriptor.encode());
  tx_meta_.queue.push_back(record);
  for (const auto& beat : to_beats(frame)) tx_.queue.push_back(beat);
}

void EngineBench::transmit(const Bytes& frame, uint16_t index, const SaContext& sa) {
  TxDescriptor how;
  how.protect = true;
  how.sa_index = index;
  how.sa_tag = sa.sa_tag;
  transmit(frame, how);
}

void EngineBench::receive(const Bytes& frame, bool damaged) {
  const auto beats = to_beats(frame);
  for (size_t i = 0; i < beats.size(); i++) {
    mac_rx_.queue.push_back({beats[i], damaged && i + 1 == beats.size()});
  }
}

void EngineBench::run() {
  size_t waiting = 0, before = 0;
  const auto left = [this] {
    return tx_meta_.queue.size() + tx_.queue.size() + mac_rx_.queue.size();
  };
  size_t rest = 0;
  while (rest < 4 && waiting < 20000 && !testing::Test::HasFatalFailure()) {
    tick();
    waiting = left() == before ? waiting + 1 : 0;
    before = left();
    rest = before == 0 && model.idle_o && !model.event_valid_o ? rest + 1 : 0;
  }
  ASSERT_LT(waiting, 20000U) << "the engine hangs, or is never idle";
}

std::vector<Received> EngineBench::delivered() {
  std::vector<Received> all;
  const auto completions = std::exchange(rx_meta_.taken, {});
  const auto frames = std::exchange(rx_packets_.done, {});
  EXPECT_EQ(completions.size(), frames.size());
  for (size_t i = 0; i < std::min(completions.size(), frames.size()); i++) {
    EXPECT_EQ(completions[i].bytes, frames[i].size()) << "the completion's length is not exact";
    all.push_back({completions[i], frames[i]});
  }
  return all;
}

void EngineBench::table(Table table, TableOp op, uint16_t index, std::span<const uint8_t> record) {
  model.table_select_i = static_cast<uint8_t>(table);
  model.table_op_i = static_cast<uint8_t>(op);
  model.table_index_i = index;
  put_big(model.table_record_i, record);
  model.table_valid_i = 1;
  for (size_t i = 0; i < 500; i++) {
    model.clk_i = 0;
    model.eval();
    const bool done = model.table_ready_o != 0;
    tick();
    if (done) {
      model.table_valid_i = 0;
      return;
    }
  }
  FAIL() << "a table write does not end";
}

std::array<uint8_t, 64> EngineBench::snapshot(CountBank bank, uint16_t index) {
  model.count_select_i = static_cast<uint8_t>(bank);
  model.count_index_i = index;
  model.count_valid_i = 1;
  for (size_t i = 0; i < 200; i++) {
    model.clk_i = 0;
    model.eval();
    const bool taken = model.count_valid_i && model.count_ready_o;
    if (model.count_valid_o) {
      const auto record = get_big(model.count_record_o);
      tick();
      return record;
    }
    tick();
    if (taken) model.count_valid_i = 0;
  }
  ADD_FAILURE() << "no answer from the counters";
  return {};
}

void EngineBench::install(Table which, uint16_t index, const SaContext& sa, TableOp op) {
  table(which, op, index, sa.encode());
}

void EngineBench::remove(Table which, uint16_t index) {
  table(which, TableOp::remove, index, SaContext{}.encode());
}

namespace {
uint16_t lookup_index(uint32_t spi, uint16_t way) {
  return static_cast<uint16_t>(((spi ^ 50U) & 255U) * kLookupWays + way);
}
}  // namespace

void EngineBench::write(const LookupEntry& entry, uint16_t way) {
  table(Table::lookup, TableOp::install, lookup_index(entry.spi, way), entry.encode());
}

void EngineBench::unlink(uint32_t spi, uint16_t way) {
  table(Table::lookup, TableOp::remove, lookup_index(spi, way), LookupEntry{}.encode());
}

void EngineBench::write(uint16_t index, const PolicyEntry& entry) {
  table(Table::policy, TableOp::install, index, entry.encode());
}

void EngineBench::hold(uint16_t index, const SaContext& sa, std::span<const uint8_t> destination,
                       uint16_t way) {
  install(Table::ingress_sa, index, sa);
  LookupEntry entry;
  entry.valid = true;
  entry.ipv6 = destination.size() == 16;
  entry.any_destination = destination.empty();
  entry.protocol = 50;
  entry.sa_index = index;
  entry.spi = sa.spi;
  std::copy(destination.begin(), destination.end(), entry.destination.begin());
  write(entry, way);
}

Bytes carried_frame(Random& random, const SaContext& sa, size_t payload_max) {
  FrameForm form = random_form(random, payload_max);
  form.fragment = sa.tunnel && random.percent(10);
  return make_frame(random, form);
}

SaCounters EngineBench::sa_counters(CountBank bank, uint16_t index) {
  return decode_sa_counters(snapshot(bank, index));
}

uint64_t EngineBench::counter(CountBank bank, uint16_t index) {
  return decode_sa_counters(snapshot(bank, index)).packets;
}

}  // namespace saline::hw::bench
