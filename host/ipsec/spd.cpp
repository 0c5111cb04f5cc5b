// The control thread's tables, and what becomes of its changes when they are published.
#include "host/ipsec/spd.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <utility>

#include "host/base/error.hpp"

namespace saline::ipsec {

namespace {

// Of a policy among all: lowest first. The place's sequence fits: see insert().
std::uint64_t order_of(const Spd::Place& place) noexcept {
  return static_cast<std::uint64_t>(place.priority + (std::int64_t{1} << 31)) << 32 |
         place.sequence;
}

std::size_t family_index(base::Family family) noexcept {
  return family == base::Family::ipv6 ? 1 : 0;
}

base::Prefix network_of(const base::Prefix& prefix) noexcept {
  base::Prefix network = prefix;
  for (std::size_t i = 0; i < network.address.bytes.size(); ++i) {
    const int left = static_cast<int>(prefix.length) - static_cast<int>(8 * i);
    const int mask = left >= 8 ? 0xFF : left <= 0 ? 0 : 0xFF00 >> left & 0xFF;
    network.address.bytes[i] = static_cast<std::uint8_t>(network.address.bytes[i] & mask);
  }
  return network;
}

constexpr std::size_t kChunk = 64;

bool asks_for_whole_packets(const Policy& policy) noexcept {
  const Selector& selector = policy.selector;
  return selector.upper_protocol != kAnyProtocol || selector.source_port != 0 ||
         selector.destination_port != 0 ||
         (policy.action == Action::ipsec && policy.direction == Direction::out &&
          policy.requests.front().mode != Mode::tunnel);
}

// Generations are never the same, not even those of two databases.
std::uint64_t new_generation() noexcept {
  static std::atomic<std::uint64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

}  // namespace

const std::array<ClassifierView, 2>& SpdView::side(Direction direction) const noexcept {
  const auto& own = classifiers_[static_cast<std::size_t>(direction)];
  if (direction != Direction::fwd || !own[0].empty() || !own[1].empty()) return own;
  return classifiers_[static_cast<std::size_t>(Direction::in)];
}

const Policy* SpdView::match(Direction direction, const Flow& flow) const noexcept {
  const Policy* found = nullptr;
  const Flow* flows = &flow;
  side(direction)[family_index(flow.source.family)].match({&flows, 1}, {&found, 1});
  return found;
}

void SpdView::match(Direction direction, std::span<const Flow> flows,
                    std::span<const Policy*> found) const noexcept {
  std::array<const Flow*, kChunk> chunk;
  for (std::size_t start = 0; start < flows.size(); start += kChunk) {
    const std::size_t count = std::min(kChunk, flows.size() - start);
    for (std::size_t i = 0; i < count; ++i) chunk[i] = &flows[start + i];
    match(direction, std::span<const Flow* const>(chunk.data(), count), found.subspan(start));
  }
}

void SpdView::match(Direction direction, std::span<const Flow* const> flows,
                    std::span<const Policy*> found) const noexcept {
  const auto& classifiers = side(direction);
  std::array<const Flow*, kChunk> wanted;
  std::array<const Policy*, kChunk> policies;
  std::array<std::uint8_t, kChunk> from;
  for (std::size_t start = 0; start < flows.size(); start += kChunk) {
    const std::size_t count = std::min(kChunk, flows.size() - start);
    for (std::size_t family = 0; family < 2; ++family) {
      std::size_t some = 0;
      for (std::size_t i = 0; i < count; ++i) {
        wanted[some] = flows[start + i];
        from[some] = static_cast<std::uint8_t>(i);
        some += family_index(wanted[some]->source.family) == family ? 1 : 0;
      }
      if (some == 0) continue;
      classifiers[family].match({wanted.data(), some}, {policies.data(), some});
      for (std::size_t i = 0; i < some; ++i) found[start + from[i]] = policies[i];
    }
  }
}

std::size_t Spd::KeyHash::operator()(const Key& key) const noexcept {
  std::uint64_t hash = static_cast<std::uint64_t>(key.direction);
  const auto add = [&hash](std::uint64_t value) {
    hash = (hash ^ value) * 0x9E3779B97F4A7C15u;
    hash ^= hash >> 31;
  };
  for (const base::Prefix* prefix : {&key.selector.source, &key.selector.destination}) {
    const AddressBits bits = address_bits(prefix->address);
    add(static_cast<std::uint64_t>(bits >> 64));
    add(static_cast<std::uint64_t>(bits));
    add(prefix->length);
  }
  add(std::uint64_t{key.selector.upper_protocol} << 32 |
      std::uint64_t{key.selector.source_port} << 16 | key.selector.destination_port);
  return static_cast<std::size_t>(hash);
}

Spd::Key Spd::key_of(Direction direction, const Selector& selector) {
  Key key{direction, selector};
  key.selector.source = network_of(selector.source);
  key.selector.destination = network_of(selector.destination);
  return key;
}

Spd::Spd(std::uint32_t last_sequence)
    : last_sequence_allowed_(last_sequence),
      classifiers_(std::make_shared<Classifiers>()),
      view_(make_view()) {}
Spd::~Spd() = default;

std::uint32_t Spd::new_id() {
  do {
    if (++last_id_ == 0) ++last_id_;
  } while (by_id_.contains(last_id_));
  return last_id_;
}

Spd::Pointer Spd::insert(Policy&& policy) {
  if (last_sequence_ >= last_sequence_allowed_) rebuild();
  if (policy.id == 0) policy.id = new_id();
  Entry entry{std::make_shared<const Policy>(std::move(policy)), {}};
  entry.place = {entry.policy->priority, ++last_sequence_};
  changes_.push_back({Kind::add, entry, nullptr});
  ordered_.emplace(entry.place, entry.policy);
  by_id_.emplace(entry.policy->id, entry.place);
  by_selector_.emplace(key_of(entry.policy->direction, entry.policy->selector), entry);
  return entry.policy;
}

Spd::Pointer Spd::add(Policy&& policy) {
  policy.validate();
  if (by_selector_.contains(key_of(policy.direction, policy.selector)))
    throw base::Error(EEXIST, "there is a policy with this selector: update or delete it");
  if (policy.id != 0 && by_id_.contains(policy.id))
    throw base::Error(EEXIST, "policy id " + std::to_string(policy.id) + " is taken");
  return insert(std::move(policy));
}

Spd::Pointer Spd::update(Policy&& policy) {
  policy.validate();
  if (last_sequence_ >= last_sequence_allowed_) rebuild();
  const auto known = by_selector_.find(key_of(policy.direction, policy.selector));
  if (known == by_selector_.end()) return insert(std::move(policy));
  Entry& entry = known->second;
  policy.id = entry.policy->id;
  const Pointer former =
      std::exchange(entry.policy, std::make_shared<const Policy>(std::move(policy)));
  if (former->priority != entry.policy->priority) {
    ordered_.erase(entry.place);
    entry.place = {entry.policy->priority, ++last_sequence_};
  }
  ordered_[entry.place] = entry.policy;
  by_id_[entry.policy->id] = entry.place;
  changes_.push_back({Kind::replace, entry, former});
  return entry.policy;
}

Spd::Pointer Spd::find(Direction direction, const Selector& selector) const {
  const auto found = by_selector_.find(key_of(direction, selector));
  return found == by_selector_.end() ? nullptr : found->second.policy;
}

Spd::Pointer Spd::find(std::uint32_t id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : ordered_.at(found->second);
}

Spd::Pointer Spd::take(const Entry& entry) {
  const Entry taken = entry;
  changes_.push_back({Kind::remove, taken, nullptr});
  ordered_.erase(taken.place);
  by_id_.erase(taken.policy->id);
  by_selector_.erase(key_of(taken.policy->direction, taken.policy->selector));
  return taken.policy;
}

Spd::Pointer Spd::remove(Direction direction, const Selector& selector) {
  const auto found = by_selector_.find(key_of(direction, selector));
  return found == by_selector_.end() ? nullptr : take(found->second);
}

Spd::Pointer Spd::remove(std::uint32_t id) {
  const Pointer policy = find(id);
  return policy == nullptr ? nullptr : remove(policy->direction, policy->selector);
}

// The next publish() starts with empty classifiers. Readers may hold any policy of the former.
void Spd::drop_classifiers() {
  for (const Change& change : changes_) {
    dropped_.push_back(change.entry.policy);
    dropped_.push_back(change.former);
  }
  for (const auto& [place, policy] : ordered_) dropped_.push_back(policy);
  changes_.clear();
  rebuilt_ = true;
}

void Spd::clear() {
  drop_classifiers();
  ordered_.clear();
  by_id_.clear();
  by_selector_.clear();
}

// The classifiers are made anew from what there is; sequences start over.
void Spd::rebuild() {
  drop_classifiers();
  std::map<Place, Pointer> ordered;
  last_sequence_ = 0;
  for (const auto& [place, policy] : ordered_) {
    const Entry entry{policy, {policy->priority, ++last_sequence_}};
    ordered.emplace_hint(ordered.end(), entry.place, policy);
    by_id_[policy->id] = entry.place;
    by_selector_[key_of(policy->direction, policy->selector)] = entry;
    changes_.push_back({Kind::add, entry, nullptr});
  }
  ordered_ = std::move(ordered);
}

std::vector<Spd::Pointer> Spd::all() const {
  std::vector<Pointer> policies;
  policies.reserve(ordered_.size());
  for (const auto& [place, policy] : ordered_) policies.push_back(policy);
  return policies;
}

Spd::Pointer Spd::next(Place& place) const {
  const auto found = ordered_.upper_bound(place);
  if (found == ordered_.end()) return nullptr;
  place = found->first;
  return found->second;
}

void Spd::apply(const Change& change, Classifiers& classifiers, Retired& retired) {
  const Policy& policy = *change.entry.policy;
  const std::size_t family = family_index(policy.selector.source.address.family);
  auto& classifier = classifiers[static_cast<std::size_t>(policy.direction)][family];
  if (classifier == nullptr) classifier = std::make_unique<Classifier>(family == 1);
  const std::uint64_t order = order_of(change.entry.place);
  std::size_t& want_whole = want_whole_packets_[static_cast<std::size_t>(policy.direction)];
  const Policy* leaves = change.kind == Kind::remove ? &policy : change.former.get();
  if (leaves != nullptr && asks_for_whole_packets(*leaves)) --want_whole;
  if (change.kind != Kind::remove && asks_for_whole_packets(policy)) ++want_whole;
  switch (change.kind) {
    case Kind::add:
      return classifier->add(policy.selector, &policy, order, retired);
    case Kind::replace:
      return classifier->replace(policy.selector, &policy, order, retired);
    case Kind::remove:
      return classifier->remove(policy.selector, retired);
  }
}

std::unique_ptr<SpdView> Spd::make_view() const {
  auto view = std::make_unique<SpdView>();
  view->generation_ = new_generation();
  for (std::size_t direction = 0; direction < classifiers_->size(); ++direction)
    for (std::size_t family = 0; family < 2; ++family)
      if (const auto& classifier = (*classifiers_)[direction][family])
        view->classifiers_[direction][family] = classifier->view();
  for (std::size_t direction = 0; direction < 4; ++direction) {
    const auto from = &view->side(static_cast<Direction>(direction)) - view->classifiers_.data();
    view->whole_packets_[direction] = want_whole_packets_[static_cast<std::size_t>(from)] != 0;
  }
  return view;
}

void Spd::publish() {
  const SpdView& leaving = view_.newest();
  if (std::exchange(rebuilt_, false)) {
    leaving.retired_owners_.push_back(std::move(classifiers_));
    for (Pointer& policy : dropped_) leaving.retired_owners_.push_back(std::move(policy));
    dropped_.clear();
    want_whole_packets_ = {};
    classifiers_ = std::make_shared<Classifiers>();
  }
  for (const Change& change : changes_) {
    apply(change, *classifiers_, leaving.retired_);
    if (change.kind == Kind::remove) leaving.retired_owners_.push_back(change.entry.policy);
    if (change.former != nullptr) leaving.retired_owners_.push_back(change.former);
  }
  changes_.clear();
  view_.publish(make_view());
  for (const auto& direction : *classifiers_)
    for (const auto& classifier : direction)
      if (classifier != nullptr && classifier->tired()) return rebuild();
}

}  // namespace saline::ipsec
