// Reassembly (RFC 791 §3.2, RFC 8200 §4.5): fragments in, whole packets out. AH and ESP take whole
// packets only (RFC 4303 §3.4.1), and a policy that asks for ports sees none in a fragment (RFC
// 4301 §7). One object per direction and data thread.
//
// Held against a sender who means harm: all memory is set aside at the start; the oldest datagram
// gives way when it is used up, and the oldest of the same source when that one has more than its
// share; work per fragment does not depend on how many there are; fragments that overlap refuse the
// whole datagram, those still to come included (RFC 5722 §4, here for IPv4 too); exact copies are
// passed over; an IPv6 fragment that is a whole packet never meets the others (RFC 6946 §4); a
// first fragment of IPv6 must hold all headers (RFC 7112 §5). Sends no ICMP.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "host/ipsec/association.hpp"
#include "host/ipsec/fragment.hpp"
#include "host/ipsec/packet.hpp"

namespace saline::ipsec {

class Reassembly {
 public:
  static constexpr std::uint32_t kBlockBytes = 2048;
  static constexpr std::uint32_t kWholeMax = 65535 + 40;
  static constexpr std::uint32_t kFragmentsMax = 256;  // of one datagram

  struct Limits {
    std::uint32_t datagrams = 512;   // at most 65534
    std::uint32_t blocks = 4096;     // of kBlockBytes, for the pieces; at most 65534
    std::uint32_t per_source = 128;  // datagrams
    std::uint32_t time_s = 30;       // from the first fragment to the last
  };

  struct Counters {
    Counter whole;        // put together
    Counter duplicates;   // exact copies of what was there
    Counter overlapping;  // datagrams
    Counter malformed;    // fragments whose lengths, offsets, ECN or headers cannot be
    Counter too_late;     // datagrams that were not complete in time
    Counter evicted;      // datagrams that gave way
  };

  explicit Reassembly(const Limits& limits);

  enum class Result : std::uint8_t {
    held,     // wait for the others
    refused,  // reason reassembly
    whole,    // in `whole`, to be parsed anew
  };
  // `headers` is the parse of `packet`, which must be a fragment. Fragments of different contexts
  // (SAs they came through) never meet. `whole` needs kWholeMax bytes; `length` is what is used.
  // The packet may lie further back in the same buffer.
  Result add(std::span<const std::uint8_t> packet, const Headers& headers, std::uint64_t context,
             std::uint64_t now_s, std::span<std::uint8_t> whole, std::uint32_t& length) noexcept;

  // Gives up what is too old; to be called now and then. Returns how many datagrams: of each, some
  // fragments were held and are lost, reason reassembly.
  std::uint32_t expire(std::uint64_t now_s) noexcept;

  std::uint32_t datagrams() const noexcept { return held_; }
  std::uint32_t blocks_free() const noexcept { return static_cast<std::uint32_t>(free_.size()); }
  const Counters& counters() const noexcept { return counters_; }

 private:
  using Index = std::uint16_t;
  static constexpr Index kNone = 0xFFFF;
  static constexpr std::uint32_t kUnits = 8192;  // of eight bytes
  static constexpr std::size_t kHeaderMax = 512;
  using Bitmap = std::array<std::uint64_t, kUnits / 64>;

  struct Key {
    base::Address source;
    base::Address destination;
    std::uint64_t context = 0;
    std::uint32_t identification = 0;
    std::uint8_t protocol = 0;  // IPv4 only
    bool operator==(const Key&) const = default;
  };
  struct Links {
    Index previous = kNone;
    Index next = kNone;
  };
  // A list by arrival, oldest first.
  struct List {
    Index first = kNone;
    Index last = kNone;
    std::uint32_t count = 0;
  };
  struct Datagram {
    Key key;
    Index chain = kNone;  // next of the same bucket
    Links age;            // of all
    Links of_source;
    std::uint32_t bucket = 0;
    std::uint32_t source_bucket = 0;
    std::uint64_t first_s = 0;
    std::uint32_t received = 0;  // bytes
    std::uint32_t highest = 0;   // end of the furthest piece
    std::uint32_t total = 0;     // 0: the last fragment is not here
    std::uint16_t fragments = 0;
    std::uint8_t ecn_seen = 0;       // a bit for each codepoint
    bool refused = false;            // stays to refuse the rest
    std::uint16_t header_bytes = 0;  // 0: the first fragment is not here
    std::uint16_t protocol_field = 0;
    std::uint8_t protocol = 0;
    std::array<Index, 65536 / kBlockBytes> blocks{};
    std::array<std::uint8_t, kHeaderMax> header{};
    Bitmap present{};
    Bitmap starts{};
  };
  enum class Place : std::uint8_t { new_piece, copy, overlap };

  std::uint64_t hash(const Key& key) const noexcept;
  Datagram* find(const Key& key, std::uint32_t bucket) noexcept;
  Datagram* open(const Key& key, std::uint64_t hash, std::uint64_t now_s) noexcept;
  void remove(Datagram& datagram) noexcept;
  void release_blocks(Datagram& datagram) noexcept;
  void link(List& list, Links Datagram::*links, Index index) noexcept;
  void unlink(List& list, Links Datagram::*links, Index index) noexcept;
  Index index_of(const Datagram& datagram) const noexcept;

  Result refuse(Datagram& datagram, Counter& counter) noexcept;
  Place place_of(const Datagram& datagram, const FragmentInfo& info) const noexcept;
  bool same_bytes(const Datagram& datagram, const FragmentInfo& info,
                  const std::uint8_t* bytes) const noexcept;
  bool store(Datagram& datagram, const FragmentInfo& info, const std::uint8_t* bytes) noexcept;
  bool take_block(const Datagram& keep, Index& block) noexcept;
  Result finish(Datagram& datagram, std::span<std::uint8_t> whole, std::uint32_t& length) noexcept;

  Limits limits_;
  std::uint64_t seed_[2];
  std::vector<Datagram> table_;
  std::vector<Index> unused_;  // of table_
  std::vector<Index> buckets_;
  std::vector<List> sources_;
  List ages_;
  std::vector<std::uint8_t> memory_;
  std::vector<Index> free_;  // blocks
  std::uint32_t held_ = 0;
  Counters counters_;
};

}  // namespace saline::ipsec
