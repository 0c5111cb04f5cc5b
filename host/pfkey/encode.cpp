// encode(): from a Message to a datagram, the inverse of decode.cpp. Extensions are written in
// ascending order of type, padded with zeros to 8 bytes.
#include <arpa/inet.h>

#include <cerrno>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>

#include "host/base/error.hpp"
#include "host/pfkey/message.hpp"

namespace saline::pfkey {
namespace {

[[noreturn]] void refuse(const std::string& why, int errno_value = EINVAL) {
  throw base::Error(errno_value, "PF_KEY message to send: " + why);
}

class Writer {
 public:
  Writer() { bytes_.reserve(512); }

  template <typename T>
  void put(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    const auto* from = reinterpret_cast<const std::uint8_t*>(&value);
    bytes_.insert(bytes_.end(), from, from + sizeof value);
  }
  void put(std::span<const std::uint8_t> bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  void put(const base::Endpoint& endpoint) {
    const std::size_t size = base::sockaddr_bytes(endpoint.address.family);
    if (endpoint.address.family == base::Family::none) refuse("address without family");
    bytes_.resize(bytes_.size() + size);
    base::endpoint_to_sockaddr(endpoint, std::span(bytes_).last(size));
  }
  void put_text(const std::string& text) {
    if (text.find('\0') != std::string::npos) refuse("string with a NUL");
    put(std::span(reinterpret_cast<const std::uint8_t*>(text.c_str()), text.size() + 1));
  }

  // Writes one extension: its head, whose first member is the header, then what `body` puts.
  template <typename T, typename Body>
  void extension(Extension type, T head, Body body) {
    const std::size_t start = bytes_.size();
    head.header = {0, static_cast<std::uint16_t>(type)};
    put(head);
    body();
    bytes_.resize((bytes_.size() + 7) & ~std::size_t{7});
    set_length(start, start);
  }
  template <typename T>
  void extension(Extension type, T head) {
    extension(type, head, [] {});
  }

  Bytes finish() && {
    set_length(0, offsetof(wire::MessageHeader, length));
    return std::move(bytes_);
  }

 private:
  void set_length(std::size_t start, std::size_t field) {
    const std::size_t units = (bytes_.size() - start) / 8;
    if (units > std::numeric_limits<std::uint16_t>::max()) refuse("too long", EMSGSIZE);
    const auto length = static_cast<std::uint16_t>(units);
    std::memcpy(bytes_.data() + field, &length, sizeof length);
  }

  Bytes bytes_;
};

void put_header(Writer& out, const Message& m) {
  wire::MessageHeader head{};
  head.version = kVersion;
  head.type = static_cast<std::uint8_t>(m.type);
  head.error = m.error;
  head.satype = static_cast<std::uint8_t>(m.satype);
  head.seq = m.seq;
  head.pid = m.pid;
  out.put(head);
}

void put_sa(Writer& out, const std::optional<Sa>& sa) {
  if (!sa) return;
  wire::Sa raw{};
  raw.spi = htonl(sa->spi);
  raw.replay = sa->replay;
  raw.state = static_cast<std::uint8_t>(sa->state);
  raw.auth = sa->auth;
  raw.encrypt = sa->encrypt;
  raw.flags = sa->flags;
  out.extension(Extension::sa, raw);
}

void put_lifetime(Writer& out, Extension type, const std::optional<Lifetime>& lifetime) {
  if (!lifetime) return;
  wire::Lifetime raw{};
  raw.allocations = lifetime->allocations;
  raw.bytes = lifetime->bytes;
  raw.addtime = lifetime->addtime_s;
  raw.usetime = lifetime->usetime_s;
  out.extension(type, raw);
}

void put_address(Writer& out, Extension type, const std::optional<AddressExtension>& address) {
  if (!address) return;
  wire::Address raw{};
  raw.proto = address->proto;
  raw.prefixlen = address->prefixlen;
  out.extension(type, raw, [&] { out.put(address->endpoint); });
}

void put_key(Writer& out, Extension type, const std::optional<Key>& key) {
  if (!key) return;
  if (key->bits != key->bytes.size() * 8) refuse("key bits are not the size of the key");
  wire::Key raw{};
  raw.bits = key->bits;
  out.extension(type, raw, [&] { out.put(key->bytes.bytes()); });
}

void put_identity(Writer& out, Extension type, const std::optional<Identity>& identity) {
  if (!identity) return;
  wire::Identity raw{};
  raw.type = static_cast<std::uint16_t>(identity->type);
  raw.id = identity->id;
  out.extension(type, raw, [&] { out.put_text(identity->text); });
}

void put_proposal(Writer& out, const std::optional<Proposal>& proposal) {
  if (!proposal) return;
  wire::Proposal head{};
  head.replay = proposal->replay;
  out.extension(Extension::proposal, head, [&] {
    for (const Combination& c : proposal->combinations) {
      wire::Combination raw{};
      raw.auth = c.auth;
      raw.encrypt = c.encrypt;
      raw.flags = c.flags;
      raw.auth_minbits = c.auth_min_bits;
      raw.auth_maxbits = c.auth_max_bits;
      raw.encrypt_minbits = c.encrypt_min_bits;
      raw.encrypt_maxbits = c.encrypt_max_bits;
      raw.soft_allocations = c.soft.allocations;
      raw.hard_allocations = c.hard.allocations;
      raw.soft_bytes = c.soft.bytes;
      raw.hard_bytes = c.hard.bytes;
      raw.soft_addtime = c.soft.addtime_s;
      raw.hard_addtime = c.hard.addtime_s;
      raw.soft_usetime = c.soft.usetime_s;
      raw.hard_usetime = c.hard.usetime_s;
      out.put(raw);
    }
  });
}

void put_supported(Writer& out, Extension type,
                   const std::optional<std::vector<SupportedAlgorithm>>& algorithms) {
  if (!algorithms) return;
  out.extension(type, wire::Supported{}, [&] {
    for (const SupportedAlgorithm& a : *algorithms)
      out.put(wire::Algorithm{a.id, a.iv_bytes, a.min_bits, a.max_bits, 0});
  });
}

void put_policy(Writer& out, const std::optional<Policy>& policy) {
  if (!policy) return;
  wire::Policy head{};
  head.type = static_cast<std::uint16_t>(policy->type);
  head.direction = static_cast<std::uint8_t>(policy->direction);
  head.id = policy->id;
  head.priority = policy->priority;
  out.extension(Extension::policy, head, [&] {
    for (const PolicyRequest& request : policy->requests) {
      if (request.source.has_value() != request.destination.has_value())
        refuse("policy request with one address");
      wire::IpsecRequest raw{};
      std::size_t length = sizeof raw;
      if (request.source)
        length += base::sockaddr_bytes(request.source->address.family) +
                  base::sockaddr_bytes(request.destination->address.family);
      raw.length = static_cast<std::uint16_t>(length);
      raw.proto = request.proto;
      raw.mode = static_cast<std::uint8_t>(request.mode);
      raw.level = static_cast<std::uint8_t>(request.level);
      raw.reqid = request.reqid;
      out.put(raw);
      if (request.source) out.put(*request.source);
      if (request.destination) out.put(*request.destination);
    }
  });
}

void put_nat_t(Writer& out, const Message& m) {
  if (m.nat_t_type) {
    wire::NatTType raw{};
    raw.type = *m.nat_t_type;
    out.extension(Extension::nat_t_type, raw);
  }
  const auto port = [&](Extension type, const std::optional<std::uint16_t>& value) {
    if (value) out.extension(type, wire::NatTPort{{}, htons(*value), 0});
  };
  port(Extension::nat_t_source_port, m.nat_t_source_port);
  port(Extension::nat_t_destination_port, m.nat_t_destination_port);
  put_address(out, Extension::nat_t_original_address, m.nat_t_original);
}

void put_security_context(Writer& out, const std::optional<SecurityContext>& context) {
  if (!context) return;
  if (context->text.size() >= std::numeric_limits<std::uint16_t>::max())
    refuse("security context too long", EMSGSIZE);
  wire::SecurityContext raw{};
  raw.algorithm = context->algorithm;
  raw.doi = context->doi;
  raw.length = static_cast<std::uint16_t>(context->text.size() + 1);
  out.extension(Extension::security_context, raw, [&] { out.put_text(context->text); });
}

void put_filter(Writer& out, const std::optional<Filter>& filter) {
  if (!filter) return;
  if (filter->source.address.family != filter->destination.address.family ||
      filter->source.address.family == base::Family::none)
    refuse("filter needs two addresses of one family");
  wire::Filter raw{};
  std::memcpy(raw.source, filter->source.address.bytes.data(), sizeof raw.source);
  std::memcpy(raw.destination, filter->destination.address.bytes.data(), sizeof raw.destination);
  raw.family = filter->source.address.family == base::Family::ipv4 ? AF_INET : AF_INET6;
  raw.source_prefix = filter->source.length;
  raw.destination_prefix = filter->destination.length;
  out.extension(Extension::filter_or_replay, raw);
}

void put_saline(Writer& out, const Message& m, std::uint32_t features) {
  if (m.saline_hello)
    out.extension(Extension::saline_hello, wire::SalineHello{{}, *m.saline_hello});
  if (m.saline_path && (features & kFeaturePath)) {
    wire::SalinePath raw{};
    raw.path = static_cast<std::uint8_t>(m.saline_path->path);
    out.extension(Extension::saline_path, raw, [&] { out.put_text(m.saline_path->reason); });
  }
}

}  // namespace

Bytes encode(const Message& m, std::uint32_t features) {
  Writer out;
  put_header(out, m);
  put_sa(out, m.sa);
  put_lifetime(out, Extension::lifetime_current, m.current);
  put_lifetime(out, Extension::lifetime_hard, m.hard);
  put_lifetime(out, Extension::lifetime_soft, m.soft);
  put_address(out, Extension::address_source, m.source);
  put_address(out, Extension::address_destination, m.destination);
  put_address(out, Extension::address_proxy, m.proxy);
  put_key(out, Extension::key_auth, m.key_auth);
  put_key(out, Extension::key_encrypt, m.key_encrypt);
  put_identity(out, Extension::identity_source, m.source_identity);
  put_identity(out, Extension::identity_destination, m.destination_identity);
  put_proposal(out, m.proposal);
  put_supported(out, Extension::supported_auth, m.supported_auth);
  put_supported(out, Extension::supported_encrypt, m.supported_encrypt);
  if (m.spi_range)
    out.extension(Extension::spirange, wire::SpiRange{{}, m.spi_range->min, m.spi_range->max, 0});
  put_policy(out, m.policy);
  if (m.sa2)
    out.extension(
        Extension::sa2,
        wire::Sa2{{}, static_cast<std::uint8_t>(m.sa2->mode), 0, 0, m.sa2->sequence, m.sa2->reqid});
  put_nat_t(out, m);
  put_security_context(out, m.security_context);
  if (m.kmaddress)
    out.extension(Extension::kmaddress, wire::KmAddress{}, [&] {
      out.put(m.kmaddress->local);
      out.put(m.kmaddress->remote);
    });
  if (m.filter && m.replay_window && (features & kFeatureReplay))
    refuse("filter and replay window share a number");
  put_filter(out, m.filter);
  if (m.replay_window && (features & kFeatureReplay))
    out.extension(Extension::filter_or_replay, wire::Replay{{}, *m.replay_window});
  put_saline(out, m, features);
  return std::move(out).finish();
}

Bytes encode_error(std::span<const std::uint8_t> request, int errno_value) {
  wire::MessageHeader head{};
  if (!request.empty()) std::memcpy(&head, request.data(), std::min(request.size(), sizeof head));
  head.version = kVersion;
  head.error = static_cast<std::uint8_t>(errno_value);
  head.length = sizeof head / 8;
  head.reserved = 0;
  Writer out;
  out.put(head);
  return std::move(out).finish();
}

}  // namespace saline::pfkey
