// The command line of salined. No configuration file in this version: what an option does not say
// has the default of its field.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "host/base/ip.hpp"
#include "host/salined/port.hpp"

namespace saline::daemon {

// Whether SAs may, should or must be carried by the card.
enum class OffloadMode : std::uint8_t { require, prefer, never };

struct Options {
  std::string socket_path;   // PF_KEY
  std::string control_path;  // saline(8)
  std::string host_port = "tap:saline0";
  std::string wire_port;
  std::optional<MacAddress> next_hop;  // where the kernel knows none
  std::string plugin_path;             // empty: beside the executable
  bool huge_pages = true;
  unsigned memory_mb = 256;
  std::optional<unsigned> lcore;          // CPU of the data thread; else it floats
  std::optional<std::uint16_t> mtu;       // of the host port
  std::optional<std::uint16_t> wire_mtu;  // else as the device has it
  OffloadMode offload = OffloadMode::prefer;
  bool allow_legacy = false;  // algorithms that RFC 8221 says MUST NOT
  std::vector<std::pair<std::string, std::string>> variables;  // --set, in order
};

// std::nullopt when --help was asked for. Throws Error(EINVAL) with one sentence for anything that
// is not understood or missing.
std::optional<Options> parse_options(int argc, char** argv);

const char* usage();

}  // namespace saline::daemon
