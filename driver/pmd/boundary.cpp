// The log of the driver; see boundary.hpp.
#include "driver/pmd/boundary.hpp"

#include <cstdarg>
#include <cstdio>

namespace saline::pmd {

RTE_LOG_REGISTER(log_type, pmd.net.saline, NOTICE);

void log(std::uint32_t level, const char* format, ...) noexcept {
  char line[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  rte_log(level, static_cast<std::uint32_t>(log_type), "net_saline: %s\n", line);
}

}  // namespace saline::pmd
