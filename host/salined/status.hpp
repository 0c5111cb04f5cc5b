// What `saline status` shows: SAs with who carries them and why, policies, drops by reason, card.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "host/ipsec/spd.hpp"
#include "host/salined/dataplane.hpp"
#include "host/salined/engine.hpp"

namespace saline::daemon {

using CountsByName = std::map<std::string, std::uint64_t>;

struct Status {
  struct Association {
    std::uint32_t spi = 0;
    std::string protocol, mode, state, direction, source, destination, path, reason;
    std::uint64_t packets = 0, bytes = 0;
    CountsByName drops;
  };
  struct Policy {
    std::uint32_t id = 0;
    std::string direction, action, selector;
    std::uint64_t packets = 0, bytes = 0, refused = 0;
  };
  std::vector<Association> associations;
  std::vector<Policy> policies;
  CountsByName drops;                         // by reason, everywhere, the card included
  std::map<std::string, CountsByName> flows;  // "outbound" and "inbound"
  std::optional<CountsByName> card;           // the port's own counters
};

// card_port: the wire port when a card carries SAs.
Status collect_status(Engine& engine, const ipsec::Spd& spd, const Dataplane& dataplane,
                      std::optional<std::uint16_t> card_port);

std::string to_text(const Status& status);
std::string to_json(const Status& status);

}  // namespace saline::daemon
