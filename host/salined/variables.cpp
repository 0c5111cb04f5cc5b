// The sysctl names of KAME and what they may be set to; see variables.hpp.
#include "host/salined/variables.hpp"

#include <cerrno>
#include <charconv>
#include <functional>
#include <map>

#include "host/base/error.hpp"

namespace saline::daemon {
namespace {

using base::Error;
using ipsec::FamilySettings;
using ipsec::Settings;

struct Variable {
  int least, most;
  std::function<void(Settings&, int)> set;
  std::function<int(const Settings&)> get;
};

using Variables = std::map<std::string, Variable, std::less<>>;

// A field reached by `field`, which takes settings of either constness.
template <typename Value, typename Field>
Variable plain(int least, int most, Field field) {
  return {least, most,
          [=](Settings& settings, int value) { field(settings) = static_cast<Value>(value); },
          [=](const Settings& settings) { return static_cast<int>(field(settings)); }};
}

template <typename Value>
Variable of(Value Settings::*field, int least, int most) {
  return plain<Value>(
      least, most, [=](auto& settings) -> auto& { return settings.*field; });
}

template <typename Part, typename Value>
Variable of(Part Settings::*part, Value Part::*field, int least, int most) {
  return plain<Value>(
      least, most, [=](auto& settings) -> auto& { return settings.*part.*field; });
}

// What both families have.
void add_family(Variables& table, const std::string& prefix, FamilySettings Settings::*family) {
  table[prefix + "def_policy"] = of(family, &FamilySettings::default_policy, 0, 1);
  table[prefix + "esp_trans_deflev"] = of(family, &FamilySettings::esp_transport, 1, 2);
  table[prefix + "esp_net_deflev"] = of(family, &FamilySettings::esp_tunnel, 1, 2);
  table[prefix + "ah_trans_deflev"] = of(family, &FamilySettings::ah_transport, 1, 2);
  table[prefix + "ah_net_deflev"] = of(family, &FamilySettings::ah_tunnel, 1, 2);
  table[prefix + "ecn"] = of(family, &FamilySettings::ecn, 0, 2);
}

// What KAME had no variable for.
void add_ours(Variables& table) {
  constexpr int kCopyDscp = 64;
  table["net.saline.tunnel_dscp"] = {
      0, kCopyDscp,
      [](Settings& s, int value) {
        s.copy_dscp = value == kCopyDscp;
        s.tunnel_dscp = static_cast<std::uint8_t>(value % kCopyDscp);
      },
      [](const Settings& s) { return s.copy_dscp ? kCopyDscp : s.tunnel_dscp; }};
  table["net.saline.tunnel_ttl"] = of(&Settings::tunnel_hop_limit, 0, 255);
  table["net.saline.tunnel_flow_label"] = of(&Settings::copy_flow_label, 0, 1);
  table["net.saline.fragment_after"] = of(&Settings::fragment_after, 0, 1);
  table["net.saline.path_mtu"] = of(&Settings::learn_path_mtu, 0, 1);
  table["net.saline.icmp_prohibited"] = of(&Settings::report_discard, 0, 1);
  table["net.saline.icmp_by_payload"] = of(&Settings::icmp_by_payload, 0, 1);
  table["net.saline.kame_compat"] = of(&Settings::kame_compat, 0, 1);
  table["net.saline.reassembly_time"] = of(&Settings::reassembly_time_s, 1, 255);
  table["net.saline.mss_clamp"] = of(&Settings::mss_clamp, 0, 9176);
}

const Variables& variables() {
  static const Variables table = [] {
    Variables made;
    add_family(made, "net.inet.ipsec.", &Settings::ipv4);
    add_family(made, "net.inet6.ipsec6.", &Settings::ipv6);
    made["net.inet.ipsec.ah_cleartos"] = of(&Settings::ipv4, &FamilySettings::ah_clear_tos, 0, 1);
    made["net.inet.ipsec.ah_offsetmask"] =
        of(&Settings::ipv4, &FamilySettings::ah_offset_mask, 0, 0xffff);
    made["net.inet.ipsec.dfbit"] = of(&Settings::ipv4, &FamilySettings::df_bit, 0, 2);
    made["net.key.preferred_oldsa"] = of(&Settings::prefer_oldest_sa, 0, 1);
    made["net.key.allow_unauthenticated"] =
        of(&Settings::sa, &ipsec::SaRules::allow_unauthenticated, 0, 1);
    made["net.key.natt_follow_peer"] = of(&Settings::sa, &ipsec::SaRules::follow_peer, 0, 1);
    made["net.key.natt_keepalive_interval"] =
        of(&Settings::sa, &ipsec::SaRules::keepalive_interval_s, 0, 3600);
    add_ours(made);
    return made;
  }();
  return table;
}

const Variable& find(const std::string& name) {
  const auto variable = variables().find(name);
  if (variable == variables().end()) {
    throw Error(ENOENT, "no variable is called '" + name + "'; net.inet.ipsec.def_policy is one");
  }
  return variable->second;
}

}  // namespace

void set_variable(ipsec::Settings& settings, const std::string& name, const std::string& value) {
  const Variable& variable = find(name);
  int number = 0;
  const auto [end, code] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (code != std::errc() || end != value.data() + value.size() || number < variable.least ||
      number > variable.most) {
    throw Error(EINVAL, name + " takes " + std::to_string(variable.least) + " to " +
                            std::to_string(variable.most) + ", not '" + value + "'");
  }
  variable.set(settings, number);
}

int get_variable(const ipsec::Settings& settings, const std::string& name) {
  return find(name).get(settings);
}

std::string answer_sysctl(ipsec::Settings& settings, const std::string& question) {
  const auto line = [&](const std::string& name) {
    return name + " = " + std::to_string(get_variable(settings, name)) + "\n";
  };
  std::string answer;
  if (question.empty()) {
    for (const std::string& name : variable_names()) answer += line(name);
    return answer;
  }
  const std::size_t equals = question.find('=');
  const std::string name = question.substr(0, equals);
  try {
    if (equals != std::string::npos) set_variable(settings, name, question.substr(equals + 1));
    return line(name);
  } catch (const Error& error) {
    return std::string("error: ") + error.what() + "\n";
  }
}

bool shapes_outer_headers(const std::string& question) {
  const std::string name = question.substr(0, question.find('='));
  return name.ends_with(".ecn") || name.ends_with(".dfbit") ||
         name.starts_with("net.saline.tunnel_");
}

std::vector<std::string> variable_names() {
  std::vector<std::string> names;
  for (const auto& [name, variable] : variables()) names.push_back(name);
  return names;
}

}  // namespace saline::daemon
