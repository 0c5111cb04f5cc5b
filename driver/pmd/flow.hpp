// rte_flow rules as outbound policies of the card.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "driver/device.hpp"
#include "driver/pmd/dpdk.hpp"

namespace saline::pmd {

// What a rule asks for. An ingress rule turns security on for ESP, which the card does for each
// session anyway, so it is only remembered.
struct FlowRule {
  bool egress = false;
  std::uint32_t priority = 0;
  hw::PolicyEntry entry;   // egress
  driver::SaSlot protect;  // egress, of action protect
};

// A refusal in rte_flow's terms; the message is a literal.
struct FlowRefusal {
  int errno_value;
  rte_flow_error_type type;
  const void* cause;
  const char* message;
};

// Accepted:
//   ingress  [ETH] [IPV4|IPV6] ESP -> SECURITY
//   egress   [ETH] IPV4|IPV6 [TCP|UDP|SCTP|ICMP|ICMP6] -> SECURITY | DROP | PASSTHRU
// with addresses by prefix or mask, ports by value, mask or range, one group. Throws FlowRefusal.
FlowRule parse_flow(const rte_flow_attr& attributes, const rte_flow_item* items,
                    const rte_flow_action* actions);

// The card's policy table in order of rte_flow priority; among equals the older rule wins. Each
// step of a change leaves every packet with a rule it had before or after, never with none.
class PolicyRules {
 public:
  explicit PolicyRules(driver::Device& device) : device_(device) {}

  // Throws Error(ENOSPC) when the card's table is full. `owner` names the rule.
  void insert(const FlowRule& rule, const void* owner);
  void erase(const void* owner);
  void clear();
  // For an SA about to go: what its rules protected is discarded from now on.
  void discard_instead(const driver::SaSlot& slot);
  bool empty() const noexcept { return placed_.empty(); }

 private:
  struct Placed {
    FlowRule rule;
    const void* owner;
  };
  void write(std::size_t index);
  void trim();  // clears entries past the rules

  driver::Device& device_;
  std::vector<Placed> placed_;
  std::size_t filled_ = 0;  // entries of the card that may hold something
};

}  // namespace saline::pmd
