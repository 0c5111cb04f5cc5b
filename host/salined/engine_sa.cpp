// PF_KEY requests about SAs (RFC 2367 §3.1).
#include <algorithm>
#include <cerrno>
#include <limits>
#include <utility>

#include "host/base/bytes.hpp"
#include "host/base/error.hpp"
#include "host/base/log.hpp"
#include "host/salined/convert.hpp"
#include "host/salined/engine.hpp"

namespace saline::daemon {

using base::Error;
using ipsec::SaId;
using pfkey::Client;
using pfkey::Message;

namespace {

constexpr int kSpiTries = 1000;  // net.key.spi_trycnt

std::string text_of(const SaId& id) {
  char spi[16];
  std::snprintf(spi, sizeof spi, "0x%08x", id.spi);
  const char* protocol = id.protocol == ipsec::Protocol::ah       ? "ah "
                         : id.protocol == ipsec::Protocol::ipcomp ? "ipcomp "
                                                                  : "esp ";
  return protocol + (spi + (" to " + id.destination.to_string()));
}

Message deletion_reply(const Message& request) {
  Message reply = Message::reply_to(request);
  reply.sa = request.sa;
  reply.source = request.source;
  reply.destination = request.destination;
  return reply;
}

pfkey::Key key_of(const base::Secret& key) {
  return {static_cast<std::uint16_t>(key.size() * 8), key.clone()};
}

// RFC 2367 §2.3.5: what the kernel supports. Sizes as the algorithm table has them.
std::vector<pfkey::SupportedAlgorithm> supported(const crypto::Provider& provider, bool integrity) {
  std::vector<pfkey::SupportedAlgorithm> list;
  for (const crypto::Algorithm& row : crypto::algorithms()) {
    // Compression has no list of its own; rows told apart by SA flags have one number.
    if (row.kind == crypto::Kind::compression || row.pfkey_flags != 0 ||
        (row.kind == crypto::Kind::integrity) != integrity)
      continue;
    const bool known =
        integrity ? provider.supports(nullptr, &row) : provider.supports(&row, nullptr);
    if (!known && row.method != crypto::Method::null_integrity) continue;
    list.push_back({row.pfkey_id, row.iv_bytes, row.key_bits_min, row.key_bits_max});
  }
  return list;
}

// Packets and bytes are counted where the SA is carried, by the limits it was made with; a tighter
// limit is watched from here, a looser one would be a promise that is not kept.
void check_limits(const ipsec::Lifetime& made_with, const std::optional<pfkey::Lifetime>& wanted) {
  const auto looser = [](std::uint64_t limit, std::uint64_t next) {
    return limit != 0 && (next == 0 || next > limit);
  };
  if (looser(made_with.packets, wanted ? wanted->allocations : 0) ||
      looser(made_with.bytes, wanted ? wanted->bytes : 0)) {
    throw Error(EINVAL, "limits of packets and bytes cannot be raised: add another SA instead");
  }
}

}  // namespace

Engine::Engine(EngineParts parts) : parts_(std::move(parts)), last_own_reqid_(pfkey::kReqidMax) {}

Engine::~Engine() = default;

Engine::SaEntry& Engine::find_entry(const SaId& id) {
  const auto place = entries_.find(id);
  if (place == entries_.end()) throw Error(ESRCH, "there is no SA " + text_of(id));
  return place->second;
}

void Engine::refresh_counters(SaEntry& entry) noexcept {
  ipsec::SecurityAssociation& sa = *entry.association;
  CardCounters card;
  if (!sa.offloaded() || !parts_.offload.counters(sa, card)) return;
  ipsec::SaCounters& counters = sa.counters();
  if (card.packets > counters.packets.get()) {
    const std::uint64_t now_s = parts_.clock();
    if (counters.first_used_s.get() == 0) counters.first_used_s.set(now_s);
    counters.last_used_s.set(now_s);
  }
  counters.packets.set(card.packets);
  counters.bytes.set(card.bytes);
}

void Engine::refresh_counters() noexcept {
  for (auto& [id, entry] : entries_) refresh_counters(entry);
}

Message Engine::describe(SaEntry& entry, bool with_keys) {
  refresh_counters(entry);
  const ipsec::SecurityAssociation& sa = *entry.association;
  const ipsec::SaCounters& counters = sa.counters();
  Message message{entry.described};
  message.satype = to_satype(sa.protocol());
  message.sa->state = static_cast<pfkey::SaState>(sa.state());
  message.current =
      pfkey::Lifetime{static_cast<std::uint32_t>(std::min<std::uint64_t>(
                          counters.packets.get(), std::numeric_limits<std::uint32_t>::max())),
                      counters.bytes.get(), entry.added_s, counters.last_used_s.get()};
  pfkey::Sa2 sa2 = message.sa2.value_or(pfkey::Sa2{});
  sa2.sequence =
      static_cast<std::uint32_t>(entry.role.direction == SaDirection::inbound ? sa.window().top()
                                 : sa.offloaded() ? counters.packets.get()
                                                  : counters.sequence.get());
  message.sa2 = sa2;
  if (sa.state() == ipsec::State::larval) return message;
  message.saline_path = pfkey::SalinePath{
      entry.placement.card ? pfkey::Path::card : pfkey::Path::software, entry.placement.reason};
  if (sa.config().replay_window != 0) message.replay_window = sa.config().replay_window;
  if (!with_keys) return message;
  if (!sa.config().integrity_key.empty()) message.key_auth = key_of(sa.config().integrity_key);
  if (sa.config().encryption != nullptr) message.key_encrypt = key_of(sa.config().encryption_key);
  return message;
}

// SADB_GETSPI: SRC, DST, SPIRANGE [SA2] -> SA(larval), SRC, DST [SA2].
Message Engine::getspi(Message& request, const Client& client) {
  const pfkey::SpiRange range = *request.spi_range;
  if (range.max < 256) throw Error(EINVAL, "SPIs below 256 are reserved: ask for a higher range");
  const std::uint32_t least = std::max<std::uint32_t>(range.min, 256);
  SaId id = to_id(request);
  crypto::RandomStream random;
  bool found = false;
  for (int tries = 0; tries < kSpiTries && !found; ++tries) {
    std::array<std::uint8_t, 4> bytes;
    if (!random.fill(bytes)) throw Error(EIO, "the system's random number generator failed");
    const std::uint64_t size = std::uint64_t{range.max} - least + 1;
    id.spi = least + static_cast<std::uint32_t>(base::load32(bytes.data()) % size);
    found = !entries_.contains(id);
  }
  if (!found) throw Error(EEXIST, "no free SPI was found in the range: ask for a larger one");

  ipsec::SaConfig config;
  config.id = id;
  config.source = request.source->endpoint.address;
  SaEntry entry;
  if (request.sa2) {
    config.mode = static_cast<ipsec::Mode>(request.sa2->mode);
    config.reqid = request.sa2->reqid;
  }
  entry.association = ipsec::SecurityAssociation::create_larval(std::move(config));
  entry.described.source = request.source;
  entry.described.destination = request.destination;
  entry.described.sa2 = request.sa2;
  entry.described.sa = pfkey::Sa{.spi = id.spi};
  entry.added_s = parts_.clock();
  entry.owner = client.session;
  Message reply = Message::reply_to(request);
  reply.sa = entry.described.sa;
  reply.source = request.source;
  reply.destination = request.destination;
  reply.sa2 = request.sa2;
  parts_.sad.add(entry.association);
  entries_.emplace(id, std::move(entry));
  parts_.sad.publish();
  return reply;
}

// A mature SA, placed; nothing of it is in SAD or table yet.
Engine::SaEntry Engine::make_entry(Message& request) {
  SaEntry entry;
  entry.described = request;
  entry.described.saline_hello.reset();
  ipsec::SaConfig config = to_config(request, parts_.rules);
  config.allow_legacy = parts_.allow_legacy;
  entry.association = ipsec::SecurityAssociation::create(std::move(config), parts_.provider);
  entry.added_s = parts_.clock();
  check_spi_is_free(entry.association->id());
  place(entry);
  if (parts_.offload_mode == OffloadMode::require && !entry.placement.card) {
    throw Error(EOPNOTSUPP, "the card cannot carry SA " + text_of(entry.association->id()) + ": " +
                                entry.placement.reason + "; offload=require forbids software");
  }
  return entry;
}

// Once per SA: what RFC 8221 says of its algorithms, if that is not "may".
void Engine::warn_of_algorithms(const SaEntry& entry) {
  const ipsec::SaConfig& config = entry.association->config();
  for (const crypto::Algorithm* row : {config.encryption, config.integrity}) {
    if (row == nullptr || row->advice == crypto::Advice::may) continue;
    const bool must = row->advice == crypto::Advice::must_not;
    base::log(must ? base::Priority::warning : base::Priority::notice, "sad", "weak algorithm",
              {{"sa", text_of(config.id)},
               {"algorithm", std::string(row->name)},
               {"RFC 8221", must ? "MUST NOT" : "SHOULD NOT"}});
  }
}

// SADB_ADD: SA [SA2] SRC DST [AUTHKEY] [ENCKEY] [lifetimes] [identities] -> the same.
Message Engine::add(Message& request, const Client&) {
  const SaId id = to_id(request);
  if (entries_.contains(id)) throw Error(EEXIST, "there is an SA " + text_of(id) + " already");
  SaEntry& entry = entries_.emplace(id, make_entry(request)).first->second;
  parts_.sad.add(entry.association);
  parts_.sad.publish();
  open_port(entry, true);
  give_up_spi(id);
  warn_of_algorithms(entry);
  std::erase_if(pending_, [&](const auto& waiting) {
    return std::get<0>(waiting.first) == id.protocol &&
           std::get<3>(waiting.first) == id.destination;
  });
  base::log(base::Priority::info, "sad", "added",
            {{"sa", text_of(id)},
             {"path", entry.placement.card ? "card" : "software"},
             {"reason", entry.placement.reason}});
  return describe(entry, true);
}

// SADB_UPDATE: as ADD. A larval SA becomes mature; of a mature one only the lifetimes change, as on
// Linux: other keys are another SA.
Message Engine::update(Message& request, const Client&) {
  SaEntry& old = find_entry(to_id(request));
  if (old.association->state() != ipsec::State::larval) return update_lifetimes(old, request);
  SaEntry entry = make_entry(request);
  parts_.sad.replace(entry.association);
  old = std::move(entry);
  open_port(old, true);
  parts_.sad.publish();
  give_up_spi(old.association->id());
  warn_of_algorithms(old);
  return describe(old, true);
}

Message Engine::update_lifetimes(SaEntry& entry, const Message& request) {
  check_limits(entry.association->config().soft, request.soft);
  check_limits(entry.association->config().hard, request.hard);
  entry.described.soft = request.soft;
  entry.described.hard = request.hard;
  entry.soft_sent = false;
  if (entry.association->state() == ipsec::State::dying) {
    entry.association->set_state(ipsec::State::mature);
  }
  return describe(entry, true);
}

void Engine::remove_entry(const SaId& id) noexcept {
  const auto place = entries_.find(id);
  if (place == entries_.end()) return;
  // Dead first, so that software does not go on where the card stops; out of the card before it
  // leaves the view that keeps it alive for the data thread.
  place->second.association->set_state(ipsec::State::dead);
  open_port(place->second, false);
  parts_.offload.remove(*place->second.association);
  parts_.sad.remove(id);
  entries_.erase(place);
}

// SADB_DELETE: SA, SRC, DST -> the same. Without SA (KAME): all SAs of the pair but larval ones.
Message Engine::del(Message& request, const Client&) {
  if (request.sa) {
    const SaId id = to_id(request);
    find_entry(id);
    remove_entry(id);
    parts_.sad.publish();
    return deletion_reply(request);
  }
  const ipsec::Protocol protocol = to_protocol(request.satype);
  std::vector<SaId> doomed;
  for (const auto& [id, entry] : entries_) {
    if (id.protocol == protocol && id.destination == request.destination->endpoint.address &&
        entry.association->config().source == request.source->endpoint.address &&
        entry.association->state() != ipsec::State::larval) {
      doomed.push_back(id);
    }
  }
  if (doomed.empty()) throw Error(ESRCH, "there is no SA between these addresses");
  for (const SaId& id : doomed) remove_entry(id);
  parts_.sad.publish();
  return deletion_reply(request);
}

// SADB_GET: SA, SRC, DST -> all of it, with keys.
Message Engine::get(Message& request, const Client&) {
  return describe(find_entry(to_id(request)), true);
}

// SADB_REGISTER -> SUPPORTED_AUTH, SUPPORTED_ENCRYPT.
Message Engine::reg(Message& request, const Client&) {
  Message reply = Message::reply_to(request);
  reply.supported_auth = supported(parts_.provider, true);
  if (request.satype != pfkey::SaType::ah) {
    reply.supported_encrypt = supported(parts_.provider, false);
  }
  return reply;
}

// SADB_FLUSH -> header.
Message Engine::flush(Message& request, const Client&) {
  std::vector<SaId> doomed;
  for (const auto& [id, entry] : entries_) {
    if (request.satype == pfkey::SaType::unspec || to_satype(id.protocol) == request.satype) {
      doomed.push_back(id);
    }
  }
  for (const SaId& id : doomed) remove_entry(id);
  parts_.sad.publish();
  pending_.clear();
  return Message::reply_to(request);
}

void Engine::destroy_all() noexcept {
  while (!entries_.empty()) remove_entry(SaId(entries_.begin()->first));
  try {
    parts_.sad.publish();
  } catch (const std::bad_alloc&) {
    // The old view then goes with the SAD.
  }
}

// Entries that were there when the dump was asked for and still are.
class SaDump : public pfkey::DumpSource {
 public:
  SaDump(Engine& engine, std::vector<SaId> ids) : engine_(engine), ids_(std::move(ids)) {}
  std::optional<Message> next() override {
    while (next_ < ids_.size()) {
      const auto place = engine_.entries_.find(ids_[next_++]);
      if (place != engine_.entries_.end()) return engine_.describe(place->second, true);
    }
    return std::nullopt;
  }

 private:
  Engine& engine_;
  std::vector<SaId> ids_;
  std::size_t next_ = 0;
};

// SADB_DUMP -> one message per SA, as GET's.
std::unique_ptr<pfkey::DumpSource> Engine::dump(Message& request, const Client&) {
  std::vector<SaId> ids;
  // In order of addition, which is the order people remember.
  for (const auto& association : parts_.sad.all()) {
    const SaId& id = association->id();
    if (request.satype != pfkey::SaType::unspec && to_satype(id.protocol) != request.satype) {
      continue;
    }
    const auto outside = [](const base::Prefix& prefix, const base::Address& address) {
      return prefix.address.family != base::Family::none && prefix.length != 0 &&
             !prefix.contains(address);
    };
    if (request.filter && (outside(request.filter->source, association->config().source) ||
                           outside(request.filter->destination, id.destination))) {
      continue;
    }
    ids.push_back(id);
  }
  return std::make_unique<SaDump>(*this, std::move(ids));
}

void Engine::session_closed(const Client& client) noexcept {
  std::vector<SaId> doomed;
  for (const auto& [id, entry] : entries_) {
    if (entry.owner == client.session && entry.association->state() == ipsec::State::larval) {
      doomed.push_back(id);
    }
  }
  if (doomed.empty()) return;
  for (const SaId& id : doomed) remove_entry(id);
  parts_.sad.publish();
}

void Engine::refused(const Client& client, pfkey::MessageType type, int errno_value,
                     const std::string& sentence) noexcept {
  base::log(base::Priority::notice, "pfkey", "refused",
            {{"type", pfkey::name(type)},
             {"pid", std::to_string(client.pid)},
             {"errno", std::to_string(errno_value)},
             {"why", sentence}});
}

}  // namespace saline::daemon
