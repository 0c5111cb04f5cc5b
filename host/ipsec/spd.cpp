// The SPD as one ordered list.
#include "host/ipsec/spd.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "host/base/error.hpp"

namespace saline::ipsec {

namespace {

bool asks_for_whole_packets(const Policy& policy) noexcept {
  const Selector& selector = policy.selector;
  return selector.upper_protocol != kAnyProtocol || selector.source_port != 0 ||
         selector.destination_port != 0 ||
         (policy.action == Action::ipsec && policy.direction == Direction::out &&
          policy.requests.front().mode != Mode::tunnel);
}

}  // namespace

SpdView::SpdView(std::vector<Pointer> ordered) {
  for (Pointer& policy : ordered) {
    const auto direction = static_cast<std::size_t>(policy->direction);
    whole_packets_[direction] = whole_packets_[direction] || asks_for_whole_packets(*policy);
    lists_[direction].push_back(std::move(policy));
  }
  constexpr auto kIn = static_cast<std::size_t>(Direction::in);
  constexpr auto kFwd = static_cast<std::size_t>(Direction::fwd);
  if (lists_[kFwd].empty()) whole_packets_[kFwd] = whole_packets_[kIn];
}

const Policy* SpdView::match(Direction direction, const Flow& flow) const noexcept {
  const auto* list = &lists_[static_cast<std::size_t>(direction)];
  if (direction == Direction::fwd && list->empty())
    list = &lists_[static_cast<std::size_t>(Direction::in)];
  for (const Pointer& policy : *list)
    if (policy->selector.matches(flow)) return policy.get();
  return nullptr;
}

Spd::Spd() : view_(std::make_unique<SpdView>()) {}

std::uint32_t Spd::new_id() {
  do {
    if (++last_id_ == 0) ++last_id_;
  } while (find(last_id_) != nullptr);
  return last_id_;
}

Spd::Pointer Spd::insert(Policy&& policy) {
  if (policy.id == 0) policy.id = new_id();
  auto entry = std::make_shared<const Policy>(std::move(policy));
  const auto place = std::upper_bound(
      ordered_.begin(), ordered_.end(), entry,
      [](const Pointer& a, const Pointer& b) { return a->priority < b->priority; });
  ordered_.insert(place, entry);
  return entry;
}

Spd::Pointer Spd::add(Policy&& policy) {
  policy.validate();
  if (find(policy.direction, policy.selector) != nullptr)
    throw base::Error(EEXIST, "there is a policy with this selector: update or delete it");
  if (policy.id != 0 && find(policy.id) != nullptr)
    throw base::Error(EEXIST, "policy id " + std::to_string(policy.id) + " is taken");
  return insert(std::move(policy));
}

Spd::Pointer Spd::update(Policy&& policy) {
  policy.validate();
  const Pointer former = find(policy.direction, policy.selector);
  if (former == nullptr) return insert(std::move(policy));
  policy.id = former->id;
  if (policy.priority == former->priority) {
    auto entry = std::make_shared<const Policy>(std::move(policy));
    *std::find(ordered_.begin(), ordered_.end(), former) = entry;
    return entry;
  }
  std::erase(ordered_, former);
  return insert(std::move(policy));
}

Spd::Pointer Spd::find(Direction direction, const Selector& selector) const {
  for (const Pointer& policy : ordered_)
    if (policy->direction == direction && policy->selector == selector) return policy;
  return nullptr;
}

Spd::Pointer Spd::find(std::uint32_t id) const {
  for (const Pointer& policy : ordered_)
    if (policy->id == id) return policy;
  return nullptr;
}

Spd::Pointer Spd::remove(Direction direction, const Selector& selector) {
  const Pointer removed = find(direction, selector);
  std::erase(ordered_, removed);
  return removed;
}

Spd::Pointer Spd::remove(std::uint32_t id) {
  const Pointer removed = find(id);
  std::erase(ordered_, removed);
  return removed;
}

void Spd::clear() { ordered_.clear(); }

void Spd::publish() { view_.publish(std::make_unique<SpdView>(ordered_)); }

}  // namespace saline::ipsec
