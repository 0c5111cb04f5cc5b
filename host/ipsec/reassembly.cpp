// See reassembly.hpp.
#include "host/ipsec/reassembly.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "host/base/bytes.hpp"
#include "host/base/mix.hpp"
#include "host/crypto/provider.hpp"
#include "host/ipsec/tunnel.hpp"

namespace saline::ipsec {

namespace {

using base::Family;

constexpr std::uint8_t kNotEctSeen = 1 << 0;
constexpr std::uint8_t kCeSeen = 1 << 3;
constexpr std::uint32_t kPayloadMax = 65535;

template <typename Bitmap>
bool test(const Bitmap& map, std::uint32_t bit) noexcept {
  return (map[bit / 64] >> (bit % 64) & 1) != 0;
}

// Runs `visit(word, mask)` over the words of the bits [from, to).
template <typename Visit>
void for_words(std::uint32_t from, std::uint32_t to, Visit&& visit) noexcept {
  while (from < to) {
    const std::uint32_t first = from % 64;
    const std::uint32_t count = std::min(64 - first, to - from);
    const std::uint64_t ones = count == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1;
    visit(from / 64, ones << first);
    from += count;
  }
}

// RFC 7112 §5: the chain of headers behind the fragment header, upper-layer header included, ends
// in this fragment.
bool holds_all_headers(std::span<const std::uint8_t> payload, std::uint8_t next) noexcept {
  std::size_t at = 0;
  while (next == kDestinationOptions || next == kRouting || next == kHopByHop) {
    if (at + 8 > payload.size()) return false;
    next = payload[at];
    at += (payload[at + 1] + 1u) * 8;
  }
  std::size_t least = 0;
  if (next == kTcp) least = 20;
  if (next == kUdp || next == kEsp || next == kUdpLite) least = 8;
  if (next == kSctp || next == kAh) least = 12;
  if (next == kIcmpv6) least = 4;
  return at + least <= payload.size();
}

std::uint64_t hash_address(const base::Address& address, std::uint64_t seed) noexcept {
  return base::mix(
      base::load64(address.bytes.data()) ^ seed,
      base::load64(address.bytes.data() + 8) ^ std::rotl(seed, 32) ^ 0x9E3779B97F4A7C15u);
}

}  // namespace

Reassembly::Reassembly(const Limits& limits)
    : limits_(limits),
      table_(limits.datagrams),
      buckets_(std::bit_ceil(limits.datagrams * 2), kNone),
      sources_(std::bit_ceil(limits.datagrams), List{}),
      memory_(std::size_t{limits.blocks} * kBlockBytes) {
  unused_.reserve(limits.datagrams);
  for (std::uint32_t i = limits.datagrams; i-- > 0;) unused_.push_back(static_cast<Index>(i));
  free_.reserve(limits.blocks);
  for (std::uint32_t i = limits.blocks; i-- > 0;) free_.push_back(static_cast<Index>(i));
  std::array<std::uint8_t, sizeof seed_> random{};
  crypto::RandomStream().fill(random);
  std::memcpy(seed_, random.data(), sizeof seed_);
}

// ---- the table

std::uint64_t Reassembly::hash(const Key& key) const noexcept {
  const std::uint64_t ends =
      base::mix(hash_address(key.source, seed_[0]), hash_address(key.destination, seed_[1]) | 1);
  const std::uint64_t rest = key.context ^ std::uint64_t{key.identification} << 8 ^ key.protocol;
  return base::mix(ends ^ seed_[1], rest ^ seed_[0]);
}

Reassembly::Index Reassembly::index_of(const Datagram& datagram) const noexcept {
  return static_cast<Index>(&datagram - table_.data());
}

void Reassembly::link(List& list, Links Datagram::*links, Index index) noexcept {
  (table_[index].*links) = {list.last, kNone};
  if (list.last != kNone)
    (table_[list.last].*links).next = index;
  else
    list.first = index;
  list.last = index;
  ++list.count;
}

void Reassembly::unlink(List& list, Links Datagram::*links, Index index) noexcept {
  const Links own = table_[index].*links;
  (own.previous != kNone ? (table_[own.previous].*links).next : list.first) = own.next;
  (own.next != kNone ? (table_[own.next].*links).previous : list.last) = own.previous;
  --list.count;
}

Reassembly::Datagram* Reassembly::find(const Key& key, std::uint32_t bucket) noexcept {
  for (Index i = buckets_[bucket]; i != kNone; i = table_[i].chain)
    if (table_[i].key == key) return &table_[i];
  return nullptr;
}

// Makes room first: the oldest of the source when it has its share, else the oldest of all.
Reassembly::Datagram* Reassembly::open(const Key& key, std::uint64_t hash,
                                       std::uint64_t now_s) noexcept {
  const auto source =
      static_cast<std::uint32_t>(hash_address(key.source, seed_[1]) % sources_.size());
  List& of_source = sources_[source];
  if (of_source.count >= limits_.per_source || unused_.empty()) {
    const bool full_share = of_source.count >= limits_.per_source;
    remove(table_[full_share ? of_source.first : ages_.first]);
    counters_.evicted.add(1);
  }
  const Index index = unused_.back();
  unused_.pop_back();
  Datagram& datagram = table_[index];
  datagram.key = key;
  datagram.bucket = static_cast<std::uint32_t>(hash % buckets_.size());
  datagram.source_bucket = source;
  datagram.first_s = now_s;
  datagram.received = datagram.highest = datagram.total = 0;
  datagram.fragments = datagram.header_bytes = 0;
  datagram.ecn_seen = 0;
  datagram.refused = false;
  datagram.blocks.fill(kNone);
  datagram.present.fill(0);
  datagram.starts.fill(0);
  datagram.chain = buckets_[datagram.bucket];
  buckets_[datagram.bucket] = index;
  link(ages_, &Datagram::age, index);
  link(of_source, &Datagram::of_source, index);
  ++held_;
  return &datagram;
}

void Reassembly::release_blocks(Datagram& datagram) noexcept {
  for (Index& block : datagram.blocks) {
    if (block == kNone) continue;
    free_.push_back(block);
    block = kNone;
  }
}

void Reassembly::remove(Datagram& datagram) noexcept {
  const Index index = index_of(datagram);
  release_blocks(datagram);
  Index* at = &buckets_[datagram.bucket];
  while (*at != index) at = &table_[*at].chain;
  *at = datagram.chain;
  unlink(ages_, &Datagram::age, index);
  unlink(sources_[datagram.source_bucket], &Datagram::of_source, index);
  unused_.push_back(index);
  --held_;
}

std::uint32_t Reassembly::expire(std::uint64_t now_s) noexcept {
  std::uint32_t given_up = 0;
  while (ages_.first != kNone && now_s - table_[ages_.first].first_s >= limits_.time_s) {
    if (!table_[ages_.first].refused) ++given_up;
    remove(table_[ages_.first]);
  }
  counters_.too_late.add(given_up);
  return given_up;
}

// ---- one fragment

Reassembly::Result Reassembly::refuse(Datagram& datagram, Counter& counter) noexcept {
  counter.add(1);
  datagram.refused = true;
  release_blocks(datagram);
  return Result::refused;
}

Reassembly::Place Reassembly::place_of(const Datagram& datagram,
                                       const FragmentInfo& info) const noexcept {
  const std::uint32_t end = info.offset + info.payload_bytes;
  const std::uint32_t from = info.offset / 8, to = (end + 7) / 8;
  bool any = false, all = true;
  for_words(from, to, [&](std::uint32_t word, std::uint64_t mask) {
    const std::uint64_t found = datagram.present[word] & mask;
    any = any || found != 0;
    all = all && found == mask;
  });
  const bool beyond_end = datagram.total != 0 && (end > datagram.total || !info.more);
  if (!any) {
    const bool short_end = !info.more && end < datagram.highest;
    return beyond_end || short_end ? Place::overlap : Place::new_piece;
  }
  if (!all || !test(datagram.starts, from)) return Place::overlap;
  bool one_piece = true;
  for_words(from + 1, to, [&](std::uint32_t word, std::uint64_t mask) {
    one_piece = one_piece && (datagram.starts[word] & mask) == 0;
  });
  const bool ends_here =
      info.more ? to == kUnits || !test(datagram.present, to) || test(datagram.starts, to)
                : datagram.total == end;
  const bool same_kind = info.more == (datagram.total != end);
  return one_piece && ends_here && same_kind ? Place::copy : Place::overlap;
}

bool Reassembly::same_bytes(const Datagram& datagram, const FragmentInfo& info,
                            const std::uint8_t* bytes) const noexcept {
  for (std::uint32_t done = 0; done < info.payload_bytes;) {
    const std::uint32_t at = info.offset + done;
    const std::uint32_t count = std::min(info.payload_bytes - done, kBlockBytes - at % kBlockBytes);
    const std::size_t block = datagram.blocks[at / kBlockBytes];
    if (std::memcmp(&memory_[block * kBlockBytes + at % kBlockBytes], bytes + done, count) != 0)
      return false;
    done += count;
  }
  return true;
}

// A free block; others give way for it, the oldest first, but never the datagram it is for.
bool Reassembly::take_block(const Datagram& keep, Index& block) noexcept {
  while (free_.empty()) {
    Index victim = ages_.first;
    if (&table_[victim] == &keep) victim = table_[victim].age.next;
    if (victim == kNone) return false;
    remove(table_[victim]);
    counters_.evicted.add(1);
  }
  block = free_.back();
  free_.pop_back();
  return true;
}

bool Reassembly::store(Datagram& datagram, const FragmentInfo& info,
                       const std::uint8_t* bytes) noexcept {
  for (std::uint32_t done = 0; done < info.payload_bytes;) {
    const std::uint32_t at = info.offset + done;
    const std::uint32_t count = std::min(info.payload_bytes - done, kBlockBytes - at % kBlockBytes);
    Index& block = datagram.blocks[at / kBlockBytes];
    if (block == kNone && !take_block(datagram, block)) return false;
    std::memcpy(&memory_[std::size_t{block} * kBlockBytes + at % kBlockBytes], bytes + done, count);
    done += count;
  }
  const std::uint32_t end = info.offset + info.payload_bytes;
  for_words(info.offset / 8, (end + 7) / 8,
            [&](std::uint32_t word, std::uint64_t mask) { datagram.present[word] |= mask; });
  datagram.starts[info.offset / 8 / 64] |= std::uint64_t{1} << (info.offset / 8 % 64);
  datagram.received += info.payload_bytes;
  datagram.highest = std::max(datagram.highest, end);
  if (!info.more) datagram.total = end;
  return true;
}

// Writes the packet: the first fragment's headers, the pieces, lengths, ECN (RFC 3168 §5.3).
Reassembly::Result Reassembly::finish(Datagram& datagram, std::span<std::uint8_t> whole,
                                      std::uint32_t& length) noexcept {
  const bool ipv4 = datagram.key.source.family == Family::ipv4;
  const std::uint32_t header = datagram.header_bytes;
  const std::uint32_t total = header + datagram.total;
  const bool marked_and_unable =
      (datagram.ecn_seen & kCeSeen) != 0 && (datagram.ecn_seen & kNotEctSeen) != 0;
  if (total > (ipv4 ? kPayloadMax : kPayloadMax + 40) || whole.size() < total || marked_and_unable)
    return refuse(datagram, counters_.malformed);
  std::uint8_t* out = whole.data();
  std::memcpy(out, datagram.header.data(), header);
  for (std::uint32_t at = 0; at < datagram.total; at += kBlockBytes) {
    const std::size_t block = datagram.blocks[at / kBlockBytes];
    std::memcpy(out + header + at, &memory_[block * kBlockBytes],
                std::min(kBlockBytes, datagram.total - at));
  }
  out[datagram.protocol_field] = datagram.protocol;
  if (ipv4) {
    base::store16(out + 2, static_cast<std::uint16_t>(total));
    base::store16(out + 6, base::load16(out + 6) & 0x4000);
    base::store16(out + 10, ipv4_header_checksum({out, header}));
  } else {
    base::store16(out + 4, static_cast<std::uint16_t>(total - 40));
  }
  if ((datagram.ecn_seen & kCeSeen) != 0) set_ecn(out, 3);
  length = total;
  counters_.whole.add(1);
  remove(datagram);
  return Result::whole;
}

Reassembly::Result Reassembly::add(std::span<const std::uint8_t> packet, const Headers& headers,
                                   std::uint64_t context, std::uint64_t now_s,
                                   std::span<std::uint8_t> whole, std::uint32_t& length) noexcept {
  FragmentInfo info;
  const bool good = parse_fragment(packet, headers, info);
  const std::uint32_t end = info.offset + info.payload_bytes;
  if (!good || (info.more && info.payload_bytes % 8 != 0) || info.payload_bytes == 0 ||
      end > kPayloadMax || info.header_bytes > kHeaderMax) {
    counters_.malformed.add(1);
    return Result::refused;
  }
  const bool ipv6 = info.family == Family::ipv6;
  const std::uint8_t* bytes = &packet[info.payload_at];
  if (ipv6 && info.offset == 0 && !holds_all_headers({bytes, info.payload_bytes}, info.protocol)) {
    counters_.malformed.add(1);
    return Result::refused;
  }
  if (info.offset == 0 && !info.more) {  // RFC 6946 §4
    length = info.header_bytes + info.payload_bytes;
    if (whole.size() < length) return Result::refused;
    std::memmove(whole.data(), packet.data(), info.header_bytes);
    std::memmove(&whole[info.header_bytes], bytes, info.payload_bytes);
    whole[info.protocol_field] = info.protocol;
    base::store16(&whole[4], static_cast<std::uint16_t>(length - 40));
    counters_.whole.add(1);
    return Result::whole;
  }

  const Key key{headers.source, headers.destination, context, info.identification,
                ipv6 ? std::uint8_t{0} : info.protocol};
  const std::uint64_t hashed = hash(key);
  Datagram* datagram = find(key, static_cast<std::uint32_t>(hashed % buckets_.size()));
  if (datagram == nullptr) datagram = open(key, hashed, now_s);
  if (datagram->refused) return Result::refused;
  switch (place_of(*datagram, info)) {
    case Place::overlap:
      return refuse(*datagram, counters_.overlapping);
    case Place::copy:
      if (!same_bytes(*datagram, info, bytes)) return refuse(*datagram, counters_.overlapping);
      counters_.duplicates.add(1);
      return Result::held;
    case Place::new_piece:
      break;
  }
  if (datagram->fragments == kFragmentsMax || !store(*datagram, info, bytes))
    return refuse(*datagram, counters_.malformed);
  ++datagram->fragments;
  datagram->ecn_seen |= static_cast<std::uint8_t>(1 << (traffic_class(packet.data()) & 3));
  if (info.offset == 0) {
    std::memcpy(datagram->header.data(), packet.data(), info.header_bytes);
    datagram->header_bytes = static_cast<std::uint16_t>(info.header_bytes);
    datagram->protocol_field = static_cast<std::uint16_t>(info.protocol_field);
    datagram->protocol = info.protocol;
  }
  if (datagram->total == 0 || datagram->received != datagram->total) return Result::held;
  return finish(*datagram, whole, length);
}

}  // namespace saline::ipsec
