// Selectors, order and refusals of the SPD.
#include "host/ipsec/spd.hpp"

#include <gtest/gtest.h>

#include <cerrno>

#include "host/base/error.hpp"
#include "tests/host/ipsec/bed.hpp"

namespace saline::test {

using namespace saline::ipsec;

namespace {

Policy policy(const char* source, std::uint8_t source_bits, const char* destination,
              std::uint8_t destination_bits, Direction direction = Direction::out) {
  Policy result;
  result.direction = direction;
  result.action = Action::discard;
  result.selector.source = {address(source), source_bits};
  result.selector.destination = {address(destination), destination_bits};
  return result;
}

Flow flow_of(const char* source, const char* destination, std::uint8_t protocol = kUdp,
             std::uint16_t source_port = 1000, std::uint16_t destination_port = 2000) {
  Flow flow;
  EXPECT_TRUE(parse_flow(
      ip_packet(source, destination, protocol, udp(4, 0, source_port, destination_port)), flow));
  return flow;
}

int error_of(const Policy& bad) {
  Spd spd;
  try {
    spd.add(Policy(bad));
    return 0;
  } catch (const base::Error& error) {
    return error.errno_value();
  }
}

}  // namespace

TEST(Selector, ComparesAddressesProtocolAndPorts) {
  Selector selector = policy("10.0.0.0", 8, "192.168.0.0", 16).selector;
  EXPECT_TRUE(selector.matches(flow_of("10.1.2.3", "192.168.9.9")));
  EXPECT_FALSE(selector.matches(flow_of("11.1.2.3", "192.168.9.9")));
  EXPECT_FALSE(selector.matches(flow_of("10.1.2.3", "192.169.9.9")));
  selector.upper_protocol = kTcp;
  EXPECT_FALSE(selector.matches(flow_of("10.1.2.3", "192.168.9.9")));
  selector.upper_protocol = kUdp;
  selector.destination_port = 53;
  EXPECT_FALSE(selector.matches(flow_of("10.1.2.3", "192.168.9.9")));
  EXPECT_TRUE(selector.matches(flow_of("10.1.2.3", "192.168.9.9", kUdp, 1, 53)));
  selector.source_port = 2;
  EXPECT_FALSE(selector.matches(flow_of("10.1.2.3", "192.168.9.9", kUdp, 1, 53)));
}

TEST(Selector, AFragmentMatchesOnlyAnyProtocolAndAnyPort) {
  Flow fragment;
  Bytes packet = ip_packet("10.0.0.1", "10.0.0.2", kUdp, udp(40, 0, 1, 53));
  packet[6] = 0x20;
  ASSERT_TRUE(parse_flow(packet, fragment));
  Selector selector = policy("10.0.0.0", 8, "10.0.0.0", 8).selector;
  EXPECT_TRUE(selector.matches(fragment));
  selector.upper_protocol = kUdp;
  EXPECT_FALSE(selector.matches(fragment));
  selector.upper_protocol = kAnyProtocol;
  selector.destination_port = 53;
  EXPECT_FALSE(selector.matches(fragment));
}

TEST(Spd, FirstMatchByPriorityThenInsertion) {
  Spd spd;
  Policy wide = policy("0.0.0.0", 0, "0.0.0.0", 0);
  Policy narrow = policy("10.0.0.0", 8, "0.0.0.0", 0);
  const std::uint32_t wide_id = spd.add(std::move(wide))->id;
  const std::uint32_t narrow_id = spd.add(Policy(narrow))->id;
  EXPECT_NE(wide_id, narrow_id);
  spd.publish();
  const Flow flow = flow_of("10.0.0.1", "10.0.0.2");
  EXPECT_EQ(spd.view().acquire()->match(Direction::out, flow)->id, wide_id);
  narrow.priority = -1;
  EXPECT_EQ(spd.update(std::move(narrow))->id, narrow_id) << "an update keeps the id";
  spd.publish();
  EXPECT_EQ(spd.view().acquire()->match(Direction::out, flow)->id, narrow_id);
  EXPECT_EQ(spd.all().size(), 2u);
  EXPECT_EQ(spd.view().acquire()->match(Direction::in, flow), nullptr);
}

TEST(Spd, ForwardFallsBackToInWhenThereIsNoForwardPolicy) {
  Spd spd;
  const std::uint32_t in = spd.add(policy("0.0.0.0", 0, "0.0.0.0", 0, Direction::in))->id;
  spd.publish();
  const Flow flow = flow_of("10.0.0.1", "10.0.0.2");
  EXPECT_EQ(spd.view().acquire()->match(Direction::fwd, flow)->id, in);
  spd.add(policy("10.9.0.0", 16, "0.0.0.0", 0, Direction::fwd));
  spd.publish();
  EXPECT_EQ(spd.view().acquire()->match(Direction::fwd, flow), nullptr);
}

TEST(Spd, FindsAndRemovesBySelectorAndById) {
  Spd spd;
  const auto entry = spd.add(policy("10.0.0.0", 8, "10.0.0.0", 8));
  EXPECT_EQ(spd.find(entry->id), entry);
  EXPECT_EQ(spd.find(Direction::out, entry->selector), entry);
  EXPECT_EQ(spd.find(Direction::in, entry->selector), nullptr);
  EXPECT_EQ(spd.remove(entry->id), entry);
  EXPECT_EQ(spd.remove(entry->id), nullptr);
  EXPECT_EQ(spd.remove(Direction::out, entry->selector), nullptr);
}

TEST(Spd, RefusesDuplicatesAndNonsense) {
  Spd spd;
  spd.add(policy("10.0.0.0", 8, "10.0.0.0", 8));
  EXPECT_THROW(spd.add(policy("10.0.0.0", 8, "10.0.0.0", 8)), base::Error);
  EXPECT_NO_THROW(spd.add(policy("10.0.0.0", 8, "10.0.0.0", 8, Direction::in)));

  Policy mixed = policy("10.0.0.0", 8, "::", 0);
  EXPECT_EQ(error_of(mixed), EINVAL);
  EXPECT_EQ(error_of(policy("10.0.0.0", 33, "10.0.0.0", 8)), EINVAL);
  EXPECT_EQ(error_of(policy("10.0.0.0", 8, "10.0.0.0", 8, Direction::any)), EINVAL);
  Policy empty = policy("10.0.0.0", 8, "10.0.0.0", 8);
  empty.action = Action::ipsec;
  EXPECT_EQ(error_of(empty), EINVAL);
  Policy request = empty;
  request.requests.push_back({Protocol::esp, Mode::tunnel, Level::require, {}, {}, 0});
  EXPECT_EQ(error_of(request), EINVAL) << "a tunnel without addresses";
  request.requests[0] = {Protocol::esp, Mode::transport, Level::unique, {}, {}, 0};
  EXPECT_EQ(error_of(request), EINVAL) << "unique without an id";
  request.requests[0].level = Level::require;
  EXPECT_EQ(error_of(request), 0);
  request.requests.resize(kRequestsMax + 1, request.requests[0]);
  EXPECT_EQ(error_of(request), EINVAL);
}

}  // namespace saline::test
