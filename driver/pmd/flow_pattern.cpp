// rte_flow patterns and actions to policy entries of the card (RFC 4301 §4.4.1.1). A field that a
// rule asks for and the card does not compare refuses the rule: half a match would be another
// policy.
#include <cstring>

#include "driver/pmd/flow.hpp"
#include "driver/pmd/port.hpp"

namespace saline::pmd {
namespace {

[[noreturn]] void refuse(rte_flow_error_type type, const void* cause, const char* message,
                         int errno_value = ENOTSUP) {
  throw FlowRefusal{errno_value, type, cause, message};
}

[[noreturn]] void refuse_item(const rte_flow_item& item, const char* message) {
  refuse(RTE_FLOW_ERROR_TYPE_ITEM, &item, message);
}

void check_attributes(const rte_flow_attr& attributes) {
  if (attributes.group != 0) {
    refuse(RTE_FLOW_ERROR_TYPE_ATTR_GROUP, &attributes, "there is one group, 0");
  }
  if (attributes.transfer != 0) {
    refuse(RTE_FLOW_ERROR_TYPE_ATTR_TRANSFER, &attributes, "there is no transfer between ports");
  }
  if ((attributes.ingress != 0) == (attributes.egress != 0)) {
    refuse(RTE_FLOW_ERROR_TYPE_ATTR, &attributes, "a rule is either ingress or egress", EINVAL);
  }
}

void require_no_spec(const rte_flow_item& item, const char* message) {
  if (item.spec != nullptr || item.last != nullptr || item.mask != nullptr) {
    refuse_item(item, message);
  }
}

const rte_flow_item* skip_void(const rte_flow_item* item) {
  while (item->type == RTE_FLOW_ITEM_TYPE_VOID) ++item;
  return item;
}

const rte_flow_item* next(const rte_flow_item* item) { return skip_void(item + 1); }

const rte_flow_item* skip_ethernet(const rte_flow_item* items) {
  const rte_flow_item* item = skip_void(items);
  if (item->type != RTE_FLOW_ITEM_TYPE_ETH) return item;
  require_no_spec(*item, "link-layer addresses are not compared; give ETH without a spec");
  return next(item);
}

// The item's spec and mask, DPDK's rules applied: no spec matches all, no mask is the default one.
template <class Header>
struct Match {
  Header spec{}, mask{}, last{};
  bool any = true, range = false;

  Match(const rte_flow_item& item, const Header& default_mask) {
    if (item.spec == nullptr) {
      if (item.mask != nullptr || item.last != nullptr) {
        refuse_item(item, "mask or last without a spec");
      }
      return;
    }
    any = false;
    spec = *static_cast<const Header*>(item.spec);
    mask = item.mask != nullptr ? *static_cast<const Header*>(item.mask) : default_mask;
    range = item.last != nullptr;
    if (range) last = *static_cast<const Header*>(item.last);
  }
};

// rte_flow's default masks, which its headers keep from C++: addresses and ports whole, no more.
template <class Header>
Header ip_default_mask() {
  Header mask{};
  std::memset(&mask.hdr.src_addr, 0xff, sizeof mask.hdr.src_addr);
  std::memset(&mask.hdr.dst_addr, 0xff, sizeof mask.hdr.dst_addr);
  return mask;
}

template <class Header>
Header port_default_mask() {
  Header mask{};
  mask.hdr.src_port = mask.hdr.dst_port = 0xffff;
  return mask;
}

template <class Header>
void require_nothing_else(const rte_flow_item& item, const Header& mask) {
  const Header zero{};
  if (std::memcmp(&mask, &zero, sizeof mask) != 0) {
    refuse_item(item, "only addresses, protocol and ports are compared");
  }
}

template <class Address>
void put_address(const Address& address, const Address& mask, std::array<std::uint8_t, 16>& value,
                 std::array<std::uint8_t, 16>& compared) {
  static_assert(sizeof(Address) == 4 || sizeof(Address) == 16);
  std::memcpy(compared.data(), &mask, sizeof mask);
  std::memcpy(value.data(), &address, sizeof address);
  for (std::size_t i = 0; i < sizeof address; ++i) value[i] &= compared[i];
}

void put_protocol(const rte_flow_item& item, std::uint8_t protocol, std::uint8_t mask,
                  hw::PolicyEntry& entry) {
  if (mask == 0) return;
  if (mask != 0xff) refuse_item(item, "the protocol is compared whole or not at all");
  entry.any_protocol = false;
  entry.protocol = protocol;
}

void put_network(const rte_flow_item& item, hw::PolicyEntry& entry) {
  entry.any_protocol = true;
  entry.any_port = true;
  if (item.last != nullptr) refuse_item(item, "ranges of addresses are not compared; use a mask");
  if (item.type == RTE_FLOW_ITEM_TYPE_IPV4) {
    Match<rte_flow_item_ipv4> match(item, ip_default_mask<rte_flow_item_ipv4>());
    put_address(match.spec.hdr.src_addr, match.mask.hdr.src_addr, entry.source, entry.source_mask);
    put_address(match.spec.hdr.dst_addr, match.mask.hdr.dst_addr, entry.destination,
                entry.destination_mask);
    put_protocol(item, match.spec.hdr.next_proto_id, match.mask.hdr.next_proto_id, entry);
    match.mask.hdr.src_addr = match.mask.hdr.dst_addr = 0;
    match.mask.hdr.next_proto_id = 0;
    require_nothing_else(item, match.mask);
  } else if (item.type == RTE_FLOW_ITEM_TYPE_IPV6) {
    entry.ipv6 = true;
    Match<rte_flow_item_ipv6> match(item, ip_default_mask<rte_flow_item_ipv6>());
    put_address(match.spec.hdr.src_addr, match.mask.hdr.src_addr, entry.source, entry.source_mask);
    put_address(match.spec.hdr.dst_addr, match.mask.hdr.dst_addr, entry.destination,
                entry.destination_mask);
    put_protocol(item, match.spec.hdr.proto, match.mask.hdr.proto, entry);
    std::memset(match.mask.hdr.src_addr, 0, sizeof match.mask.hdr.src_addr);
    std::memset(match.mask.hdr.dst_addr, 0, sizeof match.mask.hdr.dst_addr);
    match.mask.hdr.proto = 0;
    require_nothing_else(item, match.mask);
  } else {
    refuse_item(item, "an egress rule starts with IPV4 or IPV6");
  }
}

struct PortRange {
  std::uint16_t min = 0, max = 0xffff;
};

// A value, a mask of leading bits, or from spec to last.
PortRange port_range(const rte_flow_item& item, rte_be16_t spec, rte_be16_t mask, rte_be16_t last,
                     bool range) {
  const std::uint16_t value = rte_be_to_cpu_16(spec);
  const std::uint16_t compared = rte_be_to_cpu_16(mask);
  if (range) {
    if (compared == 0) return {};
    const std::uint16_t end = rte_be_to_cpu_16(last);
    if (compared != 0xffff || end < value) refuse_item(item, "not a range of whole port numbers");
    return {value, end};
  }
  const auto free_bits = static_cast<std::uint16_t>(~compared);
  if ((free_bits & (free_bits + 1)) != 0) {
    refuse_item(item, "a port mask must be one of leading bits");
  }
  const auto low = static_cast<std::uint16_t>(value & compared);
  return {low, static_cast<std::uint16_t>(low | free_bits)};
}

template <class Header>
void put_ports(const rte_flow_item& item, hw::PolicyEntry& entry) {
  Match<Header> match(item, port_default_mask<Header>());
  if (match.any) return;
  const PortRange source = port_range(item, match.spec.hdr.src_port, match.mask.hdr.src_port,
                                      match.last.hdr.src_port, match.range);
  const PortRange destination = port_range(item, match.spec.hdr.dst_port, match.mask.hdr.dst_port,
                                           match.last.hdr.dst_port, match.range);
  entry.any_port = match.mask.hdr.src_port == 0 && match.mask.hdr.dst_port == 0;
  entry.source_port_min = source.min;
  entry.source_port_max = source.max;
  entry.destination_port_min = destination.min;
  entry.destination_port_max = destination.max;
  match.mask.hdr.src_port = match.mask.hdr.dst_port = 0;
  require_nothing_else(item, match.mask);
}

void put_upper(const rte_flow_item& item, hw::PolicyEntry& entry) {
  std::uint8_t protocol = 0;
  switch (item.type) {
    case RTE_FLOW_ITEM_TYPE_TCP:
      protocol = IPPROTO_TCP;
      put_ports<rte_flow_item_tcp>(item, entry);
      break;
    case RTE_FLOW_ITEM_TYPE_UDP:
      protocol = IPPROTO_UDP;
      put_ports<rte_flow_item_udp>(item, entry);
      break;
    case RTE_FLOW_ITEM_TYPE_SCTP:
      protocol = IPPROTO_SCTP;
      put_ports<rte_flow_item_sctp>(item, entry);
      break;
    case RTE_FLOW_ITEM_TYPE_ICMP:
    case RTE_FLOW_ITEM_TYPE_ICMP6:
      protocol = entry.ipv6 ? std::uint8_t{IPPROTO_ICMPV6} : std::uint8_t{IPPROTO_ICMP};
      require_no_spec(item, "ICMP types are not compared");
      break;
    default:
      refuse_item(item,
                  "not a protocol that egress rules know; use the protocol field of the IP item");
  }
  if (!entry.any_protocol && entry.protocol != protocol) {
    refuse_item(item, "the IP item names another protocol");
  }
  entry.any_protocol = false;
  entry.protocol = protocol;
}

void parse_egress(const rte_flow_item* items, hw::PolicyEntry& entry) {
  const rte_flow_item* item = skip_ethernet(items);
  put_network(*item, entry);
  item = next(item);
  if (item->type != RTE_FLOW_ITEM_TYPE_END) {
    put_upper(*item, entry);
    item = next(item);
  }
  if (item->type != RTE_FLOW_ITEM_TYPE_END)
    refuse_item(*item, "nothing is compared below this item");
}

void parse_ingress(const rte_flow_item* items) {
  const rte_flow_item* item = skip_ethernet(items);
  if (item->type == RTE_FLOW_ITEM_TYPE_IPV4 || item->type == RTE_FLOW_ITEM_TYPE_IPV6) {
    require_no_spec(*item, "addresses are the session's to check, by tunnel_hdr_verify");
    item = next(item);
  }
  if (item->type != RTE_FLOW_ITEM_TYPE_ESP) refuse_item(*item, "an ingress rule names ESP");
  if (item->last != nullptr) refuse_item(*item, "no range of SPIs");
  item = next(item);
  if (item->type != RTE_FLOW_ITEM_TYPE_END) refuse_item(*item, "nothing is compared below ESP");
}

const rte_flow_action& only_action(const rte_flow_action* actions) {
  const rte_flow_action* found = nullptr;
  for (const rte_flow_action* action = actions; action->type != RTE_FLOW_ACTION_TYPE_END;
       ++action) {
    if (action->type == RTE_FLOW_ACTION_TYPE_VOID) continue;
    if (found != nullptr) {
      refuse(RTE_FLOW_ERROR_TYPE_ACTION, action, "a rule has one action");
    }
    found = action;
  }
  if (found == nullptr)
    refuse(RTE_FLOW_ERROR_TYPE_ACTION, actions, "a rule has one action", EINVAL);
  return *found;
}

void put_action(const rte_flow_action& action, FlowRule& rule) {
  hw::PolicyAction verdict = hw::PolicyAction::discard;
  switch (action.type) {
    case RTE_FLOW_ACTION_TYPE_DROP:
      break;
    case RTE_FLOW_ACTION_TYPE_PASSTHRU:
      verdict = hw::PolicyAction::bypass;
      break;
    case RTE_FLOW_ACTION_TYPE_SECURITY: {
      const auto* conf = static_cast<const rte_flow_action_security*>(action.conf);
      if (conf == nullptr || conf->security_session == nullptr) {
        refuse(RTE_FLOW_ERROR_TYPE_ACTION_CONF, &action,
               "an egress rule names its security session", EINVAL);
      }
      verdict = hw::PolicyAction::protect;
      rule.protect = session_of(static_cast<rte_security_session*>(conf->security_session)).slot;
      if (rule.protect.direction != driver::Direction::egress) {
        refuse(RTE_FLOW_ERROR_TYPE_ACTION_CONF, &action, "the security session is inbound", EINVAL);
      }
      rule.entry.sa_index = rule.protect.index;
      break;
    }
    default:
      refuse(RTE_FLOW_ERROR_TYPE_ACTION, &action, "egress actions are SECURITY, DROP and PASSTHRU");
  }
  rule.entry.action = static_cast<std::uint8_t>(verdict);
}

}  // namespace

FlowRule parse_flow(const rte_flow_attr& attributes, const rte_flow_item* items,
                    const rte_flow_action* actions) {
  check_attributes(attributes);
  const rte_flow_action& action = only_action(actions);
  FlowRule rule;
  rule.egress = attributes.egress != 0;
  rule.priority = attributes.priority;
  if (rule.egress) {
    parse_egress(items, rule.entry);
    put_action(action, rule);
  } else {
    parse_ingress(items);
    if (action.type != RTE_FLOW_ACTION_TYPE_SECURITY) {
      refuse(RTE_FLOW_ERROR_TYPE_ACTION, &action, "the action of an ingress rule is SECURITY");
    }
  }
  return rule;
}

}  // namespace saline::pmd
