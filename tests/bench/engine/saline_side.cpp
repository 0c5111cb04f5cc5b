// The whole software path: parse, policy lookup, SA lookup, sequence number or window, headers,
// crypto; inbound the policy check as well. One SA is a tunnel; many are transport mode SAs, one
// for each host, under one policy.
#include <array>
#include <cstring>
#include <stdexcept>

#include "host/crypto/provider.hpp"
#include "host/ipsec/process.hpp"
#include "tests/bench/engine/side.hpp"

namespace saline::bench {

namespace {

using namespace saline::ipsec;

constexpr std::uint32_t kHeadroom = 128;
constexpr std::uint32_t kBufferBytes = 2048;

base::Address host(std::uint32_t sa) {
  return base::Address::parse("11." + std::to_string(sa >> 16 & 255) + "." +
                              std::to_string(sa >> 8 & 255) + "." + std::to_string(sa & 255));
}

class SalineSide final : public Side {
 public:
  SalineSide(const Transform& transform, std::size_t sas)
      : tunnel_(sas == 1), provider_(crypto::make_provider()), processor_(*provider_) {
    for (Sad* sad : {&sending_, &receiving_}) {
      for (std::uint32_t i = 0; i < sas; ++i)
        sad->add(SecurityAssociation::create(configure(transform, i), *provider_));
      sad->publish();
    }
    const Protocol protocol = transform.encryption == nullptr ? Protocol::ah : Protocol::esp;
    for (const Direction direction : {Direction::out, Direction::in})
      add_policy(direction, protocol);
    spd_.publish();
  }

  std::string name() const override { return "saline"; }

  void load(const Load& load) override {
    load_ = load;
    sas_ = choose_sas(load);
    memory_.assign(load.packets * kBufferBytes, 0);
    packets_.assign(load.packets, Packet{});
    for (std::size_t i = 0; i < load.packets; ++i) {
      const auto clear = clear_packet(load.bytes, sas_[i]);
      std::memcpy(buffer(i) + kHeadroom, clear.data(), clear.size());
      packets_[i].data = buffer(i) + kHeadroom;
      packets_[i].length = static_cast<std::uint32_t>(clear.size());
      packets_[i].headroom = kHeadroom;
      packets_[i].tailroom = kBufferBytes - kHeadroom - packets_[i].length;
    }
  }

  void rearm(std::size_t burst) override {
    for (std::size_t i = 0; i < kBurst; ++i) {
      packets_[burst * kBurst + i].history_count = 0;
      outgoing_[i] = OutboundItem{};
      outgoing_[i].packet = &packets_[burst * kBurst + i];
      incoming_[i] = InboundItem{};
      incoming_[i].packet = &packets_[burst * kBurst + i];
    }
  }

  bool seal(std::size_t) override {
    processor_.outbound(*spd_.view().acquire(), *sending_.view().acquire(), outgoing_);
    return all_passed(outgoing_);
  }

  bool open(std::size_t) override {
    processor_.inbound(*spd_.view().acquire(), *receiving_.view().acquire(), incoming_);
    return all_passed(incoming_);
  }

  bool intact() const override {
    for (std::size_t i = 0; i < load_.packets; i += kBurst - 1) {
      const auto clear = clear_packet(load_.bytes, sas_[i]);
      if (packets_[i].length != clear.size() ||
          std::memcmp(packets_[i].data, clear.data(), clear.size()) != 0)
        return false;
    }
    return true;
  }

 private:
  SaConfig configure(const Transform& transform, std::uint32_t sa) const {
    SaConfig config;
    config.id = {0x1000 + sa, tunnel_ ? far_gateway_ : host(sa), Protocol::esp};
    config.source = tunnel_ ? near_gateway_ : base::Address::parse("10.0.0.1");
    config.mode = mode();
    config.replay_window = 128;
    if (transform.encryption != nullptr) {
      config.encryption = crypto::find_encryption(transform.encryption);
      config.encryption_key =
          base::Secret(std::vector<std::uint8_t>(transform.encryption_key_bytes, 7));
    } else {
      config.id.protocol = Protocol::ah;
    }
    if (transform.integrity != nullptr) {
      config.integrity = crypto::find_integrity(transform.integrity);
      config.integrity_key =
          base::Secret(std::vector<std::uint8_t>(transform.integrity_key_bytes, 7));
    }
    return config;
  }

  void add_policy(Direction direction, Protocol protocol) {
    Policy policy;
    policy.direction = direction;
    policy.action = Action::ipsec;
    policy.selector.source = base::Prefix{base::Address::parse("10.0.0.0"), 8};
    policy.selector.destination = base::Prefix{base::Address::parse("11.0.0.0"), 8};
    Request request{protocol, mode(), Level::require, {}, {}, 0};
    if (tunnel_) {
      request.source = near_gateway_;
      request.destination = far_gateway_;
    }
    policy.requests.push_back(request);
    spd_.add(std::move(policy));
  }

  Mode mode() const noexcept { return tunnel_ ? Mode::tunnel : Mode::transport; }
  std::uint8_t* buffer(std::size_t i) noexcept { return memory_.data() + i * kBufferBytes; }

  template <typename Items>
  static bool all_passed(const Items& items) noexcept {
    for (const auto& item : items)
      if (item.outcome != Outcome::pass) return false;
    return true;
  }

  const bool tunnel_;
  const base::Address near_gateway_ = base::Address::parse("172.16.0.1");
  const base::Address far_gateway_ = base::Address::parse("172.16.0.2");
  std::unique_ptr<crypto::Provider> provider_;
  Processor processor_;
  Sad sending_;
  Sad receiving_;
  Spd spd_;
  Load load_;
  std::vector<std::uint32_t> sas_;
  std::vector<std::uint8_t> memory_;
  std::vector<Packet> packets_;
  std::array<OutboundItem, kBurst> outgoing_;
  std::array<InboundItem, kBurst> incoming_;
};

}  // namespace

std::unique_ptr<Side> make_saline_side(const Transform& transform, std::size_t sas) {
  return std::make_unique<SalineSide>(transform, sas);
}

}  // namespace saline::bench
