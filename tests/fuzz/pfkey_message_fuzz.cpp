// PF_KEY datagrams: what decodes is encoded and decodes to the same; what does not is an errno, and
// the answer to it is a header.
#include "host/base/error.hpp"
#include "host/pfkey/message.hpp"
#include "host/pfkey/request.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace saline::fuzz {

using namespace saline::pfkey;

void one(Input input) {
  Bytes datagram = input.rest();
  datagram.shrink_to_fit();  // at its exact size: the sanitizer sees a read of one byte too many
  constexpr std::uint32_t kAll = kFeaturePath | kFeatureReplay;
  try {
    Message message = decode(datagram);
    const auto again = encode(message, kAll);
    SALINE_REQUIRE(static_cast<const PublicMessage&>(decode(again)) == message, "another message");
    SALINE_REQUIRE(encode(decode(again), kAll) == again, "another datagram");
    check_request(message);
  } catch (const base::Error& error) {
    SALINE_REQUIRE(error.errno_value() > 0, "an error without a number");
    SALINE_REQUIRE(encode_error(datagram, error.errno_value()).size() == 16, "the error's answer");
  }
}

std::vector<Bytes> seeds() {
  std::vector<Bytes> all;
  const auto add = [&](const Message& message) {
    const auto bytes = encode(message, kFeaturePath | kFeatureReplay);
    all.emplace_back(bytes.begin(), bytes.end());
  };
  const auto address = [](const char* text) {
    AddressExtension extension;
    extension.endpoint = {base::Address::parse(text), 0};
    extension.prefixlen = extension.endpoint.address.family == base::Family::ipv4 ? 32 : 128;
    return extension;
  };
  for (const char* end : {"10.0.0.", "2001:db8::"}) {
    Message sa(MessageType::add);
    sa.satype = SaType::esp;
    sa.sa = Sa{};
    sa.sa->spi = 0x1234;
    sa.source = address((std::string(end) + "1").c_str());
    sa.destination = address((std::string(end) + "2").c_str());
    sa.key_auth = Key{160, base::Secret(Bytes(20, 1))};
    sa.key_encrypt = Key{128, base::Secret(Bytes(16, 2))};
    sa.hard = sa.soft = Lifetime{1, 2, 3, 4};
    sa.sa2 = Sa2{};
    sa.source_identity = Identity{IdentityType::fqdn, 9, "gate.example.org"};
    sa.nat_t_type = 2;
    sa.nat_t_source_port = sa.nat_t_destination_port = 4500;
    sa.replay_window = 256;
    add(sa);
    Message policy(MessageType::spdadd);
    policy.source = sa.source;
    policy.destination = sa.destination;
    policy.policy = Policy{};
    policy.policy->type = PolicyType::ipsec;
    policy.policy->direction = pfkey::Direction::out;
    PolicyRequest request;
    request.proto = 50;
    request.mode = Mode::tunnel;
    request.source = sa.source->endpoint;
    request.destination = sa.destination->endpoint;
    policy.policy->requests = {request, request};
    add(policy);
    Message migrate(MessageType::migrate);
    migrate.kmaddress = KmAddress{request.source.value(), request.destination.value()};
    migrate.policy = policy.policy;
    add(migrate);
  }
  Message other(MessageType::acquire);
  other.proposal = Proposal{32, {{}, {}}};
  other.supported_auth = {{2, 0, 128, 128}};
  other.spi_range = SpiRange{};
  other.security_context = SecurityContext{1, 2, "context"};
  other.saline_path = SalinePath{Path::card, "reason"};
  add(other);
  return all;
}

}  // namespace saline::fuzz
