// The whole card inside the process, through the transport library and nothing but registers, rings
// and records: what is sent protected comes back from a looped MAC decrypted, and a card given
// wrong addresses or options says so.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "driver/gcm_powers.hpp"
#include "driver/transport.hpp"
#include "host/base/error.hpp"
#include "hw/interface/saline_hw.hpp"

namespace saline::sim {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::uint32_t kSpi = 0xCAFE'0001;
constexpr std::uint16_t kEgressSlot = 3, kIngressSlot = 5, kEgressTag = 77, kIngressTag = 88;
constexpr std::array<std::uint8_t, 4> kOuterSource = {192, 0, 2, 1}, kOuterPeer = {192, 0, 2, 2};

// Rings of four entries in one piece of memory.
class ModelCard : public testing::Test {
 protected:
  static constexpr std::size_t kTx = 0, kRx = 4096, kDone = 8192, kHead = 12288;

  ModelCard() : card(driver::open_transport("model", {{"mac", "loopback"}})) {
    rings = card->allocate(16384);
    set64(hw::reg::tx_base_low, kTx);
    set64(hw::reg::tx_head_low, kHead);
    set64(hw::reg::rx_base_low, kRx);
    set64(hw::reg::rx_done_low, kDone);
    card->write32(hw::reg::tx_size_log2, 2);
    card->write32(hw::reg::rx_size_log2, 2);
    card->write32(hw::reg::control, 1);
  }

  void set64(std::uint32_t low, std::size_t offset) {
    const std::uint64_t address = rings->device_address() + offset;
    card->write32(low, static_cast<std::uint32_t>(address));
    card->write32(low + 4, static_cast<std::uint32_t>(address >> 32));
  }

  template <std::size_t N>
  void install(hw::Table table, std::uint32_t index, const std::array<std::uint8_t, N>& record) {
    for (std::size_t i = 0; i < N; i += 4) {
      std::uint32_t word = 0;
      for (std::size_t k = 0; k < 4; ++k) word = word << 8 | record[i + k];
      card->write32(hw::reg::table_data, word);
    }
    card->write32(hw::reg::table_select, static_cast<std::uint32_t>(table));
    card->write32(hw::reg::table_index, index);
    card->write32(hw::reg::table_commit, static_cast<std::uint32_t>(hw::TableOp::install));
    for (int i = 0; i < 1000 && card->read32(hw::reg::table_busy) != 0; ++i) {
    }
    ASSERT_EQ(card->read32(hw::reg::table_busy), 0u);
  }

  // The same SA on both sides of the loop.
  void install_pair(bool tunnel, hw::Suite suite, bool esn) {
    hw::SaContext sa;
    sa.valid = true;
    sa.tunnel = tunnel;
    sa.esn = esn;
    sa.suite = static_cast<std::uint8_t>(suite);
    sa.spi = kSpi;
    sa.salt = 0x01020304;
    sa.hop_limit = 64;
    std::copy(kOuterSource.begin(), kOuterSource.end(), sa.source.begin());
    std::copy(kOuterPeer.begin(), kOuterPeer.end(), sa.destination.begin());
    sa.iv_base = 0x1122'3344'5566'7788;
    const std::size_t key_bytes = suite == hw::Suite::aes_gcm_128_16 ? 16 : 32;
    for (std::size_t i = 0; i < key_bytes; ++i) sa.key[i] = static_cast<std::uint8_t>(17 * i + 3);
    sa.hash_powers = driver::gcm_hash_powers({sa.key.data(), key_bytes});
    sa.sa_tag = kEgressTag;
    install(hw::Table::egress_sa, kEgressSlot, sa.encode());
    sa.sa_tag = kIngressTag;
    sa.replay_words = 2;
    install(hw::Table::ingress_sa, kIngressSlot, sa.encode());

    hw::LookupEntry entry;
    entry.valid = true;
    entry.protocol = 50;
    entry.sa_index = kIngressSlot;
    entry.spi = kSpi;
    const std::array<std::uint8_t, 4> peer =
        tunnel ? kOuterPeer : std::array<std::uint8_t, 4>{10, 0, 0, 2};
    std::copy(peer.begin(), peer.end(), entry.destination.begin());
    const std::uint32_t bucket = (kSpi ^ 50u) & (card->read32(hw::reg::caps_lookup) - 1);
    install(hw::Table::lookup, bucket * hw::kLookupWays, entry.encode());
  }

  void post_buffer(Bytes& buffer) {
    const auto bytes = hw::RxDescriptor{.address = reinterpret_cast<std::uint64_t>(buffer.data()),
                                        .bytes = static_cast<std::uint16_t>(buffer.size())}
                           .encode();
    put(kRx + 32 * (rx_posted++ % 4), bytes);
    card->write32(hw::reg::rx_tail, rx_posted);
  }

  void send(hw::TxDescriptor descriptor, const Bytes& frame) {
    descriptor.address = reinterpret_cast<std::uint64_t>(frame.data());
    descriptor.bytes = static_cast<std::uint16_t>(frame.size());
    put(kTx + 32 * (tx_posted++ % 4), descriptor.encode());
    card->write32(hw::reg::tx_tail, tx_posted);
  }

  void put(std::size_t offset, std::span<const std::uint8_t> bytes) {
    std::copy(bytes.begin(), bytes.end(), rings->host().begin() + static_cast<long>(offset));
    rings->to_device(offset, bytes.size());
  }

  // The next completion; a card that gives none fails the test.
  hw::RxCompletion completion() {
    hw::RxCompletion out;
    for (int i = 0; i < 1000; ++i) {
      const auto slot = rings->host().subspan(kDone + 32 * (rx_taken % 4)).first<32>();
      out = hw::decode_rx_completion(slot);
      if (out.phase == (rx_taken / 4 % 2 != 0 ? 2 : 1)) {
        ++rx_taken;
        return out;
      }
      card->progress();
    }
    ADD_FAILURE() << "no completion";
    return {};
  }

  std::uint64_t count(hw::CountBank bank, std::uint32_t index) {
    card->write32(hw::reg::count_select, static_cast<std::uint32_t>(bank));
    card->write32(hw::reg::count_index, index);
    const std::uint64_t high = card->read32(hw::reg::count_data);
    return high << 32 | card->read32(hw::reg::count_data);
  }

  std::unique_ptr<driver::Transport> card;
  std::unique_ptr<driver::DmaMemory> rings;
  std::uint32_t tx_posted = 0, rx_posted = 0, rx_taken = 0;
};

// Ethernet, IPv4 without options, UDP with a payload of `payload` bytes.
Bytes udp_frame(std::size_t payload) {
  Bytes frame = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0};
  const std::size_t total = 28 + payload;
  Bytes ip = {0x45,
              0,
              static_cast<std::uint8_t>(total >> 8),
              static_cast<std::uint8_t>(total),
              0,
              1,
              0x40,
              0,
              64,
              17,
              0,
              0,
              10,
              0,
              0,
              1,
              10,
              0,
              0,
              2};
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < ip.size(); i += 2) sum += ip[i] * 256u + ip[i + 1];
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  ip[10] = static_cast<std::uint8_t>(~sum >> 8);
  ip[11] = static_cast<std::uint8_t>(~sum);
  frame.insert(frame.end(), ip.begin(), ip.end());
  const std::size_t udp = 8 + payload;
  const Bytes head = {
      0x12, 0x34, 0x56, 0x78, static_cast<std::uint8_t>(udp >> 8), static_cast<std::uint8_t>(udp),
      0,    0};
  frame.insert(frame.end(), head.begin(), head.end());
  for (std::size_t i = 0; i < payload; ++i) frame.push_back(static_cast<std::uint8_t>(i * 7));
  return frame;
}

TEST_F(ModelCard, IsTheCardOfThisInterface) {
  EXPECT_EQ(card->description(), "model");
  EXPECT_TRUE(card->addresses_process_memory());
  EXPECT_EQ(card->read32(hw::reg::id), 0x53414C4Eu);
  EXPECT_EQ(card->read32(hw::reg::fingerprint), hw::kFingerprint);
  EXPECT_GE(card->read32(hw::reg::caps_sa_slots), 256u);
}

TEST_F(ModelCard, PassesAFrameThatIsSentAsItIs) {
  Bytes buffer(2048);
  post_buffer(buffer);
  const Bytes frame = udp_frame(100);
  send({}, frame);
  const hw::RxCompletion done = completion();
  EXPECT_EQ(done.reason, 0);
  EXPECT_FALSE(done.through_sa);
  buffer.resize(done.bytes);
  EXPECT_EQ(buffer, frame);
}

TEST_F(ModelCard, DecryptsWhatItProtected) {
  for (const bool tunnel : {true, false}) {
    for (const hw::Suite suite : {hw::Suite::aes_gcm_128_16, hw::Suite::aes_gcm_256_16}) {
      for (const bool esn : {false, true}) {
        install_pair(tunnel, suite, esn);
        std::uint64_t number = 0;
        for (const std::size_t payload : {1, 18, 22, 100, 1400, 8000}) {
          SCOPED_TRACE(std::string(tunnel ? "tunnel " : "transport ") + hw::to_string(suite) +
                       (esn ? " esn " : " ") + std::to_string(payload));
          Bytes buffer(16000);
          post_buffer(buffer);
          const Bytes frame = udp_frame(payload);
          send({.protect = true, .sa_index = kEgressSlot, .sa_tag = kEgressTag}, frame);
          const hw::RxCompletion done = completion();
          ASSERT_EQ(done.reason, 0);
          EXPECT_TRUE(done.through_sa);
          EXPECT_EQ(done.tunnel, tunnel);
          EXPECT_EQ(done.sa_index, kIngressSlot);
          EXPECT_EQ(done.sa_tag, kIngressTag);
          EXPECT_EQ(done.spi, kSpi);
          EXPECT_EQ(done.sequence_number, ++number);
          buffer.resize(done.bytes);
          EXPECT_EQ(buffer, frame);
        }
      }
    }
  }
}

TEST_F(ModelCard, RefusesADescriptorForAnSaThatIsGone) {
  install_pair(true, hw::Suite::aes_gcm_128_16, false);
  const Bytes frame = udp_frame(100);
  send({.protect = true, .sa_index = kEgressSlot, .sa_tag = kEgressTag + 1}, frame);
  card->progress();
  EXPECT_EQ(
      count(hw::CountBank::egress_reasons, static_cast<std::uint32_t>(hw::DropReason::stale_sa)),
      1u);
  EXPECT_EQ(count(hw::CountBank::port, static_cast<std::uint32_t>(hw::PortCount::tx_packets)), 0u);
}

TEST_F(ModelCard, SurvivesADescriptorThatPointsNowhere) {
  put(kTx, hw::TxDescriptor{.address = 0x10, .bytes = 100}.encode());
  card->write32(hw::reg::tx_tail, ++tx_posted);
  card->progress();
  EXPECT_EQ(count(hw::CountBank::egress_reasons, static_cast<std::uint32_t>(hw::DropReason::dma)),
            1u);
  EXPECT_EQ(card->read32(hw::reg::status) & 1, 1u);
}

TEST(Model, RefusesOptionsItDoesNotKnow) {
  const auto refused = [](const driver::Options& options) {
    try {
      driver::open_transport("model", options);
    } catch (const base::Error& error) {
      return error.errno_value();
    }
    return 0;
  };
  EXPECT_EQ(refused({{"colour", "blue"}}), EINVAL);
  EXPECT_EQ(refused({{"mac", "cable"}}), EINVAL);
  EXPECT_EQ(refused({{"mac", "none"}}), 0);
}

}  // namespace
}  // namespace saline::sim
