// The policy language: what parses, prints; and what is printed parses to the same policy, but for
// ids that nobody may write.
#include <string>

#include "host/libipsec/policy_text.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace saline::fuzz {

void one(Input input) {
  const Bytes bytes = input.rest();
  const std::string text(bytes.begin(), bytes.end());
  try {
    const pfkey::Policy policy = libipsec::parse_policy(text);
    libipsec::PolicyStyle style;
    style.ports = true;
    const std::string printed = libipsec::print_policy(policy, style);
    pfkey::Policy again = libipsec::parse_policy(printed);
    SALINE_REQUIRE(again.requests.size() == policy.requests.size(), "requests were lost");
    for (std::size_t i = 0; i < again.requests.size(); ++i)
      again.requests[i].reqid = policy.requests[i].reqid;
    again.id = policy.id;
    if (policy.priority == 0) again.priority = 0;  // is not shown
    SALINE_REQUIRE(again == policy, "another policy");
  } catch (const libipsec::PolicyTextError& error) {
    SALINE_REQUIRE(error.offset() <= text.size(), "an error beyond the text");
  }
}

std::vector<Bytes> seeds() {
  std::vector<Bytes> all;
  for (const std::string& text : std::initializer_list<std::string>{
           "out ipsec", "in entrust", "fwd bypass", "in discard", "out none", "in",
           "out ipsec ah/transport", "in ipsec ah/transport//use",
           "out ipsec esp / transport / 10.0.0.1-10.0.0.2",
           "in ipsec esp/tunnel/::1-::2/require ah/transport//unique:7",
           "out prio low + 10 ipsec esp/tunnel/10.0.0.1[4500]-10.0.0.2[4500]/unique",
           "out priority -5 ipsec ipcomp/transport//use\n\tesp/transport//require",
           "out ipsec esp/tunnel/me-any/require", "in ipsec esp/tunnel/any-me/require",
           "in priority 100 discard"})
    all.emplace_back(text.begin(), text.end());
  return all;
}

}  // namespace saline::fuzz
