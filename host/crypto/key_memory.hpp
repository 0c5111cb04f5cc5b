// Memory for expanded keys: blocks aligned to a cache line and packed by size in large pages, so
// that a packet for any of a million SAs costs few translations; left out of core dumps, and wiped
// when freed. Control path: takes a lock.
#pragma once

#include <cstddef>

namespace saline::crypto {

// Throws std::bad_alloc. At most 64 KiB; contents are zero.
void* allocate_key_memory(std::size_t bytes);

// Any address inside the block. Wipes it.
void free_key_memory(void* inside) noexcept;

}  // namespace saline::crypto
