// Which requests carry what they need.
#include "host/pfkey/request.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <functional>
#include <string>

#include "host/base/error.hpp"
#include "tests/host/pfkey/samples.hpp"

namespace saline::pfkey {
namespace {

std::string verdict(Message message) {
  try {
    check_request(message);
    return "ok";
  } catch (const base::Error& error) {
    EXPECT_EQ(error.errno_value(), EINVAL);
    return error.what();
  }
}

std::string add_with(const std::function<void(Message&)>& change) {
  Message m = sample_add();
  change(m);
  return verdict(std::move(m));
}

TEST(PfkeyRequest, AddNeedsItsParts) {
  EXPECT_EQ(add_with([](Message&) {}), "ok");
  EXPECT_EQ(add_with([](Message& m) { m.sa.reset(); }), "ADD: no SA");
  EXPECT_EQ(add_with([](Message& m) { m.sa->spi = 0; }), "ADD: SPI 0 is reserved");
  EXPECT_EQ(add_with([](Message& m) { m.source.reset(); }), "ADD: no source address");
  EXPECT_EQ(add_with([](Message& m) { m.destination.reset(); }), "ADD: no destination address");
  EXPECT_EQ(add_with([](Message& m) { m.key_encrypt.reset(); }), "ADD: no encryption key");
  EXPECT_EQ(add_with([](Message& m) { m.key_encrypt = Key{}; }), "ok");
  EXPECT_EQ(add_with([](Message& m) { m.key_auth.reset(); }), "ok");
  EXPECT_EQ(add_with([](Message& m) { m.satype = SaType::unspec; }),
            "ADD: SA type must be AH, ESP or IPCOMP");
  EXPECT_EQ(add_with([](Message& m) { m.satype = SaType::rsvp; }),
            "ADD: SA type must be AH, ESP or IPCOMP");
  EXPECT_EQ(add_with([](Message& m) {
              m.satype = SaType::ah;
              m.key_auth.reset();
            }),
            "ADD: no authentication key");
  EXPECT_EQ(add_with([](Message& m) {
              m.satype = SaType::ipcomp;
              m.sa->spi = 0x10000;
            }),
            "ADD: a CPI has 16 bits");
}

TEST(PfkeyRequest, ASoftLifetimeIsNotAboveTheHardOne) {
  const auto lifetimes = [](Lifetime soft, Lifetime hard) {
    return add_with([&](Message& m) {
      m.soft = soft;
      m.hard = hard;
    });
  };
  const std::string above = "ADD: soft lifetime above the hard one";
  EXPECT_EQ(lifetimes({1, 1, 1, 1}, {1, 1, 1, 1}), "ok");
  EXPECT_EQ(lifetimes({9, UINT64_MAX, 9, 9}, {}), "ok");  // 0 is no limit
  EXPECT_EQ(lifetimes({2, 0, 0, 0}, {1, 0, 0, 0}), above);
  EXPECT_EQ(lifetimes({0, UINT64_MAX, 0, 0}, {0, 1, 0, 0}), above);
  EXPECT_EQ(lifetimes({0, 0, 2, 0}, {0, 0, 1, 0}), above);
  EXPECT_EQ(lifetimes({0, 0, 0, 2}, {0, 0, 0, 1}), above);
}

TEST(PfkeyRequest, GetspiGetsTheDefaultRange) {
  Message m(MessageType::getspi);
  m.satype = SaType::esp;
  m.source = address("10.0.0.1", 32);
  m.destination = address("10.0.0.2", 32);
  check_request(m);
  EXPECT_EQ(m.spi_range, (SpiRange{0x100, 0x0fffffff}));
  m.spi_range = SpiRange{5, 4};
  EXPECT_EQ(verdict(std::move(m)), "GETSPI: SPI range is reversed");
}

std::string policy_with(const std::function<void(Message&)>& change) {
  Message m = sample_spdadd();
  change(m);
  return verdict(std::move(m));
}

TEST(PfkeyRequest, PoliciesNeedTheirParts) {
  EXPECT_EQ(policy_with([](Message&) {}), "ok");
  EXPECT_EQ(policy_with([](Message& m) { m.policy.reset(); }), "X_SPDADD: no policy");
  EXPECT_EQ(policy_with([](Message& m) { m.policy->direction = Direction::any; }),
            "X_SPDADD: policy without direction");
  EXPECT_EQ(policy_with([](Message& m) { m.source.reset(); }), "X_SPDADD: no source address");
  EXPECT_EQ(policy_with([](Message& m) { m.source->proto = 17; }),
            "X_SPDADD: two upper-layer protocols");
  EXPECT_EQ(policy_with([](Message& m) { m.policy->type = PolicyType::entrust; }),
            "X_SPDADD: entrust and bypass are for sockets");
  EXPECT_EQ(policy_with([](Message& m) { m.policy->requests.clear(); }),
            "X_SPDADD: an ipsec policy has requests, others have none");
  EXPECT_EQ(policy_with([](Message& m) { m.policy->type = PolicyType::discard; }),
            "X_SPDADD: an ipsec policy has requests, others have none");
}

TEST(PfkeyRequest, DeletesByPairOrSpiAndGetsById) {
  Message del(MessageType::del);
  del.satype = SaType::esp;
  del.source = address("10.0.0.1", 32);
  del.destination = address("10.0.0.2", 32);
  EXPECT_EQ(verdict(del.clone()), "ok");
  del.type = MessageType::get;
  EXPECT_EQ(verdict(std::move(del)), "GET: no SA");
  Message get(MessageType::spdget);
  EXPECT_EQ(verdict(get.clone()), "X_SPDGET: no policy");
  get.policy.emplace();
  EXPECT_EQ(verdict(get.clone()), "X_SPDGET: no policy id");
  get.policy->id = 9;
  EXPECT_EQ(verdict(std::move(get)), "ok");
}

TEST(PfkeyRequest, MigratePairsAreOfOneFamily) {
  Message m = sample_spdadd();
  m.type = MessageType::migrate;
  EXPECT_EQ(verdict(m.clone()), "X_MIGRATE: requests must come in pairs, old and new");
  m.policy->requests.push_back(m.policy->requests[0]);
  EXPECT_EQ(verdict(m.clone()), "ok");
  m.policy->requests[1].source->address = base::Address::parse("::1");
  EXPECT_EQ(verdict(m.clone()), "X_MIGRATE: requests of two families");
}

TEST(PfkeyRequest, WhatOnlyTheDaemonSendsIsNoRequest) {
  for (const MessageType type : {MessageType::expire, MessageType::pchange, MessageType::spdacquire,
                                 MessageType::spdexpire, MessageType::nat_t_new_mapping}) {
    Message m = sample_add();
    m.type = type;
    try {
      check_request(m);
      ADD_FAILURE() << name(type);
    } catch (const base::Error& error) {
      EXPECT_EQ(error.errno_value(), EOPNOTSUPP);
    }
  }
}

}  // namespace
}  // namespace saline::pfkey
