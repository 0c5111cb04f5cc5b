// The RTL against the software path: the same SAs, the same packets, random stalls on every channel
// of the card; byte for byte and reason for reason. The software path in turn is held against
// published vectors and scapy (tests/host/ipsec).
//
// SALINE_SEED=N repeats a run, SALINE_ROUNDS=N changes its length.
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <iterator>
#include <string>
#include <tuple>

#include "driver/gcm_powers.hpp"
#include "host/crypto/provider.hpp"
#include "host/ipsec/process.hpp"
#include "tests/sim/card_bench.hpp"
#include "tests/sim/packets.hpp"

namespace saline::sim {
namespace {

using base::Address;
using base::Family;
using hw::DropReason;
using ipsec::Mode;

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text ? std::strtoull(text, nullptr, 0) : otherwise;
}

// One SA as all parties need it.
struct Parameters {
  ipsec::SaId id;
  Address source;
  Mode mode = Mode::tunnel;
  Bytes key;  // with the salt
  bool extended = false;
  std::uint32_t window = 0;
  std::uint64_t sequence = 0;
  std::uint64_t packets_hard = 0;

  ipsec::SaConfig config() const {
    ipsec::SaConfig out;
    out.id = id;
    out.source = source;
    out.mode = mode;
    out.encryption = crypto::find_encryption(std::string_view("aes-gcm-16"));
    out.encryption_key = base::Secret(key);
    out.replay_window = window;
    out.extended_sequence = extended;
    out.sequence = sequence;
    out.hard.packets = packets_hard;
    return out;
  }

  hw::SaContext context(const ipsec::Settings& settings) const {
    hw::SaContext out;
    const std::size_t cipher_key = key.size() - 4;
    out.tunnel = mode == Mode::tunnel;
    out.outer_ipv6 = id.destination.family == Family::ipv6;
    out.esn = extended;
    out.deliver_failed = true;
    out.verify_outer = mode == Mode::tunnel;
    out.copy_dscp = settings.copy_dscp;
    out.suite = static_cast<std::uint8_t>(cipher_key == 16 ? hw::Suite::aes_gcm_128_16
                                                           : hw::Suite::aes_gcm_256_16);
    out.replay_words = static_cast<std::uint8_t>(window / 32);
    out.spi = id.spi;
    for (std::size_t i = 0; i < 4; ++i) out.salt = out.salt << 8 | key[cipher_key + i];
    out.hop_limit = settings.tunnel_hop_limit;
    out.source = source.bytes;
    out.destination = id.destination.bytes;
    out.sequence_number = sequence;
    out.packets_hard = packets_hard;
    std::copy_n(key.begin(), cipher_key, out.key.begin());
    out.hash_powers = driver::gcm_hash_powers({key.data(), cipher_key});
    return out;
  }
};

Parameters random_parameters(PacketSource& random, std::uint32_t spi) {
  Parameters out;
  const Family family = random.one_in(2) ? Family::ipv4 : Family::ipv6;
  out.id = {spi, random.address(family), ipsec::Protocol::esp};
  out.source = random.address(family);
  out.mode = random.one_in(2) ? Mode::tunnel : Mode::transport;
  out.key.resize(random.one_in(2) ? 20 : 36);
  for (auto& b : out.key) b = static_cast<std::uint8_t>(random.below(256));
  out.extended = random.one_in(2);
  const std::uint32_t windows[] = {0, 32, 64, 128, 1024};
  out.window = windows[random.below(std::size(windows))];
  if (out.extended && random.one_in(3)) out.sequence = 0x1'0000'0000 - 3 + random.below(5);
  if (random.one_in(4)) out.packets_hard = 5 + random.below(20);
  return out;
}

constexpr std::array<std::uint8_t, 12> kLink{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};

Bytes frame_of(std::span<const std::uint8_t> packet) {
  Bytes out(kLink.begin(), kLink.end());
  const bool v6 = packet[0] >> 4 == 6;
  out.push_back(v6 ? 0x86 : 0x08);
  out.push_back(v6 ? 0xDD : 0x00);
  out.insert(out.end(), packet.begin(), packet.end());
  return out;
}

std::string hex(std::span<const std::uint8_t> bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out;
  for (const std::uint8_t b : bytes) (out += digits[b >> 4]) += digits[b & 15];
  return out;
}

// A packet with room around it.
struct Room {
  explicit Room(const Bytes& packet) : memory(256 + packet.size() + 256) {
    std::copy(packet.begin(), packet.end(), memory.begin() + 256);
    view.data = memory.data() + 256;
    view.length = static_cast<std::uint32_t>(packet.size());
    view.headroom = view.tailroom = 256;
  }
  Bytes bytes() const { return {view.data, view.data + view.length}; }

  Bytes memory;
  ipsec::Packet view;
};

class Software {
 public:
  Software() : provider_(crypto::make_provider()), processor_(*provider_) {
    processor_.set_settings(settings);
    processor_.set_local_addresses(&local_);
    processor_.set_time(1000);
  }

  std::shared_ptr<ipsec::SecurityAssociation> add(const Parameters& parameters) {
    auto sa = ipsec::SecurityAssociation::create(parameters.config(), *provider_);
    sad_.add(sa);
    sad_.publish();
    return sa;
  }

  DropReason outbound(const Parameters& sa, Room& room) {
    ipsec::Policy policy;
    policy.action = ipsec::Action::ipsec;
    ipsec::Request request;
    request.mode = sa.mode;
    request.level = ipsec::Level::require;
    if (sa.mode == Mode::tunnel) {
      request.source = sa.source;
      request.destination = sa.id.destination;
    }
    policy.requests = {request};
    ipsec::OutboundItem item;
    item.packet = &room.view;
    item.policy = &policy;
    processor_.outbound(*sad_.view().acquire(), {&item, 1});
    return item.outcome == ipsec::Outcome::drop ? item.reason : DropReason::none;
  }

  DropReason inbound(Room& room) {
    ipsec::InboundItem item;
    item.packet = &room.view;
    processor_.inbound(*sad_.view().acquire(), {&item, 1});
    return item.outcome == ipsec::Outcome::drop ? item.reason : DropReason::none;
  }

  ipsec::Settings settings;

 private:
  std::unique_ptr<crypto::Provider> provider_;
  ipsec::Sad sad_;
  ipsec::LocalAddresses local_;
  ipsec::Processor processor_;
};

class Differential : public testing::TestWithParam<unsigned> {
 protected:
  Differential()
      : seed(number_from("SALINE_SEED", std::random_device{}())),
        rounds(number_from("SALINE_ROUNDS", 1000)),
        random(seed),
        bench({GetParam(), seed}) {}

  void SetUp() override {
    RecordProperty("seed", std::to_string(seed));
    std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  }

  std::uint64_t seed;
  std::uint64_t rounds;
  PacketSource random;
  CardBench bench;
};

// The IPv4 identification of a tunnel header is free (RFC 6864 §4.1): the card takes the sequence
// number, software what it likes. Both are cleared, with the checksum that covers them.
void forget_identification(Bytes& frame) {
  if (frame.size() < 34 || frame[12] != 0x08) return;
  std::fill_n(frame.begin() + 18, 2, std::uint8_t{0});
  std::fill_n(frame.begin() + 24, 2, std::uint8_t{0});
}

TEST_P(Differential, OutboundIsEqual) {
  struct Sender {
    Parameters parameters;
    driver::SaSlot slot;
  };
  Software software;
  std::vector<Sender> senders;
  for (std::uint32_t i = 0; i < 12; ++i) {
    Parameters p = random_parameters(random, 0x1000 + i);
    auto sa = software.add(p);
    hw::SaContext context = p.context(software.settings);
    context.iv_base = sa->iv_base();
    senders.push_back({p, bench.device().add_egress_sa(context)});
  }

  std::vector<Bytes> plain, expected;
  std::vector<driver::TxFrame> sent;
  std::map<DropReason, std::uint64_t> refused;
  plain.reserve(rounds);
  for (std::uint64_t i = 0; i < rounds; ++i) {
    const Sender& s = senders[random.below(senders.size())];
    const bool tunnel = s.parameters.mode == Mode::tunnel;
    const Family family = random.one_in(2) ? Family::ipv4 : Family::ipv6;
    const Bytes packet = tunnel ? random.packet(random.address(family), random.address(family))
                                : random.packet(s.parameters.source, s.parameters.id.destination);
    plain.push_back(frame_of(packet));
    if (random.one_in(4)) plain.back().resize(std::max<std::size_t>(plain.back().size(), 60));
    sent.push_back({plain.back().data(), static_cast<std::uint16_t>(plain.back().size()), true,
                    false, s.slot.index, s.slot.tag, i});
    Room room(packet);
    const DropReason reason = software.outbound(s.parameters, room);
    if (reason == DropReason::none)
      expected.push_back(frame_of(room.bytes()));
    else
      ++refused[reason];
  }

  std::vector<Bytes> got = bench.send(sent);
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    forget_identification(got[i]);
    forget_identification(expected[i]);
    ASSERT_EQ(hex(got[i]), hex(expected[i])) << "frame " << i;
  }
  for (const auto& [reason, count] : refused)
    EXPECT_EQ(bench.device().reason_count(driver::Direction::egress, reason), count)
        << hw::to_string(reason);
}

// A policy with selectors as software has them and as the card's table has them.
ipsec::Policy random_policy(PacketSource& random) {
  static constexpr std::uint8_t protocols[] = {6, 17, 132, 255, 255, 1};
  const Family family = random.one_in(2) ? Family::ipv4 : Family::ipv6;
  const std::uint8_t full = family == Family::ipv4 ? 32 : 128;
  const std::uint8_t lengths[] = {full, full, static_cast<std::uint8_t>(full - 2),
                                  static_cast<std::uint8_t>(full - 9), 0};
  ipsec::Policy out;
  out.selector.source = {random.near_address(family), lengths[random.below(5)]};
  out.selector.destination = {random.near_address(family), lengths[random.below(5)]};
  out.selector.upper_protocol = protocols[random.below(6)];
  const bool ports = out.selector.upper_protocol != 255 && out.selector.upper_protocol != 1;
  if (ports && random.one_in(2))
    out.selector.source_port = static_cast<std::uint16_t>(random.below(4));
  if (ports && random.one_in(2))
    out.selector.destination_port = static_cast<std::uint16_t>(random.below(4));
  const std::uint64_t action = random.below(3);
  out.action = action == 0   ? ipsec::Action::discard
               : action == 1 ? ipsec::Action::none
                             : ipsec::Action::ipsec;
  if (out.action == ipsec::Action::ipsec) out.requests.emplace_back();
  return out;
}

std::array<std::uint8_t, 16> mask(const base::Prefix& prefix) {
  std::array<std::uint8_t, 16> out{};
  for (unsigned bit = 0; bit < prefix.length; ++bit)
    out[bit / 8] |= static_cast<std::uint8_t>(0x80u >> bit % 8);
  return out;
}

hw::PolicyEntry entry_of(const ipsec::Policy& policy, std::uint16_t sa_index) {
  const ipsec::Selector& from = policy.selector;
  hw::PolicyEntry out;
  out.ipv6 = from.source.address.family == Family::ipv6;
  out.any_protocol = from.upper_protocol == 255;
  out.any_port = from.source_port == 0 && from.destination_port == 0;
  out.action =
      static_cast<std::uint8_t>(policy.action == ipsec::Action::discard ? hw::PolicyAction::discard
                                : policy.action == ipsec::Action::none  ? hw::PolicyAction::bypass
                                                                       : hw::PolicyAction::protect);
  out.protocol = from.upper_protocol;
  out.sa_index = sa_index;
  out.source_port_min = from.source_port;
  out.source_port_max = from.source_port == 0 ? 0xFFFF : from.source_port;
  out.destination_port_min = from.destination_port;
  out.destination_port_max = from.destination_port == 0 ? 0xFFFF : from.destination_port;
  out.source = from.source.address.bytes;
  out.source_mask = mask(from.source);
  out.destination = from.destination.address.bytes;
  out.destination_mask = mask(from.destination);
  return out;
}

TEST_P(Differential, PoliciesAreEqual) {
  Software software;
  Parameters tunnel = random_parameters(random, 0x3000);
  tunnel.mode = Mode::tunnel;
  tunnel.packets_hard = tunnel.sequence = 0;
  tunnel.id.destination = random.address(Family::ipv4);
  tunnel.source = random.address(Family::ipv4);
  ipsec::Spd spd;
  for (int tries = 0; spd.all().size() < 40 && tries < 400; ++tries) {
    ipsec::Policy policy = random_policy(random);
    if (!spd.find(ipsec::Direction::out, policy.selector)) spd.add(std::move(policy));
  }
  spd.publish();
  for (std::uint32_t i = 0; i < spd.all().size(); ++i) {
    tunnel.id.spi = 0x3000 + i;  // one SA a policy, so that the SPI tells which one matched
    const auto slot = bench.device().add_egress_sa(tunnel.context(software.settings));
    bench.device().set_policy(i, entry_of(*spd.all()[i], slot.index));
  }

  std::vector<Bytes> plain, expected;
  std::vector<driver::TxFrame> sent;
  std::uint64_t discarded = 0;
  plain.reserve(rounds);
  for (std::uint64_t i = 0; i < rounds; ++i) {
    const Family family = random.one_in(2) ? Family::ipv4 : Family::ipv6;
    const Bytes packet =
        random.near_packet(random.near_address(family), random.near_address(family));
    plain.push_back(frame_of(packet));
    sent.push_back({plain.back().data(), static_cast<std::uint16_t>(plain.back().size()), false,
                    true, 0, 0, i});
    ipsec::Flow flow;
    ASSERT_TRUE(ipsec::parse_flow(packet, flow));
    const ipsec::Policy* match = spd.view().acquire()->match(ipsec::Direction::out, flow);
    if (match && match->action == ipsec::Action::discard) {
      ++discarded;
    } else if (match && match->action == ipsec::Action::ipsec) {
      const auto& all = spd.all();
      const auto at =
          std::find_if(all.begin(), all.end(), [&](const auto& p) { return p.get() == match; });
      const auto spi = static_cast<std::uint8_t>(at - all.begin());
      expected.push_back({0, 0, 0x30, spi});
    } else {
      expected.push_back(plain.back());
    }
  }

  const std::vector<Bytes> got = bench.send(sent);
  EXPECT_EQ(bench.device().reason_count(driver::Direction::egress, DropReason::policy), discarded);
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    Bytes seen = got[i];
    if (expected[i].size() == 4) seen = Bytes(seen.begin() + 34, seen.begin() + 38);  // the SPI
    ASSERT_EQ(hex(seen), hex(expected[i])) << "frame " << i;
  }
}

// What happens to a protected frame on its way; true when its ICV cannot match any more.
bool damage(PacketSource& random, Bytes& packet) {
  switch (random.below(6)) {
    case 0:  // a bit anywhere behind the IP header
      packet[packet.size() - 1 - random.below(packet.size() - 40)] ^=
          static_cast<std::uint8_t>(1u << random.below(8));
      return true;
    case 1:  // the ICV
      packet[packet.size() - 1 - random.below(16)] ^= 0x10;
      return true;
    default:
      return false;
  }
}

// Both refuse, but the card takes its first look while earlier packets are still under way: a
// damaged packet may pass that look and fail its ICV where software already sees a full window or
// a lifetime that is over; and a replay may still be in a window which, one packet later, has moved
// on so far that the number is taken for one of the next ESN epoch (RFC 4303 App. A2).
bool agree(DropReason card, DropReason software, bool damaged, bool extended) {
  const bool early = software == DropReason::replay || software == DropReason::lifetime;
  return card == software || (early && damaged && card == DropReason::icv) ||
         (extended && software == DropReason::icv && card == DropReason::replay);
}

TEST_P(Differential, InboundIsEqual) {
  Software sender, receiver;
  std::vector<Parameters> associations;
  for (std::uint32_t i = 0; i < 12; ++i) {
    Parameters p = random_parameters(random, 0x2000 + i);
    Parameters unlimited = p;
    unlimited.packets_hard = 0;
    sender.add(unlimited);
    if (i != 11) {  // the last one is known to nobody here
      receiver.add(p)->window().restart(p.sequence);
      bench.device().add_ingress_sa(p.context(receiver.settings), p.id.destination);
    }
    associations.push_back(p);
  }

  std::vector<Bytes> wire;
  std::vector<Mac::Frame> received;
  struct Expected {
    DropReason reason;
    Bytes packet;
    bool is_protected;
    bool damaged;
    bool extended;
  };
  std::vector<Expected> expected;
  std::vector<std::tuple<Bytes, bool, bool>> history;
  for (std::uint64_t i = 0; i < rounds; ++i) {
    const Parameters& p = associations[random.below(associations.size())];
    const Family family = random.one_in(2) ? Family::ipv4 : Family::ipv6;
    Bytes packet = p.mode == Mode::tunnel
                       ? random.packet(random.address(family), random.address(family))
                       : random.packet(p.source, p.id.destination);
    bool hurt = false, esn = p.extended;
    if (!random.one_in(8)) {  // else it stays in the clear
      Room room(packet);
      ASSERT_EQ(sender.outbound(p, room), DropReason::none);
      packet = room.bytes();
      hurt = damage(random, packet);
      history.push_back({packet, hurt, esn});
      if (random.one_in(4))  // late or a replay
        std::tie(packet, hurt, esn) = history[random.below(history.size())];
    }
    for (int copies = random.one_in(8) ? 2 : 1; copies > 0; --copies) {  // back to back
      if (random.one_in(16)) {  // a copy whose FCS is bad never was
        received.push_back({frame_of(packet), true});
        continue;
      }
      wire.push_back(frame_of(packet));
      received.push_back({wire.back(), false});
      Room room(packet);
      const DropReason reason = receiver.inbound(room);
      expected.push_back({reason, room.bytes(), room.view.history_count > 0, hurt, esn});
    }
  }

  const auto got = bench.receive(received);
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    SCOPED_TRACE("frame " + std::to_string(i) + " " + hex(wire[i]));
    const Expected& want = expected[i];
    if (want.reason == DropReason::malformed && !got[i].frame.is_protected) {
      ASSERT_EQ(hex(got[i].bytes), hex(wire[i]));  // no ESP to the card: for the host to judge
    } else if (want.reason == DropReason::no_sa || want.reason == DropReason::fragment) {
      ASSERT_TRUE(got[i].frame.esp);
      ASSERT_EQ(hex(got[i].bytes), hex(wire[i]));
    } else if (want.reason != DropReason::none) {
      ASSERT_TRUE(agree(got[i].frame.reason, want.reason, want.damaged, want.extended))
          << hw::to_string(got[i].frame.reason) << ", not " << hw::to_string(want.reason);
      ASSERT_TRUE(std::equal(got[i].bytes.begin(), got[i].bytes.end(), wire[i].begin()));
      ASSERT_LE(got[i].bytes.size(), 128u);
    } else {
      ASSERT_STREQ(hw::to_string(got[i].frame.reason), "none");
      ASSERT_EQ(got[i].frame.is_protected, want.is_protected);
      ASSERT_EQ(hex(got[i].bytes), hex(want.is_protected ? frame_of(want.packet) : wire[i]));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Stalls, Differential, testing::Values(0u, 30u),
                         [](const auto& each) { return std::to_string(each.param) + "Percent"; });

}  // namespace
}  // namespace saline::sim
