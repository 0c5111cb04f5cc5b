// The port on a fake card: plumbing, ownership of mbufs, tables, refusals. Nothing is protected
// here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "tests/driver/pmd/fake_transport.hpp"
#include "tests/driver/pmd/port_fixture.hpp"
#include "tests/driver/pmd/session_conf.hpp"

namespace saline::pmd::test {
namespace {

Bytes frame_of(std::size_t bytes) {
  Bytes frame(bytes);
  std::iota(frame.begin(), frame.end(), std::uint8_t{1});
  return frame;
}

class Port : public PortTest {
 protected:
  driver::FakeCard& card() { return *fake_card(); }

  // Commits to one table since the last call.
  std::vector<driver::Commit> commits(hw::Table table) {
    std::vector<driver::Commit> found;
    std::copy_if(card().commits.begin(), card().commits.end(), std::back_inserter(found),
                 [&](const auto& commit) { return commit.table == table; });
    card().commits.clear();
    return found;
  }

  rte_flow* rule(std::uint32_t priority, rte_security_session* session = nullptr) {
    rte_flow_attr attributes{};
    attributes.egress = 1;
    attributes.priority = priority;
    const rte_flow_item items[] = {
        {.type = RTE_FLOW_ITEM_TYPE_IPV4, .spec = nullptr, .last = nullptr, .mask = nullptr},
        {.type = RTE_FLOW_ITEM_TYPE_END, .spec = nullptr, .last = nullptr, .mask = nullptr}};
    const rte_flow_action_security conf{.security_session = session};
    const rte_flow_action actions[] = {
        {.type = session != nullptr ? RTE_FLOW_ACTION_TYPE_SECURITY : RTE_FLOW_ACTION_TYPE_DROP,
         .conf = &conf},
        {.type = RTE_FLOW_ACTION_TYPE_END, .conf = nullptr}};
    rte_flow_error error{};
    return rte_flow_create(port_, &attributes, items, actions, &error);
  }
};

class PortOnEitherMemory : public Port, public testing::WithParamInterface<const char*> {};
INSTANTIATE_TEST_SUITE_P(Transport, PortOnEitherMemory,
                         testing::Values("transport=fake", "transport=fake,bounce=1"),
                         [](const auto& each) {
                           return std::strchr(each.param, ',') != nullptr ? "bounces" : "in_place";
                         });

TEST_P(PortOnEitherMemory, CarriesFramesOfEverySize) {
  open(GetParam());
  for (const std::size_t bytes : {14u, 60u, 64u, 65u, 1514u, 2048u}) {
    send(frame_of(bytes));
    const Mbuf got = receive();
    ASSERT_NE(got, nullptr) << bytes;
    EXPECT_EQ(bytes_of(*got), frame_of(bytes));
    EXPECT_EQ(got->port, port_);
    EXPECT_EQ(got->nb_segs, 1);
    EXPECT_EQ(got->pkt_len, bytes);
    EXPECT_EQ(got->ol_flags & (RTE_MBUF_F_RX_SEC_OFFLOAD | RTE_MBUF_F_RX_SEC_OFFLOAD_FAILED), 0u);
    EXPECT_EQ(rte_pmd_saline_reason(got.get(), rte_pmd_saline_reason_offset()), 0);
  }
}

TEST_P(PortOnEitherMemory, KeepsOrderOverManyRingsFull) {
  open(GetParam());
  std::uint32_t sent = 0, received = 0;
  while (received < 2000) {
    std::array<rte_mbuf*, 32> packets{};
    std::uint16_t ready = 0;
    for (; ready < packets.size() && sent + ready < 2000; ++ready) {
      Bytes frame = frame_of(64);
      const std::uint32_t number = sent + ready;
      std::memcpy(frame.data() + 20, &number, sizeof number);
      packets[ready] = mbuf(frame).release();
    }
    const std::uint16_t taken = rte_eth_tx_burst(port_, 0, packets.data(), ready);
    for (std::uint16_t i = taken; i < ready; ++i) rte_pktmbuf_free(packets[i]);
    sent += taken;
    std::array<rte_mbuf*, 48> back{};
    const std::uint16_t got = rte_eth_rx_burst(port_, 0, back.data(), back.size());
    for (std::uint16_t i = 0; i < got; ++i, ++received) {
      std::uint32_t number = 0;
      std::memcpy(&number, bytes_of(*back[i]).data() + 20, sizeof number);
      EXPECT_EQ(number, received);
      rte_pktmbuf_free(back[i]);
    }
    ASSERT_TRUE(taken + got > 0);
  }
}

TEST_F(Port, CountsAndResets) {
  open("transport=fake");
  send(frame_of(100));
  ASSERT_NE(receive(), nullptr);
  rte_eth_stats stats{};
  ASSERT_EQ(rte_eth_stats_get(port_, &stats), 0);
  EXPECT_EQ(stats.ipackets, 1u);
  EXPECT_EQ(stats.opackets, 1u);
  EXPECT_EQ(stats.ibytes, 100u);
  EXPECT_EQ(stats.obytes, 100u);
  EXPECT_EQ(stats.oerrors, 0u);
  ASSERT_EQ(rte_eth_stats_reset(port_), 0);
  ASSERT_EQ(rte_eth_stats_get(port_, &stats), 0);
  EXPECT_EQ(stats.ipackets + stats.opackets + stats.ibytes + stats.obytes, 0u);
}

TEST_F(Port, NamesOneStatisticPerReasonAndDirection) {
  open("transport=fake");
  for (const auto& reason : hw::kDropReasonValues) {
    if (reason.value == hw::DropReason::none) continue;
    xstat(std::string("rx_drop_") + reason.name);
    xstat(std::string("tx_drop_") + reason.name);
  }
  EXPECT_EQ(xstat("card_bus_errors"), 0u);
}

TEST_F(Port, TellsTheClockCyclesOfTheCard) {
  open("transport=fake");
  card().registers[hw::reg::cycles_high] = 1;
  card().registers[hw::reg::cycles_low] = 500;
  EXPECT_EQ(xstat("card_cycles"), (std::uint64_t{1} << 32) + 500);
  ASSERT_EQ(rte_eth_xstats_reset(port_), 0);
  card().registers[hw::reg::cycles_low] = 900;
  EXPECT_EQ(xstat("card_cycles"), 400u);
}

TEST_F(Port, GoesOnAfterAFrameLostToABusError) {
  open("transport=fake");
  card().frames_lost = 1;
  send(frame_of(64));
  expect_nothing();
  send(frame_of(65));
  const Mbuf got = receive();
  ASSERT_NE(got, nullptr);
  EXPECT_EQ(got->data_len, 65);
}

TEST_F(Port, RefusesFormsItDoesNotSendAndCountsThem) {
  open("transport=fake");
  Mbuf chained = mbuf(frame_of(64));
  ASSERT_EQ(rte_pktmbuf_chain(chained.get(), mbuf(frame_of(64)).release()), 0);
  send(std::move(chained));
  send(frame_of(13));
  send(frame_of(64));
  const Mbuf got = receive();
  ASSERT_NE(got, nullptr);
  EXPECT_EQ(got->data_len, 64);
  expect_nothing();
  rte_eth_stats stats{};
  ASSERT_EQ(rte_eth_stats_get(port_, &stats), 0);
  EXPECT_EQ(stats.oerrors, 2u);
  EXPECT_EQ(stats.opackets, 1u);
  EXPECT_EQ(xstat("tx_drop_form"), 2u);
}

TEST_F(Port, StopsAndStartsWithPacketsInFlight) {
  open("transport=fake");
  for (int round = 0; round < 3; ++round) {
    send(frame_of(64));
    ASSERT_EQ(rte_eth_dev_stop(port_), 0);
    rte_eth_link link{};
    ASSERT_EQ(rte_eth_link_get_nowait(port_, &link), 0);
    EXPECT_EQ(link.link_status, RTE_ETH_LINK_DOWN);
    ASSERT_EQ(rte_eth_dev_start(port_), 0);
    ASSERT_EQ(rte_eth_link_get_nowait(port_, &link), 0);
    EXPECT_EQ(link.link_status, RTE_ETH_LINK_UP);
    expect_nothing();  // a stop drains the rings
    send(frame_of(65));
    const Mbuf got = receive();
    ASSERT_NE(got, nullptr);
    EXPECT_EQ(got->data_len, 65);
  }
}

TEST_F(Port, GoesDownWhenTheCardIsLost) {
  open("transport=fake");
  card().refuse_doorbells = true;
  send(frame_of(64));
  expect_nothing();
  rte_eth_link link{};
  ASSERT_EQ(rte_eth_link_get_nowait(port_, &link), 0);
  EXPECT_EQ(link.link_status, RTE_ETH_LINK_DOWN);
  card().refuse_doorbells = false;
}

TEST_F(Port, RefusesAnMtuItsBuffersDoNotHold) {
  open("transport=fake");
  EXPECT_EQ(rte_eth_dev_set_mtu(port_, 1500), 0);
  EXPECT_LT(rte_eth_dev_set_mtu(port_, 9000), 0);
  EXPECT_EQ(rte_eth_promiscuous_disable(port_), -ENOTSUP);
}

TEST_F(Port, RefusesBadDeviceArguments) {
  start_eal();
  for (const char* arguments :
       {"", "transport=fake,transport=fake", "transport=fake,colour=red", "transport=nothing",
        "transport=../fake", "transport=fake,mac_address=1",
        "transport=fake,mac_address=ff:ff:ff:ff:ff:ff", "transport"}) {
    EXPECT_NE(rte_vdev_init(kName, arguments), 0) << arguments;
    EXPECT_EQ(rte_eth_dev_count_avail(), 0) << arguments;
  }
}

TEST_F(Port, RefusesLoopbackThatTheMacDoesNotDo) {
  open("transport=fake");
  ASSERT_EQ(rte_eth_dev_stop(port_), 0);
  started_ = false;
  rte_eth_conf conf{};
  conf.lpbk_mode = 1;
  EXPECT_EQ(rte_eth_dev_configure(port_, 1, 1, &conf), -ENOTSUP);
}

TEST_F(Port, TakesItsAddressFromTheArguments) {
  open("transport=fake,mac_address=02:00:00:00:00:05");
  rte_ether_addr address{};
  ASSERT_EQ(rte_eth_macaddr_get(port_, &address), 0);
  EXPECT_EQ(address.addr_bytes[5], 5);
}

// ---- sessions

TEST_F(Port, InstallsAndRemovesSessions) {
  open("transport=fake");
  card().commits.clear();
  EgressConf out;
  IngressConf in;
  rte_security_session* egress = create(out.conf);
  rte_security_session* ingress = create(in.conf);
  ASSERT_NE(egress, nullptr);
  ASSERT_NE(ingress, nullptr);
  const auto installed = card().commits;
  ASSERT_EQ(installed.size(), 3u);  // two contexts and a lookup entry
  EXPECT_EQ(installed[0].table, hw::Table::egress_sa);

  card().commits.clear();
  EXPECT_EQ(rte_security_session_destroy(security(), egress), 0);
  EXPECT_EQ(rte_security_session_destroy(security(), ingress), 0);
  std::size_t removed = 0;
  for (const auto& commit : card().commits) removed += commit.op == hw::TableOp::remove;
  EXPECT_EQ(removed, 3u);
}

TEST_F(Port, RestartsASessionAtAnotherSequenceNumber) {
  open("transport=fake");
  EgressConf out;
  rte_security_session* session = create(out.conf);
  ASSERT_NE(session, nullptr);
  const auto before = commits(hw::Table::egress_sa);
  out.ipsec().esn.value = 1000;
  ASSERT_EQ(rte_security_session_update(security(), session, &out.conf), 0);
  const auto after = commits(hw::Table::egress_sa);
  ASSERT_EQ(before.size(), 1u);
  ASSERT_EQ(after.size(), 1u);
  EXPECT_EQ(after[0].op, hw::TableOp::install);
  EXPECT_EQ(after[0].index, before[0].index);
  const auto decode = [](const auto& commit) {
    return hw::decode_sa_context(
        std::span<const std::uint8_t, 256>(commit.record.data(), std::size_t{256}));
  };
  EXPECT_EQ(decode(after[0]).sequence_number, 999u);
  EXPECT_EQ(decode(after[0]).sa_tag, decode(before[0]).sa_tag);
  EXPECT_NE(decode(after[0]).iv_base, decode(before[0]).iv_base);

  out.ipsec().spi += 1;
  EXPECT_EQ(rte_security_session_update(security(), session, &out.conf), -EINVAL);
  IngressConf in;
  EXPECT_EQ(rte_security_session_update(security(), session, &in.conf), -EINVAL);
  EXPECT_TRUE(commits(hw::Table::egress_sa).empty());
  EXPECT_EQ(rte_security_session_destroy(security(), session), 0);
}

TEST_F(Port, KeepsTheInboundDestinationOfASession) {
  open("transport=fake");
  IngressConf in;
  in.ipsec().options.tunnel_hdr_verify = RTE_SECURITY_IPSEC_TUNNEL_VERIFY_DST_ADDR;
  rte_security_session* session = create(in.conf);
  ASSERT_NE(session, nullptr);
  EXPECT_EQ(rte_security_session_update(security(), session, &in.conf), 0);
  commits(hw::Table::ingress_sa);
  in.ipsec().tunnel.ipv4.dst_ip.s_addr = rte_cpu_to_be_32(kTunnelDestination + 1);
  EXPECT_EQ(rte_security_session_update(security(), session, &in.conf), -EINVAL);
  in.ipsec().options.tunnel_hdr_verify = 0;
  EXPECT_EQ(rte_security_session_update(security(), session, &in.conf), -EINVAL);
  EXPECT_TRUE(commits(hw::Table::ingress_sa).empty());
  EXPECT_EQ(rte_security_session_destroy(security(), session), 0);
}

TEST_F(Port, RefusesMoreSessionsThanSlotsAndLeavesNothingBehind) {
  open("transport=fake");
  std::vector<std::unique_ptr<EgressConf>> confs;
  std::vector<rte_security_session*> made;
  while (true) {
    confs.push_back(std::make_unique<EgressConf>());
    rte_security_session* session = create(confs.back()->conf);
    if (session == nullptr) break;
    made.push_back(session);
  }
  EXPECT_EQ(made.size(), 8u);
  EXPECT_EQ(rte_security_session_destroy(security(), made.back()), 0);
  made.back() = create(confs.back()->conf);
  EXPECT_NE(made.back(), nullptr);
  EXPECT_EQ(rte_mempool_in_use_count(sessions_), made.size());
  for (rte_security_session* session : made) {
    EXPECT_EQ(rte_security_session_destroy(security(), session), 0);
  }
}

TEST_F(Port, RefusesASessionTheCardCannotDo) {
  open("transport=fake");
  card().commits.clear();
  EgressConf out(24);
  EXPECT_EQ(create(out.conf), nullptr);
  EXPECT_TRUE(card().commits.empty());
}

TEST_F(Port, KeepsSessionsOverStopAndStart) {
  open("transport=fake");
  EgressConf out;
  rte_security_session* session = create(out.conf);
  ASSERT_NE(session, nullptr);
  card().commits.clear();
  ASSERT_EQ(rte_eth_dev_stop(port_), 0);
  ASSERT_EQ(rte_eth_dev_start(port_), 0);
  EXPECT_TRUE(commits(hw::Table::egress_sa).empty());
  EXPECT_EQ(rte_security_session_destroy(security(), session), 0);
}

TEST_F(Port, MarksProtectedPacketsWithSlotAndTagOfTheSession) {
  open("transport=fake");
  EgressConf out;
  rte_security_session* session = create(out.conf);
  ASSERT_NE(session, nullptr);
  Mbuf packet = mbuf(frame_of(64));
  ASSERT_EQ(rte_security_set_pkt_metadata(security(), session, packet.get(), nullptr), 0);
  packet->ol_flags |= RTE_MBUF_F_TX_SEC_OFFLOAD;
  send(std::move(packet));
  const Mbuf back = receive();
  ASSERT_EQ(card().descriptors.size(), 1u);
  EXPECT_TRUE(card().descriptors[0].protect);
  EXPECT_EQ(card().descriptors[0].sa_tag, session_of(session).slot.tag);
  EXPECT_NE(card().descriptors[0].sa_tag, 0);
  EXPECT_EQ(rte_security_session_destroy(security(), session), 0);
}

TEST_F(Port, NeverSendsInTheClearWhatShouldBeProtected) {
  open("transport=fake");
  for (const std::uint64_t garbage : {std::uint64_t{0}, ~std::uint64_t{0}, std::uint64_t{0x1000}}) {
    Mbuf packet = mbuf(frame_of(64));
    *rte_security_dynfield(packet.get()) = garbage;
    packet->ol_flags |= RTE_MBUF_F_TX_SEC_OFFLOAD;
    send(std::move(packet));
    const Mbuf back = receive();
    EXPECT_TRUE(card().descriptors.back().protect);
    EXPECT_EQ(card().descriptors.back().sa_tag, 0);  // no SA has it: stale_sa
  }
}

// ---- rules

TEST_F(Port, ClassifiesOnlyWhileARuleExists) {
  open("transport=fake");
  const auto classified = [&] {
    send(frame_of(64));
    const Mbuf back = receive();
    return card().descriptors.back().classify;
  };
  EXPECT_FALSE(classified());
  rte_flow* drop = rule(0);
  ASSERT_NE(drop, nullptr);
  EXPECT_TRUE(classified());
  rte_flow_error error{};
  ASSERT_EQ(rte_flow_destroy(port_, drop, &error), 0);
  EXPECT_FALSE(classified());
  ASSERT_NE(rule(0), nullptr);
  ASSERT_EQ(rte_flow_flush(port_, &error), 0);
  EXPECT_FALSE(classified());
}

TEST_F(Port, KeepsRulesInOrderOfPriority) {
  open("transport=fake");
  EgressConf out;
  rte_security_session* session = create(out.conf);
  ASSERT_NE(session, nullptr);
  std::map<std::uint32_t, hw::PolicyEntry> table;
  const auto settle = [&] {
    for (const auto& commit : commits(hw::Table::policy)) {
      table[commit.index] = commit.op == hw::TableOp::remove
                                ? hw::PolicyEntry{}
                                : hw::decode_policy_entry(std::span<const std::uint8_t, 128>(
                                      commit.record.data(), std::size_t{128}));
    }
    std::string order;
    for (const auto& [index, entry] : table) {
      if (entry.valid) order += entry.action == 2 ? 'P' : entry.action == 1 ? 'D' : 'B';
    }
    return order;
  };
  rte_flow* late = rule(9);
  ASSERT_NE(late, nullptr);
  rte_flow* protect = rule(5, session);
  ASSERT_NE(protect, nullptr);
  EXPECT_EQ(settle(), "PD");
  rte_flow* early = rule(1);
  ASSERT_NE(early, nullptr);
  EXPECT_EQ(settle(), "DPD");
  ASSERT_NE(rule(1), nullptr);
  EXPECT_EQ(settle(), "DDPD");
  EXPECT_EQ(rule(0), nullptr);  // the fake card holds four
  EXPECT_EQ(settle(), "DDPD");
  rte_flow_error error{};
  ASSERT_EQ(rte_flow_destroy(port_, early, &error), 0);
  EXPECT_EQ(settle(), "DPD");

  // A rule must not protect with an SA that took over the slot.
  EXPECT_EQ(rte_security_session_destroy(security(), session), 0);
  EXPECT_EQ(settle(), "DDD");
  EXPECT_EQ(rule(0, session), nullptr);
  ASSERT_EQ(rte_flow_flush(port_, &error), 0);
  EXPECT_EQ(settle(), "");
}

TEST_F(Port, ForgetsARuleThatTheCardRefused) {
  open("transport=fake");
  ASSERT_NE(rule(1), nullptr);
  card().commits_until_refusal = 1;  // the older rule moves up, the new one is refused
  EXPECT_EQ(rule(0), nullptr);
  card().commits_until_refusal = -1;
  commits(hw::Table::policy);
  rte_flow_error error{};
  ASSERT_EQ(rte_flow_flush(port_, &error), 0);
  EXPECT_EQ(commits(hw::Table::policy).size(), 2u) << "the older rule is in two entries";
  EXPECT_NE(rule(0), nullptr);
}

}  // namespace
}  // namespace saline::pmd::test
