// Every algorithm, mode and family through two hosts: what comes out is what went in, and a packet
// with any one byte changed comes out nowhere.
#include <gtest/gtest.h>

#include <random>

#include "tests/host/ipsec/bed.hpp"

namespace saline::test {

using namespace saline::ipsec;

namespace {

std::vector<SaSpec> all_transforms(const std::string& source, const std::string& destination,
                                   Mode mode) {
  std::vector<SaSpec> specs;
  SaSpec base;
  base.source = source;
  base.destination = destination;
  base.mode = mode;
  for (const crypto::Algorithm& integrity : crypto::algorithms()) {
    if (integrity.kind != crypto::Kind::integrity ||
        integrity.method == crypto::Method::null_integrity)
      continue;
    base.integrity = integrity.name;
    base.protocol = Protocol::ah;
    specs.push_back(base);
    base.protocol = Protocol::esp;
    if (integrity.iv_bytes != 0) continue;  // GMAC: in ESP it is a cipher's
    for (const crypto::Algorithm& cipher : crypto::algorithms()) {
      if (cipher.kind != crypto::Kind::cipher || cipher.pfkey_flags != 0) continue;
      base.encryption = cipher.name;
      for (unsigned bits = cipher.key_bits_min; bits <= cipher.key_bits_max;
           bits += cipher.key_bits_step == 0 ? 1u : cipher.key_bits_step) {
        base.key_bits = bits;
        specs.push_back(base);
      }
    }
  }
  base.integrity = "";
  for (const crypto::Algorithm& aead : crypto::algorithms()) {
    if (aead.kind != crypto::Kind::aead) continue;
    base.encryption = aead.name;
    for (unsigned bits = aead.key_bits_min; bits <= aead.key_bits_max;
         bits += aead.key_bits_step == 0 ? 1u : aead.key_bits_step) {
      base.key_bits = bits;
      specs.push_back(base);
    }
  }
  return specs;
}

std::string describe(const SaSpec& spec) {
  return (spec.protocol == Protocol::ah ? "ah " : "esp " + spec.encryption + " ") + spec.integrity +
         " key " + std::to_string(spec.key_bits) + (spec.esn ? " esn" : "") + " to " +
         spec.destination;
}

void goes_through(SaSpec spec, const Bytes& original, bool esn) {
  spec.esn = esn;
  SCOPED_TRACE(describe(spec));
  Host sender;
  Host receiver;
  auto out = sender.add(spec);
  auto in = receiver.add(spec);
  Buffer buffer(original);
  const OutboundItem sent = sender.protect(buffer, policy_for({spec}));
  ASSERT_EQ(sent.outcome, Outcome::pass) << hw::to_string(sent.reason);
  const Bytes wire = buffer.bytes();
  EXPECT_NE(wire, original);
  if (spec.protocol == Protocol::esp && spec.encryption != "null" &&
      spec.encryption != "aes-gmac") {
    const auto tail = std::search(wire.begin(), wire.end(), original.end() - 16, original.end());
    EXPECT_EQ(tail, wire.end()) << "plaintext on the wire";
  }
  Buffer arrived(wire);
  const InboundItem got = receiver.open(arrived);
  ASSERT_EQ(got.outcome, Outcome::pass) << hw::to_string(got.reason);
  EXPECT_EQ(arrived.bytes(), original);
  ASSERT_EQ(arrived.packet().history_count, 1);
  EXPECT_EQ(arrived.packet().history[0].association, in.get());
  EXPECT_EQ(arrived.packet().history[0].mode, spec.mode);
  EXPECT_EQ(out->counters().packets.get(), 1u);
  EXPECT_EQ(in->counters().packets.get(), 1u);
  EXPECT_EQ(out->counters().bytes.get(), in->counters().bytes.get());

  Bytes altered = wire;
  altered[altered.size() - original.size() / 2] ^= 0x10;
  Host fresh;
  auto untouched = fresh.add(spec);
  Buffer bad(altered);
  EXPECT_EQ(fresh.open(bad).reason, hw::DropReason::icv);
  EXPECT_EQ(untouched->window().top(), 0u);
}

struct Ends {
  const char* source;
  const char* destination;
};
constexpr Ends kIpv4Ends{"10.0.0.1", "10.0.0.2"};
constexpr Ends kIpv6Ends{"2001:db8::1", "2001:db8::2"};

}  // namespace

class RoundTrip : public testing::TestWithParam<Ends> {};

TEST_P(RoundTrip, EveryTransformInTransportMode) {
  const Bytes original = ip_packet(GetParam().source, GetParam().destination, kUdp, udp(40));
  for (const SaSpec& spec :
       all_transforms(GetParam().source, GetParam().destination, Mode::transport))
    for (bool esn : {false, true}) goes_through(spec, original, esn);
}

TEST_P(RoundTrip, EveryTransformInTunnelModeOverBothFamilies) {
  for (const Ends& inner : {Ends{"192.168.1.1", "192.168.2.2"}, Ends{"fd00::1", "fd01::1"}}) {
    const Bytes original = ip_packet(inner.source, inner.destination, kUdp, udp(40));
    for (const SaSpec& spec :
         all_transforms(GetParam().source, GetParam().destination, Mode::tunnel))
      for (bool esn : {false, true}) goes_through(spec, original, esn);
  }
}

INSTANTIATE_TEST_SUITE_P(Families, RoundTrip, testing::Values(kIpv4Ends, kIpv6Ends));

TEST(RoundTripProperty, EveryLengthOfPayload) {
  for (const char* cipher : {"aes-cbc", "aes-gcm-16", "null"}) {
    SaSpec spec;
    spec.encryption = cipher;
    if (spec.encryption == "aes-gcm-16") spec.integrity = "";
    Host sender;
    Host receiver;
    sender.add(spec);
    receiver.add(spec);
    for (std::size_t bytes = 0; bytes < 300; ++bytes) {
      const Bytes original = ip_packet("10.0.0.1", "10.0.0.2", 200, Bytes(bytes, 0x5A));
      Buffer buffer(original);
      ASSERT_EQ(sender.protect(buffer, policy_for({spec})).outcome, Outcome::pass);
      EXPECT_EQ((buffer.bytes().size() - 20) % 4, 0u);
      Buffer arrived(buffer.bytes());
      ASSERT_EQ(receiver.open(arrived).outcome, Outcome::pass) << cipher << ' ' << bytes;
      ASSERT_EQ(arrived.bytes(), original);
    }
  }
}

TEST(RoundTripProperty, ABurstOfMixedSasComesOutInPlace) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 generator(seed);
  const std::vector<SaSpec> specs = all_transforms("10.0.0.1", "10.0.0.2", Mode::transport);
  Host sender;
  Host receiver;
  std::vector<Policy> policies;
  for (std::size_t i = 0; i < specs.size(); ++i) {
    SaSpec spec = specs[i];
    spec.spi = static_cast<std::uint32_t>(0x2000 + i);
    spec.reqid = static_cast<std::uint32_t>(i + 1);
    sender.add(spec);
    receiver.add(spec);
    policies.push_back(policy_for({spec}));
  }
  std::vector<Bytes> originals;
  std::vector<std::unique_ptr<Buffer>> buffers;
  std::vector<OutboundItem> out;
  for (int i = 0; i < 300; ++i) {
    originals.push_back(ip_packet("10.0.0.1", "10.0.0.2", kUdp,
                                  udp(generator() % 1400, static_cast<std::uint8_t>(i))));
    buffers.push_back(std::make_unique<Buffer>(originals.back()));
    out.push_back({});
    out.back().packet = &buffers.back()->packet();
    out.back().policy = &policies[generator() % policies.size()];
  }
  sender.processor.outbound(*sender.sad.view().acquire(), out);
  std::vector<InboundItem> in;
  for (std::size_t i = 0; i < out.size(); ++i) {
    ASSERT_EQ(out[i].outcome, Outcome::pass);
    in.push_back({});
    in.back().packet = out[i].packet;
  }
  receiver.processor.inbound(*receiver.sad.view().acquire(), in);
  for (std::size_t i = 0; i < in.size(); ++i) {
    ASSERT_EQ(in[i].outcome, Outcome::pass) << i << hw::to_string(in[i].reason);
    EXPECT_EQ(buffers[i]->bytes(), originals[i]);
  }
  EXPECT_EQ(receiver.processor.counters().inbound_passed.get(), 300u);
}

}  // namespace saline::test
