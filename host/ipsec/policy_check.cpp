// Policy: levels, and the match of a packet's history against what its policy demands. The history
// is bound to SAs, in order, so that neither AH tunnels fail nor any SA can stand in for another
// (the flags of KAME's ipsec_in_reject did both).
#include "host/base/bytes.hpp"
#include "host/ipsec/process.hpp"
#include "host/ipsec/quoted_flow.hpp"
#include "host/ipsec/tunnel.hpp"

namespace saline::ipsec {

namespace {

using base::Address;
using hw::DropReason;

struct Ends {
  const Address* source;
  const Address* destination;
};

// The addresses that request `index` has to come with: those it names; else those of the nearest
// tunnel inside it, in whose header it lies; else the packet's own.
Ends expected_ends(const Policy& policy, std::size_t index, const Flow& flow) noexcept {
  const Request& request = policy.requests[index];
  Ends ends{&flow.source, &flow.destination};
  for (std::size_t inner = index; inner-- > 0;) {
    if (policy.requests[inner].mode != Mode::tunnel) continue;
    ends = {&policy.requests[inner].source, &policy.requests[inner].destination};
    break;
  }
  if (!request.source.is_unspecified()) ends.source = &request.source;
  if (!request.destination.is_unspecified()) ends.destination = &request.destination;
  return ends;
}

bool entry_matches(const HistoryEntry& entry, const Request& request, const Ends& ends) noexcept {
  const SecurityAssociation& sa = *entry.association;
  return sa.protocol() == request.protocol &&
         (request.mode == Mode::any || entry.mode == request.mode) &&
         (request.reqid == 0 || sa.reqid() == request.reqid) &&
         sa.destination() == *ends.destination &&
         (sa.source() == *ends.source || sa.source().is_unspecified());
}

bool has_tunnel(const Packet& packet, std::size_t from) noexcept {
  for (std::size_t i = from; i < packet.history_count; ++i)
    if (packet.history[i].mode == Mode::tunnel) return true;
  return false;
}

bool is_mapped(const Address& address) noexcept {
  return address.family == base::Family::ipv6 && base::load64(address.bytes.data()) == 0 &&
         base::load32(address.bytes.data() + 8) == 0xFFFF;
}

bool is_loopback(const Address& address) noexcept {
  if (address.family == base::Family::ipv4) return address.bytes[0] == 127;
  return base::load64(address.bytes.data()) == 0 && base::load64(address.bytes.data() + 8) == 1;
}

// Addresses that nobody else may use on the wire (RFC 1122 §3.2.1.3, RFC 4291 §2.5), which the way
// through a tunnel does not make good. An own address as source is a forgery as well.
bool is_martian(const Flow& flow, const LocalAddresses* local) noexcept {
  const bool ipv4 = flow.source.family == base::Family::ipv4;
  const Address& source = flow.source;
  const Address& destination = flow.destination;
  return is_loopback(source) || is_loopback(destination) || is_mapped(source) ||
         is_mapped(destination) || source.is_unspecified() || destination.is_unspecified() ||
         source.is_multicast() || (ipv4 && (source.bytes[0] == 0 || source.bytes[0] >= 240)) ||
         (local != nullptr && !local->empty() && local->contains(source));
}

// What happens to the packets of a flow: the policy's action, or the default where none matches.
Action action_of(const Policy* policy, const Flow& flow, const Settings& settings) noexcept {
  return policy == nullptr ? settings.of(flow.source.family).default_policy : policy->action;
}

void count(const Processor::PolicyVerdict& verdict, const Packet& packet, std::uint64_t now_s,
           ReasonCounters& refused) noexcept {
  const bool dropped = verdict.reason != DropReason::none;
  if (verdict.policy != nullptr) {
    verdict.policy->packets.add(1);
    verdict.policy->bytes.add(packet.length);
    verdict.policy->last_used_s.set(now_s);
    if (dropped) verdict.policy->refused.add(1);
  }
  if (dropped) refused[static_cast<std::size_t>(verdict.reason)].add(1);
}

}  // namespace

Level effective_level(const Request& request, const FamilySettings& settings) noexcept {
  // RFC 3173 §2.2: a packet may always go uncompressed, but a tunnel may not be left out.
  if (request.protocol == Protocol::ipcomp && request.mode != Mode::tunnel) return Level::use;
  if (request.level != Level::default_) return request.level;
  const bool tunnel = request.mode == Mode::tunnel;
  if (request.protocol == Protocol::ah) return tunnel ? settings.ah_tunnel : settings.ah_transport;
  return tunnel ? settings.esp_tunnel : settings.esp_transport;
}

// The history is outermost first, requests are innermost first. A transport entry that nobody asked
// for is extra protection and may be passed over; a tunnel may not.
bool history_matches(const Policy& policy, const Packet& packet, const Flow& flow,
                     const Settings& settings) noexcept {
  std::size_t next = 0;
  for (std::size_t i = policy.requests.size(); i-- > 0;) {
    const Request& request = policy.requests[i];
    const Ends ends = expected_ends(policy, i, flow);
    const bool optional =
        effective_level(request, settings.of(ends.destination->family)) == Level::use;
    if (optional && request.mode != Mode::tunnel) continue;  // present or not, nothing changes
    bool found = false;
    for (std::size_t at = next; at < packet.history_count; ++at) {
      found = entry_matches(packet.history[at], request, ends);
      if (found) next = at + 1;
      if (found || packet.history[at].mode != Mode::transport) break;
    }
    if (!found && !optional) return false;
  }
  return !has_tunnel(packet, next);
}

namespace {

// KAME keeps of AH a flag that does not outlive the next tunnel header taken off.
bool kame_refuses(const Policy& policy, const Packet& packet, const Settings& settings) noexcept {
  bool wanted = false;
  for (const Request& request : policy.requests) {
    const base::Family family = policy.selector.source.address.family;
    wanted = wanted || (request.protocol == Protocol::ah &&
                        effective_level(request, settings.of(family)) != Level::use);
  }
  bool authentic = false;
  for (std::size_t i = 0; i < packet.history_count; ++i) {
    const HistoryEntry& entry = packet.history[i];
    if (entry.mode == Mode::tunnel) authentic = false;
    authentic = authentic ||
                (entry.mode == Mode::transport && entry.association->protocol() == Protocol::ah);
  }
  return wanted && !authentic;
}

}  // namespace

Processor::PolicyVerdict Processor::judge_outbound(const Policy* policy, const Packet& packet,
                                                   const Flow& flow) noexcept {
  PolicyVerdict verdict;
  verdict.policy = policy;
  const Action action = action_of(verdict.policy, flow, settings_);
  if (action == Action::discard) verdict.reason = DropReason::policy;
  count(verdict, packet, now_s_, counters_.outbound_refused);
  return verdict;
}

Processor::PolicyVerdict Processor::find_outbound_policy(const SpdView& spd,
                                                         const Packet& packet) noexcept {
  Flow flow;
  if (parse_flow(packet.bytes(), flow))
    return judge_outbound(match(spd, Direction::out, flow), packet, flow);
  const PolicyVerdict verdict{nullptr, DropReason::malformed};
  count(verdict, packet, now_s_, counters_.outbound_refused);
  return verdict;
}

// RFC 4301 §5.2 step 4: what came out of an SA must be what the SA is for.
DropReason Processor::check_selector(const SecurityAssociation& sa,
                                     const Packet& packet) const noexcept {
  const Selector* selector = sa.selector();
  if (selector == nullptr) return DropReason::none;
  Flow flow;
  if (!parse_flow(packet.bytes(), flow)) return DropReason::malformed;
  if (selector->matches(flow)) return DropReason::none;
  // An error from behind the peer may be about what the SA is for (RFC 4301 §6.2).
  Flow quoted;
  const bool about_it = settings_.icmp_by_payload &&
                        parse_quoted_flow(packet.bytes(), flow, quoted) &&
                        selector->matches(quoted);
  return about_it ? DropReason::none : DropReason::policy;
}

bool Processor::accepts(const Policy* policy, const Packet& packet,
                        const Flow& flow) const noexcept {
  switch (action_of(policy, flow, settings_)) {
    case Action::ipsec:
      return history_matches(*policy, packet, flow, settings_) &&
             !(settings_.kame_compat && kame_refuses(*policy, packet, settings_));
    case Action::none:
      return !has_tunnel(packet, 0);
    case Action::discard:
      break;
  }
  return false;
}

// An ICMP error answers to two policies: its own, and that of the packet it quotes, turned round.
// In clear it must satisfy both, for a flow that never shows itself in clear has no errors in clear
// (RFC 4301 §6.1); out of a tunnel the second will do, for routers behind the peer are in nobody's
// selectors (§6.2). One that quotes AH or ESP is about the outer path: learn_path_mtu's.
Processor::PolicyVerdict Processor::judge_inbound(const SpdView& spd, const Policy* policy,
                                                  const Packet& packet, const Flow& flow,
                                                  Direction direction) noexcept {
  PolicyVerdict verdict;
  verdict.policy = policy;
  bool accepted = accepts(policy, packet, flow);
  const bool clear = packet.history_count == 0;
  Flow quoted;
  if (accepted == clear && settings_.icmp_by_payload &&
      parse_quoted_flow(packet.bytes(), flow, quoted)) {
    const Policy* about = match(spd, direction, quoted);
    const bool decided = about != nullptr && about->action == Action::ipsec;
    if (decided) {
      accepted = accepts(about, packet, quoted);
      verdict.policy = about;
    }
  }
  const bool forged = has_tunnel(packet, 0) && is_martian(flow, local_);
  if (!accepted || forged) verdict.reason = DropReason::policy;
  count(verdict, packet, now_s_, counters_.inbound_refused);
  return verdict;
}

Processor::PolicyVerdict Processor::check_inbound_policy(const SpdView& spd, const Packet& packet,
                                                         Direction direction) noexcept {
  Flow flow;
  if (parse_flow(packet.bytes(), flow))
    return judge_inbound(spd, match(spd, direction, flow), packet, flow, direction);
  const PolicyVerdict verdict{nullptr, DropReason::malformed};
  count(verdict, packet, now_s_, counters_.inbound_refused);
  return verdict;
}

}  // namespace saline::ipsec
