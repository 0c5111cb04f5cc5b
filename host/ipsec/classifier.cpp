// The writer's side of the classifier.
#include "host/ipsec/classifier.hpp"

#include <algorithm>
#include <cassert>
#include <memory>

#include "host/ipsec/classifier_hash.hpp"

namespace saline::ipsec {

namespace {

void lower(PrefixEntry& entry, std::uint8_t peer_length, std::uint64_t order) noexcept {
  entry.lower_best(order);
  entry.peers.store(entry.peers.load(std::memory_order_relaxed) | peer_bit(peer_length),
                    std::memory_order_release);
}

}  // namespace

std::uint64_t HashOfPair::operator()(const RulePair& pair) const noexcept {
  return hash_of_pair(pair.source, pair.destination);
}

std::uint64_t HashOfPairRule::operator()(const PairRule& rule) const noexcept {
  return hash_of_rule(rule.pair, rule.rule);
}

Rule Rule::of(const Selector& selector, const Policy* policy, std::uint64_t order) noexcept {
  Rule rule;
  rule.policy = policy;
  rule.order = order;
  rule.source_port = selector.source_port;
  rule.destination_port = selector.destination_port;
  if (selector.upper_protocol != kAnyProtocol) {
    rule.protocol = selector.upper_protocol;
    rule.shape |= kAsksProtocol;
  }
  if (selector.source_port != 0) rule.shape |= kAsksSourcePort;
  if (selector.destination_port != 0) rule.shape |= kAsksDestinationPort;
  return rule;
}

// Where a rule is.
struct Classifier::Place {
  PrefixEntry* source = nullptr;
  PrefixEntry* destination = nullptr;
  RulePair* pair = nullptr;
  std::size_t index = RulePair::kInline;  // in the pair
  PairRule* other = nullptr;
};

Classifier::~Classifier() {
  // The tables own nothing.
  pairs_.for_each([](RulePair* pair) { delete pair; });
  rules_.for_each([](PairRule* rule) { delete rule; });
}

Classifier::Place Classifier::locate(const Selector& selector) const noexcept {
  Place place;
  place.source = sources_.find(selector.source);
  place.destination = destinations_.find(selector.destination);
  if (place.source == nullptr || place.destination == nullptr) return place;
  place.pair = find_pair(pairs_.view(), place.source->id, place.destination->id);
  if (place.pair == nullptr) return place;
  const Rule key = Rule::of(selector, nullptr, 0);
  for (std::size_t i = 0; i < place.pair->count; ++i)
    if (place.pair->rules[i].same_key(key)) place.index = i;
  if (place.index == RulePair::kInline)
    place.other = find_rule(rules_.view(), pair_key(*place.source, *place.destination), key);
  return place;
}

// made == nullptr: the pair goes.
void Classifier::swap_pair(RulePair* old, RulePair* made, Retired& retired) {
  if (old == nullptr) {
    pairs_.reserve(HashOfPair{}(*made));
    pairs_.add(made);
  } else if (made == nullptr) {
    pairs_.erase(old);
  } else {
    pairs_.replace(old, made);
  }
  if (old != nullptr) retired.add(std::unique_ptr<RulePair>(old));
  if (auto buckets = pairs_.take_retired()) retired.add(std::move(buckets));
}

void Classifier::add(const Selector& selector, const Policy* policy, std::uint64_t order,
                     Retired& retired) {
  PrefixEntry& source = sources_.use(selector.source, retired);
  PrefixEntry& destination = destinations_.use(selector.destination, retired);
  RulePair* old = find_pair(pairs_.view(), source.id, destination.id);
  auto made = old == nullptr ? std::make_unique<RulePair>() : std::make_unique<RulePair>(*old);
  made->source = source.id;
  made->destination = destination.id;
  const Rule rule = Rule::of(selector, policy, order);
  if (made->count < RulePair::kInline) {
    made->rules[made->count++] = rule;
  } else {
    made->others |= static_cast<std::uint8_t>(1u << rule.shape);
    ++made->others_count;
    auto* other = new PairRule{pair_key(source, destination), rule};
    rules_.reserve(HashOfPairRule{}(*other));
    rules_.add(other);
    if (auto buckets = rules_.take_retired()) retired.add(std::move(buckets));
  }
  swap_pair(old, made.release(), retired);
  lower(source, selector.destination.length, order);
  destination.lower_best(order);
  ++size_;
}

void Classifier::replace(const Selector& selector, const Policy* policy, std::uint64_t order,
                         Retired& retired) {
  const Place place = locate(selector);
  assert(place.pair != nullptr);
  const Rule rule = Rule::of(selector, policy, order);
  place.source->lower_best(order);
  place.destination->lower_best(order);
  if (place.other != nullptr) {
    auto* other = new PairRule{place.other->pair, rule};
    rules_.replace(place.other, other);
    retired.add(std::unique_ptr<PairRule>(place.other));
    return;
  }
  auto made = std::make_unique<RulePair>(*place.pair);
  made->rules[place.index] = rule;
  swap_pair(place.pair, made.release(), retired);
}

void Classifier::remove(const Selector& selector, Retired& retired) {
  const Place place = locate(selector);
  assert(place.pair != nullptr);
  auto made = std::make_unique<RulePair>(*place.pair);
  if (place.other != nullptr) {
    rules_.erase(place.other);
    retired.add(std::unique_ptr<PairRule>(place.other));
    if (--made->others_count == 0) made->others = 0;
  } else {
    made->rules[place.index] = made->rules[--made->count];
  }
  const bool empty = made->count == 0 && made->others_count == 0;
  swap_pair(place.pair, empty ? nullptr : made.release(), retired);
  sources_.unuse(*place.source, retired);
  destinations_.unuse(*place.destination, retired);
  --size_;
}

ClassifierView Classifier::view() const noexcept {
  ClassifierView view;
  view.sources = &sources_;
  view.destinations = &destinations_;
  view.pairs = pairs_.view();
  view.rules = rules_.view();
  view.size = size_;
  view.ipv6 = ipv6_;
  return view;
}

}  // namespace saline::ipsec
