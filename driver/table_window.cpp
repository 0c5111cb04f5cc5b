// Records through the 32-bit table and counter windows, first field first.
#include "driver/table_window.hpp"

#include <array>
#include <cerrno>
#include <chrono>

#include "host/base/bytes.hpp"
#include "host/base/error.hpp"

namespace saline::driver {

void TableWindow::commit(hw::Table table, std::uint32_t index, hw::TableOp op,
                         std::span<const std::uint8_t> record) {
  transport_.write32(hw::reg::table_select, static_cast<std::uint32_t>(table));
  transport_.write32(hw::reg::table_index, index);
  for (std::size_t i = 0; i < record.size(); i += 4) {
    transport_.write32(hw::reg::table_data, base::load32(record.data() + i));
  }
  transport_.write32(hw::reg::table_commit, static_cast<std::uint32_t>(op));
  wait_ready();
}

void TableWindow::remove(hw::Table table, std::uint32_t index) {
  commit(table, index, hw::TableOp::remove, {});
}

void TableWindow::wait_ready() {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (transport_.read32(hw::reg::table_busy) != 0) {
    if (std::chrono::steady_clock::now() > limit) {
      throw base::Error(EIO, "the card does not finish a table write: reset it");
    }
    transport_.progress();
  }
}

void TableWindow::snapshot(hw::CountBank bank, std::uint32_t index, std::span<std::uint8_t> out) {
  transport_.write32(hw::reg::count_select, static_cast<std::uint32_t>(bank));
  transport_.write32(hw::reg::count_index, index);
  for (std::size_t i = 0; i < out.size(); i += 4) {
    base::store32(out.data() + i, transport_.read32(hw::reg::count_data));
  }
}

std::uint64_t TableWindow::count(hw::CountBank bank, std::uint32_t index) {
  std::array<std::uint8_t, 8> value;
  snapshot(bank, index, value);
  return base::load64(value.data());
}

}  // namespace saline::driver
