// What both sides of the classifier compute alike. Private to it.
#pragma once

#include <cstdint>

#include "host/ipsec/classifier.hpp"

namespace saline::ipsec {

inline std::uint64_t mix(std::uint64_t value) noexcept {
  value ^= value >> 32;
  value *= 0x9E3779B97F4A7C15u;
  value ^= value >> 29;
  value *= 0xBF58476D1CE4E5B9u;
  return value ^ value >> 32;
}

inline std::uint64_t pair_key(std::uint32_t source, std::uint32_t destination) noexcept {
  return std::uint64_t{source} << 32 | destination;
}
inline std::uint64_t pair_key(const PrefixEntry& source, const PrefixEntry& destination) noexcept {
  return pair_key(source.id, destination.id);
}
inline std::uint64_t hash_of_pair(std::uint32_t source, std::uint32_t destination) noexcept {
  return mix(pair_key(source, destination));
}
inline std::uint64_t hash_of_rule(std::uint64_t pair, const Rule& rule) noexcept {
  const std::uint64_t rest = std::uint64_t{rule.shape} << 40 | std::uint64_t{rule.protocol} << 32 |
                             std::uint64_t{rule.source_port} << 16 | rule.destination_port;
  return mix(mix(pair) ^ rest);
}

// A filter only: two lengths may share a bit.
inline std::uint64_t peer_bit(std::uint8_t length) noexcept {
  return std::uint64_t{1} << (length % 63);
}

inline RulePair* find_pair(const PointerView<RulePair>& pairs, std::uint32_t source,
                           std::uint32_t destination) noexcept {
  return pairs.find(hash_of_pair(source, destination), [&](const RulePair& pair) {
    return pair.source == source && pair.destination == destination;
  });
}
inline PairRule* find_rule(const PointerView<PairRule>& rules, std::uint64_t pair,
                           const Rule& key) noexcept {
  return rules.find(hash_of_rule(pair, key), [&](const PairRule& entry) {
    return entry.pair == pair && entry.rule.same_key(key);
  });
}

}  // namespace saline::ipsec
