// Recursive descent over the tokens of the policy language; the grammar stands in policy_text.hpp,
// one function per rule.
#include "host/libipsec/policy_text.hpp"

#include <netinet/in.h>

#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <optional>
#include <vector>

namespace saline::libipsec {
namespace {

using pfkey::Direction;
using pfkey::Level;
using pfkey::Mode;
using pfkey::Policy;
using pfkey::PolicyRequest;
using pfkey::PolicyType;

constexpr std::uint32_t kPriorityHigh = 0x40000000;
constexpr std::uint32_t kPriorityLow = 0xC0000000;

template <typename Value>
struct Word {
  std::string_view text;
  Value value;
};

constexpr Word<Direction> kDirections[] = {
    {"in", Direction::in}, {"out", Direction::out}, {"fwd", Direction::fwd}};
constexpr Word<PolicyType> kActions[] = {{"discard", PolicyType::discard},
                                         {"none", PolicyType::none},
                                         {"ipsec", PolicyType::ipsec},
                                         {"entrust", PolicyType::entrust},
                                         {"bypass", PolicyType::bypass}};
constexpr Word<std::uint8_t> kProtocols[] = {
    {"esp", IPPROTO_ESP}, {"ah", IPPROTO_AH}, {"ipcomp", IPPROTO_COMP}};
constexpr Word<Mode> kModes[] = {{"transport", Mode::transport}, {"tunnel", Mode::tunnel}};
constexpr Word<Level> kLevels[] = {{"default", Level::use_default},
                                   {"use", Level::use},
                                   {"require", Level::require},
                                   {"unique", Level::unique}};
constexpr Word<std::uint32_t> kPriorities[] = {
    {"high", kPriorityHigh}, {"def", pfkey::kPriorityDefault}, {"low", kPriorityLow}};

template <typename Value, std::size_t N>
std::optional<Value> find(const Word<Value> (&words)[N], std::string_view text) {
  for (const auto& word : words)
    if (word.text == text) return word.value;
  return std::nullopt;
}

template <typename Value, std::size_t N>
std::string text_of(const Word<Value> (&words)[N], Value value) {
  for (const auto& word : words)
    if (word.value == value) return std::string(word.text);
  return "?";
}

struct Token {
  std::string_view text;  // a word or one of / - + [ ]; empty at the end
  std::size_t offset = 0;
};

std::vector<Token> tokenize(std::string_view text) {
  const auto is_space = [](char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; };
  const auto is_word = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '.' || c == ':' || c == '_';
  };
  std::vector<Token> tokens;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = at + 1;
    if (is_word(text[at]))
      while (end < text.size() && is_word(text[end])) ++end;
    else if (!is_space(text[at]) && std::string_view("/-+[]").find(text[at]) == text.npos)
      throw PolicyTextError(at, "unexpected character");
    if (!is_space(text[at])) tokens.push_back({text.substr(at, end - at), at});
    at = end;
  }
  tokens.push_back({{}, text.size()});
  return tokens;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : tokens_(tokenize(text)) {}

  Policy policy() {
    Policy result;
    result.direction = word(kDirections, "direction must be in, out or fwd");
    direction_ = result.direction;
    if (at_end()) {
      result.type = PolicyType::discard;  // for deletes, where nobody looks at it
      return result;
    }
    result.priority = priority();
    result.type = word(kActions, "action must be discard, none, ipsec, bypass or entrust");
    if (!at_end() && result.type != PolicyType::ipsec) fail("requests only follow ipsec");
    while (!at_end()) result.requests.push_back(request());
    return result;
  }

 private:
  [[noreturn]] void fail(const std::string& reason) const { fail_at(next_, reason); }
  [[noreturn]] void fail_at(std::size_t token, const std::string& reason) const {
    const std::string_view text = tokens_[token].text;
    throw PolicyTextError(
        tokens_[token].offset,
        reason + (text.empty() ? ", but the policy ends" : ", not '" + std::string(text) + "'"));
  }
  bool at_end() const { return tokens_[next_].text.empty(); }
  std::string_view peek() const { return tokens_[next_].text; }
  bool accept(std::string_view text) {
    if (peek() != text || text.empty()) return false;
    ++next_;
    return true;
  }

  template <typename Value, std::size_t N>
  Value word(const Word<Value> (&words)[N], const char* reason) {
    const auto value = find(words, peek());
    if (!value) fail(reason);
    ++next_;
    return *value;
  }

  std::uint64_t number(std::string_view text, std::uint64_t max, const std::string& reason) const {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc() || end != text.data() + text.size() || value > max)
      fail(reason);
    return value;
  }

  std::uint32_t priority() {
    if (!accept("priority") && !accept("prio")) return pfkey::kPriorityDefault;
    const auto base = find(kPriorities, peek());
    if (base) ++next_;
    const bool plus = accept("+"), minus = !plus && accept("-");
    if (base && !plus && !minus) return *base;
    if (!base && plus) fail("priority must be low, def, high or a number");
    // A larger number is more important, and so a smaller value.
    const std::int64_t range = base ? 0x40000000 : 0x80000000;
    const auto offset = static_cast<std::int64_t>(
        number(peek(), static_cast<std::uint64_t>(minus ? range - 1 : range),
               base ? "offset of a priority must be a number of -1073741823 to 1073741824"
                    : "priority must be low, def, high or a number of -2147483647 to 2147483648"));
    ++next_;
    const std::int64_t from = base.value_or(pfkey::kPriorityDefault);
    return static_cast<std::uint32_t>(minus ? from + offset : from - offset);
  }

  bool at_request() const { return find(kProtocols, peek()) && tokens_[next_ + 1].text == "/"; }

  PolicyRequest request() {
    PolicyRequest result;
    const std::size_t start = next_;
    result.proto = word(kProtocols, "protocol must be esp, ah or ipcomp");
    if (!accept("/")) fail("a request is protocol/mode: '/' expected");
    result.mode = word(kModes, "mode must be transport or tunnel");
    if (accept("/")) {
      if (!at_end() && peek() != "/" && !at_request()) addresses(result);
      if (accept("/") && !at_end() && !at_request()) level(result);
    }
    if (result.mode == Mode::tunnel && !result.source)
      throw PolicyTextError(tokens_[start].offset, "a tunnel needs its two addresses");
    return result;
  }

  void addresses(PolicyRequest& result) {
    const std::size_t start = next_;
    if (peek() == "me" || peek() == "any") {
      const bool out = accept("me");
      if (!out) ++next_;
      if (!accept("-") || !accept(out ? "any" : "me")) fail("me-any or any-me expected");
      if (direction_ != (out ? Direction::out : Direction::in))
        throw PolicyTextError(tokens_[start].offset,
                              out ? "me-any is for out policies" : "any-me is for in policies");
      result.source = result.destination =
          base::Endpoint{base::Address::parse("0.0.0.0"), std::uint16_t{0}};
      return;
    }
    result.source = endpoint();
    if (!accept("-")) fail("'-' and a second address expected");
    result.destination = endpoint();
    if (result.source->address.family != result.destination->address.family)
      throw PolicyTextError(tokens_[start].offset, "the addresses are of two families");
  }

  base::Endpoint endpoint() {
    base::Endpoint result;
    try {
      result.address = base::Address::parse(peek());
    } catch (const base::Error&) {
      fail("a numeric address expected");
    }
    ++next_;
    if (!accept("[")) return result;
    if (!accept("any")) {
      result.port = static_cast<std::uint16_t>(
          number(peek(), 0xffff, "port must be any or a number of 0 to 65535"));
      ++next_;
    }
    if (!accept("]")) fail("']' expected");
    return result;
  }

  void level(PolicyRequest& result) {
    constexpr std::string_view kUnique = "unique:";
    if (peek().starts_with(kUnique)) {
      const auto reason = "unique:N takes 1 to " + std::to_string(pfkey::kReqidMax);
      result.reqid = static_cast<std::uint32_t>(
          number(peek().substr(kUnique.size()), pfkey::kReqidMax, reason));
      if (result.reqid == 0) fail(reason);
      result.level = Level::unique;
      ++next_;
      return;
    }
    result.level = word(kLevels, "level must be default, use, require, unique or unique:N");
  }

  std::vector<Token> tokens_;
  std::size_t next_ = 0;
  Direction direction_ = Direction::any;
};

std::string priority_text(std::uint32_t priority) {
  if (priority == 0) return "";
  const auto& base = priority < 0x60000000   ? kPriorities[0]
                     : priority < 0xA0000000 ? kPriorities[1]
                                             : kPriorities[2];
  std::string text = " prio " + std::string(base.text);
  const std::int64_t offset = std::int64_t{base.value} - std::int64_t{priority};
  if (offset > 0) text += " + " + std::to_string(offset);
  if (offset < 0) text += " - " + std::to_string(-offset);
  return text;
}

std::string request_text(const PolicyRequest& request, bool ports) {
  const auto endpoint = [&](const base::Endpoint& e) {
    return e.address.to_string() + (ports ? "[" + std::to_string(e.port) + "]" : "");
  };
  std::string text = text_of(kProtocols, request.proto) + "/" + text_of(kModes, request.mode) + "/";
  if (request.source && request.destination)
    text += endpoint(*request.source) + "-" + endpoint(*request.destination);
  text += "/" + text_of(kLevels, request.level);
  if (request.reqid != 0)
    text += (request.reqid > pfkey::kReqidMax ? "#" : ":") + std::to_string(request.reqid);
  return text;
}

}  // namespace

PolicyTextError::PolicyTextError(std::size_t offset, const std::string& reason)
    : base::Error(EINVAL, reason), offset_(offset) {}

Policy parse_policy(std::string_view text) { return Parser(text).policy(); }

void check_socket_policy(const Policy& policy) {
  if (policy.type == PolicyType::discard || policy.type == PolicyType::none)
    throw base::Error(EINVAL, "a socket's policy is ipsec, entrust or bypass");
  if (policy.direction != Direction::in && policy.direction != Direction::out)
    throw base::Error(EINVAL, "a socket's policy is for in or out");
}

std::string print_policy(const Policy& policy, const PolicyStyle& style) {
  std::string text = text_of(kDirections, policy.direction) + priority_text(policy.priority) + " " +
                     text_of(kActions, policy.type);
  for (const PolicyRequest& request : policy.requests)
    text.append(style.separator).append(request_text(request, style.ports));
  return text;
}

}  // namespace saline::libipsec
