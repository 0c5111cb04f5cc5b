// The register walk over the generated table, the table window and the counter window, through the
// card's AXI4-Lite port; and that the packed structs of the RTL see each field of a record where
// the C++ encoding put it.
#include <gtest/gtest.h>

#include "tests/sim/shell_rig.hpp"

namespace saline::sim {
namespace {

using hw::Access;

constexpr std::uint32_t kPattern = 0xA5C3'0F69;

// Words whose value moves by itself.
bool moves(const hw::Register& r) {
  return r.offset == hw::reg::cycles_low || r.offset == hw::reg::cycles_high ||
         r.offset == hw::reg::status;
}

TEST(Registers, HaveTheirResetValues) {
  Rig rig;
  for (const auto& r : hw::kRegisters) {
    if (!r.reset || moves(r)) continue;
    EXPECT_EQ(rig.card.read32(r.offset), *r.reset) << r.name;
  }
}

TEST(Registers, TellTheBuildsSizes) {
  Rig rig;
  for (const auto& r : hw::kRegisters) {
    if (!r.reset) {
      EXPECT_NE(rig.card.read32(r.offset), 0u) << r.name;
    }
  }
  EXPECT_EQ(rig.card.read32(hw::reg::caps_sa_slots), 256u);
  EXPECT_EQ(rig.card.read32(hw::reg::caps_suites), 0b110u);
  EXPECT_TRUE(std::has_single_bit(rig.card.read32(hw::reg::caps_lookup)));
}

TEST(Registers, KeepWhatIsWrittenWhenWritableAndOnlyThen) {
  Rig rig;
  for (const auto& r : hw::kRegisters) {
    if (moves(r)) continue;
    const std::uint32_t before = rig.card.read32(r.offset);
    // Bit 0 of control would start rings nobody has set up.
    const std::uint32_t value = r.offset == hw::reg::control ? kPattern & ~1u : kPattern;
    if (r.access == Access::wo) continue;
    rig.card.write32(r.offset, value);
    EXPECT_EQ(rig.card.read32(r.offset), r.access == Access::rw ? value : before) << r.name;
    // And nothing else moved with it.
    for (const auto& other : hw::kRegisters) {
      if (other.offset == r.offset || moves(other) || !other.reset) continue;
      EXPECT_EQ(rig.card.read32(other.offset), *other.reset) << other.name << " by " << r.name;
    }
    if (r.access == Access::rw) rig.card.write32(r.offset, r.reset.value_or(0));
  }
}

TEST(Registers, ReadZeroWhenWriteOnlyOrUnknown) {
  Rig rig;
  std::set<std::uint32_t> known;
  for (const auto& r : hw::kRegisters) {
    known.insert(r.offset);
    if (r.access == Access::wo) {
      EXPECT_EQ(rig.card.read32(r.offset), 0u) << r.name;
    }
  }
  for (std::uint32_t offset = 0; offset < 0x1000; offset += 4) {
    if (known.contains(offset)) continue;
    rig.card.write32(offset, kPattern);
    EXPECT_EQ(rig.card.read32(offset), 0u) << offset;
  }
  EXPECT_EQ(rig.card.read32(hw::reg::scratch), 0u);
}

TEST(Registers, CountClockCyclesWithALatchedHighHalf) {
  Rig rig;
  const std::uint32_t first = rig.card.read32(hw::reg::cycles_low);
  const std::uint64_t between = rig.card.cycles();
  for (int i = 0; i < 100; ++i) rig.card.step();
  const std::uint32_t second = rig.card.read32(hw::reg::cycles_low);
  EXPECT_GE(second - first, 100u);
  EXPECT_LE(second - first, rig.card.cycles() - between + 8);
  EXPECT_EQ(rig.card.read32(hw::reg::cycles_high), 0u);
}

TEST(Registers, SurviveStalledBuses) {
  for (std::uint64_t seed = 1; seed < 10; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Rig rig({.stall_percent = 60, .stall_seed = seed});
    rig.card.write32(hw::reg::scratch, kPattern);
    EXPECT_EQ(rig.card.read32(hw::reg::scratch), kPattern);
    EXPECT_EQ(rig.card.read32(hw::reg::id), 0x53414C4Eu);
  }
}

TEST(Registers, TurningOffClearsTheDriversCounts) {
  Rig rig;
  rig.card.write32(hw::reg::tx_tail, 5);
  rig.card.write32(hw::reg::rx_tail, 6);
  rig.card.write32(hw::reg::event_head, 7);
  rig.card.write32(hw::reg::control, 2);
  EXPECT_EQ(rig.card.read32(hw::reg::tx_tail), 0u);
  EXPECT_EQ(rig.card.read32(hw::reg::rx_tail), 0u);
  EXPECT_EQ(rig.card.read32(hw::reg::event_head), 0u);
  EXPECT_EQ(rig.card.read32(hw::reg::control), 2u);
}

// ---- Table window

template <std::size_t N>
void stage(Rig& rig, const std::array<std::uint8_t, N>& record) {
  for (std::size_t i = 0; i < N; i += 4) {
    rig.card.write32(hw::reg::table_data, std::uint32_t{record[i]} << 24 |
                                              std::uint32_t{record[i + 1]} << 16 |
                                              std::uint32_t{record[i + 2]} << 8 | record[i + 3]);
  }
}

template <std::size_t N>
void commit(Rig& rig, hw::Table table, std::uint32_t index,
            const std::array<std::uint8_t, N>& record, hw::TableOp op = hw::TableOp::install) {
  stage(rig, record);
  rig.card.write32(hw::reg::table_select, static_cast<std::uint32_t>(table));
  rig.card.write32(hw::reg::table_index, index);
  rig.card.write32(hw::reg::table_commit, static_cast<std::uint32_t>(op));
  for (int i = 0; i < 1000 && rig.card.read32(hw::reg::table_busy) != 0; ++i) {
  }
  ASSERT_EQ(rig.card.read32(hw::reg::table_busy), 0u);
}

// A field as the RTL's struct sees it, as 64 bytes, right aligned.
std::array<std::uint8_t, 64> field(Rig& rig, hw::Table table, std::uint32_t number) {
  const auto words =
      rig.snapshot(hw::CountBank::egress_sa, 64 * static_cast<std::uint32_t>(table) + number);
  std::array<std::uint8_t, 64> bytes{};
  for (std::size_t i = 0; i < 64; ++i) {
    bytes[i] = static_cast<std::uint8_t>(words[i / 4] >> (24 - 8 * (i % 4)));
  }
  return bytes;
}

template <class T>
std::array<std::uint8_t, 64> right_aligned(const T& value) {
  std::array<std::uint8_t, 64> bytes{};
  if constexpr (std::is_integral_v<T>) {
    const std::uint64_t number = value;
    for (std::size_t i = 0; i < 8; ++i) bytes[63 - i] = static_cast<std::uint8_t>(number >> 8 * i);
  } else {
    std::copy(value.begin(), value.end(), bytes.end() - static_cast<std::ptrdiff_t>(value.size()));
  }
  return bytes;
}

template <std::size_t N>
std::array<std::uint8_t, N> noise(std::mt19937_64& random) {
  std::array<std::uint8_t, N> bytes{};
  for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
  return bytes;
}

TEST(TableWindow, RtlSeesEachFieldOfASaContext) {
  std::mt19937_64 random(2026);
  Rig rig;
  for (int round = 0; round < 8; ++round) {
    const auto sa = hw::decode_sa_context(noise<hw::SaContext::kBytes>(random));
    commit(rig, hw::Table::egress_sa, 3, sa.encode());
    std::uint32_t n = 0;
    const auto same = [&](const auto& value, const char* name) {
      EXPECT_EQ(field(rig, hw::Table::egress_sa, n++), right_aligned(value)) << name;
    };
    same(sa.valid, "valid");
    same(sa.tunnel, "tunnel");
    same(sa.outer_ipv6, "outer_ipv6");
    same(sa.esn, "esn");
    same(sa.deliver_failed, "deliver_failed");
    same(sa.verify_outer, "verify_outer");
    same(sa.copy_dscp, "copy_dscp");
    same(sa.copy_flow_label, "copy_flow_label");
    same(sa.suite, "suite");
    same(sa.replay_words, "replay_words");
    same(sa.df_mode, "df_mode");
    same(sa.ecn_copy, "ecn_copy");
    same(sa.spi, "spi");
    same(sa.salt, "salt");
    same(sa.hop_limit, "hop_limit");
    same(sa.traffic_class, "traffic_class");
    same(sa.flow_label, "flow_label");
    same(sa.sa_tag, "sa_tag");
    same(sa.source, "source");
    same(sa.destination, "destination");
    same(sa.iv_base, "iv_base");
    same(sa.sequence_number, "sequence_number");
    same(sa.packets_soft, "packets_soft");
    same(sa.packets_hard, "packets_hard");
    same(sa.bytes_soft, "bytes_soft");
    same(sa.bytes_hard, "bytes_hard");
    same(sa.key, "key");
    same(sa.hash_powers, "hash_powers");
  }
}

TEST(TableWindow, RtlSeesEachFieldOfALookupEntryAndAPolicy) {
  std::mt19937_64 random(2027);
  Rig rig;
  for (int round = 0; round < 8; ++round) {
    std::uint32_t n = 0;
    hw::Table table = hw::Table::lookup;
    const auto same = [&](const auto& value, const char* name) {
      EXPECT_EQ(field(rig, table, n++), right_aligned(value)) << name;
    };
    const auto entry = hw::decode_lookup_entry(noise<hw::LookupEntry::kBytes>(random));
    commit(rig, table, 9, entry.encode());
    same(entry.valid, "valid");
    same(entry.ipv6, "ipv6");
    same(entry.any_destination, "any_destination");
    same(entry.protocol, "protocol");
    same(entry.sa_index, "sa_index");
    same(entry.spi, "spi");
    same(entry.destination, "destination");

    n = 0;
    table = hw::Table::policy;
    const auto policy = hw::decode_policy_entry(noise<hw::PolicyEntry::kBytes>(random));
    commit(rig, table, 1, policy.encode());
    same(policy.valid, "valid");
    same(policy.ipv6, "ipv6");
    same(policy.any_protocol, "any_protocol");
    same(policy.any_port, "any_port");
    same(policy.action, "action");
    same(policy.protocol, "protocol");
    same(policy.sa_index, "sa_index");
    same(policy.source_port_min, "source_port_min");
    same(policy.source_port_max, "source_port_max");
    same(policy.destination_port_min, "destination_port_min");
    same(policy.destination_port_max, "destination_port_max");
    same(policy.source, "source");
    same(policy.source_mask, "source_mask");
    same(policy.destination, "destination");
    same(policy.destination_mask, "destination_mask");
  }
}

TEST(TableWindow, CommitNamesTableOperationAndIndexAndWipesTheStagedRecord) {
  Rig rig;
  hw::SaContext sa;
  sa.key.fill(0xEE);
  commit(rig, hw::Table::ingress_sa, 0x1234, sa.encode(), hw::TableOp::update);
  EXPECT_EQ(rig.snapshot(hw::CountBank::ingress_sa, 0)[15], 0x0101'1234u);
  // Nothing was staged anew: the next commit carries zeros.
  commit(rig, hw::Table::egress_sa, 1, std::array<std::uint8_t, 0>{});
  EXPECT_EQ(field(rig, hw::Table::egress_sa, 26), right_aligned(std::array<std::uint8_t, 32>{}));
}

TEST(TableWindow, RefusesAnIndexNoTableCanHave) {
  Rig rig;
  commit(rig, hw::Table::ingress_sa, 7, hw::SaContext{}.encode());
  commit(rig, hw::Table::ingress_sa, 0x1'0008, hw::SaContext{}.encode());
  EXPECT_EQ(rig.snapshot(hw::CountBank::ingress_sa, 0)[15], 0x0100'0007u);
}

TEST(TableWindow, IgnoresWordsAndCommitsWhileBusy) {
  Rig rig;
  hw::SaContext sa;
  sa.spi = 0x01020304;
  stage(rig, sa.encode());
  rig.card.write32(hw::reg::table_index, 5);
  rig.card.write32(hw::reg::table_commit, 0);
  ASSERT_EQ(rig.card.read32(hw::reg::table_busy), 1u);  // the stand-in takes 64 clocks
  rig.card.write32(hw::reg::table_data, kPattern);
  rig.card.write32(hw::reg::table_index, 6);
  rig.card.write32(hw::reg::table_commit, 2);
  while (rig.card.read32(hw::reg::table_busy) != 0) {
  }
  EXPECT_EQ(field(rig, hw::Table::egress_sa, 12), right_aligned(sa.spi));
  EXPECT_EQ(rig.snapshot(hw::CountBank::ingress_sa, 0)[15], 5u);
}

}  // namespace
}  // namespace saline::sim
