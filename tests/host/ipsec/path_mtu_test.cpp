// The path MTU of an SA, who may change it, and what fits a path to the byte.
#include "host/ipsec/path_mtu.hpp"

#include <gtest/gtest.h>

#include "host/base/bytes.hpp"
#include "host/ipsec/checksum.hpp"
#include "host/ipsec/icmp.hpp"
#include "tests/host/ipsec/bed.hpp"

namespace saline::test {

using namespace saline::ipsec;
using base::Family;
using hw::DropReason;

TEST(PathMtu, GoesDownOnlyAndIsForgottenAfterTenMinutes) {
  PathMtu path;
  EXPECT_EQ(path.get(100), 0u);
  EXPECT_TRUE(path.lower(1400, Family::ipv4, 100));
  EXPECT_FALSE(path.lower(1400, Family::ipv4, 200)) << "no news";
  EXPECT_FALSE(path.lower(1500, Family::ipv4, 200)) << "never up";
  EXPECT_EQ(path.get(200), 1400u);
  EXPECT_TRUE(path.lower(1300, Family::ipv4, 300));
  EXPECT_EQ(path.get(899), 1300u);
  EXPECT_EQ(path.get(900), 0u) << "ten minutes after it was lowered";
  EXPECT_TRUE(path.lower(1450, Family::ipv4, 1000)) << "found anew";
  EXPECT_EQ(path.get(1000), 1450u);
}

TEST(PathMtu, D9_NeverBelowTheFloor) {
  PathMtu ipv4, ipv6;
  EXPECT_TRUE(ipv4.lower(68, Family::ipv4, 1));
  EXPECT_EQ(ipv4.get(1), 576u);
  EXPECT_FALSE(ipv4.lower(0, Family::ipv4, 1));
  EXPECT_FALSE(ipv6.lower(1279, Family::ipv6, 1));
  EXPECT_EQ(ipv6.get(1), 0u);
  EXPECT_TRUE(ipv6.lower(1280, Family::ipv6, 1));
  EXPECT_EQ(ipv6.get(1), 1280u);
}

TEST(PathMtu, PlateausOfRfc1191) {
  EXPECT_EQ(plateau_below(65535), 32000u);
  EXPECT_EQ(plateau_below(1500), 1492u);
  EXPECT_EQ(plateau_below(1492), 1006u);
  EXPECT_EQ(plateau_below(69), 68u);
  EXPECT_EQ(plateau_below(20), 68u);
}

// ---- exact sizes

struct FitCase {
  const char* encryption;
  const char* integrity;
  Protocol protocol;
  Mode mode;
  bool outer6;
  std::uint32_t mtu;
  std::uint32_t fitting;
};
class Fit : public testing::TestWithParam<FitCase> {};

// Computed by hand from the formats: outer header 20 or 40, ESP 8, IV, padding to the block with
// two bytes of trailer, ICV; the GCM row of 1500 is what Linux says, too.
TEST_P(Fit, D12_TheMtuForTheSenderIsExact) {
  const FitCase& row = GetParam();
  SaSpec spec;
  spec.protocol = row.protocol;
  spec.mode = row.mode;
  spec.encryption = row.encryption;
  spec.integrity = row.integrity;
  if (row.encryption == std::string("aes-gcm-16")) spec.key_bits = 160;
  spec.source = row.outer6 ? "2001:db8::1" : "192.0.2.1";
  spec.destination = row.outer6 ? "2001:db8::2" : "192.0.2.2";
  const bool tunnel = row.mode == Mode::tunnel;
  const std::string from = tunnel ? "10.1.0.1" : spec.source;
  const std::string to = tunnel ? "10.2.0.1" : spec.destination;
  const std::uint32_t header = !tunnel && row.outer6 ? 48 : 28;
  const auto protect = [&](std::uint32_t bytes) {
    Host host;
    host.add(spec);
    Bytes packet = ip_packet(from, to, kUdp, udp(bytes - header));
    if (packet[0] >> 4 == 4) {
      packet[6] = 0x40;
      base::store16(&packet[10], ipv4_header_checksum(std::span(packet).first(20)));
    }
    Buffer buffer(packet);
    const OutboundItem item = host.protect(buffer, policy_for({spec}), row.mtu);
    if (item.reason == DropReason::none) {
      EXPECT_LE(buffer.packet().length, row.mtu);
    }
    return item;
  };
  const OutboundItem refused_item = protect(row.mtu);
  EXPECT_EQ(refused_item.reason, DropReason::too_big);
  EXPECT_EQ(refused_item.fitting_mtu, row.fitting);
  EXPECT_EQ(protect(row.fitting).reason, DropReason::none);
  EXPECT_EQ(protect(row.fitting + 1).reason, DropReason::too_big);
}

constexpr auto kEspP = Protocol::esp, kAhP = Protocol::ah;
constexpr auto kTun = Mode::tunnel, kTra = Mode::transport;
INSTANTIATE_TEST_SUITE_P(
    Rows, Fit,
    testing::Values(FitCase{"aes-gcm-16", "", kEspP, kTun, false, 1500, 1446},
                    FitCase{"aes-gcm-16", "", kEspP, kTun, false, 1400, 1346},
                    FitCase{"aes-gcm-16", "", kEspP, kTun, false, 576, 522},
                    FitCase{"aes-gcm-16", "", kEspP, kTun, true, 1500, 1426},
                    FitCase{"aes-gcm-16", "", kEspP, kTra, false, 1500, 1466},
                    FitCase{"aes-gcm-16", "", kEspP, kTra, true, 1500, 1466},
                    FitCase{"aes-cbc", "hmac-sha1", kEspP, kTun, false, 1500, 1438},
                    FitCase{"aes-cbc", "hmac-sha1", kEspP, kTun, true, 1500, 1422},
                    FitCase{"aes-cbc", "hmac-sha1", kEspP, kTra, false, 1500, 1458},
                    FitCase{"3des-cbc", "hmac-md5", kEspP, kTun, false, 1500, 1446},
                    FitCase{"null", "hmac-sha1", kEspP, kTun, false, 1500, 1458},
                    FitCase{"", "hmac-sha1", kAhP, kTun, false, 1500, 1456},
                    FitCase{"", "hmac-sha1", kAhP, kTun, true, 1500, 1436},
                    FitCase{"", "hmac-sha1", kAhP, kTra, false, 1500, 1476},
                    FitCase{"aes-gcm-16", "", kEspP, kTun, false, 9000, 8946},
                    FitCase{"aes-gcm-16", "", kEspP, kTun, false, 1280, 1226}));

// ---- ICMP about what was sent

namespace {

struct Scene {
  explicit Scene(bool ipv6_outer, std::uint32_t flags = 0) : ipv6(ipv6_outer) {
    spec.mode = Mode::tunnel;
    spec.source = ipv6 ? "2001:db8::1" : "192.0.2.1";
    spec.destination = ipv6 ? "2001:db8::2" : "192.0.2.2";
    SaConfig config = config_of(spec);
    config.flags = flags;
    host.settings.ipv4.df_bit = DfBit::set;
    if ((flags & kFlagNoPathMtu) != 0) host.settings.ipv4.df_bit = DfBit::copy;
    sa = host.add(std::move(config));
    for (int i = 0; i < 3; ++i) sent = protect(1000);
  }

  Bytes protect(std::size_t bytes) {
    Bytes inner = ip_packet("10.1.0.1", "10.2.0.1", kUdp, udp(bytes - 28));
    inner[6] = 0x40;
    base::store16(&inner[10], ipv4_header_checksum(std::span(inner).first(20)));
    Buffer buffer(inner);
    last = host.protect(buffer, policy_for({spec}), 1500);
    return buffer.bytes();
  }

  Bytes too_big(std::uint32_t mtu, std::size_t quoted = 128) const {
    return error(ipv6 ? 2 : 3, ipv6 ? 0 : 4, mtu, quoted);
  }
  Bytes error(std::uint8_t type, std::uint8_t code, std::uint32_t word, std::size_t quoted) const {
    const std::size_t count = std::min(quoted, sent.size());
    Bytes message(8 + count);
    message[0] = type;
    message[1] = code;
    base::store32(&message[4], word);
    for (std::size_t i = 0; i < count; ++i) message[8 + i] = sent[i];
    Bytes packet = ip_packet(ipv6 ? "2001:db8:9::9" : "198.51.100.9", spec.source,
                             ipv6 ? kIcmpv6 : kIcmp, message);
    return summed(packet);
  }
  Bytes summed(Bytes packet) const {
    const std::size_t at = ipv6 ? 40 : 20;
    base::store16(&packet[at + 2], 0);
    const std::span<const std::uint8_t> message = std::span(packet).subspan(at);
    const std::uint32_t pseudo =
        ipv6 ? add_words(std::span(packet).subspan(8, 32),
                         static_cast<std::uint32_t>(message.size()) + kIcmpv6)
             : 0;
    const std::uint16_t sum = internet_checksum(message, pseudo);
    base::store16(&packet[at + 2], sum);
    return packet;
  }
  PathReport hear(const Bytes& packet, std::uint64_t now_s = 0) {
    Headers headers;
    EXPECT_TRUE(parse_headers(packet, headers));
    return learn_path_mtu(packet, headers, *host.sad.view().acquire(), now_s);
  }
  // Where the quoted packet begins in an error.
  std::size_t quote_at() const { return (ipv6 ? 40u : 20u) + 8; }
  std::size_t esp_at() const { return quote_at() + (ipv6 ? 40u : 20u); }

  bool ipv6;
  SaSpec spec;
  Host host;
  std::shared_ptr<SecurityAssociation> sa;
  Bytes sent;
  OutboundItem last;
};

}  // namespace

class PathReports : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Families, PathReports, testing::Bool());

TEST_P(PathReports, D9_AreBelievedWhenTheyQuoteWhatTheSaSent) {
  Scene scene(GetParam());
  EXPECT_EQ(scene.hear(scene.too_big(1400)), PathReport::learned);
  EXPECT_EQ(scene.sa->path_mtu().get(0), 1400u);
  scene.protect(1400);
  EXPECT_EQ(scene.last.reason, DropReason::too_big) << "the next one is told";
  EXPECT_EQ(scene.last.fitting_mtu, scene.ipv6 ? 1310u : 1342u);
  const std::uint32_t fitting = scene.last.fitting_mtu;
  scene.protect(fitting);
  EXPECT_EQ(scene.last.reason, DropReason::none);
  scene.host.processor.set_time(PathMtu::kLifetimeS);
  scene.protect(1400);
  EXPECT_EQ(scene.last.reason, DropReason::none) << "forgotten";
}

TEST_P(PathReports, D9_EightQuotedBytesAreEnough) {
  Scene scene(GetParam());
  EXPECT_EQ(scene.hear(scene.too_big(1400, scene.ipv6 ? 48 : 28)), PathReport::learned);
  Scene shorter(GetParam());
  EXPECT_EQ(shorter.hear(shorter.too_big(1400, shorter.ipv6 ? 43 : 23)), PathReport::ignored);
}

TEST_P(PathReports, D9_OfUnknownOrForeignSasAreIgnored) {
  Scene scene(GetParam());
  const Bytes good = scene.too_big(1400);
  for (const std::size_t at : {scene.esp_at(), scene.esp_at() + 3,         // SPI
                               scene.quote_at() + (scene.ipv6 ? 39 : 19),  // destination
                               scene.quote_at() + (scene.ipv6 ? 23 : 15)}) {
    Bytes forged = good;
    forged[at] ^= 1;
    EXPECT_EQ(scene.hear(scene.summed(forged)), PathReport::ignored) << at;
  }
  Bytes to_another = good;
  to_another[scene.ipv6 ? 39 : 19] ^= 1;
  EXPECT_EQ(scene.hear(scene.summed(to_another)), PathReport::ignored) << "not to the sender";
  EXPECT_EQ(scene.sa->path_mtu().get(0), 0u);
}

TEST_P(PathReports, D9_ForANumberThatWasNeverSentAreIgnored) {
  Scene scene(GetParam());
  Bytes forged = scene.too_big(1400);
  base::store32(&forged[scene.esp_at() + 4], 4);
  EXPECT_EQ(scene.hear(scene.summed(forged)), PathReport::ignored);
  base::store32(&forged[scene.esp_at() + 4], 3);
  EXPECT_EQ(scene.hear(scene.summed(forged)), PathReport::learned);
}

TEST_P(PathReports, D9_WithAWrongChecksumAreIgnored) {
  Scene scene(GetParam());
  Bytes damaged = scene.too_big(1400);
  damaged.back() ^= 1;
  EXPECT_EQ(scene.hear(damaged), PathReport::ignored);
}

TEST_P(PathReports, D9_NeverRaiseAndNeverGoBelowTheFloor) {
  Scene scene(GetParam());
  EXPECT_EQ(scene.hear(scene.too_big(1350)), PathReport::learned);
  EXPECT_EQ(scene.hear(scene.too_big(1400)), PathReport::ignored);
  EXPECT_EQ(scene.hear(scene.too_big(9000)), PathReport::ignored);
  const std::uint32_t floor = scene.ipv6 ? 1280 : 576;
  scene.hear(scene.too_big(floor - 1));
  EXPECT_EQ(scene.sa->path_mtu().get(0), scene.ipv6 ? 1350u : 576u);
}

TEST_P(PathReports, D9_OtherErrorsChangeNothing) {
  Scene scene(GetParam());
  for (unsigned type = 0; type < 16; ++type) {
    if (scene.ipv6 && type == 2) continue;
    for (unsigned code = 0; code < 6; ++code) {
      if (!scene.ipv6 && type == 3 && code == 4) continue;
      const Bytes error =
          scene.error(static_cast<std::uint8_t>(type), static_cast<std::uint8_t>(code), 1400, 128);
      EXPECT_EQ(scene.hear(error), PathReport::none) << type << '/' << code;
    }
  }
  EXPECT_EQ(scene.sa->path_mtu().get(0), 0u);
}

TEST_P(PathReports, D9_AboutOtherProtocolsAreNotOurs) {
  Scene scene(GetParam());
  scene.sent = scene.ipv6 ? ip_packet("2001:db8::1", "2001:db8::2", kTcp, Bytes(40))
                          : ip_packet("192.0.2.1", "192.0.2.2", kTcp, Bytes(40));
  EXPECT_EQ(scene.hear(scene.too_big(1400)), PathReport::none);
}

TEST_P(PathReports, TruncatedAnywhereDoNoHarm) {
  Scene scene(GetParam());
  for (std::size_t quoted = 0; quoted < 60; ++quoted) {
    const PathReport report = scene.hear(scene.too_big(1400, quoted));
    const std::size_t enough = scene.ipv6 ? 44 : 24;  // an SPI; the number is not always there
    EXPECT_EQ(report == PathReport::learned, quoted == enough) << quoted;
  }
}

TEST(PathReport4, D9_WithDfOffOrNoPmtuDiscoveryAreIgnored) {
  Scene scene(false);
  Bytes forged = scene.too_big(1400);
  forged[scene.quote_at() + 6] = 0;
  EXPECT_EQ(scene.hear(scene.summed(forged)), PathReport::ignored) << "routers fragment these";
  Scene flagged(false, kFlagNoPathMtu);
  EXPECT_EQ(flagged.sent[6] & 0x40, 0);
  flagged.sent[6] = 0x40;
  EXPECT_EQ(flagged.hear(flagged.too_big(1400)), PathReport::ignored);
}

TEST(PathReport4, OldRoutersThatNameNoMtuMeanTheNextPlateau) {
  Scene scene(false);
  ASSERT_GT(scene.sent.size(), 1006u);
  EXPECT_EQ(scene.hear(scene.too_big(0)), PathReport::learned);
  EXPECT_EQ(scene.sa->path_mtu().get(0), 1006u);
}

TEST(PathReport4, D9_InnerFragmentsOfAQuoteAreIgnored) {
  Scene scene(false);
  Bytes forged = scene.too_big(1400);
  base::store16(&forged[scene.quote_at() + 6], 0x4001);
  EXPECT_NE(scene.hear(scene.summed(forged)), PathReport::learned);
}

}  // namespace saline::test
