// What each statement and each option of a setkey script asks the daemon for.
#include "host/setkey/script.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <string>

#include "host/crypto/algorithms.hpp"

namespace saline::setkey {
namespace {

using pfkey::Direction;
using pfkey::Level;
using pfkey::Message;
using pfkey::MessageType;
using pfkey::Mode;
using pfkey::SaType;

// The one request of a script of one statement.
Message request_of(const std::string& text, ParseOptions options = {}) {
  auto statements = parse_script(text, options);
  EXPECT_EQ(statements.size(), 1U);
  EXPECT_EQ(statements.at(0).requests.size(), 1U);
  return std::move(statements.at(0).requests.at(0).message);
}

std::vector<std::uint8_t> bytes_of(const std::optional<pfkey::Key>& key) {
  EXPECT_TRUE(key);
  const auto bytes = key->bytes.bytes();
  return {bytes.begin(), bytes.end()};
}

pfkey::AddressExtension host(const char* text, std::uint16_t port = 0) {
  const auto address = base::Address::parse(text);
  const auto bits = base::address_bytes(address.family) * 8;
  return {{address, port}, pfkey::kUpperAny, static_cast<std::uint8_t>(bits)};
}

// An ESP add with these options in front of its algorithms.
Message with(const std::string& options) {
  return request_of("add 10.0.0.1 10.0.0.2 esp 0x1000 " + options + " -E null;");
}

TEST(SetkeyScript, AnAddWithNothingSpecial) {
  const Message m = request_of(
      "add 10.0.0.1 10.0.0.2 esp 123456 -E 3des-cbc \"kamekame12341234kame1234\"\n"
      "  -A hmac-md5 0x00112233445566778899aabbccddeeff ;");
  EXPECT_EQ(m.type, MessageType::add);
  EXPECT_EQ(m.satype, SaType::esp);
  EXPECT_EQ(m.sa, (pfkey::Sa{123456, 0, pfkey::SaState::larval, 2, 3, 0x40}));
  EXPECT_EQ(m.sa2, (pfkey::Sa2{Mode::any, 0, 0}));
  EXPECT_EQ(m.source, host("10.0.0.1"));
  EXPECT_EQ(m.destination, host("10.0.0.2"));
  EXPECT_FALSE(m.hard || m.soft || m.current || m.replay_window || m.nat_t_type);
  EXPECT_EQ(m.key_encrypt->bits, 192);
  EXPECT_EQ(bytes_of(m.key_encrypt)[0], 'k');
  EXPECT_EQ(m.key_auth->bits, 128);
  EXPECT_EQ(bytes_of(m.key_auth)[15], 0xff);
}

TEST(SetkeyScript, EveryOptionOfAnSa) {
  EXPECT_EQ(with("-m transport").sa2->mode, Mode::transport);
  EXPECT_EQ(with("-m tunnel").sa2->mode, Mode::tunnel);
  EXPECT_EQ(with("-m any").sa2->mode, Mode::any);
  EXPECT_EQ(with("-u 16385").sa2->reqid, 16385U);
  EXPECT_EQ(with("-f random-pad").sa->flags, 0x140U);
  EXPECT_EQ(with("-f zero-pad").sa->flags, 0x240U);
  EXPECT_EQ(with("-f seq-pad").sa->flags, 0x40U);
  EXPECT_EQ(with("-f nocyclic-seq").sa->flags, 0U);
  EXPECT_EQ(with("-f zero-pad -f nocyclic-seq -esn").sa->flags, 0x600U);
  EXPECT_EQ(with("-r 255").sa->replay, 255);
  EXPECT_FALSE(with("-r 255").replay_window);
  EXPECT_EQ(with("-r 256").sa->replay, 255);
  EXPECT_EQ(with("-r 256").replay_window, 256U);
  const auto context = with("-ctx 1 2 \"system_u:object_r\"").security_context;
  EXPECT_EQ(context, (pfkey::SecurityContext{2, 1, "system_u:object_r"}));
}

TEST(SetkeyScript, Lifetimes) {
  const Message hard = with("-lh 100");
  EXPECT_EQ(hard.hard, (pfkey::Lifetime{0, 0, 100, 0}));
  EXPECT_EQ(hard.soft, (pfkey::Lifetime{0, 0, 80, 0}));
  const Message all = with("-lh 100 -ls 7 -bh 18446744073709551615 -bs 5");
  EXPECT_EQ(all.hard, (pfkey::Lifetime{0, UINT64_MAX, 100, 0}));
  EXPECT_EQ(all.soft, (pfkey::Lifetime{0, 5, 7, 0}));
  const Message bytes = with("-bh 18446744073709551615");
  EXPECT_EQ(bytes.soft->bytes, 14757395258967641292U);
  const Message soft = with("-ls 9");
  EXPECT_EQ(soft.hard, (pfkey::Lifetime{}));
  EXPECT_EQ(soft.soft, (pfkey::Lifetime{0, 0, 9, 0}));
}

TEST(SetkeyScript, EveryProtocol) {
  const std::string from = "add ::1 ::2 ";
  const std::string auth = " 0x100 -A hmac-sha1 0x0123456789012345678901234567890123456789;";
  EXPECT_EQ(request_of(from + "ah" + auth).satype, SaType::ah);
  EXPECT_EQ(request_of(from + "ah" + auth).sa->flags, 0x40U);
  EXPECT_EQ(request_of(from + "ah-old" + auth).sa->flags, 0x41U);
  EXPECT_EQ(request_of(from + "esp-old 1 -E null;").sa->flags, 0x41U);
  const Message comp = request_of(from + "ipcomp 0x200 -C deflate -R;");
  EXPECT_EQ(comp.satype, SaType::ipcomp);
  EXPECT_EQ(comp.sa->encrypt, 2);
  EXPECT_EQ(comp.sa->flags, 0xC0U);
  EXPECT_EQ(request_of(from + "ipcomp 1 -C oui;").sa->encrypt, 1);
  EXPECT_EQ(request_of(from + "ipcomp 1 -C lzs;").sa->encrypt, 3);
}

TEST(SetkeyScript, NatTraversal) {
  const Message m =
      request_of("add 10.0.0.1[4501] 10.0.0.2 esp-udp 192.168.1.9 0x100 -E null -A null;");
  EXPECT_EQ(m.satype, SaType::esp);
  EXPECT_EQ(m.nat_t_type, pfkey::kNatTEspInUdp);
  EXPECT_EQ(m.nat_t_source_port, 4501);
  EXPECT_EQ(m.nat_t_destination_port, 4500);
  EXPECT_EQ(m.nat_t_original, host("192.168.1.9"));
  EXPECT_FALSE(request_of("add 1.1.1.1 2.2.2.2 esp-udp 5 -E null;").nat_t_original);
}

TEST(SetkeyScript, AlgorithmsOfTheTable) {
  const auto encrypted = [](const std::string& algorithm) {
    return request_of("add 1.1.1.1 2.2.2.2 esp 5 -E " + algorithm + ";");
  };
  const std::string hex32(32, '7');
  EXPECT_EQ(encrypted("aes-cbc 0x" + hex32).sa->encrypt, 12);
  EXPECT_EQ(encrypted("rijndael-cbc 0x" + hex32).sa->encrypt, 12);
  EXPECT_EQ(encrypted("des-cbc 0x0123456789abcdef").sa->encrypt, 2);
  EXPECT_EQ(encrypted("des-deriv 0x0123456789abcdef").sa->flags, 0x60U);
  EXPECT_EQ(encrypted("des-32iv 0x0123456789abcdef").sa->flags, 0x51U);
  EXPECT_EQ(encrypted("aes-ctr 0x" + hex32 + "01020304").sa->encrypt, 13);
  const Message gcm = encrypted("aes-gcm-16 0x" + hex32 + hex32 + "01020304");
  EXPECT_EQ(gcm.sa->encrypt, 20);
  EXPECT_EQ(gcm.sa->auth, 0);
  EXPECT_EQ(gcm.key_encrypt->bits, 288);
  EXPECT_FALSE(gcm.key_auth);
  const Message null = encrypted("null");
  EXPECT_EQ(null.sa->encrypt, 11);
  ASSERT_TRUE(null.key_encrypt) << "Linux wants a key of 0 bits";
  EXPECT_EQ(null.key_encrypt->bits, 0);
  const Message sha = encrypted("null -A hmac-sha2-256 0x" + hex32 + hex32);
  EXPECT_EQ(sha.sa->auth, 5);
  EXPECT_EQ(encrypted("null -A hmac-sha256 0x" + hex32 + hex32).sa->auth, 5);
}

// Every row by its name: number, flags, and keys of just the sizes of the table.
TEST(SetkeyScript, EveryRowOfTheTable) {
  for (const crypto::Algorithm& row : crypto::algorithms()) {
    if (row.kind == crypto::Kind::compression) continue;
    SCOPED_TRACE(row.name);
    const bool signs = row.kind == crypto::Kind::integrity;
    const std::string head = "add 1.1.1.1 2.2.2.2 " + std::string(signs ? "ah" : "esp") +
                             " 0x100 " + (signs ? "-A " : "-E ") + std::string(row.name);
    const auto statement = [&](unsigned bits) {
      return head + (bits == 0 ? "" : " 0x" + std::string(bits / 4, '7')) + ";";
    };
    for (unsigned bits : {row.key_bits_min, row.key_bits_max}) {
      const Message message = request_of(statement(bits));
      const auto& key = signs ? message.key_auth : message.key_encrypt;
      ASSERT_TRUE(key);
      EXPECT_EQ(key->bits, bits);
      EXPECT_EQ(signs ? crypto::find_integrity(message.sa->auth)
                      : crypto::find_encryption(message.sa->encrypt, message.sa->flags),
                &row);
      EXPECT_EQ(message.sa->flags & row.pfkey_flags, row.pfkey_flags);
    }
    if (row.key_bits_max == 0) continue;
    for (unsigned bits : {row.key_bits_min - 8u, row.key_bits_max + 8u})
      EXPECT_ANY_THROW(parse_script(statement(bits), {})) << bits;
  }
}

TEST(SetkeyScript, AnOddDigitIsAByteOfItsOwn) {
  // 31 digits make 16 bytes.
  const Message m =
      request_of("add 1.1.1.1 2.2.2.2 esp 5 -E aes-cbc 0xF112233445566778899aabbccddeeFf;");
  EXPECT_EQ(bytes_of(m.key_encrypt)[0], 0x0f);
  EXPECT_EQ(bytes_of(m.key_encrypt)[1], 0x11);
  EXPECT_EQ(bytes_of(m.key_encrypt)[15], 0xff);
}

TEST(SetkeyScript, StatementsAboutOneSa) {
  const Message get = request_of("get 10.0.0.1 10.0.0.2 ah 0x200;");
  EXPECT_EQ(get.type, MessageType::get);
  EXPECT_EQ(get.sa->spi, 0x200U);
  EXPECT_FALSE(get.sa2 || get.key_auth);
  EXPECT_EQ(request_of("delete 10.0.0.1 10.0.0.2 esp 7;").type, MessageType::del);
  EXPECT_EQ(request_of("update 10.0.0.1 10.0.0.2 esp 7 -E null;").type, MessageType::update);
  const Message getspi = request_of("getspi ::1 ::2 esp 0x1234 -m tunnel -u 3;");
  EXPECT_EQ(getspi.type, MessageType::getspi);
  EXPECT_EQ(getspi.spi_range, (pfkey::SpiRange{0x1234, 0x1234}));
  EXPECT_EQ(getspi.sa2, (pfkey::Sa2{Mode::tunnel, 0, 3}));
  EXPECT_FALSE(getspi.sa);
  const Message all = request_of("deleteall 10.0.0.1 10.0.0.2 esp;");
  EXPECT_EQ(all.type, MessageType::del);
  EXPECT_EQ(all.satype, SaType::esp);
  EXPECT_FALSE(all.sa);
}

TEST(SetkeyScript, StatementsAboutTables) {
  EXPECT_EQ(request_of("flush;").type, MessageType::flush);
  EXPECT_EQ(request_of("flush;").satype, SaType::unspec);
  EXPECT_EQ(request_of("flush ah;").satype, SaType::ah);
  EXPECT_EQ(request_of("dump;").type, MessageType::dump);
  EXPECT_EQ(request_of("dump ipcomp;").satype, SaType::ipcomp);
  EXPECT_EQ(request_of("spdflush;").type, MessageType::spdflush);
  EXPECT_EQ(request_of("spddump;").type, MessageType::spddump);
}

TEST(SetkeyScript, SelectorsOfPolicies) {
  const Message m = request_of("spdadd 10.1.0.0/16[80] 0.0.0.0/0[any] tcp -P out discard;");
  EXPECT_EQ(m.type, MessageType::spdadd);
  EXPECT_EQ(m.source, (pfkey::AddressExtension{{base::Address::parse("10.1.0.0"), 80}, 6, 16}));
  EXPECT_EQ(m.destination, (pfkey::AddressExtension{{base::Address::parse("0.0.0.0"), 0}, 6, 0}));
  EXPECT_EQ(m.policy->type, pfkey::PolicyType::discard);
  const Message apart = request_of("spdupdate 10.1.0.0 /16 [80] 10.2.0.0 any -P out none;");
  EXPECT_EQ(apart.type, MessageType::spdupdate);
  EXPECT_EQ(apart.source,
            (pfkey::AddressExtension{{base::Address::parse("10.1.0.0"), 80}, 255, 16}));
  EXPECT_EQ(apart.destination->prefixlen, 32);
}

TEST(SetkeyScript, UpperProtocols) {
  const auto upper = [](const std::string& text) {
    return request_of("spdadd ::/0 ::/0 " + text + " -P out none;");
  };
  EXPECT_EQ(upper("any").source->proto, 255);
  EXPECT_EQ(upper("any").destination->proto, 255);
  EXPECT_EQ(upper("udp").source->proto, IPPROTO_UDP);
  EXPECT_EQ(upper("icmp6").source->proto, IPPROTO_ICMPV6);
  EXPECT_EQ(upper("ip4").source->proto, 4);
  EXPECT_EQ(upper("89").source->proto, 89);
  EXPECT_EQ(upper("icmp6 135,0").source->endpoint.port, 135);
  EXPECT_EQ(upper("icmp6 135,2").destination->endpoint.port, 2);
  EXPECT_EQ(upper("gre 1.2.3.4").source->endpoint.port, 0x0102);
  EXPECT_EQ(upper("gre 1.2.3.4").destination->endpoint.port, 0x0304);
}

TEST(SetkeyScript, AnInPolicyHoldsForForwardingToo) {
  const auto statements = parse_script(
      "spdadd 10.0.0.0/8 10.1.0.0/16 any -P in ipsec esp/tunnel/1.1.1.1-2.2.2.2/unique:7\n"
      "  ah/transport//use;",
      {});
  ASSERT_EQ(statements[0].requests.size(), 2U);
  const Message &in = statements[0].requests[0].message, &fwd = statements[0].requests[1].message;
  EXPECT_FALSE(statements[0].requests[0].forward_copy);
  EXPECT_TRUE(statements[0].requests[1].forward_copy);
  EXPECT_EQ(in.policy->direction, Direction::in);
  EXPECT_EQ(in.policy->requests[0].level, Level::unique);
  EXPECT_EQ(in.policy->requests[0].reqid, 7U);
  EXPECT_EQ(fwd.policy->direction, Direction::fwd);
  EXPECT_EQ(fwd.policy->requests[0].level, Level::require);
  EXPECT_EQ(fwd.policy->requests[0].reqid, 0U);
  EXPECT_EQ(fwd.policy->requests[1].level, Level::use);
  EXPECT_EQ(fwd.source, in.source);

  EXPECT_EQ(request_of("spdadd ::/0 ::/0 any -P in none;", {true}).policy->direction,
            Direction::in);
  EXPECT_EQ(parse_script("spddelete ::/0 ::/0 any -P in;", {})[0].requests.size(), 2U);
  EXPECT_EQ(parse_script("spddelete ::/0 ::/0 any -P out;", {})[0].requests.size(), 1U);
}

TEST(SetkeyScript, FlagsChooseTheFamily) {
  EXPECT_EQ(request_of("add -4 127.0.0.1 127.0.0.2 esp 5 -E null;").source, host("127.0.0.1"));
  EXPECT_EQ(request_of("add -n6 ::1 ::2 esp 5 -E null;").source, host("::1"));
  EXPECT_EQ(request_of("add -n -4 127.0.0.1 127.0.0.2 esp 5 -E null;").source, host("127.0.0.1"));
  EXPECT_THROW(parse_script("add -6 127.0.0.1 127.0.0.2 esp 5 -E null;", {}), SyntaxError);
}

TEST(SetkeyScript, LayoutMeansNothing) {
  const auto statements = parse_script(
      "#!/usr/sbin/setkey -f\n"
      "# comment; with a semicolon \"and a quote\n"
      "flush;spdflush;;\n"
      "add\t10.0.0.1 # in the middle\n10.0.0.2 esp 5 -E null\r\n;\n"
      "spdadd 10.0.0.0 /8 [any] 10.1.0.0/16 [80] tcp -P out ipsec # more\n"
      "  esp / transport // require;"
      "exit; flush;",
      {});
  ASSERT_EQ(statements.size(), 6U);
  EXPECT_EQ(statements[0].line, 3U);
  EXPECT_EQ(statements[2].line, 4U);
  EXPECT_EQ(statements[3].line, 7U);
  EXPECT_EQ(statements[3].requests[0].message.destination->endpoint.port, 80);
  EXPECT_EQ(statements[3].requests[0].message.policy->requests[0].level, Level::require);
  EXPECT_TRUE(statements[4].leave);
  EXPECT_TRUE(parse_script("quit;", {})[0].leave);
  EXPECT_TRUE(parse_script("bye;", {})[0].leave);
  EXPECT_TRUE(parse_script("", {}).empty());
  EXPECT_TRUE(parse_script("# nothing\n", {}).empty());
}

TEST(SetkeyScript, AQuotedKeyMayHoldAnything) {
  const Message m = request_of("add 1.1.1.1 2.2.2.2 esp 5 -E des-cbc \"a;b # c \";");
  EXPECT_EQ(bytes_of(m.key_encrypt),
            (std::vector<std::uint8_t>{'a', ';', 'b', ' ', '#', ' ', 'c', ' '}));
}

TEST(SetkeyScript, LongScriptsAreReadWhole) {
  std::string script;
  for (int i = 0; i < 20000; ++i)
    script += "add 10.0.0.1 10.0.0.2 esp " + std::to_string(i + 256) + " -E null;\n";
  script += "#" + std::string(10'000'000, 'x') + "\nspdflush;";
  const auto statements = parse_script(script, {});
  EXPECT_EQ(statements.size(), 20001U);
  EXPECT_EQ(statements.back().line, 20002U);
}

}  // namespace
}  // namespace saline::setkey
