// The MSS clamp: which segments change, and that their checksums stay right.
#include "host/ipsec/mss.hpp"

#include <gtest/gtest.h>

#include "host/base/bytes.hpp"
#include "host/ipsec/checksum.hpp"
#include "tests/host/ipsec/bed.hpp"

namespace saline::test {

using namespace saline::ipsec;
using base::Family;

namespace {

std::uint32_t pseudo(const Bytes& packet) {
  const bool ipv4 = packet[0] >> 4 == 4;
  const std::size_t at = ipv4 ? 20 : 40;
  const auto length = static_cast<std::uint32_t>(packet.size() - at);
  return add_words(ipv4 ? std::span(packet).subspan(12, 8) : std::span(packet).subspan(8, 32),
                   kTcp + length);
}

bool checksum_holds(const Bytes& packet) {
  const std::size_t at = packet[0] >> 4 == 4 ? 20 : 40;
  return internet_checksum(std::span(packet).subspan(at), pseudo(packet)) == 0;
}

Bytes segment(bool ipv6, std::uint8_t flags, const Bytes& options) {
  Bytes tcp(20 + options.size());
  for (std::size_t i = 0; i < options.size(); ++i) tcp[20 + i] = options[i];
  base::store16(&tcp[0], 40000);
  base::store16(&tcp[2], 80);
  base::store32(&tcp[4], 0xDEADBEEF);
  tcp[12] = static_cast<std::uint8_t>((20 + options.size()) / 4 << 4);
  tcp[13] = flags;
  base::store16(&tcp[14], 65535);
  Bytes packet = ipv6 ? ip_packet("fd00:1::1", "fd00:2::1", kTcp, tcp)
                      : ip_packet("10.1.0.1", "10.2.0.1", kTcp, tcp);
  const std::size_t at = ipv6 ? 40 : 20;
  const std::uint16_t sum = internet_checksum(std::span(packet).subspan(at), pseudo(packet));
  base::store16(&packet[at + 16], sum);
  return packet;
}

bool clamp(Bytes& packet, std::uint16_t most) {
  Headers headers;
  EXPECT_TRUE(parse_headers(packet, headers));
  return clamp_mss(packet, headers, most);
}

constexpr std::uint8_t kSyn = 2, kAck = 16;

}  // namespace

class Mss : public testing::TestWithParam<std::tuple<bool, std::uint8_t, std::uint16_t, int>> {};

TEST_P(Mss, OfASynIsLoweredAndNeverRaised) {
  const auto [ipv6, flags, announced, place] = GetParam();
  Bytes options = {2, 4, 0, 0, 1, 1, 4, 2};
  if (place == 1) options = {1, 1, 4, 2, 2, 4, 0, 0};
  if (place == 2) options = {1, 2, 4, 0, 0, 1, 1, 1};  // at an odd offset
  const std::size_t at = (ipv6 ? 40u : 20u) + 20 + (place == 1 ? 6 : place == 2 ? 3 : 2);
  base::store16(&options[at - (ipv6 ? 40u : 20u) - 20], announced);
  const Bytes before = segment(ipv6, flags, options);
  ASSERT_TRUE(checksum_holds(before));
  Bytes packet = before;
  EXPECT_EQ(clamp(packet, 1360), announced > 1360);
  EXPECT_TRUE(checksum_holds(packet));
  EXPECT_EQ(base::load16(&packet[at]), std::min<std::uint16_t>(announced, 1360));
  if (announced <= 1360) {
    EXPECT_EQ(packet, before);
  }
}

INSTANTIATE_TEST_SUITE_P(Segments, Mss,
                         testing::Combine(testing::Bool(),
                                          testing::Values(kSyn, std::uint8_t{kSyn | kAck}),
                                          testing::Values(536, 1360, 1361, 1460, 65535),
                                          testing::Values(0, 1, 2)));

TEST(MssOne, OtherSegmentsStayAsTheyAre) {
  const Bytes with_mss = {2, 4, 0x05, 0xB4};
  for (const bool ipv6 : {false, true}) {
    for (const Bytes& before :
         {segment(ipv6, kAck, with_mss), segment(ipv6, kSyn, {}), segment(ipv6, kSyn, {1, 1, 4, 2}),
          segment(ipv6, kSyn, {2, 3, 5, 1}),     // no MSS option
          segment(ipv6, kSyn, {0, 2, 4, 0xFF}),  // behind the end
          segment(ipv6, kSyn, {8, 10, 0, 0}),    // beyond the header
          segment(ipv6, kSyn, {8, 0, 0, 0})}) {
      Bytes packet = before;
      EXPECT_FALSE(clamp(packet, 500));
      EXPECT_EQ(packet, before);
    }
  }
  Bytes fragment = segment(false, kSyn, with_mss);
  fragment[7] = 1;
  EXPECT_FALSE(clamp(fragment, 500));
  Bytes udp_packet = ip_packet("10.1.0.1", "10.2.0.1", kUdp, Bytes(40, 2));
  EXPECT_FALSE(clamp(udp_packet, 500));
  Bytes cut = segment(false, kSyn, with_mss);
  cut[32] = 0xF0;  // a header of 60 bytes that is not there
  EXPECT_FALSE(clamp(cut, 500));
}

TEST(MssOne, FitsThePacketSize) {
  EXPECT_EQ(mss_for(1446, Family::ipv4), 1406);
  EXPECT_EQ(mss_for(1446, Family::ipv6), 1386);
  EXPECT_EQ(mss_for(40, Family::ipv4), 0);
}

}  // namespace saline::test
