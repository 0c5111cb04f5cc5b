// The command line of salined; see options.hpp.
#include "host/salined/options.hpp"

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <functional>
#include <map>

#include "host/base/error.hpp"
#include "host/pfkey/wire.hpp"

namespace saline::daemon {
namespace {

using base::Error;

constexpr char kDefaultControlPath[] = "/run/saline/control.sock";

unsigned number(const std::string& option, const std::string& text, unsigned least, unsigned most) {
  unsigned value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size() || value < least || value > most) {
    throw Error(EINVAL, option + " takes a number from " + std::to_string(least) + " to " +
                            std::to_string(most) + ", not '" + text + "'");
  }
  return value;
}

MacAddress mac_address(const std::string& option, const std::string& text) {
  MacAddress mac{};
  char end = 0;
  const int read = std::sscanf(text.c_str(), "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%c", &mac[0],
                               &mac[1], &mac[2], &mac[3], &mac[4], &mac[5], &end);
  if (read != 6 || (mac[0] & 1) != 0) {
    throw Error(EINVAL, option +
                            " takes the address of one station, such as 02:00:00:00:00:01, "
                            "not '" +
                            text + "'");
  }
  return mac;
}

OffloadMode offload_mode(const std::string& text) {
  if (text == "require") return OffloadMode::require;
  if (text == "prefer") return OffloadMode::prefer;
  if (text == "never") return OffloadMode::never;
  throw Error(EINVAL, "--offload takes require, prefer or never, not '" + text + "'");
}

std::pair<std::string, std::string> assignment(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw Error(EINVAL, "--set takes NAME=VALUE, not '" + text + "'");
  }
  return {text.substr(0, equals), text.substr(equals + 1)};
}

using Value = std::function<void(const std::string& name, const std::string& value)>;

std::map<std::string, Value, std::less<>> valued_options(Options& out) {
  const auto text = [](std::string& field) {
    return [&field](const std::string&, const std::string& value) { field = value; };
  };
  return {
      {"--socket", text(out.socket_path)},
      {"--control", text(out.control_path)},
      {"--host-port", text(out.host_port)},
      {"--wire-port", text(out.wire_port)},
      {"--plugin", text(out.plugin_path)},
      {"--memory", [&](const auto& name,
                       const auto& value) { out.memory_mb = number(name, value, 64, 65536); }},
      {"--lcore",
       [&](const auto& name, const auto& value) { out.lcore = number(name, value, 0, 1023); }},
      {"--mtu",
       [&](const auto& name, const auto& value) {
         out.mtu = static_cast<std::uint16_t>(number(name, value, 576, 9600));
       }},
      {"--next-hop",
       [&](const auto& name, const auto& value) { out.next_hop = mac_address(name, value); }},
      {"--wire-mtu",
       [&](const auto& name, const auto& value) {
         out.wire_mtu = static_cast<std::uint16_t>(number(name, value, 1280, 9600));
       }},
      {"--offload", [&](const auto&, const auto& value) { out.offload = offload_mode(value); }},
      {"--set",
       [&](const auto&, const auto& value) { out.variables.push_back(assignment(value)); }},
  };
}

}  // namespace

std::optional<Options> parse_options(int argc, char** argv) {
  Options out;
  out.socket_path = pfkey::kDefaultSocketPath;
  out.control_path = kDefaultControlPath;
  const auto valued = valued_options(out);
  for (int i = 1; i < argc; ++i) {
    std::string name = argv[i];
    if (name == "--help" || name == "-h") return std::nullopt;
    if (name == "--foreground") continue;  // the only way there is
    if (name == "--no-huge") {
      out.huge_pages = false;
      continue;
    }
    if (name == "--allow-legacy") {
      out.allow_legacy = true;
      continue;
    }
    std::optional<std::string> value;
    if (const std::size_t equals = name.find('='); equals != std::string::npos) {
      value = name.substr(equals + 1);
      name.resize(equals);
    }
    const auto option = valued.find(name);
    if (option == valued.end()) {
      throw Error(EINVAL, "unknown option '" + name + "'; salined --help lists them");
    }
    if (!value) {
      if (++i == argc) throw Error(EINVAL, name + " needs a value; salined --help says which");
      value = argv[i];
    }
    option->second(name, *value);
  }
  if (out.wire_port.empty()) {
    throw Error(EINVAL,
                "--wire-port is missing: name the port of the network, for example "
                "--wire-port net_af_packet0,iface=eth1");
  }
  return out;
}

const char* usage() {
  return R"(usage: salined --wire-port PORT [options]

salined applies IPsec to every packet between a host port and a wire port, keyed over PF_KEY.

Ports
  --wire-port PORT      the network's side: a DPDK vdev with its arguments or a PCI address, e.g.
                          net_saline0,transport=xrt,device=0000:01:00.0   the card
                          net_saline0,transport=model,mac=iface:cable     a simulated card
                          net_af_packet0,iface=eth1                       no card
                          0000:02:00.0                                    any NIC with a DPDK driver
  --host-port PORT      the host's side: tap:NAME makes the network device NAME, anything else is a
                        DPDK port as above (default tap:saline0)
  --next-hop MAC        station that tunnels go to where the kernel knows no next hop, as when the
                        host port is no network device
  --mtu N               MTU of the host port (default: the wire port's less 100 for IPsec headers)
  --wire-mtu N          MTU of the wire port (default: what the device has)
  --plugin PATH         the driver of the card (default: librte_net_saline.so near salined)

Policy
  --offload MODE        require, prefer (default) or never let the card carry SAs
  --allow-legacy        accept SAs of algorithms that RFC 8221 forbids: des-cbc, des-deriv,
                        des-32iv, blowfish-cbc, cast128-cbc, hmac-md5, keyed-md5, keyed-sha1
  --set NAME=VALUE      a host-wide variable, e.g. net.inet.ipsec.def_policy=0 (discard); repeatable

Sockets
  --socket PATH         PF_KEY (default /run/saline/pfkey.sock)
  --control PATH        for saline(8) (default /run/saline/control.sock)

Resources
  --no-huge             do without hugepages
  --memory MB           packet memory (default 256)
  --lcore N             pin the data thread to CPU N
  --foreground          stay in the foreground (default)
  -h, --help            this text

SIGTERM and SIGINT end it: all SAs are destroyed, the TAP device goes.
)";
}

}  // namespace saline::daemon
