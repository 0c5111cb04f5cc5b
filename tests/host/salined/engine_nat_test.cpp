// SAs beyond plain AH and ESP through PF_KEY: ESP in UDP with its events, IPComp, the old formats,
// and who carries them.
#include <gtest/gtest.h>

#include <cerrno>

#include "host/ipsec/udp_encapsulation.hpp"
#include "host/salined/convert.hpp"
#include "tests/host/salined/engine_bed.hpp"

namespace saline::daemon {

namespace {

using pfkey::Message;

Message udp_sa(std::uint32_t spi, const std::string& source, const std::string& destination,
               std::uint16_t source_port, std::uint16_t destination_port) {
  Message message = EngineBed::sa(spi, source, destination);
  message.nat_t_type = pfkey::kNatTEspInUdp;
  message.nat_t_source_port = source_port;
  message.nat_t_destination_port = destination_port;
  return message;
}

Message ipcomp_sa(std::uint32_t cpi) {
  Message message = EngineBed::pair(pfkey::MessageType::add, "10.0.0.1", "10.0.0.2");
  message.satype = pfkey::SaType::ipcomp;
  message.sa = pfkey::Sa{.spi = cpi, .state = pfkey::SaState::mature, .encrypt = 2};
  message.sa2 = pfkey::Sa2{pfkey::Mode::transport, 0, 0};
  return message;
}

}  // namespace

TEST(EngineNat, PortsAreOpenWhileAnInboundSaNamesThem) {
  EngineBed bed;
  const auto& ports = [&]() -> const ipsec::EncapsulationPorts& {
    return bed.engine.encapsulation_ports().newest();
  };
  EXPECT_TRUE(ports().contains(4500));
  bed.add(udp_sa(0x1001, "10.0.0.1", "10.0.0.2", 4500, 7777));
  EXPECT_FALSE(ports().contains(7777)) << "the peer's port is not ours";
  bed.add(udp_sa(0x1002, "10.0.0.2", "10.0.0.1", 7777, 6000));
  bed.add(udp_sa(0x1003, "10.0.0.2", "10.0.0.1", 7777, 6000));
  EXPECT_TRUE(ports().contains(6000));
  Message first = EngineBed::by_spi(pfkey::MessageType::del, 0x1002, "10.0.0.2", "10.0.0.1");
  bed.engine.del(first, bed.client);
  EXPECT_TRUE(ports().contains(6000));
  Message second = EngineBed::by_spi(pfkey::MessageType::del, 0x1003, "10.0.0.2", "10.0.0.1");
  bed.engine.del(second, bed.client);
  EXPECT_FALSE(ports().contains(6000));
}

TEST(EngineNat, AMovedPeerIsAnnouncedAsLinuxDoes) {
  EngineBed bed;
  bed.add(udp_sa(0x1001, "10.0.0.1", "10.0.0.2", 4500, 4500));
  bed.add(udp_sa(0x1002, "10.0.0.2", "10.0.0.1", 4500, 4500));
  ipsec::SecurityAssociation& sa = *bed.entry(0x1002, "10.0.0.1").association;
  const ipsec::PeerMapping moved{base::Address::parse("10.0.0.77"), 61000};
  sa.peer_seen(moved);
  bed.ears.registered_heard.clear();
  bed.engine.take_events();
  ASSERT_EQ(bed.ears.registered_heard.size(), 1u);
  const Message& news = bed.ears.registered_heard[0];
  EXPECT_EQ(news.type, pfkey::MessageType::nat_t_new_mapping);
  EXPECT_EQ(news.sa->spi, 0x1002u);
  EXPECT_EQ(news.source->endpoint.address.to_string(), "10.0.0.2");
  EXPECT_EQ(news.nat_t_source_port, 4500);
  EXPECT_EQ(news.destination->endpoint.address.to_string(), "10.0.0.77");
  EXPECT_EQ(news.nat_t_destination_port, 61000);
  EXPECT_NO_THROW(pfkey::encode(news));
  EXPECT_FALSE(bed.entry(0x1001).association->mapping().present()) << "nobody is followed unasked";
  bed.engine.take_events();
  EXPECT_EQ(bed.ears.registered_heard.size(), 1u) << "once per move";
}

TEST(EngineNat, TheWayBackFollowsWhereTheOperatorSaysSo) {
  EngineBed bed(OffloadMode::prefer, false, {.follow_peer = true});
  bed.add(udp_sa(0x1001, "10.0.0.1", "10.0.0.2", 4500, 4500));
  bed.add(udp_sa(0x1002, "10.0.0.2", "10.0.0.1", 4500, 4500));
  const ipsec::PeerMapping moved{base::Address::parse("10.0.0.77"), 61000};
  bed.entry(0x1002, "10.0.0.1").association->peer_seen(moved);
  bed.engine.take_events();
  ipsec::PeerMapping now;
  ASSERT_TRUE(bed.entry(0x1001).association->mapping().get(now));
  EXPECT_EQ(now, moved);
}

TEST(EngineNat, KeepalivesAreMadeForIdleOutboundSasOnly) {
  EngineBed bed(OffloadMode::prefer, false, {.keepalive_interval_s = 20});
  bed.add(udp_sa(0x1001, "10.0.0.1", "10.0.0.2", 4500, 4500));
  bed.add(udp_sa(0x1002, "10.0.0.2", "10.0.0.1", 4500, 4500));
  bed.engine.tick();
  EXPECT_EQ(bed.engine.take_keepalives().size(), 1u);
  bed.now_s += 19;
  bed.engine.tick();
  EXPECT_EQ(bed.engine.take_keepalives().size(), 0u);
  bed.now_s += 1;
  bed.entry(0x1001).association->account(1, bed.now_s - 5);
  bed.engine.tick();
  EXPECT_EQ(bed.engine.take_keepalives().size(), 0u) << "it has sent something";
  bed.now_s += 15;
  bed.engine.tick();
  EXPECT_EQ(bed.engine.take_keepalives().size(), 1u);
}

TEST(EngineNat, WhatUdpCannotBeIsRefused) {
  EngineBed bed;
  const auto refused = [&](Message message) {
    return errno_of([&] { bed.add(std::move(message)); });
  };
  Message draft = udp_sa(0x1001, "10.0.0.1", "10.0.0.2", 4500, 4500);
  draft.nat_t_type = pfkey::kNatTNonIke;
  EXPECT_EQ(refused(std::move(draft)), EOPNOTSUPP);
  Message portless = udp_sa(0x1001, "10.0.0.1", "10.0.0.2", 4500, 4500);
  portless.nat_t_source_port.reset();
  EXPECT_EQ(refused(std::move(portless)), EINVAL);
}

TEST(EngineIpcomp, SasAreAddedShownAndDeleted) {
  EngineBed bed;
  const Message answer = bed.add(ipcomp_sa(0x1234));
  EXPECT_EQ(answer.satype, pfkey::SaType::ipcomp);
  EXPECT_EQ(answer.sa->encrypt, 2);
  Message lzs = ipcomp_sa(0x1235);
  lzs.sa->encrypt = 3;
  EXPECT_EQ(errno_of([&] { bed.add(std::move(lzs)); }), ENOSYS);
  EXPECT_EQ(errno_of([&] { bed.add(ipcomp_sa(0x12345)); }), EINVAL);
  Message raw = ipcomp_sa(0x12345);
  raw.sa->flags = pfkey::kSaFlagRawCpi;
  EXPECT_NO_THROW(bed.add(std::move(raw)));
  Message request = EngineBed::by_spi(pfkey::MessageType::del, 0x1234);
  request.satype = pfkey::SaType::ipcomp;
  EXPECT_NO_THROW(bed.engine.del(request, bed.client));
}

TEST(EngineOldFormats, NeedTheOperatorsWord) {
  const auto old_esp = [] {
    Message message = EngineBed::sa(0x1001);
    message.sa->encrypt = 2;
    message.sa->replay = 0;
    message.sa->flags = pfkey::kSaFlagOld | pfkey::kSaFlagIv4Bytes;
    const std::vector<std::uint8_t> key{0x13, 0x34, 0x57, 0x79, 0x9B, 0xBC, 0xDF, 0xF1};
    message.key_encrypt = pfkey::Key{64, base::Secret(key)};
    return message;
  };
  EngineBed strict;
  EXPECT_NE(errno_of([&] { strict.add(old_esp()); }), 0);
  EngineBed lenient(OffloadMode::prefer, true);
  lenient.add(old_esp());
  EXPECT_EQ(lenient.entry(0x1001).association->config().encryption->name, "des-32iv");
}

}  // namespace saline::daemon
