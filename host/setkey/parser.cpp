// What all statements share: verbs, numbers, flags, addresses, protocols.
#include "host/setkey/parser.hpp"

#include <netdb.h>
#include <sys/socket.h>

#include <charconv>
#include <memory>

#include "host/base/error.hpp"

namespace saline::setkey {

using pfkey::MessageType;
using pfkey::SaType;

std::vector<Statement> parse_script(std::string_view script, const ParseOptions& options) {
  return Parser(script, options).script();
}

std::vector<Statement> Parser::script() {
  std::vector<Statement> statements;
  while (!at_end()) {
    if (accept(";")) continue;
    statements.push_back(statement());
    if (!accept(";")) fail("';' expected");
  }
  return statements;
}

Statement Parser::statement() {
  struct Verb {
    std::string_view word;
    void (Parser::*parse)(Statement&, MessageType);
    MessageType type;
  };
  static constexpr Verb kVerbs[] = {
      {"add", &Parser::sa_statement, MessageType::add},
      {"update", &Parser::sa_statement, MessageType::update},
      {"get", &Parser::sa_statement, MessageType::get},
      {"delete", &Parser::sa_statement, MessageType::del},
      {"getspi", &Parser::sa_statement, MessageType::getspi},
      {"flush", &Parser::whole_table, MessageType::flush},
      {"dump", &Parser::whole_table, MessageType::dump},
      {"spdadd", &Parser::policy_statement, MessageType::spdadd},
      {"spdupdate", &Parser::policy_statement, MessageType::spdupdate},
      {"spddelete", &Parser::policy_statement, MessageType::spddelete},
  };
  const Token& verb = take("a statement");
  Statement out;
  out.line = verb.line;
  family_ = base::Family::none;
  numeric_ = false;
  for (const Verb& known : kVerbs) {
    if (verb.quoted || verb.text != known.word) continue;
    (this->*known.parse)(out, known.type);
    return out;
  }
  if (verb.text == "deleteall")
    deleteall(out);
  else if (verb.text == "spdflush")
    out.requests.push_back({pfkey::Message(MessageType::spdflush)});
  else if (verb.text == "spddump")
    out.requests.push_back({pfkey::Message(MessageType::spddump)});
  else if (verb.text == "exit" || verb.text == "quit" || verb.text == "bye")
    out.leave = true;
  else
    fail_before("unknown statement " + shown(verb.text));
  return out;
}

// A word in an error message, unless it may be a key that stands in the wrong place.
std::string Parser::shown(std::string_view word) {
  if (word.size() > 10 && word.starts_with("0x")) return "hexadecimal digits";
  return word.size() > 48 ? "a long word" : "'" + std::string(word) + "'";
}

void Parser::fail(const std::string& reason) const {
  if (at_end())
    throw SyntaxError(tokens_.empty() ? 1 : tokens_.back().line, reason + ", but the script ends");
  throw SyntaxError(tokens_[next_].line, reason);
}

void Parser::fail_before(const std::string& reason) const {
  throw SyntaxError(tokens_[next_ - 1].line, reason);
}

bool Parser::at_statement_end() const {
  return at_end() || (!tokens_[next_].quoted && peek() == ";");
}

const Token& Parser::take(const char* what) {
  if (at_statement_end()) fail(std::string(what) + " expected");
  return tokens_[next_++];
}

bool Parser::accept(std::string_view word) {
  if (at_end() || tokens_[next_].quoted || peek() != word) return false;
  ++next_;
  return true;
}

std::uint64_t Parser::number(const char* what, std::uint64_t max) {
  return number_of(take(what).text, what, max);
}

std::uint64_t Parser::number_of(std::string_view text, const char* what, std::uint64_t max) const {
  const bool hex = text.starts_with("0x") || text.starts_with("0X");
  const std::string_view digits = hex ? text.substr(2) : text;
  std::uint64_t value = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, hex ? 16 : 10);
  if (error != std::errc() || end != digits.data() + digits.size() || value > max)
    fail_before(std::string(what) + " must be a number of 0 to " + std::to_string(max) + ", not " +
                shown(text));
  return value;
}

void Parser::flags() {
  while (at_option()) {
    for (const char flag : take("flag").text.substr(1)) {
      if (flag == 'n')
        numeric_ = true;
      else if (flag == '4')
        family_ = base::Family::ipv4;
      else if (flag == '6')
        family_ = base::Family::ipv6;
      else
        fail_before("flags here are -4, -6 and -n");
    }
  }
}

void Parser::addresses(pfkey::Message& message, Form form) {
  message.source = address("source address", form);
  // A name with addresses of both families follows the source.
  const base::Family family = message.source->endpoint.address.family;
  if (family_ == base::Family::none) family_ = family;
  message.destination = address("destination address", form);
}

// address[/prefix][port]; the parts may stand apart.
pfkey::AddressExtension Parser::address(const char* what, Form form) {
  std::string text(take(what).text);
  while (!at_statement_end() && (peek().starts_with('[') || peek().starts_with('/')))
    text += take(what).text;
  pfkey::AddressExtension result;
  const std::size_t bracket = text.find('[');
  if (bracket != text.npos) {
    if (!text.ends_with(']')) fail_before("']' expected after a port");
    const std::string port = text.substr(bracket + 1, text.size() - bracket - 2);
    if (port != "any")
      result.endpoint.port = static_cast<std::uint16_t>(number_of(port, "port", 0xffff));
    text.resize(bracket);
  }
  const std::size_t slash = text.find('/');
  result.endpoint.address = resolve(std::string_view(text).substr(0, slash));
  const auto bits = base::address_bytes(result.endpoint.address.family) * 8;
  result.prefixlen = static_cast<std::uint8_t>(bits);
  if (slash != text.npos) {
    if (form == Form::host) fail_before("an SA is between hosts: no prefix here");
    result.prefixlen =
        static_cast<std::uint8_t>(number_of(text.substr(slash + 1), "prefix length", bits));
  }
  result.proto = pfkey::kUpperAny;
  return result;
}

base::Address Parser::resolve(std::string_view text) const {
  try {
    const base::Address numeric = base::Address::parse(text);
    if (family_ != base::Family::none && numeric.family != family_)
      fail_before("address " + shown(text) + " is not of the family of this statement");
    return numeric;
  } catch (const base::Error&) {  // a name, then
  }
  addrinfo hints{}, *list = nullptr;
  hints.ai_family = family_ == base::Family::ipv4   ? AF_INET
                    : family_ == base::Family::ipv6 ? AF_INET6
                                                    : AF_UNSPEC;
  hints.ai_socktype = SOCK_RAW;
  hints.ai_flags = numeric_ ? AI_NUMERICHOST : 0;
  const std::string name(text);
  const int error = ::getaddrinfo(name.c_str(), nullptr, &hints, &list);
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(list, ::freeaddrinfo);
  if (error != 0 || !list) fail_before("address " + shown(name) + ": " + ::gai_strerror(error));
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(list->ai_addr);
  return base::endpoint_from_sockaddr({bytes, list->ai_addrlen}).address;
}

Parser::Protocol Parser::protocol(const char* expected) {
  const std::string_view word = take(expected).text;
  if (word == "esp") return {SaType::esp};
  if (word == "ah") return {SaType::ah};
  if (word == "esp-old") return {SaType::esp, true};
  if (word == "ah-old") return {SaType::ah, true};
  if (word == "ipcomp") return {SaType::ipcomp};
  if (word == "esp-udp") return {SaType::esp, false, true};
  fail_before("protocol must be esp, ah, esp-old, ah-old, ipcomp or esp-udp, not " + shown(word));
}

}  // namespace saline::setkey
