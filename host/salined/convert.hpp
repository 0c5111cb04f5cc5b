// Between PF_KEY's words (host/pfkey) and those of RFC 4301 (host/ipsec).
#pragma once

#include <cstdint>
#include <optional>

#include "host/ipsec/association.hpp"
#include "host/ipsec/policy.hpp"
#include "host/ipsec/settings.hpp"
#include "host/pfkey/message.hpp"

namespace saline::daemon {

// Throws Error(EPROTONOSUPPORT) for what is neither AH, ESP nor IPComp.
ipsec::Protocol to_protocol(pfkey::SaType satype);
pfkey::SaType to_satype(ipsec::Protocol protocol);

// (SPI, destination, protocol) of a request that has them.
ipsec::SaId to_id(const pfkey::PublicMessage& request);

// A whole SA from ADD or UPDATE; takes the keys out of the request. Throws Error: ENOSYS for an
// unknown algorithm, EOPNOTSUPP for NAT traversal other than RFC 3948.
ipsec::SaConfig to_config(pfkey::Message& request, const ipsec::SaRules& rules);

// PF_KEY counts priorities as unsigned numbers, the SPD as signed ones; order is kept.
std::int32_t to_priority(std::uint32_t wire) noexcept;
std::uint32_t from_priority(std::int32_t priority) noexcept;

ipsec::Selector to_selector(const pfkey::PublicMessage& request);
// id as in the request.
ipsec::Policy to_policy(const pfkey::PublicMessage& request);
// policy, source, destination of a message.
void describe_policy(const ipsec::Policy& policy, pfkey::PublicMessage& out);

// Linux tells the direction of a policy by the low bits of its id.
std::uint32_t policy_id(std::uint32_t number, ipsec::Direction direction) noexcept;

}  // namespace saline::daemon
