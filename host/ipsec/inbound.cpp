// Inbound processing (RFC 4301 §5.2, steps 3 and 4): find the SA of the outermost AH or ESP, check
// replay, verify and decrypt, commit, decapsulate; again, until nothing for us is left.
#include <algorithm>

#include "host/base/bytes.hpp"
#include "host/ipsec/scratch.hpp"

namespace saline::ipsec {

namespace {

using hw::DropReason;

constexpr std::uint32_t kEspMin = 8;
constexpr std::uint32_t kAhMin = 12;

}  // namespace

void Processor::refuse(InboundItem& item, DropReason reason, SecurityAssociation* sa) noexcept {
  item.outcome = Outcome::drop;
  item.reason = reason;
  item.association = sa;
  counters_.inbound_refused[static_cast<std::size_t>(reason)].add(1);
  if (sa != nullptr) sa->refuse(reason);
}

// True when a job is ready. False when the packet has nothing (more) for us, or is refused.
bool Processor::prepare_inbound(const SadView& sad, InboundItem& item, std::size_t index,
                                crypto::Job& job) noexcept {
  Step& step = scratch_->steps[index];
  Packet& packet = *item.packet;
  Headers& headers = step.headers;
  if (!parse_headers(packet.bytes(), headers))
    return refuse(item, DropReason::malformed, nullptr), false;
  packet.shrink_back(packet.length - headers.total);
  const std::uint8_t protocol = headers.upper_protocol;
  if ((protocol != kEsp && protocol != kAh) || headers.routed) return false;
  const bool ours = local_ == nullptr || local_->contains(headers.destination);
  if (headers.fragment) {
    if (ours) refuse(item, DropReason::fragment, nullptr);
    return false;
  }
  const std::uint32_t available = headers.total - headers.upper_offset;
  if (available < (protocol == kEsp ? kEspMin : kAhMin)) {
    if (ours) refuse(item, DropReason::malformed, nullptr);
    return false;
  }
  const std::uint8_t* header = packet.data + headers.upper_offset;
  item.spi = base::load32(protocol == kEsp ? header : header + 4);
  SecurityAssociation* sa =
      sad.find({item.spi, headers.destination, static_cast<Protocol>(protocol)});
  if (sa == nullptr) {
    if (ours) refuse(item, DropReason::no_sa, nullptr);
    return false;
  }
  DropReason reason = DropReason::none;
  if (packet.history_count == kNestingMax) {
    reason = DropReason::nesting;
  } else if (!sa->usable()) {
    reason = DropReason::no_sa;
  } else if (sa->offloaded()) {
    reason = DropReason::unsupported;  // its window is in the card: nobody else may judge
  }
  step.packet = &packet;
  step.association = sa;
  step.bad_padding = false;
  if (reason == DropReason::none)
    reason = protocol == kEsp ? prepare_esp_inbound(step, job)
                              : prepare_ah_inbound(step, job, settings_);
  // The card judges in the same order: lengths, window, lifetime.
  if (reason == DropReason::none) reason = sa->lifetime_check();
  if (reason == DropReason::none) return true;
  refuse(item, reason, sa);
  return false;
}

// True when the packet goes round again.
bool Processor::finish_inbound(InboundItem& item, std::size_t index,
                               const crypto::Job& job) noexcept {
  Step& step = scratch_->steps[index];
  SecurityAssociation& sa = *step.association;
  if (job.result != crypto::Result::ok) {
    refuse(item, DropReason::icv, &sa);
    return false;
  }
  if (!sa.window().commit(step.sequence)) {
    refuse(item, DropReason::replay, &sa);
    return false;
  }
  sa.counters().window_top.set(sa.window().top());
  // Packets of one burst passed the first check together; the last number of a hard lifetime is one
  // packet's only.
  DropReason reason = sa.lifetime_check();
  if (reason == DropReason::none)
    reason = sa.protocol() == Protocol::esp ? finish_esp_inbound(step, settings_)
                                            : finish_ah_inbound(step, settings_);
  if (reason != DropReason::none) {
    refuse(item, reason, &sa);
    return false;
  }
  if (step.bad_padding) counters_.bad_padding.add(1);
  sa.account(step.payload, now_s_);
  item.packet->push_history(&sa, step.mode);
  return true;
}

void Processor::inbound_chunk(const SadView& sad, std::span<InboundItem> items) noexcept {
  Scratch& scratch = *scratch_;
  for (std::size_t i = 0; i < items.size(); ++i) {
    items[i].outcome = Outcome::pass;
    items[i].reason = DropReason::none;
    items[i].association = nullptr;
    items[i].spi = 0;
    scratch.active[i] = true;
  }
  for (;;) {
    std::size_t count = 0;
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (!scratch.active[i]) continue;
      crypto::Job& job = scratch.jobs[count];
      job = crypto::Job{};
      scratch.active[i] = prepare_inbound(sad, items[i], i, job);
      if (scratch.active[i]) scratch.owner[count++] = i;
    }
    if (count == 0) break;
    provider_.run({scratch.jobs.data(), count});
    for (std::size_t j = 0; j < count; ++j) {
      const std::size_t i = scratch.owner[j];
      scratch.active[i] = finish_inbound(items[i], i, scratch.jobs[j]);
    }
  }
  for (const InboundItem& item : items)
    if (item.outcome == Outcome::pass) counters_.inbound_passed.add(1);
}

void Processor::inbound(const SadView& sad, std::span<InboundItem> items) noexcept {
  while (!items.empty()) {
    const std::size_t count = std::min(items.size(), kBurst);
    inbound_chunk(sad, items.first(count));
    items = items.subspan(count);
  }
}

}  // namespace saline::ipsec
