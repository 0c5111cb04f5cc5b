// What a policy must satisfy, and how a selector compares.
#include "host/ipsec/policy.hpp"

#include <cerrno>

#include "host/base/error.hpp"

namespace saline::ipsec {

namespace {

using base::Error;

void validate_request(const Request& request) {
  if (request.mode != Mode::transport && request.mode != Mode::tunnel && request.mode != Mode::any)
    throw Error(EINVAL, "a request's mode is transport, tunnel or any");
  if (request.mode == Mode::tunnel &&
      (request.source.is_unspecified() || request.destination.is_unspecified()))
    throw Error(EINVAL, "a tunnel request needs the tunnel's two addresses");
  if (!request.source.is_unspecified() && !request.destination.is_unspecified() &&
      request.source.family != request.destination.family)
    throw Error(EINVAL, "the two addresses of a request must be of one family");
  if (request.level == Level::unique && request.reqid == 0)
    throw Error(EINVAL, "level unique needs a request id other than 0");
  switch (request.protocol) {
    case Protocol::esp:
    case Protocol::ah:
    case Protocol::ipcomp:
      return;
  }
  throw Error(EINVAL, "a request's protocol is esp, ah or ipcomp");
}

}  // namespace

bool Selector::matches(const Flow& flow) const noexcept {
  if (upper_protocol != kAnyProtocol && upper_protocol != flow.upper_protocol) return false;
  if (source_port != 0 && (!flow.ports_known || flow.source_port != source_port)) return false;
  if (destination_port != 0 && (!flow.ports_known || flow.destination_port != destination_port))
    return false;
  return source.contains(flow.source) && destination.contains(flow.destination);
}

void Policy::validate() const {
  const base::Family family = selector.source.address.family;
  if (family == base::Family::none || family != selector.destination.address.family)
    throw Error(EINVAL, "source and destination of a policy must be of one family");
  const std::size_t bits = base::address_bytes(family) * 8;
  if (selector.source.length > bits || selector.destination.length > bits)
    throw Error(EINVAL, "a prefix is longer than the address");
  if (direction != Direction::in && direction != Direction::out && direction != Direction::fwd)
    throw Error(EINVAL, "a policy's direction is in, out or fwd");
  if (action == Action::ipsec && requests.empty())
    throw Error(EINVAL, "an ipsec policy needs at least one request");
  if (action != Action::ipsec && !requests.empty())
    throw Error(EINVAL, "only an ipsec policy has requests");
  if (requests.size() > kRequestsMax)
    throw Error(EINVAL, "a policy has at most " + std::to_string(kRequestsMax) + " requests");
  for (const Request& request : requests) validate_request(request);
}

}  // namespace saline::ipsec
