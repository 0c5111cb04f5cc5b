// The SAD: a map for the control thread, two hash tables for the data thread.
#include "host/ipsec/sad.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>

#include "host/base/bytes.hpp"
#include "host/base/error.hpp"

namespace saline::ipsec {

namespace {

constexpr std::uint32_t kEnd = 0xFFFFFFFF;

std::uint64_t mix(std::uint64_t value) noexcept {
  value ^= value >> 32;
  value *= 0x9E3779B97F4A7C15ull;
  return value ^ value >> 29;
}

std::uint64_t hash_peer(const base::Address& destination, Protocol protocol) noexcept {
  const std::uint64_t high = base::load64(destination.bytes.data());
  const std::uint64_t low = base::load64(destination.bytes.data() + 8);
  return mix(mix(high ^ static_cast<std::uint64_t>(protocol)) ^ low);
}

std::uint64_t hash_id(const SaId& id) noexcept {
  return mix(hash_peer(id.destination, id.protocol) ^ id.spi);
}

std::string describe(const SaId& id) {
  return "SPI " + std::to_string(id.spi) + " to " + id.destination.to_string();
}

}  // namespace

SadView::SadView(const std::vector<std::shared_ptr<SecurityAssociation>>& order) : owned_(order) {
  const std::size_t buckets = std::bit_ceil(order.size() * 2 + 1);
  by_id_.assign(buckets, nullptr);
  by_peer_first_.assign(buckets, kEnd);
  by_peer_next_.assign(order.size(), kEnd);
  // Backwards, so that every chain of peers runs from the oldest to the newest.
  for (std::size_t i = order.size(); i-- > 0;) {
    SecurityAssociation* sa = order[i].get();
    std::size_t slot = hash_id(sa->id()) & (buckets - 1);
    while (by_id_[slot] != nullptr) slot = (slot + 1) & (buckets - 1);
    by_id_[slot] = sa;
    std::uint32_t& first =
        by_peer_first_[hash_peer(sa->id().destination, sa->protocol()) & (buckets - 1)];
    by_peer_next_[i] = first;
    first = static_cast<std::uint32_t>(i);
  }
}

SecurityAssociation* SadView::find(const SaId& id) const noexcept {
  if (by_id_.empty()) return nullptr;
  const std::size_t mask = by_id_.size() - 1;
  for (std::size_t slot = hash_id(id) & mask; by_id_[slot] != nullptr; slot = (slot + 1) & mask)
    if (by_id_[slot]->id() == id) return by_id_[slot];
  return nullptr;
}

SecurityAssociation* SadView::choose(const SaQuery& query) const noexcept {
  if (by_id_.empty()) return nullptr;
  SecurityAssociation* mature = nullptr;
  SecurityAssociation* dying = nullptr;
  const std::size_t bucket =
      hash_peer(query.destination, query.protocol) & (by_peer_first_.size() - 1);
  for (std::uint32_t i = by_peer_first_[bucket]; i != kEnd; i = by_peer_next_[i]) {
    SecurityAssociation* sa = owned_[i].get();
    const SaConfig& config = sa->config();
    if (config.id.protocol != query.protocol || config.id.destination != query.destination ||
        config.source != query.source || (config.mode != Mode::any && config.mode != query.mode) ||
        (query.reqid != 0 && config.reqid != query.reqid))
      continue;
    const State state = sa->state();
    if (state == State::mature) {
      if (query.prefer_oldest) return sa;
      mature = sa;
    } else if (state == State::dying && (dying == nullptr || !query.prefer_oldest)) {
      dying = sa;
    }
  }
  return mature != nullptr ? mature : dying;
}

Sad::Sad() : view_(std::make_unique<SadView>()) {}

void Sad::add(Pointer association) {
  const auto [place, added] = table_.emplace(association->id(), association);
  if (!added) throw base::Error(EEXIST, "there is an SA with " + describe(association->id()));
  order_.push_back(std::move(association));
}

void Sad::replace(Pointer association) {
  const auto place = table_.find(association->id());
  if (place == table_.end())
    throw base::Error(ENOENT, "there is no SA with " + describe(association->id()));
  place->second->set_state(State::dead);
  *std::find(order_.begin(), order_.end(), place->second) = association;
  place->second = std::move(association);
}

Sad::Pointer Sad::remove(const SaId& id) {
  const auto place = table_.find(id);
  if (place == table_.end()) return nullptr;
  Pointer removed = std::move(place->second);
  table_.erase(place);
  order_.erase(std::find(order_.begin(), order_.end(), removed));
  removed->set_state(State::dead);
  return removed;
}

Sad::Pointer Sad::find(const SaId& id) const {
  const auto place = table_.find(id);
  return place == table_.end() ? nullptr : place->second;
}

void Sad::publish() { view_.publish(std::make_unique<SadView>(order_)); }

}  // namespace saline::ipsec
