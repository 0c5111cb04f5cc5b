// What the SPD answered to the flows a data thread has seen lately: exact addresses, protocol,
// ports and direction, good for one generation of the SPD. Of a fixed size, made once. Flows that
// never come again (a scan, an attack) would only pay for it: when too few lookups are hits it
// watches a sixteenth of the flows, chosen by their hash, and leaves the others alone until those
// are hits again. The hash is keyed, so that nobody can choose flows that meet in one place.
// One thread's.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "host/ipsec/spd.hpp"

namespace saline::ipsec {

class FlowCache {
 public:
  static constexpr std::size_t kSets = 1 << 14;
  static constexpr std::size_t kWays = 2;

  FlowCache();
  ~FlowCache();

  // found[i] answers flows[i], as view.match() does. The view must stay held.
  void match(const SpdView& view, Direction direction, std::span<const Flow> flows,
             std::span<const Policy*> found) noexcept;

  struct Counts {
    std::uint64_t hits = 0;
    std::uint64_t misses = 0;
    std::uint64_t passed_by = 0;  // not looked up
  };
  const Counts& counts() const noexcept { return counts_; }
  bool wide() const noexcept { return wide_; }  // looks up every flow

 private:
  struct Key {
    std::array<std::uint64_t, 5> words;
    bool operator==(const Key&) const = default;
  };
  struct alignas(64) Entry {
    Key key{};
    const Policy* policy = nullptr;
    std::uint64_t generation = 0;  // 0: empty
  };
  struct Set {
    std::array<Entry, kWays> ways;
  };
  struct Lookup {
    Key key;
    std::uint64_t hash;
  };

  static Key key_of(const Flow& flow, Direction direction) noexcept;
  std::uint64_t hash_of(const Key& key) const noexcept;
  void match_chunk(const SpdView& view, Direction direction, const Flow* flows,
                   const Policy** found, std::size_t count) noexcept;
  void judge_itself() noexcept;

  std::unique_ptr<Set[]> sets_;
  std::array<std::uint64_t, 2> secret_;
  Counts counts_;
  std::uint32_t window_hits_ = 0;
  std::uint32_t window_lookups_ = 0;
  bool wide_ = true;
};

}  // namespace saline::ipsec
