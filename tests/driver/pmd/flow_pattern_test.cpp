// rte_flow patterns to policy entries and refusals, without a card.
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "driver/pmd/flow.hpp"
#include "driver/pmd/port.hpp"

namespace saline::pmd {
namespace {

constexpr auto kDrop = static_cast<std::uint8_t>(hw::PolicyAction::discard);
constexpr auto kBypass = static_cast<std::uint8_t>(hw::PolicyAction::bypass);
constexpr auto kProtect = static_cast<std::uint8_t>(hw::PolicyAction::protect);

rte_flow_item item(rte_flow_item_type type, const void* spec = nullptr, const void* mask = nullptr,
                   const void* last = nullptr) {
  return {.type = type, .spec = spec, .last = last, .mask = mask};
}

FlowRule parse(std::vector<rte_flow_item> items, std::vector<rte_flow_action> actions,
               bool egress = true, std::uint32_t priority = 0) {
  items.push_back(item(RTE_FLOW_ITEM_TYPE_END));
  actions.push_back({.type = RTE_FLOW_ACTION_TYPE_END, .conf = nullptr});
  rte_flow_attr attributes{};
  attributes.priority = priority;
  attributes.egress = egress;
  attributes.ingress = !egress;
  return parse_flow(attributes, items.data(), actions.data());
}

FlowRule parse_drop(std::vector<rte_flow_item> items) {
  return parse(std::move(items), {{.type = RTE_FLOW_ACTION_TYPE_DROP, .conf = nullptr}});
}

const rte_flow_action kSecurity{.type = RTE_FLOW_ACTION_TYPE_SECURITY, .conf = nullptr};

TEST(FlowPattern, AcceptsEspToSecurity) {
  EXPECT_FALSE(parse({item(RTE_FLOW_ITEM_TYPE_ESP)}, {kSecurity}, false).egress);
  rte_flow_item_esp spi{};
  spi.hdr.spi = rte_cpu_to_be_32(5);
  parse({item(RTE_FLOW_ITEM_TYPE_ETH), item(RTE_FLOW_ITEM_TYPE_IPV6),
         item(RTE_FLOW_ITEM_TYPE_ESP, &spi)},
        {kSecurity}, false);
}

TEST(FlowPattern, RefusesOtherIngressRules) {
  EXPECT_THROW(parse({item(RTE_FLOW_ITEM_TYPE_UDP)}, {kSecurity}, false), FlowRefusal);
  EXPECT_THROW(
      parse({item(RTE_FLOW_ITEM_TYPE_ESP), item(RTE_FLOW_ITEM_TYPE_UDP)}, {kSecurity}, false),
      FlowRefusal);
  EXPECT_THROW(parse({item(RTE_FLOW_ITEM_TYPE_ESP)},
                     {{.type = RTE_FLOW_ACTION_TYPE_DROP, .conf = nullptr}}, false),
               FlowRefusal);
  const rte_flow_item_ipv4 address{};
  EXPECT_THROW(parse({item(RTE_FLOW_ITEM_TYPE_IPV4, &address), item(RTE_FLOW_ITEM_TYPE_ESP)},
                     {kSecurity}, false),
               FlowRefusal);
}

TEST(FlowPattern, CarriesAFiveTuple) {
  rte_flow_item_ipv4 spec{}, mask{};
  spec.hdr.src_addr = rte_cpu_to_be_32(RTE_IPV4(10, 1, 2, 3));
  mask.hdr.src_addr = rte_cpu_to_be_32(RTE_IPV4(255, 255, 0, 0));
  spec.hdr.dst_addr = rte_cpu_to_be_32(RTE_IPV4(10, 9, 8, 7));
  mask.hdr.dst_addr = 0xffffffff;
  rte_flow_item_udp from{}, to{}, whole{};
  from.hdr.src_port = rte_cpu_to_be_16(1000);
  to.hdr.src_port = rte_cpu_to_be_16(2000);
  from.hdr.dst_port = to.hdr.dst_port = rte_cpu_to_be_16(53);
  whole.hdr.src_port = whole.hdr.dst_port = 0xffff;
  const FlowRule rule =
      parse({item(RTE_FLOW_ITEM_TYPE_ETH), item(RTE_FLOW_ITEM_TYPE_IPV4, &spec, &mask),
             item(RTE_FLOW_ITEM_TYPE_UDP, &from, &whole, &to)},
            {{.type = RTE_FLOW_ACTION_TYPE_PASSTHRU, .conf = nullptr}}, true, 7);
  EXPECT_TRUE(rule.egress);
  EXPECT_EQ(rule.priority, 7u);
  EXPECT_EQ(rule.entry.action, kBypass);
  EXPECT_FALSE(rule.entry.ipv6);
  EXPECT_FALSE(rule.entry.any_protocol);
  EXPECT_EQ(rule.entry.protocol, IPPROTO_UDP);
  EXPECT_FALSE(rule.entry.any_port);
  EXPECT_EQ(rule.entry.source_port_min, 1000);
  EXPECT_EQ(rule.entry.source_port_max, 2000);
  EXPECT_EQ(rule.entry.destination_port_min, 53);
  EXPECT_EQ(rule.entry.destination_port_max, 53);
  EXPECT_EQ(rule.entry.source, (std::array<std::uint8_t, 16>{10, 1}));
  EXPECT_EQ(rule.entry.source_mask, (std::array<std::uint8_t, 16>{255, 255}));
  EXPECT_EQ(rule.entry.destination, (std::array<std::uint8_t, 16>{10, 9, 8, 7}));
}

TEST(FlowPattern, WithoutSpecMatchesTheWholeFamily) {
  const FlowRule rule = parse_drop({item(RTE_FLOW_ITEM_TYPE_IPV6)});
  EXPECT_TRUE(rule.entry.ipv6);
  EXPECT_TRUE(rule.entry.any_protocol);
  EXPECT_TRUE(rule.entry.any_port);
  EXPECT_EQ(rule.entry.action, kDrop);
  EXPECT_EQ(rule.entry.source_mask, (std::array<std::uint8_t, 16>{}));
}

TEST(FlowPattern, UsesTheDefaultMaskOfAddresses) {
  rte_flow_item_ipv4 spec{};
  spec.hdr.time_to_live = 3;  // outside the default mask
  const FlowRule rule = parse_drop({item(RTE_FLOW_ITEM_TYPE_IPV4, &spec)});
  EXPECT_EQ(rule.entry.source_mask, (std::array<std::uint8_t, 16>{255, 255, 255, 255}));
  EXPECT_TRUE(rule.entry.any_protocol);
}

TEST(FlowPattern, TurnsAPortMaskIntoARange) {
  rte_flow_item_tcp spec{}, mask{};
  spec.hdr.dst_port = rte_cpu_to_be_16(0x1234);
  mask.hdr.dst_port = rte_cpu_to_be_16(0xff00);
  const FlowRule rule =
      parse_drop({item(RTE_FLOW_ITEM_TYPE_IPV4), item(RTE_FLOW_ITEM_TYPE_TCP, &spec, &mask)});
  EXPECT_EQ(rule.entry.destination_port_min, 0x1200);
  EXPECT_EQ(rule.entry.destination_port_max, 0x12ff);
  EXPECT_EQ(rule.entry.source_port_min, 0);
  EXPECT_EQ(rule.entry.source_port_max, 0xffff);
}

TEST(FlowPattern, KeepsPortsFreeWhenNoneIsNamed) {
  const FlowRule rule = parse_drop({item(RTE_FLOW_ITEM_TYPE_IPV4), item(RTE_FLOW_ITEM_TYPE_TCP)});
  EXPECT_TRUE(rule.entry.any_port);
  EXPECT_EQ(rule.entry.protocol, IPPROTO_TCP);
}

TEST(FlowPattern, RefusesWhatTheCardDoesNotCompare) {
  rte_flow_item_ipv4 spec{}, mask{};
  mask.hdr.type_of_service = 0xff;
  EXPECT_THROW(parse_drop({item(RTE_FLOW_ITEM_TYPE_IPV4, &spec, &mask)}), FlowRefusal);
  mask = {};
  mask.hdr.next_proto_id = 0x0f;
  EXPECT_THROW(parse_drop({item(RTE_FLOW_ITEM_TYPE_IPV4, &spec, &mask)}), FlowRefusal);
  EXPECT_THROW(parse_drop({item(RTE_FLOW_ITEM_TYPE_IPV4, nullptr, &mask)}), FlowRefusal);
  mask = {};
  EXPECT_THROW(parse_drop({item(RTE_FLOW_ITEM_TYPE_IPV4, &spec, &mask, &spec)}), FlowRefusal);

  rte_flow_item_udp port{}, holes{};
  holes.hdr.dst_port = rte_cpu_to_be_16(0xf00f);
  EXPECT_THROW(
      parse_drop({item(RTE_FLOW_ITEM_TYPE_IPV4), item(RTE_FLOW_ITEM_TYPE_UDP, &port, &holes)}),
      FlowRefusal);
  rte_flow_item_tcp flags{};
  flags.hdr.tcp_flags = 2;
  EXPECT_THROW(
      parse_drop({item(RTE_FLOW_ITEM_TYPE_IPV4), item(RTE_FLOW_ITEM_TYPE_TCP, &flags, &flags)}),
      FlowRefusal);

  rte_flow_item_ipv4 names_tcp{}, whole_protocol{};
  names_tcp.hdr.next_proto_id = IPPROTO_TCP;
  whole_protocol.hdr.next_proto_id = 0xff;
  EXPECT_THROW(parse_drop({item(RTE_FLOW_ITEM_TYPE_IPV4, &names_tcp, &whole_protocol),
                           item(RTE_FLOW_ITEM_TYPE_UDP)}),
               FlowRefusal);
  const rte_flow_item_eth ethernet{};
  EXPECT_THROW(parse_drop({item(RTE_FLOW_ITEM_TYPE_ETH, &ethernet), item(RTE_FLOW_ITEM_TYPE_IPV4)}),
               FlowRefusal);
  EXPECT_THROW(parse_drop({item(RTE_FLOW_ITEM_TYPE_VLAN), item(RTE_FLOW_ITEM_TYPE_IPV4)}),
               FlowRefusal);
  EXPECT_THROW(parse_drop({item(RTE_FLOW_ITEM_TYPE_IPV4), item(RTE_FLOW_ITEM_TYPE_UDP),
                           item(RTE_FLOW_ITEM_TYPE_VXLAN)}),
               FlowRefusal);
}

TEST(FlowPattern, RefusesOtherActionsGroupsAndTransfer) {
  const rte_flow_action queue{.type = RTE_FLOW_ACTION_TYPE_QUEUE, .conf = nullptr};
  const rte_flow_action drop{.type = RTE_FLOW_ACTION_TYPE_DROP, .conf = nullptr};
  EXPECT_THROW(parse({item(RTE_FLOW_ITEM_TYPE_IPV4)}, {queue}), FlowRefusal);
  EXPECT_THROW(parse({item(RTE_FLOW_ITEM_TYPE_IPV4)}, {}), FlowRefusal);
  EXPECT_THROW(parse({item(RTE_FLOW_ITEM_TYPE_IPV4)}, {drop, drop}), FlowRefusal);
  EXPECT_THROW(parse({item(RTE_FLOW_ITEM_TYPE_IPV4)}, {kSecurity}), FlowRefusal);  // no session

  const rte_flow_item items[] = {item(RTE_FLOW_ITEM_TYPE_IPV4), item(RTE_FLOW_ITEM_TYPE_END)};
  const rte_flow_action actions[] = {drop, {.type = RTE_FLOW_ACTION_TYPE_END, .conf = nullptr}};
  rte_flow_attr attributes{};
  EXPECT_THROW(parse_flow(attributes, items, actions), FlowRefusal);
  attributes.egress = 1;
  parse_flow(attributes, items, actions);
  attributes.group = 1;
  EXPECT_THROW(parse_flow(attributes, items, actions), FlowRefusal);
  attributes.group = 0;
  attributes.transfer = 1;
  EXPECT_THROW(parse_flow(attributes, items, actions), FlowRefusal);
}

TEST(FlowPattern, ProtectsWithAnOutboundSession) {
  alignas(rte_security_session) std::array<std::uint8_t, 256> memory{};
  auto* session = reinterpret_cast<rte_security_session*>(memory.data());
  session_of(session) = {5, {driver::Direction::egress, 9, 77}};
  const rte_flow_action_security conf{.security_session = session};
  const rte_flow_action protect{.type = RTE_FLOW_ACTION_TYPE_SECURITY, .conf = &conf};
  const FlowRule rule = parse({item(RTE_FLOW_ITEM_TYPE_IPV4)}, {protect});
  EXPECT_EQ(rule.entry.action, kProtect);
  EXPECT_EQ(rule.entry.sa_index, 9);
  EXPECT_EQ(rule.protect.tag, 77);
  session_of(session).slot.direction = driver::Direction::ingress;
  EXPECT_THROW(parse({item(RTE_FLOW_ITEM_TYPE_IPV4)}, {protect}), FlowRefusal);
}

}  // namespace
}  // namespace saline::pmd
