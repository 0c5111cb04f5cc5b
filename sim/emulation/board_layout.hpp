// Where things are on the emulated board: the numbers the xclbin tells libxrt and the model obeys.
#pragma once

#include <cstdint>

namespace saline::sim {

inline constexpr char kKernelName[] = "saline_kernel";
inline constexpr char kUnitName[] = "saline_0";
inline constexpr std::uint64_t kRegisterBase = 0x1800000;
inline constexpr std::uint64_t kRegisterBytes = 0x1000;  // as kernel.xml says
// The card's own memory, and above it the host's buffers.
inline constexpr std::uint64_t kDeviceMemoryBytes = 256u << 20;
inline constexpr std::uint64_t kHostMemoryBase = 0x2000000000;
inline constexpr std::uint64_t kHostMemoryBytes = std::uint64_t{1} << 30;

}  // namespace saline::sim
