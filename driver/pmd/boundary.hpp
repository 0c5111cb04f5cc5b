// Where C++ meets DPDK's C: the log, and the one place where exceptions stop.
#pragma once

#include <cerrno>
#include <exception>
#include <new>
#include <type_traits>

#include "driver/pmd/dpdk.hpp"
#include "host/base/error.hpp"

namespace saline::pmd {

// RTE_LOG type pmd.net.saline.
extern int log_type;

void log(std::uint32_t level, const char* format, ...) noexcept
    __attribute__((format(printf, 2, 3)));

// Runs a control operation for DPDK: 0 (or what the operation returns) when it went well, a
// negative errno when it threw, with one line in the log that says what was refused and why.
template <class Operation>
int boundary(const char* what, Operation&& operation) noexcept {
  try {
    if constexpr (std::is_void_v<decltype(operation())>) {
      operation();
      return 0;
    } else {
      return operation();
    }
  } catch (const base::Error& error) {
    log(RTE_LOG_ERR, "%s: %s", what, error.what());
    return -error.errno_value();
  } catch (const std::bad_alloc&) {
    log(RTE_LOG_ERR, "%s: out of memory", what);
    return -ENOMEM;
  } catch (const std::exception& error) {
    log(RTE_LOG_ERR, "%s: %s", what, error.what());
    return -EIO;
  }
}

}  // namespace saline::pmd
