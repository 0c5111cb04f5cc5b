// The way to a card: registers, memory that both sides see, and (for simulated cards) time.
//
// Implementations are shared libraries found beside this one, libsaline_transport_<kind>.so, so
// that neither XRT nor Verilator is needed by a program that does not use it:
//   xrt    a card, or libxrt's hardware emulation, by xrt::device, xrt::ip and xrt::bo
//   model  the Verilated card inside this process
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>

namespace saline::driver {

// Memory the card reads and writes. Freed when dropped, not before the card is stopped.
class DmaMemory {
 public:
  virtual ~DmaMemory() = default;
  virtual std::span<std::uint8_t> host() noexcept = 0;
  virtual std::uint64_t device_address() const noexcept = 0;
  // Make [offset, offset + bytes) visible to the card, or the card's writes visible here. No cost
  // where the platform is coherent.
  virtual void to_device(std::size_t offset, std::size_t bytes) = 0;
  virtual void from_device(std::size_t offset, std::size_t bytes) = 0;
};

// Every call may come from several threads at once: an implementation serialises what it must.
class Transport {
 public:
  virtual ~Transport() = default;

  // Offsets and values as in docs/registers.md. Throw Error(EIO) when the card does not answer.
  virtual std::uint32_t read32(std::uint32_t offset) = 0;
  virtual void write32(std::uint32_t offset, std::uint32_t value) = 0;

  // Zeroed, page aligned, a multiple of 4096 bytes. Throws Error(ENOMEM).
  virtual std::unique_ptr<DmaMemory> allocate(std::size_t bytes) = 0;

  // True when every address of this process is a device address of the same value, so that packet
  // buffers need no copy into DmaMemory.
  virtual bool addresses_process_memory() const noexcept = 0;

  // Gives a simulated card time to work; returns at once when it is idle. A real card needs none.
  virtual void progress() noexcept = 0;

  // "model", "xrt, hardware emulation", "xrt, 0000:3b:00.1"
  virtual std::string description() const = 0;
};

// Options are the key=value pairs of the device arguments, without the ones the caller consumed;
// an implementation throws Error(EINVAL) naming a key it does not know. Known keys:
//   model  mac=loopback | mac=iface:NAME | mac=none
//   xrt    device=INDEX-or-BDF  xclbin=PATH   (an emulated card takes its mac= from SALINE_MAC)
using Options = std::map<std::string, std::string>;

// Throws Error(ENOENT) with what to install or build when there is no such kind.
std::unique_ptr<Transport> open_transport(const std::string& kind, const Options& options);

// What a transport library exports: extern "C" TransportFactory saline_open_transport.
using TransportFactory = Transport* (*)(const Options& options);

}  // namespace saline::driver
