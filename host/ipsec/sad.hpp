// The Security Association Database (RFC 4301 §4.4.2): the control thread's table, and the
// immutable view of it that the data thread reads. Changes become visible with publish().
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "host/base/snapshot.hpp"
#include "host/ipsec/association.hpp"

namespace saline::ipsec {

// What an outbound request asks the SAD for.
struct SaQuery {
  Protocol protocol = Protocol::esp;
  Mode mode = Mode::transport;
  base::Address source;
  base::Address destination;
  std::uint32_t reqid = 0;    // 0: any
  bool prefer_oldest = true;  // net.key.preferred_oldsa
};

class SadView {
 public:
  SadView() = default;
  // The order of addition decides who is the oldest.
  explicit SadView(const std::vector<std::shared_ptr<SecurityAssociation>>& order);

  // Inbound, by the triple of the packet; nullptr when there is none. In any state.
  SecurityAssociation* find(const SaId& id) const noexcept;
  // Outbound: oldest (or newest) mature, else dying; nullptr when there is none.
  SecurityAssociation* choose(const SaQuery& query) const noexcept;

 private:
  std::vector<std::shared_ptr<SecurityAssociation>> owned_;  // in order of addition
  std::vector<SecurityAssociation*> by_id_;                  // open addressing, a power of two
  std::vector<std::uint32_t> by_peer_first_;                 // bucket -> index into by_peer_next_
  std::vector<std::uint32_t> by_peer_next_;                  // index in owned_ -> next, or kEnd
};

class Sad {
 public:
  using Pointer = std::shared_ptr<SecurityAssociation>;

  Sad();
  // Throws Error(EEXIST) when the triple is taken.
  void add(Pointer association);
  // Puts `association` in the place of the entry with the same triple (larval made mature, SA
  // updated); throws Error(ENOENT).
  void replace(Pointer association);
  // nullptr when there was none. The SA becomes dead at once, whatever view is in use.
  Pointer remove(const SaId& id);
  Pointer find(const SaId& id) const;
  // In order of addition.
  const std::vector<Pointer>& all() const noexcept { return order_; }

  // Makes all changes so far visible to the data thread. Cost grows with the table: call it once
  // per request or batch.
  void publish();
  // The data thread: acquire() once per burst, release() when it pauses.
  base::Snapshot<SadView>& view() noexcept { return view_; }

 private:
  std::map<SaId, Pointer> table_;
  std::vector<Pointer> order_;
  base::Snapshot<SadView> view_;
};

}  // namespace saline::ipsec
