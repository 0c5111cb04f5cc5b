// From an rte_security session to what the card holds for it.
#pragma once

#include "driver/pmd/capabilities.hpp"
#include "driver/pmd/dpdk.hpp"
#include "host/base/ip.hpp"
#include "hw/interface/saline_hw.hpp"

namespace saline::pmd {

// An SaContext that is wiped when it goes, since it holds the key.
class SessionContext {
 public:
  SessionContext() = default;
  SessionContext(const SessionContext&) = delete;
  SessionContext& operator=(const SessionContext&) = delete;
  ~SessionContext();

  // The destination to look an inbound SA up by; Family::none when the SPI alone names it.
  base::Address lookup_destination() const;

  hw::SaContext sa;
  bool inbound = false;
  // Inbound: the SPI alone names the SA. rte_security compares the outer destination only when
  // options.tunnel_hdr_verify asks for it, and a transport session has no addresses at all.
  bool any_destination = false;
};

// Fills `out` with all the card needs but valid and sa_tag, which the device layer sets.
// Throws Error(ENOTSUP) for what the card or the driver does not do and Error(EINVAL) for values
// that contradict each other, each with a sentence that names the field and never a key byte.
void to_context(const rte_security_session_conf& conf, const driver::Capabilities& card,
                const SecurityCapabilities& capabilities, SessionContext& out);

}  // namespace saline::pmd
