// decode(): from a datagram of anybody to a Message. Every length is checked before it is used;
// what is refused and how is listed in message.hpp.
#include <arpa/inet.h>

#include <cerrno>
#include <cstring>
#include <iterator>
#include <string>
#include <type_traits>

#include "host/base/error.hpp"
#include "host/pfkey/message.hpp"

namespace saline::pfkey {
namespace {

using View = std::span<const std::uint8_t>;
constexpr std::size_t kMaxRequests = 16;

[[noreturn]] void refuse(const std::string& why, int errno_value = EINVAL) {
  throw base::Error(errno_value, "PF_KEY message: " + why);
}

constexpr std::size_t padded(std::size_t size) { return (size + 7) & ~std::size_t{7}; }

template <typename T>
T load(View at) {
  static_assert(std::is_trivially_copyable_v<T>);
  T value;
  std::memcpy(&value, at.data(), sizeof(T));
  return value;
}

template <typename T>
T fixed(View extension, const char* what) {
  if (extension.size() != sizeof(T)) refuse(std::string(what) + " extension of wrong size");
  return load<T>(extension);
}

template <typename T>
T leading(View extension, const char* what) {
  if (extension.size() < sizeof(T)) refuse(std::string(what) + " extension too short");
  return load<T>(extension);
}

template <typename Enum, typename Raw>
Enum enumeration(Raw value, Enum last, const char* what) {
  if (value > static_cast<Raw>(last)) refuse(std::string(what) + " out of range");
  return static_cast<Enum>(value);
}

// The sockaddr at the front of `bytes`, and through `used` the size of it.
base::Endpoint endpoint(View bytes, std::size_t& used) {
  if (bytes.size() < sizeof(std::uint16_t)) refuse("sockaddr too short");
  const auto family = load<std::uint16_t>(bytes);
  if (family != AF_INET && family != AF_INET6) refuse("address family unknown", EAFNOSUPPORT);
  used = base::sockaddr_bytes(family == AF_INET ? base::Family::ipv4 : base::Family::ipv6);
  if (bytes.size() < used) refuse("sockaddr too short for its family");
  return base::endpoint_from_sockaddr(bytes.first(used));
}

AddressExtension address(View extension) {
  const auto head = leading<wire::Address>(extension, "address");
  AddressExtension result;
  std::size_t used = 0;
  result.endpoint = endpoint(extension.subspan(sizeof head), used);
  if (extension.size() != sizeof head + padded(used)) refuse("address extension of wrong size");
  if (head.prefixlen > base::address_bytes(result.endpoint.address.family) * 8)
    refuse("prefix longer than the address");
  result.proto = head.proto;
  result.prefixlen = head.prefixlen;
  return result;
}

Lifetime lifetime(View extension) {
  const auto raw = fixed<wire::Lifetime>(extension, "lifetime");
  return {raw.allocations, raw.bytes, raw.addtime, raw.usetime};
}

Key key(View extension) {
  const auto head = leading<wire::Key>(extension, "key");
  if (head.bits % 8 != 0) refuse("key bits are not a multiple of 8");
  const std::size_t size = head.bits / 8;
  if (extension.size() != sizeof head + padded(size)) refuse("key does not fill its extension");
  return {head.bits, base::Secret(extension.subspan(sizeof head, size))};
}

// A NUL-terminated string that, padded, fills `bytes`; no bytes at all is an empty one.
std::string text(View bytes, const char* what) {
  const auto* begin = reinterpret_cast<const char*>(bytes.data());
  const std::size_t length = strnlen(begin, bytes.size());
  if (bytes.empty()) return {};
  if (length == bytes.size()) refuse(std::string(what) + " string is not terminated");
  return {begin, length};
}

Identity identity(View extension) {
  const auto head = leading<wire::Identity>(extension, "identity");
  Identity result;
  result.type = enumeration(head.type, IdentityType::user_fqdn, "identity type");
  result.id = head.id;
  result.text = text(extension.subspan(sizeof head), "identity");
  return result;
}

Combination combination(View bytes) {
  const auto raw = load<wire::Combination>(bytes);
  Combination result;
  result.auth = raw.auth;
  result.encrypt = raw.encrypt;
  result.flags = raw.flags;
  result.auth_min_bits = raw.auth_minbits;
  result.auth_max_bits = raw.auth_maxbits;
  result.encrypt_min_bits = raw.encrypt_minbits;
  result.encrypt_max_bits = raw.encrypt_maxbits;
  result.soft = {raw.soft_allocations, raw.soft_bytes, raw.soft_addtime, raw.soft_usetime};
  result.hard = {raw.hard_allocations, raw.hard_bytes, raw.hard_addtime, raw.hard_usetime};
  return result;
}

Proposal proposal(View extension) {
  const auto head = leading<wire::Proposal>(extension, "proposal");
  View rest = extension.subspan(sizeof head);
  if (rest.size() % sizeof(wire::Combination) != 0) refuse("proposal extension of wrong size");
  Proposal result;
  result.replay = head.replay;
  for (; !rest.empty(); rest = rest.subspan(sizeof(wire::Combination)))
    result.combinations.push_back(combination(rest));
  return result;
}

std::vector<SupportedAlgorithm> supported(View extension) {
  leading<wire::Supported>(extension, "supported algorithms");
  View rest = extension.subspan(sizeof(wire::Supported));
  std::vector<SupportedAlgorithm> result;  // extensions are multiples of 8, as an entry is
  for (; !rest.empty(); rest = rest.subspan(sizeof(wire::Algorithm))) {
    const auto raw = load<wire::Algorithm>(rest);
    result.push_back({raw.id, raw.ivlen, raw.minbits, raw.maxbits});
  }
  return result;
}

// One sadb_x_ipsecrequest at the front of `rest`, which moves on past it.
PolicyRequest policy_request(View& rest) {
  if (rest.size() < sizeof(wire::IpsecRequest)) refuse("policy request too short");
  const auto raw = load<wire::IpsecRequest>(rest);
  if (raw.length < sizeof raw || raw.length > rest.size()) refuse("policy request of wrong length");
  PolicyRequest result;
  if (raw.proto != IPPROTO_ESP && raw.proto != IPPROTO_AH && raw.proto != IPPROTO_COMP)
    refuse("policy request of unknown protocol");
  result.proto = static_cast<std::uint8_t>(raw.proto);
  result.mode = enumeration(raw.mode, Mode::tunnel, "policy request mode");
  if (result.mode == Mode::any) refuse("policy request without mode");
  result.level = enumeration(raw.level, Level::unique, "policy request level");
  result.reqid = raw.reqid;
  View addresses = rest.subspan(sizeof raw, raw.length - sizeof raw);
  rest = rest.subspan(raw.length);
  if (addresses.empty()) {
    if (result.mode == Mode::tunnel) refuse("tunnel request without addresses");
    return result;
  }
  std::size_t first = 0, second = 0;
  result.source = endpoint(addresses, first);
  result.destination = endpoint(addresses.subspan(first), second);
  if (first + second != addresses.size()) refuse("policy request of wrong length");
  if (result.source->address.family != result.destination->address.family)
    refuse("policy request with addresses of two families");
  return result;
}

Policy policy(View extension) {
  const auto raw = leading<wire::Policy>(extension, "policy");
  Policy result;
  result.type = enumeration(raw.type, PolicyType::bypass, "policy type");
  result.direction = enumeration(raw.direction, Direction::fwd, "policy direction");
  result.id = raw.id;
  result.priority = raw.priority;
  for (View rest = extension.subspan(sizeof raw); !rest.empty();) {
    if (result.requests.size() == kMaxRequests) refuse("policy with too many requests");
    result.requests.push_back(policy_request(rest));
  }
  return result;
}

SecurityContext security_context(View extension) {
  const auto raw = leading<wire::SecurityContext>(extension, "security context");
  if (extension.size() != sizeof raw + padded(raw.length)) refuse("security context of wrong size");
  const View bytes = extension.subspan(sizeof raw, raw.length);
  return {raw.algorithm, raw.doi, text(bytes, "security context")};
}

KmAddress kmaddress(View extension) {
  leading<wire::KmAddress>(extension, "kmaddress");
  const View bytes = extension.subspan(sizeof(wire::KmAddress));
  KmAddress result;
  std::size_t first = 0, second = 0;
  result.local = endpoint(bytes, first);
  result.remote = endpoint(bytes.subspan(first), second);
  if (bytes.size() != padded(first + second)) refuse("kmaddress extension of wrong size");
  if (result.local.address.family != result.remote.address.family)
    refuse("kmaddress of two families");
  return result;
}

Filter filter(View extension) {
  const auto raw = fixed<wire::Filter>(extension, "filter");
  if (raw.family != AF_INET && raw.family != AF_INET6) refuse("filter family", EAFNOSUPPORT);
  const auto family = raw.family == AF_INET ? base::Family::ipv4 : base::Family::ipv6;
  const std::size_t size = base::address_bytes(family);
  if (raw.source_prefix > size * 8 || raw.destination_prefix > size * 8)
    refuse("filter prefix longer than the address");
  const auto from = [&](const std::uint32_t(&words)[4]) {
    return base::Address::from_bytes(family, {reinterpret_cast<const std::uint8_t*>(words), size});
  };
  return {{from(raw.source), raw.source_prefix}, {from(raw.destination), raw.destination_prefix}};
}

Sa sa(View extension) {
  const auto raw = fixed<wire::Sa>(extension, "SA");
  return {ntohl(raw.spi), raw.replay,  enumeration(raw.state, SaState::dead, "SA state"),
          raw.auth,       raw.encrypt, raw.flags};
}

SalinePath saline_path(View extension) {
  const auto raw = leading<wire::SalinePath>(extension, "path");
  return {enumeration(raw.path, Path::card, "path"), text(extension.subspan(sizeof raw), "path")};
}

void filter_or_replay(View extension, Message& m) {
  if (extension.size() == sizeof(wire::Replay))
    m.replay_window = load<wire::Replay>(extension).window;
  else
    m.filter = filter(extension);
}

SpiRange spi_range(View extension) {
  const auto raw = fixed<wire::SpiRange>(extension, "SPI range");
  return {raw.min, raw.max};
}

Sa2 sa2(View extension) {
  const auto raw = fixed<wire::Sa2>(extension, "SA2");
  return {enumeration(raw.mode, Mode::tunnel, "SA mode"), raw.sequence, raw.reqid};
}

std::uint8_t nat_t_type(View extension) {
  const auto type = fixed<wire::NatTType>(extension, "NAT-T type").type;
  if (type > kNatTEspInUdp) refuse("NAT-T type out of range");
  return type;
}

std::uint16_t nat_t_port(View extension) {
  return ntohs(fixed<wire::NatTPort>(extension, "NAT-T port").port);
}

std::uint32_t hello(View extension) {
  return fixed<wire::SalineHello>(extension, "hello").features;
}

template <auto Member, auto Decode>
void into(View extension, Message& m) {
  m.*Member = Decode(extension);
}

void no_labels(View, Message&) { refuse("sensitivity labels are not supported", EOPNOTSUPP); }

struct Decoder {
  Extension type;
  void (*decode)(View, Message&);
};

// Everything that is not here is an unknown extension.
constexpr Decoder kDecoders[] = {
    {Extension::sa, into<&Message::sa, sa>},
    {Extension::lifetime_current, into<&Message::current, lifetime>},
    {Extension::lifetime_hard, into<&Message::hard, lifetime>},
    {Extension::lifetime_soft, into<&Message::soft, lifetime>},
    {Extension::address_source, into<&Message::source, address>},
    {Extension::address_destination, into<&Message::destination, address>},
    {Extension::address_proxy, into<&Message::proxy, address>},
    {Extension::key_auth, into<&Message::key_auth, key>},
    {Extension::key_encrypt, into<&Message::key_encrypt, key>},
    {Extension::identity_source, into<&Message::source_identity, identity>},
    {Extension::identity_destination, into<&Message::destination_identity, identity>},
    {Extension::sensitivity, no_labels},
    {Extension::proposal, into<&Message::proposal, proposal>},
    {Extension::supported_auth, into<&Message::supported_auth, supported>},
    {Extension::supported_encrypt, into<&Message::supported_encrypt, supported>},
    {Extension::spirange, into<&Message::spi_range, spi_range>},
    {Extension::policy, into<&Message::policy, policy>},
    {Extension::sa2, into<&Message::sa2, sa2>},
    {Extension::nat_t_type, into<&Message::nat_t_type, nat_t_type>},
    {Extension::nat_t_source_port, into<&Message::nat_t_source_port, nat_t_port>},
    {Extension::nat_t_destination_port, into<&Message::nat_t_destination_port, nat_t_port>},
    {Extension::nat_t_original_address, into<&Message::nat_t_original, address>},
    {Extension::security_context, into<&Message::security_context, security_context>},
    {Extension::kmaddress, into<&Message::kmaddress, kmaddress>},
    {Extension::filter_or_replay, filter_or_replay},
    {Extension::saline_hello, into<&Message::saline_hello, hello>},
    {Extension::saline_path, into<&Message::saline_path, saline_path>},
};

static_assert(std::size(kDecoders) <= 32);

// Decodes one extension into `m`; `seen` has a bit for each row that was there before.
void decode_extension(std::uint16_t type, View extension, Message& m, std::uint32_t& seen) {
  for (std::size_t row = 0; row < std::size(kDecoders); ++row) {
    if (static_cast<std::uint16_t>(kDecoders[row].type) != type) continue;
    if (seen >> row & 1) refuse("duplicate extension " + std::to_string(type));
    seen |= std::uint32_t{1} << row;
    return kDecoders[row].decode(extension, m);
  }
  refuse("unknown extension " + std::to_string(type));
}

// X_PROMISC uses the field as its switch.
bool satype_known(std::uint8_t satype, std::uint8_t type) {
  constexpr std::uint16_t kKnown = 1 << 0 | 1 << 2 | 1 << 3 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 |
                                   1 << static_cast<int>(SaType::ipcomp);
  if (type == static_cast<std::uint8_t>(MessageType::promisc)) return satype <= 1;
  return satype < 16 && (kKnown >> satype & 1);
}

Message header(View datagram) {
  if (datagram.size() < sizeof(wire::MessageHeader)) refuse("shorter than its header", EMSGSIZE);
  const auto raw = load<wire::MessageHeader>(datagram);
  if (std::size_t{raw.length} * 8 != datagram.size()) refuse("length field is wrong", EMSGSIZE);
  if (raw.version != kVersion) refuse("version is not 2");
  if (raw.type == 0 || raw.type > kLastMessageType) refuse("unknown message type");
  if (raw.reserved != 0) refuse("reserved header field is not zero");
  if (!satype_known(raw.satype, raw.type)) refuse("unknown SA type");
  Message m(static_cast<MessageType>(raw.type));
  m.error = raw.error;
  m.satype = static_cast<SaType>(raw.satype);
  m.seq = raw.seq;
  m.pid = raw.pid;
  return m;
}

}  // namespace

Message decode(View datagram) {
  Message m = header(datagram);
  std::uint32_t seen = 0;
  for (View rest = datagram.subspan(sizeof(wire::MessageHeader)); !rest.empty();) {
    const auto head = load<wire::ExtensionHeader>(rest);  // both are multiples of 8
    const std::size_t size = std::size_t{head.length} * 8;
    if (size == 0) refuse("extension of length 0");
    if (size > rest.size()) refuse("extension beyond the end");
    decode_extension(head.type, rest.first(size), m, seen);
    rest = rest.subspan(size);
  }
  if (m.source && m.destination &&
      m.source->endpoint.address.family != m.destination->endpoint.address.family)
    refuse("source and destination of different families");
  return m;
}

}  // namespace saline::pfkey
