// Damaged packets, in buffers without a byte to spare: whatever happens, every packet is either
// refused with a reason or passes as what was sent, and nothing beyond the buffer is touched (this
// runs under AddressSanitizer as well).
#include <gtest/gtest.h>

#include <random>

#include "host/base/bytes.hpp"
#include "tests/host/ipsec/bed.hpp"

namespace saline::test {

using namespace saline::ipsec;
using hw::DropReason;

namespace {

std::vector<SaSpec> specs() {
  std::vector<SaSpec> all;
  std::uint32_t spi = 0x1000;
  for (const char* cipher : {"aes-gcm-16", "aes-cbc", "null", "3des-cbc", ""}) {
    for (Mode mode : {Mode::transport, Mode::tunnel, Mode::any}) {
      for (bool ipv6 : {false, true}) {
        SaSpec spec;
        spec.encryption = cipher;
        if (spec.encryption.empty()) spec.protocol = Protocol::ah;
        if (spec.encryption == "aes-gcm-16") spec.integrity = "";
        spec.mode = mode;
        spec.spi = ++spi;
        spec.window = 0;
        if (ipv6) {
          spec.source = "2001:db8::1";
          spec.destination = "2001:db8::2";
        }
        all.push_back(spec);
      }
    }
  }
  return all;
}

void damage(Bytes& packet, std::mt19937_64& generator) {
  switch (generator() % 4) {
    case 0:
      packet.resize(generator() % (packet.size() + 1));
      break;
    case 1:
      packet.resize(packet.size() + generator() % 64, 0xEE);
      break;
    default:
      break;
  }
  for (std::uint64_t edits = generator() % 4; edits > 0 && !packet.empty(); --edits) {
    // Headers are where lengths are.
    const std::size_t limit =
        generator() % 2 == 0 ? std::min<std::size_t>(packet.size(), 64) : packet.size();
    packet[generator() % limit] = static_cast<std::uint8_t>(generator());
  }
}

}  // namespace

TEST(Damage, InboundRefusesOrPassesWhatWasSent) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 generator(seed);
  Host sender;
  Host receiver;
  const std::vector<SaSpec> all = specs();
  for (const SaSpec& spec : all) {
    sender.add(spec);
    receiver.add(spec);
  }
  int refused = 0;
  for (int i = 0; i < 20000; ++i) {
    const SaSpec& spec = all[generator() % all.size()];
    const Bytes plain = ip_packet(spec.source, spec.destination, kUdp, udp(generator() % 200));
    Buffer buffer(plain);
    Policy policy = policy_for({spec});
    policy.requests[0].mode = spec.mode == Mode::any ? Mode::transport : spec.mode;
    ASSERT_EQ(sender.protect(buffer, policy).outcome, Outcome::pass);
    const Bytes wire = buffer.bytes();
    Bytes damaged = wire;
    damage(damaged, generator);
    Buffer arrived(damaged, 0, 0);
    const InboundItem item = receiver.open(arrived);
    if (item.outcome == Outcome::drop) {
      EXPECT_NE(item.reason, DropReason::none);
      ++refused;
      continue;
    }
    if (arrived.packet().history_count == 0) continue;  // no longer AH or ESP for us
    const Bytes opened = arrived.bytes();
    ASSERT_EQ(opened.size(), plain.size());
    // Unsigned by nature: the outer IP header under ESP, mutable fields under AH.
    const std::size_t header = plain[0] >> 4 == 4 ? 20 : 40;
    EXPECT_EQ(Bytes(opened.begin() + static_cast<std::ptrdiff_t>(header), opened.end()),
              Bytes(plain.begin() + static_cast<std::ptrdiff_t>(header), plain.end()));
  }
  EXPECT_GT(refused, 10000);
}

TEST(Damage, OutboundTakesAnything) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 generator(seed);
  const std::vector<SaSpec> all = specs();
  Host host;
  for (const SaSpec& spec : all) host.add(spec);
  int passed = 0;
  for (int i = 0; i < 20000; ++i) {
    const SaSpec& spec = all[generator() % all.size()];
    Bytes plain = ip_packet(spec.source, spec.destination, kUdp, udp(generator() % 200));
    damage(plain, generator);
    const auto room = static_cast<std::uint32_t>(generator() % 120);
    Buffer buffer(plain, room, room);
    const OutboundItem item = host.protect(buffer, policy_for({spec}));
    EXPECT_EQ(item.outcome == Outcome::drop, item.reason != DropReason::none);
    passed += item.outcome == Outcome::pass ? 1 : 0;
  }
  EXPECT_GT(passed, 1000);
}

}  // namespace saline::test
