// Readers of the text files that published vectors come in.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <map>
#include <string>

#include "host/base/bytes.hpp"
#include "tests/host/crypto/vector_case.hpp"

namespace saline::test {

using Fields = std::map<std::string, std::string>;

// Files of records: CAVP's responses, Botan's, BoringSSL's. `[Name = value]` or `[title]` opens a
// section, `Name = value` or `Name: value` lines are a record, empty lines and comments end it.
inline void for_each_record(const std::string& path,
                            const std::function<void(const Fields&)>& visit) {
  std::ifstream file(path);
  ASSERT_TRUE(file) << path;
  Fields section;
  Fields record;
  const auto flush = [&] {
    if (record.empty()) return;
    Fields all = section;
    for (const auto& field : record) all[field.first] = field.second;
    visit(all);
    record.clear();
  };
  for (std::string line; std::getline(file, line);) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ']')) line.pop_back();
    if (line.empty() || line[0] == '#') {
      flush();
      continue;
    }
    const bool heading = line[0] == '[';
    if (heading) line.erase(0, 1);
    const std::size_t equals = line.find_first_of(heading ? "=" : "=:");
    const auto trim = [](std::string text) {
      text.erase(0, text.find_first_not_of(' '));
      text.erase(text.find_last_not_of(' ') + 1);
      return text;
    };
    const std::string name = trim(line.substr(0, equals));
    if (heading) section["title"] = name;
    (heading ? section : record)[name] =
        equals == std::string::npos ? "" : trim(line.substr(equals + 1));
  }
  flush();
}

// The bytes of a field: hexadecimal, or text in quotes; none when there is no such field.
inline Bytes field_bytes(const Fields& fields, const std::string& name) {
  const auto field = fields.find(name);
  if (field == fields.end() || field->second.empty()) return {};
  const std::string& value = field->second;
  if (value.front() != '"') return base::from_hex(value);
  return {value.begin() + 1, value.end() - 1};
}

inline std::string field_text(const Fields& fields, const std::string& name) {
  const auto field = fields.find(name);
  return field == fields.end() ? "" : field->second;
}

}  // namespace saline::test
