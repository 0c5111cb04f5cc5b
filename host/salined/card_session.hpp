// An SA in the words of rte_security, and whether a port's capabilities cover it.
#pragma once

#include <rte_security.h>

#include <string>

#include "host/ipsec/association.hpp"
#include "host/ipsec/settings.hpp"
#include "host/salined/offload.hpp"

namespace saline::daemon {

// Refers to the SA's keys: use it before the SA goes, then let it go too.
struct SessionRequest {
  rte_security_session_conf conf{};
  rte_crypto_sym_xform first{};
  rte_crypto_sym_xform second{};
};

// Empty when `capabilities` (an array of rte_security_capabilities_get) cover the SA, and `out` is
// filled in; else the reason, a few words.
std::string describe_session(const ipsec::SecurityAssociation& association, const SaRole& role,
                             const ipsec::Settings& settings,
                             const rte_security_capability* capabilities, SessionRequest& out);

}  // namespace saline::daemon
