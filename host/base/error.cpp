// Errors of system calls.
#include "host/base/error.hpp"

#include <cerrno>
#include <system_error>

namespace saline::base {

Error system_error(const std::string& what) {
  const int failed = errno == 0 ? EIO : errno;
  return Error(failed, what + ": " + std::generic_category().message(failed));
}

}  // namespace saline::base
