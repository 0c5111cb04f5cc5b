// Regions of 2 MiB, each cut into blocks of one size. A region is never given back: freed blocks
// wait for the next SA of their kind.
#include "host/crypto/key_memory.hpp"

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <map>
#include <mutex>
#include <new>

#include "host/base/secret.hpp"

namespace saline::crypto {

namespace {

constexpr std::size_t kLine = 64;
constexpr std::size_t kRegion = std::size_t{1} << 21;

// At the start of every region, blocks behind it.
struct alignas(kLine) Region {
  std::size_t block_bytes;
};

struct FreeBlock {
  FreeBlock* next;
};

struct Pool {
  FreeBlock* free = nullptr;
  std::byte* fresh = nullptr;  // never used yet, up to fresh_end
  std::byte* fresh_end = nullptr;
};

struct Memory {
  std::mutex mutex;
  std::map<std::size_t, Pool> pools;
};

// Never destroyed: sessions may outlive every other object.
Memory& memory() {
  static Memory* const all = new Memory;
  return *all;
}

void add_region(Pool& pool, std::size_t block_bytes) {
  void* const at = std::aligned_alloc(kRegion, kRegion);
  if (at == nullptr) throw std::bad_alloc();
  ::madvise(at, kRegion, MADV_HUGEPAGE);
  ::madvise(at, kRegion, MADV_DONTDUMP);
  pool.fresh = reinterpret_cast<std::byte*>(new (at) Region{block_bytes} + 1);
  const std::size_t blocks = (kRegion - sizeof(Region)) / block_bytes;
  pool.fresh_end = pool.fresh + blocks * block_bytes;
}

}  // namespace

void* allocate_key_memory(std::size_t bytes) {
  const std::size_t block_bytes = (bytes + kLine - 1) / kLine * kLine;
  if (block_bytes == 0 || block_bytes > 65536) throw std::bad_alloc();
  Memory& all = memory();
  const std::lock_guard lock(all.mutex);
  Pool& pool = all.pools[block_bytes];
  if (pool.free != nullptr) {
    FreeBlock* const block = pool.free;
    pool.free = block->next;
    block->next = nullptr;
    return block;
  }
  if (pool.fresh == pool.fresh_end) add_region(pool, block_bytes);
  void* const block = pool.fresh;
  pool.fresh += block_bytes;
  base::wipe({static_cast<std::uint8_t*>(block), block_bytes});
  return block;
}

void free_key_memory(void* inside) noexcept {
  if (inside == nullptr) return;
  const auto address = reinterpret_cast<std::uintptr_t>(inside);
  auto* const region = reinterpret_cast<Region*>(address / kRegion * kRegion);
  auto* const first = reinterpret_cast<std::byte*>(region + 1);
  const std::size_t bytes = region->block_bytes;
  std::byte* const block =
      first + static_cast<std::size_t>(static_cast<std::byte*>(inside) - first) / bytes * bytes;
  base::wipe({reinterpret_cast<std::uint8_t*>(block), bytes});
  Memory& all = memory();
  const std::lock_guard lock(all.mutex);
  Pool& pool = all.pools.find(bytes)->second;
  pool.free = new (block) FreeBlock{pool.free};
}

}  // namespace saline::crypto
