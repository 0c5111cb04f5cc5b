// The prefixes of a classifier's rules, of one family and one end: which of them contain an
// address. A table of the first 13 bits over a trie of 6 bits a level whose nodes are bitmaps with
// packed children (Eatherton's tree bitmap); a node says where its bits lie, so that levels without
// a choice are left out. Skipped bits are not compared on the way down: the prefix found may be
// wrong, but then those that do contain the address are among its parents (covering()).
//
// One writer. Readers take no lock: what they may be reading is replaced, not changed, and what was
// replaced goes to the Retired list of the writer's caller.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "host/base/ip.hpp"

namespace saline::ipsec {

// Bits of an address from the top, both families alike.
__extension__ using AddressBits = unsigned __int128;
AddressBits address_bits(const base::Address& address) noexcept;

// What readers may still hold: freed with the list.
class Retired {
 public:
  using Free = void (*)(void*) noexcept;
  Retired() = default;
  Retired(const Retired&) = delete;
  Retired& operator=(const Retired&) = delete;
  ~Retired() {
    for (const auto& [memory, free] : items_) free(memory);
  }
  void add(void* memory, Free free) { items_.emplace_back(memory, free); }
  template <typename T>
  void add(std::unique_ptr<T> value) {
    add(value.get(), [](void* memory) noexcept { delete static_cast<T*>(memory); });
    value.release();
  }
  bool empty() const noexcept { return items_.empty(); }

 private:
  std::vector<std::pair<void*, Free>> items_;
};

struct alignas(64) PrefixEntry {
  AddressBits bits = 0;  // those below the prefix are zero
  std::uint8_t length = 0;
  std::uint32_t id = 0;                       // never used again
  std::uint32_t uses = 0;                     // writer
  std::atomic<PrefixEntry*> parent{nullptr};  // the longest other prefix that contains this one
  std::atomic<std::uint64_t> peers{0};        // lengths of the prefixes that rules pair it with
  std::atomic<std::uint64_t> best{~0ull};     // at most the order of any rule with this prefix

  bool contains(AddressBits address) const noexcept {
    return length == 0 || ((address ^ bits) >> (128 - length)) == 0;
  }
  // This one or the nearest of its parents that contains the address.
  const PrefixEntry* covering(AddressBits address) const noexcept {
    const PrefixEntry* entry = this;
    while (entry != nullptr && !entry->contains(address))
      entry = entry->parent.load(std::memory_order_acquire);
    return entry;
  }
  void lower_best(std::uint64_t order) noexcept {
    if (order < best.load(std::memory_order_relaxed)) best.store(order, std::memory_order_release);
  }
};

class PrefixTrie {
 public:
  static constexpr unsigned kRootBits = 13;
  static constexpr unsigned kStride = 6;

  // Children and prefixes whose bits are set lie packed in `block`: the children in front. A prefix
  // of r < 6 bits below `position` and value v has bit 2^r - 1 + v.
  struct Node {
    std::uint64_t children = 0;
    std::uint64_t prefixes = 0;
    void* block = nullptr;  // the only word that is changed while readers look; atomic_ref
    std::uint32_t position = 0;
  };
  struct RootSlot {
    std::atomic<Node*> node{nullptr};
    std::atomic<PrefixEntry*> best{nullptr};  // of the prefixes shorter than kRootBits
  };

  PrefixTrie();
  ~PrefixTrie();
  PrefixTrie(const PrefixTrie&) = delete;
  PrefixTrie& operator=(const PrefixTrie&) = delete;

  // The entry of a prefix, made or used once more. Visible at once.
  PrefixEntry& use(const base::Prefix& prefix, Retired& retired);
  PrefixEntry* find(const base::Prefix& prefix) const noexcept;
  void unuse(PrefixEntry& entry, Retired& retired);

  const RootSlot& root(AddressBits address) const noexcept {
    return roots_[static_cast<std::size_t>(address >> (128 - kRootBits))];
  }
  std::uint32_t last_id() const noexcept { return last_id_; }

 private:
  using Key = std::pair<AddressBits, std::uint8_t>;
  struct Path;

  void adopt(PrefixEntry& entry);
  void insert(PrefixEntry& entry, Retired& retired);
  void erase(PrefixEntry& entry, Retired& retired);
  Path descend(const PrefixEntry& entry) const noexcept;
  void replace(const Path& path, std::size_t depth, const Node* node, Retired& retired);
  void set_roots(const PrefixEntry& range, PrefixEntry* from, PrefixEntry* to) noexcept;

  std::unique_ptr<RootSlot[]> roots_;
  std::map<Key, std::unique_ptr<PrefixEntry>> entries_;
  std::uint32_t last_id_ = 0;
};

}  // namespace saline::ipsec
