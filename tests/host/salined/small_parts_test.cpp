// Options, variables, frames, and the queue between the threads.
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "host/salined/frame.hpp"
#include "host/salined/options.hpp"
#include "host/salined/queue.hpp"
#include "host/salined/too_big.hpp"
#include "host/salined/variables.hpp"
#include "tests/host/salined/engine_bed.hpp"

namespace saline::daemon {
namespace {

std::optional<Options> parse(std::vector<std::string> words) {
  words.insert(words.begin(), "salined");
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  return parse_options(static_cast<int>(argv.size()), argv.data());
}

TEST(Options, AllOfThem) {
  const auto options = parse({"--wire-port",
                              "net_null0",
                              "--socket=/s",
                              "--control",
                              "/c",
                              "--no-huge",
                              "--memory",
                              "128",
                              "--lcore",
                              "1",
                              "--offload=require",
                              "--set",
                              "a.b=1",
                              "--set",
                              "c=2",
                              "--foreground",
                              "--allow-legacy",
                              "--mtu",
                              "1300",
                              "--plugin",
                              "/p"});
  ASSERT_TRUE(options);
  EXPECT_EQ(options->wire_port, "net_null0");
  EXPECT_EQ(options->socket_path, "/s");
  EXPECT_EQ(options->control_path, "/c");
  EXPECT_FALSE(options->huge_pages);
  EXPECT_EQ(options->memory_mb, 128u);
  EXPECT_EQ(options->lcore, 1u);
  EXPECT_EQ(options->offload, OffloadMode::require);
  EXPECT_TRUE(options->allow_legacy);
  EXPECT_FALSE(parse({"--wire-port", "x"})->allow_legacy);
  EXPECT_EQ(options->variables.size(), 2u);
  EXPECT_EQ(options->mtu, 1300);
  EXPECT_EQ(options->plugin_path, "/p");
}

TEST(Options, ValuesWithEqualsSignsStayWhole) {
  EXPECT_EQ(parse({"--wire-port=net_saline0,transport=model"})->wire_port,
            "net_saline0,transport=model");
}

TEST(Options, NextHopIsOneStation) {
  const MacAddress station{2, 0, 0, 0, 0, 0x0a};
  EXPECT_EQ(parse({"--wire-port", "x", "--next-hop", "02:00:00:00:00:0A"})->next_hop, station);
  EXPECT_FALSE(parse({"--wire-port", "x"})->next_hop);
  for (const char* wrong : {"", "2", "02:00:00:00:00", "02:00:00:00:00:01:02", "03:00:00:00:00:01"})
    EXPECT_EQ(errno_of([&] { parse({"--wire-port", "x", "--next-hop", wrong}); }), EINVAL) << wrong;
}

TEST(Options, WrongOnesAreNamed) {
  for (const auto& words :
       std::vector<std::vector<std::string>>{{"--what"},
                                             {"--wire-port"},
                                             {},
                                             {"--wire-port", "x", "--lcore", "-1"},
                                             {"--wire-port", "x", "--set", "a"},
                                             {"--wire-port", "x", "--mtu", "9"},
                                             {"stray"}}) {
    EXPECT_EQ(errno_of([&] { parse(words); }), EINVAL);
  }
  EXPECT_FALSE(parse({"--help"}));
}

TEST(Queue, AWriterThatGoesOnDoesNotKeepTheReader) {
  Queue<int, 8> queue;
  int used = 0;
  const auto next = [&] {
    if (used < 1000) queue.push(used);
    return queue.pop();
  };
  use_some(5, next, [&](int value) { EXPECT_EQ(value, used++); });
  EXPECT_EQ(used, 5);
  use_some(
      5, [&] { return queue.pop(); }, [&](int) { ++used; });
  EXPECT_EQ(used, 5) << "an empty queue ends it";
}

TEST(Variables, ReachTheirSettings) {
  ipsec::Settings settings;
  set_variable(settings, "net.inet.ipsec.def_policy", "0");
  EXPECT_EQ(settings.ipv4.default_policy, ipsec::Action::discard);
  EXPECT_EQ(settings.ipv6.default_policy, ipsec::Action::none);
  set_variable(settings, "net.inet6.ipsec6.esp_net_deflev", "2");
  EXPECT_EQ(settings.ipv6.esp_tunnel, ipsec::Level::require);
  set_variable(settings, "net.inet.ipsec.ecn", "1");
  EXPECT_EQ(settings.ipv4.ecn, ipsec::Ecn::friendly);
  set_variable(settings, "net.inet6.ipsec6.ecn", "2");
  EXPECT_EQ(settings.ipv6.ecn, ipsec::Ecn::rfc6040);
  set_variable(settings, "net.inet.ipsec.ah_offsetmask", "65535");
  EXPECT_EQ(settings.ipv4.ah_offset_mask, 0xffff);
}

TEST(Variables, ReadAsTheyWereSet) {
  ipsec::Settings settings;
  for (const std::string& name : variable_names()) {
    const int before = get_variable(settings, name);
    const int other = before == 1 ? 2 : 1;
    if (errno_of([&] { set_variable(settings, name, std::to_string(other)); }) != 0)
      set_variable(settings, name, "0");  // takes 0 and 1 only
    EXPECT_NE(get_variable(settings, name), before) << name;
    set_variable(settings, name, std::to_string(before));
    EXPECT_EQ(get_variable(settings, name), before) << name;
  }
}

TEST(Variables, SysctlListsReadsAndSets) {
  ipsec::Settings settings;
  const std::string all = answer_sysctl(settings, "");
  EXPECT_NE(all.find("net.inet.ipsec.def_policy = 1\n"), std::string::npos) << all;
  EXPECT_NE(all.find("net.inet6.ipsec6.esp_net_deflev = 1\n"), std::string::npos) << all;
  EXPECT_EQ(answer_sysctl(settings, "net.inet.ipsec.ah_trans_deflev=2"),
            "net.inet.ipsec.ah_trans_deflev = 2\n");
  EXPECT_EQ(settings.ipv4.ah_transport, ipsec::Level::require);
  for (const char* bad : {"net.inet.ipsec.ah_trans_deflev=3", "net.inet.ipsec.ah_trans_deflev=0",
                          "net.inet.ipsec.ah_trans_deflev=", "net.nothing", "="})
    EXPECT_EQ(answer_sysctl(settings, bad).substr(0, 7), "error: ") << bad;
  EXPECT_EQ(settings.ipv4.ah_transport, ipsec::Level::require) << "a refused value changes nothing";
}

TEST(Variables, RefuseUnknownNamesAndValues) {
  ipsec::Settings settings;
  EXPECT_EQ(errno_of([&] { set_variable(settings, "net.inet.ipsec.nothing", "0"); }), ENOENT);
  for (const char* value : {"2", "-1", "", "one", "1x"}) {
    EXPECT_EQ(errno_of([&] { set_variable(settings, "net.inet.ipsec.def_policy", value); }), EINVAL)
        << value;
  }
}

std::vector<std::uint8_t> icmpv6(std::uint8_t type, std::uint8_t hop_limit) {
  std::vector<std::uint8_t> packet(40 + 24);
  packet[0] = 0x60;
  packet[6] = ipsec::kIcmpv6;
  packet[7] = hop_limit;
  packet[8] = 0xfe;
  packet[9] = 0x80;
  packet[40] = type;
  return packet;
}

TEST(Frame, DiscoveryIsOfTheLinkOnly) {
  EXPECT_TRUE(is_link_discovery(icmpv6(133, 255)));
  EXPECT_TRUE(is_link_discovery(icmpv6(137, 255)));
  EXPECT_FALSE(is_link_discovery(icmpv6(135, 254))) << "forwarded";
  EXPECT_FALSE(is_link_discovery(icmpv6(128, 255))) << "echo request";
  EXPECT_FALSE(is_link_discovery(std::vector<std::uint8_t>(10, 0x60))) << "short";
}

TEST(Frame, ListenerReportsAreLinkLocal) {
  auto report = icmpv6(0, 1);
  report[6] = ipsec::kHopByHop;
  report[40] = ipsec::kIcmpv6;
  report[48] = 143;
  EXPECT_TRUE(is_link_discovery(report));
  report[48] = 128;
  EXPECT_FALSE(is_link_discovery(report));
  report[48] = 143;
  report[8] = 0x20;
  EXPECT_FALSE(is_link_discovery(report)) << "a global source";
}

TEST(Frame, WrappingsThatHideIpAreRefused) {
  std::vector<std::uint8_t> frame(60);
  const auto kind = [&](std::uint16_t type) {
    base::store16(frame.data() + 12, type);
    return classify_frame(frame);
  };
  EXPECT_EQ(kind(0x0800), FrameKind::ip);
  EXPECT_EQ(kind(0x86dd), FrameKind::ip);
  EXPECT_EQ(kind(0x0806), FrameKind::not_ip);
  for (const int type : {0x8100, 0x88a8, 0x8847, 0x8864}) {
    EXPECT_EQ(kind(static_cast<std::uint16_t>(type)), FrameKind::hidden_ip);
  }
  EXPECT_EQ(classify_frame({frame.data(), 13}), FrameKind::malformed);
}

std::vector<std::uint8_t> udp4(std::uint16_t fragment) {
  std::vector<std::uint8_t> packet(1500);
  packet[0] = 0x45;
  base::store16(packet.data() + 2, 1500);
  base::store16(packet.data() + 6, fragment);
  packet[8] = 64;
  packet[9] = ipsec::kUdp;
  packet[12] = packet[16] = 10;
  packet[15] = 1;
  packet[19] = 2;
  return packet;
}

// RFC 1071: the sum over a message with a right checksum is all ones.
bool checksum_holds(std::span<const std::uint8_t> bytes, std::uint32_t total) {
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    total += static_cast<std::uint32_t>(bytes[i] << 8);
    if (i + 1 < bytes.size()) total += bytes[i + 1];
  }
  while (total >> 16 != 0) total = (total & 0xffff) + (total >> 16);
  return total == 0xffff;
}

TEST(TooBig, Ipv4AnswerNamesTheMtuAndQuotesThePacket) {
  TooBigAnswer answer;
  const auto packet = udp4(0x4000);
  const std::size_t bytes = answer_too_big(packet, 1443, answer);
  ASSERT_EQ(bytes, 20u + 8 + 28);
  EXPECT_TRUE(checksum_holds({answer.data(), 20}, 0));
  EXPECT_TRUE(checksum_holds({answer.data() + 20, bytes - 20}, 0));
  EXPECT_EQ(answer[15], 2) << "from the destination";
  EXPECT_EQ(answer[19], 1) << "to the source";
  EXPECT_EQ(base::load16(answer.data() + 20), 0x0304);
  EXPECT_EQ(base::load16(answer.data() + 26), 1443);
  EXPECT_TRUE(std::equal(answer.begin() + 28, answer.begin() + 56, packet.begin()));
}

TEST(TooBig, Ipv6AnswerIsNeverBelowTheSmallestMtu) {
  auto packet = icmpv6(128, 64);
  packet.resize(1400);
  base::store16(packet.data() + 4, 1360);
  packet[24] = 0xfd;
  TooBigAnswer answer;
  const std::size_t bytes = answer_too_big(packet, 1200, answer);
  ASSERT_EQ(bytes, 40u + 8 + 512);
  EXPECT_TRUE(checksum_holds({answer.data() + 8, bytes - 8}, 520 + ipsec::kIcmpv6));
  EXPECT_EQ(answer[40], 2);
  EXPECT_EQ(base::load32(answer.data() + 44), 1280u);
}

TEST(TooBig, NoAnswerToErrorsFragmentsAndWhatMayBeFragmented) {
  TooBigAnswer answer;
  EXPECT_EQ(answer_too_big(udp4(0), 1443, answer), 0u) << "DF is off";
  EXPECT_EQ(answer_too_big(udp4(0x4001), 1443, answer), 0u) << "not the first fragment";
  auto group = udp4(0x4000);
  group[16] = 224;
  EXPECT_EQ(answer_too_big(group, 1443, answer), 0u);
  auto error = udp4(0x4000);
  error[9] = ipsec::kIcmp;
  error[20] = 3;
  EXPECT_EQ(answer_too_big(error, 1443, answer), 0u);
  error[20] = 8;
  EXPECT_NE(answer_too_big(error, 1443, answer), 0u) << "an echo request is no error";
  EXPECT_EQ(answer_too_big(std::vector<std::uint8_t>(10), 1443, answer), 0u);
}

TEST(Queue, KeepsOrderAndRefusesWhenFull) {
  Queue<int, 4> queue;
  EXPECT_FALSE(queue.pop());
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(queue.push(i));
  EXPECT_FALSE(queue.push(4));
  for (int i = 0; i < 4; ++i) EXPECT_EQ(queue.pop(), i);
  EXPECT_FALSE(queue.pop());
}

TEST(Queue, CarriesEverythingBetweenTwoThreads) {
  constexpr int kCount = 20000;
  Queue<int, 64> queue;
  std::thread writer([&] {
    for (int i = 0; i < kCount; ++i) {
      while (!queue.push(i)) std::this_thread::yield();
    }
  });
  int wrong = 0;
  for (int i = 0; i < kCount; ++i) {
    std::optional<int> got;
    while (!(got = queue.pop())) std::this_thread::yield();
    wrong += *got != i;
  }
  writer.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace saline::daemon
