// The packet walk of the software path (design: inbound and outbound stages): bursts of packets
// through AH, ESP and IPComp, and the two policy checks. Stages are prepare, crypto for the whole
// burst, finish, repeated until no packet has a header or a request left. One Processor per data
// thread; nothing here allocates, locks or throws per packet. Fragmentation, ICMP and routes are
// the caller's.
//
// A data thread's burst:
//   const SadView& sad = *sad_database.view().acquire();
//   const SpdView& spd = *spd_database.view().acquire();
//   processor.inbound(spd, sad, items);   policy check and all
//   processor.outbound(spd, sad, items);  policy lookup and all
// or, where something lies between the two, policy and walk one by one: per packet
// find_outbound_policy(...), then outbound(sad, items); inbound(sad, items), then per packet
// check_inbound_policy(...).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "host/crypto/provider.hpp"
#include "host/ipsec/packet.hpp"
#include "host/ipsec/sad.hpp"
#include "host/ipsec/settings.hpp"
#include "host/ipsec/socket_policies.hpp"
#include "host/ipsec/spd.hpp"
#include "host/ipsec/udp_encapsulation.hpp"
#include "hw/interface/saline_hw.hpp"

namespace saline::ipsec {

enum class Outcome : std::uint8_t {
  pass,     // outbound: send it; inbound: check_inbound_policy, then deliver or forward
  to_card,  // outbound: everything but the last, outermost transform is done; the card does `card`
  split,    // outbound: untouched; fragment it to fitting_mtu and offer the pieces, same policy
  drop,     // see reason
};

struct OutboundItem {
  Packet* packet = nullptr;
  // nullptr, or action none: passes as it is. A result where outbound() asks the SPD itself.
  const Policy* policy = nullptr;
  std::uint32_t mtu = 0;   // of the link to the outer destination; 0: no limit
  bool may_split = false;  // it came in fragments, so fragments may go out, also of IPv6

  // Results.
  Outcome outcome = Outcome::pass;
  hw::DropReason reason = hw::DropReason::none;
  SecurityAssociation* card = nullptr;
  // Index of a request that found no SA, -1 when all did: raise an ACQUIRE for it. With level use
  // the packet passes in the clear all the same; else it is dropped, reason no_sa.
  std::int32_t acquire = -1;
  // With reason too_big and outcome split: the largest packet (before protection) that fits.
  std::uint32_t fitting_mtu = 0;
  // The MTU of the path, where the protected packet is larger and must be fragmented; else 0.
  std::uint32_t fragment_to = 0;
};

struct InboundItem {
  Packet* packet = nullptr;
  bool to_group = false;  // came as a link multicast or broadcast: for us, whatever its address

  // Results.
  Outcome outcome = Outcome::pass;
  hw::DropReason reason = hw::DropReason::none;
  // The SA that refused it, nullptr when none was found.
  SecurityAssociation* association = nullptr;
  std::uint32_t spi = 0;           // of the header that was refused, for audit
  const Policy* policy = nullptr;  // that let it in or refused it, where inbound() asks the SPD
};

// Addresses that end a packet's way: AH and ESP to any other address is somebody else's and passes
// untouched when there is no SA for it. Empty: every address is ours.
class LocalAddresses {
 public:
  LocalAddresses() = default;
  explicit LocalAddresses(std::vector<base::Address> addresses);
  bool contains(const base::Address& address) const noexcept;
  bool empty() const noexcept { return sorted_.empty(); }

 private:
  std::vector<base::Address> sorted_;
};

// Global counters, one per reason and direction; SAs keep their own.
struct Counters {
  Counter inbound_passed;
  Counter outbound_passed;
  Counter outbound_clear_by_use;  // sent in the clear because level use found no SA
  Counter bad_padding;            // inbound padding not 1, 2, 3, ..., accepted
  Counter uncompressed;           // outbound: IPComp asked for, but the packet would not shrink
  Counter keepalives;             // inbound: dropped quietly (RFC 3948 §4)
  Counter to_card;
  ReasonCounters inbound_refused;
  ReasonCounters outbound_refused;
};

class Processor {
 public:
  static constexpr std::size_t kBurst = 64;

  // provider must be the one the SAs were created with, and outlive this.
  explicit Processor(crypto::Provider& provider);
  ~Processor();
  Processor(const Processor&) = delete;
  Processor& operator=(const Processor&) = delete;

  // Data thread, between bursts: the values are copied, or must stay until the next call.
  void set_settings(const Settings& settings) noexcept;
  void set_local_addresses(const LocalAddresses* local) noexcept;
  // Policies of sockets, which win over the SPD; nullptr: there are none.
  void set_socket_policies(const SocketPolicyView* sockets) noexcept;
  // Until it is called: port 4500 alone.
  void set_encapsulation_ports(const EncapsulationPorts* ports) noexcept;
  void set_time(std::uint64_t now_s) noexcept;  // for first and last use

  // Applies the policies' requests in order: the first is innermost. When an SA that is applied
  // last is offloaded, the packet stops before it with outcome to_card; an offloaded SA that would
  // not be applied last is refused as unsupported: the daemon places such SAs in software.
  // Transport mode needs a whole packet (reason fragment). Any number of items.
  void outbound(const SadView& sad, std::span<OutboundItem> items) noexcept;
  // The same for packets whose policy is still to be found: find_outbound_policy and outbound in
  // one, with one parse for both.
  void outbound(const SpdView& spd, const SadView& sad, std::span<OutboundItem> items) noexcept;

  // Peels AH, ESP, ESP in UDP and IPComp for us until none is left, at most kNestingMax. The packet
  // that passes is what was protected, with its history; the caller then asks check_inbound_policy.
  void inbound(const SadView& sad, std::span<InboundItem> items) noexcept;
  // inbound and check_inbound_policy in one; the direction is fwd when local addresses are set and
  // the packet is to none of them nor to a group.
  void inbound(const SpdView& spd, const SadView& sad, std::span<InboundItem> items) noexcept;

  const Counters& counters() const noexcept { return counters_; }
  const Settings& settings() const noexcept { return settings_; }

  // Outbound SPD. reason is policy when the packet must be dropped, malformed when it is no IP
  // packet, none when it may go on with `policy` (nullptr: in the clear by default). Counts.
  struct PolicyVerdict {
    const Policy* policy = nullptr;
    hw::DropReason reason = hw::DropReason::none;
  };
  PolicyVerdict find_outbound_policy(const SpdView& spd, const Packet& packet) noexcept;

  // Inbound SPD with the history of the packet (in for us, fwd when it will be forwarded). Each
  // request, last to first, must match the next entry of the history, in order; requests of level
  // use may be absent; an entry in tunnel mode that no request asked for refuses the packet, and so
  // do addresses that nobody may use on the wire, when they come out of a tunnel.
  // Counts.
  PolicyVerdict check_inbound_policy(const SpdView& spd, const Packet& packet,
                                     Direction direction = Direction::in) noexcept;

 private:
  struct Scratch;

  const Policy* match(const SpdView& spd, Direction direction, const Flow& flow) noexcept;
  // What `policy`, the one that matches (nullptr: none), means for the packet. Counts.
  PolicyVerdict judge_outbound(const Policy* policy, const Packet& packet,
                               const Flow& flow) noexcept;
  PolicyVerdict judge_inbound(const SpdView& spd, const Policy* policy, const Packet& packet,
                              const Flow& flow, Direction direction) noexcept;
  bool accepts(const Policy* policy, const Packet& packet, const Flow& flow) const noexcept;
  hw::DropReason check_selector(const SecurityAssociation& sa, const Packet& packet) const noexcept;
  // Policies of sockets, else those of the SPD through the cache; found[i] answers flows[i].
  void match(const SpdView& spd, Direction direction, std::span<const Flow> flows,
             std::span<const Policy*> found) noexcept;

  bool is_ours(const base::Address& destination) const noexcept {
    return local_ == nullptr || local_->contains(destination);
  }

  // The stages of a chunk, in order; those that say false have decided the item's fate.
  void outbound_chunk(const SpdView* spd, const SadView& sad,
                      std::span<OutboundItem> items) noexcept;
  void find_policies(const SpdView& spd, std::span<OutboundItem> items) noexcept;
  bool open_outbound(OutboundItem& item, std::size_t index) noexcept;
  void aim(const SadView& sad, std::span<OutboundItem> items) noexcept;
  bool resolve(const SadView& sad, OutboundItem& item, std::size_t index) noexcept;
  bool fits_path(OutboundItem& item, std::size_t index) noexcept;
  bool compress(OutboundItem& item, std::size_t index) noexcept;
  bool prepare(OutboundItem& item, std::size_t index, crypto::Job& job) noexcept;
  bool finish(OutboundItem& item, std::size_t index, const crypto::Job& job) noexcept;
  void refuse(OutboundItem& item, hw::DropReason reason, SecurityAssociation* sa) noexcept;

  void inbound_chunk(const SpdView* spd, const SadView& sad, std::span<InboundItem> items) noexcept;
  bool locate(const SadView& sad, InboundItem& item, std::size_t index) noexcept;
  bool locate_other(const SadView& sad, InboundItem& item, std::size_t index) noexcept;
  void aim(const SadView& sad) noexcept;
  bool find_association(const SadView& sad, InboundItem& item, std::size_t index) noexcept;
  bool expand(const SadView& sad, InboundItem& item, std::size_t index) noexcept;
  bool prepare(InboundItem& item, std::size_t index, crypto::Job& job) noexcept;
  bool finish(InboundItem& item, std::size_t index, const crypto::Job& job) noexcept;
  void check_policies(const SpdView& spd, std::span<InboundItem> items,
                      Direction direction) noexcept;
  void refuse(InboundItem& item, hw::DropReason reason, SecurityAssociation* sa) noexcept;

  template <typename Item>
  void run_jobs(std::span<Item> items) noexcept;

  Settings settings_;
  const LocalAddresses* local_ = nullptr;
  const SocketPolicyView* sockets_ = nullptr;
  EncapsulationPorts default_ports_;
  const EncapsulationPorts* ports_ = &default_ports_;
  std::uint64_t now_s_ = 0;
  crypto::Provider& provider_;
  Counters counters_;
  std::unique_ptr<Scratch> scratch_;
};

// The level a request counts with: its own, or the default for its protocol and mode.
Level effective_level(const Request& request, const FamilySettings& settings) noexcept;

// The check of check_inbound_policy without counters: true when the history satisfies the policy.
bool history_matches(const Policy& policy, const Packet& packet, const Flow& flow,
                     const Settings& settings) noexcept;

// Bytes that `policy` adds to a packet at most, for the MTU of the host port: worst case over its
// requests with the SAs at hand, or with the longest algorithms where there is none yet.
std::uint32_t worst_case_overhead(const Policy& policy, const SadView& sad,
                                  const Settings& settings) noexcept;

}  // namespace saline::ipsec
