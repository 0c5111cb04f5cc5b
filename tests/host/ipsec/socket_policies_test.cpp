// Policies of sockets: whose packets they are for, and that they win over the SPD.
#include "host/ipsec/socket_policies.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <functional>

#include "host/base/error.hpp"
#include "tests/host/ipsec/bed.hpp"

namespace saline::test {

using namespace saline::ipsec;
using base::Family;
using hw::DropReason;
using Kind = SocketPolicies::Kind;

namespace {

SocketEnds udp_socket(std::uint16_t port, const char* local = nullptr, const char* remote = nullptr,
                      std::uint16_t remote_port = 0) {
  SocketEnds ends{Family::ipv4, kUdp, {}, port, {}, remote_port};
  if (local != nullptr) ends.local = address(local);
  if (remote != nullptr) ends.remote = address(remote);
  return ends;
}

Flow inbound(std::uint16_t local_port, const char* remote = "10.0.0.2",
             std::uint16_t remote_port = 9) {
  Flow flow;
  flow.source = address(remote);
  flow.destination = address("10.0.0.1");
  flow.source_port = remote_port;
  flow.destination_port = local_port;
  flow.upper_protocol = kUdp;
  flow.ports_known = true;
  return flow;
}

Flow reversed(Flow flow) {
  std::swap(flow.source, flow.destination);
  std::swap(flow.source_port, flow.destination_port);
  return flow;
}

const std::vector<Request> kEsp{{Protocol::esp, Mode::transport, Level::require, {}, {}, 0}};

struct Table : SocketPolicies {
  std::shared_ptr<const Policy> with(const SocketEnds& ends, Kind kind, Direction direction,
                                     Owner owner = 1) {
    auto policy = set(open(owner), direction, ends, kind,
                      kind == Kind::ipsec ? kEsp : std::vector<Request>{}, true);
    publish();
    return policy;
  }
  const Policy* ask(Direction direction, const Flow& flow) {
    return view().acquire()->find(direction, flow);
  }
};

int error_of(const std::function<void()>& action) {
  try {
    action();
    return 0;
  } catch (const base::Error& error) {
    return error.errno_value();
  }
}

}  // namespace

TEST(SocketPolicies, FindsTheMostExactSocket) {
  Table table;
  const auto any = table.with(udp_socket(500), Kind::bypass, Direction::in);
  const auto bound = table.with(udp_socket(500, "10.0.0.1"), Kind::bypass, Direction::in);
  const auto connected =
      table.with(udp_socket(500, "10.0.0.1", "10.0.0.2", 9), Kind::bypass, Direction::in);
  EXPECT_EQ(table.ask(Direction::in, inbound(500)), connected.get());
  EXPECT_EQ(table.ask(Direction::in, inbound(500, "10.0.0.2", 10)), bound.get());
  Flow other = inbound(500);
  other.destination = address("10.0.0.7");
  EXPECT_EQ(table.ask(Direction::in, other), any.get());
  EXPECT_EQ(table.ask(Direction::in, inbound(501)), nullptr);
  EXPECT_EQ(table.ask(Direction::out, reversed(inbound(500))), nullptr) << "set for in alone";
  EXPECT_EQ(table.ask(Direction::fwd, inbound(500)), nullptr) << "never for forwarded packets";
  other.upper_protocol = kTcp;
  EXPECT_EQ(table.ask(Direction::in, other), nullptr);
  other = inbound(500);
  other.ports_known = false;
  EXPECT_EQ(table.ask(Direction::in, other), nullptr) << "a fragment has no socket";
}

TEST(SocketPolicies, OutboundLooksFromTheOtherSide) {
  Table table;
  const auto policy =
      table.with(udp_socket(500, nullptr, "10.0.0.2", 9), Kind::ipsec, Direction::out);
  EXPECT_EQ(table.ask(Direction::out, reversed(inbound(500))), policy.get());
  EXPECT_EQ(table.ask(Direction::out, inbound(500)), nullptr);
  EXPECT_EQ(table.find(policy->id), policy);
  EXPECT_GE(policy->id, SocketPolicies::kFirstId);
}

TEST(SocketPolicies, EntrustHidesWiderSocketsAndEndsWithItsOwner) {
  Table table;
  const auto any = table.with(udp_socket(500), Kind::bypass, Direction::in);
  table.with(udp_socket(500, "10.0.0.1"), Kind::entrust, Direction::in, 2);
  EXPECT_EQ(table.ask(Direction::in, inbound(500)), nullptr);
  table.remove_all(2);
  EXPECT_EQ(table.ask(Direction::in, inbound(500)), nullptr) << "not yet published";
  table.publish();
  EXPECT_EQ(table.ask(Direction::in, inbound(500)), any.get());
  table.remove_all(1);
  table.publish();
  EXPECT_EQ(table.ask(Direction::in, inbound(500)), nullptr);
  EXPECT_EQ(table.size(), 0u);
}

TEST(SocketPolicies, FollowASocketThatConnects) {
  Table table;
  const auto handle = table.open(1);
  table.set(handle, Direction::in, udp_socket(500), Kind::bypass, {}, true);
  table.move(handle, udp_socket(500, "10.0.0.1", "10.0.0.2", 9));
  table.publish();
  EXPECT_NE(table.ask(Direction::in, inbound(500)), nullptr);
  EXPECT_EQ(table.ask(Direction::in, inbound(500, "10.0.0.3")), nullptr);
  table.remove(handle);
  table.publish();
  EXPECT_EQ(table.ask(Direction::in, inbound(500)), nullptr);
}

TEST(SocketPolicies, RefusesWhatMakesNoSense) {
  SocketPolicies table;
  const auto handle = table.open(1);
  const auto set = [&](const SocketEnds& ends, Kind kind, std::vector<Request> requests,
                       bool privileged = true, Direction direction = Direction::in) {
    return error_of([&] { table.set(handle, direction, ends, kind, requests, privileged); });
  };
  EXPECT_EQ(set(udp_socket(500), Kind::bypass, {}, false), EACCES);
  EXPECT_EQ(set(udp_socket(500), Kind::ipsec, kEsp, false), 0);
  EXPECT_EQ(set(udp_socket(500), Kind::ipsec, {}), EINVAL);
  EXPECT_EQ(set(udp_socket(500), Kind::bypass, kEsp), EINVAL);
  EXPECT_EQ(set(udp_socket(0), Kind::bypass, {}), EINVAL);
  EXPECT_EQ(set(udp_socket(500, "fd00::1"), Kind::bypass, {}), EINVAL);
  EXPECT_EQ(set(udp_socket(500), Kind::bypass, {}, true, Direction::fwd), EINVAL);
  EXPECT_EQ(error_of([&] { table.move(99, udp_socket(500)); }), ENOENT);
}

TEST(SocketPolicies, WinOverTheSpdBothWays) {
  Host host;
  for (const Direction direction : {Direction::in, Direction::out}) {
    SaSpec spec;
    host.add_policy(policy_for({spec}, direction));
  }
  Table table;
  Buffer in(ip_packet("10.0.0.2", "10.0.0.1", kUdp, udp(8, 0, 500, 500)));
  Buffer out(ip_packet("10.0.0.1", "10.0.0.2", kUdp, udp(8, 0, 500, 500)));
  const auto send = [&] {
    OutboundItem item;
    item.packet = &out.packet();
    host.processor.outbound(*host.spd.view().acquire(), *host.sad.view().acquire(), {&item, 1});
    return item.reason;
  };
  EXPECT_EQ(host.check(in), DropReason::policy);
  EXPECT_EQ(send(), DropReason::no_sa);
  table.with(udp_socket(500), Kind::bypass, Direction::in);
  table.with(udp_socket(500), Kind::bypass, Direction::out);
  host.processor.set_socket_policies(table.view().acquire());
  EXPECT_EQ(host.check(in), DropReason::none) << "an IKE daemon's packets";
  EXPECT_EQ(send(), DropReason::none);
  EXPECT_EQ(host.check(in, Direction::fwd), DropReason::policy) << "forwarded: no socket of ours";
  table.remove_all(1);
  table.with(udp_socket(500), Kind::ipsec, Direction::out);
  host.processor.set_socket_policies(table.view().acquire());
  EXPECT_EQ(send(), DropReason::no_sa) << "the socket's own requests";
}

}  // namespace saline::test
