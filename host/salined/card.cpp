// The card by rte_security: sessions made and destroyed, counters, events; see card.hpp.
#include "host/salined/card.hpp"

#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_flow.h>
#include <rte_mempool.h>
#include <rte_security.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "host/base/error.hpp"
#include "host/base/log.hpp"
#include "host/salined/card_session.hpp"

namespace saline::daemon {
namespace {

using ipsec::SecurityAssociation;

constexpr unsigned kSessionsMax = 8191;
// What rte_security puts in front of a driver's part; generous, as applications may not know.
constexpr unsigned kSessionHeadBytes = 64;
// Far longer than a burst takes, simulated cards included.
constexpr std::chrono::seconds kDataThreadPatience{2};

std::uint32_t event_of(rte_eth_event_ipsec_subtype subtype) {
  switch (subtype) {
    case RTE_ETH_EVENT_IPSEC_SA_PKT_EXPIRY:
    case RTE_ETH_EVENT_IPSEC_SA_BYTE_EXPIRY:
      return ipsec::kEventSoft;
    case RTE_ETH_EVENT_IPSEC_SA_PKT_HARD_EXPIRY:
    case RTE_ETH_EVENT_IPSEC_SA_BYTE_HARD_EXPIRY:
      return ipsec::kEventHard;
    case RTE_ETH_EVENT_IPSEC_ESN_OVERFLOW:
      return ipsec::kEventSeqOverflow;
    default:
      return 0;
  }
}

int on_event(std::uint16_t, rte_eth_event_type, void* argument, void* detail) {
  const auto& description = *static_cast<const rte_eth_event_ipsec_desc*>(detail);
  const std::uint32_t event = event_of(description.subtype);
  if (event != 0) {
    static_cast<Card*>(argument)->raise(
        {reinterpret_cast<const SecurityAssociation*>(description.metadata), event});
  }
  return 0;
}

bool has_inline_protocol(const rte_security_capability* row) {
  for (; row != nullptr && row->action != RTE_SECURITY_ACTION_TYPE_NONE; ++row) {
    if (row->action == RTE_SECURITY_ACTION_TYPE_INLINE_PROTOCOL &&
        row->protocol == RTE_SECURITY_PROTOCOL_IPSEC) {
      return true;
    }
  }
  return false;
}

}  // namespace

std::unique_ptr<Card> Card::open(std::uint16_t port, const ipsec::Settings& settings) {
  void* context = rte_eth_dev_get_sec_ctx(port);
  if (context == nullptr) return nullptr;
  const auto* security = static_cast<rte_security_ctx*>(context);
  if (!has_inline_protocol(
          rte_security_capabilities_get(const_cast<rte_security_ctx*>(security)))) {
    return nullptr;
  }
  return std::unique_ptr<Card>(new Card(port, context, settings));
}

Card::Card(std::uint16_t port, void* context, const ipsec::Settings& settings)
    : port_(port),
      context_(context),
      settings_(settings),
      sessions_(std::make_unique<SessionView>()) {
  auto* security = static_cast<rte_security_ctx*>(context_);
  session_pool_ = rte_mempool_create("sessions", kSessionsMax,
                                     kSessionHeadBytes + rte_security_session_get_size(security), 0,
                                     0, nullptr, nullptr, nullptr, nullptr, SOCKET_ID_ANY, 0);
  if (session_pool_ == nullptr) {
    throw base::Error(ENOMEM, "no memory for the card's sessions: give more with --memory");
  }
  rte_eth_dev_callback_register(port_, RTE_ETH_EVENT_IPSEC, on_event, this);
  if (!steer_ingress()) {
    base::log(base::Priority::warning, "offload", "port takes no ESP rule",
              {{"effect", "inbound packets may not reach its security engine"}});
  }
}

Card::~Card() {
  while (!held_.empty()) {
    remove(*const_cast<SecurityAssociation*>(held_.begin()->first));
  }
  rte_eth_dev_callback_unregister(port_, RTE_ETH_EVENT_IPSEC, on_event, this);
  if (ingress_flow_ != nullptr) rte_flow_destroy(port_, ingress_flow_, nullptr);
  rte_mempool_free(session_pool_);
}

// All ESP to the security engine, which finds the session by its SPI.
bool Card::steer_ingress() {
  rte_flow_attr attributes{};
  attributes.ingress = 1;
  rte_flow_item pattern[2]{};
  pattern[0].type = RTE_FLOW_ITEM_TYPE_ESP;
  pattern[1].type = RTE_FLOW_ITEM_TYPE_END;
  rte_flow_action actions[2]{};
  actions[0].type = RTE_FLOW_ACTION_TYPE_SECURITY;
  actions[1].type = RTE_FLOW_ACTION_TYPE_END;
  rte_flow_error error{};
  ingress_flow_ = rte_flow_create(port_, &attributes, pattern, actions, &error);
  return ingress_flow_ != nullptr;
}

Placement Card::place(SecurityAssociation& association, const SaRole& role) {
  auto* security = static_cast<rte_security_ctx*>(context_);
  SessionRequest request;
  std::string reason = describe_session(association, role, settings_,
                                        rte_security_capabilities_get(security), request);
  if (!reason.empty()) return {false, std::move(reason)};
  request.conf.userdata = &association;
  void* session = rte_security_session_create(security, &request.conf, session_pool_);
  if (session == nullptr) {
    const int failure = rte_errno;
    return {false, failure == ENOSPC || failure == ENOMEM
                       ? std::string("card is full")
                       : std::string("card refused: ") + std::strerror(failure)};
  }
  held_[&association] = {session, role.direction == SaDirection::inbound};
  publish_sessions();
  association.set_offloaded(true);
  return {true, "in card"};
}

void Card::publish_sessions() {
  auto next = std::make_unique<SessionView>();
  for (const auto& [association, held] : held_) {
    if (!held.inbound) next->emplace(association, held.session);
  }
  sessions_.publish(std::move(next));
}

// Until no burst is under way that began with an older view.
void Card::wait_for_data_thread() noexcept {
  const auto deadline = std::chrono::steady_clock::now() + kDataThreadPatience;
  while (!sessions_.reclaim() && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
}

void Card::remove(SecurityAssociation& association) noexcept {
  const auto place = held_.find(&association);
  if (place == held_.end()) return;
  const Held held = place->second;
  held_.erase(place);
  if (!held.inbound) {
    publish_sessions();
    wait_for_data_thread();
  }
  if (rte_security_session_destroy(static_cast<rte_security_ctx*>(context_), held.session) != 0) {
    base::log(base::Priority::error, "offload", "card kept an SA",
              {{"spi", std::to_string(association.id().spi)},
               {"why", "it refused to destroy the session"}});
  }
  // Only now may software take over: as long as the mark stood, packets without a session were
  // lost.
  association.set_offloaded(false);
  // The address may be another SA's soon.
  const std::lock_guard lock(events_mutex_);
  std::erase_if(events_, [&](const CardEvent& event) { return event.association == &association; });
}

bool Card::counters(const SecurityAssociation& association, CardCounters& out) noexcept {
  const auto place = held_.find(&association);
  if (place == held_.end()) return false;
  rte_security_stats stats{};
  if (rte_security_session_stats_get(static_cast<rte_security_ctx*>(context_),
                                     place->second.session, &stats) != 0) {
    return false;
  }
  if (place->second.inbound) {
    out = {stats.ipsec.ipackets, stats.ipsec.ibytes};
  } else {
    out = {stats.ipsec.opackets, stats.ipsec.obytes};
  }
  return true;
}

void Card::raise(const CardEvent& event) noexcept {
  const std::lock_guard lock(events_mutex_);
  try {
    events_.push_back(event);
  } catch (const std::bad_alloc&) {
    // The lifetime check, once a second, sees the same.
  }
}

std::vector<CardEvent> Card::take_events() {
  const std::lock_guard lock(events_mutex_);
  return std::exchange(events_, {});
}

}  // namespace saline::daemon
