// The checks that request.hpp lists, one function per kind of message.
#include "host/pfkey/request.hpp"

#include <cerrno>
#include <string>

#include "host/base/error.hpp"

namespace saline::pfkey {
namespace {

void need(bool present, const Message& request, const char* what) {
  if (!present) throw base::Error(EINVAL, std::string(name(request.type)) + ": " + what);
}

bool is_ipsec(SaType type) {
  return type == SaType::ah || type == SaType::esp || type == SaType::ipcomp;
}

void need_addresses(const Message& m) {
  need(m.source.has_value(), m, "no source address");
  need(m.destination.has_value(), m, "no destination address");
}

void need_sa_identity(const Message& m) {
  need(is_ipsec(m.satype), m, "SA type must be AH, ESP or IPCOMP");
  need(m.sa.has_value(), m, "no SA");
  need(m.sa->spi != 0, m, "SPI 0 is reserved");
  need_addresses(m);
}

bool exceeds(std::uint64_t soft, std::uint64_t hard) { return hard != 0 && soft > hard; }

void check_lifetimes(const Message& m) {
  if (!m.hard || !m.soft) return;
  const Lifetime &soft = *m.soft, &hard = *m.hard;
  need(!exceeds(soft.allocations, hard.allocations) && !exceeds(soft.bytes, hard.bytes) &&
           !exceeds(soft.addtime_s, hard.addtime_s) && !exceeds(soft.usetime_s, hard.usetime_s),
       m, "soft lifetime above the hard one");
}

void check_add(const Message& m) {
  need_sa_identity(m);
  if (m.satype == SaType::esp) {
    need(m.sa->encrypt != 0, m, "ESP without encryption algorithm; NULL has a number, too");
    need(m.key_encrypt.has_value(), m, "no encryption key");
  }
  if (m.satype == SaType::ah) {
    need(m.sa->auth != 0, m, "AH without authentication algorithm");
    need(m.key_auth.has_value(), m, "no authentication key");
  }
  if (m.satype == SaType::ipcomp)
    need(m.sa->spi <= 0xffff || (m.sa->flags & kSaFlagRawCpi), m, "a CPI has 16 bits");
  check_lifetimes(m);
}

void check_getspi(Message& m) {
  need(is_ipsec(m.satype), m, "SA type must be AH, ESP or IPCOMP");
  need_addresses(m);
  if (!m.spi_range) m.spi_range = SpiRange{};
  need(m.spi_range->min <= m.spi_range->max, m, "SPI range is reversed");
}

void check_acquire(const Message& m) {
  if (m.error != 0)
    need(m.seq != 0, m, "a failed negotiation needs the seq of its ACQUIRE");
  else
    need_addresses(m);
}

void need_direction(const Message& m) {
  need(m.policy.has_value(), m, "no policy");
  need(m.policy->direction != Direction::any, m, "policy without direction");
}

void check_policy(const Message& m) {
  need_direction(m);
  need_addresses(m);
  need(m.source->proto == m.destination->proto, m, "two upper-layer protocols");
  need(m.policy->type != PolicyType::entrust && m.policy->type != PolicyType::bypass, m,
       "entrust and bypass are for sockets");
  need((m.policy->type == PolicyType::ipsec) != m.policy->requests.empty(), m,
       "an ipsec policy has requests, others have none");
}

void check_migrate(const Message& m) {
  need_direction(m);
  need_addresses(m);
  need(!m.policy->requests.empty() && m.policy->requests.size() % 2 == 0, m,
       "requests must come in pairs, old and new");
  for (const PolicyRequest& request : m.policy->requests) {
    need(request.source.has_value(), m, "request without addresses");
    need(request.source->address.family == m.policy->requests[0].source->address.family, m,
         "requests of two families");
  }
}

[[noreturn]] void not_a_request(const Message& m) {
  throw base::Error(EOPNOTSUPP, std::string(name(m.type)) + " is not a request");
}

}  // namespace

void check_request(Message& m) {
  switch (m.type) {
    case MessageType::getspi:
      return check_getspi(m);
    case MessageType::add:
    case MessageType::update:
      return check_add(m);
    case MessageType::del:
      if (m.sa) return need_sa_identity(m);
      need(is_ipsec(m.satype), m, "SA type must be AH, ESP or IPCOMP");
      return need_addresses(m);
    case MessageType::get:
      return need_sa_identity(m);
    case MessageType::acquire:
      return check_acquire(m);
    case MessageType::reg:
    case MessageType::flush:
    case MessageType::dump:
      return need(m.satype == SaType::unspec || is_ipsec(m.satype), m, "SA type is not served");
    case MessageType::promisc:
      return need(static_cast<unsigned>(m.satype) <= 1, m, "SA type must be 0 or 1");
    case MessageType::spdadd:
    case MessageType::spdupdate:
    case MessageType::spdsetidx:
      return check_policy(m);
    case MessageType::spddelete:
      need_direction(m);
      return need_addresses(m);
    case MessageType::spddelete2:
    case MessageType::spdget:
      need(m.policy.has_value(), m, "no policy");
      return need(m.policy->id != 0, m, "no policy id");
    case MessageType::spddump:
    case MessageType::spdflush:
      return;
    case MessageType::migrate:
      return check_migrate(m);
    case MessageType::reserved:
    case MessageType::expire:
    case MessageType::pchange:
    case MessageType::spdacquire:
    case MessageType::spdexpire:
    case MessageType::nat_t_new_mapping:
      break;
  }
  not_a_request(m);
}

}  // namespace saline::pfkey
