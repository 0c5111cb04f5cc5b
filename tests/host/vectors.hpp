// Published test vectors: JSON files from the vector collection (environment SALINE_VECTORS, or
// ../shared/vectors beside the source tree) and from tests/data. Tests run in the source root.
#pragma once

#include <gtest/gtest.h>
#include <jansson.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "host/base/bytes.hpp"

namespace saline::test {

// A borrowed JSON value; absent members read as an absent value, whose text is empty.
class Json {
 public:
  explicit Json(const json_t* value = nullptr) : value_(value) {}
  Json operator[](const char* key) const { return Json(json_object_get(value_, key)); }
  Json operator[](std::size_t index) const { return Json(json_array_get(value_, index)); }
  std::size_t size() const { return json_array_size(value_); }
  bool present() const { return value_ != nullptr && !json_is_null(value_); }
  bool truth() const { return json_is_true(value_); }
  bool is_text() const { return json_is_string(value_); }
  std::string text() const {
    const char* text = json_string_value(value_);
    return text == nullptr ? "" : text;
  }
  std::int64_t number() const { return json_integer_value(value_); }
  std::vector<std::uint8_t> hex() const { return base::from_hex(text()); }

 private:
  const json_t* value_;
};

class JsonFile {
 public:
  explicit JsonFile(const std::string& path) {
    json_error_t error;
    root_.reset(json_load_file(path.c_str(), 0, &error));
    if (!root_) throw std::runtime_error(path + ": " + error.text);
  }
  Json root() const { return Json(root_.get()); }

 private:
  struct Release {
    void operator()(json_t* value) const { json_decref(value); }
  };
  std::unique_ptr<json_t, Release> root_;
};

inline std::string vectors_path(const std::string& name) {
  const char* given = std::getenv("SALINE_VECTORS");
  return std::string(given != nullptr ? given : "../shared/vectors") + "/" + name;
}

}  // namespace saline::test

// Skips the running test when the vector collection is not on this machine.
#define SALINE_NEEDS_VECTORS(name)                                                            \
  if (!std::filesystem::exists(saline::test::vectors_path(name)))                             \
  GTEST_SKIP() << "no " << saline::test::vectors_path(name) << ": set SALINE_VECTORS to the " \
               << "vector collection"
