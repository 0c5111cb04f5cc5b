// Books and keys of the fuzz targets.
#include "tests/fuzz/ledger.hpp"

#include "host/base/bytes.hpp"

namespace saline::fuzz {

using namespace saline::ipsec;

namespace {

crypto::Provider& provider() {
  static const auto shared = crypto::make_openssl_provider();
  return *shared;
}

std::vector<std::uint64_t> values_of(const ReasonCounters& counters) {
  std::vector<std::uint64_t> values;
  for (const Counter& counter : counters) values.push_back(counter.get());
  return values;
}

// The reason whose counter went up by one, if it alone did.
int only_step(const std::vector<std::uint64_t>& before, const std::vector<std::uint64_t>& after) {
  int step = -1;
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (before[i] == after[i]) continue;
    SALINE_REQUIRE(step < 0 && after[i] == before[i] + 1, "more than one count");
    step = static_cast<int>(i);
  }
  return step;
}

}  // namespace

Ledger::Ledger(const test::Host& host, SecurityAssociation& sa)
    : passed(host.processor.counters().inbound_passed.get()),
      refused(values_of(host.processor.counters().inbound_refused)),
      packets(sa.counters().packets.get()),
      bytes(sa.counters().bytes.get()),
      sa_refused(values_of(sa.counters().refused)),
      window_top(sa.window().top()) {}

void require_rule(const Ledger& before, const Ledger& after, const InboundItem& item,
                  bool authentic) {
  const int reason = only_step(before.refused, after.refused);
  const int sa_reason = only_step(before.sa_refused, after.sa_refused);
  if (item.outcome == Outcome::pass) {
    SALINE_REQUIRE(after.passed == before.passed + 1 && reason < 0 && sa_reason < 0,
                   "a packet that passes is counted as passed and nothing else");
  } else {
    SALINE_REQUIRE(item.outcome == Outcome::drop, "inbound packets pass or do not");
    SALINE_REQUIRE(after.passed == before.passed, "passed, although refused");
    SALINE_REQUIRE(reason == static_cast<int>(item.reason) && reason != 0, "counted once, as told");
    SALINE_REQUIRE(sa_reason < 0 || sa_reason == reason, "two opinions about the reason");
  }
  if (authentic) return;
  SALINE_REQUIRE(after.window_top == before.window_top, "the window moved without a good ICV");
  SALINE_REQUIRE(after.packets == before.packets && after.bytes == before.bytes,
                 "lifetimes moved without a good ICV");
}

Peer::Peer(std::vector<test::SaSpec> specs) : specs_(std::move(specs)) {
  std::uint32_t spi = 0x1000;
  for (test::SaSpec& spec : specs_) {
    spec.spi = ++spi;
    sas_.push_back(host.add(spec));
  }
  SALINE_REQUIRE(specs_.size() < 256, "an input's first byte chooses the SA");
}

Notary::Notary(const test::SaSpec& spec) : config(test::config_of(spec)) {
  crypto::SessionKeys keys;
  keys.encryption = config.encryption;
  keys.encryption_key = config.encryption_key.bytes();
  keys.integrity = config.integrity;
  keys.integrity_key = config.integrity_key.bytes();
  session_ = provider().open(keys);
}

std::uint32_t Notary::iv_bytes() const {
  return config.encryption == nullptr ? 0 : config.encryption->iv_bytes;
}

std::uint32_t Notary::icv_bytes() const {
  const bool aead = config.encryption != nullptr && config.encryption->is_aead();
  return aead ? config.encryption->icv_bytes : config.integrity->icv_bytes;
}

bool Notary::run_esp(Bytes& esp, std::uint64_t sequence, crypto::Direction direction) const {
  const std::size_t header = 8 + iv_bytes();
  const std::size_t end = esp.size() - icv_bytes();
  Bytes high(4);
  base::store32(high.data(), static_cast<std::uint32_t>(sequence >> 32));
  Bytes aad(esp.begin(), esp.begin() + 8);
  if (config.extended_sequence) aad.insert(aad.begin() + 4, high.begin(), high.end());
  crypto::Job job;
  job.session = session_.get();
  job.direction = direction;
  job.iv = &esp[8];
  job.text = std::span(esp).subspan(header, end - header);
  if (config.encryption->is_aead()) {
    job.authenticated[0] = aad;
  } else {
    job.authenticated[0] = std::span(esp).first(end);
    if (config.extended_sequence) job.authenticated[1] = high;
  }
  job.icv = &esp[end];
  provider().run({&job, 1});
  return job.result == crypto::Result::ok;
}

void Notary::seal_esp(Bytes& esp, std::uint64_t sequence) const {
  SALINE_REQUIRE(run_esp(esp, sequence, crypto::Direction::seal), "sealing");
}

bool Notary::open_esp(Bytes& esp, std::uint64_t sequence) const {
  return run_esp(esp, sequence, crypto::Direction::open);
}

Bytes Notary::icv(const Bytes& image, std::uint64_t sequence) const {
  Bytes high(4);
  base::store32(high.data(), static_cast<std::uint32_t>(sequence >> 32));
  Bytes result(icv_bytes());
  crypto::Job job;
  job.session = session_.get();
  job.authenticated[0] = image;
  if (config.extended_sequence) job.authenticated[1] = high;
  job.icv = result.data();
  provider().run({&job, 1});
  SALINE_REQUIRE(job.result == crypto::Result::ok, "signing");
  return result;
}

}  // namespace saline::fuzz
