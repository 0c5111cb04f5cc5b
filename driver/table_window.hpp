// The table and counter windows of the register file: whole records in and out. Not thread-safe:
// a window is several registers, and the caller owns them for the length of a call.
#pragma once

#include <cstdint>
#include <span>

#include "driver/transport.hpp"
#include "hw/interface/saline_hw.hpp"

namespace saline::driver {

class TableWindow {
 public:
  explicit TableWindow(Transport& transport) : transport_(transport) {}

  // Returns when the operation is in effect. Throws Error(EIO) when it does not come to be.
  void commit(hw::Table table, std::uint32_t index, hw::TableOp op,
              std::span<const std::uint8_t> record);
  void remove(hw::Table table, std::uint32_t index);
  // A snapshot of one counter record; out is a multiple of four bytes.
  void snapshot(hw::CountBank bank, std::uint32_t index, std::span<std::uint8_t> out);
  std::uint64_t count(hw::CountBank bank, std::uint32_t index);

 private:
  void wait_ready();

  Transport& transport_;
};

}  // namespace saline::driver
