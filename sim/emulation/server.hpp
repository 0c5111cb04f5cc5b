// The simulator side of XRT 2.13's hardware emulation: what libxrt_hwemu expects of the process it
// starts in a Vivado simulator's place.
//
// Two Unix stream sockets, both opened by libxrt, both connected by us. On the main one libxrt
// calls (registers, device memory, set-up) and we answer; on the second one, "D2X", we call at any
// time to reach the host's memory. A call is a 14-byte header {size, api} and a message; a main
// reply has a 9-byte header without api, a D2X reply the full one.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace saline::sim {

// What stands behind the protocol. Addresses are those of the xclbin: registers from the kernel's
// base address, memory from the bank's.
class EmulatedBoard {
 public:
  virtual ~EmulatedBoard() = default;
  virtual std::uint32_t read_register(std::uint64_t address) = 0;
  virtual void write_register(std::uint64_t address, std::uint32_t value) = 0;
  virtual void read_memory(std::uint64_t address, std::span<std::uint8_t> out) = 0;
  virtual void write_memory(std::uint64_t address, std::span<const std::uint8_t> data) = 0;
};

class EmulationServer {
 public:
  EmulationServer() = default;
  ~EmulationServer();
  EmulationServer(const EmulationServer&) = delete;
  EmulationServer& operator=(const EmulationServer&) = delete;

  // Waits for libxrt's sockets, named by USER and EMULATION_SOCKETID. Throws base::Error(ENOTCONN).
  void connect(int timeout_ms);
  // The same on descriptors somebody else connected; they become ours.
  void adopt(int main_socket, int d2x_socket);

  enum class Served { nothing, call, closed };
  // Waits for a call at most this long (-1: for ever) and answers it. closed: libxrt closed the
  // device, or the host process is gone. Throws base::Error(EPROTO) for a malformed call.
  Served serve(EmulatedBoard& board, int timeout_us);

  // The host's memory, by the device address of a host-only buffer. False: no such buffer.
  bool read_host(std::uint64_t address, std::span<std::uint8_t> out) noexcept;
  bool write_host(std::uint64_t address, std::span<const std::uint8_t> data) noexcept;

 private:
  struct Call;
  bool receive_call(Call& call);
  bool answer(const Call& call, EmulatedBoard& board);
  void reply(const std::string& message);
  void end_d2x() noexcept;
  bool call_host(std::uint32_t api, const std::string& message) noexcept;

  int main_ = -1;
  int d2x_ = -1;
  std::string message_;   // of the main call being served
  std::string response_;  // of the last D2X call
  std::string scratch_;
};

}  // namespace saline::sim
