// One error type for the control plane: an errno that a PF_KEY peer can be told, and a sentence a
// person can act on. Thrown in requests and set-up, caught only at the named boundaries (mains, the
// PF_KEY request boundary, the PMD's C boundary). The data path never throws: it returns a drop
// reason. Messages never hold key material.
#pragma once

#include <stdexcept>
#include <string>

namespace saline::base {

class Error : public std::runtime_error {
 public:
  Error(int errno_value, const std::string& sentence)
      : std::runtime_error(sentence), errno_(errno_value) {}

  // Never zero: a positive errno value.
  int errno_value() const noexcept { return errno_; }

 private:
  int errno_;
};

// An Error for the system call that just failed: "open /dev/net/tun: Permission denied".
Error system_error(const std::string& what);

}  // namespace saline::base
