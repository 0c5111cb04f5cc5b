// The host-wide variables of KAME by their sysctl names: net.inet.ipsec.*, net.inet6.ipsec6.* and
// net.key.preferred_oldsa; and net.saline.*, which KAME had no names for.
#pragma once

#include <string>
#include <vector>

#include "host/ipsec/settings.hpp"

namespace saline::daemon {

// Throws Error(ENOENT) for an unknown name and Error(EINVAL) for a value the variable cannot take.
void set_variable(ipsec::Settings& settings, const std::string& name, const std::string& value);

std::vector<std::string> variable_names();

}  // namespace saline::daemon
