// The wire format of protocol buffers (proto2), as much of it as libxrt's simulator protocol uses:
// varints, fixed words and length-delimited bytes. No schema, no reflection: the callers know their
// field numbers.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace saline::sim {

class WireWriter {
 public:
  WireWriter& number(unsigned field, std::uint64_t value);
  WireWriter& bytes(unsigned field, std::string_view value);
  const std::string& message() const noexcept { return message_; }

 private:
  void varint(std::uint64_t value);
  std::string message_;
};

struct WireField {
  unsigned field = 0;
  std::uint64_t number = 0;  // of a varint or fixed word
  std::string_view bytes;    // of a length-delimited field, inside the message read
};

class WireReader {
 public:
  explicit WireReader(std::string_view message) : rest_(message) {}

  // False at the end, and at anything malformed: then well_formed() is false.
  bool next(WireField& field);
  bool well_formed() const noexcept { return well_formed_; }

 private:
  bool varint(std::uint64_t& value);
  bool fixed(std::size_t size, std::uint64_t& value);
  bool fail() {
    well_formed_ = false;
    return false;
  }

  std::string_view rest_;
  bool well_formed_ = true;
};

}  // namespace saline::sim
