// rte_flow operations of the port, and the order of outbound rules in the card (RFC 4301 §4.4.1).
#include "driver/pmd/flow.hpp"

#include <algorithm>
#include <memory>
#include <string>

#include "driver/pmd/boundary.hpp"
#include "driver/pmd/port.hpp"

// rte_flow leaves its handle to the driver to define.
struct rte_flow {
  saline::pmd::FlowRule rule;
  // The port's rules are a list through their handles, so that flush can free them.
  rte_flow* next = nullptr;
};

namespace saline::pmd {

void PolicyRules::write(std::size_t index) {
  filled_ = std::max(filled_, index + 1);
  device_.set_policy(static_cast<std::uint32_t>(index), placed_[index].rule.entry);
}

void PolicyRules::trim() {
  for (; filled_ > placed_.size(); --filled_) {
    device_.clear_policy(static_cast<std::uint32_t>(filled_ - 1));
  }
}

void PolicyRules::insert(const FlowRule& rule, const void* owner) {
  const std::size_t room = device_.capabilities().policies;
  if (placed_.size() >= room) {
    throw base::Error(ENOSPC, "the card holds " + std::to_string(room) + " policies, no more");
  }
  const auto place = std::upper_bound(
      placed_.begin(), placed_.end(), rule.priority,
      [](std::uint32_t priority, const Placed& other) { return priority < other.rule.priority; });
  const auto index = static_cast<std::size_t>(place - placed_.begin());
  placed_.insert(place, {rule, owner});
  // From the end: every entry moved is there twice until its old place is overwritten.
  try {
    for (std::size_t i = placed_.size(); i-- > index;) write(i);
  } catch (...) {
    try {
      erase(owner);
    } catch (...) {  // forgotten all the same; the next change that succeeds clears its entry
    }
    throw;
  }
}

void PolicyRules::erase(const void* owner) {
  const auto place = std::find_if(placed_.begin(), placed_.end(),
                                  [&](const Placed& placed) { return placed.owner == owner; });
  if (place == placed_.end()) return trim();
  const auto index = static_cast<std::size_t>(place - placed_.begin());
  placed_.erase(place);
  for (std::size_t i = index; i < placed_.size(); ++i) write(i);
  trim();
}

void PolicyRules::clear() {
  placed_.clear();
  trim();
}

void PolicyRules::discard_instead(const driver::SaSlot& slot) {
  for (std::size_t i = 0; i < placed_.size(); ++i) {
    FlowRule& rule = placed_[i].rule;
    if (rule.entry.action != static_cast<std::uint8_t>(hw::PolicyAction::protect) ||
        rule.protect != slot) {
      continue;
    }
    rule.entry.action = static_cast<std::uint8_t>(hw::PolicyAction::discard);
    rule.entry.sa_index = 0;
    write(i);
  }
}

namespace {

// boundary(), with what rte_flow wants to know of a refusal.
template <class Operation>
int flow_boundary(rte_flow_error* error, Operation&& operation) noexcept {
  try {
    operation();
    return 0;
  } catch (const FlowRefusal& refusal) {
    log(RTE_LOG_INFO, "flow: %s", refusal.message);
    return rte_flow_error_set(error, refusal.errno_value, refusal.type, refusal.cause,
                              refusal.message);
  } catch (const base::Error& refusal) {
    log(RTE_LOG_ERR, "flow: %s", refusal.what());
    return rte_flow_error_set(error, refusal.errno_value(), RTE_FLOW_ERROR_TYPE_UNSPECIFIED,
                              nullptr, "the card refused the rule; the log says why");
  } catch (...) {
    return rte_flow_error_set(error, ENOMEM, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, nullptr,
                              "out of memory");
  }
}

// A protect rule must name an SA that the card holds.
FlowRule parse_for(const Port& port, const rte_flow_attr* attributes, const rte_flow_item* items,
                   const rte_flow_action* actions) {
  const FlowRule rule = parse_flow(*attributes, items, actions);
  if (rule.egress && rule.entry.action == static_cast<std::uint8_t>(hw::PolicyAction::protect) &&
      !port.device->holds(rule.protect)) {
    throw FlowRefusal{ESRCH, RTE_FLOW_ERROR_TYPE_ACTION_CONF, actions,
                      "the security session is not one of this port's outbound sessions"};
  }
  return rule;
}

int validate(rte_eth_dev* dev, const rte_flow_attr* attributes, const rte_flow_item* items,
             const rte_flow_action* actions, rte_flow_error* error) noexcept {
  return flow_boundary(error, [&] { parse_for(port_of(dev), attributes, items, actions); });
}

rte_flow* create(rte_eth_dev* dev, const rte_flow_attr* attributes, const rte_flow_item* items,
                 const rte_flow_action* actions, rte_flow_error* error) noexcept {
  std::unique_ptr<rte_flow> flow;
  flow_boundary(error, [&] {
    Port& port = port_of(dev);
    auto made = std::make_unique<rte_flow>();
    made->rule = parse_for(port, attributes, items, actions);
    if (made->rule.egress) port.rules->insert(made->rule, made.get());
    port.classify = !port.rules->empty();
    made->next = port.flows;
    port.flows = made.get();
    flow = std::move(made);
  });
  return flow.release();
}

int destroy(rte_eth_dev* dev, rte_flow* flow, rte_flow_error* error) noexcept {
  return flow_boundary(error, [&] {
    Port& port = port_of(dev);
    rte_flow** link = &port.flows;
    while (*link != nullptr && *link != flow) link = &(*link)->next;
    if (*link == nullptr) {
      throw FlowRefusal{ENOENT, RTE_FLOW_ERROR_TYPE_HANDLE, flow, "no such rule on this port"};
    }
    port.rules->erase(flow);
    port.classify = !port.rules->empty();
    *link = flow->next;
    delete flow;
  });
}

int flush(rte_eth_dev* dev, rte_flow_error* error) noexcept {
  return flow_boundary(error, [&] {
    Port& port = port_of(dev);
    port.rules->clear();
    port.classify = false;
    free_flows(port);
  });
}

}  // namespace

void free_flows(Port& port) noexcept {
  while (rte_flow* flow = port.flows) {
    port.flows = flow->next;
    delete flow;
  }
}

const rte_flow_ops* flow_operations() noexcept {
  static const rte_flow_ops operations = [] {
    rte_flow_ops table{};
    table.validate = validate;
    table.create = create;
    table.destroy = destroy;
    table.flush = flush;
    return table;
  }();
  return &operations;
}

}  // namespace saline::pmd
