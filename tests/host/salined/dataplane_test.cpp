// The data plane between two ports made of memory: buffers of every shape, fragments both ways, and
// what the host is told. DPDK runs without hugepages, devices or privileges; skips where it cannot.
#include "host/salined/dataplane.hpp"

#include <gtest/gtest.h>
#include <rte_eal.h>
#include <rte_mbuf.h>
#include <unistd.h>

#include <deque>

#include "host/base/bytes.hpp"
#include "tests/host/ipsec/bed.hpp"

namespace saline::daemon {
namespace {

using hw::DropReason;
using ipsec::kEsp;
using ipsec::kIcmp;
using ipsec::kTcp;
using ipsec::kUdp;
using ipsec::Mode;
using test::Bytes;
using test::ip_packet;
using test::SaSpec;
using test::udp;

constexpr MacAddress kMac = {2, 0, 0, 0, 0, 1};
constexpr MacAddress kPeerMac = {2, 0, 0, 0, 0, 2};

// One pool for all tests: frames of 9216 bytes.
rte_mempool* frames() {
  static rte_mempool* const pool = []() -> rte_mempool* {
    std::vector<std::string> words = {"dataplane_test",
                                      "--no-huge",
                                      "--no-pci",
                                      "--no-shconf",
                                      "--no-telemetry",
                                      "--iova-mode=va",
                                      "-m",
                                      "64",
                                      "--file-prefix=dataplane-test-" + std::to_string(::getpid())};
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    if (rte_eal_init(static_cast<int>(argv.size()), argv.data()) < 0) return nullptr;
    return rte_pktmbuf_pool_create("frames", 1023, 0, 0,
                                   RTE_PKTMBUF_HEADROOM + 9216 + 18 + kFrameSlack, SOCKET_ID_ANY);
  }();
  return pool;
}

rte_mbuf* one_buffer(std::span<const std::uint8_t> bytes) {
  rte_mbuf* buffer = rte_pktmbuf_alloc(frames());
  std::memcpy(rte_pktmbuf_append(buffer, static_cast<std::uint16_t>(bytes.size())), bytes.data(),
              bytes.size());
  return buffer;
}

rte_mbuf* chain(const Bytes& bytes, std::initializer_list<std::size_t> cuts) {
  rte_mbuf* first = nullptr;
  std::size_t from = 0;
  std::vector<std::size_t> ends(cuts);
  ends.push_back(bytes.size());
  for (const std::size_t end : ends) {
    rte_mbuf* next = one_buffer(std::span(bytes).subspan(from, end - from));
    if (first == nullptr)
      first = next;
    else
      rte_pktmbuf_chain(first, next);
    from = end;
  }
  return first;
}

class MemoryPort : public Port {
 public:
  MemoryPort(std::uint16_t mtu, std::uint32_t frame_max) : mtu_(mtu), frame_max_(frame_max) {}
  ~MemoryPort() override {
    for (rte_mbuf* frame : waiting) rte_pktmbuf_free(frame);
  }
  const std::string& name() const noexcept override { return name_; }
  MacAddress mac() const noexcept override { return kMac; }
  std::uint16_t mtu() const noexcept override { return mtu_; }
  std::uint32_t frame_max() const noexcept override { return frame_max_; }
  std::size_t receive(std::span<rte_mbuf*> into) noexcept override {
    std::size_t count = 0;
    for (; count < into.size() && !waiting.empty(); waiting.pop_front())
      into[count++] = waiting.front();
    return count;
  }
  std::size_t send(std::span<rte_mbuf*> from) noexcept override {
    for (rte_mbuf* frame : from) {
      Bytes bytes(frame->pkt_len);
      for (std::size_t i = 0; i < bytes.size(); i += 4096) {
        const auto count =
            static_cast<std::uint32_t>(std::min<std::size_t>(4096, bytes.size() - i));
        Bytes room(count);
        const void* at = rte_pktmbuf_read(frame, static_cast<std::uint32_t>(i), count, room.data());
        std::memcpy(&bytes[i], at, count);
      }
      sent.push_back(std::move(bytes));
      rte_pktmbuf_free(frame);
    }
    return from.size();
  }

  std::deque<rte_mbuf*> waiting;
  std::vector<Bytes> sent;

 private:
  std::string name_ = "memory";
  std::uint16_t mtu_;
  std::uint32_t frame_max_;
};

Bytes framed(const Bytes& packet) {
  Bytes frame(14 + packet.size());
  std::copy(kMac.begin(), kMac.end(), frame.begin());
  std::copy(kPeerMac.begin(), kPeerMac.end(), frame.begin() + 6);
  base::store16(&frame[12], packet[0] >> 4 == 4 ? 0x0800 : 0x86dd);
  std::copy(packet.begin(), packet.end(), frame.begin() + 14);
  return frame;
}

Bytes packet_of(const Bytes& frame) { return {frame.begin() + 14, frame.end()}; }

Bytes with_df(Bytes packet) {
  packet[6] = 0x40;
  base::store16(&packet[10], ipsec::ipv4_header_checksum(std::span(packet).first(20)));
  return packet;
}

SaSpec transport(const char* source, const char* destination, std::uint32_t spi) {
  SaSpec spec;
  spec.source = source;
  spec.destination = destination;
  spec.spi = spi;
  spec.window = 0;  // the same packet again and again
  return spec;
}

// 10.0.0.1, with an SA to 10.0.0.2 and one back, both in `host`'s databases.
class DataplaneTest : public testing::Test {
 protected:
  void SetUp() override {
    if (frames() == nullptr) GTEST_SKIP() << "DPDK does not start here";
    at_rest_ = rte_mempool_avail_count(frames());
  }
  void TearDown() override {
    plane_.reset();
    host_.reset();
    wire_.reset();
    if (frames() != nullptr) {
      EXPECT_EQ(rte_mempool_avail_count(frames()), at_rest_) << "buffers were lost";
    }
  }

  Dataplane& start(std::uint16_t wire_mtu = 1500, std::uint16_t host_mtu = 1500) {
    bed.sad.publish();
    bed.spd.publish();
    host_ = std::make_unique<MemoryPort>(host_mtu, 65535);
    wire_ = std::make_unique<MemoryPort>(wire_mtu, wire_mtu + 14u);
    auto hops = std::make_unique<NextHopView>();
    for (const char* text : {"192.0.2.2", "2001:db8::2"}) (*hops)[test::address(text)] = kPeerMac;
    hops_.publish(std::move(hops));
    local_.publish(std::make_unique<ipsec::LocalAddresses>(std::vector<base::Address>{
        test::address("10.0.0.1"), test::address("192.0.2.1"), test::address("fd00::1")}));
    plane_ = std::make_unique<Dataplane>(
        DataplaneParts{*host_, *wire_, *frames(), bed.sad, bed.spd, *bed.provider, nullptr, hops_,
                       local_, settings, [] { return std::uint64_t{1000}; }, std::nullopt});
    return *plane_;
  }

  // The frames that come out of the host port for these from the wire, and the reverse.
  std::vector<Bytes> from_wire(std::initializer_list<rte_mbuf*> buffers) {
    wire_->waiting.assign(buffers);
    return run(*host_);
  }
  std::vector<Bytes> from_host(std::initializer_list<rte_mbuf*> buffers) {
    host_->waiting.assign(buffers);
    return run(*wire_);
  }
  std::vector<Bytes> run(MemoryPort& out) {
    while (plane_->turn()) {
    }
    return std::exchange(out.sent, {});
  }
  std::uint64_t inbound_drops(DropReason reason) const {
    return plane_->inbound().refused[static_cast<std::size_t>(reason)].get() +
           plane_->processor_counters().inbound_refused[static_cast<std::size_t>(reason)].get();
  }

  test::Host bed;
  ipsec::Settings settings;
  std::unique_ptr<MemoryPort> host_, wire_;
  std::unique_ptr<Dataplane> plane_;
  base::Snapshot<NextHopView> hops_{std::make_unique<NextHopView>()};
  base::Snapshot<ipsec::LocalAddresses> local_{std::make_unique<ipsec::LocalAddresses>()};
  unsigned at_rest_ = 0;
};

const SaSpec kIn = transport("10.0.0.2", "10.0.0.1", 0x1001);
const SaSpec kOut = transport("10.0.0.1", "10.0.0.2", 0x1002);

std::vector<Bytes> split(const Bytes& packet, std::uint32_t mtu, std::uint32_t id = 5) {
  ipsec::Splitter splitter;
  std::vector<Bytes> pieces;
  EXPECT_TRUE(splitter.start(packet, mtu, id));
  Bytes buffer(65536);
  while (const std::uint32_t bytes = splitter.next(buffer))
    pieces.emplace_back(buffer.begin(), buffer.begin() + bytes);
  return pieces;
}

TEST_F(DataplaneTest, A19_ABufferCutAnywhereGivesTheSamePacket) {
  bed.add(kIn);
  start();
  const Bytes plain = ip_packet("10.0.0.2", "10.0.0.1", kUdp, udp(61));
  const Bytes wire = framed(test::protect_with(kIn, plain));
  const std::vector<Bytes> whole = from_wire({one_buffer(wire)});
  ASSERT_EQ(whole.size(), 1u);
  EXPECT_EQ(packet_of(whole[0]), plain);
  for (std::size_t cut = 1; cut < wire.size(); ++cut)  // IV, trailer, ICV, headers: everywhere
    ASSERT_EQ(from_wire({chain(wire, {cut})}), whole) << cut;
  EXPECT_EQ(from_wire({chain(wire, {14, 34, 42, 58, wire.size() - 12})}), whole);
  EXPECT_EQ(plane_->inbound().copied.get(), wire.size());
}

TEST_F(DataplaneTest, A19_SizesFromOneByteToAJumboFrame) {
  bed.add(kIn);
  start(9216, 9216);
  for (const std::size_t bytes : {0u, 1u, 2u, 1400u, 4000u, 9000u}) {
    const Bytes plain = ip_packet("10.0.0.2", "10.0.0.1", kUdp, udp(bytes));
    const Bytes wire = framed(test::protect_with(kIn, plain));
    for (const bool chained : {false, true}) {
      const auto out =
          from_wire({chained ? chain(wire, {wire.size() / 3, wire.size() / 2}) : one_buffer(wire)});
      ASSERT_EQ(out.size(), 1u) << bytes;
      EXPECT_EQ(packet_of(out[0]), plain) << bytes;
    }
  }
}

TEST_F(DataplaneTest, A19_OutboundFromChains) {
  bed.add(kOut);
  bed.add_policy(test::policy_for({kOut}));
  start();
  const Bytes plain = ip_packet("10.0.0.1", "10.0.0.2", kUdp, udp(700));
  const Bytes frame = framed(plain);
  for (std::size_t cut = 1; cut < frame.size(); cut += 13) {
    const auto out = from_host({chain(frame, {cut})});
    ASSERT_EQ(out.size(), 1u);
    test::Host peer;
    peer.add(kOut);
    test::Buffer buffer(packet_of(out[0]));
    ASSERT_EQ(peer.open(buffer).reason, DropReason::none);
    EXPECT_EQ(buffer.bytes(), plain);
  }
}

TEST_F(DataplaneTest, A20_SharedBuffersAreCopiedAndStayAsTheyWere) {
  bed.add(kIn);
  start();
  const Bytes plain = ip_packet("10.0.0.2", "10.0.0.1", kUdp, udp(300));
  const Bytes wire = framed(test::protect_with(kIn, plain));
  rte_mbuf* original = one_buffer(wire);
  const auto bytes_of = [](const rte_mbuf* buffer) {
    const auto* data = rte_pktmbuf_mtod(buffer, const std::uint8_t*);
    return Bytes(data, data + buffer->data_len);
  };
  rte_mbuf_refcnt_update(original, 1);
  auto out = from_wire({original});
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(packet_of(out[0]), plain);
  EXPECT_EQ(bytes_of(original), wire) << "somebody else still reads it";

  rte_mbuf* indirect = rte_pktmbuf_clone(original, frames());
  out = from_wire({indirect});
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(packet_of(out[0]), plain);
  EXPECT_EQ(bytes_of(original), wire) << "nor through a clone";
  rte_pktmbuf_free(original);
  EXPECT_EQ(plane_->inbound().copied.get(), 2u);
}

TEST_F(DataplaneTest, A15_OuterFragmentsArePutTogetherFirst) {
  bed.add(kIn);
  start();
  const Bytes plain = ip_packet("10.0.0.2", "10.0.0.1", kUdp, udp(5000));
  const auto pieces = split(test::protect_with(kIn, plain), 1500);
  std::vector<Bytes> out;
  for (const Bytes& piece : pieces)
    for (Bytes& frame : from_wire({one_buffer(framed(piece))})) out.push_back(std::move(frame));
  ASSERT_EQ(out.size(), 1u) << "whole: the host takes it";
  EXPECT_EQ(packet_of(out[0]), plain);
}

TEST_F(DataplaneTest, A15_64KilobytesIn45FragmentsInABurst) {
  bed.add(kIn);
  start();
  // Decrypted, the packet is larger than any buffer but still whole for the host.
  const Bytes plain = ip_packet("10.0.0.2", "10.0.0.1", kUdp, udp(65400));
  const auto pieces = split(test::protect_with(kIn, plain), 1500);
  EXPECT_EQ(pieces.size(), 45u);
  for (const Bytes& piece : pieces) wire_->waiting.push_back(one_buffer(framed(piece)));
  const auto out = run(*host_);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(packet_of(out[0]), plain);
}

TEST_F(DataplaneTest, A16_OverlappingOuterFragmentsAreRefused) {
  bed.add(kIn);
  start();
  const auto pieces =
      split(test::protect_with(kIn, ip_packet("10.0.0.2", "10.0.0.1", kUdp, udp(3000))), 1500);
  Bytes forged = pieces[1];
  forged[100] ^= 1;
  const auto out = from_wire({one_buffer(framed(pieces[0])), one_buffer(framed(pieces[1])),
                              one_buffer(framed(forged)), one_buffer(framed(pieces[2]))});
  EXPECT_TRUE(out.empty());
  EXPECT_EQ(inbound_drops(DropReason::reassembly), 2u);
}

TEST_F(DataplaneTest, InnerFragmentsArePutTogetherWhereThePolicyAsksForPorts) {
  SaSpec tunnel = kIn;
  tunnel.mode = Mode::tunnel;
  tunnel.source = "192.0.2.2";
  tunnel.destination = "192.0.2.1";
  bed.add(tunnel);
  ipsec::Policy policy = test::policy_for({tunnel}, ipsec::Direction::in);
  policy.selector.upper_protocol = kUdp;
  policy.selector.destination_port = 2000;
  bed.add_policy(policy);
  settings.ipv4.default_policy = ipsec::Action::discard;
  start();
  const Bytes allowed = ip_packet("10.0.0.2", "10.0.0.1", kUdp, udp(3000));
  const Bytes refused = ip_packet("10.0.0.2", "10.0.0.1", kUdp, udp(3000, 0, 1000, 2001));
  std::vector<Bytes> out;
  for (const Bytes& plain : {allowed, refused})
    for (const Bytes& piece : split(plain, 1400))
      for (Bytes& frame : from_wire({one_buffer(framed(test::protect_with(tunnel, piece)))}))
        out.push_back(packet_of(frame));
  // What came in fragments leaves in fragments: the host's MTU is 1500.
  ASSERT_EQ(out.size(), 3u);
  EXPECT_EQ(out, split(allowed, 1500));
  EXPECT_EQ(inbound_drops(DropReason::policy), 1u);
}

TEST_F(DataplaneTest, D8_DiscardIsSilentUnlessItIsToBeTold) {
  for (const bool told : {false, true}) {
    bed.spd.clear();
    ipsec::Policy policy = test::policy_for({kOut});
    policy.action = ipsec::Action::discard;
    policy.requests.clear();
    bed.add_policy(policy);
    settings.report_discard = told;
    start();
    const Bytes plain = ip_packet("10.0.0.1", "10.0.0.2", kUdp, udp(10));
    EXPECT_TRUE(from_host({one_buffer(framed(plain))}).empty());
    ASSERT_EQ(host_->sent.size(), told ? 1u : 0u);
    if (told) {
      const Bytes icmp = packet_of(host_->sent[0]);
      EXPECT_EQ(icmp[9], kIcmp);
      EXPECT_EQ(icmp[20], 3);
      EXPECT_EQ(icmp[21], 13);
      EXPECT_EQ(Bytes(icmp.begin() + 28, icmp.end()), Bytes(plain.begin(), plain.begin() + 28));
    }
  }
}

TEST_F(DataplaneTest, D8_AnswersAreRateLimited) {
  ipsec::Policy policy = test::policy_for({kOut});
  policy.action = ipsec::Action::discard;
  policy.requests.clear();
  bed.add_policy(policy);
  settings.report_discard = true;
  start();
  const Bytes frame = framed(ip_packet("10.0.0.1", "10.0.0.2", kUdp, udp(10)));
  for (int i = 0; i < 400; ++i) host_->waiting.push_back(one_buffer(frame));
  run(*wire_);
  EXPECT_GE(host_->sent.size(), 50u);
  EXPECT_LT(host_->sent.size(), 400u);
}

SaSpec tunnel_out() {
  SaSpec tunnel = kOut;
  tunnel.mode = Mode::tunnel;
  tunnel.source = "192.0.2.1";
  tunnel.destination = "192.0.2.2";
  tunnel.encryption = "aes-gcm-16";
  tunnel.integrity = "";
  return tunnel;
}

TEST_F(DataplaneTest, D12_DfIsAnsweredWithTheMtuThatFits) {
  bed.add(tunnel_out());
  bed.add_policy(test::policy_for({tunnel_out()}));
  start();
  EXPECT_TRUE(
      from_host({one_buffer(framed(with_df(ip_packet("10.0.0.1", "10.2.0.1", kUdp, udp(1472)))))})
          .empty());
  ASSERT_EQ(host_->sent.size(), 1u);
  const Bytes icmp = packet_of(host_->sent[0]);
  EXPECT_EQ(icmp[20], 3);
  EXPECT_EQ(icmp[21], 4);
  EXPECT_EQ(base::load16(&icmp[26]), 1446u);
}

TEST_F(DataplaneTest, D12_InClearAsARouterWould) {
  start(1500, 9000);
  const Bytes plain = ip_packet("10.0.0.1", "10.0.0.2", kUdp, udp(4000));
  std::vector<Bytes> out;
  for (Bytes& frame : from_host({one_buffer(framed(plain))})) out.push_back(packet_of(frame));
  EXPECT_EQ(out, split(plain, 1500));
  EXPECT_TRUE(from_host({one_buffer(framed(with_df(plain))),
                         one_buffer(framed(ip_packet("fd00::1", "fd00::2", kUdp, udp(4000))))})
                  .empty());
  ASSERT_EQ(host_->sent.size(), 2u);
  EXPECT_EQ(base::load16(&host_->sent[0][14 + 26]), 1500u);
  EXPECT_EQ(host_->sent[1][14 + 40], 2) << "packet too big";
  EXPECT_EQ(base::load32(&host_->sent[1][14 + 44]), 1500u);
}

TEST_F(DataplaneTest, MssIsLoweredToWhatFitsThePath) {
  bed.add(kOut);
  bed.add_policy(test::policy_for({kOut}));
  settings.mss_clamp = 1;
  start();
  Bytes tcp(24);
  tcp[12] = 6 << 4;
  tcp[13] = 2;  // SYN
  tcp[20] = 2;
  tcp[21] = 4;
  base::store16(&tcp[22], 1460);
  test::Host peer;
  peer.add(kOut);
  const auto out = from_host({one_buffer(framed(ip_packet("10.0.0.1", "10.0.0.2", kTcp, tcp)))});
  ASSERT_EQ(out.size(), 1u);
  test::Buffer opened(packet_of(out[0]));
  ASSERT_EQ(peer.open(opened).reason, DropReason::none);
  const std::uint16_t mss = base::load16(&opened.bytes()[42]);
  EXPECT_LT(mss, 1460);
  EXPECT_GE(mss, 1360);
}

// What the peer makes of fragments in order; empty until all are there.
class PeerReassembly {
 public:
  void add(const Bytes& packet) {
    ipsec::Headers headers;
    ASSERT_TRUE(ipsec::parse_headers(packet, headers));
    std::uint32_t length = 0;
    if (reassembly_.add(packet, headers, 0, 0, buffer_, length) == ipsec::Reassembly::Result::whole)
      whole.assign(buffer_.begin(), buffer_.begin() + length);
  }
  Bytes whole;

 private:
  ipsec::Reassembly reassembly_{{.datagrams = 8, .blocks = 64}};
  Bytes buffer_ = Bytes(ipsec::Reassembly::kWholeMax);
};

class Fragmenting : public DataplaneTest, public testing::WithParamInterface<bool> {};
INSTANTIATE_TEST_SUITE_P(BeforeAndAfter, Fragmenting, testing::Bool());

TEST_P(Fragmenting, D12_BringsTheSamePacket) {
  const Bytes plain = ip_packet("10.0.0.1", "10.2.0.1", kUdp, udp(8000));
  const bool after = GetParam();
  bed.add(tunnel_out());
  bed.add_policy(test::policy_for({tunnel_out()}));
  settings.fragment_after = after;
  start(1500, 9000);
  const auto out = from_host({one_buffer(framed(plain))});
  ASSERT_GE(out.size(), 6u);
  test::Host peer;
  peer.add(tunnel_out());
  PeerReassembly fragments;
  for (const Bytes& frame : out) {
    EXPECT_LE(frame.size(), 1514u);
    EXPECT_EQ(Bytes(frame.begin(), frame.begin() + 6), Bytes(kPeerMac.begin(), kPeerMac.end()));
    test::Buffer opened(packet_of(frame));
    if (!after) {
      ASSERT_EQ(peer.open(opened).reason, DropReason::none);
    }
    fragments.add(opened.bytes());
  }
  ASSERT_FALSE(fragments.whole.empty());
  test::Buffer opened(fragments.whole);
  if (after) {
    ASSERT_EQ(peer.open(opened).reason, DropReason::none);
  }
  EXPECT_EQ(opened.bytes(), plain);
  EXPECT_EQ(plane_->outbound().fragmented.get(), 1u);
}

TEST_F(DataplaneTest, D9_AReportFromTheHostSideIsNotBelieved) {
  settings.ipv4.df_bit = ipsec::DfBit::set;
  auto sa = bed.add(tunnel_out());
  bed.add_policy(test::policy_for({tunnel_out()}));
  start();
  const auto sent =
      from_host({one_buffer(framed(ip_packet("10.0.0.1", "10.2.0.1", kUdp, udp(900))))});
  ASSERT_EQ(sent.size(), 1u);
  Bytes message = {3, 4, 0, 0, 0, 0, 0x04, 0xB0};
  const Bytes quoted = packet_of(sent[0]);
  for (std::size_t i = 0; i < 60; ++i) message.push_back(quoted[i]);
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < message.size(); i += 2) sum += base::load16(&message[i]);
  while (sum >> 16 != 0) sum = (sum & 0xFFFF) + (sum >> 16);
  base::store16(&message[2], static_cast<std::uint16_t>(~sum));
  const Bytes report = framed(ip_packet("198.51.100.1", "192.0.2.1", kIcmp, message));
  from_host({one_buffer(report)});
  EXPECT_EQ(sa->path_mtu().get(1000), 0u);
  from_wire({one_buffer(report)});
  EXPECT_EQ(sa->path_mtu().get(1000), 1200u);
  EXPECT_EQ(plane_->inbound().path_mtu_learned.get(), 1u);
}

}  // namespace
}  // namespace saline::daemon
