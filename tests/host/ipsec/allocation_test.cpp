// The data path allocates nothing: neither by operator new nor inside libcrypto.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "tests/host/ipsec/bed.hpp"

namespace {
std::atomic<long> g_allocations{0};
}

// glibc's own malloc, so that libcrypto's allocations are counted as well.
extern "C" void* __libc_malloc(std::size_t);
extern "C" void* malloc(std::size_t bytes) {
  g_allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_malloc(bytes);
}

namespace saline::test {

using namespace saline::ipsec;

TEST(Allocation, TheCounterCounts) {
  long before = g_allocations;
  std::unique_ptr<Bytes> bytes = std::make_unique<Bytes>(10);
  EXPECT_GE(g_allocations - before, 2);
  // One AES block: a context of libcrypto's, and nothing of ours.
  before = g_allocations;
  std::array<std::uint8_t, 16> block{};
  crypto::aes_encrypt_block(block, block.data(), block.data());
  EXPECT_GE(g_allocations - before, 1);
}

TEST(Allocation, NoneOnTheDataPath) {
  std::vector<SaSpec> specs;
  for (const crypto::Algorithm& row : crypto::algorithms()) {
    if (row.pfkey_flags != 0) continue;
    SaSpec spec;
    if (row.kind == crypto::Kind::integrity) {
      if (row.icv_bytes == 0) continue;
      spec.integrity = row.name;
      spec.protocol = Protocol::ah;
    } else if (row.kind != crypto::Kind::compression) {
      spec.encryption = row.name;
      spec.integrity = row.is_aead() ? "" : "hmac-sha2-256";
    }
    specs.push_back(spec);
  }
  for (SaSpec& spec : specs) {
    for (Mode mode : {Mode::transport, Mode::tunnel}) {
      spec.mode = mode;
      Host sender;
      Host receiver;
      sender.add(spec);
      receiver.add(spec);
      receiver.add_policy(policy_for({spec}, Direction::in));
      const Policy policy = policy_for({spec});
      const Bytes plain = ip_packet("10.0.0.1", "10.0.0.2", kUdp, udp(700));
      std::vector<std::unique_ptr<Buffer>> buffers;
      for (int i = 0; i < 64; ++i) buffers.push_back(std::make_unique<Buffer>(plain));
      std::vector<OutboundItem> out(64);
      std::vector<InboundItem> in(64);
      for (std::size_t i = 0; i < 64; ++i) {
        out[i].packet = in[i].packet = &buffers[i]->packet();
        out[i].policy = &policy;
      }
      const auto once = [&] {
        sender.processor.outbound(*sender.sad.view().acquire(), out);
        receiver.processor.inbound(*receiver.sad.view().acquire(), in);
        const SpdView& spd = *receiver.spd.view().acquire();
        for (InboundItem& item : in) {
          receiver.processor.check_inbound_policy(spd, *item.packet);
          item.packet->history_count = 0;
        }
      };
      once();
      const long before = g_allocations;
      for (int round = 0; round < 20; ++round) once();
      EXPECT_EQ(g_allocations - before, 0)
          << spec.encryption << ' ' << spec.integrity << " mode " << static_cast<int>(mode);
      EXPECT_EQ(receiver.processor.counters().inbound_passed.get(), 64u * 21);
    }
  }
}

TEST(Allocation, NoneForRefusedPackets) {
  Host host;
  SaSpec spec;
  spec.encryption = "aes-gcm-16";
  spec.integrity = "";
  host.add(spec);
  Bytes bad = protect_with(spec, ip_packet("10.0.0.1", "10.0.0.2", kUdp, udp(100)));
  bad.back() ^= 1;
  Buffer buffer(bad);
  InboundItem item;
  item.packet = &buffer.packet();
  const SadView& sad = *host.sad.view().acquire();
  host.processor.inbound(sad, {&item, 1});
  const long before = g_allocations;
  for (int i = 0; i < 100; ++i) host.processor.inbound(sad, {&item, 1});
  EXPECT_EQ(g_allocations - before, 0);
  EXPECT_EQ(item.reason, hw::DropReason::icv);
}

}  // namespace saline::test
