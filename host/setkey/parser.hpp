// The parser behind parse_script(): recursive descent over tokens, one function per rule of the
// grammar in script.hpp. parser.cpp has what all statements share, parse_sa.cpp and
// parse_policy.cpp the two kinds. Private to this folder.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "host/setkey/script.hpp"

namespace saline::setkey {

class Parser {
 public:
  Parser(std::string_view script, const ParseOptions& options)
      : options_(options), tokens_(tokenize(script)) {}
  std::vector<Statement> script();

 private:
  // The words after an address and how it may be written.
  enum class Form { host, range };
  struct Protocol {
    pfkey::SaType satype = pfkey::SaType::unspec;
    bool old_format = false;
    bool nat_t = false;
  };
  struct Limits {
    std::uint64_t hard_seconds = 0, soft_seconds = 0, hard_bytes = 0, soft_bytes = 0;
  };

  // parser.cpp
  Statement statement();
  [[noreturn]] void fail(const std::string& reason) const;         // at the token looked at
  [[noreturn]] void fail_before(const std::string& reason) const;  // at the token just taken
  static std::string shown(std::string_view word);
  bool at_end() const { return next_ == tokens_.size(); }
  std::string_view peek() const { return at_end() ? std::string_view() : tokens_[next_].text; }
  bool at_statement_end() const;
  bool at_option() const { return !at_end() && !tokens_[next_].quoted && peek().starts_with('-'); }
  const Token& take(const char* what);
  bool accept(std::string_view word);
  std::uint64_t number(const char* what, std::uint64_t max);
  std::uint64_t number_of(std::string_view text, const char* what, std::uint64_t max) const;
  void flags();
  void addresses(pfkey::Message& message, Form form);
  pfkey::AddressExtension address(const char* what, Form form);
  base::Address resolve(std::string_view text) const;
  Protocol protocol(const char* expected);

  // parse_sa.cpp
  void sa_statement(Statement& out, pfkey::MessageType type);
  void deleteall(Statement& out);
  void whole_table(Statement& out, pfkey::MessageType type);
  void nat_t(pfkey::Message& message);
  void extensions(pfkey::Message& message);
  void lifetimes(pfkey::Message& message, const Limits& limits) const;
  void flag_word(pfkey::Message& message);
  void replay(pfkey::Message& message);
  void security_context(pfkey::Message& message);
  void algorithms(pfkey::Message& message);
  void encryption(pfkey::Message& message);
  void integrity(pfkey::Message& message);
  void compression(pfkey::Message& message);
  pfkey::Key key(std::string_view algorithm, bool expected);

  // parse_policy.cpp
  void policy_statement(Statement& out, pfkey::MessageType type);
  void upper_protocol(pfkey::Message& message);
  pfkey::Policy policy();

  ParseOptions options_;
  std::vector<Token> tokens_;
  std::size_t next_ = 0;
  base::Family family_ = base::Family::none;  // of this statement, when -4 or -6 demands one
  bool numeric_ = false;                      // -n: no names
};

}  // namespace saline::setkey
