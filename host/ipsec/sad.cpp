// The SAD's tables, lists and the freeing of what was removed.
#include "host/ipsec/sad.hpp"

#include <cerrno>
#include <string>
#include <utility>

#include "host/base/error.hpp"
#include "host/base/mix.hpp"

namespace saline::ipsec {

namespace {

std::uint64_t hash_address(const base::Address& address, std::uint64_t with) noexcept {
  const auto words = address.words();
  return base::mix(words[0] ^ with ^ 0x9E3779B97F4A7C15ull, words[1] ^ 0xD6E8FEB86659FD93ull);
}

std::string describe(const SaId& id) {
  return "SPI " + std::to_string(id.spi) + " to " + id.destination.to_string();
}

void free_list(PeerGroup* first) noexcept {
  while (first != nullptr) delete std::exchange(first, first->retired);
}

}  // namespace

// ---- readers

std::uint64_t SadView::hash(std::uint32_t spi, const base::Address& destination,
                            Protocol protocol) noexcept {
  const std::uint64_t rest = std::uint64_t{spi} << 8 | static_cast<std::uint64_t>(protocol);
  return base::mix(hash_address(destination, rest) ^ rest, 0xA0761D6478BD642Full);
}

std::uint64_t SadView::hash(Protocol protocol, const base::Address& source,
                            const base::Address& destination, std::uint32_t reqid) noexcept {
  const std::uint64_t rest = std::uint64_t{reqid} << 8 | static_cast<std::uint64_t>(protocol);
  return base::mix(hash_address(destination, rest) + rest, hash_address(source, ~rest));
}

SecurityAssociation* SadView::choose(const SaQuery& query, std::uint64_t hash) const noexcept {
  const PeerGroup* group =
      by_peers_.find(hash, [&](const PeerGroup& candidate) { return candidate.is(query); });
  if (group == nullptr) return nullptr;
  const std::size_t which = query.reqid == 0 ? 0 : 1;
  SecurityAssociation* dying = nullptr;
  SecurityAssociation* sa =
      (query.prefer_oldest ? group->oldest : group->newest).load(std::memory_order_acquire);
  while (sa != nullptr) {
    if (sa->mode() == query.mode || sa->mode() == Mode::any) {
      const State state = sa->state();
      if (state == State::mature) return sa;
      if (state == State::dying && dying == nullptr) dying = sa;
    }
    const SadPlace::Peers& peers = sa->place_.peers[which];
    sa = (query.prefer_oldest ? peers.newer : peers.older).load(std::memory_order_acquire);
  }
  return dying;
}

SadView::~SadView() {
  // One by one: each owns the next.
  while (retired_associations_ != nullptr)
    retired_associations_ = std::move(retired_associations_->place_.self);
  free_list(retired_groups_);
}

// ---- the control thread

std::uint64_t Sad::HashOfId::operator()(const SecurityAssociation& sa) const noexcept {
  return SadView::hash(sa.id());
}

std::uint64_t Sad::HashOfPeers::operator()(const PeerGroup& group) const noexcept {
  return SadView::hash(
      SaQuery{group.protocol, Mode::any, group.source, group.destination, group.reqid, true});
}

const Sad::Pointer& Sad::Order::Iterator::operator*() const noexcept { return at_->place_.self; }

Sad::Order::Iterator& Sad::Order::Iterator::operator++() noexcept {
  at_ = at_->place_.newer;
  return *this;
}

Sad::Sad() : view_(std::unique_ptr<SadView>(new SadView(by_id_.view(), by_peers_.view()))) {}

Sad::~Sad() {
  while (!order_.empty()) remove(SaId(order_.front()->id()));
  SadView last;  // frees what is waiting
  last.retired_associations_ = std::move(retired_associations_);
  last.retired_groups_ = std::exchange(retired_groups_, nullptr);
}

SecurityAssociation* Sad::locate(const SaId& id) const noexcept {
  return by_id_.view().find(SadView::hash(id),
                            [&](const SecurityAssociation& sa) { return sa.is(id); });
}

Sad::Pointer Sad::find(const SaId& id) const noexcept {
  const SecurityAssociation* sa = locate(id);
  return sa == nullptr ? nullptr : sa->place_.self;
}

PeerGroup& Sad::group_for(const SecurityAssociation& sa, std::uint32_t reqid) {
  const SaQuery query{sa.protocol(), Mode::any, sa.source(), sa.destination(), reqid, true};
  const std::uint64_t hash = SadView::hash(query);
  if (PeerGroup* group = by_peers_.view().find(
          hash, [&](const PeerGroup& candidate) { return candidate.is(query); }))
    return *group;
  tables_changed_ |= by_peers_.reserve(hash);
  auto group = std::make_unique<PeerGroup>();
  group->source = query.source;
  group->destination = query.destination;
  group->protocol = query.protocol;
  group->reqid = reqid;
  by_peers_.add(group.get());
  return *group.release();
}

// Among the SAs of the group in order of addition; as a rule it is the newest.
void Sad::join(SecurityAssociation& sa, std::size_t which, PeerGroup& group) noexcept {
  SadPlace::Peers& own = sa.place_.peers[which];
  SecurityAssociation* older = group.newest.load(std::memory_order_relaxed);
  SecurityAssociation* newer = nullptr;
  while (older != nullptr && older->place_.number > sa.place_.number)
    older = (newer = older)->place_.peers[which].older.load(std::memory_order_relaxed);
  own.group = &group;
  own.older.store(older, std::memory_order_relaxed);
  own.newer.store(newer, std::memory_order_relaxed);
  (older == nullptr ? group.oldest : older->place_.peers[which].newer)
      .store(&sa, std::memory_order_release);
  (newer == nullptr ? group.newest : newer->place_.peers[which].older)
      .store(&sa, std::memory_order_release);
  ++group.count;
}

// Its own links stay, for readers that stand on it.
void Sad::leave(SecurityAssociation& sa, std::size_t which) noexcept {
  const SadPlace::Peers& own = sa.place_.peers[which];
  if (own.group == nullptr) return;
  PeerGroup& group = *own.group;
  SecurityAssociation* older = own.older.load(std::memory_order_relaxed);
  SecurityAssociation* newer = own.newer.load(std::memory_order_relaxed);
  (older == nullptr ? group.oldest : older->place_.peers[which].newer)
      .store(newer, std::memory_order_release);
  (newer == nullptr ? group.newest : newer->place_.peers[which].older)
      .store(older, std::memory_order_release);
  --group.count;
  drop_if_empty(group);
}

void Sad::drop_if_empty(PeerGroup& group) noexcept {
  if (group.count != 0) return;
  by_peers_.erase(&group);
  group.retired = std::exchange(retired_groups_, &group);
}

// All that can fail comes first.
std::array<PeerGroup*, 2> Sad::groups_for(const SecurityAssociation& sa) {
  std::array<PeerGroup*, 2> groups{&group_for(sa, 0), nullptr};
  try {
    if (sa.config().reqid != 0) groups[1] = &group_for(sa, sa.config().reqid);
    if (tables_changed_) publish();
  } catch (...) {
    for (PeerGroup* group : groups)
      if (group != nullptr) drop_if_empty(*group);
    throw;
  }
  return groups;
}

void Sad::add(Pointer association) {
  SecurityAssociation& sa = *association;
  if (locate(sa.id()) != nullptr)
    throw base::Error(EEXIST, "there is an SA with " + describe(sa.id()));
  if (sa.place_.self != nullptr) throw base::Error(EINVAL, "an SA is added once");
  tables_changed_ |= by_id_.reserve(SadView::hash(sa.id()));
  const auto groups = groups_for(sa);

  sa.place_.number = ++last_number_;
  sa.place_.older = order_.newest_;
  (order_.newest_ == nullptr ? order_.oldest_ : order_.newest_->place_.newer) = &sa;
  order_.newest_ = &sa;
  ++order_.size_;
  for (std::size_t which = 0; which < groups.size(); ++which)
    if (groups[which] != nullptr) join(sa, which, *groups[which]);
  by_id_.add(&sa);
  sa.place_.self = std::move(association);
}

void Sad::replace(Pointer association) {
  SecurityAssociation& sa = *association;
  SecurityAssociation* old = locate(sa.id());
  if (old == nullptr) throw base::Error(ENOENT, "there is no SA with " + describe(sa.id()));
  if (sa.place_.self != nullptr) throw base::Error(EINVAL, "an SA is added once");
  const auto groups = groups_for(sa);

  old->set_state(State::dead);
  sa.place_.number = old->place_.number;
  sa.place_.older = old->place_.older;
  sa.place_.newer = old->place_.newer;
  (sa.place_.older == nullptr ? order_.oldest_ : sa.place_.older->place_.newer) = &sa;
  (sa.place_.newer == nullptr ? order_.newest_ : sa.place_.newer->place_.older) = &sa;
  for (std::size_t which = 0; which < groups.size(); ++which) {
    if (groups[which] != nullptr) join(sa, which, *groups[which]);
    leave(*old, which);
  }
  by_id_.replace(old, &sa);
  sa.place_.self = std::move(association);
  retire(*old);
}

Sad::Pointer Sad::remove(const SaId& id) noexcept {
  SecurityAssociation* sa = locate(id);
  if (sa == nullptr) return nullptr;
  sa->set_state(State::dead);
  by_id_.erase(sa);
  for (std::size_t which = 0; which < sa->place_.peers.size(); ++which) leave(*sa, which);
  SadPlace& place = sa->place_;
  (place.older == nullptr ? order_.oldest_ : place.older->place_.newer) = place.newer;
  (place.newer == nullptr ? order_.newest_ : place.newer->place_.older) = place.older;
  --order_.size_;
  return retire(*sa);
}

Sad::Pointer Sad::retire(SecurityAssociation& sa) noexcept {
  Pointer own = std::move(sa.place_.self);
  sa.place_.self = std::exchange(retired_associations_, own);
  return own;
}

void Sad::publish() {
  if (tables_changed_ || retired_associations_ != nullptr || retired_groups_ != nullptr) {
    std::unique_ptr<SadView> next(new SadView(by_id_.view(), by_peers_.view()));
    view_.reserve();
    // From here on nothing fails. Readers of the view so far may hold all this.
    const SadView& last = view_.newest();
    last.retired_associations_ = std::move(retired_associations_);
    last.retired_groups_ = std::exchange(retired_groups_, nullptr);
    last.retired_ids_ = by_id_.take_retired();
    last.retired_peers_ = by_peers_.take_retired();
    tables_changed_ = false;
    view_.publish(std::move(next));
  }
  view_.reclaim();
}

std::size_t Sad::table_bytes() const noexcept {
  return by_id_.bytes() + by_peers_.bytes() + by_peers_.size() * sizeof(PeerGroup);
}

}  // namespace saline::ipsec
