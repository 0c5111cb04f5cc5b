// An engine with a clock in the test's hand, a card that takes what it is told to, and ears.
#pragma once

#include <cerrno>
#include <string>
#include <unordered_map>
#include <vector>

#include "host/base/error.hpp"
#include "host/salined/engine.hpp"

namespace saline::daemon {

class FakeCard : public Offload {
 public:
  Placement place(ipsec::SecurityAssociation& association, const SaRole& role) override {
    ++asked;
    if (refuse_all) return {false, "card says no"};
    if (role.inside_bundle) return {false, "not outermost in a bundle"};
    held[&association] = {};
    roles[&association] = role;
    association.set_offloaded(true);
    return {true, "in card"};
  }
  void remove(ipsec::SecurityAssociation& association) noexcept override {
    removed += held.erase(&association);
    association.set_offloaded(false);
  }
  bool counters(const ipsec::SecurityAssociation& association,
                CardCounters& out) noexcept override {
    const auto place = held.find(&association);
    if (place == held.end()) return false;
    out = place->second;
    return true;
  }
  std::vector<CardEvent> take_events() override { return std::exchange(events, {}); }

  bool refuse_all = false;
  int asked = 0;
  std::size_t removed = 0;
  std::unordered_map<const ipsec::SecurityAssociation*, CardCounters> held;
  std::unordered_map<const ipsec::SecurityAssociation*, SaRole> roles;
  std::vector<CardEvent> events;
};

class Ears : public Announcer {
 public:
  bool anybody_registered() const override { return registered; }
  void to_registered(const pfkey::Message& message) override {
    registered_heard.push_back(message.clone());
  }
  void to_all(const pfkey::Message& message) override { all_heard.push_back(message.clone()); }

  bool registered = true;
  std::vector<pfkey::Message> registered_heard, all_heard;
};

struct EngineBed {
  explicit EngineBed(OffloadMode mode = OffloadMode::prefer, bool allow_legacy = false,
                     ipsec::SaRules rules = {})
      : engine({sad, spd, *provider, card, mode, [this] { return now_s; }, allow_legacy, rules}) {
    engine.set_announcer(&ears);
    engine.set_local_addresses({base::Address::parse("10.0.0.1"), base::Address::parse("fd00::1")});
  }

  static pfkey::AddressExtension address(const std::string& text, std::uint8_t prefix = 32,
                                         std::uint8_t proto = 0) {
    return {{base::Address::parse(text), 0}, proto, prefix};
  }

  static pfkey::Message pair(pfkey::MessageType type, const std::string& source,
                             const std::string& destination) {
    pfkey::Message message(type);
    message.satype = pfkey::SaType::esp;
    message.source = address(source);
    message.destination = address(destination);
    return message;
  }

  // ESP AES-GCM-128, transport, between 10.0.0.1 (here) and 10.0.0.2 unless said otherwise.
  static pfkey::Message sa(std::uint32_t spi, const std::string& source = "10.0.0.1",
                           const std::string& destination = "10.0.0.2",
                           pfkey::MessageType type = pfkey::MessageType::add) {
    pfkey::Message message = pair(type, source, destination);
    message.sa =
        pfkey::Sa{.spi = spi, .replay = 32, .state = pfkey::SaState::mature, .encrypt = 20};
    const std::vector<std::uint8_t> key(20, static_cast<std::uint8_t>(spi));
    message.key_encrypt = pfkey::Key{160, base::Secret(key)};
    message.sa2 = pfkey::Sa2{pfkey::Mode::transport, 0, 0};
    return message;
  }

  static pfkey::Message by_spi(pfkey::MessageType type, std::uint32_t spi,
                               const std::string& source = "10.0.0.1",
                               const std::string& destination = "10.0.0.2") {
    pfkey::Message message = pair(type, source, destination);
    message.sa = pfkey::Sa{.spi = spi};
    return message;
  }

  static pfkey::PolicyRequest transport(std::uint8_t proto, std::uint32_t reqid = 0) {
    pfkey::PolicyRequest request;
    request.proto = proto;
    request.mode = pfkey::Mode::transport;
    request.level = pfkey::Level::require;
    request.reqid = reqid;
    return request;
  }

  static pfkey::Message policy(std::vector<pfkey::PolicyRequest> requests,
                               pfkey::Direction direction = pfkey::Direction::out,
                               pfkey::MessageType type = pfkey::MessageType::spdadd) {
    pfkey::Message message(type);
    const bool out = direction == pfkey::Direction::out;
    message.source = address(out ? "10.0.0.1" : "10.0.0.2", 32, pfkey::kUpperAny);
    message.destination = address(out ? "10.0.0.2" : "10.0.0.1", 32, pfkey::kUpperAny);
    pfkey::Policy body;
    body.type = requests.empty() ? pfkey::PolicyType::discard : pfkey::PolicyType::ipsec;
    body.direction = direction;
    body.requests = std::move(requests);
    message.policy = body;
    return message;
  }

  pfkey::Message add(pfkey::Message message) { return engine.add(message, client); }
  const Engine::SaEntry& entry(std::uint32_t spi, const std::string& destination = "10.0.0.2") {
    return engine.associations().at({spi, base::Address::parse(destination), ipsec::Protocol::esp});
  }

  std::uint64_t now_s = 1'000'000;
  ipsec::Sad sad;
  ipsec::Spd spd;
  std::unique_ptr<crypto::Provider> provider = crypto::make_provider();
  FakeCard card;
  Ears ears;
  pfkey::Client client{.session = 1, .uid = 0, .pid = 1};
  Engine engine;
};

// The errno that `operation` is refused with, 0 when it is not.
template <typename Operation>
int errno_of(Operation&& operation) {
  try {
    operation();
    return 0;
  } catch (const base::Error& error) {
    return error.errno_value();
  }
}

}  // namespace saline::daemon
