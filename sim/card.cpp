// The Verilated card and the buses around it. The AXI memory keeps several bursts in flight and,
// with stalls on, answers reads of different identifiers out of order, as a real interconnect may.
#include "sim/card.hpp"

#include <Vsaline_card.h>
#include <verilated.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <deque>
#include <list>

#include "host/base/error.hpp"
#include "hw/interface/saline_hw.hpp"

namespace saline::sim {

namespace {

constexpr std::size_t kBeat = 64;
constexpr std::size_t kPage = 4096;
constexpr std::size_t kReadsInFlight = 32;
constexpr unsigned kRegisterTimeout = 100'000;  // clocks
constexpr unsigned kMacPollInterval = 64;       // clocks between looks at an empty MAC
constexpr std::uint8_t kOkay = 0, kSlaveError = 2;

class Dice {
 public:
  Dice(std::uint64_t seed, unsigned percent) : state_(seed | 1), percent_(percent) {}
  bool stall() noexcept { return percent_ != 0 && next() % 100 < percent_; }
  std::uint64_t next() noexcept {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    return state_ ^= state_ << 17;
  }

 private:
  std::uint64_t state_;
  unsigned percent_;
};

struct Read {
  std::uint8_t id = 0;
  bool failed = false;
  std::size_t beats = 0;
  std::size_t given = 0;
  std::uint64_t due = 0;  // clock
  std::array<std::uint8_t, kPage> data{};
};

struct Write {
  std::uint8_t id = 0;
  std::uint64_t address = 0;
  std::size_t beats = 0;
};

struct Response {
  std::uint8_t id = 0;
  std::uint8_t code = kOkay;
};

}  // namespace

struct Card::State {
  State(Memory& memory_in, Mac& mac_in, CardOptions options_in)
      : memory(memory_in),
        mac(mac_in),
        options(options_in),
        dice(options_in.stall_seed, options_in.stall_percent),
        top(&context) {
    top.rst_ni = 0;
    for (int i = 0; i < 4; ++i) step();
    top.rst_ni = 1;
    step();
  }

  // ---- One clock: offers, then what was taken at the edge
  void step() noexcept {
    offer_reads();
    offer_writes();
    offer_mac();
    top.clk_i = 0;
    top.eval();
    take_reads();
    take_writes();
    take_mac();
    top.clk_i = 1;
    top.eval();
    ++cycles;
  }

  void offer_reads() noexcept {
    top.m_axi_arready_i = reads.size() < kReadsInFlight && !dice.stall();
    if (!offered_read && !reads.empty() && !dice.stall()) offered_read = choose_read();
    top.m_axi_rvalid_i = offered_read != nullptr;
    if (!offered_read) return;
    top.m_axi_rid_i = offered_read->id;
    top.m_axi_rresp_i = offered_read->failed ? kSlaveError : kOkay;
    top.m_axi_rlast_i = offered_read->given + 1 == offered_read->beats;
    std::memcpy(top.m_axi_rdata_i.data(), &offered_read->data[offered_read->given * kBeat], kBeat);
  }

  // The oldest read of an identifier; which identifier is a matter of luck when stalls are on.
  Read* choose_read() noexcept {
    Read* chosen = nullptr;
    std::array<bool, 4> seen{};
    for (auto& read : reads) {
      if (seen[read.id]) continue;
      seen[read.id] = true;
      if (read.due > cycles) continue;
      if (!chosen || (options.stall_percent != 0 && dice.next() % 2 == 0)) chosen = &read;
    }
    return chosen;
  }

  void take_reads() noexcept {
    if (offered_read && top.m_axi_rready_o) {
      if (++offered_read->given == offered_read->beats) {
        reads.remove_if([](const Read& read) { return read.given == read.beats; });
      }
      offered_read = nullptr;
    }
    if (!top.m_axi_arvalid_o || !top.m_axi_arready_i) return;
    Read& read = reads.emplace_back();
    read.id = top.m_axi_arid_o;
    read.beats = std::size_t{top.m_axi_arlen_o} + 1;
    read.due = cycles + options.read_latency;
    const std::uint64_t address = top.m_axi_araddr_o;
    read.failed = address % kPage + read.beats * kBeat > kPage ||
                  !memory.read(address, {read.data.data(), read.beats * kBeat});
  }

  void offer_writes() noexcept {
    top.m_axi_awready_i = writes.size() < kReadsInFlight && !dice.stall();
    top.m_axi_wready_i = !writes.empty() && !dice.stall();
    if (!offered_response && !responses.empty()) offered_response = !dice.stall();
    top.m_axi_bvalid_i = offered_response;
    if (!offered_response) return;
    top.m_axi_bid_i = responses.front().id;
    top.m_axi_bresp_i = responses.front().code;
  }

  void take_writes() noexcept {
    if (offered_response && top.m_axi_bready_o) {
      responses.pop_front();
      offered_response = false;
    }
    if (top.m_axi_wvalid_o && top.m_axi_wready_i) take_write_beat();
    if (top.m_axi_awvalid_o && top.m_axi_awready_i) {
      writes.push_back({top.m_axi_awid_o, top.m_axi_awaddr_o, std::size_t{top.m_axi_awlen_o} + 1});
    }
  }

  void take_write_beat() noexcept {
    const std::size_t at = written * kBeat;
    if (at < kPage) {
      std::memcpy(&write_data[at], top.m_axi_wdata_o.data(), kBeat);
      strobes[written] = top.m_axi_wstrb_o;
    }
    ++written;
    if (!top.m_axi_wlast_o) return;
    const Write& write = writes.front();
    const bool legal = written == write.beats && write.address % kPage + written * kBeat <= kPage;
    responses.push_back({write.id, legal && store(write.address) ? kOkay : kSlaveError});
    writes.pop_front();
    written = 0;
  }

  // Hands runs of strobed bytes to the memory.
  bool store(std::uint64_t address) noexcept {
    const auto strobed = [&](std::size_t i) { return (strobes[i / kBeat] >> i % kBeat & 1) != 0; };
    const std::size_t end = written * kBeat;
    bool good = true;
    for (std::size_t from = 0; from < end;) {
      if (!strobed(from)) {
        ++from;
        continue;
      }
      std::size_t to = from;
      while (to < end && strobed(to)) {
        to += to % kBeat == 0 && strobes[to / kBeat] == ~std::uint64_t{0} ? kBeat : 1;
      }
      good = memory.write(address + from, {&write_data[from], to - from}) && good;
      from = to;
    }
    return good;
  }

  void offer_mac() noexcept {
    top.mac_tx_tready_i = !dice.stall();
    if (!receiving && cycles >= mac_poll_due) poll_mac();
    if (receiving && !offered_mac) offered_mac = !dice.stall();
    top.mac_rx_tvalid_i = offered_mac;
    if (!offered_mac) return;
    const std::size_t rest = frame.bytes.size() - received;
    const std::size_t now = std::min(rest, kBeat);
    std::memset(top.mac_rx_tdata_i.data(), 0, kBeat);
    std::memcpy(top.mac_rx_tdata_i.data(), &frame.bytes[received], now);
    top.mac_rx_tkeep_i = now == kBeat ? ~std::uint64_t{0} : (std::uint64_t{1} << now) - 1;
    top.mac_rx_tlast_i = rest <= kBeat;
    top.mac_rx_tuser_i = rest <= kBeat && frame.damaged;
  }

  void poll_mac() noexcept {
    receiving = mac.receive(frame) && !frame.bytes.empty();
    received = 0;
    mac_poll_due = cycles + kMacPollInterval;
  }

  void take_mac() noexcept {
    if (offered_mac && top.mac_rx_tready_o) {
      received += kBeat;
      offered_mac = false;
      if (received >= frame.bytes.size()) {
        receiving = false;
        mac_poll_due = cycles;
      }
    }
    if (!top.mac_tx_tvalid_o || !top.mac_tx_tready_i) return;
    const auto* data = reinterpret_cast<const std::uint8_t*>(top.mac_tx_tdata_o.data());
    const auto bytes = static_cast<std::size_t>(std::popcount(std::uint64_t{top.mac_tx_tkeep_o}));
    transmitting.insert(transmitting.end(), data, data + bytes);
    if (!top.mac_tx_tlast_o) return;
    mac.transmit(transmitting);
    transmitting.clear();
    mac_poll_due = cycles;  // a loopback has a frame now
  }

  bool working() noexcept {
    if (!receiving && cycles >= mac_poll_due) poll_mac();
    return receiving || !top.idle_o;
  }

  // Steps until done() or the time is over.
  template <class Done>
  void wait_for(Done done, std::uint32_t offset) {
    for (unsigned i = 0; i < kRegisterTimeout; ++i) {
      if (done()) return;
    }
    throw base::Error(EIO, "the simulated card does not answer at register offset " +
                               std::to_string(offset) + ": report this as a fault of its RTL");
  }

  Memory& memory;
  Mac& mac;
  CardOptions options;
  Dice dice;
  VerilatedContext context;
  Vsaline_card top;
  std::uint64_t cycles = 0;

  std::list<Read> reads;
  Read* offered_read = nullptr;

  std::deque<Write> writes;
  std::size_t written = 0;  // beats of writes.front()
  std::array<std::uint8_t, kPage> write_data{};
  std::array<std::uint64_t, kPage / kBeat> strobes{};
  std::deque<Response> responses;
  bool offered_response = false;

  Mac::Frame frame;
  bool receiving = false;  // frame is on its way into the card
  bool offered_mac = false;
  std::size_t received = 0;
  std::uint64_t mac_poll_due = 0;
  std::vector<std::uint8_t> transmitting;
};

Card::Card(Memory& memory, Mac& mac, CardOptions options)
    : state_(std::make_unique<State>(memory, mac, options)) {}

Card::~Card() { state_->top.final(); }

std::uint32_t Card::read32(std::uint32_t offset) {
  State& s = *state_;
  s.top.s_axil_araddr_i = offset & 0xfff;
  s.top.s_axil_arvalid_i = 1;
  s.top.s_axil_rready_i = 1;
  std::uint32_t value = 0;
  s.wait_for(
      [&] {
        s.top.eval();
        const bool taken = s.top.s_axil_arvalid_i && s.top.s_axil_arready_o;
        const bool answered = s.top.s_axil_rvalid_o;
        value = s.top.s_axil_rdata_o;
        s.step();
        if (taken) s.top.s_axil_arvalid_i = 0;
        return answered;
      },
      offset);
  s.top.s_axil_rready_i = 0;
  return value;
}

void Card::write32(std::uint32_t offset, std::uint32_t value) {
  State& s = *state_;
  s.top.s_axil_awaddr_i = offset & 0xfff;
  s.top.s_axil_wdata_i = value;
  s.top.s_axil_wstrb_i = 0xf;
  s.top.s_axil_awvalid_i = 1;
  s.top.s_axil_wvalid_i = 1;
  s.top.s_axil_bready_i = 1;
  s.wait_for(
      [&] {
        s.top.eval();
        const bool address = s.top.s_axil_awvalid_i && s.top.s_axil_awready_o;
        const bool data = s.top.s_axil_wvalid_i && s.top.s_axil_wready_o;
        const bool answered = s.top.s_axil_bvalid_o;
        s.step();
        if (address) s.top.s_axil_awvalid_i = 0;
        if (data) s.top.s_axil_wvalid_i = 0;
        return answered;
      },
      offset);
  s.top.s_axil_bready_i = 0;
}

void Card::step() noexcept { state_->step(); }

bool Card::run(unsigned max_cycles) noexcept {
  State& s = *state_;
  s.mac_poll_due = std::min(s.mac_poll_due, s.cycles);
  for (unsigned i = 0; s.working(); ++i) {
    if (i == max_cycles) return false;
    s.step();
  }
  return true;
}

std::uint64_t Card::cycles() const noexcept { return state_->cycles; }

}  // namespace saline::sim
