// The Security Policy Database (RFC 4301 §4.4.1): an ordered list per direction, the control
// thread's table and the immutable view of it that the data thread reads. Ordered by priority, then
// insertion. The search is linear in v1; nothing outside SpdView knows.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "host/base/snapshot.hpp"
#include "host/ipsec/policy.hpp"

namespace saline::ipsec {

class SpdView {
 public:
  using Pointer = std::shared_ptr<const Policy>;

  SpdView() = default;
  explicit SpdView(std::vector<Pointer> ordered);

  // The first policy that matches, nullptr when none does. fwd falls back to in when no fwd policy
  // exists at all, for clients that only know in and out.
  const Policy* match(Direction direction, const Flow& flow) const noexcept;
  // Whether fragments must be put together before a policy of this direction can be found for them
  // or applied: one asks for a protocol or port, or its innermost request is transport mode.
  bool needs_whole_packets(Direction direction) const noexcept {
    return whole_packets_[static_cast<std::size_t>(direction)];
  }

 private:
  std::array<bool, 4> whole_packets_{};
  std::array<std::vector<Pointer>, 4> lists_;  // by Direction
};

class Spd {
 public:
  using Pointer = std::shared_ptr<const Policy>;

  Spd();
  // Validates; throws Error(EEXIST) when the direction has the same selector already. Returns the
  // entry, with its id.
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
  // In order of search, all directions together.
  const std::vector<Pointer>& all() const noexcept { return ordered_; }

  // Makes all changes so far visible to the data thread.
  void publish();
  // The data thread: acquire() once per burst, release() when it pauses.
  base::Snapshot<SpdView>& view() noexcept { return view_; }

 private:
  Pointer insert(Policy&& policy);
  std::uint32_t new_id();

  std::vector<Pointer> ordered_;
  std::uint32_t last_id_ = 0;
  base::Snapshot<SpdView> view_;
};

}  // namespace saline::ipsec
