// Inbound processing (RFC 4301 §5.2, steps 3 and 4): find the SA of the outermost AH or ESP, check
// replay, verify and decrypt, commit, decapsulate; again, until nothing for us is left.
#include <algorithm>

#include "host/base/bytes.hpp"
#include "host/ipsec/scratch.hpp"

namespace saline::ipsec {

namespace {

using hw::DropReason;

constexpr std::uint32_t kEspMin = 8;
constexpr std::uint32_t kAhMin = 8;  // that of RFC 1826; the SA knows better

bool is_ip_in_ip(std::uint8_t protocol) noexcept { return protocol == kIpv4 || protocol == kIpv6; }

}  // namespace

void Processor::refuse(InboundItem& item, DropReason reason, SecurityAssociation* sa) noexcept {
  item.outcome = Outcome::drop;
  item.reason = reason;
  item.association = sa;
  counters_.inbound_refused[static_cast<std::size_t>(reason)].add(1);
  if (sa != nullptr) sa->refuse(reason);
}

// True when the outermost header of the packet wants an SA. False when the packet has nothing
// (more) for us, or is refused.
bool Processor::locate(const SadView& sad, InboundItem& item, std::size_t index) noexcept {
  Step& step = scratch_->steps[index];
  Packet& packet = *item.packet;
  Headers& headers = step.headers;
  if (!step.parsed && !parse_headers(packet.bytes(), headers))
    return refuse(item, DropReason::malformed, nullptr), false;
  step.parsed = true;
  packet.shrink_back(packet.length - headers.total);
  const std::uint8_t protocol = headers.upper_protocol;
  step.udp_bytes = 0;
  if ((protocol != kEsp && protocol != kAh) || headers.routed)
    return locate_other(sad, item, index);
  if (headers.fragment) {
    if (is_ours(headers.destination)) refuse(item, DropReason::fragment, nullptr);
    return false;
  }
  const std::uint32_t available = headers.total - headers.upper_offset;
  if (available < (protocol == kEsp ? kEspMin : kAhMin)) {
    if (is_ours(headers.destination)) refuse(item, DropReason::malformed, nullptr);
    return false;
  }
  const std::uint8_t* header = packet.data + headers.upper_offset;
  item.spi = base::load32(protocol == kEsp ? header : header + 4);
  step.hash = SadView::hash(item.spi, headers.destination, static_cast<Protocol>(protocol));
  sad.prefetch_find(step.hash);
  return true;
}

// ESP in UDP and IPComp, and IP in IP, which IPComp in tunnel mode sends when it does not pay.
bool Processor::locate_other(const SadView& sad, InboundItem& item, std::size_t index) noexcept {
  Step& step = scratch_->steps[index];
  Headers& headers = step.headers;
  const std::uint8_t protocol = headers.upper_protocol;
  const bool candidate = protocol == kUdp || protocol == kIpcomp || is_ip_in_ip(protocol);
  if (!candidate || headers.routed || headers.fragment) {
    if (protocol == kIpcomp && headers.fragment && is_ours(headers.destination))
      refuse(item, DropReason::fragment, nullptr);
    return false;
  }
  const std::uint32_t available = headers.total - headers.upper_offset;
  const std::uint8_t* header = item.packet->data + headers.upper_offset;
  item.spi = 0;
  if (is_ip_in_ip(protocol)) return true;
  if (protocol == kIpcomp) {
    if (available >= kIpcompHeader) {
      item.spi = base::load16(header + 2);
      return true;
    }
    if (is_ours(headers.destination)) refuse(item, DropReason::malformed, nullptr);
    return false;
  }
  if (available < 4 || !ports_->contains(base::load16(header + 2)) || !is_ours(headers.destination))
    return false;
  switch (look_into_udp(item.packet->bytes(), headers)) {
    case UdpContent::ike:
      return false;
    case UdpContent::keepalive:
      item.outcome = Outcome::drop;
      counters_.keepalives.add(1);
      return false;
    case UdpContent::damaged:
      refuse(item, DropReason::encapsulation, nullptr);
      return false;
    case UdpContent::esp:
      break;
  }
  if (available < kUdpHeader + kEspMin) {
    refuse(item, DropReason::malformed, nullptr);
    return false;
  }
  step.udp_bytes = kUdpHeader;
  headers.upper_offset += kUdpHeader;
  headers.upper_protocol = kEsp;
  item.spi = base::load32(header + kUdpHeader);
  step.hash = SadView::hash(item.spi, headers.destination, Protocol::esp);
  sad.prefetch_find(step.hash);
  return true;
}

// Sends for the SAs, as a rule the right ones, while the rest of the burst is looked up.
void Processor::aim(const SadView& sad) noexcept {
  Scratch& scratch = *scratch_;
  std::uint64_t before = 0;
  for (std::size_t at = 0; at < scratch.live.size(); ++at) {
    const std::uint64_t hash = scratch.steps[scratch.live[at]].hash;
    if (hash == before) continue;
    before = hash;
    if (const SecurityAssociation* sa = sad.find_candidate(hash))
      sa->prefetch(crypto::Direction::open);
  }
}

bool Processor::find_association(const SadView& sad, InboundItem& item,
                                 std::size_t index) noexcept {
  Step& step = scratch_->steps[index];
  const base::Address& destination = step.headers.destination;
  const std::uint8_t number = step.headers.upper_protocol;
  if (number != kEsp && number != kAh) [[unlikely]] {
    step.association = find_ipcomp(sad, step.headers, item.spi);
    if (step.association != nullptr) return expand(sad, item, index);
    if (number == kIpcomp && is_ours(destination)) refuse(item, DropReason::no_sa, nullptr);
    return false;
  }
  const auto protocol = static_cast<Protocol>(number);
  SecurityAssociation* before = scratch_->found;
  const bool same = before != nullptr && before->is(item.spi, destination, protocol);
  step.association = same ? before : sad.find(item.spi, destination, protocol, step.hash);
  scratch_->found = step.association;
  if (step.association != nullptr) {
    const std::uint8_t* header = item.packet->data + step.headers.upper_offset;
    step.association->window().prefetch(base::load32(header + (number == kEsp ? 4 : 8)));
    step.association->prefetch_session(crypto::Direction::open, item.packet->length);
    return true;
  }
  if (is_ours(destination)) refuse(item, DropReason::no_sa, nullptr);
  return false;
}

// IPComp needs no crypto: it is done on the spot, and what it gives is looked into at once. True
// when that wants an SA with crypto.
bool Processor::expand(const SadView& sad, InboundItem& item, std::size_t index) noexcept {
  Step& step = scratch_->steps[index];
  SecurityAssociation& sa = *step.association;
  step.packet = item.packet;
  step.parsed = false;
  DropReason reason = DropReason::none;
  if (item.packet->history_count == kNestingMax)
    reason = DropReason::nesting;
  else if (!sa.usable())
    reason = DropReason::no_sa;
  else
    reason = sa.lifetime_check();
  if (reason == DropReason::none)
    reason = step.headers.upper_protocol == kIpcomp
                 ? expand_inbound(step, settings_, scratch_->compressor)
                 : enter_uncompressed(step, settings_);
  if (reason != DropReason::none) {
    refuse(item, reason, &sa);
    return false;
  }
  sa.account(step.payload, now_s_);
  item.packet->push_history(&sa, step.mode);
  return locate(sad, item, index) && find_association(sad, item, index);
}

bool Processor::prepare(InboundItem& item, std::size_t index, crypto::Job& job) noexcept {
  Step& step = scratch_->steps[index];
  SecurityAssociation& sa = *step.association;
  step.packet = item.packet;
  step.bad_padding = false;
  DropReason reason = DropReason::none;
  if (item.packet->history_count == kNestingMax) {
    reason = DropReason::nesting;
  } else if (!sa.usable()) {
    reason = DropReason::no_sa;
  } else if (sa.offloaded()) {
    reason = DropReason::unsupported;  // its window is in the card: nobody else may judge
  } else {
    reason = sa.protocol() == Protocol::esp ? prepare_esp_inbound(step, job)
                                            : prepare_ah_inbound(step, job, settings_);
  }
  // The card judges in the same order: lengths, window, lifetime.
  if (reason == DropReason::none) reason = sa.lifetime_check();
  if (reason == DropReason::none) return true;
  refuse(item, reason, &sa);
  return false;
}

// True when the packet goes round again.
bool Processor::finish(InboundItem& item, std::size_t index, const crypto::Job& job) noexcept {
  Step& step = scratch_->steps[index];
  SecurityAssociation& sa = *step.association;
  step.parsed = false;
  if (job.result != crypto::Result::ok) {
    refuse(item, DropReason::icv, &sa);
    return false;
  }
  if (!sa.window().commit(step.sequence)) {
    refuse(item, DropReason::replay, &sa);
    return false;
  }
  // Packets of one burst passed the first check together; the last number of a hard lifetime is one
  // packet's only.
  DropReason reason = sa.lifetime_check();
  if (reason == DropReason::none)
    reason = sa.protocol() == Protocol::esp ? finish_esp_inbound(step, settings_)
                                            : finish_ah_inbound(step, settings_);
  if (reason == DropReason::none) reason = check_selector(sa, *item.packet);
  if (reason != DropReason::none) {
    refuse(item, reason, &sa);
    return false;
  }
  if (step.bad_padding) counters_.bad_padding.add(1);
  sa.account(step.payload, now_s_);
  item.packet->push_history(&sa, step.mode);
  return true;
}

// What passed the walk has been parsed as it now is. Those that are for us and those to be
// forwarded answer to different policies.
void Processor::check_policies(const SpdView& spd, std::span<InboundItem> items,
                               Direction direction) noexcept {
  Scratch& scratch = *scratch_;
  Live& live = scratch.live;
  live.fill(items.size());
  std::size_t count = 0;
  live.keep_if([&](std::size_t i) {
    InboundItem& item = items[i];
    const Headers& headers = scratch.steps[i].headers;
    if (item.outcome != Outcome::pass) return false;
    const bool for_us = item.to_group || is_ours(headers.destination);
    if (for_us != (direction == Direction::in)) return false;
    if (!parse_flow(item.packet->bytes(), headers, scratch.flows[count]))
      return refuse(item, DropReason::malformed, nullptr), false;
    ++count;
    return true;
  });
  if (count == 0) return;
  match(spd, direction, {scratch.flows.data(), count}, {scratch.policies.data(), count});
  for (std::size_t at = 0; at < count; ++at) {
    InboundItem& item = items[live[at]];
    const PolicyVerdict verdict =
        judge_inbound(spd, scratch.policies[at], *item.packet, scratch.flows[at], direction);
    item.policy = verdict.policy;
    if (verdict.reason == DropReason::none) continue;
    item.outcome = Outcome::drop;  // and counted
    item.reason = verdict.reason;
  }
}

void Processor::inbound_chunk(const SpdView* spd, const SadView& sad,
                              std::span<InboundItem> items) noexcept {
  Scratch& scratch = *scratch_;
  Live& live = scratch.live;
  for (std::size_t i = 0; i < items.size(); ++i) {
    items[i].outcome = Outcome::pass;
    items[i].reason = DropReason::none;
    items[i].association = nullptr;
    items[i].spi = 0;
    items[i].policy = nullptr;
    scratch.steps[i].parsed = false;
    scratch.steps[i].sad = &sad;
  }
  live.fill(items.size());
  for (const InboundItem& item : items) prefetch_packet(*item.packet);
  while (!live.empty()) {
    live.keep_if([&](std::size_t i) { return locate(sad, items[i], i); });
    aim(sad);
    scratch.found = nullptr;
    live.keep_if([&](std::size_t i) { return find_association(sad, items[i], i); });
    run_jobs(items);
  }
  std::uint64_t passed = 0;
  for (const InboundItem& item : items) passed += item.outcome == Outcome::pass ? 1 : 0;
  counters_.inbound_passed.add(passed);
  if (spd == nullptr) return;
  check_policies(*spd, items, Direction::in);
  if (local_ != nullptr) check_policies(*spd, items, Direction::fwd);
}

void Processor::inbound(const SadView& sad, std::span<InboundItem> items) noexcept {
  for (; !items.empty(); items = items.subspan(std::min(items.size(), kBurst)))
    inbound_chunk(nullptr, sad, items.first(std::min(items.size(), kBurst)));
}

void Processor::inbound(const SpdView& spd, const SadView& sad,
                        std::span<InboundItem> items) noexcept {
  for (; !items.empty(); items = items.subspan(std::min(items.size(), kBurst)))
    inbound_chunk(&spd, sad, items.first(std::min(items.size(), kBurst)));
}

}  // namespace saline::ipsec
