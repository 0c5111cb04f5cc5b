// Bad input, group D: what a tunnel may and may not bring. Rows about the SPD are with it
// (policy_check_test.cpp, spd_test.cpp), rows about sizes and ICMP with the daemon's data plane.
#include <gtest/gtest.h>

#include "host/base/bytes.hpp"
#include "tests/host/ipsec/bad_input.hpp"

namespace saline::test {

using namespace saline::ipsec;
using hw::DropReason;

namespace {

SaSpec tunnel() {
  SaSpec spec;
  spec.mode = Mode::tunnel;
  spec.encryption = "aes-gcm-16";
  spec.integrity = "";
  return spec;
}

// The verdict on a packet that came through the tunnel from `source` to `destination`.
DropReason verdict(const char* source, const char* destination) {
  const LocalAddresses local({address("10.0.0.2"), address("fd00::2")});
  Host host;
  host.processor.set_local_addresses(&local);
  host.add(tunnel());
  for (const char* any : {"0.0.0.0", "::"}) {
    Policy policy = policy_for({tunnel()}, Direction::in);
    policy.selector.source.address = policy.selector.destination.address = address(any);
    host.add_policy(policy);
  }
  Buffer buffer(protect_with(tunnel(), ip_packet(source, destination, kUdp, udp(8))));
  EXPECT_EQ(host.open(buffer).reason, DropReason::none);
  const Counters& counters = host.processor.counters();
  const DropReason reason = host.check(buffer);
  const auto policy = static_cast<std::size_t>(DropReason::policy);
  EXPECT_EQ(counters.inbound_refused[policy].get(), reason == DropReason::policy ? 1u : 0u);
  return reason;
}

}  // namespace

TEST(BadInput, D3OuterSourceThatIsNotThePeer) {
  Bytes wire = protect_with(tunnel(), ip_packet("10.1.0.1", "10.2.0.1", kUdp, udp(8)));
  wire[15] = 77;
  base::store16(&wire[10], ipv4_header_checksum(std::span(wire).first(20)));
  expect_refused(tunnel(), wire, DropReason::policy, Number::used);
  Host host;
  host.settings.verify_tunnel_source = false;
  host.add(tunnel());
  Buffer buffer(wire);
  EXPECT_EQ(host.open(buffer).reason, DropReason::none);
}

TEST(BadInput, D4MartiansOutOfATunnel) {
  EXPECT_EQ(verdict("10.1.0.1", "10.2.0.1"), DropReason::none);
  EXPECT_EQ(verdict("fd00:1::1", "fd00:2::1"), DropReason::none);
  EXPECT_EQ(verdict("10.1.0.1", "224.0.0.5"), DropReason::none) << "a tunnel may carry multicast";
  EXPECT_EQ(verdict("10.1.0.1", "10.0.0.2"), DropReason::none) << "to this host itself";
  for (const char* source : {"127.0.0.1", "127.9.9.9", "0.0.0.0", "224.0.0.1", "255.255.255.255"})
    EXPECT_EQ(verdict(source, "10.2.0.1"), DropReason::policy) << source;
  for (const char* source : {"::1", "::", "ff02::1", "::ffff:10.1.0.1"})
    EXPECT_EQ(verdict(source, "fd00:2::1"), DropReason::policy) << source;
  EXPECT_EQ(verdict("10.0.0.2", "10.2.0.1"), DropReason::policy) << "this host's own address";
  EXPECT_EQ(verdict("fd00::2", "fd00:2::1"), DropReason::policy) << "this host's own address";
  for (const char* destination : {"127.0.0.1", "0.0.0.0"})
    EXPECT_EQ(verdict("10.1.0.1", destination), DropReason::policy) << destination;
  for (const char* destination : {"::1", "::", "::ffff:10.2.0.1"})
    EXPECT_EQ(verdict("fd00:1::1", destination), DropReason::policy) << destination;
}

}  // namespace saline::test
