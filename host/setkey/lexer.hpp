// Words of a setkey script: separated by whitespace, statements end with ';', '#' starts a comment,
// "..." is one word. Newlines mean nothing but the line numbers of errors.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace saline::setkey {

// What is wrong with a script and where; what() is the reason without file and line, and never
// shows key material.
class SyntaxError : public std::runtime_error {
 public:
  SyntaxError(unsigned line, const std::string& reason) : std::runtime_error(reason), line_(line) {}
  unsigned line() const noexcept { return line_; }

 private:
  unsigned line_;
};

struct Token {
  std::string_view text;  // into the script; without the quotes
  unsigned line = 0;      // from 1
  bool quoted = false;
};

// The tokens of `script`, which must outlive them. A ';' is a token of its own. Throws SyntaxError
// for a string that does not end on its line and for control characters.
std::vector<Token> tokenize(std::string_view script);

}  // namespace saline::setkey
