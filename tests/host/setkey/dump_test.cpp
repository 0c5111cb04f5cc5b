// The output of -D and -DP to the last space.
#include "host/setkey/dump.hpp"

#include <gtest/gtest.h>
#include <netinet/in.h>

#include <cstdlib>
#include <numeric>
#include <sstream>
#include <string>

#include "host/libipsec/policy_text.hpp"

namespace saline::setkey {
namespace {

using pfkey::Message;
using pfkey::MessageType;

class SetkeyDump : public ::testing::Test {
 protected:
  SetkeyDump() {
    ::setenv("TZ", "UTC", 1);
    ::tzset();
  }
  static pfkey::AddressExtension range(const char* text, std::uint8_t prefix,
                                       std::uint16_t port = 0, std::uint8_t proto = 255) {
    return {{base::Address::parse(text), port}, proto, prefix};
  }
  static pfkey::Key counting_key(std::size_t size) {
    std::vector<std::uint8_t> bytes(size);
    std::iota(bytes.begin(), bytes.end(), 0);
    return {static_cast<std::uint16_t>(size * 8), base::Secret(bytes)};
  }
  static Message sa() {
    Message m(MessageType::dump);
    m.satype = pfkey::SaType::esp;
    m.seq = 3;
    m.pid = 4711;
    m.sa = pfkey::Sa{0x1000, 64, pfkey::SaState::mature, 3, 12, 0x40};
    m.sa2 = pfkey::Sa2{pfkey::Mode::tunnel, 0x17, 5};
    m.source = range("10.0.0.1", 32, 500);
    m.destination = range("10.0.0.2", 32);
    m.key_encrypt = counting_key(16);
    m.key_auth = counting_key(20);
    m.current = pfkey::Lifetime{11, 1400, 1700000000, 1700000050};
    m.hard = pfkey::Lifetime{0, 1000000, 3600, 0};
    m.soft = pfkey::Lifetime{0, 800000, 2880, 0};
    return m;
  }
  static std::string shown(const Message& m, DumpStyle style = {false, 1700000100}) {
    std::ostringstream out;
    if (m.type == MessageType::spddump)
      print_policy(out, m, style);
    else
      print_sa(out, m, style);
    return out.str();
  }
  static Message policy(const char* text) {
    Message m(MessageType::spddump);
    m.source = range("10.0.0.0", 8);
    m.destination = range("10.1.0.1", 32);
    m.policy = libipsec::parse_policy(text);
    m.policy->id = 72;
    m.seq = 1;
    m.pid = 9;
    return m;
  }
};

TEST_F(SetkeyDump, AnSaWithEverything) {
  EXPECT_EQ(shown(sa()),
            "10.0.0.1 10.0.0.2 \n"
            "\tesp mode=tunnel spi=4096(0x00001000) reqid=5(0x00000005)\n"
            "\tE: aes-cbc  00010203 04050607 08090a0b 0c0d0e0f\n"
            "\tA: hmac-sha1  00010203 04050607 08090a0b 0c0d0e0f 10111213\n"
            "\tseq=0x00000017 replay=64 flags=0x00000040 state=mature \n"
            "\tcreated: Nov 14 22:13:20 2023\tcurrent: Nov 14 22:15:00 2023\n"
            "\tdiff: 100(s)\thard: 3600(s)\tsoft: 2880(s)\n"
            "\tlast: Nov 14 22:14:10 2023\thard: 0(s)\tsoft: 0(s)\n"
            "\tcurrent: 1400(bytes)\thard: 1000000(bytes)\tsoft: 800000(bytes)\n"
            "\tallocated: 11\thard: 0\tsoft: 0\n"
            "\tsadb_seq=3 pid=4711 refcnt=0\n");
}

TEST_F(SetkeyDump, OurLinesComeAfterKames) {
  Message m = sa();
  m.saline_path = pfkey::SalinePath{pfkey::Path::software, "3des-cbc: the card has no suite"};
  m.replay_window = 4096;
  const std::string text = shown(m);
  EXPECT_TRUE(
      text.ends_with("\tsadb_seq=3 pid=4711 refcnt=0\n"
                     "\tpath: software (3des-cbc: the card has no suite)\n"));
  EXPECT_NE(text.find("replay=4096 "), text.npos);
  m.saline_path = pfkey::SalinePath{pfkey::Path::card, ""};
  EXPECT_TRUE(shown(m).ends_with("\tpath: card\n"));
}

TEST_F(SetkeyDump, AnSaWithLittle) {
  Message m(MessageType::dump);
  m.satype = pfkey::SaType::ah;
  m.sa = pfkey::Sa{256, 0, pfkey::SaState::larval, 0, 0, 0};
  m.source = range("2001:db8::1", 128);
  m.destination = range("2001:db8::2", 128);
  m.current = pfkey::Lifetime{};
  EXPECT_EQ(shown(m, {true, 1700000100}),
            "2001:db8::1[0] 2001:db8::2[0] \n"
            "\tah mode=any spi=256(0x00000100) reqid=0(0x00000000)\n"
            "\tseq=0x00000000 replay=0 flags=0x00000000 state=larval \n"
            "\tcreated:                     \tcurrent: Nov 14 22:15:00 2023\n"
            "\tdiff: 0(s)\thard: 0(s)\tsoft: 0(s)\n"
            "\tlast:                     \thard: 0(s)\tsoft: 0(s)\n"
            "\tcurrent: 0(bytes)\thard: 0(bytes)\tsoft: 0(bytes)\n"
            "\tallocated: 0\thard: 0\tsoft: 0\n"
            "\tsadb_seq=0 pid=0 refcnt=0\n");
}

TEST_F(SetkeyDump, LongKeysWrapAfterThirtyTwoBytes) {
  Message m = sa();
  m.sa->encrypt = 20;
  m.key_encrypt = counting_key(36);
  m.key_auth.reset();
  const std::string text = shown(m);
  EXPECT_NE(text.find("\tE: aes-gcm-16  00010203 04050607 08090a0b 0c0d0e0f 10111213 14151617 "
                      "18191a1b 1c1d1e1f\n 20212223\n\tseq="),
            text.npos)
      << text;
}

TEST_F(SetkeyDump, NatTraversalCompressionAndUnknownNumbers) {
  Message m = sa();
  m.nat_t_type = pfkey::kNatTEspInUdp;
  m.nat_t_source_port = 4500;
  m.nat_t_destination_port = 1024;
  m.nat_t_original = range("192.168.0.1", 32);
  m.sa->encrypt = 222;
  EXPECT_TRUE(shown(m).starts_with("10.0.0.1[4500] 10.0.0.2[1024] \n\tesp-udp mode=tunnel spi="));
  EXPECT_NE(shown(m).find(")\n\tNAT OA=192.168.0.1\n\tE: 222  0001"), std::string::npos);
  m.nat_t_type = 1;
  EXPECT_NE(shown(m).find("\tnatt+1 mode="), std::string::npos);
  m.satype = pfkey::SaType::ipcomp;
  m.sa->encrypt = 2;
  EXPECT_NE(shown(m).find("\tC: deflate \n\tseq="), std::string::npos);
  m.security_context = pfkey::SecurityContext{1, 2, "label"};
  EXPECT_NE(shown(m).find("security context"), std::string::npos);
}

TEST_F(SetkeyDump, APolicyWithEverything) {
  Message m = policy("in ipsec esp/tunnel/1.1.1.1-2.2.2.2/require ah/transport//unique:3");
  m.current = pfkey::Lifetime{0, 0, 1700000000, 0};
  m.hard = pfkey::Lifetime{0, 0, 60, 30};
  EXPECT_EQ(shown(m),
            "10.0.0.0/8[any] 10.1.0.1[any] any\n"
            "\tin prio def ipsec\n"
            "\tesp/tunnel/1.1.1.1-2.2.2.2/require\n"
            "\tah/transport//unique:3\n"
            "\tcreated: Nov 14 22:13:20 2023  lastused:                     \n"
            "\tlifetime: 60(s) validtime: 30(s)\n"
            "\tspid=72 seq=1 pid=9\n"
            "\trefcnt=0\n");
}

TEST_F(SetkeyDump, SelectorsOfPolicies) {
  const auto first_line = [](const Message& m) {
    const std::string text = shown(m);
    return text.substr(0, text.find('\n'));
  };
  Message m = policy("out none");
  m.source = range("::", 0, 80, IPPROTO_TCP);
  m.destination = range("2001:db8::", 32, 0, IPPROTO_TCP);
  EXPECT_EQ(first_line(m), "::/0[80] 2001:db8::/32[any] tcp");
  m.source->proto = IPPROTO_ICMPV6;
  m.source->endpoint.port = 135;
  EXPECT_EQ(first_line(m), "::/0 2001:db8::/32 ipv6-icmp 135,0");
  m.source->endpoint.port = 0;
  EXPECT_EQ(first_line(m), "::/0 2001:db8::/32 ipv6-icmp");
  m.source->proto = IPPROTO_GRE;
  m.source->endpoint.port = 0x0102;
  m.destination->endpoint.port = 0x0304;
  EXPECT_EQ(first_line(m), "::/0 2001:db8::/32 gre 1.2.3.4");
  m.source->proto = 4;
  EXPECT_EQ(first_line(m), "::/0[258] 2001:db8::/32[772] ip4");
  m.source->proto = 253;
  EXPECT_EQ(first_line(m), "::/0[258] 2001:db8::/32[772] 253");
}

}  // namespace
}  // namespace saline::setkey
