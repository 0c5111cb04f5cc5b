// SAs in the wire port's NIC by rte_security (inline protocol offload) and rte_flow: the offload
// decision against the port's capabilities, the sessions, their counters and events. Knows nothing
// of any particular NIC.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "host/base/snapshot.hpp"
#include "host/ipsec/settings.hpp"
#include "host/salined/offload.hpp"

struct rte_flow;
struct rte_mempool;

namespace saline::daemon {

// Outbound SAs to their rte_security sessions, for the data thread.
using SessionView = std::unordered_map<const ipsec::SecurityAssociation*, void*>;

class Card : public Offload {
 public:
  // nullptr when the port has no inline protocol offload of ESP. The port must be started. The
  // userdata of inbound sessions, which the port puts into the security field of an mbuf, is the
  // SecurityAssociation. Settings are those that shape outer headers.
  static std::unique_ptr<Card> open(std::uint16_t port, const ipsec::Settings& settings);
  ~Card() override;
  Card(const Card&) = delete;
  Card& operator=(const Card&) = delete;

  Placement place(ipsec::SecurityAssociation& association, const SaRole& role) override;
  void remove(ipsec::SecurityAssociation& association) noexcept override;
  bool counters(const ipsec::SecurityAssociation& association, CardCounters& out) noexcept override;
  std::vector<CardEvent> take_events() override;

  void* security_context() const noexcept { return context_; }
  base::Snapshot<SessionView>& sessions() noexcept { return sessions_; }

  // From the port's event callback, on whatever thread.
  void raise(const CardEvent& event) noexcept;

 private:
  struct Held {
    void* session = nullptr;
    bool inbound = false;
  };

  Card(std::uint16_t port, void* context, const ipsec::Settings& settings);
  bool steer_ingress();
  void publish_sessions();
  void wait_for_data_thread() noexcept;

  std::uint16_t port_;
  void* context_;
  ipsec::Settings settings_;
  rte_mempool* session_pool_ = nullptr;
  rte_flow* ingress_flow_ = nullptr;
  std::unordered_map<const ipsec::SecurityAssociation*, Held> held_;
  base::Snapshot<SessionView> sessions_;
  std::mutex events_mutex_;
  std::vector<CardEvent> events_;
};

}  // namespace saline::daemon
