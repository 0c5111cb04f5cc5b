// Blocks go 16 at a time through AES and eight at a time through GHASH, two to a register.
// GHASH works on byte-reflected blocks; multiplying by powers of H that were multiplied by x^-1
// beforehand takes the place of shifting each product by one bit (the technique of S. Gueron).
#include "host/crypto/gcm_vaes.hpp"

#include <cpuid.h>
#include <immintrin.h>

#include <cstring>

namespace saline::crypto::gcm_vaes {

namespace {

constexpr std::size_t kBlock = 16;
constexpr std::size_t kPair = 32;
constexpr std::size_t kGroup = 8 * kBlock;     // of GHASH
constexpr std::size_t kStretch = 16 * kBlock;  // of AES

#define SALINE_INLINE inline __attribute__((always_inline))
#define SALINE_LAMBDA_INLINE __attribute__((always_inline))

SALINE_INLINE __m128i load(const std::uint8_t* at) noexcept {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
}
SALINE_INLINE __m256i load_pair(const std::uint8_t* at) noexcept {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
}
SALINE_INLINE void store(std::uint8_t* at, __m128i block) noexcept {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(at), block);
}
SALINE_INLINE void store_pair(std::uint8_t* at, __m256i pair) noexcept {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(at), pair);
}
SALINE_INLINE __m256i twice(__m128i block) noexcept { return _mm256_broadcastsi128_si256(block); }

SALINE_INLINE __m128i reflect_mask() noexcept {
  return _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}
SALINE_INLINE __m128i reflect(__m128i block) noexcept {
  return _mm_shuffle_epi8(block, reflect_mask());
}
SALINE_INLINE __m256i reflect(__m256i pair) noexcept {
  return _mm256_shuffle_epi8(pair, twice(reflect_mask()));
}

// ---- GHASH

// x^128 + x^7 + x^2 + x + 1, reflected.
SALINE_INLINE __m128i polynomial() noexcept {
  return _mm_set_epi64x(static_cast<long long>(0xC200000000000000), 1);
}

// A product that is not reduced yet: low, middle and high.
struct Product {
  __m128i low;
  __m128i middle;
  __m128i high;
};

SALINE_INLINE __m128i reduce(const Product& product) noexcept {
  const __m128i from_low = _mm_clmulepi64_si128(polynomial(), product.low, 0x01);
  const __m128i middle =
      _mm_xor_si128(_mm_xor_si128(product.middle, from_low), _mm_shuffle_epi32(product.low, 0x4E));
  const __m128i from_middle = _mm_clmulepi64_si128(polynomial(), middle, 0x01);
  return _mm_xor_si128(_mm_xor_si128(product.high, from_middle), _mm_shuffle_epi32(middle, 0x4E));
}

SALINE_INLINE void add_product(Product& sum, __m128i a, __m128i b) noexcept {
  sum.low = _mm_xor_si128(sum.low, _mm_clmulepi64_si128(a, b, 0x00));
  sum.middle = _mm_xor_si128(sum.middle, _mm_xor_si128(_mm_clmulepi64_si128(a, b, 0x01),
                                                       _mm_clmulepi64_si128(a, b, 0x10)));
  sum.high = _mm_xor_si128(sum.high, _mm_clmulepi64_si128(a, b, 0x11));
}

SALINE_INLINE Product nothing() noexcept {
  return {_mm_setzero_si128(), _mm_setzero_si128(), _mm_setzero_si128()};
}

SALINE_INLINE __m128i multiply(__m128i a, __m128i b) noexcept {
  Product product = nothing();
  add_product(product, a, b);
  return reduce(product);
}

// H^n, n from 1 to 8.
SALINE_INLINE __m128i power(const std::uint8_t* powers, std::size_t n) noexcept {
  return load(powers + (8 - n) * kBlock);
}

SALINE_INLINE __m128i fold(__m256i pair) noexcept {
  return _mm_xor_si128(_mm256_castsi256_si128(pair), _mm256_extracti128_si256(pair, 1));
}

// Karatsuba: three multiplications a pair.
SALINE_INLINE __m128i ghash_group(__m128i hash, const std::uint8_t* text,
                                  const std::uint8_t* powers) noexcept {
  __m256i low = _mm256_setzero_si256();
  __m256i middle = low;
  __m256i high = low;
#pragma GCC unroll 4
  for (std::size_t at = 0; at < kGroup; at += kPair) {
    __m256i blocks = reflect(load_pair(text + at));
    if (at == 0) blocks = _mm256_xor_si256(blocks, _mm256_zextsi128_si256(hash));
    const __m256i keys = load_pair(powers + at);
    low = _mm256_xor_si256(low, _mm256_clmulepi64_epi128(blocks, keys, 0x00));
    high = _mm256_xor_si256(high, _mm256_clmulepi64_epi128(blocks, keys, 0x11));
    const __m256i block_sums = _mm256_xor_si256(blocks, _mm256_shuffle_epi32(blocks, 0x4E));
    const __m256i key_sums = _mm256_xor_si256(keys, _mm256_shuffle_epi32(keys, 0x4E));
    middle = _mm256_xor_si256(middle, _mm256_clmulepi64_epi128(block_sums, key_sums, 0x00));
  }
  middle = _mm256_xor_si256(middle, _mm256_xor_si256(low, high));
  return reduce({fold(low), fold(middle), fold(high)});
}

// Bytes below `rest` of a pair.
SALINE_INLINE __m256i mask_of(std::size_t rest) noexcept {
  alignas(32) static constexpr std::uint8_t kOnesAndZeros[2 * kPair] = {
      255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
      255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
  return load_pair(kOnesAndZeros + kPair - rest);
}

// ESP's text is a multiple of 4 bytes.
SALINE_INLINE __m256i load_rest(const std::uint8_t* from, std::size_t rest, __m256i mask) noexcept {
  if (rest % 4 == 0) return _mm256_maskload_epi32(reinterpret_cast<const int*>(from), mask);
  alignas(32) std::uint8_t padded[kPair] = {};
  std::memcpy(padded, from, rest);
  return load_pair(padded);
}

SALINE_INLINE void store_rest(std::uint8_t* to, std::size_t rest, __m256i pair) noexcept {
  __m128i block = _mm256_castsi256_si128(pair);
  if ((rest & 16) != 0) {
    store(to, block);
    to += kBlock;
    block = _mm256_extracti128_si256(pair, 1);
  }
  if ((rest & 8) != 0) {
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to), block);
    to += 8;
    block = _mm_srli_si128(block, 8);
  }
  if ((rest & 4) != 0) {
    _mm_storeu_si32(to, block);
    to += 4;
    block = _mm_srli_si128(block, 4);
  }
  const auto bytes = static_cast<std::uint32_t>(_mm_cvtsi128_si32(block));
  for (std::size_t i = 0; i < rest % 4; ++i) to[i] = static_cast<std::uint8_t>(bytes >> (8 * i));
}

SALINE_INLINE __m128i load_part(const std::uint8_t* from, std::size_t bytes) noexcept {
  alignas(16) std::uint8_t padded[kBlock] = {};
  std::memcpy(padded, from, bytes);
  return load(padded);
}

// Short messages: additional data and text in one sum.
SALINE_INLINE bool in_one_sum(const Message& message) noexcept {
  return message.aad_bytes <= kBlock && message.text_bytes <= 6 * kBlock;
}

SALINE_INLINE __m128i aad_block(const Message& message, std::size_t at,
                                std::size_t bytes) noexcept {
  if (bytes == 8)  // ESP's
    return reflect(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(message.aad + at)));
  return reflect(load_part(message.aad + at, bytes));
}

SALINE_INLINE __m128i ghash_aad(const Message& message) noexcept {
  const __m128i h = power(message.powers, 1);
  __m128i hash = _mm_setzero_si128();
  if (in_one_sum(message)) return hash;
  std::size_t at = 0;
  for (; at + kBlock <= message.aad_bytes; at += kBlock)
    hash = multiply(_mm_xor_si128(hash, reflect(load(message.aad + at))), h);
  if (at == message.aad_bytes) return hash;
  return multiply(_mm_xor_si128(hash, aad_block(message, at, message.aad_bytes - at)), h);
}

// The rest of the text, less than a stretch, and the block of lengths; of a short message the
// additional data before them.
SALINE_INLINE __m128i ghash_end(__m128i hash, const Message& message, const std::uint8_t* text,
                                std::size_t bytes, __m128i last_part) noexcept {
  for (; bytes >= kGroup; bytes -= kGroup, text += kGroup)
    hash = ghash_group(hash, text, message.powers);
  std::size_t n = (bytes + kBlock - 1) / kBlock + 1;
  Product sum = nothing();
  if (in_one_sum(message)) {
    if (message.aad_bytes != 0)
      add_product(sum, aad_block(message, 0, message.aad_bytes), power(message.powers, n + 1));
  } else if (n == 9) {
    hash = multiply(_mm_xor_si128(hash, reflect(load(text))), power(message.powers, 1));
    text += kBlock;
    bytes -= kBlock;
    --n;
  }
  for (; bytes >= kBlock; bytes -= kBlock, text += kBlock, --n) {
    add_product(sum, _mm_xor_si128(hash, reflect(load(text))), power(message.powers, n));
    hash = _mm_setzero_si128();
  }
  if (bytes != 0) {
    add_product(sum, _mm_xor_si128(hash, reflect(last_part)), power(message.powers, n));
    hash = _mm_setzero_si128();
  }
  const __m128i lengths = _mm_set_epi64x(static_cast<long long>(message.aad_bytes * 8),
                                         static_cast<long long>(message.text_bytes * 8));
  add_product(sum, _mm_xor_si128(hash, lengths), power(message.powers, 1));
  return reduce(sum);
}

// ---- AES in counter mode

template <int Pairs>
SALINE_INLINE void encrypt(__m256i (&pairs)[8], const std::uint8_t* keys, int rounds) noexcept {
  const __m256i first = twice(load(keys));
#pragma GCC unroll 8
  for (int i = 0; i < Pairs; ++i) pairs[i] = _mm256_xor_si256(pairs[i], first);
  for (int round = 1; round < rounds; ++round) {
    const __m256i key = twice(load(keys + round * 16));
#pragma GCC unroll 8
    for (int i = 0; i < Pairs; ++i) pairs[i] = _mm256_aesenc_epi128(pairs[i], key);
  }
  const __m256i last = twice(load(keys + rounds * 16));
#pragma GCC unroll 8
  for (int i = 0; i < Pairs; ++i) pairs[i] = _mm256_aesenclast_epi128(pairs[i], last);
}

SALINE_INLINE __m128i encrypt_block(__m128i block, const std::uint8_t* keys, int rounds) noexcept {
  block = _mm_xor_si128(block, load(keys));
  for (int round = 1; round < rounds; ++round)
    block = _mm_aesenc_si128(block, load(keys + round * 16));
  return _mm_aesenclast_si128(block, load(keys + rounds * 16));
}

// Pairs of counter blocks, reflected; the first is for the first block of text.
struct Counter {
  __m256i next;
};

template <int Pairs>
SALINE_INLINE void take(Counter& counter, __m256i (&pairs)[8]) noexcept {
  const __m256i two = _mm256_set_epi32(0, 0, 0, 2, 0, 0, 0, 2);
#pragma GCC unroll 8
  for (int i = 0; i < Pairs; ++i) {
    pairs[i] = reflect(counter.next);
    counter.next = _mm256_add_epi32(counter.next, two);
  }
}

// The block that masks the tag goes along where there is a place free.
struct TagMask {
  __m128i block;
  bool encrypted;
};

template <int Pairs>
SALINE_INLINE void crypt_pairs(const Message& message, Counter& counter, std::uint8_t* text,
                               std::size_t bytes, TagMask& tag_mask, __m256i& spare) noexcept {
  __m256i pairs[8];
  take<Pairs>(counter, pairs);
  const bool place_free = bytes <= Pairs * kPair - kBlock;
  if (place_free) pairs[Pairs - 1] = _mm256_inserti128_si256(pairs[Pairs - 1], tag_mask.block, 1);
  encrypt<Pairs>(pairs, message.round_keys, message.rounds);
  if (place_free) tag_mask = {_mm256_extracti128_si256(pairs[Pairs - 1], 1), true};
#pragma GCC unroll 8
  for (std::size_t i = 0; i < Pairs; ++i) {
    std::uint8_t* const at = text + i * kPair;
    if ((i + 1) * kPair <= bytes)
      store_pair(at, _mm256_xor_si256(load_pair(at), pairs[i]));
    else
      spare = pairs[i];
  }
}

// Less than a stretch. Returns the last, incomplete block of ciphertext with zeros behind it.
SALINE_INLINE __m128i crypt_end(const Message& message, Counter& counter, std::uint8_t* text,
                                std::size_t bytes, TagMask& tag_mask, bool seal) noexcept {
  const std::size_t whole = bytes / kPair;
  const std::size_t rest = bytes % kPair;
  __m256i spare = _mm256_setzero_si256();
  switch ((bytes + kPair - 1) / kPair) {
    case 0:
      return _mm_setzero_si128();
    case 1:
      crypt_pairs<1>(message, counter, text, bytes, tag_mask, spare);
      break;
    case 2:
      crypt_pairs<2>(message, counter, text, bytes, tag_mask, spare);
      break;
    case 3:
      crypt_pairs<3>(message, counter, text, bytes, tag_mask, spare);
      break;
    case 4:
      crypt_pairs<4>(message, counter, text, bytes, tag_mask, spare);
      break;
    case 5:
      crypt_pairs<5>(message, counter, text, bytes, tag_mask, spare);
      break;
    case 6:
      crypt_pairs<6>(message, counter, text, bytes, tag_mask, spare);
      break;
    case 7:
      crypt_pairs<7>(message, counter, text, bytes, tag_mask, spare);
      break;
    default:
      crypt_pairs<8>(message, counter, text, bytes, tag_mask, spare);
      break;
  }
  if (rest == 0) return _mm_setzero_si128();
  std::uint8_t* const at = text + whole * kPair;
  const __m256i mask = mask_of(rest);
  const __m256i before = load_rest(at, rest, mask);
  const __m256i after = _mm256_and_si256(_mm256_xor_si256(before, spare), mask);
  store_rest(at, rest, after);
  const __m256i ciphertext = seal ? after : before;
  return rest < kBlock ? _mm256_castsi256_si128(ciphertext)
                       : _mm256_extracti128_si256(ciphertext, 1);
}

template <bool Seal>
SALINE_INLINE void run(const Message& message, std::uint8_t* tag) noexcept {
  alignas(16) std::uint8_t first[kBlock];
  std::memcpy(first, message.nonce, 12);
  const std::uint8_t one[4] = {0, 0, 0, 1};
  std::memcpy(first + 12, one, 4);
  TagMask tag_mask{load(first), false};
  Counter counter{
      _mm256_add_epi32(twice(reflect(load(first))), _mm256_set_epi32(0, 0, 0, 2, 0, 0, 0, 1))};
  __m128i hash = ghash_aad(message);
  std::uint8_t* text = message.text;
  std::size_t bytes = message.text_bytes;
  const auto hash_stretch = [&]() SALINE_LAMBDA_INLINE {
    hash = ghash_group(hash, text, message.powers);
    hash = ghash_group(hash, text + kGroup, message.powers);
  };
  for (; bytes >= kStretch; bytes -= kStretch, text += kStretch) {
    __m256i pairs[8];
    take<8>(counter, pairs);
    encrypt<8>(pairs, message.round_keys, message.rounds);
    if (!Seal) hash_stretch();
#pragma GCC unroll 8
    for (std::size_t i = 0; i < 8; ++i)
      store_pair(text + i * kPair, _mm256_xor_si256(load_pair(text + i * kPair), pairs[i]));
    if (Seal) hash_stretch();
  }
  __m128i last_part = _mm_setzero_si128();
  if (Seal) {
    last_part = crypt_end(message, counter, text, bytes, tag_mask, true);
    hash = ghash_end(hash, message, text, bytes, last_part);
  } else {
    if (bytes % kBlock != 0) last_part = load_part(text + bytes / kBlock * kBlock, bytes % kBlock);
    hash = ghash_end(hash, message, text, bytes, last_part);
    crypt_end(message, counter, text, bytes, tag_mask, false);
  }
  if (!tag_mask.encrypted)
    tag_mask.block = encrypt_block(tag_mask.block, message.round_keys, message.rounds);
  store(tag, _mm_xor_si128(reflect(hash), tag_mask.block));
}

}  // namespace

bool runs_here() noexcept {
  constexpr unsigned kVaes = 1u << 9;
  constexpr unsigned kVpclmulqdq = 1u << 10;
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __builtin_cpu_supports("avx2") && __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 &&
         (c & kVaes) != 0 && (c & kVpclmulqdq) != 0;
}

void expand_powers(const std::uint8_t* round_keys, int rounds, std::uint8_t* powers) noexcept {
  __m128i h = reflect(encrypt_block(_mm_setzero_si128(), round_keys, rounds));
  // Times x^-1: one bit up, and the polynomial for the bit that falls out.
  const __m128i signs = _mm_srai_epi32(_mm_shuffle_epi32(h, 0xD3), 31);
  const __m128i carries = _mm_set_epi64x(static_cast<long long>(0xC200000000000001), 1);
  h = _mm_xor_si128(_mm_add_epi64(h, h), _mm_and_si128(signs, carries));
  __m128i current = h;
  for (std::size_t n = 1; n <= 8; ++n) {
    store(powers + (8 - n) * kBlock, current);
    current = multiply(current, h);
  }
}

void seal(const Message& message, std::uint8_t tag[16]) noexcept { run<true>(message, tag); }
void open(const Message& message, std::uint8_t tag[16]) noexcept { run<false>(message, tag); }

}  // namespace saline::crypto::gcm_vaes
