// The host-wide variables of KAME by their sysctl names: net.inet.ipsec.*, net.inet6.ipsec6.* and
// net.key.preferred_oldsa; and net.saline.*, which KAME had no names for.
#pragma once

#include <string>
#include <vector>

#include "host/ipsec/settings.hpp"

namespace saline::daemon {

// Throws Error(ENOENT) for an unknown name and Error(EINVAL) for a value the variable cannot take.
void set_variable(ipsec::Settings& settings, const std::string& name, const std::string& value);

// Throws Error(ENOENT).
int get_variable(const ipsec::Settings& settings, const std::string& name);

// Of a name, or name=value: whether a card that builds tunnel headers must know.
bool shapes_outer_headers(const std::string& question);

std::vector<std::string> variable_names();

// The control socket's "sysctl": nothing (all of them), a name, or name=value, which sets. The
// answer is "name = value" as it now is, a line each, or one line "error: ...".
std::string answer_sysctl(ipsec::Settings& settings, const std::string& question);

}  // namespace saline::daemon
