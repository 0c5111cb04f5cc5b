// What `saline status` shows, gathered and written as a table or as JSON; see status.hpp.
#include "host/salined/status.hpp"

#include <rte_ethdev.h>

#include <algorithm>
#include <cstdio>
#include <string_view>

namespace saline::daemon {
namespace {

void add_reasons(const ipsec::ReasonCounters& from, CountsByName& to) {
  for (std::size_t i = 0; i < from.size(); ++i) {
    if (from[i].get() != 0) to[hw::to_string(static_cast<hw::DropReason>(i))] += from[i].get();
  }
}

const char* name_of(ipsec::Mode mode) {
  return mode == ipsec::Mode::tunnel      ? "tunnel"
         : mode == ipsec::Mode::transport ? "transport"
                                          : "any";
}

const char* name_of(ipsec::State state) {
  switch (state) {
    case ipsec::State::larval:
      return "larval";
    case ipsec::State::mature:
      return "mature";
    case ipsec::State::dying:
      return "dying";
    case ipsec::State::dead:
      break;
  }
  return "dead";
}

const char* name_of(ipsec::Direction direction) {
  return direction == ipsec::Direction::in    ? "in"
         : direction == ipsec::Direction::out ? "out"
                                              : "fwd";
}

const char* name_of(ipsec::Action action) {
  return action == ipsec::Action::ipsec  ? "ipsec"
         : action == ipsec::Action::none ? "none"
                                         : "discard";
}

Status::Association describe(const Engine::SaEntry& entry) {
  const ipsec::SecurityAssociation& sa = *entry.association;
  Status::Association out;
  out.spi = sa.id().spi;
  out.protocol = sa.protocol() == ipsec::Protocol::ah       ? "ah"
                 : sa.protocol() == ipsec::Protocol::ipcomp ? "ipcomp"
                                                            : "esp";
  out.mode = name_of(sa.config().mode);
  out.state = name_of(sa.state());
  out.direction = entry.role.direction == SaDirection::inbound ? "in" : "out";
  out.source = sa.config().source.to_string();
  out.destination = sa.id().destination.to_string();
  out.path = entry.placement.card ? "card" : "software";
  out.reason = entry.placement.reason;
  out.packets = sa.counters().packets.get();
  out.bytes = sa.counters().bytes.get();
  add_reasons(sa.counters().refused, out.drops);
  return out;
}

std::string text_of(const ipsec::Selector& selector) {
  const auto side = [](const base::Prefix& prefix, std::uint16_t port) {
    return prefix.to_string() + (port != 0 ? "[" + std::to_string(port) + "]" : "");
  };
  std::string text = side(selector.source, selector.source_port) + " " +
                     side(selector.destination, selector.destination_port);
  if (selector.upper_protocol != ipsec::kAnyProtocol) {
    text += " " + std::to_string(selector.upper_protocol);
  }
  return text;
}

CountsByName describe(const FlowCounters& flow) {
  return {{"received", flow.received.get()},    {"sent", flow.sent.get()},
          {"not_ip", flow.not_ip.get()},        {"discovery", flow.discovery.get()},
          {"port_full", flow.port_full.get()},  {"other_host", flow.other_host.get()},
          {"by_card", flow.by_card.get()},      {"copied", flow.copied.get()},
          {"fragmented", flow.fragmented.get()}};
}

void add_reassembly(const ipsec::Reassembly::Counters& counters, CountsByName& out) {
  out["reassembled"] = counters.whole.get();
  out["fragments_twice"] = counters.duplicates.get();
  out["fragments_overlap"] = counters.overlapping.get();
  out["fragments_malformed"] = counters.malformed.get();
  out["fragments_late"] = counters.too_late.get();
  out["fragments_evicted"] = counters.evicted.get();
}

// What the port counts for itself; drops that nobody told us of join the others.
void add_card(std::uint16_t port, Status& out) {
  const int count = rte_eth_xstats_get_names(port, nullptr, 0);
  if (count <= 0) return;
  std::vector<rte_eth_xstat_name> names(static_cast<std::size_t>(count));
  std::vector<rte_eth_xstat> values(static_cast<std::size_t>(count));
  const auto wanted = static_cast<unsigned>(count);
  if (rte_eth_xstats_get_names(port, names.data(), wanted) != count ||
      rte_eth_xstats_get(port, values.data(), wanted) != count) {
    return;
  }
  out.card.emplace();
  for (const rte_eth_xstat& stat : values) {
    const std::string_view name = names[stat.id].name;
    if (name.starts_with("card_")) {
      (*out.card)[std::string(name.substr(5))] = stat.value;
      continue;
    }
    if (!name.starts_with("tx_drop_") && !name.starts_with("rx_drop_")) continue;
    if (stat.value == 0) continue;
    (*out.card)[std::string(name)] = stat.value;
    const std::string reason(name.substr(8));
    // Other inbound refusals are delivered flagged, and counted there.
    const bool silent =
        name.starts_with("tx_") || reason == "no_buffer" || reason == "mac" || reason == "dma";
    if (silent) out.drops[reason == "form" ? "unsupported" : reason] += stat.value;
  }
}

// ---- text

using Row = std::vector<std::string>;

std::string table(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths(rows.front().size(), 0);
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const Row& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i] + std::string(widths[i] + 2 - row[i].size(), ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

std::string text_of(const CountsByName& counts) {
  std::string out;
  for (const auto& [name, count] : counts) {
    if (count == 0) continue;
    if (!out.empty()) out += " ";
    out += name + " " + std::to_string(count);
  }
  return out.empty() ? "-" : out;
}

std::string hexadecimal(std::uint32_t value) {
  char text[16];
  std::snprintf(text, sizeof text, "0x%08x", value);
  return text;
}

// ---- JSON

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(c));
      out += escape;
    } else {
      out += c;
    }
  }
  return out + "\"";
}

class Object {
 public:
  Object& raw(std::string_view name, const std::string& json) {
    text_ += (text_.empty() ? "" : ", ") + quoted(name) + ": " + json;
    return *this;
  }
  Object& text(std::string_view name, std::string_view value) { return raw(name, quoted(value)); }
  Object& number(std::string_view name, std::uint64_t value) {
    return raw(name, std::to_string(value));
  }
  std::string str() const { return "{" + text_ + "}"; }

 private:
  std::string text_;
};

std::string json_of(const CountsByName& counts) {
  Object object;
  for (const auto& [name, count] : counts) object.number(name, count);
  return object.str();
}

std::string json_of(const Status::Association& sa) {
  return Object()
      .number("spi", sa.spi)
      .text("protocol", sa.protocol)
      .text("mode", sa.mode)
      .text("state", sa.state)
      .text("direction", sa.direction)
      .text("source", sa.source)
      .text("destination", sa.destination)
      .text("path", sa.path)
      .text("reason", sa.reason)
      .number("packets", sa.packets)
      .number("bytes", sa.bytes)
      .raw("drops", json_of(sa.drops))
      .str();
}

std::string json_of(const Status::Policy& policy) {
  return Object()
      .number("id", policy.id)
      .text("direction", policy.direction)
      .text("action", policy.action)
      .text("selector", policy.selector)
      .number("packets", policy.packets)
      .number("bytes", policy.bytes)
      .number("refused", policy.refused)
      .str();
}

template <typename Items>
std::string json_list(const Items& items) {
  std::string out;
  for (const auto& item : items) out += (out.empty() ? "" : ", ") + json_of(item);
  return "[" + out + "]";
}

}  // namespace

Status collect_status(Engine& engine, const ipsec::Spd& spd, const Dataplane& dataplane,
                      std::optional<std::uint16_t> card_port) {
  Status out;
  engine.refresh_counters();
  for (const auto& [id, entry] : engine.associations()) out.associations.push_back(describe(entry));
  for (const auto& policy : spd.all()) {
    out.policies.push_back({policy->id, name_of(policy->direction), name_of(policy->action),
                            text_of(policy->selector), policy->packets.get(), policy->bytes.get(),
                            policy->refused.get()});
  }
  add_reasons(dataplane.outbound().refused, out.drops);
  add_reasons(dataplane.inbound().refused, out.drops);
  const ipsec::Counters& walk = dataplane.processor_counters();
  add_reasons(walk.outbound_refused, out.drops);
  add_reasons(walk.inbound_refused, out.drops);
  out.flows["outbound"] = describe(dataplane.outbound());
  out.flows["outbound"]["clear_by_use"] = walk.outbound_clear_by_use.get();
  out.flows["inbound"] = describe(dataplane.inbound());
  out.flows["inbound"]["bad_padding"] = walk.bad_padding.get();
  out.flows["inbound"]["path_mtu_learned"] = dataplane.inbound().path_mtu_learned.get();
  out.flows["inbound"]["path_mtu_ignored"] = dataplane.inbound().path_mtu_ignored.get();
  add_reassembly(dataplane.outbound_reassembly(), out.flows["outbound"]);
  add_reassembly(dataplane.inbound_reassembly(), out.flows["inbound"]);
  if (card_port) add_card(*card_port, out);
  return out;
}

std::string to_text(const Status& status) {
  std::vector<Row> rows = {{"SPI", "protocol", "mode", "dir", "state", "source", "destination",
                            "path", "why", "packets", "bytes", "drops"}};
  for (const auto& sa : status.associations) {
    rows.push_back({hexadecimal(sa.spi), sa.protocol, sa.mode, sa.direction, sa.state, sa.source,
                    sa.destination, sa.path, sa.reason, std::to_string(sa.packets),
                    std::to_string(sa.bytes), text_of(sa.drops)});
  }
  std::string out = table(rows) + "\n";
  rows = {{"policy", "dir", "action", "selector", "packets", "bytes", "refused"}};
  for (const auto& policy : status.policies) {
    rows.push_back({std::to_string(policy.id), policy.direction, policy.action, policy.selector,
                    std::to_string(policy.packets), std::to_string(policy.bytes),
                    std::to_string(policy.refused)});
  }
  out += table(rows) + "\n";
  for (const auto& [name, counts] : status.flows) out += name + ": " + text_of(counts) + "\n";
  out += "drops: " + text_of(status.drops) + "\n";
  if (status.card) out += "card: " + text_of(*status.card) + "\n";
  return out;
}

std::string to_json(const Status& status) {
  Object flows;
  for (const auto& [name, counts] : status.flows) flows.raw(name, json_of(counts));
  Object out;
  out.raw("associations", json_list(status.associations))
      .raw("policies", json_list(status.policies))
      .raw("flows", flows.str())
      .raw("drops", json_of(status.drops));
  if (status.card) out.raw("card", json_of(*status.card));
  return out.str() + "\n";
}

}  // namespace saline::daemon
