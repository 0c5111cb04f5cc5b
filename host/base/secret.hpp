// Key material: owned, never copied by accident, never printed, wiped when it goes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace saline::base {

// Overwrites memory in a way the compiler may not remove.
void wipe(std::span<std::uint8_t> memory) noexcept;

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::span<const std::uint8_t> bytes);
  Secret(Secret&&) noexcept;
  Secret& operator=(Secret&&) noexcept;
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret();

  Secret clone() const { return Secret(bytes()); }
  std::span<const std::uint8_t> bytes() const noexcept { return {data_.get(), size_}; }
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }

 private:
  std::unique_ptr<std::uint8_t[]> data_;
  std::size_t size_ = 0;
};

// Compares in time that depends on the length alone.
bool equal_constant_time(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b) noexcept;

}  // namespace saline::base
