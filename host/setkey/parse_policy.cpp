// Statements about policies: spdadd, spdupdate, spddelete.
#include <netdb.h>
#include <netinet/in.h>

#include <algorithm>

#include "host/libipsec/policy_text.hpp"
#include "host/setkey/parser.hpp"

namespace saline::setkey {

using pfkey::Direction;
using pfkey::MessageType;

// In RFC mode an in policy holds for forwarded packets, too: it is sent a second time for fwd,
// where unique becomes require, as forwarding has no SAs of its own to be bound to.
void Parser::policy_statement(Statement& out, MessageType type) {
  pfkey::Message message(type);
  if (peek() == "tagged") fail("tagged policies need a packet filter that tags: not supported");
  flags();
  addresses(message, Form::range);
  upper_protocol(message);
  if (accept("-ctx")) security_context(message);
  if (!accept("-P")) fail("-P and a policy expected");
  message.policy = policy();
  const bool copy = message.policy->direction == Direction::in && !options_.kernel_mode;
  if (copy) {
    pfkey::Message forward = message.clone();
    forward.policy->direction = Direction::fwd;
    for (pfkey::PolicyRequest& request : forward.policy->requests) {
      if (request.level != pfkey::Level::unique) continue;
      request.level = pfkey::Level::require;
      request.reqid = 0;
    }
    out.requests.push_back({std::move(message)});
    out.requests.push_back({std::move(forward), true});
  } else {
    out.requests.push_back({std::move(message)});
  }
}

namespace {

int protocol_by_name(const std::string& name) {
  if (name == "any") return pfkey::kUpperAny;
  if (name == "icmp6" || name == "ipv6-icmp") return IPPROTO_ICMPV6;
  if (name == "ip4") return IPPROTO_IPIP;
  if (name == "tcp") return IPPROTO_TCP;
  if (name == "udp") return IPPROTO_UDP;
  if (name == "icmp") return IPPROTO_ICMP;
  if (name == "gre") return IPPROTO_GRE;
  if (name == "sctp") return IPPROTO_SCTP;
  const protoent* entry = ::getprotobyname(name.c_str());
  return entry ? entry->p_proto : -1;
}

}  // namespace

// ICMP type and code, and the halves of a GRE key, travel in the two ports.
void Parser::upper_protocol(pfkey::Message& message) {
  const std::string word(take("upper-layer protocol").text);
  int proto = protocol_by_name(word);
  if (proto < 0) {
    if (!std::ranges::all_of(word, [](char c) { return c >= '0' && c <= '9'; }))
      fail_before("unknown upper-layer protocol " + shown(word));
    proto = static_cast<int>(number_of(word, "upper-layer protocol", 255));
  }
  message.source->proto = message.destination->proto = static_cast<std::uint8_t>(proto);
  if (at_statement_end() || at_option()) return;
  const std::string more(take("selector").text);
  std::uint16_t &first = message.source->endpoint.port,
                &second = message.destination->endpoint.port;
  const std::size_t comma = more.find(',');
  if ((proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6) && comma != more.npos) {
    first = static_cast<std::uint16_t>(number_of(more.substr(0, comma), "ICMP type", 255));
    second = static_cast<std::uint16_t>(number_of(more.substr(comma + 1), "ICMP code", 255));
  } else if (proto == IPPROTO_GRE && std::ranges::count(more, '.') == 3) {
    base::Address key;
    try {
      key = base::Address::parse(more);
    } catch (const base::Error&) {
      fail_before("a GRE key is a dotted quad, not " + shown(more));
    }
    first = static_cast<std::uint16_t>(key.bytes[0] << 8 | key.bytes[1]);
    second = static_cast<std::uint16_t>(key.bytes[2] << 8 | key.bytes[3]);
  } else {
    fail_before(shown(more) + " is no ICMP type,code and no GRE key; -P expected");
  }
}

// The words up to ';', put together again for the policy language, whose errors find their line.
pfkey::Policy Parser::policy() {
  const std::size_t first = next_;
  std::string text;
  std::vector<std::size_t> starts;
  while (!at_statement_end()) {
    starts.push_back(text.size());
    text += take("policy").text;
    text += ' ';
  }
  if (!text.empty()) text.pop_back();
  try {
    return libipsec::parse_policy(text);
  } catch (const libipsec::PolicyTextError& error) {
    const auto after = std::ranges::upper_bound(starts, error.offset());
    const std::size_t word = after == starts.begin() ? 0 : after - starts.begin() - 1;
    const std::size_t token = std::min(first + word, tokens_.size() - 1);
    throw SyntaxError(tokens_[token].line, "policy: " + std::string(error.what()));
  }
}

}  // namespace saline::setkey
