// Reassembly: three datagrams in pieces of any order, size, repetition and damage, against a model
// that remembers every piece. A whole packet is given exactly when the model is complete, and is
// the model's; after an overlap nothing more is; memory comes back.
#include <algorithm>
#include <map>
#include <optional>

#include "host/base/bytes.hpp"
#include "host/ipsec/reassembly.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/host/ipsec/bed.hpp"

namespace saline::fuzz {

namespace {

using namespace saline::ipsec;

constexpr std::uint64_t kTime_s = 1000;

struct Piece {
  std::size_t offset = 0;
  bool more = false;
  Bytes bytes;
  bool operator==(const Piece&) const = default;
  std::size_t end() const { return offset + bytes.size(); }
};

struct Model {
  std::vector<Piece> pieces;
  bool refused = false;

  // Whether the piece and one that is there cannot both be of one datagram.
  static bool contradicts(const Piece& one, const Piece& other) {
    if (one == other) return false;
    if (one.offset < other.end() && other.offset < one.end()) return true;
    if (!one.more && !other.more) return true;
    return (!one.more && other.end() > one.end()) || (!other.more && one.end() > other.end());
  }
  void add(const Piece& piece) {
    for (const Piece& there : pieces) refused |= contradicts(there, piece);
    if (std::count(pieces.begin(), pieces.end(), piece) == 0) pieces.push_back(piece);
  }
  // The payload, once every byte of it is there.
  std::optional<Bytes> whole() const {
    std::size_t total = 0, received = 0;
    for (const Piece& piece : pieces) {
      if (!piece.more) total = piece.end();
      received += piece.bytes.size();
    }
    if (refused || total == 0 || received != total) return std::nullopt;
    Bytes payload(total);
    for (const Piece& piece : pieces)
      std::copy(piece.bytes.begin(), piece.bytes.end(),
                payload.begin() + static_cast<std::ptrdiff_t>(piece.offset));
    return payload;
  }
};

// The datagrams differ in family, options and size.
struct Shape {
  bool ipv6;
  Bytes options;
  std::size_t payload;
};
const Shape kShapes[] = {{false, {}, 160}, {true, {}, 203}, {false, {130, 4, 9, 9}, 2500}};

Bytes fragment_of(unsigned datagram, const Piece& piece) {
  const Shape& shape = kShapes[datagram];
  if (shape.ipv6) {
    Bytes header{kUdp, 0, 0, 0, 0, 0, 0, static_cast<std::uint8_t>(datagram)};
    base::store16(&header[2], static_cast<std::uint16_t>(piece.offset | (piece.more ? 1 : 0)));
    return test::ip_packet("fd00::1", "fd00::2", kFragment, join({header, piece.bytes}));
  }
  Bytes packet = test::ip_packet("10.0.0.1", "10.0.0.2", kUdp, piece.bytes, shape.options);
  packet[5] = static_cast<std::uint8_t>(datagram);
  base::store16(&packet[6],
                static_cast<std::uint16_t>(piece.offset / 8 | (piece.more ? 0x2000 : 0)));
  const std::size_t header = packet[0] % 16 * 4u;
  base::store16(&packet[10], ipv4_header_checksum(std::span(packet).first(header)));
  return packet;
}

// A datagram whole, as its sender would have sent it.
Bytes whole_packet(unsigned datagram, const Bytes& payload) {
  const Shape& shape = kShapes[datagram];
  if (shape.ipv6) return test::ip_packet("fd00::1", "fd00::2", kUdp, payload);
  Bytes packet = test::ip_packet("10.0.0.1", "10.0.0.2", kUdp, payload, shape.options);
  packet[5] = static_cast<std::uint8_t>(datagram);
  const std::size_t header = packet[0] % 16 * 4u;
  base::store16(&packet[10], ipv4_header_checksum(std::span(packet).first(header)));
  return packet;
}

class Rig {
 public:
  Rig() : reassembly_(limits()), whole_(Reassembly::kWholeMax) {}

  void one_piece(unsigned datagram, const Piece& piece) {
    Model& model = models_[datagram];
    if (piece.offset == 0 && !piece.more) return;  // whole by itself
    const bool was_refused = model.refused;
    model.add(piece);
    std::uint32_t length = 0;
    const Reassembly::Result result = add(fragment_of(datagram, piece), length);
    if (model.refused) {
      SALINE_REQUIRE(result == Reassembly::Result::refused, "an overlap was taken");
      model.pieces.clear();
      return;
    }
    SALINE_REQUIRE(!was_refused && result != Reassembly::Result::refused, "refused a good piece");
    const auto payload = model.whole();
    SALINE_REQUIRE((result == Reassembly::Result::whole) == payload.has_value(),
                   "whole when all is there, and only then");
    if (!payload) return;
    const Bytes got(whole_.begin(), whole_.begin() + length);
    SALINE_REQUIRE(got == whole_packet(datagram, *payload), "another packet than was sent");
    model = Model{};
  }

  // Anything, in a context of its own.
  void raw(const Bytes& packet) {
    Headers headers;
    if (!parse_headers(packet, headers) || !headers.fragment) return;
    std::uint32_t length = 0;
    const Bytes exact(packet.begin(), packet.begin() + headers.total);
    if (reassembly_.add(exact, headers, 99, kTime_s, whole_, length) != Reassembly::Result::whole)
      return;
    SALINE_REQUIRE(length <= Reassembly::kWholeMax, "longer than any packet");
    const Bytes got(whole_.begin(), whole_.begin() + length);
    SALINE_REQUIRE(parse_headers(got, headers) || got[0] >> 4 == 6, "whole, and malformed");
  }

  void end() {
    SALINE_REQUIRE(reassembly_.datagrams() <= limits().datagrams, "more than the limit");
    reassembly_.expire(kTime_s + 3600);
    SALINE_REQUIRE(reassembly_.datagrams() == 0, "time is up and something stays");
    SALINE_REQUIRE(reassembly_.blocks_free() == limits().blocks, "memory was lost");
  }

 private:
  static Reassembly::Limits limits() {
    Reassembly::Limits limits;
    limits.datagrams = 64;
    limits.blocks = 256;
    limits.per_source = 64;
    return limits;
  }

  Reassembly::Result add(const Bytes& packet, std::uint32_t& length) {
    Headers headers;
    SALINE_REQUIRE(parse_headers(packet, headers) && headers.fragment, "the target's own packet");
    return reassembly_.add(packet, headers, 0, kTime_s, whole_, length);
  }

  Reassembly reassembly_;
  Bytes whole_;
  std::map<unsigned, Model> models_;
};

Piece piece_from(Input& input, unsigned datagram) {
  const std::size_t total = kShapes[datagram].payload;
  const std::size_t units = (total + 7) / 8;
  Piece piece;
  piece.offset = input.take8() % units * 8;
  const std::size_t most = (1 + input.take8() % 40u) * 8;
  piece.more = piece.offset + most < total;
  for (std::size_t at = piece.offset; at < total && at < piece.offset + most; ++at)
    piece.bytes.push_back(static_cast<std::uint8_t>(at * 7 + datagram));
  return piece;
}

}  // namespace

void one(Input input) {
  static Rig* rig = nullptr;
  delete rig;  // one at a time; the last stays for the leak check to see
  rig = new Rig;
  for (int count = 0; input.left() != 0 && count < 200; ++count) {
    const std::uint8_t what = input.take8();
    if (what % 16 == 15) {
      rig->raw(input.take(input.take8()));
      continue;
    }
    const unsigned datagram = what % 3;
    Piece piece = piece_from(input, datagram);
    if (what >= 0xF0) piece.bytes[0] ^= 1;  // a forgery of the same place
    if ((what & 0xF8) == 0xE8 && piece.bytes.size() % 8 == 0) piece.more = !piece.more;
    rig->one_piece(datagram, piece);
  }
  rig->end();
}

std::vector<Bytes> seeds() {
  return {{0, 0, 3, 0, 4, 30},                      // in order
          {0, 4, 30, 0, 0, 3},                      // the last first
          {1, 0, 9, 1, 10, 9, 1, 20, 30},           // IPv6, three pieces
          {1, 20, 30, 1, 0, 9, 1, 0, 9, 1, 10, 9},  // a copy on the way
          {0, 0, 3, 0, 2, 30},                      // overlap
          {2,  0, 39,  2,  40, 39,  2,  80, 39, 2,  120, 39, 2, 160,
           39, 2, 200, 39, 2,  240, 39, 2,  24, 39, 2,   64, 39},  // long
          {0xF0, 0, 3, 0, 0, 3},                                   // the same place, other bytes
          {15, 28, 0x45, 0,  0, 28, 0, 1, 0x20, 0, 64, 17, 0, 0, 10,
           0,  0,  1,    10, 0, 0,  2, 1, 2,    3, 4,  5,  6, 7, 8}};
}

}  // namespace saline::fuzz
