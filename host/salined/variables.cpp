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
};

using Variables = std::map<std::string, Variable, std::less<>>;
using Family = FamilySettings Settings::*;

Variable level(Family family, ipsec::Level FamilySettings::*field) {
  return {1, 2, [=](Settings& settings, int value) {
            settings.*family.*field = static_cast<ipsec::Level>(value);
          }};
}

// What both families have.
void add_family(Variables& table, const std::string& prefix, Family family) {
  table[prefix + "def_policy"] = {0, 1, [=](Settings& settings, int value) {
                                    (settings.*family).default_policy =
                                        static_cast<ipsec::Action>(value);
                                  }};
  table[prefix + "esp_trans_deflev"] = level(family, &FamilySettings::esp_transport);
  table[prefix + "esp_net_deflev"] = level(family, &FamilySettings::esp_tunnel);
  table[prefix + "ah_trans_deflev"] = level(family, &FamilySettings::ah_transport);
  table[prefix + "ah_net_deflev"] = level(family, &FamilySettings::ah_tunnel);
  table[prefix + "ecn"] = {0, 2, [=](Settings& settings, int value) {
                             (settings.*family).ecn = static_cast<ipsec::Ecn>(value);
                           }};
}

// What KAME had no variable for.
void add_ours(Variables& table) {
  const auto flag = [](bool Settings::*field) {
    return Variable{0, 1, [=](Settings& settings, int value) { settings.*field = value != 0; }};
  };
  constexpr int kCopyDscp = 64;
  table["net.saline.tunnel_dscp"] = {0, kCopyDscp, [](Settings& s, int value) {
                                       s.copy_dscp = value == kCopyDscp;
                                       s.tunnel_dscp = static_cast<std::uint8_t>(value % kCopyDscp);
                                     }};
  table["net.saline.tunnel_ttl"] = {0, 255, [](Settings& s, int value) {
                                      s.tunnel_hop_limit = static_cast<std::uint8_t>(value);
                                    }};
  table["net.saline.tunnel_flow_label"] = flag(&Settings::copy_flow_label);
  table["net.saline.fragment_after"] = flag(&Settings::fragment_after);
  table["net.saline.path_mtu"] = flag(&Settings::learn_path_mtu);
  table["net.saline.icmp_prohibited"] = flag(&Settings::report_discard);
  table["net.saline.reassembly_time"] = {1, 255, [](Settings& s, int value) {
                                           s.reassembly_time_s = static_cast<std::uint16_t>(value);
                                         }};
  table["net.saline.mss_clamp"] = {
      0, 9176, [](Settings& s, int value) { s.mss_clamp = static_cast<std::uint16_t>(value); }};
}

const Variables& variables() {
  static const Variables table = [] {
    Variables made;
    add_family(made, "net.inet.ipsec.", &Settings::ipv4);
    add_family(made, "net.inet6.ipsec6.", &Settings::ipv6);
    made["net.inet.ipsec.ah_cleartos"] = {
        0, 1, [](Settings& s, int value) { s.ipv4.ah_clear_tos = value != 0; }};
    made["net.inet.ipsec.ah_offsetmask"] = {
        0, 0xffff,
        [](Settings& s, int value) { s.ipv4.ah_offset_mask = static_cast<std::uint16_t>(value); }};
    made["net.inet.ipsec.dfbit"] = {
        0, 2, [](Settings& s, int value) { s.ipv4.df_bit = static_cast<ipsec::DfBit>(value); }};
    made["net.key.preferred_oldsa"] = {
        0, 1, [](Settings& s, int value) { s.prefer_oldest_sa = value != 0; }};
    add_ours(made);
    return made;
  }();
  return table;
}

}  // namespace

void set_variable(ipsec::Settings& settings, const std::string& name, const std::string& value) {
  const auto variable = variables().find(name);
  if (variable == variables().end()) {
    throw Error(ENOENT, "no variable is called '" + name + "'; net.inet.ipsec.def_policy is one");
  }
  int number = 0;
  const auto [end, code] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (code != std::errc() || end != value.data() + value.size() ||
      number < variable->second.least || number > variable->second.most) {
    throw Error(EINVAL, name + " takes " + std::to_string(variable->second.least) + " to " +
                            std::to_string(variable->second.most) + ", not '" + value + "'");
  }
  variable->second.set(settings, number);
}

std::vector<std::string> variable_names() {
  std::vector<std::string> names;
  for (const auto& [name, variable] : variables()) names.push_back(name);
  return names;
}

}  // namespace saline::daemon
