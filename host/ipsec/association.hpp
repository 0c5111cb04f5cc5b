// A Security Association: what the SAD holds for one (SPI, destination, protocol), RFC 4301
// §4.4.2.1. The control thread makes it, changes its state and reads its counters; one data thread
// owns its sequence number, window and counters. Clocks belong to the daemon: this layer only
// notes the time it is told.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "host/base/ip.hpp"
#include "host/base/secret.hpp"
#include "host/crypto/algorithms.hpp"
#include "host/crypto/provider.hpp"
#include "host/ipsec/path_mtu.hpp"
#include "host/ipsec/protocols.hpp"
#include "host/ipsec/replay.hpp"
#include "host/ipsec/selector.hpp"
#include "hw/interface/saline_hw.hpp"

namespace saline::ipsec {

struct SaId {
  std::uint32_t spi = 0;
  base::Address destination;
  Protocol protocol = Protocol::esp;
  auto operator<=>(const SaId&) const = default;
};

// Zero is "none". Times (addtime, usetime) are the daemon's.
struct Lifetime {
  std::uint64_t packets = 0;  // PF_KEY: allocations
  std::uint64_t bytes = 0;
};

// SADB_SAFLAGS bits that this layer acts on; other bits are kept for dumps.
inline constexpr std::uint32_t kFlagOld = 0x0001;            // SADB_X_EXT_OLD: RFC 1826, RFC 1827
inline constexpr std::uint32_t kFlagIv4Bytes = 0x0010;       // SADB_X_EXT_IV4B
inline constexpr std::uint32_t kFlagDerivedIv = 0x0020;      // SADB_X_EXT_DERIV
inline constexpr std::uint32_t kFlagCycleSequence = 0x0040;  // SADB_X_EXT_CYCSEQ
inline constexpr std::uint32_t kFlagRawCpi = 0x0080;         // SADB_X_EXT_RAWCPI
inline constexpr std::uint32_t kFlagPadRandom = 0x0100;      // SADB_X_EXT_PRAND
inline constexpr std::uint32_t kFlagPadZero = 0x0200;        // SADB_X_EXT_PZERO
// Linux's, for tunnel mode.
inline constexpr std::uint32_t kFlagNoPathMtu = 0x20000000;  // NOPMTUDISC: outer DF clear, always
inline constexpr std::uint32_t kFlagDecapDscp = 0x40000000;  // DECAP_DSCP: inner DSCP as outer
inline constexpr std::uint32_t kFlagNoEcn = 0x80000000;      // NOECN: as ecn=0
// Of this layer alone, in SecurityAssociation::flags(): there is a selector.
inline constexpr std::uint32_t kFlagSelector = 0x08000000;

// ESP in UDP (RFC 3948). Port 0: none.
struct UdpEncapsulation {
  std::uint16_t source_port = 0;  // of the packets the SA's source sends
  std::uint16_t destination_port = 0;
  base::Address original{};  // inbound: the source's address before translation, if it is known
  bool operator==(const UdpEncapsulation&) const = default;
  bool enabled() const noexcept { return destination_port != 0; }
};

struct SaConfig {
  SaId id;
  base::Address source;   // unspecified: any peer
  Mode mode = Mode::any;  // any: transport or tunnel, as the request or the packet asks
  std::uint32_t reqid = 0;
  const crypto::Algorithm* integrity = nullptr;    // nullptr or null_integrity: none
  const crypto::Algorithm* encryption = nullptr;   // ESP only; null_cipher for integrity alone
  const crypto::Algorithm* compression = nullptr;  // IPComp only
  base::Secret integrity_key;
  base::Secret encryption_key;      // as PF_KEY carries it, salt last
  std::uint32_t replay_window = 0;  // packets; 0 is off
  bool extended_sequence = false;
  std::uint32_t flags = 0;  // SADB_SAFLAGS as given
  Lifetime soft;
  Lifetime hard;
  std::uint64_t sequence = 0;  // last outbound number already used (successor of a moved SA)
  // The IV of a counter mode is this XOR the sequence number; random unless a test or the successor
  // of a moved SA says otherwise.
  std::optional<std::uint64_t> iv_base;
  bool allow_reserved_spi = false;     // SPI 1 to 255, which published packets use
  bool allow_unauthenticated = false;  // encryption without integrity; else refused
  bool allow_legacy = false;  // algorithms that RFC 8221 says MUST NOT, old formats; else refused
  UdpEncapsulation udp;
  // What may come out of this SA (RFC 4301 §4.4.2.1); none: the SPD alone decides. Ends as in the
  // packet: the source is the peer's side.
  std::optional<Selector> selector;
  bool ah_align8 = false;  // AH over IPv4 padded to 8 bytes, as Linux does and demands
  // Tunnel mode ESP, outbound: packets shorter than this are filled up to it (RFC 4303 §2.7).
  std::uint16_t tfc_bytes = 0;
};

// Whether the sequence number may start over after its last: only where the operator asks for it,
// anti-replay is off (RFC 4303 §3.3.3), and no counter mode's IV would repeat under one key.
bool may_cycle(const SaConfig& config) noexcept;

// Written by the data thread with plain relaxed stores, read by anyone.
class Counter {
 public:
  Counter() = default;
  Counter(const Counter& other) noexcept : value_(other.get()) {}
  Counter& operator=(const Counter& other) noexcept {
    set(other.get());
    return *this;
  }
  void add(std::uint64_t count) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
  }
  void set(std::uint64_t value) noexcept { value_.store(value, std::memory_order_relaxed); }
  std::uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

using ReasonCounters = std::array<Counter, hw::kDropReasonCount>;

struct SaCounters {
  Counter packets;  // protected or accepted
  Counter bytes;    // of those: the payload before protection, padding not counted
  Counter last_used_s;
  Counter sequence;      // outbound: last number sent; the next one follows from it
  Counter first_used_s;  // in the daemon's clock; 0: never
  ReasonCounters refused;
};

// Raised once each by the data thread, collected by the control thread.
inline constexpr std::uint32_t kEventSoft = 1;         // soft lifetime reached
inline constexpr std::uint32_t kEventHard = 2;         // hard lifetime reached; passes nothing
inline constexpr std::uint32_t kEventSeqOverflow = 4;  // last number used; sends nothing
inline constexpr std::uint32_t kEventFirstUse = 8;     // for lifetimes that count from first use
inline constexpr std::uint32_t kEventNewMapping = 16;  // every time: ESP in UDP came from elsewhere

// Where the peer of an SA for ESP in UDP is now, behind its translator.
struct PeerMapping {
  base::Address address;
  std::uint16_t port = 0;
  bool operator==(const PeerMapping&) const = default;
};

// A mapping that one thread writes and another reads: a reader gets a whole one or, while it is
// being written, none.
class PublishedMapping {
 public:
  void set(const PeerMapping& mapping) noexcept;
  // False when none was ever set, or it changes at this moment: then the caller keeps what it has.
  bool get(PeerMapping& mapping) const noexcept;
  bool present() const noexcept { return version_.load(std::memory_order_relaxed) != 0; }

 private:
  std::atomic<std::uint32_t> version_{0};  // odd while it is being written
  std::array<std::atomic<std::uint64_t>, 3> words_{};
};

class SecurityAssociation;
struct PeerGroup;

// Where the SAD keeps an SA: in order of addition, and among those that answer the same request.
struct SadPlace {
  struct Peers {
    std::atomic<SecurityAssociation*> older{nullptr};
    std::atomic<SecurityAssociation*> newer{nullptr};
    PeerGroup* group = nullptr;
  };
  std::shared_ptr<SecurityAssociation> self;  // set while it is in the SAD
  SecurityAssociation* older = nullptr;
  SecurityAssociation* newer = nullptr;
  std::uint64_t number = 0;    // in order of addition
  std::array<Peers, 2> peers;  // any request id; its own, where it has one
};

// Laid out by cache line: what lookup and both directions read, what a packet writes, what inbound
// and what outbound need besides; then what no packet touches.
class SecurityAssociation {
 public:
  // A mature SA. Throws Error(EINVAL) with what is wrong: key lengths, weak DES keys, no transform
  // at all, encryption without integrity, window too large, addresses of two families, SPI < 256, a
  // CPI out of range, flags that contradict each other.
  static std::shared_ptr<SecurityAssociation> create(SaConfig config, crypto::Provider& provider);
  // What SADB_GETSPI leaves: an SPI and addresses, no keys; passes nothing.
  static std::shared_ptr<SecurityAssociation> create_larval(SaConfig config);

  const SaConfig& config() const noexcept { return config_; }
  const SaId& id() const noexcept { return config_.id; }
  Protocol protocol() const noexcept { return hot_.protocol; }
  // nullptr: none.
  const Selector* selector() const noexcept {
    return (hot_.flags & kFlagSelector) != 0 ? &*config_.selector : nullptr;
  }

  // id() == other, without reading more than a lookup does.
  bool is(const SaId& other) const noexcept {
    return is(other.spi, other.destination, other.protocol);
  }
  bool is(std::uint32_t spi, const base::Address& destination, Protocol protocol) const noexcept {
    return hot_.spi == spi && hot_.protocol == protocol && hot_.destination == destination;
  }
  // Of the configuration, for the data path.
  std::uint32_t spi() const noexcept { return hot_.spi; }
  std::uint32_t reqid() const noexcept { return hot_.reqid; }
  std::uint32_t flags() const noexcept { return hot_.flags; }
  Mode mode() const noexcept { return hot_.mode; }
  const base::Address& source() const noexcept { return hot_.source; }
  const base::Address& destination() const noexcept { return hot_.destination; }
  bool extended_sequence() const noexcept { return hot_.extended_sequence; }
  bool is_aead() const noexcept { return hot_.aead; }
  bool is_counter_mode() const noexcept { return hot_.counter_mode; }

  State state() const noexcept { return hot_.state.load(std::memory_order_acquire); }
  void set_state(State state) noexcept { hot_.state.store(state, std::memory_order_release); }
  bool usable() const noexcept {
    const State now = state();
    return now == State::mature || now == State::dying;
  }

  // True while a card applies this SA; outbound() then hands the packet over (see process.hpp).
  bool offloaded() const noexcept { return hot_.offloaded.load(std::memory_order_acquire); }
  void set_offloaded(bool offloaded) noexcept {
    hot_.offloaded.store(offloaded, std::memory_order_release);
  }

  // Control thread: the events raised since the last call.
  std::uint32_t take_events() noexcept { return events_.exchange(0, std::memory_order_acq_rel); }

  SaCounters& counters() noexcept { return counters_; }
  const SaCounters& counters() const noexcept { return counters_; }

  // Sizes on the wire.
  std::uint32_t iv_bytes() const noexcept { return hot_.iv_bytes; }  // 0 where it is derived
  std::uint32_t icv_bytes() const noexcept { return hot_.icv_bytes; }
  // The alignment of payload + padding + 2 (RFC 4303 §2.4): block size, at least 4. A power of two.
  std::uint32_t pad_to() const noexcept { return hot_.pad_to; }
  // True for the formats of RFC 4303 and RFC 4302 as they stand: no old format, no derived IV, no
  // UDP, no filling. The packet walk asks this before it asks for any of those.
  bool plain() const noexcept { return hot_.plain; }
  // RFC 1827 and RFC 1826: no sequence number, in ESP no ICV, in AH one of 16 bytes.
  bool old_format() const noexcept { return (hot_.flags & kFlagOld) != 0; }
  bool derives_iv() const noexcept { return hot_.derives_iv; }
  bool in_udp() const noexcept { return hot_.in_udp; }
  // ESP in UDP. Inbound: the data thread notes where an authentic packet came from, with
  // kEventNewMapping, when that is new. Outbound: the control thread says where packets go to.
  PublishedMapping& mapping() noexcept { return mapping_; }
  const PublishedMapping& mapping() const noexcept { return mapping_; }
  void peer_seen(const PeerMapping& from) noexcept;

  // Bytes this SA adds to a payload of that many bytes, without a tunnel header: with AH, and with
  // padding, by the family of the IP header in front. IPComp adds none: what would grow goes as it
  // is.
  std::uint32_t overhead(std::uint32_t payload, base::Family outer) const noexcept;

  // --- data thread only ---
  // The next outbound number; drop reason seq_overflow or none.
  hw::DropReason next_sequence(std::uint64_t& sequence) noexcept {
    const std::uint64_t last = counters_.sequence.get();
    const std::uint64_t end = hot_.extended_sequence ? ~std::uint64_t{0} : 0xFFFFFFFF;
    if (last == end) return overflow(sequence);
    sequence = last + 1;
    counters_.sequence.set(sequence);
    return hw::DropReason::none;
  }
  hw::DropReason lifetime_check() noexcept {
    if (counters_.packets.get() < hard_.packets && counters_.bytes.get() < hard_.bytes)
      return hw::DropReason::none;
    raise(kEventHard);
    return hw::DropReason::lifetime;
  }
  void account(std::uint64_t payload_bytes, std::uint64_t now_s) noexcept {
    counters_.packets.add(1);
    counters_.bytes.add(payload_bytes);
    counters_.last_used_s.set(now_s);
    if (counters_.packets.get() >= watch_.packets || counters_.bytes.get() >= watch_.bytes)
      note_limits(now_s);
  }
  void raise(std::uint32_t event) noexcept;
  void refuse(hw::DropReason reason) noexcept {
    counters_.refused[static_cast<std::size_t>(reason)].add(1);
  }
  ReplayWindow& window() noexcept { return window_; }
  const ReplayWindow& window() const noexcept { return window_; }
  PathMtu& path_mtu() noexcept { return path_mtu_; }
  const PathMtu& path_mtu() const noexcept { return path_mtu_; }
  crypto::Session* session() const noexcept { return hot_.session; }
  std::uint64_t iv_base() const noexcept { return iv_base_; }

  // Asks the caches for this SA, and, once it is there, for what its cryptography reads.
  void prefetch(crypto::Direction direction) const noexcept {
    __builtin_prefetch(&hot_);
    __builtin_prefetch(&hard_, 1);
    if (direction == crypto::Direction::open)
      __builtin_prefetch(&window_, 1);
    else
      __builtin_prefetch(&iv_base_);
  }
  void prefetch_session(crypto::Direction direction, std::size_t text_bytes) const noexcept {
    crypto::prefetch(direction == crypto::Direction::open ? open_memory_ : seal_memory_,
                     text_bytes);
  }

 private:
  friend class Sad;
  friend class SadView;

  // Constant but for state and offloaded.
  struct Hot {
    explicit Hot(const SaConfig& config) noexcept;
    crypto::Session* session = nullptr;
    base::Address destination;
    base::Address source;
    Protocol protocol;
    Mode mode;
    std::uint32_t spi;
    std::uint32_t flags;
    std::uint32_t reqid;
    std::atomic<State> state{State::larval};
    std::atomic<bool> offloaded{false};
    bool extended_sequence : 1;
    bool aead : 1;
    bool counter_mode : 1;
    bool in_udp : 1;
    bool derives_iv : 1;
    bool plain : 1;
    std::uint8_t iv_bytes;
    std::uint8_t icv_bytes;
    std::uint8_t pad_to;
  };
  static_assert(sizeof(Hot) == 64);

  explicit SecurityAssociation(SaConfig config);
  hw::DropReason overflow(std::uint64_t& sequence) noexcept;
  void note_limits(std::uint64_t now_s) noexcept;

  alignas(64) Hot hot_;

  // Line 1. "None" is the largest number here. watch_ is where the next event is due.
  Lifetime hard_;
  Lifetime watch_;
  SaCounters counters_;  // the first four
  // ... where first_used_s and refused are, and what follows, on lines of their own.

  alignas(64) ReplayWindow window_;
  crypto::HotMemory open_memory_;

  alignas(64) std::uint64_t iv_base_ = 0;  // the IV of a counter mode is this XOR sequence
  crypto::HotMemory seal_memory_;
  PathMtu path_mtu_;

  std::uint32_t raised_ = 0;
  std::atomic<std::uint32_t> events_{0};
  SaConfig config_;
  PublishedMapping mapping_;
  PeerMapping last_seen_;  // data thread
  std::unique_ptr<crypto::Session> session_;
  SadPlace place_;
};

}  // namespace saline::ipsec
