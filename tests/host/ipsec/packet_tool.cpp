// The packet walk for a peer in another language: commands on stdin, one answer line each on
// stdout. For scapy_test.py and tests/interop.
//   table      Saline's transforms, as "KIND NAME KEY-BITS,... BLOCK-BYTES ICV-BYTES;" each
//   sa spi=N proto=esp|ah mode=transport|tunnel src=A dst=A [enc=NAME enckey=HEX]
//      [auth=NAME authkey=HEX] [esn=1] [seq=N] [window=N] [ivbase=HEX16]
//      [legacy=1] [align8=1]                                  -> ok | refused WHY
//   out HEX    protects with the last SA                        -> pass HEX | drop REASON
//   in HEX     opens, with an SA whose window starts anew        -> pass HEX | drop REASON
#include <iostream>
#include <map>
#include <sstream>

#include "host/base/bytes.hpp"
#include "host/base/error.hpp"
#include "tests/host/ipsec/bed.hpp"

namespace {

using namespace saline;
using namespace saline::ipsec;
using namespace saline::test;
using Words = std::map<std::string, std::string>;

SaConfig config_from(Words words) {
  SaConfig config;
  config.id.spi = static_cast<std::uint32_t>(std::stoul(words["spi"], nullptr, 0));
  config.id.destination = address(words["dst"]);
  config.id.protocol = words["proto"] == "ah" ? Protocol::ah : Protocol::esp;
  config.source = address(words["src"]);
  config.mode = words["mode"] == "tunnel" ? Mode::tunnel : Mode::transport;
  config.extended_sequence = words["esn"] == "1";
  config.allow_legacy = words["legacy"] == "1";
  config.ah_align8 = words["align8"] == "1";
  config.replay_window = words.contains("window") ? std::stoul(words["window"]) & 0xFFFF : 64;
  if (words.contains("seq")) config.sequence = std::stoull(words["seq"]);
  if (words.contains("ivbase")) config.iv_base = std::stoull(words["ivbase"], nullptr, 16);
  if (words.contains("enc")) {
    config.encryption = crypto::find_encryption(words["enc"]);
    config.encryption_key = base::Secret(base::from_hex(words["enckey"]));
  }
  if (words.contains("auth")) {
    config.integrity = crypto::find_integrity(words["auth"]);
    config.integrity_key = base::Secret(base::from_hex(words["authkey"]));
  }
  return config;
}

Policy policy_of(const SaConfig& config) {
  Policy policy;
  policy.action = Action::ipsec;
  Request request{config.id.protocol, config.mode, Level::require, {}, {}, 0};
  if (config.mode == Mode::tunnel) {
    request.source = config.source;
    request.destination = config.id.destination;
  }
  policy.requests.push_back(request);
  return policy;
}

std::string table() {
  constexpr const char* kKinds[] = {"integrity", "cipher", "aead", "compression"};
  std::ostringstream out;
  for (const crypto::Algorithm& row : crypto::algorithms()) {
    out << kKinds[static_cast<int>(row.kind)] << ' ' << row.name << ' ' << row.key_bits_min;
    for (unsigned bits = row.key_bits_min + 8; bits <= row.key_bits_max; bits += 8)
      if (row.key_bits_valid(bits)) out << ',' << bits;
    out << ' ' << +row.block_bytes << ' ' << +row.icv_bytes << ';';
  }
  return out.str();
}

std::string answer(Outcome outcome, hw::DropReason reason, const Buffer& buffer) {
  if (outcome == Outcome::drop) return std::string("drop ") + hw::to_string(reason);
  return "pass " + base::to_hex(buffer.bytes());
}

}  // namespace

int main() {
  std::unique_ptr<Host> host;
  std::shared_ptr<SecurityAssociation> sa;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream in(line);
    std::string command;
    std::string word;
    in >> command;
    if (command == "table") {
      std::cout << table() << std::endl;
      continue;
    }
    if (command == "sa") {
      Words words;
      while (in >> word) words[word.substr(0, word.find('='))] = word.substr(word.find('=') + 1);
      host = std::make_unique<Host>();
      try {
        sa = host->add(config_from(words));
        std::cout << "ok" << std::endl;
      } catch (const base::Error& error) {
        std::cout << "refused " << error.what() << std::endl;
      }
      continue;
    }
    in >> word;
    Buffer buffer(base::from_hex(word));
    if (command == "out") {
      const Policy policy = policy_of(sa->config());
      const OutboundItem item = host->protect(buffer, policy);
      std::cout << answer(item.outcome, item.reason, buffer) << std::endl;
    } else {
      sa->window().restart(sa->config().sequence);
      const InboundItem item = host->open(buffer);
      std::cout << answer(item.outcome, item.reason, buffer) << std::endl;
    }
  }
}
