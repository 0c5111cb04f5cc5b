// A hash table of pointers for one writer and any number of readers that take no lock: buckets of
// one cache line, changed a word at a time. It grows while it is read: new buckets are filled bit
// by bit as entries are added, and readers look in both until the last has moved. Entries belong to
// the caller, who keeps what was erased until no reader can hold it; so does he with buckets that a
// growth has left behind (take_retired).
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace saline::ipsec {

// Eight words: seven entries, each 16 bits of the hash above a pointer of 48, and the address of
// the bucket that goes on, as a rule none.
struct alignas(64) PointerBucket {
  static constexpr std::size_t kEntries = 7;
  std::array<std::atomic<std::uint64_t>, kEntries> words{};
  std::atomic<PointerBucket*> more{nullptr};
};

class PointerBuckets {
 public:
  explicit PointerBuckets(std::size_t count) : buckets_(count), mask_(count - 1) {}

  const PointerBucket& of(std::uint64_t hash) const noexcept { return buckets_[hash & mask_]; }
  PointerBucket& of(std::uint64_t hash) noexcept { return buckets_[hash & mask_]; }
  PointerBucket& at(std::size_t index) noexcept { return buckets_[index]; }
  std::size_t count() const noexcept { return mask_ + 1; }
  std::size_t bytes() const noexcept {
    return (count() + overflow_.size()) * sizeof(PointerBucket);
  }
  PointerBucket& append_to(PointerBucket& full) {
    overflow_.push_back(std::make_unique<PointerBucket>());
    full.more.store(overflow_.back().get(), std::memory_order_release);
    return *overflow_.back();
  }

 private:
  std::vector<PointerBucket> buckets_;
  std::size_t mask_;
  std::vector<std::unique_ptr<PointerBucket>> overflow_;
};

// What a reader needs; valid until the buckets it names are freed.
template <typename Entry>
class PointerView {
 public:
  PointerView() = default;
  PointerView(const PointerBuckets* current, const PointerBuckets* former) noexcept
      : current_(current), former_(former) {}

  void prefetch(std::uint64_t hash) const noexcept {
    if (current_ != nullptr) __builtin_prefetch(&current_->of(hash));
  }
  // The first entry whose stored bits of the hash agree, as a rule the right one.
  Entry* candidate(std::uint64_t hash) const noexcept {
    return find(hash, [](const Entry&) { return true; });
  }
  template <typename Same>
  Entry* find(std::uint64_t hash, Same&& same) const noexcept {
    if (current_ == nullptr) return nullptr;
    Entry* found = find_in(current_->of(hash), hash, same);
    if (found == nullptr && former_ != nullptr) found = find_in(former_->of(hash), hash, same);
    return found;
  }

  static constexpr std::uint64_t kPointerBits = (1ull << 48) - 1;
  static Entry* entry_of(std::uint64_t word) noexcept {
    return reinterpret_cast<Entry*>(word & kPointerBits);
  }
  static std::uint64_t word_of(std::uint64_t hash, const Entry* entry) noexcept {
    return (hash & ~kPointerBits) | reinterpret_cast<std::uint64_t>(entry);
  }

 private:
  template <typename Same>
  static Entry* find_in(const PointerBucket& first, std::uint64_t hash, Same&& same) noexcept {
    for (const PointerBucket* bucket = &first; bucket != nullptr;
         bucket = bucket->more.load(std::memory_order_acquire)) {
      std::array<std::uint64_t, PointerBucket::kEntries> words;
      unsigned agreeing = 0;  // without branches: where an entry sits nobody can predict
      for (std::size_t i = 0; i < words.size(); ++i) {
        words[i] = bucket->words[i].load(std::memory_order_acquire);
        agreeing |= static_cast<unsigned>(((words[i] ^ hash) >> 48) == 0) << i;
      }
      for (; agreeing != 0; agreeing &= agreeing - 1) {
        Entry* entry = entry_of(words[static_cast<unsigned>(__builtin_ctz(agreeing))]);
        if (entry != nullptr && same(*entry)) return entry;
      }
    }
    return nullptr;
  }

  const PointerBuckets* current_ = nullptr;
  const PointerBuckets* former_ = nullptr;
};

// The writer's side. HashOf gives the hash of an entry, always the same.
template <typename Entry, typename HashOf>
class PointerTable {
  using View = PointerView<Entry>;

 public:
  PointerTable() : current_(std::make_unique<PointerBuckets>(kBucketsMin)) {}

  View view() const noexcept { return {current_.get(), former_.get()}; }

  // Room for one more entry, so that add() cannot fail; throws std::bad_alloc. True when readers
  // need a new view.
  bool reserve(std::uint64_t hash) {
    const bool changed = go_on_growing();
    find_room(*current_, hash);
    return changed;
  }
  void add(Entry* entry) {
    const std::uint64_t hash = HashOf{}(*entry);
    find_room(*current_, hash).store(View::word_of(hash, entry), std::memory_order_release);
    ++entries_;
  }
  void replace(const Entry* old, Entry* entry) noexcept { exchange(old, entry); }
  void erase(const Entry* entry) noexcept {
    exchange(entry, nullptr);
    --entries_;
  }
  std::size_t size() const noexcept { return entries_; }
  std::size_t bytes() const noexcept {
    return current_->bytes() + (former_ == nullptr ? 0 : former_->bytes());
  }
  // Every entry once.
  template <typename Visit>
  void for_each(Visit&& visit) {
    for (std::size_t i = 0; i < current_->count(); ++i) visit_bucket(current_->at(i), visit);
    for (std::size_t i = moved_; former_ != nullptr && i < former_->count(); ++i)
      visit_bucket(former_->at(i), visit);
  }
  // Buckets that views older than the present one may still name.
  std::unique_ptr<PointerBuckets> take_retired() noexcept { return std::move(retired_); }

 private:
  static constexpr std::size_t kBucketsMin = 16;
  static constexpr std::size_t kEntriesWanted = 4;  // a bucket, at most, on average
  static constexpr std::size_t kMovedAtOnce = 16;   // buckets an addition

  std::atomic<std::uint64_t>& find_room(PointerBuckets& buckets, std::uint64_t hash) {
    for (PointerBucket* bucket = &buckets.of(hash);;) {
      for (auto& word : bucket->words)
        if (word.load(std::memory_order_relaxed) == 0) return word;
      PointerBucket* more = bucket->more.load(std::memory_order_relaxed);
      bucket = more != nullptr ? more : &buckets.append_to(*bucket);
    }
  }

  template <typename Visit>
  static void visit_bucket(PointerBucket& first, Visit& visit) {
    for (PointerBucket* bucket = &first; bucket != nullptr;
         bucket = bucket->more.load(std::memory_order_relaxed))
      for (auto& word : bucket->words)
        if (Entry* entry = View::entry_of(word.load(std::memory_order_relaxed))) visit(entry);
  }

  void exchange(const Entry* old, const Entry* entry) noexcept {
    const std::uint64_t hash = HashOf{}(*old);
    const std::uint64_t was = View::word_of(hash, old);
    const std::uint64_t is = entry == nullptr ? 0 : View::word_of(hash, entry);
    for (PointerBuckets* buckets : {current_.get(), former_.get()}) {
      PointerBucket* bucket = buckets == nullptr ? nullptr : &buckets->of(hash);
      for (; bucket != nullptr; bucket = bucket->more.load(std::memory_order_relaxed))
        for (auto& word : bucket->words)
          if (word.load(std::memory_order_relaxed) == was)
            word.store(is, std::memory_order_release);
    }
  }

  bool go_on_growing() {
    if (former_ == nullptr) {
      if (retired_ != nullptr || entries_ < current_->count() * kEntriesWanted) return false;
      auto larger = std::make_unique<PointerBuckets>(current_->count() * 2);
      former_ = std::exchange(current_, std::move(larger));
      moved_ = 0;
      return true;
    }
    for (std::size_t i = 0; i < kMovedAtOnce && moved_ < former_->count(); ++i)
      copy_bucket(moved_++);
    if (moved_ < former_->count()) return false;
    retired_ = std::move(former_);
    return true;
  }

  // The entries stay where they were as well: a reader that has just missed them in the new buckets
  // finds them in the old.
  void copy_bucket(std::size_t index) {
    for (PointerBucket* bucket = &former_->at(index); bucket != nullptr;
         bucket = bucket->more.load(std::memory_order_relaxed))
      for (auto& word : bucket->words)
        if (Entry* entry = View::entry_of(word.load(std::memory_order_relaxed))) {
          const std::uint64_t hash = HashOf{}(*entry);
          find_room(*current_, hash).store(View::word_of(hash, entry), std::memory_order_release);
        }
  }

  std::unique_ptr<PointerBuckets> current_;
  std::unique_ptr<PointerBuckets> former_;  // while growing
  std::unique_ptr<PointerBuckets> retired_;
  std::size_t moved_ = 0;
  std::size_t entries_ = 0;
};

}  // namespace saline::ipsec
