// saline-emulation-model: the Verilated card as the simulator process of libxrt's hardware
// emulation. Started by libxrt through simulate.sh (see run); its MAC is SALINE_MAC, with the
// values of the model transport's mac=. Ends when libxrt closes the device or the host is gone.
//
// Time. The card's clock runs while the card has work; an idle card waits for a call, and looks at
// its MAC every kIdleWait_us.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <unordered_map>

#include "host/base/error.hpp"
#include "sim/card.hpp"
#include "sim/emulation/board_layout.hpp"
#include "sim/emulation/server.hpp"
#include "sim/mac_link.hpp"

namespace saline::sim {
namespace {

constexpr int kConnectTimeout_ms = 20000;
constexpr int kIdleWait_us = 500;
constexpr unsigned kBurstCycles = 32;  // between two looks at libxrt's socket

// The card's own memory bank, made page by page.
class DeviceMemory {
 public:
  static bool holds(std::uint64_t address, std::size_t bytes) {
    return address < kDeviceMemoryBytes && bytes <= kDeviceMemoryBytes - address;
  }
  void read(std::uint64_t address, std::span<std::uint8_t> out) {
    for_each_page(address, out.size(), [&](std::uint8_t* page, std::size_t at, std::size_t bytes) {
      std::memcpy(out.data() + at, page, bytes);
    });
  }
  void write(std::uint64_t address, std::span<const std::uint8_t> data) {
    for_each_page(address, data.size(), [&](std::uint8_t* page, std::size_t at, std::size_t bytes) {
      std::memcpy(page, data.data() + at, bytes);
    });
  }

 private:
  static constexpr std::size_t kPage = 4096;

  template <class Use>
  void for_each_page(std::uint64_t address, std::size_t bytes, Use&& use) {
    for (std::size_t at = 0; at < bytes;) {
      const std::size_t offset = (address + at) % kPage;
      const std::size_t part = std::min(bytes - at, kPage - offset);
      std::string& page = pages_[(address + at) / kPage];
      if (page.empty()) page.assign(kPage, '\0');
      use(reinterpret_cast<std::uint8_t*>(page.data()) + offset, at, part);
      at += part;
    }
  }

  std::unordered_map<std::uint64_t, std::string> pages_;
};

// What the card's AXI4 master reaches: its own bank, and the host's buffers one call per burst.
class BoardMemory : public Memory {
 public:
  explicit BoardMemory(EmulationServer& server) : server_(server) {}
  bool read(std::uint64_t address, std::span<std::uint8_t> out) noexcept override {
    if (address >= kHostMemoryBase) return server_.read_host(address, out);
    if (!DeviceMemory::holds(address, out.size())) return false;
    own_.read(address, out);
    return true;
  }
  bool write(std::uint64_t address, std::span<const std::uint8_t> data) noexcept override {
    if (address >= kHostMemoryBase) return server_.write_host(address, data);
    if (!DeviceMemory::holds(address, data.size())) return false;
    own_.write(address, data);
    return true;
  }
  DeviceMemory& own() noexcept { return own_; }

 private:
  EmulationServer& server_;
  DeviceMemory own_;
};

class Board : public EmulatedBoard {
 public:
  Board(Card& card, DeviceMemory& memory) : card_(card), memory_(memory) {}

  std::uint32_t read_register(std::uint64_t address) override {
    return holds_register(address) ? card_.read32(offset_of(address)) : 0;
  }
  void write_register(std::uint64_t address, std::uint32_t value) override {
    if (holds_register(address)) card_.write32(offset_of(address), value);
  }
  void read_memory(std::uint64_t address, std::span<std::uint8_t> out) override {
    if (DeviceMemory::holds(address, out.size())) memory_.read(address, out);
  }
  void write_memory(std::uint64_t address, std::span<const std::uint8_t> data) override {
    if (DeviceMemory::holds(address, data.size())) memory_.write(address, data);
  }

 private:
  static bool holds_register(std::uint64_t address) {
    return address >= kRegisterBase && address - kRegisterBase < kRegisterBytes;
  }
  static std::uint32_t offset_of(std::uint64_t address) {
    return static_cast<std::uint32_t>(address - kRegisterBase);
  }

  Card& card_;
  DeviceMemory& memory_;
};

void run() {
  const char* link = std::getenv("SALINE_MAC");
  const std::unique_ptr<Mac> mac = open_mac_link(link ? link : "loopback");
  // Only a network device brings frames while the card is idle.
  const bool mac_wakes = link && std::strncmp(link, "iface:", 6) == 0;
  EmulationServer server;
  server.connect(kConnectTimeout_ms);
  BoardMemory memory(server);
  Card card(memory, *mac);
  Board board(card, memory.own());
  for (bool idle = true;;) {
    const int wait_us = !idle ? 0 : mac_wakes ? kIdleWait_us : -1;
    if (server.serve(board, wait_us) == EmulationServer::Served::closed) return;
    idle = card.run(kBurstCycles);
  }
}

}  // namespace
}  // namespace saline::sim

int main() {
  std::signal(SIGPIPE, SIG_IGN);
  try {
    saline::sim::run();
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "saline-emulation-model: %s\n", e.what());
    return 1;
  }
}
