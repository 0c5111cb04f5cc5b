// The offload decision as the engine sees it: who carries an SA, card or software, and why. The
// real one is the wire port's rte_security (card.hpp); without such a port everything is software.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "host/ipsec/association.hpp"

namespace saline::daemon {

enum class SaDirection : std::uint8_t { outbound, inbound };

// What the engine knows of the place of an SA, from addresses and policies.
struct SaRole {
  SaDirection direction = SaDirection::outbound;
  bool inside_bundle = false;  // some policy applies another SA outside this one
  // It is in transport mode around an IPComp tunnel, whose small packets are IP in IP (RFC 3173
  // §2.2).
  bool around_ipcomp_tunnel = false;
  bool operator==(const SaRole&) const = default;
};

struct Placement {
  bool card = false;
  std::string reason;  // a few words a person can act on
};

// Of an SA that the card carries, since it was placed there.
struct CardCounters {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
};

struct CardEvent {
  // Names an SA; it may be gone by now, so look it up before use.
  const ipsec::SecurityAssociation* association = nullptr;
  std::uint32_t event = 0;  // ipsec::kEvent*
};

class Offload {
 public:
  virtual ~Offload() = default;
  // Puts the SA into the card if the card can carry it and sets its offloaded mark; else says why
  // not. What the card refuses is a placement in software, not an error.
  virtual Placement place(ipsec::SecurityAssociation& association, const SaRole& role) = 0;
  // Takes the SA out of the card, wiping its keys there, once the data thread no longer sends by
  // it. Nothing happens when it is not there.
  virtual void remove(ipsec::SecurityAssociation& association) noexcept = 0;
  // False when the card does not carry it.
  virtual bool counters(const ipsec::SecurityAssociation& association,
                        CardCounters& out) noexcept = 0;
  virtual std::vector<CardEvent> take_events() = 0;
};

class SoftwareOnly : public Offload {
 public:
  explicit SoftwareOnly(std::string reason) : reason_(std::move(reason)) {}
  Placement place(ipsec::SecurityAssociation&, const SaRole&) override { return {false, reason_}; }
  void remove(ipsec::SecurityAssociation&) noexcept override {}
  bool counters(const ipsec::SecurityAssociation&, CardCounters&) noexcept override {
    return false;
  }
  std::vector<CardEvent> take_events() override { return {}; }

 private:
  std::string reason_;
};

}  // namespace saline::daemon
