// The inbound policy check: history against policy, with the two policies that the BUGS section of
// ipsec(4) says do not work, and the hole that the same flags left open.
#include <gtest/gtest.h>

#include "tests/host/ipsec/bed.hpp"

namespace saline::test {

using namespace saline::ipsec;
using hw::DropReason;

namespace {

const Bytes kBetweenGateways = ip_packet("10.0.0.1", "10.0.0.2", kUdp, udp(32));
const Bytes kBehindGateways = ip_packet("10.1.0.1", "10.2.0.1", kUdp, udp(32));

SaSpec spec(Protocol protocol, Mode mode, std::uint32_t spi) {
  SaSpec result;
  result.protocol = protocol;
  result.mode = mode;
  result.spi = spi;
  return result;
}

struct Wanted {
  SaSpec sa;
  Level level = Level::require;
};

// Sends `packet` through the bundle `sent`, receives it with all SAs known, and asks a policy that
// wants `wanted`.
DropReason ask(std::initializer_list<SaSpec> sent, const std::vector<Wanted>& wanted,
               const Bytes& packet, Direction direction = Direction::in) {
  Host sender;
  Host receiver;
  for (const SaSpec& sa : sent) {
    sender.add(sa);
    receiver.add(sa);
  }
  Policy policy;
  policy.direction = direction;
  policy.action = Action::ipsec;
  policy.selector.source = {address("10.0.0.0"), 8};
  policy.selector.destination = {address("10.0.0.0"), 8};
  for (const Wanted& want : wanted) {
    Request request{want.sa.protocol, want.sa.mode, want.level, {}, {}, want.sa.reqid};
    if (want.sa.mode == Mode::tunnel) {
      request.source = address(want.sa.source);
      request.destination = address(want.sa.destination);
    }
    policy.requests.push_back(request);
  }
  receiver.add_policy(policy);
  Buffer buffer(packet);
  if (sent.size() != 0) {
    EXPECT_EQ(sender.protect(buffer, policy_for(sent)).outcome, Outcome::pass);
  }
  EXPECT_EQ(receiver.open(buffer).reason, DropReason::none);
  EXPECT_EQ(buffer.bytes(), packet);
  return receiver.check(buffer, direction);
}

const SaSpec kAhTunnel = spec(Protocol::ah, Mode::tunnel, 0x1001);
const SaSpec kEspTunnel = spec(Protocol::esp, Mode::tunnel, 0x1002);
const SaSpec kAhTransport = spec(Protocol::ah, Mode::transport, 0x1003);
const SaSpec kEspTransport = spec(Protocol::esp, Mode::transport, 0x1004);

}  // namespace

TEST(PolicyCheck, S20AhTunnelRequirePasses) {
  EXPECT_EQ(ask({kAhTunnel}, {{kAhTunnel}}, kBehindGateways), DropReason::none);
}

TEST(PolicyCheck, S20EspTunnelUseWithAhTransportRequirePasses) {
  EXPECT_EQ(
      ask({kEspTunnel, kAhTransport}, {{kEspTunnel, Level::use}, {kAhTransport}}, kBehindGateways),
      DropReason::none);
}

TEST(PolicyCheck, TransportBundleInRfcOrderPasses) {
  EXPECT_EQ(ask({kEspTransport, kAhTransport}, {{kEspTransport}, {kAhTransport}}, kBetweenGateways),
            DropReason::none);
}

TEST(PolicyCheck, OrderMatters) {
  EXPECT_EQ(ask({kAhTransport, kEspTransport}, {{kEspTransport}, {kAhTransport}}, kBetweenGateways),
            DropReason::policy);
}

TEST(PolicyCheck, D1AndD6ClearPacketIsRefusedWhereProtectionIsRequired) {
  EXPECT_EQ(ask({}, {{kEspTransport}}, kBetweenGateways), DropReason::policy);
  EXPECT_EQ(ask({}, {{kEspTunnel}}, kBehindGateways), DropReason::policy);
}

TEST(PolicyCheck, D7ClearPacketPassesWhereUseIsAsked) {
  EXPECT_EQ(ask({}, {{kEspTransport, Level::use}}, kBetweenGateways), DropReason::none);
  EXPECT_EQ(ask({}, {{kEspTunnel, Level::use}}, kBehindGateways), DropReason::none);
}

TEST(PolicyCheck, AnyEspIsNotTheEspThatWasAsked) {
  SaSpec other = kEspTunnel;
  other.source = "10.0.0.66";
  other.spi = 0x2002;
  EXPECT_EQ(ask({other}, {{kEspTunnel}}, kBehindGateways), DropReason::policy) << "another peer";
  other = kEspTunnel;
  other.destination = "10.0.0.77";
  EXPECT_EQ(ask({other}, {{kEspTunnel}}, kBehindGateways), DropReason::policy)
      << "another of our own addresses";
  EXPECT_EQ(ask({kEspTransport}, {{kEspTunnel}}, kBetweenGateways), DropReason::policy)
      << "another mode";
  EXPECT_EQ(ask({kAhTransport}, {{kEspTransport}}, kBetweenGateways), DropReason::policy)
      << "another protocol";
}

TEST(PolicyCheck, UniqueWantsTheRequestId) {
  SaSpec seven = kEspTransport;
  seven.reqid = 7;
  SaSpec eight = kEspTransport;
  eight.reqid = 8;
  EXPECT_EQ(ask({seven}, {{seven, Level::unique}}, kBetweenGateways), DropReason::none);
  EXPECT_EQ(ask({eight}, {{seven, Level::unique}}, kBetweenGateways), DropReason::policy);
}

TEST(PolicyCheck, D2InnerAddressOutsideTheSelectorIsRefused) {
  // The forged inner source matches no policy; a tunnel nobody asked for is never let through.
  const Bytes forged = ip_packet("172.16.0.1", "10.2.0.1", kUdp, udp(32));
  EXPECT_EQ(ask({kAhTunnel}, {{kAhTunnel}}, forged), DropReason::policy);
  EXPECT_EQ(ask({kEspTunnel}, {{kEspTunnel}}, forged), DropReason::policy);
}

TEST(PolicyCheck, ATunnelThatNoRequestAskedForIsRefused) {
  EXPECT_EQ(ask({kEspTransport, kAhTunnel}, {{kEspTransport}}, kBetweenGateways),
            DropReason::policy);
  EXPECT_EQ(ask({kEspTunnel}, {{kEspTransport, Level::use}}, kBetweenGateways), DropReason::policy);
}

TEST(PolicyCheck, ExtraTransportProtectionIsHarmless) {
  EXPECT_EQ(ask({kEspTransport, kAhTransport}, {{kEspTransport}}, kBetweenGateways),
            DropReason::none);
  EXPECT_EQ(ask({kEspTunnel, kAhTransport}, {{kEspTunnel}}, kBehindGateways), DropReason::none);
}

TEST(PolicyCheck, NestedTunnelsPassWithTwoRequests) {
  SaSpec outer = kAhTunnel;
  outer.source = "10.0.1.1";
  outer.destination = "10.0.1.2";
  EXPECT_EQ(ask({kEspTunnel, outer}, {{kEspTunnel}, {outer}}, kBehindGateways), DropReason::none);
  EXPECT_EQ(ask({kEspTunnel, outer}, {{kEspTunnel}}, kBehindGateways), DropReason::policy);
  EXPECT_EQ(ask({outer, kEspTunnel}, {{kEspTunnel}, {outer}}, kBehindGateways), DropReason::policy);
}

TEST(PolicyCheck, ForwardedPacketsAreHeldAgainstForwardPolicies) {
  EXPECT_EQ(ask({kEspTunnel}, {{kEspTunnel}}, kBehindGateways, Direction::fwd), DropReason::none);
  EXPECT_EQ(ask({}, {{kEspTunnel}}, kBehindGateways, Direction::fwd), DropReason::policy);
}

TEST(PolicyCheck, WhatTheCardPeeledCountsToo) {
  Host host;
  auto sa = host.add(kEspTunnel);
  host.add_policy(policy_for({kEspTunnel}, Direction::in));
  Buffer buffer(kBehindGateways);
  EXPECT_EQ(host.check(buffer), DropReason::policy);
  ASSERT_TRUE(buffer.packet().push_history(sa.get(), Mode::tunnel));
  EXPECT_EQ(host.check(buffer), DropReason::none);
}

TEST(PolicyCheck, DiscardNoneAndDefault) {
  Host host;
  Buffer buffer(kBetweenGateways);
  EXPECT_EQ(host.check(buffer), DropReason::none);
  host.settings.ipv4.default_policy = Action::discard;
  EXPECT_EQ(host.check(buffer), DropReason::policy) << "D5";
  Policy none;
  none.direction = Direction::in;
  none.action = Action::none;
  none.selector.source.address.family = none.selector.destination.address.family =
      base::Family::ipv4;
  host.add_policy(none);
  EXPECT_EQ(host.check(buffer), DropReason::none);
  none.action = Action::discard;
  none.priority = -1;
  host.spd.update(std::move(none));
  host.spd.publish();
  EXPECT_EQ(host.check(buffer), DropReason::policy);
  EXPECT_EQ(host.spd.all()[0]->refused.get(), 1u);
}

TEST(PolicyCheck, DefaultLevelsComeFromTheVariables) {
  Request request;
  FamilySettings settings;
  settings.ah_tunnel = Level::require;
  EXPECT_EQ(effective_level(request, settings), Level::use);
  request.protocol = Protocol::ah;
  EXPECT_EQ(effective_level(request, settings), Level::use);
  request.mode = Mode::tunnel;
  EXPECT_EQ(effective_level(request, settings), Level::require);
  request.protocol = Protocol::esp;
  EXPECT_EQ(effective_level(request, settings), Level::use);
  settings.esp_tunnel = Level::require;
  EXPECT_EQ(effective_level(request, settings), Level::require);
  request.level = Level::use;
  EXPECT_EQ(effective_level(request, settings), Level::use);
  request.protocol = Protocol::ipcomp;
  request.level = Level::require;
  EXPECT_EQ(effective_level(request, settings), Level::require) << "a tunnel may not be left out";
  request.mode = Mode::transport;
  EXPECT_EQ(effective_level(request, settings), Level::use);
}

}  // namespace saline::test
