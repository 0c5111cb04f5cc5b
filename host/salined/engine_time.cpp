// What happens without a request: lifetimes (RFC 2367 §3.1.8), larval SAs, and ACQUIRE (RFC 2367
// §3.1.6).
#include <cerrno>
#include <string>
#include <utility>

#include "host/base/log.hpp"
#include "host/salined/convert.hpp"
#include "host/salined/engine.hpp"

namespace saline::daemon {

using base::Address;
using ipsec::SaId;
using pfkey::Message;

namespace {

constexpr std::uint64_t kLarvalSeconds = 30;        // net.key.larval_lifetime
constexpr std::uint64_t kAcquireBlockSeconds = 20;  // net.key.blockacq_lifetime
constexpr std::size_t kPendingMax = 1024;

bool reached(const pfkey::Lifetime& limit, const ipsec::SaCounters& counters, std::uint64_t added_s,
             std::uint64_t now_s) {
  const std::uint64_t first_used_s = counters.first_used_s.get();
  return (limit.addtime_s != 0 && now_s - added_s >= limit.addtime_s) ||
         (limit.usetime_s != 0 && first_used_s != 0 && now_s - first_used_s >= limit.usetime_s) ||
         (limit.allocations != 0 && counters.packets.get() >= limit.allocations) ||
         (limit.bytes != 0 && counters.bytes.get() >= limit.bytes);
}

pfkey::AddressExtension host_address(const Address& address) {
  return {{address, 0}, 0, static_cast<std::uint8_t>(8 * base::address_bytes(address.family))};
}

// What we would like to be offered, the best first; KAME's lifetimes.
pfkey::Proposal proposal_for(ipsec::Protocol protocol) {
  struct Row {
    const char* encryption;
    const char* integrity;
    std::uint16_t key_bits_min, key_bits_max;
  };
  static constexpr Row kEsp[] = {{"aes-gcm-16", nullptr, 160, 288},
                                 {"aes-cbc", "hmac-sha2-256", 128, 256},
                                 {"aes-cbc", "hmac-sha1", 128, 256},
                                 {"3des-cbc", "hmac-sha1", 192, 192}};
  static constexpr Row kAh[] = {{nullptr, "hmac-sha2-256", 0, 0}, {nullptr, "hmac-sha1", 0, 0}};
  pfkey::Proposal proposal;
  proposal.replay = 64;
  const auto add = [&](const Row& row) {
    pfkey::Combination combination;
    if (row.encryption != nullptr) {
      combination.encrypt = crypto::find_encryption(std::string_view(row.encryption))->pfkey_id;
      combination.encrypt_min_bits = row.key_bits_min;
      combination.encrypt_max_bits = row.key_bits_max;
    }
    if (row.integrity != nullptr) {
      const auto* integrity = crypto::find_integrity(std::string_view(row.integrity));
      combination.auth = integrity->pfkey_id;
      combination.auth_min_bits = integrity->key_bits_min;
      combination.auth_max_bits = integrity->key_bits_max;
    }
    combination.hard = {0, 0, 86400, 28800};
    combination.soft = {0, 0, 69120, 23040};
    proposal.combinations.push_back(combination);
  };
  if (protocol == ipsec::Protocol::ah) {
    for (const Row& row : kAh) add(row);
  } else {
    for (const Row& row : kEsp) add(row);
  }
  return proposal;
}

}  // namespace

// SADB_EXPIRE: SA, SA2, CURRENT, HARD or SOFT, SRC, DST, to the registered.
void Engine::announce_expire(SaEntry& entry, bool hard) {
  base::log(base::Priority::info, "sad", hard ? "hard lifetime over" : "soft lifetime over",
            {{"spi", std::to_string(entry.association->id().spi)},
             {"destination", entry.association->id().destination.to_string()}});
  if (announcer_ == nullptr) return;
  const Message whole = describe(entry, false);
  Message message(pfkey::MessageType::expire);
  message.satype = whole.satype;
  message.sa = whole.sa;
  message.sa2 = whole.sa2;
  message.current = whole.current;
  (hard ? message.hard : message.soft) =
      (hard ? whole.hard : whole.soft).value_or(pfkey::Lifetime{});
  message.source = whole.source;
  message.destination = whole.destination;
  announcer_->to_registered(message);
}

void Engine::expire_soft(SaEntry& entry) {
  if (entry.soft_sent) return;
  entry.soft_sent = true;
  if (entry.association->state() == ipsec::State::mature) {
    entry.association->set_state(ipsec::State::dying);
  }
  announce_expire(entry, false);
}

void Engine::expire_hard(const SaId& id) {
  SaEntry& entry = entries_.at(id);
  refresh_counters(entry);
  entry.association->set_state(ipsec::State::dead);
  announce_expire(entry, true);
  remove_entry(id);
}

void Engine::check_lifetimes(SaEntry& entry, std::uint64_t now_s, std::vector<SaId>& dead) {
  ipsec::SecurityAssociation& sa = *entry.association;
  if (sa.state() == ipsec::State::larval) {
    if (now_s - entry.added_s >= kLarvalSeconds) dead.push_back(sa.id());
    return;
  }
  const pfkey::PublicMessage& limits = entry.described;
  if (!limits.hard && !limits.soft) return;
  refresh_counters(entry);
  if (limits.hard && reached(*limits.hard, sa.counters(), entry.added_s, now_s)) {
    dead.push_back(sa.id());
  } else if (limits.soft && reached(*limits.soft, sa.counters(), entry.added_s, now_s)) {
    expire_soft(entry);
  }
}

void Engine::tick() {
  const std::uint64_t now_s = parts_.clock();
  std::vector<SaId> dead;
  for (auto& [id, entry] : entries_) {
    check_lifetimes(entry, now_s, dead);
    if (parts_.rules.keepalive_interval_s != 0) make_keepalive(entry, now_s);
  }
  for (const SaId& id : dead) {
    if (entries_.at(id).association->state() == ipsec::State::larval) {
      remove_entry(id);  // silently, as in KAME
    } else {
      expire_hard(id);
    }
  }
  if (!dead.empty()) parts_.sad.publish();
  parts_.sad.reclaim();  // keys of SAs removed while the data thread still held them
  std::erase_if(pending_, [&](const auto& waiting) { return waiting.second.until_s <= now_s; });
  expire_policies(now_s);
}

void Engine::take_events() {
  std::map<const ipsec::SecurityAssociation*, std::uint32_t> from_card;
  for (const CardEvent& event : parts_.offload.take_events()) {
    from_card[event.association] |= event.event;
  }
  std::vector<SaId> dead;
  for (auto& [id, entry] : entries_) {
    std::uint32_t events = entry.association->take_events();
    if (const auto found = from_card.find(entry.association.get()); found != from_card.end()) {
      events |= found->second;
    }
    // A sequence number that is used up ends the SA as a lifetime does (RFC 4303 §3.3.3).
    const bool over =
        (events & ipsec::kEventSeqOverflow) != 0 && !ipsec::may_cycle(entry.association->config());
    if ((events & ipsec::kEventNewMapping) != 0) peer_moved(entry);
    if ((events & ipsec::kEventHard) != 0 || over) {
      dead.push_back(id);
    } else if ((events & ipsec::kEventSoft) != 0) {
      expire_soft(entry);
    }
  }
  for (const SaId& id : dead) expire_hard(id);
  if (!dead.empty()) parts_.sad.publish();
}

// SADB_ACQUIRE: SRC DST POLICY SA2 PROPOSAL, to the registered; one per wanted SA and 20 s.
void Engine::acquire_needed(const AcquireNeed& need) {
  if (announcer_ == nullptr || !announcer_->anybody_registered()) return;
  const auto policy = parts_.spd.find(need.policy_id);
  if (policy == nullptr || need.request >= policy->requests.size()) return;
  Address source = need.source, destination = need.destination;
  for (std::size_t i = 0; i <= need.request; ++i) {
    const ipsec::Request& request = policy->requests[i];
    if (request.destination.is_unspecified()) continue;
    source = request.source;
    destination = request.destination;
  }
  const ipsec::Request& request = policy->requests[need.request];
  if (parts_.sad.view().newest().choose(
          {request.protocol, request.mode, source, destination, request.reqid, true}) != nullptr) {
    return;
  }
  const PendingKey key{request.protocol, need.policy_id, source, destination};
  if (pending_.contains(key) || pending_.size() >= kPendingMax) return;
  Message message(pfkey::MessageType::acquire);
  message.satype = to_satype(request.protocol);
  message.seq = ++last_acquire_seq_;
  message.source = host_address(source);
  message.destination = host_address(destination);
  pfkey::Policy head;
  head.type = pfkey::PolicyType::ipsec;
  head.direction = pfkey::Direction::out;
  head.id = policy->id;
  head.priority = from_priority(policy->priority);
  message.policy = head;
  message.sa2 = pfkey::Sa2{static_cast<pfkey::Mode>(request.mode), 0, request.reqid};
  message.proposal = proposal_for(request.protocol);
  pending_[key] = {message.seq, parts_.clock() + kAcquireBlockSeconds};
  announcer_->to_registered(message);
}

// SADB_ACQUIRE from a key daemon: the negotiation with that seq failed, so ask again when needed.
void Engine::acquire(Message& request, const pfkey::Client&) {
  if (request.error == 0) return;
  std::erase_if(pending_, [&](const auto& waiting) { return waiting.second.seq == request.seq; });
}

}  // namespace saline::daemon
