// The policy language both ways: KAME's 24 forms, every word of the grammar, reasons and places.
#include "host/libipsec/policy_text.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <random>
#include <string>

namespace saline::libipsec {
namespace {

using pfkey::Direction;
using pfkey::Level;
using pfkey::Mode;
using pfkey::Policy;
using pfkey::PolicyRequest;
using pfkey::PolicyType;

base::Endpoint at(const char* address, std::uint16_t port = 0) {
  return {base::Address::parse(address), port};
}

struct Form {
  const char* text;
  bool valid;
};

// As a socket's policy: the text must parse and be one that a socket may have.
bool valid_for_socket(const char* text) {
  try {
    check_socket_policy(parse_policy(text));
    return true;
  } catch (const base::Error& error) {
    EXPECT_EQ(error.errno_value(), EINVAL) << text;
    return false;
  }
}

TEST(PolicyText, TheTwentyFourFormsOfKame) {
  const Form forms[] = {
      {"out ipsec", true},
      {"must_error", false},
      {"ipsec esp/transport//require", false},
      {"in ipsec must_error", false},
      {"out ipsec esp/must_error", false},
      {"out discard", false},
      {"out none", false},
      {"in entrust", true},
      {"out entrust", true},
      {"out ipsec esp", false},
      {"in ipsec ah/transport", true},
      {"in ipsec ah/tunnel", false},
      {"out ipsec ah/transport/", true},
      {"out ipsec ah/tunnel/", false},
      {"in ipsec esp / transport / 10.0.0.1-10.0.0.2", true},
      {"in ipsec esp/tunnel/::1-::2", true},
      {"in ipsec esp/tunnel/10.0.0.1-::2", false},
      {"in ipsec esp/tunnel/::1-::2/require", true},
      {"out ipsec ah/transport//use", true},
      {"out ipsec ah/transport esp/use", false},
      {"in ipsec ah/transport esp/tunnel", false},
      {"in ipsec\n\tah / transport\n\tesp / tunnel / ::1-::2", true},
      {"out ipsec\n"
       "ah/transport/::1-::2 esp/tunnel/::3-::4/use ah/transport/::5-::6/require\n"
       "ah/transport/::1-::2 esp/tunnel/::3-::4/use ah/transport/::5-::6/require\n"
       "ah/transport/::1-::2 esp/tunnel/::3-::4/use ah/transport/::5-::6/require\n",
       true},
      {"out ipsec esp/transport/fec0::10-fec0::11/use", true},
  };
  ASSERT_EQ(std::size(forms), 24U);
  for (const Form& form : forms) EXPECT_EQ(valid_for_socket(form.text), form.valid) << form.text;
  EXPECT_EQ(parse_policy(forms[22].text).requests.size(), 9U);
}

TEST(PolicyText, ReadsEveryPartOfARequest) {
  const Policy policy =
      parse_policy("in ipsec esp/tunnel/10.0.0.1[500]-10.0.0.2[any]/unique:77 ah/transport//use");
  EXPECT_EQ(policy.direction, Direction::in);
  EXPECT_EQ(policy.type, PolicyType::ipsec);
  EXPECT_EQ(policy.priority, 0x80000000U);
  ASSERT_EQ(policy.requests.size(), 2U);
  const PolicyRequest tunnel{IPPROTO_ESP, Mode::tunnel,        Level::unique,
                             77,          at("10.0.0.1", 500), at("10.0.0.2")};
  const PolicyRequest transport{IPPROTO_AH, Mode::transport, Level::use, 0, {}, {}};
  EXPECT_EQ(policy.requests[0], tunnel);
  EXPECT_EQ(policy.requests[1], transport);
}

TEST(PolicyText, ReadsEveryDirectionActionProtocolAndLevel) {
  EXPECT_EQ(parse_policy("fwd none").direction, Direction::fwd);
  EXPECT_EQ(parse_policy("fwd none").type, PolicyType::none);
  EXPECT_EQ(parse_policy("in discard").type, PolicyType::discard);
  EXPECT_EQ(parse_policy("in bypass").type, PolicyType::bypass);
  EXPECT_EQ(parse_policy("in entrust").type, PolicyType::entrust);
  const Policy levels = parse_policy(
      "out ipsec ipcomp/transport//default ipcomp/transport/ ipcomp/transport ah/transport//unique "
      "esp/transport//require");
  ASSERT_EQ(levels.requests.size(), 5U);
  EXPECT_EQ(levels.requests[0], levels.requests[1]);
  EXPECT_EQ(levels.requests[0], levels.requests[2]);
  EXPECT_EQ(levels.requests[0].proto, IPPROTO_COMP);
  EXPECT_EQ(levels.requests[3].level, Level::unique);
  EXPECT_EQ(levels.requests[3].reqid, 0U);
}

TEST(PolicyText, ReadsPriorities) {
  const auto priority = [](const std::string& spec) {
    return parse_policy("out " + spec + " none").priority;
  };
  EXPECT_EQ(priority("prio 1"), 0x7fffffffU);
  EXPECT_EQ(priority("priority - 1"), 0x80000001U);
  EXPECT_EQ(priority("prio -1"), 0x80000001U);
  EXPECT_EQ(priority("prio low"), 0xC0000000U);
  EXPECT_EQ(priority("prio def"), 0x80000000U);
  EXPECT_EQ(priority("priority high"), 0x40000000U);
  EXPECT_EQ(priority("prio high + 10"), 0x40000000U - 10);
  EXPECT_EQ(priority("prio low-10"), 0xC0000000U + 10);
  EXPECT_EQ(priority("prio 2147483648"), 0U);
  EXPECT_EQ(priority("prio - 2147483647"), 0xffffffffU);
}

TEST(PolicyText, ABareDirectionIsForDeletes) {
  const Policy policy = parse_policy("  out\n");
  EXPECT_EQ(policy.direction, Direction::out);
  EXPECT_EQ(policy.type, PolicyType::discard);
  EXPECT_EQ(policy.priority, 0U);
}

TEST(PolicyText, MeIsTheHostItself) {
  const Policy out = parse_policy("out ipsec esp/tunnel/me-any/require");
  EXPECT_EQ(out.requests[0].source, at("0.0.0.0"));
  EXPECT_EQ(out.requests[0].destination, at("0.0.0.0"));
  EXPECT_NO_THROW(parse_policy("in ipsec esp/tunnel/any-me"));
}

struct Wrong {
  const char* text;
  std::size_t offset;
  const char* reason;
};

TEST(PolicyText, RefusesWithReasonAndPlace) {
  const Wrong wrongs[] = {
      {"", 0, "direction must be in, out or fwd, but the policy ends"},
      {"inside ipsec", 0, "direction must be in, out or fwd, not 'inside'"},
      {"in protect", 3, "action must be discard, none, ipsec, bypass or entrust, not 'protect'"},
      {"in prio 5", 9,
       "action must be discard, none, ipsec, bypass or entrust, but the policy ends"},
      {"in none esp/transport", 8, "requests only follow ipsec, not 'esp'"},
      {"in ipsec udp/transport", 9, "protocol must be esp, ah or ipcomp, not 'udp'"},
      {"in ipsec esp transport", 13, "a request is protocol/mode: '/' expected, not 'transport'"},
      {"in ipsec esp/beet", 13, "mode must be transport or tunnel, not 'beet'"},
      {"in ipsec esp/tunnel//require", 9, "a tunnel needs its two addresses"},
      {"in ipsec esp/tunnel/host-10.0.0.1", 20, "a numeric address expected, not 'host'"},
      {"in ipsec esp/tunnel/10.0.0.1", 28,
       "'-' and a second address expected, but the policy ends"},
      {"in ipsec esp/tunnel/10.0.0.1-::1", 20, "the addresses are of two families"},
      {"in ipsec esp/tunnel/10.0.0.1[70000]-10.0.0.2", 29,
       "port must be any or a number of 0 to 65535, not '70000'"},
      {"in ipsec esp/transport//must", 24,
       "level must be default, use, require, unique or unique:N, not 'must'"},
      {"in ipsec esp/transport//unique:0", 24, "unique:N takes 1 to 16383, not 'unique:0'"},
      {"in ipsec esp/transport//unique:16384", 24, "unique:N takes 1 to 16383, not 'unique:16384'"},
      {"in ipsec esp/tunnel/me-any", 20, "me-any is for out policies"},
      {"out ipsec esp/tunnel/any-me", 21, "any-me is for in policies"},
      {"out prio high + 1073741825 none", 16,
       "offset of a priority must be a number of -1073741823 to 1073741824, not '1073741825'"},
      {"out prio 5000000000 none", 9,
       "priority must be low, def, high or a number of -2147483647 to 2147483648, not "
       "'5000000000'"},
      {"in ipsec esp/transport;", 22, "unexpected character"},
  };
  for (const Wrong& wrong : wrongs) {
    try {
      parse_policy(wrong.text);
      ADD_FAILURE() << "accepted: " << wrong.text;
    } catch (const PolicyTextError& error) {
      EXPECT_STREQ(error.what(), wrong.reason) << wrong.text;
      EXPECT_EQ(error.offset(), wrong.offset) << wrong.text;
    }
  }
}

TEST(PolicyText, PrintsAsSetkeyShowsIt) {
  Policy policy = parse_policy("in ipsec esp/tunnel/10.0.0.1-10.0.0.2/require ah/transport//use");
  EXPECT_EQ(print_policy(policy),
            "in prio def ipsec\n\tesp/tunnel/10.0.0.1-10.0.0.2/require\n\tah/transport//use");
  policy.priority = 0;
  policy.requests[1].reqid = 0x4000;
  EXPECT_EQ(print_policy(policy, {" ", true}),
            "in ipsec esp/tunnel/10.0.0.1[0]-10.0.0.2[0]/require ah/transport//use#16384");
  EXPECT_EQ(print_policy(parse_policy("fwd prio high - 3 discard")), "fwd prio high - 3 discard");
  EXPECT_EQ(print_policy(parse_policy("out prio 7 bypass")), "out prio def + 7 bypass");
  EXPECT_EQ(print_policy(parse_policy("out prio low none")), "out prio low none");
}

TEST(PolicyText, WhatIsPrintedReadsBack) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int i = 0; i < 2000; ++i) {
    Policy policy;
    policy.type = static_cast<PolicyType>(random() % 5);
    policy.direction = static_cast<Direction>(1 + random() % 3);
    policy.priority = static_cast<std::uint32_t>(random() | 1);
    for (auto n = policy.type == PolicyType::ipsec ? random() % 5 : 0UL; n > 0; --n) {
      PolicyRequest request;
      request.proto = (const std::uint8_t[]){50, 51, 108}[random() % 3];
      request.mode = static_cast<Mode>(1 + random() % 2);
      request.level = static_cast<Level>(random() % 4);
      if (request.level == Level::unique)
        request.reqid = static_cast<std::uint32_t>(random() % 0x4000);
      if (request.mode == Mode::tunnel || random() % 2) {
        const bool v6 = random() % 2;
        request.source = at(v6 ? "2001:db8::1" : "192.0.2.1", static_cast<uint16_t>(random()));
        request.destination = at(v6 ? "::ffff:1.2.3.4" : "255.255.255.255");
      }
      policy.requests.push_back(request);
    }
    const std::string text = print_policy(policy, {"\n", true});
    ASSERT_EQ(parse_policy(text), policy) << text;
  }
}

}  // namespace
}  // namespace saline::libipsec
