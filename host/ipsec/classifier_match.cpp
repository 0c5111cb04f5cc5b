// The readers' side of the classifier: a burst of flows goes through it stage by stage, and every
// stage prefetches what the next one reads.
#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>

#include "host/ipsec/classifier.hpp"
#include "host/ipsec/classifier_hash.hpp"

// Bitmaps are counted with one instruction where the machine has it; the code is compiled twice.
#if defined(__x86_64__)
#define SALINE_HAS_POPCNT 1
#else
#define SALINE_HAS_POPCNT 0
#endif
#define SALINE_INLINE __attribute__((always_inline)) inline

namespace saline::ipsec {

namespace {

using Node = PrefixTrie::Node;

constexpr std::size_t kChunk = 32;
constexpr std::size_t kCandidates = 128;
constexpr std::uint64_t kNothing = ~std::uint64_t{0};

// Bits of Node::prefixes that contain the value: one for each length.
constexpr std::array<std::uint64_t, 64> make_covers() {
  std::array<std::uint64_t, 64> covers{};
  for (unsigned value = 0; value < 64; ++value)
    for (unsigned r = 0; r < PrefixTrie::kStride; ++r)
      covers[value] |= std::uint64_t{1} << ((1u << r) - 1 + (value >> (PrefixTrie::kStride - r)));
  return covers;
}
constexpr std::array<std::uint64_t, 64> kCovers = make_covers();

// An IPv4 address is all in the upper half of its bits, which saves the lower half's work.
struct Upper {
  using Word = std::uint64_t;
  static constexpr bool kIpv6 = false;
  static SALINE_INLINE Word of(const base::Address& address) noexcept {
    std::uint32_t wire;
    __builtin_memcpy(&wire, address.bytes.data(), sizeof wire);
    if constexpr (std::endian::native == std::endian::little) wire = __builtin_bswap32(wire);
    return std::uint64_t{wire} << 32;
  }
  static SALINE_INLINE AddressBits bits(Word word) noexcept { return AddressBits{word} << 64; }
  static SALINE_INLINE unsigned slot(Word word, std::uint32_t position) noexcept {
    return static_cast<unsigned>(word << position >> 58);
  }
};
struct Whole {
  using Word = AddressBits;
  static constexpr bool kIpv6 = true;
  static SALINE_INLINE Word of(const base::Address& address) noexcept {
    std::array<std::uint64_t, 2> wire;
    __builtin_memcpy(wire.data(), address.bytes.data(), sizeof wire);
    if constexpr (std::endian::native == std::endian::little)
      wire = {__builtin_bswap64(wire[0]), __builtin_bswap64(wire[1])};
    return AddressBits{wire[0]} << 64 | wire[1];
  }
  static SALINE_INLINE AddressBits bits(Word word) noexcept { return word; }
  static SALINE_INLINE unsigned slot(Word word, std::uint32_t position) noexcept {
    return static_cast<unsigned>(word << position >> 122);
  }
};

// The lookups of one chunk: both ends of every flow walk their tries at the same time, sources in
// the first half of `walks`, destinations in the second.
template <typename Family>
struct Chunk {
  struct Walk {
    typename Family::Word word;
    const Node* node;
    PrefixEntry* const* last;  // where the longest prefix so far is named
    const PrefixEntry* entry;
  };
  struct Candidate {
    std::uint8_t flow;
    std::uint32_t source;
    std::uint32_t destination;
    std::uint64_t hash;
  };
  struct Probe {
    std::uint8_t flow;
    Rule key;
    std::uint64_t pair;
  };

  const ClassifierView& view;
  const Flow* const* flows;
  std::size_t count;
  std::array<Walk, 2 * kChunk> walks;
  std::array<Rule, kChunk> best;
  std::array<Candidate, kCandidates> candidates;
  std::size_t candidate_count = 0;
  std::array<Probe, kCandidates> probes;
  std::size_t probe_count = 0;

  Chunk(const ClassifierView& from, const Flow* const* at, std::size_t n) noexcept
      : view(from), flows(at), count(n) {}

  SALINE_INLINE void start() noexcept {
    for (std::size_t i = 0; i < count; ++i) {
      walks[i].word = Family::of(flows[i]->source);
      walks[kChunk + i].word = Family::of(flows[i]->destination);
      __builtin_prefetch(&view.sources->root(Family::bits(walks[i].word)));
      __builtin_prefetch(&view.destinations->root(Family::bits(walks[kChunk + i].word)));
      best[i].policy = nullptr;
      best[i].order = kNothing;
    }
    for (std::size_t end = 0; end < 2; ++end) {
      const PrefixTrie& trie = end == 0 ? *view.sources : *view.destinations;
      for (std::size_t i = end * kChunk; i < end * kChunk + count; ++i) {
        Walk& walk = walks[i];
        const PrefixTrie::RootSlot& root = trie.root(Family::bits(walk.word));
        walk.node = root.node.load(std::memory_order_acquire);
        walk.last = nullptr;
        walk.entry = root.best.load(std::memory_order_acquire);
        if (walk.node != nullptr) {
          __builtin_prefetch(walk.node);
        } else if (walk.entry != nullptr) {
          __builtin_prefetch(walk.entry);
        }
      }
    }
  }

  // One level down; true when there is another.
  static SALINE_INLINE bool step(Walk& walk) noexcept {
    const Node& node = *walk.node;
    const unsigned slot = Family::slot(walk.word, node.position);
    void*& word = const_cast<Node&>(node).block;
    const auto* block =
        static_cast<const Node*>(std::atomic_ref<void*>(word).load(std::memory_order_acquire));
    if (const std::uint64_t hits = node.prefixes & kCovers[slot]; hits != 0) {
      const unsigned longest = 63u - static_cast<unsigned>(__builtin_clzll(hits));
      const std::uint64_t before = node.prefixes & ((std::uint64_t{1} << longest) - 1);
      walk.last = reinterpret_cast<PrefixEntry* const*>(block + std::popcount(node.children)) +
                  std::popcount(before);
    }
    if ((node.children >> slot & 1) != 0) {
      const std::uint64_t before = node.children & ((std::uint64_t{1} << slot) - 1);
      walk.node = block + std::popcount(before);
      __builtin_prefetch(walk.node);
      return true;
    }
    if (walk.last != nullptr) __builtin_prefetch(walk.last);
    return false;
  }

  SALINE_INLINE void walk_all() noexcept {
    std::array<std::uint8_t, 2 * kChunk> live;
    std::size_t left = 0;
    for (std::size_t end = 0; end < 2; ++end)
      for (std::size_t i = end * kChunk; i < end * kChunk + count; ++i) {
        live[left] = static_cast<std::uint8_t>(i);
        left += walks[i].node != nullptr ? 1 : 0;
      }
    while (left != 0) {
      std::size_t kept = 0;
      for (std::size_t at = 0; at < left; ++at) {
        const std::uint8_t i = live[at];
        live[kept] = i;
        kept += step(walks[i]) ? 1 : 0;
      }
      left = kept;
    }
    for (std::size_t end = 0; end < 2; ++end)
      for (std::size_t i = end * kChunk; i < end * kChunk + count; ++i) {
        if (walks[i].last == nullptr) continue;
        walks[i].entry = *walks[i].last;
        __builtin_prefetch(walks[i].entry);
      }
  }

  SALINE_INLINE void consider(std::uint8_t flow, const Rule& rule) noexcept {
    if (rule.order < best[flow].order) best[flow] = rule;
  }

  SALINE_INLINE void run_probes() noexcept {
    for (std::size_t at = 0; at < probe_count; ++at) {
      const Probe& probe = probes[at];
      if (const PairRule* found = find_rule(view.rules, probe.pair, probe.key))
        consider(probe.flow, found->rule);
    }
    probe_count = 0;
  }

  SALINE_INLINE void probe_others(std::uint8_t flow, std::uint64_t pair,
                                  std::uint8_t others) noexcept {
    const Flow& of = *flows[flow];
    if (!of.ports_known) others &= (1u << 0) | (1u << kAsksProtocol);
    for (unsigned left = others; left != 0; left &= left - 1) {
      if (probe_count == kCandidates) run_probes();
      Probe& probe = probes[probe_count++];
      const auto shape = static_cast<std::uint8_t>(__builtin_ctz(left));
      probe.flow = flow;
      probe.pair = pair;
      probe.key = Rule{};
      probe.key.shape = shape;
      if ((shape & kAsksProtocol) != 0) probe.key.protocol = of.upper_protocol;
      if ((shape & kAsksSourcePort) != 0) probe.key.source_port = of.source_port;
      if ((shape & kAsksDestinationPort) != 0) probe.key.destination_port = of.destination_port;
      view.rules.prefetch(hash_of_rule(pair, probe.key));
    }
  }

  static SALINE_INLINE bool fits(const Rule& rule, const Flow& flow) noexcept {
    if (rule.shape == 0) return true;
    if ((rule.shape & kAsksProtocol) != 0 && rule.protocol != flow.upper_protocol) return false;
    if ((rule.shape & (kAsksSourcePort | kAsksDestinationPort)) == 0) return true;
    return flow.ports_known &&
           ((rule.shape & kAsksSourcePort) == 0 || rule.source_port == flow.source_port) &&
           ((rule.shape & kAsksDestinationPort) == 0 ||
            rule.destination_port == flow.destination_port);
  }

  SALINE_INLINE void run_candidates() noexcept {
    for (std::size_t at = 0; at < candidate_count; ++at)
      if (const RulePair* pair = view.pairs.candidate(candidates[at].hash))
        __builtin_prefetch(pair);
    for (std::size_t at = 0; at < candidate_count; ++at) {
      const Candidate& candidate = candidates[at];
      const RulePair* pair = view.pairs.find(candidate.hash, [&](const RulePair& found) {
        return found.source == candidate.source && found.destination == candidate.destination;
      });
      if (pair == nullptr) continue;
      const Flow& flow = *flows[candidate.flow];
      for (std::size_t i = 0; i < pair->count; ++i)
        if (fits(pair->rules[i], flow)) consider(candidate.flow, pair->rules[i]);
      if (pair->others != 0)
        probe_others(candidate.flow, pair_key(candidate.source, candidate.destination),
                     pair->others);
    }
    candidate_count = 0;
    run_probes();
  }

  // The pairs of the prefixes at both ends that exist and may hold something better.
  SALINE_INLINE void pair_up(std::uint8_t flow) noexcept {
    const PrefixEntry* source = walks[flow].entry;
    const PrefixEntry* first = walks[kChunk + flow].entry;
    if (source != nullptr) source = source->covering(Family::bits(walks[flow].word));
    if (first != nullptr) first = first->covering(Family::bits(walks[kChunk + flow].word));
    std::uint64_t lengths = 0;
    for (const PrefixEntry* d = first; d != nullptr; d = d->parent.load(std::memory_order_acquire))
      lengths |= peer_bit(d->length);
    for (; source != nullptr; source = source->parent.load(std::memory_order_acquire)) {
      const std::uint64_t peers = source->peers.load(std::memory_order_acquire);
      if ((peers & lengths) == 0 ||
          source->best.load(std::memory_order_acquire) >= best[flow].order)
        continue;
      for (const PrefixEntry* d = first; d != nullptr;
           d = d->parent.load(std::memory_order_acquire)) {
        if ((peers & peer_bit(d->length)) == 0 ||
            d->best.load(std::memory_order_acquire) >= best[flow].order)
          continue;
        if (candidate_count == kCandidates) run_candidates();
        const std::uint64_t hash = hash_of_pair(source->id, d->id);
        view.pairs.prefetch(hash);
        candidates[candidate_count++] = {flow, source->id, d->id, hash};
      }
    }
  }

  SALINE_INLINE void run(const Policy** found) noexcept {
    start();
    walk_all();
    for (std::size_t i = 0; i < count; ++i) pair_up(static_cast<std::uint8_t>(i));
    run_candidates();
    for (std::size_t i = 0; i < count; ++i) found[i] = best[i].policy;
  }
};

template <typename Family>
SALINE_INLINE void match_all(const ClassifierView& view, std::span<const Flow* const> flows,
                             const Policy** found) noexcept {
  for (std::size_t i = 0; i < flows.size(); i += kChunk) {
    Chunk<Family> chunk(view, flows.data() + i, std::min(kChunk, flows.size() - i));
    chunk.run(found + i);
  }
}

SALINE_INLINE void match_family(const ClassifierView& view, std::span<const Flow* const> flows,
                                const Policy** found) noexcept {
  if (view.ipv6) {
    match_all<Whole>(view, flows, found);
  } else {
    match_all<Upper>(view, flows, found);
  }
}

void match_plain(const ClassifierView& view, std::span<const Flow* const> flows,
                 const Policy** found) noexcept {
  match_family(view, flows, found);
}

#if SALINE_HAS_POPCNT
__attribute__((target("popcnt"))) void match_popcnt(const ClassifierView& view,
                                                    std::span<const Flow* const> flows,
                                                    const Policy** found) noexcept {
  match_family(view, flows, found);
}
const bool has_popcnt = __builtin_cpu_supports("popcnt") != 0;
#endif

}  // namespace

void ClassifierView::match(std::span<const Flow* const> flows,
                           std::span<const Policy*> found) const noexcept {
  if (empty()) {
    std::fill_n(found.begin(), flows.size(), nullptr);
    return;
  }
#if SALINE_HAS_POPCNT
  if (has_popcnt) return match_popcnt(*this, flows, found.data());
#endif
  match_plain(*this, flows, found.data());
}

}  // namespace saline::ipsec
