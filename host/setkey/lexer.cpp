// The words of a script: one pass, no look-back.
#include "host/setkey/lexer.hpp"

namespace saline::setkey {
namespace {

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f'; }
bool ends_word(char c) { return is_space(c) || c == ';' || c == '#' || c == '"'; }
bool is_control(char c) {
  return (static_cast<unsigned char>(c) < 0x20 && !is_space(c)) || c == 0x7f;
}

}  // namespace

std::vector<Token> tokenize(std::string_view script) {
  std::vector<Token> tokens;
  unsigned line = 1;
  for (std::size_t at = 0; at < script.size();) {
    const char c = script[at];
    if (is_control(c))
      throw SyntaxError(line, c == '\0' ? "NUL byte: this is no setkey script"
                                        : "control character: this is no setkey script");
    if (c == '\n') ++line;
    std::size_t end = at + 1;
    if (is_space(c)) {
    } else if (c == '#') {
      end = std::min(script.find('\n', at), script.size());
    } else if (c == ';') {
      tokens.push_back({script.substr(at, 1), line, false});
    } else if (c == '"') {
      end = script.find_first_of("\"\n", end);
      if (end == script.npos || script[end] == '\n')
        throw SyntaxError(line, "string without closing quote");
      tokens.push_back({script.substr(at + 1, end - at - 1), line, true});
      ++end;
    } else {
      while (end < script.size() && !ends_word(script[end]) && !is_control(script[end])) ++end;
      tokens.push_back({script.substr(at, end - at), line, false});
    }
    at = end;
  }
  return tokens;
}

}  // namespace saline::setkey
