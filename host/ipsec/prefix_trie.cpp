// The writer's side of the trie: nodes are taken apart, edited, and put together as new blocks; one
// store into the word that names the old block makes a change visible.
#include "host/ipsec/prefix_trie.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>
#include <new>

namespace saline::ipsec {

namespace {

using Node = PrefixTrie::Node;

constexpr std::size_t kRoots = std::size_t{1} << PrefixTrie::kRootBits;
constexpr std::size_t kLevelsMax = (128 - PrefixTrie::kRootBits) / PrefixTrie::kStride + 2;
constexpr std::align_val_t kLine{64};

void free_block(void* memory) noexcept { ::operator delete(memory, kLine); }

std::uint8_t slot_of(AddressBits bits, std::uint32_t position) noexcept {
  const AddressBits left = bits << position;
  return static_cast<std::uint8_t>(left >> (128 - PrefixTrie::kStride));
}

// Where the node lies that a prefix of that length belongs to.
std::uint32_t position_of(std::uint32_t length) noexcept {
  return length - (length - PrefixTrie::kRootBits) % PrefixTrie::kStride;
}

unsigned prefix_bit(const PrefixEntry& entry, std::uint32_t position) noexcept {
  const unsigned relative = entry.length - position;
  const unsigned value = slot_of(entry.bits, position) >> (PrefixTrie::kStride - relative);
  return (1u << relative) - 1 + value;
}

std::uint32_t common_bits(AddressBits a, AddressBits b) noexcept {
  const AddressBits differing = a ^ b;
  const auto high = static_cast<std::uint64_t>(differing >> 64);
  if (high != 0) return static_cast<std::uint32_t>(std::countl_zero(high));
  return 64u + static_cast<std::uint32_t>(std::countl_zero(static_cast<std::uint64_t>(differing)));
}

// A node taken apart.
struct Open {
  std::uint32_t position = 0;
  std::uint64_t children = 0;
  std::uint64_t prefixes = 0;
  std::array<Node, 64> child;
  std::array<PrefixEntry*, 63> prefix;

  explicit Open(std::uint32_t at) : position(at) {}
  explicit Open(const Node& node)
      : position(node.position), children(node.children), prefixes(node.prefixes) {
    const auto* at = static_cast<const Node*>(node.block);
    for (unsigned i = 0; i < 64; ++i)
      if ((children >> i & 1) != 0) child[i] = *at++;
    const auto* entry = reinterpret_cast<PrefixEntry* const*>(at);
    for (unsigned i = 0; i < 63; ++i)
      if ((prefixes >> i & 1) != 0) prefix[i] = *entry++;
  }
  void set_child(unsigned slot, const Node& node) {
    children |= std::uint64_t{1} << slot;
    child[slot] = node;
  }
  void clear_child(unsigned slot) { children &= ~(std::uint64_t{1} << slot); }
  void set_prefix(unsigned bit, PrefixEntry& entry) {
    prefixes |= std::uint64_t{1} << bit;
    prefix[bit] = &entry;
  }
  void clear_prefix(unsigned bit) { prefixes &= ~(std::uint64_t{1} << bit); }
  // A node that offers no choice is not kept.
  bool only_child() const { return prefixes == 0 && std::popcount(children) == 1; }
  const Node& first_child() const {
    return child[static_cast<unsigned>(std::countr_zero(children))];
  }

  Node close() const {
    const auto nodes = static_cast<std::size_t>(std::popcount(children));
    const auto entries = static_cast<std::size_t>(std::popcount(prefixes));
    void* block = ::operator new(nodes * sizeof(Node) + entries * sizeof(PrefixEntry*), kLine);
    auto* at = static_cast<Node*>(block);
    for (unsigned i = 0; i < 64; ++i)
      if ((children >> i & 1) != 0) *at++ = child[i];
    auto* entry = reinterpret_cast<PrefixEntry**>(at);
    for (unsigned i = 0; i < 63; ++i)
      if ((prefixes >> i & 1) != 0) *entry++ = prefix[i];
    return {children, prefixes, block, position};
  }
};

const Node* child_of(const Node& node, unsigned slot) noexcept {
  if ((node.children >> slot & 1) == 0) return nullptr;
  const std::uint64_t before = node.children & ((std::uint64_t{1} << slot) - 1);
  return static_cast<const Node*>(node.block) + std::popcount(before);
}

// Some prefix under the node: there always is one.
const PrefixEntry& any_prefix(const Node& node) noexcept {
  const Node* at = &node;
  while (at->prefixes == 0) at = static_cast<const Node*>(at->block);
  return **reinterpret_cast<PrefixEntry* const*>(static_cast<const Node*>(at->block) +
                                                 std::popcount(at->children));
}

void free_tree(const Node& node) noexcept {
  const auto* child = static_cast<const Node*>(node.block);
  for (int i = 0; i < std::popcount(node.children); ++i) free_tree(child[i]);
  free_block(node.block);
}

}  // namespace

AddressBits address_bits(const base::Address& address) noexcept {
  AddressBits bits = 0;
  for (const std::uint8_t byte : address.bytes) bits = bits << 8 | byte;
  return bits;
}

// The nodes from the root's down to the one where the prefix belongs or where its way leaves the
// trie.
struct PrefixTrie::Path {
  std::array<Node*, kLevelsMax> nodes{};
  std::size_t depth = 0;
  RootSlot* root = nullptr;
  const PrefixEntry* entry = nullptr;
  std::uint32_t common = 0;  // bits that the entry shares with all that lies under the last node
  Node* last() const { return depth == 0 ? nullptr : nodes[depth - 1]; }
  unsigned slot(std::size_t level) const { return slot_of(entry->bits, nodes[level]->position); }
};

PrefixTrie::PrefixTrie() : roots_(std::make_unique<RootSlot[]>(kRoots)) {}

PrefixTrie::~PrefixTrie() {
  for (std::size_t i = 0; i < kRoots; ++i)
    if (Node* node = roots_[i].node.load(std::memory_order_relaxed)) {
      free_tree(*node);
      delete node;
    }
}

PrefixTrie::Path PrefixTrie::descend(const PrefixEntry& entry) const noexcept {
  Path path;
  path.entry = &entry;
  path.root = &roots_[static_cast<std::size_t>(entry.bits >> (128 - kRootBits))];
  auto* node = path.root->node.load(std::memory_order_relaxed);
  while (node != nullptr) {
    path.nodes[path.depth++] = node;
    path.common = std::min({common_bits(entry.bits, any_prefix(*node).bits), node->position,
                            std::uint32_t{entry.length}});
    if (path.common < node->position || position_of(entry.length) == node->position) break;
    node = const_cast<Node*>(child_of(*node, slot_of(entry.bits, node->position)));
  }
  return path;
}

// Puts *node where the path's node `depth` is, or takes that one away; nodes above that lose their
// reason go too.
void PrefixTrie::replace(const Path& path, std::size_t depth, const Node* node, Retired& retired) {
  if (depth == 0) {
    Node* old = path.root->node.load(std::memory_order_relaxed);
    path.root->node.store(node == nullptr ? nullptr : new Node(*node), std::memory_order_release);
    if (old != nullptr) retired.add(std::unique_ptr<Node>(old));
    return;
  }
  Node& above = *path.nodes[depth - 1];
  const unsigned slot = path.slot(depth - 1);
  Open open(above);
  void* old = above.block;
  if (node != nullptr) {
    const bool same_shape = (open.children >> slot & 1) != 0;
    open.set_child(slot, *node);
    const Node closed = open.close();
    if (same_shape) {
      std::atomic_ref<void*>(above.block).store(closed.block, std::memory_order_release);
    } else {
      replace(path, depth - 1, &closed, retired);
    }
  } else {
    open.clear_child(slot);
    if (open.only_child()) {
      const Node child = open.first_child();
      replace(path, depth - 1, &child, retired);
    } else {
      const Node closed = open.close();
      replace(path, depth - 1, &closed, retired);
    }
  }
  retired.add(old, free_block);
}

void PrefixTrie::insert(PrefixEntry& entry, Retired& retired) {
  const std::uint32_t position = position_of(entry.length);
  const Path path = descend(entry);
  Open own(position);
  own.set_prefix(prefix_bit(entry, position), entry);
  Node* last = path.last();
  if (last == nullptr) {
    const Node node = own.close();
    return replace(path, 0, &node, retired);
  }
  if (path.common < last->position) {  // a branch above `last`
    const std::uint32_t branch = position_of(path.common);
    Open open(branch);
    open.set_child(slot_of(any_prefix(*last).bits, branch), *last);
    if (branch == position) {
      open.set_prefix(prefix_bit(entry, position), entry);
    } else {
      open.set_child(slot_of(entry.bits, branch), own.close());
    }
    const Node node = open.close();
    return replace(path, path.depth - 1, &node, retired);
  }
  if (position != last->position) {  // a leaf under `last`
    const Node node = own.close();
    return replace(path, path.depth, &node, retired);
  }
  Open open(*last);
  void* old = last->block;
  open.set_prefix(prefix_bit(entry, position), entry);
  const Node node = open.close();
  replace(path, path.depth - 1, &node, retired);
  retired.add(old, free_block);
}

void PrefixTrie::erase(PrefixEntry& entry, Retired& retired) {
  const Path path = descend(entry);
  Node* last = path.last();
  assert(last != nullptr && last->position == position_of(entry.length));
  Open open(*last);
  void* old = last->block;
  open.clear_prefix(prefix_bit(entry, last->position));
  if (open.prefixes == 0 && open.children == 0) {
    replace(path, path.depth - 1, nullptr, retired);
  } else if (open.only_child()) {
    const Node child = open.first_child();
    replace(path, path.depth - 1, &child, retired);
  } else {
    const Node node = open.close();
    replace(path, path.depth - 1, &node, retired);
  }
  retired.add(old, free_block);
}

void PrefixTrie::set_roots(const PrefixEntry& range, PrefixEntry* from, PrefixEntry* to) noexcept {
  const auto first = static_cast<std::size_t>(range.bits >> (128 - kRootBits));
  const std::size_t count = std::size_t{1} << (kRootBits - range.length);
  for (std::size_t i = first; i < first + count; ++i)
    if (roots_[i].best.load(std::memory_order_relaxed) == from)
      roots_[i].best.store(to, std::memory_order_release);
}

// Parents: entries sort with those that contain them in front, so that what an entry contains
// follows it without a gap, and what contains it is its predecessor or one of its parents.
void PrefixTrie::adopt(PrefixEntry& entry) {
  const auto self = entries_.find({entry.bits, entry.length});
  PrefixEntry* parent = nullptr;
  if (self != entries_.begin()) {
    parent = std::prev(self)->second.get();
    while (parent != nullptr && !(parent->length < entry.length && parent->contains(entry.bits)))
      parent = parent->parent.load(std::memory_order_relaxed);
  }
  entry.parent.store(parent, std::memory_order_release);
}

PrefixEntry* PrefixTrie::find(const base::Prefix& prefix) const noexcept {
  AddressBits bits = address_bits(prefix.address);
  bits = prefix.length == 0 ? 0 : bits >> (128 - prefix.length) << (128 - prefix.length);
  const auto found = entries_.find({bits, prefix.length});
  return found == entries_.end() ? nullptr : found->second.get();
}

PrefixEntry& PrefixTrie::use(const base::Prefix& prefix, Retired& retired) {
  if (PrefixEntry* known = find(prefix)) {
    ++known->uses;
    return *known;
  }
  auto made = std::make_unique<PrefixEntry>();
  PrefixEntry& entry = *made;
  entry.length = prefix.length;
  const AddressBits bits = address_bits(prefix.address);
  entry.bits = prefix.length == 0 ? 0 : bits >> (128 - prefix.length) << (128 - prefix.length);
  entry.id = ++last_id_;
  entry.uses = 1;
  entries_.emplace(Key{entry.bits, entry.length}, std::move(made));
  adopt(entry);
  PrefixEntry* parent = entry.parent.load(std::memory_order_relaxed);
  if (entry.length < kRootBits) {
    set_roots(entry, parent, &entry);
  } else {
    insert(entry, retired);
  }
  for (auto at = std::next(entries_.find({entry.bits, entry.length}));
       at != entries_.end() && entry.contains(at->second->bits); ++at)
    if (at->second->parent.load(std::memory_order_relaxed) == parent)
      at->second->parent.store(&entry, std::memory_order_release);
  return entry;
}

void PrefixTrie::unuse(PrefixEntry& entry, Retired& retired) {
  if (--entry.uses != 0) return;
  PrefixEntry* parent = entry.parent.load(std::memory_order_relaxed);
  const auto self = entries_.find({entry.bits, entry.length});
  for (auto at = std::next(self); at != entries_.end() && entry.contains(at->second->bits); ++at)
    if (at->second->parent.load(std::memory_order_relaxed) == &entry)
      at->second->parent.store(parent, std::memory_order_release);
  if (entry.length < kRootBits) {
    set_roots(entry, &entry, parent);
  } else {
    erase(entry, retired);
  }
  retired.add(std::move(self->second));
  entries_.erase(self);
}

}  // namespace saline::ipsec
