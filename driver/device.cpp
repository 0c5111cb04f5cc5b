// The control path of the device layer, and the data path's way to its rings.
#include "driver/device.hpp"

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <mutex>
#include <set>

#include "driver/lookup_buckets.hpp"
#include "driver/ring_set.hpp"
#include "driver/sa_slots.hpp"
#include "driver/table_window.hpp"
#include "host/base/error.hpp"
#include "host/base/secret.hpp"

namespace saline::driver {
namespace {

constexpr std::uint32_t kIdentity = 0x53414C4E;
constexpr std::uint32_t kControlRun = 1, kControlDiscard = 2, kStatusIdle = 1;
// In the scratch register while a driver's entries may be in the tables: whoever finds it there
// empties them first.
constexpr std::uint32_t kTablesUsed = 0x44525652;

std::string hexadecimal(std::uint32_t value) {
  char text[11];
  std::snprintf(text, sizeof(text), "0x%08x", value);
  return text;
}

Capabilities check_card(Transport& transport) {
  const std::uint32_t id = transport.read32(hw::reg::id);
  if (id != kIdentity) {
    throw base::Error(ENODEV, "no Saline card at " + transport.description() +
                                  ": its id register reads " + hexadecimal(id) + ", not " +
                                  hexadecimal(kIdentity) + "; load the Saline bitstream");
  }
  const std::uint32_t fingerprint = transport.read32(hw::reg::fingerprint);
  if (fingerprint != hw::kFingerprint) {
    throw base::Error(
        EPROTO, "stale bitstream: the card has interface fingerprint " + hexadecimal(fingerprint) +
                    ", this driver " + hexadecimal(hw::kFingerprint) +
                    "; rebuild card and driver from the same hw/interface/saline.toml");
  }
  return {transport.read32(hw::reg::caps_sa_slots), transport.read32(hw::reg::caps_lookup),
          transport.read32(hw::reg::caps_policies), transport.read32(hw::reg::caps_suites),
          transport.read32(hw::reg::caps_window)};
}

hw::Table sa_table(Direction direction) {
  return direction == Direction::egress ? hw::Table::egress_sa : hw::Table::ingress_sa;
}

hw::CountBank sa_bank(Direction direction) {
  return direction == Direction::egress ? hw::CountBank::egress_sa : hw::CountBank::ingress_sa;
}

}  // namespace

struct Device::State {
  explicit State(std::unique_ptr<Transport> way)
      : transport(std::move(way)),
        capabilities(check_card(*transport)),
        window(*transport),
        egress(Direction::egress, capabilities.sa_slots),
        ingress(Direction::ingress, capabilities.sa_slots),
        buckets(capabilities.lookup_buckets) {}

  SaSlots& slots(Direction direction) { return direction == Direction::egress ? egress : ingress; }
  void empty_tables();
  void quiesce();
  void check_context(const hw::SaContext& context) const;
  void check_holds(const SaSlot& slot);
  void write_context(const SaSlot& slot, const hw::SaContext& context, hw::TableOp op);
  void rewrite_sa(const SaSlot& slot, const hw::SaContext& context, hw::TableOp op);

  std::mutex mutex;  // register windows, slots, buckets, policies
  std::unique_ptr<Transport> transport;
  Capabilities capabilities;
  TableWindow window;
  SaSlots egress, ingress;
  LookupBuckets buckets;
  std::set<std::uint32_t> policies;
  std::uint32_t control = 0;
  std::atomic<bool> started{false};
  bool at_rest = false;  // the card reaches for no memory of ours
  std::atomic<bool> failed{false};
  std::unique_ptr<RingSet> rings;
};

// ---- life

Device::Device(std::unique_ptr<Transport> transport)
    : state_(std::make_unique<State>(std::move(transport))) {
  state_->quiesce();
  if (state_->transport->read32(hw::reg::scratch) == kTablesUsed) state_->empty_tables();
  state_->transport->write32(hw::reg::scratch, kTablesUsed);
}

Device::~Device() {
  try {
    stop();
  } catch (...) {  // keys are wiped in any case
  }
  try {
    for (auto* slots : {&state_->egress, &state_->ingress}) {
      for (const SaSlot& slot : slots->taken()) remove_sa(slot);
    }
    for (const std::uint32_t index : std::set(state_->policies)) clear_policy(index);
    state_->transport->write32(hw::reg::control, 0);
    state_->transport->write32(hw::reg::scratch, 0);
  } catch (...) {  // the card is gone or stuck; its next driver empties the tables
  }
}

const Capabilities& Device::capabilities() const noexcept { return state_->capabilities; }
std::string Device::description() const { return state_->transport->description(); }
bool Device::started() const noexcept { return state_->started; }
bool Device::failed() const noexcept { return state_->failed; }

void Device::State::empty_tables() {
  for (std::uint32_t i = 0; i < capabilities.lookup_buckets * hw::kLookupWays; ++i) {
    window.remove(hw::Table::lookup, i);
  }
  for (std::uint32_t i = 0; i < capabilities.policies; ++i) window.remove(hw::Table::policy, i);
  for (std::uint32_t i = 0; i < capabilities.sa_slots; ++i) {
    window.remove(hw::Table::egress_sa, i);
    window.remove(hw::Table::ingress_sa, i);
  }
}

void Device::State::quiesce() {
  if (at_rest) return;
  control &= ~kControlRun;
  transport->write32(hw::reg::control, control);
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while ((transport->read32(hw::reg::status) & kStatusIdle) == 0) {
    if (std::chrono::steady_clock::now() > limit) {
      throw base::Error(ETIMEDOUT, "the card does not come to rest within 5 seconds: reset it");
    }
    transport->progress();
  }
  at_rest = true;
}

void Device::start(const RingSizes& sizes) {
  const std::lock_guard lock(state_->mutex);
  if (state_->started) throw base::Error(EBUSY, "the card is started: stop it first");
  state_->quiesce();
  state_->rings.reset();  // the former ones, before new memory is asked for
  state_->rings = std::make_unique<RingSet>(*state_->transport, sizes, state_->failed);
  state_->rings->program();
  state_->at_rest = false;
  state_->control |= kControlRun;
  state_->transport->write32(hw::reg::control, state_->control);
  state_->failed = false;
  state_->started = true;
}

void Device::stop() {
  const std::lock_guard lock(state_->mutex);
  state_->started = false;
  state_->quiesce();
}

// ---- SAs

void Device::State::check_context(const hw::SaContext& context) const {
  if (context.suite == 0 || !capabilities.has(static_cast<hw::Suite>(context.suite))) {
    throw base::Error(EINVAL, "the card was not built with suite " + std::to_string(context.suite) +
                                  "; leave the SA to software");
  }
  if (context.replay_words * 32u > capabilities.window) {
    throw base::Error(EINVAL, "the card's largest anti-replay window is " +
                                  std::to_string(capabilities.window) + " packets");
  }
}

void Device::State::check_holds(const SaSlot& slot) {
  if (!slots(slot.direction).holds(slot)) {
    throw base::Error(ESRCH, "the card no longer holds this SA");
  }
}

void Device::State::write_context(const SaSlot& slot, const hw::SaContext& context,
                                  hw::TableOp op) {
  hw::SaContext marked = context;
  marked.valid = true;
  marked.sa_tag = slot.tag;
  auto record = marked.encode();
  const auto wipe = [&] {
    base::wipe(record);
    base::wipe({reinterpret_cast<std::uint8_t*>(&marked), sizeof(marked)});
  };
  try {
    window.commit(sa_table(slot.direction), slot.index, op, record);
  } catch (...) {
    wipe();
    throw;
  }
  wipe();
}

SaSlot Device::add_egress_sa(const hw::SaContext& context) {
  const std::lock_guard lock(state_->mutex);
  state_->check_context(context);
  const SaSlot slot = state_->egress.next();
  state_->write_context(slot, context, hw::TableOp::install);
  state_->egress.take(slot);
  return slot;
}

SaSlot Device::add_ingress_sa(const hw::SaContext& context, const base::Address& destination,
                              std::uint8_t protocol) {
  const std::lock_guard lock(state_->mutex);
  State& state = *state_;
  state.check_context(context);
  const SaSlot slot = state.ingress.next();
  hw::LookupEntry entry;
  entry.valid = true;
  entry.ipv6 = destination.family == base::Family::ipv6;
  entry.any_destination = destination.family == base::Family::none;
  entry.protocol = protocol;
  entry.sa_index = slot.index;
  entry.spi = context.spi;
  entry.destination = destination.bytes;
  const std::uint32_t place = state.buckets.place(entry);
  // From here only a card that does not answer can refuse. The way in comes last: a packet that
  // finds the entry finds a whole context.
  state.write_context(slot, context, hw::TableOp::install);
  try {
    state.window.commit(hw::Table::lookup, place, hw::TableOp::install, entry.encode());
  } catch (...) {
    state.window.remove(hw::Table::ingress_sa, slot.index);
    throw;
  }
  state.buckets.put(place, entry);
  state.ingress.take(slot);
  return slot;
}

void Device::State::rewrite_sa(const SaSlot& slot, const hw::SaContext& context, hw::TableOp op) {
  const std::lock_guard lock(mutex);
  check_holds(slot);
  check_context(context);
  if (slot.direction == Direction::ingress) {
    const auto place = buckets.of_slot(slot.index);
    if (place && buckets.at(*place).spi != context.spi) {
      throw base::Error(EINVAL, "the SPI of an SA in the card cannot change: add a new SA");
    }
  }
  write_context(slot, context, op);
}

void Device::update_sa(const SaSlot& slot, const hw::SaContext& context) {
  state_->rewrite_sa(slot, context, hw::TableOp::update);
}

void Device::restart_sa(const SaSlot& slot, const hw::SaContext& context) {
  state_->rewrite_sa(slot, context, hw::TableOp::install);
}

void Device::remove_sa(const SaSlot& slot) {
  const std::lock_guard lock(state_->mutex);
  State& state = *state_;
  state.check_holds(slot);
  if (slot.direction == Direction::ingress) {
    if (const auto place = state.buckets.of_slot(slot.index)) {
      state.window.remove(hw::Table::lookup, *place);
      state.buckets.erase(*place);
    }
  }
  state.window.remove(sa_table(slot.direction), slot.index);
  state.slots(slot.direction).release(slot);
}

bool Device::holds(const SaSlot& slot) const noexcept {
  const std::lock_guard lock(state_->mutex);
  return state_->slots(slot.direction).holds(slot);
}

hw::SaCounters Device::sa_counters(const SaSlot& slot) {
  const std::lock_guard lock(state_->mutex);
  state_->check_holds(slot);
  std::array<std::uint8_t, hw::SaCounters::kBytes> record;
  state_->window.snapshot(sa_bank(slot.direction), slot.index, record);
  return hw::decode_sa_counters(record);
}

std::size_t Device::free_sa_slots(Direction direction) const noexcept {
  const std::lock_guard lock(state_->mutex);
  return state_->slots(direction).free_count();
}

// ---- policies and counters

void Device::set_policy(std::uint32_t index, const hw::PolicyEntry& entry) {
  const std::lock_guard lock(state_->mutex);
  if (index >= state_->capabilities.policies) {
    throw base::Error(EINVAL, "the card has " + std::to_string(state_->capabilities.policies) +
                                  " policy entries, not an entry " + std::to_string(index));
  }
  hw::PolicyEntry marked = entry;
  marked.valid = true;
  state_->policies.insert(index);
  state_->window.commit(hw::Table::policy, index, hw::TableOp::install, marked.encode());
}

void Device::clear_policy(std::uint32_t index) {
  const std::lock_guard lock(state_->mutex);
  if (index >= state_->capabilities.policies) {
    throw base::Error(EINVAL, "the card has no policy entry " + std::to_string(index));
  }
  state_->window.remove(hw::Table::policy, index);
  state_->policies.erase(index);
}

void Device::set_policy_default_discard(bool discard) {
  const std::lock_guard lock(state_->mutex);
  state_->control = (state_->control & ~kControlDiscard) | (discard ? kControlDiscard : 0);
  state_->transport->write32(hw::reg::control, state_->control);
}

std::uint64_t Device::port_count(hw::PortCount count) {
  const std::lock_guard lock(state_->mutex);
  return state_->window.count(hw::CountBank::port, static_cast<std::uint32_t>(count));
}

std::uint64_t Device::reason_count(Direction direction, hw::DropReason reason) {
  const std::lock_guard lock(state_->mutex);
  return state_->window.count(direction == Direction::egress ? hw::CountBank::egress_reasons
                                                             : hw::CountBank::ingress_reasons,
                              static_cast<std::uint32_t>(reason));
}

std::uint64_t Device::cycles() {
  const std::lock_guard lock(state_->mutex);
  const std::uint32_t low = state_->transport->read32(hw::reg::cycles_low);
  return std::uint64_t{state_->transport->read32(hw::reg::cycles_high)} << 32 | low;
}

std::uint64_t Device::copied_bytes() const noexcept {
  const std::lock_guard lock(state_->mutex);
  RingSet* rings = state_->rings.get();
  return rings ? rings->transmit().copied_bytes() + rings->receive().copied_bytes() : 0;
}

// ---- data path

std::size_t Device::frame_bytes_max() const noexcept {
  return state_->rings ? state_->rings->transmit().frame_bytes_max() : 0;
}

std::size_t Device::transmit(std::span<const TxFrame> frames) noexcept {
  return state_->started ? state_->rings->transmit().transmit(frames) : 0;
}

std::size_t Device::reap_transmitted(std::span<std::uint64_t> cookies) noexcept {
  return state_->started ? state_->rings->transmit().reap(cookies) : 0;
}

std::size_t Device::transmit_room() const noexcept {
  return state_->started ? state_->rings->transmit().room() : 0;
}

std::size_t Device::post_receive(std::span<const RxBuffer> buffers) noexcept {
  return state_->started ? state_->rings->receive().post(buffers) : 0;
}

std::size_t Device::receive(std::span<RxFrame> frames) noexcept {
  return state_->started ? state_->rings->receive().receive(frames) : 0;
}

std::size_t Device::receive_room() const noexcept {
  return state_->started ? state_->rings->receive().room() : 0;
}

std::size_t Device::poll_events(std::span<hw::Event> events) noexcept {
  return state_->started ? state_->rings->events().poll(events) : 0;
}

std::size_t Device::reclaim_transmit(std::span<std::uint64_t> cookies) noexcept {
  return state_->at_rest && state_->rings ? state_->rings->transmit().reclaim(cookies) : 0;
}

std::size_t Device::reclaim_receive(std::span<std::uint64_t> cookies) noexcept {
  return state_->at_rest && state_->rings ? state_->rings->receive().reclaim(cookies) : 0;
}

}  // namespace saline::driver
