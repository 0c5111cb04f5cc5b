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

// ESP in UDP (RFC 3948). Port 0: none.
struct UdpEncapsulation {
  std::uint16_t source_port = 0;  // of the packets the SA's source sends
  std::uint16_t destination_port = 0;
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
  bool allow_legacy = false;           // algorithms that RFC 8221 says MUST NOT; else refused
  UdpEncapsulation udp;
  bool ah_align8 = false;  // AH over IPv4 padded to 8 bytes, as Linux does and demands
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
  Counter packets;       // protected or accepted
  Counter bytes;         // of those: the payload before protection, padding not counted
  Counter first_used_s;  // in the daemon's clock; 0: never
  Counter last_used_s;
  Counter sequence;    // outbound: last number sent
  Counter window_top;  // inbound: right edge
  ReasonCounters refused;
};

// Raised once each by the data thread, collected by the control thread.
inline constexpr std::uint32_t kEventSoft = 1;         // soft lifetime reached
inline constexpr std::uint32_t kEventHard = 2;         // hard lifetime reached; passes nothing
inline constexpr std::uint32_t kEventSeqOverflow = 4;  // last number used; sends nothing
inline constexpr std::uint32_t kEventFirstUse = 8;     // for lifetimes that count from first use

class SecurityAssociation {
 public:
  // A mature SA. Throws Error(EINVAL) with what is wrong: key lengths, weak DES keys, no transform
  // at all, encryption without integrity, window too large, addresses of two families, SPI < 256.
  static std::shared_ptr<SecurityAssociation> create(SaConfig config, crypto::Provider& provider);
  // What SADB_GETSPI leaves: an SPI and addresses, no keys; passes nothing.
  static std::shared_ptr<SecurityAssociation> create_larval(SaConfig config);

  const SaConfig& config() const noexcept { return config_; }
  const SaId& id() const noexcept { return config_.id; }
  Protocol protocol() const noexcept { return config_.id.protocol; }

  State state() const noexcept { return state_.load(std::memory_order_acquire); }
  void set_state(State state) noexcept { state_.store(state, std::memory_order_release); }
  bool usable() const noexcept {
    const State now = state();
    return now == State::mature || now == State::dying;
  }

  // True while a card applies this SA; outbound() then hands the packet over (see process.hpp).
  bool offloaded() const noexcept { return offloaded_.load(std::memory_order_acquire); }
  void set_offloaded(bool offloaded) noexcept {
    offloaded_.store(offloaded, std::memory_order_release);
  }

  // Control thread: the events raised since the last call.
  std::uint32_t take_events() noexcept { return events_.exchange(0, std::memory_order_acq_rel); }

  SaCounters& counters() noexcept { return counters_; }
  const SaCounters& counters() const noexcept { return counters_; }

  // Sizes on the wire.
  std::uint32_t iv_bytes() const noexcept;
  std::uint32_t icv_bytes() const noexcept;
  // The alignment of payload + padding + 2 (RFC 4303 §2.4): block size, at least 4.
  std::uint32_t pad_to() const noexcept;
  // Bytes this SA adds to a payload of that many bytes, without a tunnel header.
  std::uint32_t overhead(std::uint32_t payload, base::Family outer) const noexcept;

  // --- data thread only ---
  // The next outbound number; drop reason seq_overflow, lifetime or none.
  hw::DropReason next_sequence(std::uint64_t& sequence) noexcept;
  hw::DropReason lifetime_check() noexcept;
  void account(std::uint64_t payload_bytes, std::uint64_t now_s) noexcept;
  void raise(std::uint32_t event) noexcept;
  void refuse(hw::DropReason reason) noexcept {
    counters_.refused[static_cast<std::size_t>(reason)].add(1);
  }
  ReplayWindow& window() noexcept { return window_; }
  PathMtu& path_mtu() noexcept { return path_mtu_; }
  const PathMtu& path_mtu() const noexcept { return path_mtu_; }
  crypto::Session* session() const noexcept { return session_.get(); }
  std::uint64_t iv_base() const noexcept { return iv_base_; }

 private:
  explicit SecurityAssociation(SaConfig config);

  SaConfig config_;
  std::atomic<State> state_{State::larval};
  std::atomic<bool> offloaded_{false};
  std::atomic<std::uint32_t> events_{0};
  std::uint32_t raised_ = 0;
  std::uint64_t sequence_ = 0;
  std::uint64_t iv_base_ = 0;  // random per SA: the IV of a counter mode is this XOR sequence
  ReplayWindow window_;
  PathMtu path_mtu_;
  SaCounters counters_;
  std::unique_ptr<crypto::Session> session_;
};

}  // namespace saline::ipsec
