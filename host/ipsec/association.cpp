// What an SA must satisfy, its sequence number and its lifetimes (RFC 4301 §4.4.2.1).
#include "host/ipsec/association.hpp"

#include <algorithm>
#include <cerrno>
#include <limits>
#include <string>
#include <utility>

#include "host/base/bytes.hpp"
#include "host/base/error.hpp"

namespace saline::ipsec {

namespace {

constexpr std::uint8_t kOldIcv = 16;  // whatever the algorithm, as in KAME

using base::Error;
using crypto::Algorithm;
using crypto::Method;

bool none(const Algorithm* integrity) noexcept {
  return integrity == nullptr || integrity->method == Method::null_integrity;
}

void check_key(const Algorithm& algorithm, const base::Secret& key) {
  if (algorithm.key_bits_valid(static_cast<unsigned>(key.size() * 8))) return;
  std::string wanted = std::to_string(algorithm.key_bits_min);
  if (algorithm.key_bits_max != algorithm.key_bits_min)
    wanted += " to " + std::to_string(algorithm.key_bits_max);
  throw Error(EINVAL, std::string(algorithm.name) + " takes a key of " + wanted + " bits, not " +
                          std::to_string(key.size() * 8));
}

// RFC 3173 §3.3: 0 to 255 are not for agreement, except as names of algorithms; 61440 and above are
// for private use, which we leave to the operator.
void check_cpi(const SaConfig& config) {
  const bool raw = (config.flags & kFlagRawCpi) != 0;
  if (config.id.spi == 0) throw Error(EINVAL, "CPI 0 is reserved");
  if (raw) return;
  if (config.id.spi > 0xFFFF)
    throw Error(EINVAL, "a CPI is a number of 256 to 65535, not " + std::to_string(config.id.spi));
  if (config.id.spi < 256 && !config.allow_reserved_spi)
    throw Error(EINVAL, "CPI " + std::to_string(config.id.spi) +
                            " is reserved: use 256 or above, or the well-known CPI (setkey -R)");
}

void check_spi(const SaConfig& config) {
  if (config.id.protocol == Protocol::ipcomp) return check_cpi(config);
  if (config.id.spi == 0 || (config.id.spi < 256 && !config.allow_reserved_spi))
    throw Error(EINVAL, "SPI " + std::to_string(config.id.spi) + " is reserved: use 256 or above");
}

void check_identity(const SaConfig& config) {
  check_spi(config);
  if (config.id.destination.family == base::Family::none || config.id.destination.is_unspecified())
    throw Error(EINVAL, "an SA needs a destination address");
  if (config.source.family != base::Family::none &&
      config.source.family != config.id.destination.family)
    throw Error(EINVAL, "source and destination of an SA must be of one family");
}

// RFC 1826, RFC 1827 and the IVs of their time; KAME's meaning of the flags.
void check_old(const SaConfig& config) {
  const bool old = (config.flags & kFlagOld) != 0;
  if ((config.flags & kFlagIv4Bytes) != 0 && !old)
    throw Error(EINVAL, "a 32-bit IV (RFC 1829) goes with the old ESP format: use esp-old");
  if (!old) return;
  if ((config.flags & kFlagDerivedIv) != 0)
    throw Error(EINVAL, "the old ESP format has no sequence number to derive an IV from");
  if (!config.allow_legacy)
    throw Error(EINVAL, "the formats of RFC 1826 and RFC 1827 must be allowed explicitly");
  if (config.replay_window != 0 || config.extended_sequence)
    throw Error(EINVAL, "the old formats have no sequence number: no anti-replay and no ESN");
  if (config.id.protocol == Protocol::esp && !none(config.integrity))
    throw Error(EINVAL, "the old ESP format has no ICV: leave out the integrity algorithm");
  if (config.id.protocol == Protocol::ah && config.integrity != nullptr &&
      config.integrity->iv_bytes != 0)
    throw Error(EINVAL, std::string(config.integrity->name) + " has no place in the old AH format");
}

void check_udp(const SaConfig& config) {
  if (!config.udp.enabled()) return;
  if (config.id.protocol != Protocol::esp)
    throw Error(EINVAL, "only ESP goes through UDP (RFC 3948 §1)");
  if (config.udp.source_port == 0) throw Error(EINVAL, "ESP in UDP needs two ports");
}

void check_tfc(const SaConfig& config) {
  if (config.tfc_bytes == 0) return;
  if (config.id.protocol != Protocol::esp || config.mode != Mode::tunnel ||
      (config.flags & kFlagOld) != 0)
    throw Error(EINVAL, "TFC padding is for ESP in tunnel mode (RFC 4303 §2.7)");
}

void check_esp(const SaConfig& config) {
  const Algorithm* cipher = config.encryption;
  if (cipher == nullptr) throw Error(EINVAL, "ESP needs an encryption algorithm, or null");
  if (cipher->kind == crypto::Kind::integrity)
    throw Error(EINVAL, std::string(cipher->name) + " is no encryption algorithm");
  check_key(*cipher, config.encryption_key);
  const bool des = cipher->method == Method::des_cbc || cipher->method == Method::des3_cbc ||
                   cipher->method == Method::des_cbc_iv4 || cipher->method == Method::des3_cbc_iv4;
  if (des && crypto::is_weak_des_key(config.encryption_key.bytes()))
    throw Error(EINVAL, "this " + std::string(cipher->name) +
                            " key is weak or has equal parts (RFC 2451 §2.3): choose another");
  if (cipher->is_aead()) {
    if (!none(config.integrity))
      throw Error(EINVAL, std::string(cipher->name) + " brings its own integrity: leave out " +
                              std::string(config.integrity->name));
    return;
  }
  if (!none(config.integrity)) return;
  if (cipher->method == Method::null_cipher)
    throw Error(EINVAL, "ESP with neither encryption nor integrity protects nothing (RFC 4303 §2)");
  if (!config.allow_unauthenticated && (config.flags & kFlagOld) == 0)
    throw Error(EINVAL, "encryption without integrity is unsafe: add an integrity algorithm");
  if (config.replay_window != 0)
    throw Error(EINVAL, "anti-replay needs an integrity algorithm (RFC 4303 §2.2)");
}

void check_ipcomp(const SaConfig& config) {
  if (config.compression == nullptr) throw Error(EINVAL, "IPComp needs a compression algorithm");
  if (config.compression->kind != crypto::Kind::compression)
    throw Error(EINVAL, std::string(config.compression->name) + " is no compression algorithm");
  if (!none(config.integrity) ||
      (config.encryption != nullptr && config.encryption->method != Method::null_cipher))
    throw Error(EINVAL, "IPComp neither encrypts nor signs: leave out those algorithms");
  if (config.replay_window != 0 || config.extended_sequence)
    throw Error(EINVAL, "IPComp has no sequence number: no anti-replay and no ESN");
}

void check_ah(const SaConfig& config) {
  if (config.encryption != nullptr && config.encryption->method != Method::null_cipher)
    throw Error(EINVAL, "AH does not encrypt: leave out the encryption algorithm");
  if (none(config.integrity)) throw Error(EINVAL, "AH needs an integrity algorithm");
}

void check_advice(const SaConfig& config) {
  if (config.allow_legacy) return;
  for (const Algorithm* row : {config.encryption, config.integrity, config.compression})
    if (row != nullptr && row->advice == crypto::Advice::must_not)
      throw Error(EPERM, std::string(row->name) +
                             " must not be used any more (RFC 8221): choose another algorithm, or "
                             "allow legacy ones (salined --allow-legacy)");
}

void check(const SaConfig& config) {
  check_identity(config);
  switch (config.id.protocol) {
    case Protocol::esp:
      check_esp(config);
      break;
    case Protocol::ah:
      check_ah(config);
      break;
    case Protocol::ipcomp:
      check_ipcomp(config);
      break;
    default:
      throw Error(EPROTONOSUPPORT, "an SA's protocol is AH, ESP or IPComp");
  }
  check_old(config);
  check_udp(config);
  check_tfc(config);
  if (config.integrity != nullptr && config.integrity->kind != crypto::Kind::integrity)
    throw Error(EINVAL, std::string(config.integrity->name) + " is no integrity algorithm");
  if (config.integrity != nullptr) check_key(*config.integrity, config.integrity_key);
  for (auto limit : {&Lifetime::packets, &Lifetime::bytes})
    if (config.hard.*limit != 0 && config.soft.*limit > config.hard.*limit)
      throw Error(EINVAL, "a soft lifetime may not be longer than the hard one");
  check_advice(config);
}

std::uint64_t random_iv_base() {
  std::array<std::uint8_t, 8> bytes;
  crypto::RandomStream stream;
  if (!stream.fill(bytes)) throw Error(EIO, "the system's random number generator failed");
  return base::load64(bytes.data());
}

constexpr std::uint64_t kUnlimited = std::numeric_limits<std::uint64_t>::max();

std::uint64_t limit_of(std::uint64_t lifetime) noexcept {
  return lifetime == 0 ? kUnlimited : lifetime;
}

constexpr std::uint32_t round_up(std::uint32_t value, std::uint32_t unit) noexcept {
  return (value + unit - 1) / unit * unit;
}

}  // namespace

bool may_cycle(const SaConfig& config) noexcept {
  return (config.flags & kFlagCycleSequence) != 0 && !config.extended_sequence &&
         config.replay_window == 0 &&
         (config.encryption == nullptr || !config.encryption->is_counter_mode()) &&
         (config.integrity == nullptr || !config.integrity->is_counter_mode());
}

SecurityAssociation::Hot::Hot(const SaConfig& config) noexcept
    : destination(config.id.destination),
      source(config.source),
      protocol(config.id.protocol),
      mode(config.mode),
      spi(config.id.spi),
      flags(config.selector ? config.flags | kFlagSelector : config.flags & ~kFlagSelector),
      reqid(config.reqid),
      extended_sequence(config.extended_sequence),
      in_udp(config.udp.enabled()) {
  const Algorithm* cipher = protocol == Protocol::esp ? config.encryption : nullptr;
  derives_iv = cipher != nullptr && cipher->has_derived_iv();
  plain = (flags & kFlagOld) == 0 && !in_udp && !derives_iv && config.tfc_bytes == 0;
  const bool old_ah = protocol == Protocol::ah && (flags & kFlagOld) != 0;
  aead = cipher != nullptr && cipher->is_aead();
  counter_mode = cipher != nullptr && cipher->is_counter_mode();
  const Algorithm* with_iv = protocol == Protocol::ah ? config.integrity : cipher;
  iv_bytes = with_iv == nullptr ? 0 : with_iv->iv_bytes;
  icv_bytes = aead                          ? cipher->icv_bytes
              : old_ah                      ? kOldIcv
              : config.integrity == nullptr ? 0
                                            : config.integrity->icv_bytes;
  pad_to = cipher == nullptr ? 4 : std::max<std::uint8_t>(4, cipher->block_bytes);
}

SecurityAssociation::SecurityAssociation(SaConfig config)
    : hot_(config),
      hard_{limit_of(config.hard.packets), limit_of(config.hard.bytes)},
      watch_{1, kUnlimited},  // the first use
      window_(config.replay_window, config.extended_sequence),
      config_(std::move(config)) {
  last_seen_ = {config_.source, config_.udp.source_port};
  counters_.sequence.set(config_.sequence);
}

std::shared_ptr<SecurityAssociation> SecurityAssociation::create(SaConfig config,
                                                                 crypto::Provider& provider) {
  check(config);
  std::shared_ptr<SecurityAssociation> sa(new SecurityAssociation(std::move(config)));
  if (sa->protocol() == Protocol::ipcomp) {
    sa->set_state(State::mature);
    return sa;
  }
  crypto::SessionKeys keys;
  keys.encryption = sa->protocol() == Protocol::esp ? sa->config_.encryption : nullptr;
  keys.encryption_key = sa->config_.encryption_key.bytes();
  keys.integrity = none(sa->config_.integrity) ? nullptr : sa->config_.integrity;
  keys.integrity_key = sa->config_.integrity_key.bytes();
  if (sa->protocol() == Protocol::ah && sa->old_format()) keys.icv_bytes = kOldIcv;
  sa->session_ = provider.open(keys);
  sa->hot_.session = sa->session_.get();
  sa->seal_memory_ = sa->session_->hot_memory(crypto::Direction::seal);
  sa->open_memory_ = sa->session_->hot_memory(crypto::Direction::open);
  sa->iv_base_ = sa->config_.iv_base ? *sa->config_.iv_base : random_iv_base();
  sa->set_state(State::mature);
  return sa;
}

std::shared_ptr<SecurityAssociation> SecurityAssociation::create_larval(SaConfig config) {
  check_identity(config);
  return std::shared_ptr<SecurityAssociation>(new SecurityAssociation(std::move(config)));
}

std::uint32_t SecurityAssociation::overhead(std::uint32_t payload,
                                            base::Family outer) const noexcept {
  switch (protocol()) {
    case Protocol::ipcomp:
      return 0;
    case Protocol::ah: {
      const bool align8 = outer == base::Family::ipv6 || config_.ah_align8;
      return round_up((old_format() ? 8 : 12) + iv_bytes() + icv_bytes(), align8 ? 8 : 4);
    }
    case Protocol::esp:
      break;
  }
  const std::uint32_t filled = std::max<std::uint32_t>(payload, config_.tfc_bytes);
  return (old_format() ? 4 : 8) + (config_.udp.enabled() ? 8 : 0) + iv_bytes() +
         ((filled + 1 + pad_to()) & ~(pad_to() - 1)) - payload + icv_bytes();
}

// RFC 4303 §3.3.3.
hw::DropReason SecurityAssociation::overflow(std::uint64_t& sequence) noexcept {
  // The old formats have none that could run out.
  if (!old_format()) {
    raise(kEventSeqOverflow);
    if (!may_cycle(config_)) return hw::DropReason::seq_overflow;
  }
  counters_.sequence.set(0);
  sequence = 0;
  return hw::DropReason::none;
}

// A watched limit is reached: tells, and watches for the next.
void SecurityAssociation::note_limits(std::uint64_t now_s) noexcept {
  const std::uint64_t packets = counters_.packets.get();
  const std::uint64_t bytes = counters_.bytes.get();
  if (packets == 1) {
    counters_.first_used_s.set(now_s);
    raise(kEventFirstUse);
  }
  watch_ = {kUnlimited, kUnlimited};
  const auto note = [&](const Lifetime& lifetime, std::uint32_t event) {
    const Lifetime limit{limit_of(lifetime.packets), limit_of(lifetime.bytes)};
    if (packets >= limit.packets || bytes >= limit.bytes) return raise(event);
    watch_.packets = std::min(watch_.packets, limit.packets);
    watch_.bytes = std::min(watch_.bytes, limit.bytes);
  };
  note(config_.soft, kEventSoft);
  note(config_.hard, kEventHard);
}

void SecurityAssociation::peer_seen(const PeerMapping& from) noexcept {
  if (from == last_seen_) return;
  last_seen_ = from;
  mapping_.set(from);
  events_.fetch_or(kEventNewMapping, std::memory_order_acq_rel);
}

void PublishedMapping::set(const PeerMapping& mapping) noexcept {
  const std::uint32_t version = version_.load(std::memory_order_relaxed);
  version_.store(version + 1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  words_[0].store(base::load64(mapping.address.bytes.data()), std::memory_order_relaxed);
  words_[1].store(base::load64(mapping.address.bytes.data() + 8), std::memory_order_relaxed);
  words_[2].store(static_cast<std::uint64_t>(mapping.address.family) << 16 | mapping.port,
                  std::memory_order_relaxed);
  version_.store(version + 2, std::memory_order_release);
}

bool PublishedMapping::get(PeerMapping& mapping) const noexcept {
  const std::uint32_t version = version_.load(std::memory_order_acquire);
  if (version == 0 || version % 2 != 0) return false;
  PeerMapping read;
  base::store64(read.address.bytes.data(), words_[0].load(std::memory_order_relaxed));
  base::store64(read.address.bytes.data() + 8, words_[1].load(std::memory_order_relaxed));
  const std::uint64_t rest = words_[2].load(std::memory_order_relaxed);
  read.address.family = static_cast<base::Family>(rest >> 16);
  read.port = static_cast<std::uint16_t>(rest);
  std::atomic_thread_fence(std::memory_order_acquire);
  if (version_.load(std::memory_order_relaxed) != version) return false;
  mapping = read;
  return true;
}

void SecurityAssociation::raise(std::uint32_t event) noexcept {
  if ((raised_ & event) != 0) return;
  raised_ |= event;
  events_.fetch_or(event, std::memory_order_acq_rel);
}

}  // namespace saline::ipsec
