// A security policy: selectors, action and the ordered list of transforms it asks for (RFC 4301
// §4.4.1, with the levels of KAME).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "host/base/ip.hpp"
#include "host/ipsec/association.hpp"
#include "host/ipsec/protocols.hpp"
#include "host/ipsec/selector.hpp"

namespace saline::ipsec {

// One transform, in PF_KEY an ipsecrequest. Tunnel mode needs both addresses; in transport mode
// they are as a rule unspecified and mean the packet's own.
struct Request {
  Protocol protocol = Protocol::esp;
  Mode mode = Mode::transport;
  Level level = Level::default_;
  base::Address source;
  base::Address destination;
  std::uint32_t reqid = 0;  // 0: any SA; with level unique: only SAs with this reqid
};

inline constexpr std::size_t kRequestsMax = 8;

struct Policy {
  std::uint32_t id = 0;  // 0: Spd::add chooses one
  Direction direction = Direction::out;
  Action action = Action::none;
  std::int32_t priority = 0;  // lower wins; equal: first added wins
  Selector selector;
  std::vector<Request> requests;  // first is innermost, as setkey writes them

  mutable Counter packets;
  mutable Counter bytes;
  mutable Counter refused;
  mutable Counter last_used_s;

  // Throws Error(EINVAL): mixed families, prefix too long, tunnel without addresses, more than
  // kRequestsMax requests, ipsec without a request.
  void validate() const;
};

}  // namespace saline::ipsec
