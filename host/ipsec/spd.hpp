// The Security Policy Database (RFC 4301 §4.4.1): policies ordered by priority, then insertion; per
// direction and family one classifier finds the first that matches a packet. The control thread's
// changes go into the classifiers when it publishes them, one after the other and each as a whole,
// at a cost that does not grow with their number; data threads go on looking things up meanwhile.
// The answer is always that of a search through the ordered list.
//
// Fragments: only policies that ask for no protocol and no port match them (Flow), which is the
// strict reading of RFC 4301 §7 that needs no state; a gateway reassembles before it asks.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "host/base/snapshot.hpp"
#include "host/ipsec/classifier.hpp"
#include "host/ipsec/policy.hpp"

namespace saline::ipsec {

// What a data thread holds on to for a burst.
class SpdView {
 public:
  // The first policy that matches, nullptr when none does. fwd falls back to in when no fwd policy
  // exists at all, for clients that only know in and out.
  const Policy* match(Direction direction, const Flow& flow) const noexcept;
  // For a burst, which is far cheaper per flow: found[i] answers flows[i].
  void match(Direction direction, std::span<const Flow> flows,
             std::span<const Policy*> found) const noexcept;
  void match(Direction direction, std::span<const Flow* const> flows,
             std::span<const Policy*> found) const noexcept;

  // Whether fragments must be put together before a policy of this direction can be found for them
  // or applied: one asks for a protocol or port, or its innermost request is transport mode.
  bool needs_whole_packets(Direction direction) const noexcept {
    return whole_packets_[static_cast<std::size_t>(direction)];
  }
  // Another one after every change: what a FlowCache remembers is good for one generation.
  std::uint64_t generation() const noexcept { return generation_; }

 private:
  friend class Spd;

  const std::array<ClassifierView, 2>& side(Direction direction) const noexcept;

  std::uint64_t generation_ = 0;
  std::array<bool, 4> whole_packets_{};
  std::array<std::array<ClassifierView, 2>, 4> classifiers_{};  // by Direction; IPv4, IPv6
  // What readers of this view, but none of a later one, may hold. The control thread's.
  mutable Retired retired_;
  mutable std::vector<std::shared_ptr<const void>> retired_owners_;
};

class Spd {
 public:
  using Pointer = std::shared_ptr<const Policy>;

  // Numbers of insertion start over, and the classifiers are made anew, behind last_sequence.
  explicit Spd(std::uint32_t last_sequence = UINT32_MAX);
  ~Spd();
  Spd(const Spd&) = delete;
  Spd& operator=(const Spd&) = delete;

  // Validates; throws Error(EEXIST) when the direction has the same selector already. Returns the
  // entry, with its id. This and what follows costs O(log n).
  Pointer add(Policy&& policy);
  // Replaces the policy with the same direction and selector, keeping id and place unless priority
  // changes; adds when there is none (SADB_X_SPDUPDATE).
  Pointer update(Policy&& policy);
  // nullptr when there is none.
  Pointer find(Direction direction, const Selector& selector) const;
  Pointer find(std::uint32_t id) const;
  Pointer remove(Direction direction, const Selector& selector);
  Pointer remove(std::uint32_t id);
  void clear();

  std::size_t size() const noexcept { return ordered_.size(); }
  // In order of search, all directions together. A copy: O(n).
  std::vector<Pointer> all() const;
  // For dumps that go on while the table changes: the first policy behind `place` in the order of
  // search, nullptr at the end; `place` then names it. Starts at a default Place.
  struct Place {
    std::int64_t priority = INT64_MIN;
    std::uint64_t sequence = 0;
    auto operator<=>(const Place&) const = default;
  };
  Pointer next(Place& place) const;

  // Makes all changes so far visible to the data threads.
  void publish();
  // Frees what readers have left behind; publish() does so as well.
  void reclaim() { view_.reclaim(); }
  // A data thread: acquire() once per burst, release() when it pauses.
  base::Snapshot<SpdView>& view() noexcept { return view_; }

 private:
  struct Key {
    Direction direction;
    Selector selector;  // without the bits behind its prefixes
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const noexcept;
  };
  struct Entry {
    Pointer policy;
    Place place;
  };
  enum class Kind : std::uint8_t { add, replace, remove };
  struct Change {
    Kind kind;
    Entry entry;
    Pointer former;
  };
  using Classifiers = std::array<std::array<std::unique_ptr<Classifier>, 2>, 4>;

  static Key key_of(Direction direction, const Selector& selector);
  Pointer insert(Policy&& policy);
  Pointer take(const Entry& entry);
  std::uint32_t new_id();
  void apply(const Change& change, Classifiers& classifiers, Retired& retired);
  void drop_classifiers();
  void rebuild();
  std::unique_ptr<SpdView> make_view() const;

  std::map<Place, Pointer> ordered_;
  std::unordered_map<Key, Entry, KeyHash> by_selector_;
  std::unordered_map<std::uint32_t, Place> by_id_;
  std::array<std::size_t, 4> want_whole_packets_{};  // policies, by Direction
  std::uint32_t last_id_ = 0;
  std::uint64_t last_sequence_ = 0;
  std::uint64_t last_sequence_allowed_;
  std::vector<Change> changes_;  // since the last publish()
  bool rebuilt_ = false;
  std::vector<Pointer> dropped_;  // of the classifiers that go
  std::shared_ptr<Classifiers> classifiers_;
  base::Snapshot<SpdView> view_;
};

}  // namespace saline::ipsec
