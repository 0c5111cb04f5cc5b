// Outbound policies with more than one request, levels, and SAs that sit in the card.
#include <gtest/gtest.h>

#include "tests/host/ipsec/bed.hpp"

namespace saline::test {

using namespace saline::ipsec;
using hw::DropReason;

namespace {

const Bytes kPlain = ip_packet("10.0.0.1", "10.0.0.2", kUdp, udp(32));

SaSpec spec(Protocol protocol, Mode mode, std::uint32_t spi) {
  SaSpec result;
  result.protocol = protocol;
  result.mode = mode;
  result.spi = spi;
  return result;
}

const SaSpec kEsp1 = spec(Protocol::esp, Mode::transport, 0x1001);
const SaSpec kAh1 = spec(Protocol::ah, Mode::transport, 0x1002);
const SaSpec kTunnel1 = spec(Protocol::esp, Mode::tunnel, 0x1003);

}  // namespace

TEST(Bundle, FirstRequestIsInnermost) {
  Host host;
  host.add(kEsp1);
  host.add(kAh1);
  Buffer buffer(kPlain);
  ASSERT_EQ(host.protect(buffer, policy_for({kEsp1, kAh1})).outcome, Outcome::pass);
  EXPECT_EQ(buffer.bytes()[9], kAh) << "IP AH ESP payload";
  EXPECT_EQ(buffer.bytes()[20], kEsp);
  Host receiver;
  receiver.add(kEsp1);
  receiver.add(kAh1);
  EXPECT_EQ(receiver.open(buffer).outcome, Outcome::pass);
  EXPECT_EQ(buffer.bytes(), kPlain);
  ASSERT_EQ(buffer.packet().history_count, 2);
  EXPECT_EQ(buffer.packet().history[0].association->protocol(), Protocol::ah);
}

TEST(Bundle, TransportBehindATunnelUsesTheTunnelsAddresses) {
  Host host;
  SaSpec tunnel = kTunnel1;
  tunnel.source = "192.0.2.1";
  tunnel.destination = "192.0.2.2";
  SaSpec ah = kAh1;
  ah.source = tunnel.source;
  ah.destination = tunnel.destination;
  host.add(tunnel);
  host.add(ah);
  Buffer buffer(kPlain);
  EXPECT_EQ(host.protect(buffer, policy_for({tunnel, ah})).outcome, Outcome::pass);
  EXPECT_EQ(buffer.bytes()[9], kAh);
}

TEST(Bundle, D6RequireWithoutSaDropsAndAsksForOne) {
  Host host;
  host.add(kEsp1);
  Buffer buffer(kPlain);
  const OutboundItem item = host.protect(buffer, policy_for({kEsp1, kAh1}));
  EXPECT_EQ(item.outcome, Outcome::drop);
  EXPECT_EQ(item.reason, DropReason::no_sa);
  EXPECT_EQ(item.acquire, 1);
  EXPECT_EQ(buffer.bytes(), kPlain) << "nothing of it was done";
  EXPECT_EQ(host.sad.all().front()->counters().sequence.get(), 0u);
}

TEST(Bundle, D7UseWithoutSaSendsInTheClearAndAsksForOne) {
  Host host;
  Buffer buffer(kPlain);
  const OutboundItem item = host.protect(buffer, policy_for({kEsp1}, Direction::out, Level::use));
  EXPECT_EQ(item.outcome, Outcome::pass);
  EXPECT_EQ(item.acquire, 0);
  EXPECT_EQ(buffer.bytes(), kPlain);
  EXPECT_EQ(host.processor.counters().outbound_clear_by_use.get(), 1u);
}

TEST(Bundle, IpcompRequestIsSkippedInTransportModeOnly) {
  Host host;
  host.add(kEsp1);
  Policy policy = policy_for({kEsp1});
  policy.requests.insert(policy.requests.begin(),
                         {Protocol::ipcomp, Mode::transport, Level::require, {}, {}, 0});
  Buffer buffer(kPlain);
  EXPECT_EQ(host.protect(buffer, policy).outcome, Outcome::pass);
  EXPECT_EQ(buffer.bytes()[9], kEsp);
  policy.requests[0] = {Protocol::ipcomp,    Mode::tunnel,        Level::require,
                        address("10.0.0.1"), address("10.0.0.2"), 0};
  Buffer again(kPlain);
  EXPECT_EQ(host.protect(again, policy).reason, DropReason::no_sa);
}

TEST(Card, TakesTheLastTransformOnly) {
  Host host;
  host.add(kAh1);
  auto tunnel = host.add(kTunnel1);
  tunnel->set_offloaded(true);
  Buffer buffer(kPlain);
  const OutboundItem item = host.protect(buffer, policy_for({kAh1, kTunnel1}));
  EXPECT_EQ(item.outcome, Outcome::to_card);
  EXPECT_EQ(item.card, tunnel.get());
  EXPECT_EQ(buffer.bytes()[9], kAh) << "software did the inner one";
  EXPECT_EQ(tunnel->counters().sequence.get(), 0u) << "the card numbers";
  Buffer alone(kPlain);
  EXPECT_EQ(host.protect(alone, policy_for({kTunnel1})).outcome, Outcome::to_card);
  EXPECT_EQ(alone.bytes(), kPlain);
}

TEST(Card, AnInnerTransformInTheCardIsUnsupported) {
  Host host;
  auto esp = host.add(kEsp1);
  host.add(kAh1);
  esp->set_offloaded(true);
  Buffer buffer(kPlain);
  EXPECT_EQ(host.protect(buffer, policy_for({kEsp1, kAh1})).reason, DropReason::unsupported);
  EXPECT_EQ(buffer.bytes(), kPlain);
}

TEST(Card, SizeIsCheckedBeforeTheCardSeesThePacket) {
  Host host;
  host.add(kTunnel1)->set_offloaded(true);
  Buffer buffer(ip_packet("10.0.0.1", "10.0.0.2", kUdp, udp(1400)));
  const OutboundItem item = host.protect(buffer, policy_for({kTunnel1}), 1400);
  EXPECT_EQ(item.outcome, Outcome::split);
  EXPECT_GT(item.fitting_mtu, 1300u);
}

TEST(OutboundPolicy, D5AndDiscard) {
  Host host;
  Buffer buffer(kPlain);
  const auto find = [&] {
    host.processor.set_settings(host.settings);
    return host.processor.find_outbound_policy(*host.spd.view().acquire(), buffer.packet());
  };
  EXPECT_EQ(find().reason, DropReason::none);
  EXPECT_EQ(find().policy, nullptr);
  host.settings.ipv4.default_policy = Action::discard;
  EXPECT_EQ(find().reason, DropReason::policy);
  host.add_policy(policy_for({kEsp1}));
  EXPECT_EQ(find().reason, DropReason::none);
  ASSERT_NE(find().policy, nullptr);
  EXPECT_EQ(find().policy->packets.get(), 3u);
}

TEST(Overhead, WorstCaseCoversWhatReallyHappens) {
  for (const char* cipher : {"aes-cbc", "aes-gcm-16", "null"}) {
    SaSpec sa = kTunnel1;
    sa.encryption = cipher;
    if (sa.encryption == "aes-gcm-16") sa.integrity = "";
    Host host;
    const Policy policy = policy_for({sa});
    const std::uint32_t without = worst_case_overhead(policy, SadView(), host.settings);
    host.add(sa);
    const std::uint32_t worst =
        worst_case_overhead(policy, *host.sad.view().acquire(), host.settings);
    EXPECT_LE(worst, without);
    std::uint32_t most = 0;
    for (std::size_t bytes = 0; bytes < 64; ++bytes) {
      const Bytes plain = ip_packet("10.1.0.1", "10.2.0.1", 200, Bytes(bytes));
      Buffer buffer(plain);
      host.protect(buffer, policy);
      most = std::max(most, buffer.packet().length - static_cast<std::uint32_t>(plain.size()));
    }
    EXPECT_EQ(most, worst) << cipher;
  }
}

}  // namespace saline::test
