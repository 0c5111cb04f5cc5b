// PF_KEYv2 on the wire: RFC 2367 §2 and §3 with the KAME policy extensions, in the numbering and
// the structures of Linux, so that clients built on Linux work unmodified. Our own definitions:
// nothing here depends on what a system's headers happen to have. Everything is in host byte order
// except SPIs, ports and addresses; lengths count 8-byte units, headers included, with one
// exception (IpsecRequest::length is in bytes). Only message.cpp and tests look at the structures.
#pragma once

#include <cstdint>

namespace saline::pfkey {

inline constexpr std::uint8_t kVersion = 2;
inline constexpr char kDefaultSocketPath[] = "/run/saline/pfkey.sock";

enum class MessageType : std::uint8_t {
  reserved = 0,
  getspi = 1,
  update = 2,
  add = 3,
  del = 4,
  get = 5,
  acquire = 6,
  reg = 7,
  expire = 8,
  flush = 9,
  dump = 10,
  promisc = 11,
  pchange = 12,
  spdupdate = 13,
  spdadd = 14,
  spddelete = 15,
  spdget = 16,
  spdacquire = 17,
  spddump = 18,
  spdflush = 19,
  spdsetidx = 20,
  spdexpire = 21,
  spddelete2 = 22,
  nat_t_new_mapping = 23,
  migrate = 24,
};
inline constexpr std::uint8_t kLastMessageType = 24;

enum class SaType : std::uint8_t {
  unspec = 0,
  ah = 2,
  esp = 3,
  rsvp = 5,
  ospfv2 = 6,
  ripv2 = 7,
  mip = 8,
  ipcomp = 9,
};

enum class Extension : std::uint16_t {
  reserved = 0,
  sa = 1,
  lifetime_current = 2,
  lifetime_hard = 3,
  lifetime_soft = 4,
  address_source = 5,
  address_destination = 6,
  address_proxy = 7,
  key_auth = 8,
  key_encrypt = 9,
  identity_source = 10,
  identity_destination = 11,
  sensitivity = 12,
  proposal = 13,
  supported_auth = 14,
  supported_encrypt = 15,
  spirange = 16,
  kmprivate = 17,
  policy = 18,
  sa2 = 19,
  nat_t_type = 20,
  nat_t_source_port = 21,
  nat_t_destination_port = 22,
  nat_t_original_address = 23,
  security_context = 24,
  kmaddress = 25,
  // Linux: the filter of a DUMP (40 bytes). FreeBSD: SA_REPLAY, the window in packets (8 bytes).
  // The length tells which.
  filter_or_replay = 26,
  // Ours, outside anything a system has numbered. Sent only to sockets that said saline_hello.
  saline_hello = 0x8000,
  saline_path = 0x8001,
};

enum class SaState : std::uint8_t { larval = 0, mature = 1, dying = 2, dead = 3 };
enum class Mode : std::uint8_t { any = 0, transport = 1, tunnel = 2 };
enum class PolicyType : std::uint8_t { discard = 0, none = 1, ipsec = 2, entrust = 3, bypass = 4 };
enum class Direction : std::uint8_t { any = 0, in = 1, out = 2, fwd = 3 };
enum class Level : std::uint8_t { use_default = 0, use = 1, require = 2, unique = 3 };
enum class IdentityType : std::uint16_t { reserved = 0, prefix = 1, fqdn = 2, user_fqdn = 3 };

// sadb_sa_flags: the KAME bits that setkey writes, FreeBSD's ESN, and Linux's own in the top.
inline constexpr std::uint32_t kSaFlagOld = 0x1;
inline constexpr std::uint32_t kSaFlagIv4Bytes = 0x10;
inline constexpr std::uint32_t kSaFlagDerivedIv = 0x20;
inline constexpr std::uint32_t kSaFlagCyclicSequence = 0x40;
inline constexpr std::uint32_t kSaFlagRawCpi = 0x80;
inline constexpr std::uint32_t kSaFlagRandomPad = 0x100;
inline constexpr std::uint32_t kSaFlagZeroPad = 0x200;
inline constexpr std::uint32_t kSaFlagEsn = 0x400;
// Ours: AH over IPv4 padded to 8 bytes, as Linux does and demands of its peers.
inline constexpr std::uint32_t kSaFlagAhAlign8 = 0x00100000;
inline constexpr std::uint32_t kSaFlagNoPmtuDiscovery = 0x20000000;
inline constexpr std::uint32_t kSaFlagDecapsulateDscp = 0x40000000;
inline constexpr std::uint32_t kSaFlagNoEcn = 0x80000000;

inline constexpr std::uint8_t kUpperAny = 255;      // "any" upper-layer protocol
inline constexpr std::uint8_t kNatTNonIke = 1;      // draft 00 marker
inline constexpr std::uint8_t kNatTEspInUdp = 2;    // RFC 3948
inline constexpr std::uint32_t kReqidMax = 0x3fff;  // larger ones are the daemon's own
inline constexpr std::uint32_t kPriorityDefault = 0x80000000;

// What a socket may ask for with saline_hello; one bit each.
inline constexpr std::uint32_t kFeaturePath = 0x1;    // saline_path in SA and policy messages
inline constexpr std::uint32_t kFeatureReplay = 0x2;  // SA_REPLAY in SA messages

// saline_path: who does the packets of this SA.
enum class Path : std::uint8_t { software = 0, card = 1 };

namespace wire {

struct MessageHeader {
  std::uint8_t version, type, error, satype;
  std::uint16_t length, reserved;
  std::uint32_t seq, pid;
};
static_assert(sizeof(MessageHeader) == 16);

struct ExtensionHeader {
  std::uint16_t length, type;
};
static_assert(sizeof(ExtensionHeader) == 4);

struct Sa {
  ExtensionHeader header;
  std::uint32_t spi;  // network order
  std::uint8_t replay, state, auth, encrypt;
  std::uint32_t flags;
};
static_assert(sizeof(Sa) == 16);

struct Lifetime {
  ExtensionHeader header;
  std::uint32_t allocations;
  std::uint64_t bytes, addtime, usetime;
};
static_assert(sizeof(Lifetime) == 32);

struct Address {  // a sockaddr follows, padded to 8
  ExtensionHeader header;
  std::uint8_t proto, prefixlen;
  std::uint16_t reserved;
};
static_assert(sizeof(Address) == 8);

struct Key {  // the key follows, padded to 8
  ExtensionHeader header;
  std::uint16_t bits, reserved;
};
static_assert(sizeof(Key) == 8);

struct Identity {  // a NUL-terminated string follows, padded to 8
  ExtensionHeader header;
  std::uint16_t type, reserved;
  std::uint64_t id;
};
static_assert(sizeof(Identity) == 16);

struct Proposal {  // combinations follow
  ExtensionHeader header;
  std::uint8_t replay;
  std::uint8_t reserved[3];
};
static_assert(sizeof(Proposal) == 8);

struct Combination {
  std::uint8_t auth, encrypt;
  std::uint16_t flags, auth_minbits, auth_maxbits, encrypt_minbits, encrypt_maxbits;
  std::uint32_t reserved, soft_allocations, hard_allocations;
  std::uint64_t soft_bytes, hard_bytes, soft_addtime, hard_addtime, soft_usetime, hard_usetime;
};
static_assert(sizeof(Combination) == 72);

struct Supported {  // algorithms follow
  ExtensionHeader header;
  std::uint32_t reserved;
};
static_assert(sizeof(Supported) == 8);

struct Algorithm {
  std::uint8_t id, ivlen;
  std::uint16_t minbits, maxbits, reserved;
};
static_assert(sizeof(Algorithm) == 8);

struct SpiRange {
  ExtensionHeader header;
  std::uint32_t min, max, reserved;  // host order
};
static_assert(sizeof(SpiRange) == 16);

struct Policy {  // requests follow
  ExtensionHeader header;
  std::uint16_t type;
  std::uint8_t direction, reserved;
  std::uint32_t id, priority;
};
static_assert(sizeof(Policy) == 16);

struct IpsecRequest {           // two sockaddrs may follow, unpadded
  std::uint16_t length, proto;  // length in bytes
  std::uint8_t mode, level;
  std::uint16_t reserved1;
  std::uint32_t reqid, reserved2;
};
static_assert(sizeof(IpsecRequest) == 16);

struct Sa2 {
  ExtensionHeader header;
  std::uint8_t mode, reserved1;
  std::uint16_t reserved2;
  std::uint32_t sequence, reqid;
};
static_assert(sizeof(Sa2) == 16);

struct NatTType {
  ExtensionHeader header;
  std::uint8_t type;
  std::uint8_t reserved[3];
};
static_assert(sizeof(NatTType) == 8);

struct NatTPort {
  ExtensionHeader header;
  std::uint16_t port, reserved;  // port in network order
};
static_assert(sizeof(NatTPort) == 8);

struct SecurityContext {  // the context string follows, padded to 8
  ExtensionHeader header;
  std::uint8_t algorithm, doi;
  std::uint16_t length;
};
static_assert(sizeof(SecurityContext) == 8);

struct KmAddress {  // two sockaddrs follow, unpadded, the whole padded to 8
  ExtensionHeader header;
  std::uint32_t reserved;
};
static_assert(sizeof(KmAddress) == 8);

struct Filter {
  ExtensionHeader header;
  std::uint32_t source[4], destination[4];  // network order
  std::uint16_t family;
  std::uint8_t source_prefix, destination_prefix;
};
static_assert(sizeof(Filter) == 40);

struct Replay {
  ExtensionHeader header;
  std::uint32_t window;  // packets
};
static_assert(sizeof(Replay) == 8);

struct SalineHello {
  ExtensionHeader header;
  std::uint32_t features;
};
static_assert(sizeof(SalineHello) == 8);

struct SalinePath {  // a NUL-terminated reason follows, padded to 8
  ExtensionHeader header;
  std::uint8_t path;
  std::uint8_t reserved[3];
};
static_assert(sizeof(SalinePath) == 8);

}  // namespace wire
}  // namespace saline::pfkey
