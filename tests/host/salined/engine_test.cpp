// PF_KEY requests about SAs: RFC 2367 §3.1 with Linux's errnos.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/host/salined/engine_bed.hpp"

namespace saline::daemon {
namespace {

using pfkey::Message;
using pfkey::MessageType;
using testing::ElementsAre;

TEST(EngineSa, AddedSaIsInSadAndGetShowsKeysAndPath) {
  EngineBed bed;
  bed.add(EngineBed::sa(0x1000));
  ASSERT_EQ(bed.sad.all().size(), 1u);
  EXPECT_TRUE(bed.sad.all().front()->usable());
  Message request = EngineBed::by_spi(MessageType::get, 0x1000);
  const Message reply = bed.engine.get(request, bed.client);
  EXPECT_EQ(reply.sa->spi, 0x1000u);
  EXPECT_EQ(reply.sa->state, pfkey::SaState::mature);
  ASSERT_TRUE(reply.key_encrypt);
  EXPECT_EQ(reply.key_encrypt->bytes.size(), 20u);
  EXPECT_EQ(reply.saline_path->path, pfkey::Path::card);
  EXPECT_EQ(reply.current->addtime_s, bed.now_s);
}

TEST(EngineSa, AddIsVisibleToTheDataThread) {
  EngineBed bed;
  bed.add(EngineBed::sa(0x1000));
  const ipsec::SadView* view = bed.sad.view().acquire();
  EXPECT_NE(view->find({0x1000, base::Address::parse("10.0.0.2"), ipsec::Protocol::esp}), nullptr);
  bed.sad.view().release();
}

TEST(EngineSa, SecondAddOfTheSameTripleIsRefused) {
  EngineBed bed;
  bed.add(EngineBed::sa(0x1000));
  EXPECT_EQ(errno_of([&] { bed.add(EngineBed::sa(0x1000)); }), EEXIST);
  EXPECT_EQ(bed.card.asked, 1);
  EXPECT_EQ(bed.sad.all().size(), 1u);
}

TEST(EngineSa, RefusedAddLeavesNothingBehind) {
  EngineBed bed;
  Message bad_key = EngineBed::sa(0x1000);
  bad_key.key_encrypt = pfkey::Key{136, base::Secret(std::vector<std::uint8_t>(17))};
  EXPECT_EQ(errno_of([&] { bed.add(std::move(bad_key)); }), EINVAL);
  Message unknown = EngineBed::sa(0x1000);
  unknown.sa->encrypt = 200;
  EXPECT_EQ(errno_of([&] { bed.add(std::move(unknown)); }), ENOSYS);
  Message nat = EngineBed::sa(0x1000);
  nat.nat_t_type = pfkey::kNatTNonIke;
  EXPECT_EQ(errno_of([&] { bed.add(std::move(nat)); }), EOPNOTSUPP);
  EXPECT_TRUE(bed.engine.associations().empty());
  EXPECT_TRUE(bed.sad.all().empty());
  EXPECT_EQ(bed.card.asked, 0);
}

TEST(EngineSa, RequireRefusesWhatTheCardCannotCarry) {
  EngineBed bed(OffloadMode::require);
  bed.card.refuse_all = true;
  EXPECT_EQ(errno_of([&] { bed.add(EngineBed::sa(0x1000)); }), EOPNOTSUPP);
  EXPECT_TRUE(bed.engine.associations().empty());
  EXPECT_TRUE(bed.sad.all().empty());
}

TEST(EngineSa, NeverKeepsSasOutOfTheCard) {
  EngineBed bed(OffloadMode::never);
  bed.add(EngineBed::sa(0x1000));
  EXPECT_EQ(bed.card.asked, 0);
  EXPECT_EQ(bed.entry(0x1000).placement.reason, "offload=never");
}

TEST(EngineSa, GetspiMakesALarvalSaInTheRange) {
  EngineBed bed;
  Message request = EngineBed::pair(MessageType::getspi, "10.0.0.2", "10.0.0.1");
  request.spi_range = pfkey::SpiRange{0x5000, 0x5003};
  const Message reply = bed.engine.getspi(request, bed.client);
  EXPECT_GE(reply.sa->spi, 0x5000u);
  EXPECT_LE(reply.sa->spi, 0x5003u);
  EXPECT_EQ(reply.sa->state, pfkey::SaState::larval);
  EXPECT_FALSE(bed.sad.all().front()->usable());
}

TEST(EngineSa, GetspiNeverRepeatsAndEndsWithAFullRange) {
  EngineBed bed;
  std::set<std::uint32_t> seen;
  for (int i = 0; i < 3; ++i) {
    Message request = EngineBed::pair(MessageType::getspi, "10.0.0.2", "10.0.0.1");
    request.spi_range = pfkey::SpiRange{0x5000, 0x5002};
    EXPECT_TRUE(seen.insert(bed.engine.getspi(request, bed.client).sa->spi).second);
  }
  Message request = EngineBed::pair(MessageType::getspi, "10.0.0.2", "10.0.0.1");
  request.spi_range = pfkey::SpiRange{0x5000, 0x5002};
  EXPECT_EQ(errno_of([&] { bed.engine.getspi(request, bed.client); }), EEXIST);
  request.spi_range = pfkey::SpiRange{1, 255};
  EXPECT_EQ(errno_of([&] { bed.engine.getspi(request, bed.client); }), EINVAL);
}

std::uint32_t larval(EngineBed& bed) {
  Message request = EngineBed::pair(MessageType::getspi, "10.0.0.2", "10.0.0.1");
  request.spi_range = pfkey::SpiRange{};
  return bed.engine.getspi(request, bed.client).sa->spi;
}

TEST(EngineSa, UpdateMakesALarvalSaMature) {
  EngineBed bed;
  const std::uint32_t spi = larval(bed);
  Message update = EngineBed::sa(spi, "10.0.0.2", "10.0.0.1", MessageType::update);
  EXPECT_EQ(bed.engine.update(update, bed.client).sa->state, pfkey::SaState::mature);
  ASSERT_EQ(bed.sad.all().size(), 1u);
  EXPECT_TRUE(bed.sad.all().front()->usable());
}

TEST(EngineSa, UpdateOfAnUnknownSaIsRefused) {
  EngineBed bed;
  Message update = EngineBed::sa(0x1000, "10.0.0.2", "10.0.0.1", MessageType::update);
  EXPECT_EQ(errno_of([&] { bed.engine.update(update, bed.client); }), ESRCH);
  EXPECT_TRUE(bed.sad.all().empty());
}

TEST(EngineSa, UpdateOfAMatureSaChangesItsLifetimesAlone) {
  EngineBed bed;
  bed.add(EngineBed::sa(0x1000));
  const auto before = bed.entry(0x1000).association;
  Message update = EngineBed::sa(0x1000, "10.0.0.1", "10.0.0.2", MessageType::update);
  update.hard = pfkey::Lifetime{.addtime_s = 10};
  bed.engine.update(update, bed.client);
  EXPECT_EQ(bed.entry(0x1000).association, before);
  bed.now_s += 10;
  bed.engine.tick();
  EXPECT_TRUE(bed.engine.associations().empty());
}

TEST(EngineSa, UpdateMayTightenTheLimitsOfAMatureSaButNotLoosenThem) {
  EngineBed bed;
  Message made = EngineBed::sa(0x1000);
  made.hard = pfkey::Lifetime{.allocations = 100, .bytes = 10000};
  made.soft = pfkey::Lifetime{.bytes = 5000};
  bed.add(std::move(made));
  const auto update = [&](pfkey::Lifetime hard, pfkey::Lifetime soft) {
    Message request = EngineBed::sa(0x1000, "10.0.0.1", "10.0.0.2", MessageType::update);
    request.hard = hard;
    request.soft = soft;
    return errno_of([&] { bed.engine.update(request, bed.client); });
  };
  EXPECT_EQ(update({.allocations = 101, .bytes = 10000}, {.bytes = 5000}), EINVAL);
  EXPECT_EQ(update({.allocations = 100, .bytes = 20000}, {.bytes = 5000}), EINVAL);
  EXPECT_EQ(update({.allocations = 100}, {.bytes = 5000}), EINVAL);
  EXPECT_EQ(update({.allocations = 100, .bytes = 10000}, {.bytes = 5001}), EINVAL);
  EXPECT_EQ(bed.entry(0x1000).described.hard->bytes, 10000u) << "a refused update changes nothing";
  EXPECT_EQ(update({.allocations = 50, .bytes = 9000}, {.bytes = 4000}), 0);
  bed.card.held.begin()->second = {50, 100};
  bed.engine.tick();
  EXPECT_TRUE(bed.engine.associations().empty()) << "the tighter limit holds";
}

TEST(EngineSa, TransportSasThatShareAnSpiAreBothInSoftware) {
  EngineBed bed;
  bed.engine.set_local_addresses(
      {base::Address::parse("10.0.0.1"), base::Address::parse("10.0.0.9")});
  bed.add(EngineBed::sa(0x1000, "10.0.0.2", "10.0.0.1"));
  EXPECT_TRUE(bed.entry(0x1000, "10.0.0.1").placement.card);
  bed.add(EngineBed::sa(0x1000, "10.0.0.2", "10.0.0.9"));
  for (const char* destination : {"10.0.0.1", "10.0.0.9"}) {
    const auto& entry = bed.entry(0x1000, destination);
    EXPECT_FALSE(entry.placement.card);
    EXPECT_EQ(entry.placement.reason, "another inbound SA has its SPI");
    EXPECT_FALSE(entry.association->offloaded());
    EXPECT_TRUE(entry.association->usable());
  }
  EXPECT_TRUE(bed.card.held.empty());
  bed.add(EngineBed::sa(0x1000, "10.0.0.1", "10.0.0.2"));
  EXPECT_TRUE(bed.entry(0x1000).placement.card) << "an outbound SPI is another host's";
}

TEST(EngineSa, ATunnelKeepsItsPlaceInTheCardWhoeverSharesItsSpi) {
  EngineBed bed;
  bed.engine.set_local_addresses(
      {base::Address::parse("10.0.0.1"), base::Address::parse("10.0.0.9")});
  Message tunnel = EngineBed::sa(0x1000, "10.0.0.2", "10.0.0.1");
  tunnel.sa2->mode = pfkey::Mode::tunnel;
  bed.add(std::move(tunnel));
  bed.add(EngineBed::sa(0x1000, "10.0.0.2", "10.0.0.9"));
  EXPECT_TRUE(bed.entry(0x1000, "10.0.0.1").placement.card);
  EXPECT_FALSE(bed.entry(0x1000, "10.0.0.9").placement.card);
}

TEST(EngineSa, AnSpiThatTheCardHoldsAndUsesIsNotGivenAgain) {
  for (const OffloadMode mode : {OffloadMode::prefer, OffloadMode::require}) {
    EngineBed bed(mode);
    bed.engine.set_local_addresses(
        {base::Address::parse("10.0.0.1"), base::Address::parse("10.0.0.9")});
    bed.add(EngineBed::sa(0x1000, "10.0.0.2", "10.0.0.1"));
    if (mode == OffloadMode::prefer) bed.card.held.begin()->second = {1, 100};
    EXPECT_EQ(errno_of([&] { bed.add(EngineBed::sa(0x1000, "10.0.0.2", "10.0.0.9")); }), EEXIST);
    EXPECT_EQ(bed.engine.associations().size(), 1u);
    EXPECT_TRUE(bed.entry(0x1000, "10.0.0.1").placement.card);
  }
}

TEST(EngineSa, LarvalSaGoesAfterThirtySeconds) {
  EngineBed bed;
  larval(bed);
  bed.now_s += 29;
  bed.engine.tick();
  EXPECT_EQ(bed.sad.all().size(), 1u);
  bed.now_s += 1;
  bed.engine.tick();
  EXPECT_TRUE(bed.sad.all().empty());
}

TEST(EngineSa, LarvalSaGoesWithItsSocketAndMatureOnesStay) {
  EngineBed bed;
  larval(bed);
  bed.add(EngineBed::sa(0x1000));
  bed.engine.session_closed({.session = 2});
  EXPECT_EQ(bed.sad.all().size(), 2u);
  bed.engine.session_closed(bed.client);
  ASSERT_EQ(bed.sad.all().size(), 1u);
  EXPECT_EQ(bed.sad.all().front()->id().spi, 0x1000u);
}

TEST(EngineSa, DeleteTakesTheSaOutOfCardAndSad) {
  EngineBed bed;
  bed.add(EngineBed::sa(0x1000));
  const auto sa = bed.sad.all().front();
  Message request = EngineBed::by_spi(MessageType::del, 0x1000);
  bed.engine.del(request, bed.client);
  EXPECT_TRUE(bed.card.held.empty());
  EXPECT_TRUE(bed.sad.all().empty());
  EXPECT_FALSE(sa->usable());
  EXPECT_EQ(errno_of([&] { bed.engine.del(request, bed.client); }), ESRCH);
}

TEST(EngineSa, DeleteWithoutSpiTakesAllOfThePairButLarvalOnes) {
  EngineBed bed;
  const std::uint32_t spi = larval(bed);
  bed.add(EngineBed::sa(0x1000, "10.0.0.2", "10.0.0.1"));
  bed.add(EngineBed::sa(0x1001, "10.0.0.2", "10.0.0.1"));
  bed.add(EngineBed::sa(0x1002));
  Message request = EngineBed::pair(MessageType::del, "10.0.0.2", "10.0.0.1");
  bed.engine.del(request, bed.client);
  std::set<std::uint32_t> left;
  for (const auto& sa : bed.sad.all()) left.insert(sa->id().spi);
  EXPECT_EQ(left, (std::set<std::uint32_t>{spi, 0x1002}));
  EXPECT_EQ(errno_of([&] { bed.engine.del(request, bed.client); }), ESRCH);
}

TEST(EngineSa, FlushOfOneTypeLeavesTheOther) {
  EngineBed bed;
  bed.add(EngineBed::sa(0x1000));
  Message ah(MessageType::flush);
  ah.satype = pfkey::SaType::ah;
  bed.engine.flush(ah, bed.client);
  EXPECT_EQ(bed.sad.all().size(), 1u);
  Message all(MessageType::flush);
  bed.engine.flush(all, bed.client);
  EXPECT_TRUE(bed.sad.all().empty());
  EXPECT_TRUE(bed.card.held.empty());
}

TEST(EngineSa, DumpLeavesOutWhatVanishedMeanwhile) {
  EngineBed bed;
  for (std::uint32_t spi : {0x1000, 0x1001, 0x1002}) bed.add(EngineBed::sa(spi));
  Message request(MessageType::dump);
  const auto dump = bed.engine.dump(request, bed.client);
  EXPECT_EQ(dump->next()->sa->spi, 0x1000u);
  Message deletion = EngineBed::by_spi(MessageType::del, 0x1001);
  bed.engine.del(deletion, bed.client);
  EXPECT_EQ(dump->next()->sa->spi, 0x1002u);
  EXPECT_FALSE(dump->next());
}

TEST(EngineSa, DumpShowsOnlyTheTypeAskedFor) {
  EngineBed bed;
  bed.add(EngineBed::sa(0x1000));
  Message request(MessageType::dump);
  request.satype = pfkey::SaType::ah;
  EXPECT_FALSE(bed.engine.dump(request, bed.client)->next());
}

TEST(EngineSa, CountersOfTheCardAreTheSas) {
  EngineBed bed;
  bed.add(EngineBed::sa(0x1000));
  bed.card.held.begin()->second = {7, 700};
  Message request = EngineBed::by_spi(MessageType::get, 0x1000);
  const Message reply = bed.engine.get(request, bed.client);
  EXPECT_EQ(reply.current->allocations, 7u);
  EXPECT_EQ(reply.current->bytes, 700u);
  EXPECT_EQ(reply.current->usetime_s, bed.now_s);
}

// RFC 8221: MUST NOT, unless the operator says so.
TEST(EngineSa, LegacyAlgorithmsNeedLeave) {
  const auto old_sa = [](std::uint8_t encrypt, std::uint16_t bits) {
    Message message = EngineBed::sa(0x1000);
    message.sa->encrypt = encrypt;
    message.key_encrypt = pfkey::Key{bits, base::Secret(std::vector<std::uint8_t>(bits / 8, 0x37))};
    message.sa->auth = 5;
    message.key_auth = pfkey::Key{256, base::Secret(std::vector<std::uint8_t>(32))};
    return message;
  };
  for (const auto& [encrypt, bits] : {std::pair<std::uint8_t, std::uint16_t>{6, 128}, {7, 448}}) {
    EngineBed strict;
    EXPECT_EQ(errno_of([&] { strict.add(old_sa(encrypt, bits)); }), EPERM);
    EXPECT_TRUE(strict.engine.associations().empty());
    EngineBed lenient(OffloadMode::prefer, true);
    lenient.add(old_sa(encrypt, bits));
    EXPECT_EQ(lenient.engine.associations().size(), 1u);
  }
}

// Every number once, with the range that setkey and racoon check keys against.
TEST(EngineSa, RegisterListsEveryRow) {
  EngineBed bed;
  Message request(MessageType::reg);
  request.satype = pfkey::SaType::esp;
  const Message reply = bed.engine.reg(request, bed.client);
  std::set<const crypto::Algorithm*> listed;
  for (const auto& entry : *reply.supported_auth)
    EXPECT_TRUE(listed.insert(crypto::find_integrity(entry.id)).second) << int{entry.id};
  for (const auto& entry : *reply.supported_encrypt) {
    const crypto::Algorithm* row = crypto::find_encryption(entry.id);
    ASSERT_NE(row, nullptr) << int{entry.id};
    EXPECT_TRUE(listed.insert(row).second) << row->name;
    EXPECT_EQ(entry.min_bits, row->key_bits_min) << row->name;
    EXPECT_EQ(entry.max_bits, row->key_bits_max) << row->name;
    EXPECT_EQ(entry.iv_bytes, row->iv_bytes) << row->name;
  }
  for (const crypto::Algorithm& row : crypto::algorithms())
    EXPECT_EQ(listed.contains(&row), row.kind != crypto::Kind::compression && row.pfkey_flags == 0)
        << row.name;
}

TEST(EngineSa, RegisterListsAlgorithms) {
  EngineBed bed;
  Message request(MessageType::reg);
  request.satype = pfkey::SaType::esp;
  const Message reply = bed.engine.reg(request, bed.client);
  const auto has = [](const auto& list, std::uint8_t id) {
    return std::any_of(list->begin(), list->end(), [&](const auto& row) { return row.id == id; });
  };
  EXPECT_TRUE(has(reply.supported_auth, 3));      // hmac-sha1
  EXPECT_TRUE(has(reply.supported_encrypt, 12));  // aes-cbc
  EXPECT_TRUE(has(reply.supported_encrypt, 20));  // aes-gcm-16
  EXPECT_FALSE(has(reply.supported_encrypt, 3 + 200));
}

TEST(EngineSa, DestroyAllEmptiesCardAndSad) {
  EngineBed bed;
  for (std::uint32_t spi : {0x1000, 0x1001}) bed.add(EngineBed::sa(spi));
  bed.engine.destroy_all();
  EXPECT_TRUE(bed.card.held.empty());
  EXPECT_TRUE(bed.sad.all().empty());
}

TEST(Placement, DirectionFollowsTheAddressesOfThisHost) {
  EngineBed bed;
  bed.add(EngineBed::sa(0x1000));
  bed.add(EngineBed::sa(0x1001, "10.0.0.2", "10.0.0.1"));
  EXPECT_EQ(bed.entry(0x1000).role.direction, SaDirection::outbound);
  EXPECT_EQ(bed.entry(0x1001, "10.0.0.1").role.direction, SaDirection::inbound);
}

TEST(Placement, AddressesThatComeLaterTurnAnUnusedSa) {
  EngineBed bed;
  bed.engine.set_local_addresses({});
  bed.add(EngineBed::sa(0x1001, "10.0.0.2", "10.0.0.1"));
  EXPECT_EQ(bed.entry(0x1001, "10.0.0.1").role.direction, SaDirection::outbound);
  bed.engine.set_local_addresses({base::Address::parse("10.0.0.1")});
  EXPECT_EQ(bed.entry(0x1001, "10.0.0.1").role.direction, SaDirection::inbound);
  const auto* sa = bed.entry(0x1001, "10.0.0.1").association.get();
  EXPECT_EQ(bed.card.roles.at(sa).direction, SaDirection::inbound);
  EXPECT_EQ(bed.card.removed, 1u);
}

// An unused SA turns with the address; a used one stays in the card, where its number is, and the
// software path takes nothing for it meanwhile.
TEST(Placement, D13AMovedAddressTurnsUnusedSasAndUsedOnesFailClosed) {
  EngineBed bed;
  bed.add(EngineBed::sa(0x1001, "10.0.0.2", "10.0.0.1"));
  bed.card.held.begin()->second = {1, 100};
  bed.add(EngineBed::sa(0x1002, "10.0.0.2", "10.0.0.1"));
  bed.engine.set_local_addresses({base::Address::parse("10.0.0.77")});
  EXPECT_EQ(bed.entry(0x1002, "10.0.0.1").role.direction, SaDirection::outbound);
  EXPECT_EQ(bed.entry(0x1001, "10.0.0.1").role.direction, SaDirection::inbound);
  EXPECT_TRUE(bed.entry(0x1001, "10.0.0.1").association->offloaded());
  bed.engine.set_local_addresses({base::Address::parse("10.0.0.1")});
  EXPECT_EQ(bed.entry(0x1002, "10.0.0.1").role.direction, SaDirection::inbound);
}

TEST(Placement, SaInsideABundleStaysOutOfTheCard) {
  EngineBed bed;
  Message bundle = EngineBed::policy({EngineBed::transport(50), EngineBed::transport(51)});
  bed.engine.spdadd(bundle, bed.client);
  bed.add(EngineBed::sa(0x1000));
  EXPECT_FALSE(bed.entry(0x1000).placement.card);
  EXPECT_EQ(bed.entry(0x1000).placement.reason, "not outermost in a bundle");
  bed.add(EngineBed::sa(0x1001, "10.0.0.1", "10.0.0.3"));
  EXPECT_TRUE(bed.entry(0x1001, "10.0.0.3").placement.card) << "another peer's SA is not concerned";
}

// What of an IPComp tunnel was too small to compress is IP in IP, which the card takes in tunnel
// mode alone.
TEST(Placement, AroundAnIpcompTunnelIsSaid) {
  EngineBed bed;
  pfkey::PolicyRequest tunnel = EngineBed::transport(108);
  tunnel.mode = pfkey::Mode::tunnel;
  tunnel.source = base::Endpoint{base::Address::parse("10.0.0.1"), 0};
  tunnel.destination = base::Endpoint{base::Address::parse("10.0.0.2"), 0};
  Message bundle = EngineBed::policy({tunnel, EngineBed::transport(50)});
  bed.engine.spdadd(bundle, bed.client);
  bed.add(EngineBed::sa(0x1000));
  EXPECT_TRUE(bed.entry(0x1000).role.around_ipcomp_tunnel);
  EXPECT_FALSE(bed.entry(0x1000).role.inside_bundle);
}

TEST(Placement, BundlePolicyMovesAnUnusedSaOutAndItsEndMovesItBack) {
  EngineBed bed;
  bed.add(EngineBed::sa(0x1000));
  Message bundle = EngineBed::policy({EngineBed::transport(50), EngineBed::transport(51)});
  bed.engine.spdadd(bundle, bed.client);
  EXPECT_FALSE(bed.entry(0x1000).placement.card);
  EXPECT_FALSE(bed.entry(0x1000).association->offloaded());
  Message flush(MessageType::spdflush);
  bed.engine.spdflush(flush, bed.client);
  EXPECT_TRUE(bed.entry(0x1000).placement.card);
}

TEST(Placement, UsedSaStaysWhereItsSequenceNumberIs) {
  EngineBed bed;
  bed.add(EngineBed::sa(0x1000));
  bed.card.held.begin()->second = {1, 100};
  Message bundle = EngineBed::policy({EngineBed::transport(50), EngineBed::transport(51)});
  bed.engine.spdadd(bundle, bed.client);
  EXPECT_TRUE(bed.entry(0x1000).placement.card);
  EXPECT_TRUE(bed.entry(0x1000).association->offloaded());
}

TEST(Placement, OutermostOfABundleMayBeInTheCard) {
  EngineBed bed;
  Message bundle = EngineBed::policy({EngineBed::transport(51), EngineBed::transport(50)});
  bed.engine.spdadd(bundle, bed.client);
  bed.add(EngineBed::sa(0x1000));
  EXPECT_TRUE(bed.entry(0x1000).placement.card);
}

}  // namespace
}  // namespace saline::daemon
