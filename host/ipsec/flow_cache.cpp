// Lookup and replacement of the flow cache.
#include "host/ipsec/flow_cache.hpp"

#include <algorithm>
#include <cstring>

#include "host/base/mix.hpp"
#include "host/crypto/provider.hpp"

namespace saline::ipsec {

namespace {

constexpr std::size_t kChunk = 32;
constexpr std::uint32_t kWindow = 4096;          // lookups between two judgements
constexpr std::uint32_t kWorthIt = kWindow / 3;  // hits among them
constexpr std::uint32_t kNotWorthIt = kWindow / 5;

}  // namespace

FlowCache::FlowCache() : sets_(std::make_unique<Set[]>(kSets)) {
  crypto::RandomStream random;
  std::array<std::uint8_t, sizeof secret_> bytes;
  random.fill(bytes);
  std::memcpy(secret_.data(), bytes.data(), bytes.size());
}

FlowCache::~FlowCache() = default;

FlowCache::Key FlowCache::key_of(const Flow& flow, Direction direction) noexcept {
  Key key;
  std::memcpy(&key.words[0], flow.source.bytes.data(), 16);
  std::memcpy(&key.words[2], flow.destination.bytes.data(), 16);
  key.words[4] = std::uint64_t{flow.source_port} | std::uint64_t{flow.destination_port} << 16 |
                 std::uint64_t{flow.upper_protocol} << 32 |
                 static_cast<std::uint64_t>(flow.source.family) << 40 |
                 static_cast<std::uint64_t>(direction) << 48 |
                 std::uint64_t{flow.ports_known} << 56 | std::uint64_t{flow.fragment} << 57;
  return key;
}

std::uint64_t FlowCache::hash_of(const Key& key) const noexcept {
  const auto& words = key.words;
  const std::uint64_t a = base::mix(words[0] ^ secret_[0], words[1] ^ secret_[1]);
  const std::uint64_t b = base::mix(words[2] ^ secret_[1], words[3] ^ secret_[0] ^ words[4]);
  return base::mix(a ^ secret_[1] ^ words[4], b ^ secret_[0]);
}

void FlowCache::judge_itself() noexcept {
  if (window_lookups_ < kWindow) return;
  if (wide_ && window_hits_ < kNotWorthIt) {
    wide_ = false;
  } else if (!wide_ && window_hits_ > kWorthIt) {
    wide_ = true;
  }
  window_lookups_ = window_hits_ = 0;
}

void FlowCache::match_chunk(const SpdView& view, Direction direction, const Flow* flows,
                            const Policy** found, std::size_t count) noexcept {
  std::array<Lookup, kChunk> lookups;
  for (std::size_t i = 0; i < count; ++i) {
    lookups[i].key = key_of(flows[i], direction);
    lookups[i].hash = hash_of(lookups[i].key);
    if (!wide_ && lookups[i].hash >> 60 != 0) continue;
    const Set& set = sets_[lookups[i].hash % kSets];
    for (const Entry& way : set.ways) __builtin_prefetch(&way);
  }
  const std::uint64_t generation = view.generation();
  std::array<const Flow*, kChunk> missed;
  std::array<std::uint8_t, kChunk> from;
  std::size_t misses = 0;
  std::uint32_t hits = 0, passed_by = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const Lookup& lookup = lookups[i];
    if (wide_ || lookup.hash >> 60 == 0) {
      const Set& set = sets_[lookup.hash % kSets];
      const Entry* hit = nullptr;
      for (const Entry& way : set.ways)
        if (way.key == lookup.key && way.generation == generation) hit = &way;
      if (hit != nullptr) {
        found[i] = hit->policy;
        ++hits;
        continue;
      }
    } else {
      ++passed_by;
    }
    missed[misses] = &flows[i];
    from[misses++] = static_cast<std::uint8_t>(i);
  }
  counts_.hits += hits;
  counts_.passed_by += passed_by;
  const auto looked_up = static_cast<std::uint32_t>(count) - passed_by;
  counts_.misses += looked_up - hits;
  window_hits_ += hits;
  window_lookups_ += looked_up;
  if (misses != 0) {
    std::array<const Policy*, kChunk> policies;
    view.match(direction, {missed.data(), misses}, {policies.data(), misses});
    for (std::size_t m = 0; m < misses; ++m) {
      const Lookup& lookup = lookups[from[m]];
      found[from[m]] = policies[m];
      if (!wide_ && lookup.hash >> 60 != 0) continue;
      auto& ways = sets_[lookup.hash % kSets].ways;
      // The older of the two goes, an outdated one first.
      if (ways[0].generation == generation) ways[1] = ways[0];
      ways[0] = {lookup.key, policies[m], generation};
    }
  }
  judge_itself();
}

void FlowCache::match(const SpdView& view, Direction direction, std::span<const Flow> flows,
                      std::span<const Policy*> found) noexcept {
  for (std::size_t i = 0; i < flows.size(); i += kChunk)
    match_chunk(view, direction, flows.data() + i, found.data() + i,
                std::min(kChunk, flows.size() - i));
}

}  // namespace saline::ipsec
