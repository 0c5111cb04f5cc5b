// PF_KEY messages to SAs and policies and back; see convert.hpp.
#include "host/salined/convert.hpp"

#include <cerrno>
#include <string>
#include <utility>

#include "host/base/error.hpp"

namespace saline::daemon {
namespace {

using base::Address;
using base::Error;

const crypto::Algorithm* integrity_of(const pfkey::Message& request) {
  if (request.sa->auth == 0) return nullptr;
  const crypto::Algorithm* found = crypto::find_integrity(request.sa->auth);
  if (found == nullptr) {
    throw Error(ENOSYS, "integrity algorithm number " + std::to_string(request.sa->auth) +
                            " is unknown; REGISTER lists the known ones");
  }
  return found;
}

const crypto::Algorithm* encryption_of(const pfkey::Message& request) {
  const crypto::Algorithm* found = crypto::find_encryption(request.sa->encrypt, request.sa->flags);
  if (found == nullptr) {
    throw Error(ENOSYS, "encryption algorithm number " + std::to_string(request.sa->encrypt) +
                            " is unknown; REGISTER lists the known ones");
  }
  return found;
}

const crypto::Algorithm* compression_of(const pfkey::Message& request) {
  const crypto::Algorithm* found = crypto::find_compression(request.sa->encrypt);
  if (found == nullptr) {
    throw Error(ENOSYS, "compression algorithm number " + std::to_string(request.sa->encrypt) +
                            " is not carried; deflate (2) is");
  }
  return found;
}

// SADB_X_EXT_NAT_T_TYPE, SPORT, DPORT, OA (Linux, FreeBSD).
ipsec::UdpEncapsulation udp_of(const pfkey::PublicMessage& request) {
  const std::uint8_t type = request.nat_t_type.value_or(0);
  if (type == 0) return {};
  if (type != pfkey::kNatTEspInUdp) {
    throw Error(EOPNOTSUPP, "NAT traversal of type " + std::to_string(type) +
                                " is not carried; ESP in UDP (2, RFC 3948) is");
  }
  ipsec::UdpEncapsulation udp;
  udp.source_port = request.nat_t_source_port.value_or(0);
  udp.destination_port = request.nat_t_destination_port.value_or(0);
  if (udp.source_port == 0 || udp.destination_port == 0) {
    throw Error(EINVAL, "ESP in UDP needs both ports: NAT_T_SPORT and NAT_T_DPORT");
  }
  if (request.nat_t_original) udp.original = request.nat_t_original->endpoint.address;
  return udp;
}

ipsec::Request to_request(const pfkey::PolicyRequest& wire) {
  ipsec::Request request;
  request.protocol = static_cast<ipsec::Protocol>(wire.proto);
  request.mode = static_cast<ipsec::Mode>(wire.mode);
  request.level = static_cast<ipsec::Level>(wire.level);
  request.reqid = wire.reqid;
  if (wire.source) request.source = wire.source->address;
  if (wire.destination) request.destination = wire.destination->address;
  return request;
}

pfkey::PolicyRequest from_request(const ipsec::Request& request) {
  pfkey::PolicyRequest wire;
  wire.proto = static_cast<std::uint8_t>(request.protocol);
  wire.mode = static_cast<pfkey::Mode>(request.mode);
  wire.level = static_cast<pfkey::Level>(request.level);
  wire.reqid = request.reqid;
  if (request.source.family != base::Family::none) {
    wire.source = base::Endpoint{request.source, 0};
    wire.destination = base::Endpoint{request.destination, 0};
  }
  return wire;
}

}  // namespace

ipsec::Protocol to_protocol(pfkey::SaType satype) {
  if (satype == pfkey::SaType::ah) return ipsec::Protocol::ah;
  if (satype == pfkey::SaType::esp) return ipsec::Protocol::esp;
  if (satype == pfkey::SaType::ipcomp) return ipsec::Protocol::ipcomp;
  throw Error(EPROTONOSUPPORT, "only AH, ESP and IPComp SAs are supported");
}

pfkey::SaType to_satype(ipsec::Protocol protocol) {
  return protocol == ipsec::Protocol::ah       ? pfkey::SaType::ah
         : protocol == ipsec::Protocol::ipcomp ? pfkey::SaType::ipcomp
                                               : pfkey::SaType::esp;
}

ipsec::SaId to_id(const pfkey::PublicMessage& request) {
  return {request.sa ? request.sa->spi : 0, request.destination->endpoint.address,
          to_protocol(request.satype)};
}

ipsec::SaConfig to_config(pfkey::Message& request, const ipsec::SaRules& rules) {
  ipsec::SaConfig config;
  config.id = to_id(request);
  config.source = request.source->endpoint.address;
  if (request.sa2) {
    config.mode = static_cast<ipsec::Mode>(request.sa2->mode);
    config.reqid = request.sa2->reqid;
  }
  config.integrity = integrity_of(request);
  if (config.id.protocol == ipsec::Protocol::esp) config.encryption = encryption_of(request);
  if (config.id.protocol == ipsec::Protocol::ipcomp) config.compression = compression_of(request);
  config.udp = udp_of(request);
  config.ah_align8 = (request.sa->flags & pfkey::kSaFlagAhAlign8) != 0;
  config.allow_unauthenticated = rules.allow_unauthenticated;
  config.replay_window = request.replay_window.value_or(request.sa->replay);
  config.extended_sequence = (request.sa->flags & pfkey::kSaFlagEsn) != 0;
  config.flags = request.sa->flags;
  if (request.soft) config.soft = {request.soft->allocations, request.soft->bytes};
  if (request.hard) config.hard = {request.hard->allocations, request.hard->bytes};
  if (request.key_auth) config.integrity_key = std::move(request.key_auth->bytes);
  if (request.key_encrypt && config.encryption != nullptr) {
    config.encryption_key = std::move(request.key_encrypt->bytes);
  }
  return config;
}

std::int32_t to_priority(std::uint32_t wire) noexcept {
  return static_cast<std::int32_t>(wire ^ 0x80000000u);
}

std::uint32_t from_priority(std::int32_t priority) noexcept {
  return static_cast<std::uint32_t>(priority) ^ 0x80000000u;
}

ipsec::Selector to_selector(const pfkey::PublicMessage& request) {
  const pfkey::AddressExtension& source = *request.source;
  const pfkey::AddressExtension& destination = *request.destination;
  return {{source.endpoint.address, source.prefixlen},
          source.endpoint.port,
          {destination.endpoint.address, destination.prefixlen},
          destination.endpoint.port,
          // Linux clients write "any" as 0 in some messages and as 255 in others.
          source.proto == 0 ? ipsec::kAnyProtocol : source.proto};
}

ipsec::Policy to_policy(const pfkey::PublicMessage& request) {
  ipsec::Policy policy;
  policy.id = request.policy->id;
  policy.direction = static_cast<ipsec::Direction>(request.policy->direction);
  policy.action = static_cast<ipsec::Action>(request.policy->type);
  policy.priority = to_priority(request.policy->priority);
  policy.selector = to_selector(request);
  for (const pfkey::PolicyRequest& wire : request.policy->requests) {
    policy.requests.push_back(to_request(wire));
  }
  return policy;
}

void describe_policy(const ipsec::Policy& policy, pfkey::PublicMessage& out) {
  pfkey::Policy wire;
  wire.type = static_cast<pfkey::PolicyType>(policy.action);
  wire.direction = static_cast<pfkey::Direction>(policy.direction);
  wire.id = policy.id;
  wire.priority = from_priority(policy.priority);
  for (const ipsec::Request& request : policy.requests) {
    wire.requests.push_back(from_request(request));
  }
  out.policy = std::move(wire);
  const ipsec::Selector& selector = policy.selector;
  out.source = pfkey::AddressExtension{{selector.source.address, selector.source_port},
                                       selector.upper_protocol,
                                       selector.source.length};
  out.destination =
      pfkey::AddressExtension{{selector.destination.address, selector.destination_port},
                              selector.upper_protocol,
                              selector.destination.length};
}

std::uint32_t policy_id(std::uint32_t number, ipsec::Direction direction) noexcept {
  const std::uint32_t low = direction == ipsec::Direction::in    ? 0
                            : direction == ipsec::Direction::out ? 1
                                                                 : 2;
  return number << 3 | low;
}

}  // namespace saline::daemon
