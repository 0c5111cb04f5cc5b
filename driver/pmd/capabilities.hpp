// What the port can do for rte_security, derived from what the card says of itself.
#pragma once

#include <cstdint>
#include <vector>

#include "driver/device.hpp"
#include "driver/pmd/dpdk.hpp"
#include "hw/interface/saline_hw.hpp"

namespace saline::pmd {

// AES-GCM with a 16-byte ICV by key length in bytes; hw::Suite::none where the card has none.
hw::Suite gcm_suite(const driver::Capabilities& card, std::size_t key_bytes) noexcept;

// The table that rte_security_capabilities_get returns: one entry per mode and direction of ESP.
// Options the table does not name are refused by sa_context.cpp.
class SecurityCapabilities {
 public:
  explicit SecurityCapabilities(const driver::Capabilities& card);
  SecurityCapabilities(const SecurityCapabilities&) = delete;
  SecurityCapabilities& operator=(const SecurityCapabilities&) = delete;

  const rte_security_capability* table() const noexcept { return security_.data(); }
  const rte_security_capability& of(rte_security_ipsec_sa_mode mode,
                                    rte_security_ipsec_sa_direction direction) const noexcept;

 private:
  std::vector<rte_cryptodev_capabilities> crypto_;  // ends with an entry of op UNDEFINED
  std::vector<rte_security_capability> security_;   // ends with an entry of action NONE
};

}  // namespace saline::pmd
