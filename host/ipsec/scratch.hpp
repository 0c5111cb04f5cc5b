// The Processor's working memory for one burst. Private to the packet walk.
#pragma once

#include <array>
#include <cstdint>

#include "host/ipsec/flow_cache.hpp"
#include "host/ipsec/ipcomp.hpp"
#include "host/ipsec/process.hpp"
#include "host/ipsec/step.hpp"

namespace saline::ipsec {

// The SAs that an outbound packet's policy asks for, resolved before anything is changed.
struct Bundle {
  struct Entry {
    SecurityAssociation* association = nullptr;
    Mode mode = Mode::transport;
  };
  std::uint32_t count = 0;
  std::uint32_t next = 0;
  bool compresses = false;  // one of them is IPComp
  std::array<Entry, kRequestsMax> entries;
};

// The items of a chunk that are still in play, by index and in order.
class Live {
 public:
  void fill(std::size_t count) noexcept {
    count_ = count;
    for (std::size_t i = 0; i < count; ++i) items_[i] = static_cast<std::uint8_t>(i);
  }
  bool empty() const noexcept { return count_ == 0; }
  std::size_t size() const noexcept { return count_; }
  std::size_t operator[](std::size_t at) const noexcept { return items_[at]; }

  // Runs a stage on all of them; those for which it says false are out.
  template <typename Stage>
  void keep_if(Stage&& stage) noexcept {
    std::size_t kept = 0;
    for (std::size_t at = 0; at < count_; ++at) {
      const std::uint8_t i = items_[at];
      items_[kept] = i;
      kept += stage(i) ? 1 : 0;
    }
    count_ = kept;
  }

 private:
  std::size_t count_ = 0;
  std::array<std::uint8_t, Processor::kBurst> items_;
};

// The headers of a packet and what follows its end, which the walk writes.
inline void prefetch_packet(const Packet& packet) noexcept {
  __builtin_prefetch(packet.data, 1);
  __builtin_prefetch(packet.data + packet.length, 1);
}

struct Processor::Scratch {
  Scratch() {
    for (std::size_t i = 0; i < kBurst; ++i) steps[i].signed_headers = signed_headers[i];
  }

  Live live;
  std::array<crypto::Job, kBurst> jobs;  // of the live, in their order
  std::array<Step, kBurst> steps;        // by item, as bundles
  std::array<Bundle, kBurst> bundles;
  std::array<const PeerGroup*, kBurst> groups;
  std::array<Flow, kBurst> flows;  // of those whose policy is looked up, in their order
  std::array<const Policy*, kBurst> policies;
  FlowCache flow_cache;
  const Policy* same_policy = nullptr;  // resolved in this burst, the same for all its packets
  std::size_t same_index = 0;
  SecurityAssociation* found = nullptr;  // for the packet before, in this burst
  std::array<std::array<std::uint8_t, kSignedHeadersMax>, kBurst> signed_headers;
  crypto::RandomStream random;
  Compressor compressor;
  std::uint16_t next_identification = 0;
};

// One round of the live items: prepare, crypto for all of them, finish. Those left live have
// another header or request to go through.
template <typename Item>
void Processor::run_jobs(std::span<Item> items) noexcept {
  Scratch& scratch = *scratch_;
  std::size_t count = 0;
  scratch.live.keep_if([&](std::size_t i) {
    crypto::Job& job = scratch.jobs[count];
    job = crypto::Job{};
    const bool ready = prepare(items[i], i, job);
    count += ready ? 1 : 0;
    return ready;
  });
  if (count == 0) return;
  provider_.run({scratch.jobs.data(), count});
  const crypto::Job* job = scratch.jobs.data();
  scratch.live.keep_if([&](std::size_t i) { return finish(items[i], i, *job++); });
}

}  // namespace saline::ipsec
