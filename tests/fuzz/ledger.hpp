// What a host and one of its SAs have counted, for the rule of bad input: a refused packet is
// counted once and changes nothing else; a packet that passes is counted once as well.
#pragma once

#include <vector>

#include "tests/fuzz/fuzz.hpp"
#include "tests/host/ipsec/bed.hpp"

namespace saline::fuzz {

struct Ledger {
  Ledger(const test::Host& host, ipsec::SecurityAssociation& sa);

  std::uint64_t passed = 0;
  std::vector<std::uint64_t> refused;  // by reason
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
  std::vector<std::uint64_t> sa_refused;  // by reason
  std::uint64_t window_top = 0;
};

// The packet of `item` came between the two; authentic says whether its ICV was good, so that its
// number counts as seen whatever became of it.
void require_rule(const Ledger& before, const Ledger& after, const ipsec::InboundItem& item,
                  bool authentic);

// A host that lasts for the whole run, with one SA per spec; specs get SPIs of their own.
class Peer {
 public:
  explicit Peer(std::vector<test::SaSpec> specs);
  const test::SaSpec& spec(std::size_t index) const { return specs_[index % specs_.size()]; }
  ipsec::SecurityAssociation& sa(std::size_t index) { return *sas_[index % sas_.size()]; }
  std::size_t count() const { return specs_.size(); }
  test::Host host;

 private:
  std::vector<test::SaSpec> specs_;
  std::vector<std::shared_ptr<ipsec::SecurityAssociation>> sas_;
};

// Runs the crypto of one packet with the keys of `spec`, laid out by the caller.
class Notary {
 public:
  explicit Notary(const test::SaSpec& spec);
  ipsec::SaConfig config;
  std::uint32_t iv_bytes() const;
  std::uint32_t icv_bytes() const;
  // The ESP header with IV is esp[0, header), the text follows, the ICV comes last; `sequence` is
  // the whole number. seal fills in ciphertext and ICV; open decrypts and says whether it is good.
  void seal_esp(Bytes& esp, std::uint64_t sequence) const;
  bool open_esp(Bytes& esp, std::uint64_t sequence) const;
  // The ICV over `image` (and the high half of an extended number).
  Bytes icv(const Bytes& image, std::uint64_t sequence) const;

 private:
  bool run_esp(Bytes& esp, std::uint64_t sequence, crypto::Direction direction) const;
  std::unique_ptr<crypto::Session> session_;
};

}  // namespace saline::fuzz
