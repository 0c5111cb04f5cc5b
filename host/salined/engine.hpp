// The control plane: what PF_KEY requests do to the SADB and the SPD (RFC 2367 §3.1, KAME's policy
// messages, Linux's errnos), the life of an SA from larval to dead (RFC 4301 §4.4.2.1), ACQUIRE,
// and who carries an SA. One thread. Every request is prepared first, which may throw base::Error,
// and then committed: a refused request leaves nothing behind, nor in the card.
//
// Direction: an SA whose destination is an address of this host is inbound, any other is outbound.
// Not here: MIGRATE, per-socket policies.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "host/crypto/provider.hpp"
#include "host/ipsec/process.hpp"
#include "host/ipsec/sad.hpp"
#include "host/ipsec/spd.hpp"
#include "host/pfkey/server.hpp"
#include "host/salined/offload.hpp"
#include "host/salined/options.hpp"

namespace saline::daemon {

// Who hears what the engine says unasked.
class Announcer {
 public:
  virtual ~Announcer() = default;
  virtual bool anybody_registered() const = 0;
  virtual void to_registered(const pfkey::Message& message) = 0;
  virtual void to_all(const pfkey::Message& message) = 0;
};

// A packet found no SA for request `request` of policy `policy_id`.
struct AcquireNeed {
  std::uint32_t policy_id = 0;
  std::uint32_t request = 0;
  base::Address source;
  base::Address destination;
};

// A keepalive of ESP in UDP, built (RFC 3948 §4).
struct Keepalive {
  base::Address destination;
  std::array<std::uint8_t, ipsec::kKeepaliveMax> bytes{};
  std::size_t length = 0;
};

struct EngineParts {
  ipsec::Sad& sad;
  ipsec::Spd& spd;
  crypto::Provider& provider;
  Offload& offload;
  OffloadMode offload_mode = OffloadMode::prefer;
  // Seconds since 1970 that never go back.
  std::function<std::uint64_t()> clock;
  bool allow_legacy = false;  // algorithms that RFC 8221 says MUST NOT, and the old formats
  ipsec::SaRules rules;
};

class Engine : public pfkey::Handler {
 public:
  struct SaEntry {
    std::shared_ptr<ipsec::SecurityAssociation> association;
    // What the request said and replies repeat; never keys.
    pfkey::PublicMessage described;
    std::uint64_t added_s = 0;
    SaRole role;
    Placement placement;
    bool soft_sent = false;
    std::uint16_t open_port = 0;    // for ESP in UDP
    std::uint64_t keepalive_s = 0;  // when the last one was made
    pfkey::SessionId owner = 0;     // of a larval SA
  };

  explicit Engine(EngineParts parts);
  ~Engine() override;

  // Until it is set nothing is announced.
  void set_announcer(Announcer* announcer) { announcer_ = announcer; }
  // Addresses of this host; empty: unknown.
  void set_local_addresses(std::vector<base::Address> addresses);
  // Once a second: lifetimes, larval SAs, policies' lifetimes.
  void tick();
  // Events of card and software, as soon as they are seen.
  void take_events();
  void acquire_needed(const AcquireNeed& need);
  // Every SA out of card and SAD; at the end.
  void destroy_all() noexcept;

  // The ports at which ESP in UDP comes for inbound SAs; for the data thread.
  base::Snapshot<ipsec::EncapsulationPorts>& encapsulation_ports() noexcept { return ports_; }
  // Those that became due since the last call.
  std::vector<Keepalive> take_keepalives() { return std::exchange(keepalives_, {}); }

  const std::map<ipsec::SaId, SaEntry>& associations() const noexcept { return entries_; }
  // Counters of the card into those of the SA, for whoever reads them next.
  void refresh_counters(SaEntry& entry) noexcept;
  void refresh_counters() noexcept;

  pfkey::Message getspi(pfkey::Message& request, const pfkey::Client& client) override;
  pfkey::Message update(pfkey::Message& request, const pfkey::Client& client) override;
  pfkey::Message add(pfkey::Message& request, const pfkey::Client& client) override;
  pfkey::Message del(pfkey::Message& request, const pfkey::Client& client) override;
  pfkey::Message get(pfkey::Message& request, const pfkey::Client& client) override;
  void acquire(pfkey::Message& request, const pfkey::Client& client) override;
  pfkey::Message reg(pfkey::Message& request, const pfkey::Client& client) override;
  pfkey::Message flush(pfkey::Message& request, const pfkey::Client& client) override;
  std::unique_ptr<pfkey::DumpSource> dump(pfkey::Message& request,
                                          const pfkey::Client& client) override;
  pfkey::Message spdadd(pfkey::Message& request, const pfkey::Client& client) override;
  pfkey::Message spdupdate(pfkey::Message& request, const pfkey::Client& client) override;
  pfkey::Message spdsetidx(pfkey::Message& request, const pfkey::Client& client) override;
  pfkey::Message spddelete(pfkey::Message& request, const pfkey::Client& client) override;
  pfkey::Message spddelete2(pfkey::Message& request, const pfkey::Client& client) override;
  pfkey::Message spdget(pfkey::Message& request, const pfkey::Client& client) override;
  pfkey::Message spdflush(pfkey::Message& request, const pfkey::Client& client) override;
  std::unique_ptr<pfkey::DumpSource> spddump(pfkey::Message& request,
                                             const pfkey::Client& client) override;
  void session_closed(const pfkey::Client& client) noexcept override;
  void refused(const pfkey::Client& client, pfkey::MessageType type, int errno_value,
               const std::string& sentence) noexcept override;

 private:
  friend class SaDump;
  friend class PolicyDump;

  struct PolicyExtra {
    std::optional<pfkey::Lifetime> hard;  // addtime: lifetime, usetime: idle time
    std::uint64_t added_s = 0;
  };
  struct Pending {  // an ACQUIRE that was sent
    std::uint32_t seq = 0;
    std::uint64_t until_s = 0;
  };
  using PendingKey = std::tuple<ipsec::Protocol, std::uint32_t, base::Address, base::Address>;

  // engine_sa.cpp
  SaEntry& find_entry(const ipsec::SaId& id);
  static void warn_of_algorithms(const SaEntry& entry);
  SaEntry make_entry(pfkey::Message& request);
  void remove_entry(const ipsec::SaId& id) noexcept;
  pfkey::Message describe(SaEntry& entry, bool with_keys);
  pfkey::Message update_lifetimes(SaEntry& entry, const pfkey::Message& request);
  // engine_nat.cpp
  void open_port(SaEntry& entry, bool wanted);
  void peer_moved(SaEntry& entry);
  void make_keepalive(SaEntry& entry, std::uint64_t now_s);
  // placement.cpp
  SaRole role_of(const ipsec::SaConfig& config) const;
  std::vector<SaEntry*> same_spi(const ipsec::SaId& id);
  bool holds_spi(const SaEntry& entry) const;
  bool may_leave_card(SaEntry& entry);
  void check_spi_is_free(const ipsec::SaId& id);
  void give_up_spi(const ipsec::SaId& id);
  void place(SaEntry& entry);
  void move_to_software(SaEntry& entry);
  void review_placements();
  // engine_spd.cpp
  pfkey::Message commit_policy(pfkey::Message& request, bool may_replace);
  pfkey::Message describe(const ipsec::Policy& policy) const;
  void remove_policy(std::uint32_t id);
  void expire_policies(std::uint64_t now_s);
  // engine_time.cpp
  void check_lifetimes(SaEntry& entry, std::uint64_t now_s, std::vector<ipsec::SaId>& dead);
  void expire_soft(SaEntry& entry);
  void expire_hard(const ipsec::SaId& id);
  void announce_expire(SaEntry& entry, bool hard);

  EngineParts parts_;
  Announcer* announcer_ = nullptr;
  std::map<ipsec::SaId, SaEntry> entries_;
  std::map<std::uint32_t, PolicyExtra> policy_extras_;
  std::uint32_t last_policy_number_ = 0;
  std::uint32_t last_own_reqid_;
  std::set<base::Address> local_;
  std::map<PendingKey, Pending> pending_;
  std::uint32_t last_acquire_seq_ = 0;
  std::map<std::uint16_t, std::size_t> port_users_;
  base::Snapshot<ipsec::EncapsulationPorts> ports_{std::make_unique<ipsec::EncapsulationPorts>()};
  std::vector<Keepalive> keepalives_;
};

}  // namespace saline::daemon
