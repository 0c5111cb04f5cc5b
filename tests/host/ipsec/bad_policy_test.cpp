// Bad input, group D, rows of the SPD, and P1 and P2: what policies let in and out.
#include <gtest/gtest.h>

#include <algorithm>

#include "host/base/bytes.hpp"
#include "tests/host/ipsec/bed.hpp"

namespace saline::test {

using namespace saline::ipsec;
using hw::DropReason;

namespace {

SaSpec tunnel(std::uint32_t spi = 0x1000) {
  SaSpec spec;
  spec.mode = Mode::tunnel;
  spec.encryption = "aes-gcm-16";
  spec.integrity = "";
  spec.spi = spi;
  return spec;
}

Policy discard_all(Direction direction, const char* any = "0.0.0.0") {
  Policy policy;
  policy.direction = direction;
  policy.action = Action::discard;
  policy.selector.source.address = policy.selector.destination.address = address(any);
  return policy;
}

std::uint64_t policy_drops(const ReasonCounters& counters) {
  return counters[static_cast<std::size_t>(DropReason::policy)].get();
}

// A packet through an SA of its own between the gateways; the receiver knows policies for 10.1/16
// by SPI 0x1000 (reqid 1) and 10.2/16 by SPI 0x2000 (reqid 2), both to 10.9/16.
struct TwoSites {
  TwoSites() {
    for (std::uint32_t site : {1u, 2u}) {
      SaSpec spec = tunnel(site * 0x1000);
      spec.reqid = site;
      SaConfig config = config_of(spec);
      config.selector = selector(site);
      receiver.add(std::move(config));
      Policy policy = policy_for({spec}, Direction::in);
      policy.selector = selector(site);
      policy.requests[0].reqid = site;
      receiver.add_policy(policy);
    }
  }
  static Selector selector(std::uint32_t site) {
    Selector result;
    result.source = {address("10." + std::to_string(site) + ".0.0"), 16};
    result.destination = {address("10.9.0.0"), 16};
    return result;
  }
  InboundItem receive(std::uint32_t site, const Bytes& packet) {
    Buffer buffer(protect_with(tunnel(site * 0x1000), packet));
    const InboundItem item = receiver.open(buffer);
    verdict = item.reason != DropReason::none ? item.reason : receiver.check(buffer);
    return item;
  }
  Host receiver;
  DropReason verdict = DropReason::none;
};

// ICMP unreachable from `router` to `to`, quoting the first 8 bytes behind `quoted`'s header.
Bytes unreachable(const char* router, const char* to, const Bytes& quoted) {
  Bytes payload(36);
  payload[0] = 3;
  payload[1] = 1;
  std::copy_n(quoted.begin(), 28, payload.begin() + 8);
  return ip_packet(router, to, kIcmp, payload);
}

}  // namespace

TEST(BadInput, D1ClearPacketThatMustBeProtected) {
  for (const Level level : {Level::require, Level::unique}) {
    Host host;
    Policy policy = policy_for({tunnel()}, Direction::in, level);
    policy.requests[0].reqid = level == Level::unique ? 7 : 0;
    host.add_policy(policy);
    Buffer buffer(ip_packet("10.1.0.1", "10.2.0.1", kUdp, udp(8)));
    EXPECT_EQ(host.open(buffer).reason, DropReason::none);
    EXPECT_EQ(host.check(buffer), DropReason::policy);
    EXPECT_EQ(policy_drops(host.processor.counters().inbound_refused), 1u);
    EXPECT_EQ(host.spd.all()[0]->refused.get(), 1u);
  }
}

TEST(BadInput, D2InnerAddressOfAnotherSa) {
  TwoSites bed;
  const Bytes first = ip_packet("10.1.0.5", "10.9.0.1", kUdp, udp(8));
  const Bytes second = ip_packet("10.2.0.5", "10.9.0.1", kUdp, udp(8));
  bed.receive(1, first);
  EXPECT_EQ(bed.verdict, DropReason::none);
  bed.receive(2, second);
  EXPECT_EQ(bed.verdict, DropReason::none);
  TwoSites fresh;
  const InboundItem item = fresh.receive(1, second);
  EXPECT_EQ(item.reason, DropReason::policy) << "by the selector of the SA, before the SPD";
  ASSERT_NE(item.association, nullptr) << "for the audit";
  EXPECT_EQ(item.association->id().spi, 0x1000u);
  EXPECT_EQ(refused(*item.association, DropReason::policy), 1u);
}

TEST(BadInput, D2InnerAddressOfAnotherPolicyWhereSasHaveNoSelectors) {
  Host host;
  for (std::uint32_t site : {1u, 2u}) {
    SaSpec spec = tunnel(site * 0x1000);
    spec.reqid = site;
    host.add(spec);
    Policy policy = policy_for({spec}, Direction::in);
    policy.selector = TwoSites::selector(site);
    policy.requests[0].reqid = site;
    host.add_policy(policy);
  }
  Buffer buffer(protect_with(tunnel(0x1000), ip_packet("10.2.0.5", "10.9.0.1", kUdp, udp(8))));
  EXPECT_EQ(host.open(buffer).reason, DropReason::none);
  EXPECT_EQ(host.check(buffer), DropReason::policy);
}

TEST(BadInput, D5AndP2DefaultPolicyOfBothFamiliesBothWays) {
  for (const bool ipv6 : {false, true})
    for (const Action action : {Action::discard, Action::none}) {
      Host host;
      (ipv6 ? host.settings.ipv6 : host.settings.ipv4).default_policy = action;
      host.processor.set_settings(host.settings);
      Buffer own(ipv6 ? ip_packet("fd00::1", "fd00::2", kUdp, udp(8))
                      : ip_packet("10.0.0.1", "10.0.0.2", kUdp, udp(8)));
      Buffer other(ipv6 ? ip_packet("10.0.0.1", "10.0.0.2", kUdp, udp(8))
                        : ip_packet("fd00::1", "fd00::2", kUdp, udp(8)));
      const DropReason wanted = action == Action::discard ? DropReason::policy : DropReason::none;
      const SpdView& spd = *host.spd.view().acquire();
      for (const Direction direction : {Direction::in, Direction::fwd}) {
        EXPECT_EQ(host.processor.check_inbound_policy(spd, own.packet(), direction).reason, wanted);
        EXPECT_EQ(host.processor.check_inbound_policy(spd, other.packet(), direction).reason,
                  DropReason::none);
      }
      EXPECT_EQ(host.processor.find_outbound_policy(spd, own.packet()).reason, wanted);
      EXPECT_EQ(host.processor.find_outbound_policy(spd, other.packet()).reason, DropReason::none);
      EXPECT_EQ(policy_drops(host.processor.counters().outbound_refused),
                action == Action::discard ? 1u : 0u);
    }
}

TEST(BadInput, D14EqualAndOverlappingPoliciesInEitherOrder) {
  // Of two that overlap, priority decides, whoever came first; of equals the first.
  for (const bool reversed : {false, true}) {
    Host host;
    Policy narrow = discard_all(Direction::in);
    narrow.selector.source = {address("10.1.0.0"), 16};
    narrow.priority = 1;
    Policy wide = discard_all(Direction::in);
    wide.action = Action::none;
    wide.priority = 2;
    host.add_policy(reversed ? wide : narrow);
    host.add_policy(reversed ? narrow : wide);
    Buffer inside(ip_packet("10.1.0.1", "10.2.0.1", kUdp, udp(8)));
    Buffer outside(ip_packet("10.3.0.1", "10.2.0.1", kUdp, udp(8)));
    EXPECT_EQ(host.check(inside), DropReason::policy);
    EXPECT_EQ(host.check(outside), DropReason::none);
  }
  Host host;
  Policy first = discard_all(Direction::in);
  first.action = Action::none;
  Policy second = discard_all(Direction::in);
  second.selector.source = {address("10.0.0.0"), 8};
  host.add_policy(first);
  host.add_policy(second);
  Buffer packet(ip_packet("10.1.0.1", "10.2.0.1", kUdp, udp(8)));
  EXPECT_EQ(host.check(packet), DropReason::none) << "equal priority: the first one added";
  EXPECT_THROW(host.spd.add(Policy(second)), std::exception) << "the same selector twice";
}

TEST(BadInput, P1LevelsOfExistingPoliciesFollowTheVariables) {
  Host host;
  for (const char* any : {"0.0.0.0", "::"})
    for (const Direction direction : {Direction::in, Direction::out}) {
      Policy policy = policy_for({tunnel()}, direction, Level::default_);
      policy.selector.source.address = policy.selector.destination.address = address(any);
      policy.requests[0].source = address(any[0] == ':' ? "fd00::a" : "10.0.0.1");
      policy.requests[0].destination = address(any[0] == ':' ? "fd00::b" : "10.0.0.2");
      host.add_policy(policy);
    }
  const auto ask = [&](bool ipv6) {
    Buffer buffer(ipv6 ? ip_packet("fd00::1", "fd00::2", kUdp, udp(8))
                       : ip_packet("10.0.0.1", "10.0.0.2", kUdp, udp(8)));
    return host.check(buffer);
  };
  EXPECT_EQ(ask(false), DropReason::none) << "start value: use";
  host.settings.ipv4.esp_tunnel = Level::require;
  EXPECT_EQ(ask(false), DropReason::policy) << "at once, though the flow is in the cache";
  EXPECT_EQ(ask(true), DropReason::none) << "the other family's variable";
  host.settings.ipv6.esp_tunnel = Level::require;
  EXPECT_EQ(ask(true), DropReason::policy);
  host.settings.ipv4.esp_tunnel = Level::use;
  EXPECT_EQ(ask(false), DropReason::none);
}

TEST(PolicyCheck, S20KameCompatRefusesWhatThePageSaysItRefuses) {
  SaSpec ah_tunnel = tunnel(0x3000);
  ah_tunnel.protocol = Protocol::ah;
  ah_tunnel.integrity = "hmac-sha1";
  for (const Level level : {Level::require, Level::use})
    for (const bool compat : {false, true}) {
      Host host;
      host.settings.kame_compat = compat;
      host.add(ah_tunnel);
      host.add_policy(policy_for({ah_tunnel}, Direction::in, level));
      Buffer buffer(protect_with(ah_tunnel, ip_packet("10.1.0.1", "10.2.0.1", kUdp, udp(8))));
      EXPECT_EQ(host.open(buffer).reason, DropReason::none);
      EXPECT_EQ(host.check(buffer),
                compat && level == Level::require ? DropReason::policy : DropReason::none);
    }
  SaSpec transport;
  transport.protocol = Protocol::ah;
  Host host;
  host.settings.kame_compat = true;
  host.add(transport);
  host.add_policy(policy_for({transport}, Direction::in));
  Buffer buffer(protect_with(transport, ip_packet("10.0.0.1", "10.0.0.2", kUdp, udp(8))));
  EXPECT_EQ(host.open(buffer).reason, DropReason::none);
  EXPECT_EQ(host.check(buffer), DropReason::none) << "AH in transport mode always worked";
}

TEST(IcmpPolicy, ErrorInClearAboutAProtectedFlowIsRefused) {
  TwoSites bed;
  const Bytes ours = ip_packet("10.9.0.1", "10.1.0.5", kUdp, udp(8));
  Buffer forged(unreachable("192.0.2.1", "10.9.0.1", ours));
  EXPECT_EQ(bed.receiver.check(forged), DropReason::policy);
  Buffer other(
      unreachable("192.0.2.1", "10.9.0.1", ip_packet("10.9.0.1", "10.3.0.5", kUdp, udp(8))));
  EXPECT_EQ(bed.receiver.check(other), DropReason::none) << "about a flow nobody protects";
  Buffer echo(ip_packet("192.0.2.1", "10.9.0.1", kIcmp, {8, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(bed.receiver.check(echo), DropReason::none) << "no error";
  Buffer outer(
      unreachable("192.0.2.1", "10.9.0.1", ip_packet("10.9.0.1", "10.1.0.5", kEsp, udp(8))));
  EXPECT_EQ(bed.receiver.check(outer), DropReason::none) << "about the outer path";
  bed.receiver.settings.icmp_by_payload = false;
  EXPECT_EQ(bed.receiver.check(forged), DropReason::none);
}

TEST(IcmpPolicy, ErrorFromBehindThePeerIsAcceptedByTheSaOfTheFlowItIsAbout) {
  const Bytes ours = ip_packet("10.9.0.1", "10.1.0.5", kUdp, udp(8));
  TwoSites bed;
  bed.receive(1, unreachable("172.16.0.1", "10.9.0.1", ours));
  EXPECT_EQ(bed.verdict, DropReason::none);
  bed.receive(2, unreachable("172.16.0.1", "10.9.0.1", ours));
  EXPECT_EQ(bed.verdict, DropReason::policy) << "not through the other site's tunnel";
}

}  // namespace saline::test
