// First match among up to hundreds of thousands of selectors of one direction and family. Two tries
// find the prefixes that contain the addresses; a rule sits under the pair of its prefixes, so that
// only the pairs of these few need a look, and of those only the ones that exist (PrefixEntry::
// peers) and may hold something better than what is found (best). Rules of one pair differ in
// protocol and ports: two are kept with the pair, others in a table of their own, by which of the
// three they ask for (Rule::shape).
//
// Costs are those of the rules that lie over each other at the packet's addresses, never of how
// many there are; a burst of packets is looked up together, so that memory is waited for once per
// stage, not per packet. One writer, readers without locks; a change is one store.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <span>

#include "host/ipsec/pointer_table.hpp"
#include "host/ipsec/prefix_trie.hpp"
#include "host/ipsec/selector.hpp"

namespace saline::ipsec {

struct Policy;

// Bits of Rule::shape: what is asked for beside the addresses.
inline constexpr std::uint8_t kAsksProtocol = 1;
inline constexpr std::uint8_t kAsksSourcePort = 2;
inline constexpr std::uint8_t kAsksDestinationPort = 4;

struct Rule {
  const Policy* policy = nullptr;
  std::uint64_t order = 0;  // lowest wins; no two are the same
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  std::uint8_t protocol = 0;
  std::uint8_t shape = 0;

  static Rule of(const Selector& selector, const Policy* policy, std::uint64_t order) noexcept;
  bool same_key(const Rule& other) const noexcept {
    return shape == other.shape && protocol == other.protocol && source_port == other.source_port &&
           destination_port == other.destination_port;
  }
};

struct alignas(64) RulePair {
  static constexpr std::size_t kInline = 2;
  std::uint32_t source = 0;  // PrefixEntry::id
  std::uint32_t destination = 0;
  std::uint8_t count = 0;   // of rules
  std::uint8_t others = 0;  // shapes in the table of rules, one bit each
  std::uint32_t others_count = 0;
  std::array<Rule, kInline> rules;
};

struct PairRule {  // one of the others
  std::uint64_t pair = 0;
  Rule rule;
};

struct HashOfPair {
  std::uint64_t operator()(const RulePair& pair) const noexcept;
};
struct HashOfPairRule {
  std::uint64_t operator()(const PairRule& rule) const noexcept;
};

// What a reader needs; empty: nothing matches.
class ClassifierView {
 public:
  // Any number of flows, all of this family; found[i] is nullptr where nothing matches.
  void match(std::span<const Flow* const> flows, std::span<const Policy*> found) const noexcept;
  bool empty() const noexcept { return size == 0; }

  const PrefixTrie* sources = nullptr;
  const PrefixTrie* destinations = nullptr;
  PointerView<RulePair> pairs;
  PointerView<PairRule> rules;
  std::size_t size = 0;
  bool ipv6 = false;
};

class Classifier {
 public:
  explicit Classifier(bool ipv6) : ipv6_(ipv6) {}
  ~Classifier();
  Classifier(const Classifier&) = delete;
  Classifier& operator=(const Classifier&) = delete;

  // No rule with this selector may be there. Visible to readers at once, unless it takes more room
  // than the view they have knows of.
  void add(const Selector& selector, const Policy* policy, std::uint64_t order, Retired& retired);
  // The rule with this selector must be there.
  void replace(const Selector& selector, const Policy* policy, std::uint64_t order,
               Retired& retired);
  void remove(const Selector& selector, Retired& retired);

  ClassifierView view() const noexcept;
  std::size_t size() const noexcept { return size_; }
  // Numbers of prefixes, which are used once, come to their end: time for a new classifier.
  bool tired() const noexcept {
    return sources_.last_id() > 0xF0000000 || destinations_.last_id() > 0xF0000000;
  }

 private:
  struct Place;

  Place locate(const Selector& selector) const noexcept;
  void swap_pair(RulePair* old, RulePair* made, Retired& retired);

  bool ipv6_;
  std::size_t size_ = 0;
  PrefixTrie sources_;
  PrefixTrie destinations_;
  PointerTable<RulePair, HashOfPair> pairs_;
  PointerTable<PairRule, HashOfPairRule> rules_;
};

}  // namespace saline::ipsec
