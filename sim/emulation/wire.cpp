// Proto2 encoding by hand: libprotobuf would be a dependency for five field types.
#include "sim/emulation/wire.hpp"

namespace saline::sim {
namespace {

enum WireType : unsigned { kVarint = 0, kFixed64 = 1, kDelimited = 2, kFixed32 = 5 };

}  // namespace

void WireWriter::varint(std::uint64_t value) {
  for (; value > 0x7f; value >>= 7) message_.push_back(static_cast<char>(value | 0x80));
  message_.push_back(static_cast<char>(value));
}

WireWriter& WireWriter::number(unsigned field, std::uint64_t value) {
  varint(field << 3 | kVarint);
  varint(value);
  return *this;
}

WireWriter& WireWriter::bytes(unsigned field, std::string_view value) {
  varint(field << 3 | kDelimited);
  varint(value.size());
  message_.append(value);
  return *this;
}

bool WireReader::varint(std::uint64_t& value) {
  value = 0;
  for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
    const auto byte = static_cast<std::uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    value |= std::uint64_t{byte & 0x7fu} << shift;
    if ((byte & 0x80) == 0) return true;
  }
  return fail();
}

bool WireReader::fixed(std::size_t size, std::uint64_t& value) {
  if (rest_.size() < size) return fail();
  value = 0;
  for (std::size_t i = size; i-- > 0;) {
    value = value << 8 | static_cast<std::uint8_t>(rest_[i]);
  }
  rest_.remove_prefix(size);
  return true;
}

bool WireReader::next(WireField& field) {
  if (rest_.empty() || !well_formed_) return false;
  std::uint64_t tag = 0;
  field = {};
  if (!varint(tag)) return false;
  field.field = static_cast<unsigned>(tag >> 3);
  switch (tag & 7) {
    case kVarint:
      return varint(field.number);
    case kFixed64:
      return fixed(8, field.number);
    case kFixed32:
      return fixed(4, field.number);
    case kDelimited: {
      std::uint64_t size = 0;
      if (!varint(size)) return false;
      if (size > rest_.size()) return fail();
      field.bytes = rest_.substr(0, size);
      rest_.remove_prefix(size);
      return true;
    }
    default:
      return fail();
  }
}

}  // namespace saline::sim
