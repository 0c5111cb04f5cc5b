// PF_KEYv2 messages as values: RFC 2367 §2-3 with KAME's policy extensions, Linux numbering (see
// wire.hpp). decode() takes a datagram from anybody and never trusts a length in it; encode() is
// its inverse. This is the form of a message only: whether a request carries what its type needs is
// request.hpp, whether it makes sense for the SADB or SPD is the handler's question.
//
// Refused with Error(EINVAL) unless noted (RFC 2367 leaves the choice of errno to us):
//  - a datagram shorter than a header, or whose length field is not its size in 8-byte units:
//    EMSGSIZE;
//  - version other than 2, type 0 or above 24, unknown satype, reserved header field not zero;
//  - extension of length 0, beyond the end, below or above its exact size, duplicate, or unknown.
//    Linux skips unknown types above 26; we refuse, because a request is carried out as it was
//    written or not at all;
//  - sockaddr of another length than its family's; another family: EAFNOSUPPORT; source and
//    destination of different families; prefix longer than the family's;
//  - key bits not a multiple of 8 or not filling the extension (0 bits are legal: NULL has no key);
//  - enumerations out of range; policy requests of wrong length, of unknown protocol, mode or
//  level,
//    more than 16; sensitivity labels (EOPNOTSUPP): nobody here enforces them.
// Ports and protocol of an SA's addresses, and the reserved bytes inside extensions, are kept or
// ignored but never judged: real clients put 500 and stack garbage there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "host/base/ip.hpp"
#include "host/base/secret.hpp"
#include "host/pfkey/wire.hpp"

namespace saline::pfkey {

// Wipes what it frees, so that a buffer with keys may grow, move and go.
template <typename T>
struct WipingAllocator {
  using value_type = T;
  WipingAllocator() = default;
  template <typename U>
  WipingAllocator(const WipingAllocator<U>&) noexcept {}  // NOLINT: the allocator conversion
  T* allocate(std::size_t n) { return std::allocator<T>().allocate(n); }
  void deallocate(T* p, std::size_t n) noexcept {
    base::wipe({reinterpret_cast<std::uint8_t*>(p), n * sizeof(T)});
    std::allocator<T>().deallocate(p, n);
  }
  bool operator==(const WipingAllocator&) const = default;
};
// A datagram; always wiped, because most may hold keys.
using Bytes = std::vector<std::uint8_t, WipingAllocator<std::uint8_t>>;

struct Sa {
  std::uint32_t spi = 0;  // host order
  std::uint8_t replay = 0;
  SaState state = SaState::larval;
  std::uint8_t auth = 0;     // SADB_AALG_* or SADB_X_AALG_*, Linux numbers
  std::uint8_t encrypt = 0;  // SADB_EALG_*; for IPComp the compression algorithm
  std::uint32_t flags = 0;   // kSaFlag*
  bool operator==(const Sa&) const = default;
};

// Hard and soft: limits, 0 = none, times in seconds after add or first use.
// Current: allocations, bytes so far and absolute times (seconds since 1970), usetime = last use.
struct Lifetime {
  std::uint32_t allocations = 0;
  std::uint64_t bytes = 0;
  std::uint64_t addtime_s = 0;
  std::uint64_t usetime_s = 0;
  bool operator==(const Lifetime&) const = default;
};

struct AddressExtension {
  base::Endpoint endpoint;
  std::uint8_t proto = 0;  // kUpperAny in policies for any
  std::uint8_t prefixlen = 0;
  bool operator==(const AddressExtension&) const = default;
};

struct Key {
  std::uint16_t bits = 0;  // always bytes.size() * 8
  base::Secret bytes;
};

struct Identity {
  IdentityType type = IdentityType::reserved;
  std::uint64_t id = 0;
  std::string text;
  bool operator==(const Identity&) const = default;
};

struct SpiRange {
  std::uint32_t min = 0x100;
  std::uint32_t max = 0x0fffffff;
  bool operator==(const SpiRange&) const = default;
};

struct PolicyRequest {
  std::uint8_t proto = 0;  // 50 ESP, 51 AH, 108 IPComp
  Mode mode = Mode::transport;
  Level level = Level::use_default;
  std::uint32_t reqid = 0;
  // Both or neither, of one family. A tunnel always has them on the wire.
  std::optional<base::Endpoint> source;
  std::optional<base::Endpoint> destination;
  bool operator==(const PolicyRequest&) const = default;
};

struct Policy {
  PolicyType type = PolicyType::none;
  Direction direction = Direction::any;
  std::uint32_t id = 0;
  std::uint32_t priority = 0;           // smaller = earlier
  std::vector<PolicyRequest> requests;  // first = innermost
  bool operator==(const Policy&) const = default;
};

struct Sa2 {
  Mode mode = Mode::any;
  std::uint32_t sequence = 0;  // dumps only: packets sent, or highest received
  std::uint32_t reqid = 0;
  bool operator==(const Sa2&) const = default;
};

struct SupportedAlgorithm {
  std::uint8_t id = 0;
  std::uint8_t iv_bytes = 0;
  std::uint16_t min_bits = 0;
  std::uint16_t max_bits = 0;
  bool operator==(const SupportedAlgorithm&) const = default;
};

struct Combination {
  std::uint8_t auth = 0, encrypt = 0;
  std::uint16_t flags = 0;
  std::uint16_t auth_min_bits = 0, auth_max_bits = 0;
  std::uint16_t encrypt_min_bits = 0, encrypt_max_bits = 0;
  Lifetime soft, hard;
  bool operator==(const Combination&) const = default;
};

struct Proposal {
  std::uint8_t replay = 0;
  std::vector<Combination> combinations;
  bool operator==(const Proposal&) const = default;
};

struct SecurityContext {
  std::uint8_t algorithm = 0, doi = 0;
  std::string text;
  bool operator==(const SecurityContext&) const = default;
};

struct KmAddress {
  base::Endpoint local, remote;
  bool operator==(const KmAddress&) const = default;
};

// Linux's filter of a DUMP: only SAs whose addresses lie inside (length 0 = any).
struct Filter {
  base::Prefix source, destination;
  bool operator==(const Filter&) const = default;
};

// Ours: who does the packets of this SA and why.
struct SalinePath {
  Path path = Path::software;
  std::string reason;
  bool operator==(const SalinePath&) const = default;
};

// Everything of a message that may be shown to every client.
struct PublicMessage {
  MessageType type = MessageType::reserved;
  std::uint8_t error = 0;  // an errno value
  SaType satype = SaType::unspec;
  std::uint32_t seq = 0;
  std::uint32_t pid = 0;  // the client's, echoed; 0 = from the daemon

  std::optional<Sa> sa;
  std::optional<Lifetime> current, hard, soft;
  std::optional<AddressExtension> source, destination, proxy;
  std::optional<Identity> source_identity, destination_identity;
  std::optional<Proposal> proposal;
  std::optional<std::vector<SupportedAlgorithm>> supported_auth, supported_encrypt;
  std::optional<SpiRange> spi_range;
  std::optional<Policy> policy;
  std::optional<Sa2> sa2;
  std::optional<std::uint8_t> nat_t_type;                                  // kNatT*, 0 = none
  std::optional<std::uint16_t> nat_t_source_port, nat_t_destination_port;  // host order
  std::optional<AddressExtension> nat_t_original;
  std::optional<SecurityContext> security_context;
  std::optional<KmAddress> kmaddress;
  std::optional<Filter> filter;
  std::optional<std::uint32_t> replay_window;  // packets; overrides Sa::replay
  std::optional<std::uint32_t> saline_hello;   // kFeature* bits the client wants
  std::optional<SalinePath> saline_path;
  bool operator==(const PublicMessage&) const = default;
};

// Move-only, because keys are. clone() copies on purpose, without_keys() is for everybody else.
struct Message : PublicMessage {
  std::optional<Key> key_auth, key_encrypt;

  Message() = default;
  explicit Message(const PublicMessage& shown) : PublicMessage(shown) {}
  // A message of a type; the reply to `request` (type, satype, seq, pid).
  explicit Message(MessageType message_type) { type = message_type; }
  static Message reply_to(const PublicMessage& request);
  Message clone() const;
  Message without_keys() const { return Message(static_cast<const PublicMessage&>(*this)); }
};

Message decode(std::span<const std::uint8_t> datagram);

// Extensions in ascending order of type. `features` are what the receiver asked for: replay_window
// and saline_path are left out unless their bit is set, saline_hello is always written when
// present. Throws Error(EMSGSIZE) when a part does not fit its length field, Error(EINVAL) for a
// value that has no form on the wire (an address without family, key bits that are not its size).
Bytes encode(const Message& message, std::uint32_t features = 0);

// The 16-byte answer to a datagram that failed: type, satype, seq and pid are echoed as far as the
// datagram reaches, and `errno_value` is set.
Bytes encode_error(std::span<const std::uint8_t> request, int errno_value);

// "ADD", "X_SPDADD"...: RFC 2367's words without SADB_.
const char* name(MessageType type);

}  // namespace saline::pfkey
