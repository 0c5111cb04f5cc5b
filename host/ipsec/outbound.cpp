// Outbound processing (RFC 4301 §5.1): resolve the policy's requests to SAs, check the size, then
// apply SA after SA, a burst of packets at a time.
#include "host/ipsec/fragment.hpp"
#include "host/ipsec/scratch.hpp"
#include "host/ipsec/tunnel.hpp"

namespace saline::ipsec {

namespace {

using base::Address;
using hw::DropReason;

// The addresses an SA for this request must have. `source` and `destination` are the packet's at
// that point: its own, or those of the tunnel header that an earlier request puts on.
SaQuery query_for(const Request& request, const Address& source, const Address& destination,
                  bool prefer_oldest) noexcept {
  SaQuery query;
  query.protocol = request.protocol;
  query.mode = request.mode == Mode::any ? Mode::transport : request.mode;
  query.source = request.source.is_unspecified() ? source : request.source;
  query.destination = request.destination.is_unspecified() ? destination : request.destination;
  query.reqid = request.reqid;
  query.prefer_oldest = prefer_oldest;
  return query;
}

// The size of a packet of `bytes` bytes, `header` of them IP headers, behind the whole bundle.
std::uint32_t protected_size(const Bundle& bundle, std::uint32_t bytes, std::uint32_t header,
                             base::Family family) noexcept {
  for (std::uint32_t i = 0; i < bundle.count; ++i) {
    const Bundle::Entry& entry = bundle.entries[i];
    if (entry.mode == Mode::tunnel) {
      family = entry.association->destination().family;
      header = outer_header_bytes(family);
      bytes += header;
    }
    bytes += entry.association->overhead(bytes - header, family);
  }
  return bytes;
}

// The largest packet that fits the MTU behind the bundle; padding makes the size a staircase.
std::uint32_t largest_fit(const Bundle& bundle, std::uint32_t mtu,
                          const Headers& headers) noexcept {
  const auto size = [&](std::uint32_t bytes) {
    return protected_size(bundle, bytes, headers.insert_offset, headers.family);
  };
  std::uint32_t bytes = mtu;
  while (bytes > headers.insert_offset && size(bytes) > mtu) {
    const std::uint32_t excess = size(bytes) - mtu;
    if (excess + headers.insert_offset >= bytes) return headers.insert_offset;
    bytes -= excess;
  }
  while (size(bytes + 1) <= mtu) ++bytes;
  return bytes;
}

// True when the request may go without an SA: level use, and compression, which is never a duty.
bool is_optional(const Request& request, const FamilySettings& settings) noexcept {
  return effective_level(request, settings) == Level::use;
}

}  // namespace

void Processor::refuse(OutboundItem& item, DropReason reason, SecurityAssociation* sa) noexcept {
  item.outcome = Outcome::drop;
  item.reason = reason;
  counters_.outbound_refused[static_cast<std::size_t>(reason)].add(1);
  if (sa != nullptr) sa->refuse(reason);
  if (item.policy != nullptr) item.policy->refused.add(1);
}

// Parses all and asks the SPD for all.
void Processor::find_policies(const SpdView& spd, std::span<OutboundItem> items) noexcept {
  Scratch& scratch = *scratch_;
  std::size_t count = 0;
  scratch.live.keep_if([&](std::size_t i) {
    Step& step = scratch.steps[i];
    items[i].policy = nullptr;
    const auto bytes = items[i].packet->bytes();
    step.parsed =
        parse_headers(bytes, step.headers) && parse_flow(bytes, step.headers, scratch.flows[count]);
    if (!step.parsed) return refuse(items[i], DropReason::malformed, nullptr), false;
    ++count;
    return true;
  });
  match(spd, Direction::out, {scratch.flows.data(), count}, {scratch.policies.data(), count});
  std::size_t at = 0;
  scratch.live.keep_if([&](std::size_t i) {
    const PolicyVerdict verdict =
        judge_outbound(scratch.policies[at], *items[i].packet, scratch.flows[at]);
    ++at;
    items[i].policy = verdict.policy;
    if (verdict.reason == DropReason::none) return true;
    items[i].outcome = Outcome::drop;  // and counted
    items[i].reason = verdict.reason;
    return false;
  });
}

// True when the policy asks for protection. Nothing of the packet changes but padding behind it,
// which goes.
bool Processor::open_outbound(OutboundItem& item, std::size_t index) noexcept {
  Step& step = scratch_->steps[index];
  Packet& packet = *item.packet;
  if (item.policy == nullptr || item.policy->action == Action::none) return false;
  if (item.policy->action == Action::discard)
    return refuse(item, DropReason::policy, nullptr), false;
  if (!step.parsed && !parse_headers(packet.bytes(), step.headers))
    return refuse(item, DropReason::malformed, nullptr), false;
  step.parsed = true;
  packet.shrink_back(packet.length - step.headers.total);
  return true;
}

// RFC 4301 §8: the MTU of the path is the link's, or what routers have told the outermost SA. True
// when the packet may be protected, and fragmented afterwards if fragment_to says so.
bool Processor::fits_path(OutboundItem& item, std::size_t index) noexcept {
  const Headers& headers = scratch_->steps[index].headers;
  const Bundle& bundle = scratch_->bundles[index];
  const SecurityAssociation& outermost = *bundle.entries[bundle.count - 1].association;
  const std::uint32_t mtu = least_mtu(item.mtu, outermost.path_mtu().get(now_s_));
  const std::uint32_t bytes = item.packet->length;
  if (mtu == 0 || protected_size(bundle, bytes, headers.insert_offset, headers.family) <= mtu)
    return true;
  item.fitting_mtu = largest_fit(bundle, mtu, headers);
  Oversize packet{.data = item.packet->data, .headers = &headers};
  packet.fitting_mtu = item.fitting_mtu;
  packet.came_in_fragments = item.may_split;
  packet.tunnel_innermost = bundle.entries[0].mode == Mode::tunnel;
  packet.by_card = item.card != nullptr;
  for (std::uint32_t i = 0; i < bundle.count; ++i) {
    if (bundle.entries[i].mode != Mode::tunnel) continue;
    packet.outer_family = bundle.entries[i].association->destination().family;
    packet.outer_flags = bundle.entries[i].association->flags();
  }
  switch (choose_split(packet, settings_)) {
    case Split::before:
      item.outcome = Outcome::split;
      return false;
    case Split::after:
      item.fragment_to = mtu;
      return true;
    case Split::never:
      break;
  }
  refuse(item, DropReason::too_big, bundle.entries[0].association);
  return false;
}

// Sends for what the lookup of the first request will read: table, group, SA, a step for the whole
// burst each, so that the answers travel while other packets are looked at.
void Processor::aim(const SadView& sad, std::span<OutboundItem> items) noexcept {
  Scratch& scratch = *scratch_;
  const Live& live = scratch.live;
  const Policy* before = nullptr;
  for (std::size_t at = 0; at < live.size(); ++at) {
    const std::size_t i = live[at];
    Step& step = scratch.steps[i];
    const Policy* policy = items[i].policy;
    step.hash = 0;
    if (policy == before || policy->requests.empty()) continue;
    const Request& request = policy->requests.front();
    // Where the addresses are the packet's own, the next one may have another SA.
    before =
        request.source.is_unspecified() || request.destination.is_unspecified() ? nullptr : policy;
    step.hash = SadView::hash(
        request.protocol, request.source.is_unspecified() ? step.headers.source : request.source,
        request.destination.is_unspecified() ? step.headers.final_destination : request.destination,
        request.reqid);
    sad.prefetch_choose(step.hash);
  }
  for (std::size_t at = 0; at < live.size(); ++at) {
    Step& step = scratch.steps[live[at]];
    const PeerGroup* group = step.hash == 0 ? nullptr : sad.choose_candidate(step.hash);
    scratch.groups[live[at]] = group;
    if (group == nullptr) continue;
    __builtin_prefetch(group);
    __builtin_prefetch(&group->oldest);
  }
  for (std::size_t at = 0; at < live.size(); ++at) {
    const PeerGroup* group = scratch.groups[live[at]];
    if (group == nullptr) continue;
    const SecurityAssociation* sa = group->oldest.load(std::memory_order_acquire);
    if (sa != nullptr) sa->prefetch(crypto::Direction::seal);
  }
}

// The SAs for all of the policy's requests, and the size behind them.
bool Processor::resolve(const SadView& sad, OutboundItem& item, std::size_t index) noexcept {
  Step& step = scratch_->steps[index];
  Bundle& bundle = scratch_->bundles[index];
  if (item.policy == scratch_->same_policy) {  // one tunnel: whatever the packet, the same SA
    bundle.count = 1;
    bundle.next = 0;
    bundle.compresses = scratch_->bundles[scratch_->same_index].compresses;
    bundle.entries[0] = scratch_->bundles[scratch_->same_index].entries[0];
    return fits_path(item, index);
  }
  bundle.count = bundle.next = 0;
  bundle.compresses = false;
  Address source = step.headers.source;
  Address destination = step.headers.final_destination;
  for (std::size_t i = 0; i < item.policy->requests.size(); ++i) {
    const Request& request = item.policy->requests[i];
    const FamilySettings& variables = settings_.of(source.family);
    const SaQuery query = query_for(request, source, destination, settings_.prefer_oldest_sa);
    SecurityAssociation* sa = sad.choose(query);
    if (sa == nullptr) {
      // Compression is agreed upon together with what it goes into; nobody has to ask for it.
      if (request.protocol == Protocol::ipcomp && query.mode != Mode::tunnel) continue;
      if (item.acquire < 0) item.acquire = static_cast<std::int32_t>(i);
      if (is_optional(request, variables)) continue;
      item.acquire = static_cast<std::int32_t>(i);
      return refuse(item, DropReason::no_sa, nullptr), false;
    }
    if (item.card != nullptr) return refuse(item, DropReason::unsupported, item.card), false;
    if (query.mode == Mode::tunnel) {
      source = query.source;
      destination = query.destination;
    } else if (step.headers.fragment &&
               (bundle.count == 0 || bundle.entries[0].mode != Mode::tunnel)) {
      return refuse(item, DropReason::fragment, sa), false;
    }
    bundle.entries[bundle.count++] = {sa, query.mode};
    bundle.compresses |= request.protocol == Protocol::ipcomp;
    if (sa->offloaded()) item.card = sa;
    sa->prefetch_session(crypto::Direction::seal, item.packet->length);
  }
  if (bundle.count == 1 && item.card == nullptr && item.policy->requests.size() == 1 &&
      bundle.entries[0].mode == Mode::tunnel) {
    scratch_->same_policy = item.policy;
    scratch_->same_index = index;
  }
  if (bundle.count != 0 && !fits_path(item, index)) return false;
  if (item.card != nullptr) --bundle.count;
  return bundle.count != 0;
}

// IPComp needs no crypto: the SAs of it that come next are done on the spot. True when another SA
// follows.
bool Processor::compress(OutboundItem& item, std::size_t index) noexcept {
  Step& step = scratch_->steps[index];
  Bundle& bundle = scratch_->bundles[index];
  for (; bundle.next < bundle.count; ++bundle.next) {
    const Bundle::Entry& entry = bundle.entries[bundle.next];
    if (entry.association->protocol() != Protocol::ipcomp) return true;
    step.packet = item.packet;
    step.association = entry.association;
    step.mode = entry.mode;
    if (!step.parsed && !parse_headers(item.packet->bytes(), step.headers))
      return refuse(item, DropReason::malformed, entry.association), false;
    step.parsed = false;
    const SaConfig& config = entry.association->config();
    OutboundContext context{settings_, scratch_->random, scratch_->next_identification,
                            config.source, config.id.destination};
    bool compressed = false;
    DropReason reason = entry.association->lifetime_check();
    if (reason == DropReason::none)
      reason = compress_outbound(step, context, scratch_->compressor, compressed);
    if (reason != DropReason::none) return refuse(item, reason, entry.association), false;
    entry.association->account(step.payload, now_s_);
    if (!compressed) counters_.uncompressed.add(1);
  }
  return false;
}

bool Processor::prepare(OutboundItem& item, std::size_t index, crypto::Job& job) noexcept {
  Step& step = scratch_->steps[index];
  if (scratch_->bundles[index].compresses && !compress(item, index)) return false;
  const Bundle::Entry& entry = scratch_->bundles[index].entries[scratch_->bundles[index].next];
  step.packet = item.packet;
  step.association = entry.association;
  step.mode = entry.mode;
  if (!step.parsed && !parse_headers(item.packet->bytes(), step.headers))
    return refuse(item, DropReason::malformed, entry.association), false;
  step.parsed = false;
  OutboundContext context{settings_, scratch_->random, scratch_->next_identification,
                          entry.association->source(), entry.association->destination()};
  DropReason reason = step.association->lifetime_check();
  if (reason == DropReason::none)
    reason = step.association->protocol() == Protocol::esp
                 ? prepare_esp_outbound(step, job, context)
                 : prepare_ah_outbound(step, job, context);
  if (reason == DropReason::none) return true;
  refuse(item, reason, step.association);
  return false;
}

// True when the policy asks for more.
bool Processor::finish(OutboundItem& item, std::size_t index, const crypto::Job& job) noexcept {
  Step& step = scratch_->steps[index];
  Bundle& bundle = scratch_->bundles[index];
  if (job.result != crypto::Result::ok) {
    refuse(item, DropReason::unsupported, step.association);
    return false;
  }
  if (!step.association->plain() && step.association->protocol() == Protocol::esp) [[unlikely]]
    finish_esp_outbound(step);
  step.association->account(step.payload, now_s_);
  return ++bundle.next < bundle.count;
}

void Processor::outbound_chunk(const SpdView* spd, const SadView& sad,
                               std::span<OutboundItem> items) noexcept {
  Live& live = scratch_->live;
  live.fill(items.size());
  for (std::size_t i = 0; i < items.size(); ++i) {
    OutboundItem& item = items[i];
    prefetch_packet(*item.packet);
    item.outcome = Outcome::pass;
    item.reason = DropReason::none;
    item.card = nullptr;
    item.acquire = -1;
    item.fitting_mtu = 0;
    item.fragment_to = 0;
    scratch_->steps[i].parsed = false;
  }
  if (spd != nullptr) find_policies(*spd, items);
  live.keep_if([&](std::size_t i) { return open_outbound(items[i], i); });
  aim(sad, items);
  scratch_->same_policy = nullptr;
  live.keep_if([&](std::size_t i) { return resolve(sad, items[i], i); });
  while (!live.empty()) run_jobs(items);
  for (OutboundItem& item : items) {
    if (item.outcome == Outcome::drop || item.outcome == Outcome::split) continue;
    if (item.card != nullptr) {
      item.outcome = Outcome::to_card;
      counters_.to_card.add(1);
    } else {
      counters_.outbound_passed.add(1);
      if (item.acquire >= 0) counters_.outbound_clear_by_use.add(1);
    }
  }
}

void Processor::outbound(const SadView& sad, std::span<OutboundItem> items) noexcept {
  for (; !items.empty(); items = items.subspan(std::min(items.size(), kBurst)))
    outbound_chunk(nullptr, sad, items.first(std::min(items.size(), kBurst)));
}

void Processor::outbound(const SpdView& spd, const SadView& sad,
                         std::span<OutboundItem> items) noexcept {
  for (; !items.empty(); items = items.subspan(std::min(items.size(), kBurst)))
    outbound_chunk(&spd, sad, items.first(std::min(items.size(), kBurst)));
}

}  // namespace saline::ipsec
