// The Security Association Database (RFC 4301 §4.4.2): hash tables that the control thread changes
// in place while data threads look things up in them, without locks. Every change costs the same,
// however many SAs there are, and is seen at once. What was removed is dead at once and is freed,
// its keys wiped, when no reader can hold it any more: after publish(), once the readers have moved
// on.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>

#include "host/base/snapshot.hpp"
#include "host/ipsec/association.hpp"
#include "host/ipsec/pointer_table.hpp"

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

// The SAs that answer the same request, but for its mode, oldest first.
struct PeerGroup {
  base::Address source;
  base::Address destination;
  Protocol protocol = Protocol::esp;
  std::uint32_t reqid = 0;  // 0: whatever the SA's is
  std::size_t count = 0;    // control thread
  std::atomic<SecurityAssociation*> oldest{nullptr};
  std::atomic<SecurityAssociation*> newest{nullptr};
  PeerGroup* retired = nullptr;  // the next of those waiting to be freed

  bool is(const SaQuery& query) const noexcept {
    return reqid == query.reqid && protocol == query.protocol && destination == query.destination &&
           source == query.source;
  }
};

// A lookup may be taken in stages, for a burst at a time, so that what it reads is there when it
// reads it: hash, prefetch, candidate (its result may be wrong: prefetch it), then the lookup.
class SadView {
 public:
  SadView() = default;
  ~SadView();
  SadView(const SadView&) = delete;
  SadView& operator=(const SadView&) = delete;

  // Inbound, by the triple of the packet; nullptr when there is none. In any state.
  SecurityAssociation* find(const SaId& id) const noexcept { return find(id, hash(id)); }
  // Outbound: oldest (or newest) mature, else dying; nullptr when there is none.
  SecurityAssociation* choose(const SaQuery& query) const noexcept {
    return choose(query, hash(query));
  }

  static std::uint64_t hash(const SaId& id) noexcept {
    return hash(id.spi, id.destination, id.protocol);
  }
  static std::uint64_t hash(std::uint32_t spi, const base::Address& destination,
                            Protocol protocol) noexcept;
  static std::uint64_t hash(const SaQuery& query) noexcept {
    return hash(query.protocol, query.source, query.destination, query.reqid);
  }
  static std::uint64_t hash(Protocol protocol, const base::Address& source,
                            const base::Address& destination, std::uint32_t reqid) noexcept;
  SecurityAssociation* find(const SaId& id, std::uint64_t hash) const noexcept {
    return find(id.spi, id.destination, id.protocol, hash);
  }
  SecurityAssociation* find(std::uint32_t spi, const base::Address& destination, Protocol protocol,
                            std::uint64_t hash) const noexcept {
    return by_id_.find(
        hash, [&](const SecurityAssociation& sa) { return sa.is(spi, destination, protocol); });
  }
  SecurityAssociation* choose(const SaQuery& query, std::uint64_t hash) const noexcept;
  void prefetch_find(std::uint64_t hash) const noexcept { by_id_.prefetch(hash); }
  const SecurityAssociation* find_candidate(std::uint64_t hash) const noexcept {
    return by_id_.candidate(hash);
  }
  void prefetch_choose(std::uint64_t hash) const noexcept { by_peers_.prefetch(hash); }
  const PeerGroup* choose_candidate(std::uint64_t hash) const noexcept {
    return by_peers_.candidate(hash);
  }

 private:
  friend class Sad;
  using Ids = PointerView<SecurityAssociation>;
  using Peers = PointerView<PeerGroup>;
  SadView(Ids by_id, Peers by_peers) noexcept : by_id_(by_id), by_peers_(by_peers) {}

  Ids by_id_;
  Peers by_peers_;
  // What readers of this view, but none of a later one, may still hold. The control thread's.
  mutable std::shared_ptr<SecurityAssociation> retired_associations_;  // a list
  mutable PeerGroup* retired_groups_ = nullptr;                        // a list
  mutable std::unique_ptr<PointerBuckets> retired_ids_;
  mutable std::unique_ptr<PointerBuckets> retired_peers_;
};

class Sad {
 public:
  using Pointer = std::shared_ptr<SecurityAssociation>;

  Sad();
  ~Sad();
  Sad(const Sad&) = delete;
  Sad& operator=(const Sad&) = delete;

  // Throws Error(EEXIST) when the triple is taken.
  void add(Pointer association);
  // Puts `association` in the place of the entry with the same triple (larval made mature, SA
  // updated); throws Error(ENOENT).
  void replace(Pointer association);
  // nullptr when there was none. The SA becomes dead at once, whatever view is in use.
  Pointer remove(const SaId& id) noexcept;
  Pointer find(const SaId& id) const noexcept;

  // In order of addition. An iterator is good until its SA is removed.
  class Order {
   public:
    class Iterator {
     public:
      using iterator_category = std::forward_iterator_tag;
      using value_type = Pointer;
      using difference_type = std::ptrdiff_t;
      using pointer = const Pointer*;
      using reference = const Pointer&;

      Iterator() = default;
      explicit Iterator(const SecurityAssociation* at) noexcept : at_(at) {}
      const Pointer& operator*() const noexcept;
      const Pointer* operator->() const noexcept { return &**this; }
      Iterator& operator++() noexcept;
      Iterator operator++(int) noexcept {
        const Iterator before = *this;
        ++*this;
        return before;
      }
      bool operator==(const Iterator&) const = default;

     private:
      const SecurityAssociation* at_ = nullptr;
    };
    Iterator begin() const noexcept { return Iterator(oldest_); }
    Iterator end() const noexcept { return {}; }
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    const Pointer& front() const noexcept { return *begin(); }

   private:
    friend class Sad;
    SecurityAssociation* oldest_ = nullptr;
    SecurityAssociation* newest_ = nullptr;
    std::size_t size_ = 0;
  };
  const Order& all() const noexcept { return order_; }

  // Starts the time after which what was removed is freed; cheap, and nothing to do where nothing
  // was removed. Throws std::bad_alloc only, and may then be called again.
  void publish();
  // Frees what readers have left behind; publish() does so as well.
  void reclaim() { view_.reclaim(); }
  // A data thread: acquire() once per burst, release() when it pauses.
  base::Snapshot<SadView>& view() noexcept { return view_; }
  // Of tables and groups, for statistics.
  std::size_t table_bytes() const noexcept;

 private:
  struct HashOfId {
    std::uint64_t operator()(const SecurityAssociation& sa) const noexcept;
  };
  struct HashOfPeers {
    std::uint64_t operator()(const PeerGroup& group) const noexcept;
  };

  SecurityAssociation* locate(const SaId& id) const noexcept;
  void join(SecurityAssociation& sa, std::size_t which, PeerGroup& group) noexcept;
  void leave(SecurityAssociation& sa, std::size_t which) noexcept;
  void drop_if_empty(PeerGroup& group) noexcept;
  Pointer retire(SecurityAssociation& sa) noexcept;
  PeerGroup& group_for(const SecurityAssociation& sa, std::uint32_t reqid);
  std::array<PeerGroup*, 2> groups_for(const SecurityAssociation& sa);

  Order order_;
  PointerTable<SecurityAssociation, HashOfId> by_id_;
  PointerTable<PeerGroup, HashOfPeers> by_peers_;
  Pointer retired_associations_;  // since the last publish()
  PeerGroup* retired_groups_ = nullptr;
  bool tables_changed_ = false;
  std::uint64_t last_number_ = 0;
  base::Snapshot<SadView> view_;
};

}  // namespace saline::ipsec
