// What is wrong with a script is said with its line and in words, and never shows a key.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "host/setkey/script.hpp"

namespace saline::setkey {
namespace {

std::string error_of(std::string_view script) {
  try {
    parse_script(script, {});
    return "none";
  } catch (const SyntaxError& error) {
    return std::to_string(error.line()) + ": " + error.what();
  }
}

struct Case {
  std::string script;
  std::string error;
};

TEST(SetkeyScriptError, SaysLineAndReason) {
  const std::string sa = "add 10.0.0.1 10.0.0.2 esp 5 ";
  const std::string policy = "spdadd 10.0.0.0/8 10.1.0.0/16 any -P ";
  const Case cases[] = {
      {"flush", "1: ';' expected, but the script ends"},
      {"flush;\n\nfrobnicate all;", "3: unknown statement 'frobnicate'"},
      {"\"flush\";", "1: unknown statement 'flush'"},
      {"flush tcp;", "1: protocol must be esp, ah, esp-old, ah-old, ipcomp or esp-udp, not 'tcp'"},
      {"flush esp ah;", "1: ';' expected"},
      {"add 10.0.0.1;", "1: destination address expected"},
      {"add 10.0.0.1\n::1 esp 5 -E null;",
       "2: address '::1' is not of the family of this statement"},
      {"add -6 10.0.0.1 10.0.0.2 esp 5 -E null;",
       "1: address '10.0.0.1' is not of the family of this statement"},
      {"add -x 10.0.0.1 10.0.0.2 esp 5 -E null;", "1: flags here are -4, -6 and -n"},
      {"add 10.0.0.1/8 10.0.0.2 esp 5 -E null;", "1: an SA is between hosts: no prefix here"},
      {"add 10.0.0.1[70000] 10.0.0.2 esp 5 -E null;",
       "1: port must be a number of 0 to 65535, not '70000'"},
      {"add 10.0.0.1[5 10.0.0.2 esp 5 -E null;", "1: ']' expected after a port"},
      {"add 10.0.0.1 10.0.0.2 esp 0 -E null;", "1: SPI 0 is reserved"},
      {"add 10.0.0.1 10.0.0.2 esp 4294967296 -E null;",
       "1: SPI must be a number of 0 to 4294967295, not '4294967296'"},
      {"add 10.0.0.1 10.0.0.2 esp five -E null;",
       "1: SPI must be a number of 0 to 4294967295, not 'five'"},
      {sa + ";", "1: esp needs -E; without encryption it is -E null"},
      {sa + "-A null;", "1: esp needs -E; without encryption it is -E null"},
      {sa + "-m beet -E null;", "1: mode must be transport, tunnel or any, not 'beet'"},
      {sa + "-f pad -E null;",
       "1: flag must be random-pad, zero-pad, seq-pad, nocyclic-seq or ah-align8, not 'pad'"},
      {sa + "-q -E null;", "1: unknown option '-q'"},
      {sa + "-lh 10 -ls 11 -E null;", "1: soft lifetime above the hard one"},
      {sa + "-lh -E null;",
       "1: hard lifetime must be a number of 0 to 18446744073709551615, not '-E'"},
      {sa + "-E rot13 \"secret\";", "1: unknown encryption algorithm 'rot13'"},
      {sa + "-E null -A crc \"secret\";", "1: unknown authentication algorithm 'crc'"},
      {sa + "-E aes-cbc;", "1: aes-cbc needs a key"},
      {sa + "-E aes-cbc\n-A null;", "2: aes-cbc needs a key"},
      {sa + "-E null \"secret\";", "1: ';' expected"},
      {sa + "-E aes-cbc \"short\";",
       "1: aes-cbc takes a key of 128, 192, 256 bits; this one has 40"},
      {sa + "-E aes-gcm-16 \"0123456789abcdef\";",
       "1: aes-gcm-16 takes a key of 160, 224, 288 bits, the salt included; this one has 128"},
      {sa + "-E aes-gcm-16 \"0123456789abcdef0123\" -A null;",
       "1: aes-gcm-16 authenticates by itself: no -A with it"},
      {sa + "-E null -A hmac-sha1 0x00;", "1: hmac-sha1 takes a key of 160 bits; this one has 8"},
      {sa + "-E des-cbc 0x0123456789abcdeg;",
       "1: a key is \"a string\" or 0x and hexadecimal digits"},
      {sa + "-E des-cbc 0x;", "1: a key is \"a string\" or 0x and hexadecimal digits"},
      {sa + "-E des-cbc kamekame;", "1: a key is \"a string\" or 0x and hexadecimal digits"},
      {sa + "-E des-cbc \"kame\nkame\";", "1: string without closing quote"},
      {sa + "-E null -A aes-gmac-128 \"0123456789abcdef0123\";",
       "1: aes-gmac-128 is for ah; in esp it is -E aes-gmac (RFC 4543)"},
      {sa + "-E blowfish-cbc \"four\";",
       "1: blowfish-cbc takes a key of 40 to 448 bits; this one has 32"},
      {"add ::1 ::2 ah 5 ;", "1: ah needs -A"},
      {"add ::1 ::2 ah 5 -E null;", "1: -E is for esp"},
      {"add ::1 ::2 ipcomp 5 ;", "1: ipcomp needs -C"},
      {"add ::1 ::2 ipcomp 5 -A null;", "1: -A is for esp and ah"},
      {"add ::1 ::2 ipcomp 5 -C zip;", "1: compression must be oui, deflate or lzs, not 'zip'"},
      {"add ::1 ::2 ipcomp 65536 -C oui;", "1: a CPI is a number of 1 to 65535"},
      {"spdadd tagged \"x\" -P in none;",
       "1: tagged policies need a packet filter that tags: not supported"},
      {"spdadd 10.0.0.0/33 10.0.0.0 any -P in none;",
       "1: prefix length must be a number of 0 to 32, not '33'"},
      {"spdadd 10.0.0.0/8 10.0.0.0 nonsense -P in none;",
       "1: unknown upper-layer protocol 'nonsense'"},
      {"spdadd 10.0.0.0/8 10.0.0.0 256 -P in none;",
       "1: upper-layer protocol must be a number of 0 to 255, not '256'"},
      {"spdadd ::/0 ::/0 icmp6 128 -P in none;",
       "1: '128' is no ICMP type,code and no GRE key; -P expected"},
      {"spdadd ::/0 ::/0 icmp6 256,0 -P in none;",
       "1: ICMP type must be a number of 0 to 255, not '256'"},
      {"spdadd ::/0 ::/0 gre 1234 -P in none;",
       "1: '1234' is no ICMP type,code and no GRE key; -P expected"},
      {"spdadd ::/0 ::/0 any;", "1: -P and a policy expected"},
      {policy + ";", "1: policy: direction must be in, out or fwd, but the policy ends"},
      {policy + "in ipsec\n  esp/transport//require\n  ah/tunnel//require;",
       "3: policy: a tunnel needs its two addresses"},
      {policy + "out ipsec esp/transport//must;",
       "1: policy: level must be default, use, require, unique or unique:N, not 'must'"},
      {std::string("flush;\n\0", 8), "2: NUL byte: this is no setkey script"},
      {"flush;\x01", "1: control character: this is no setkey script"},
  };
  for (const Case& one : cases) EXPECT_EQ(error_of(one.script), one.error) << one.script;
}

TEST(SetkeyScriptError, UnknownHostsAreNamed) {
  EXPECT_THAT(error_of("add -n no.such.host 10.0.0.2 esp 5 -E null;"),
              ::testing::StartsWith("1: address 'no.such.host': "));
}

TEST(SetkeyScriptError, NeverShowsAKey) {
  const std::string key = "0x00112233445566778899aabbccddeeff";
  for (const char* script :
       {"add 1.1.1.1 2.2.2.2 esp 5 -E aes-cbc KEY KEY;", "add 1.1.1.1 2.2.2.2 esp 5 -E KEY;",
        "add 1.1.1.1 2.2.2.2 esp KEY;", "add 1.1.1.1 2.2.2.2 esp 5 -E aes-cbc KEYg;",
        "add 1.1.1.1 2.2.2.2 esp 5 -E null -A KEY;", "KEY;", "add -n KEY;",
        "add 1.1.1.1 2.2.2.2 KEY;", "add 1.1.1.1 2.2.2.2 esp 5 -m KEY;"}) {
    std::string text = script;
    for (std::size_t at; (at = text.find("KEY")) != text.npos;) text.replace(at, 3, key);
    const std::string error = error_of(text);
    EXPECT_NE(error, "none") << script;
    EXPECT_EQ(error.find("2233445566"), error.npos) << error;
  }
}

// Whatever the text, the parser returns statements or a SyntaxError with a line of the text.
TEST(SetkeyScriptError, SurvivesMangledScripts) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const std::string good =
      "flush; add -n 10.0.0.1[4500] 10.0.0.2 esp-udp 0x1000 -m tunnel -u 5 -r 300 -lh 9 -esn\n"
      " -E aes-gcm-16 0x000102030405060708090a0b0c0d0e0f10111213;\n"
      "spdadd -n 10.0.0.0/8[any] ::/0 icmp6 1,2 -P in prio high + 3 ipsec\n"
      " esp/tunnel/10.0.0.1-10.0.0.2/unique:5 ah/transport//use; # end\n";
  const std::string pieces[] = {";", "\"", "#", "\n", "/", "[", "]", "-", "0x", " ", "-P", "in"};
  for (int i = 0; i < 20000; ++i) {
    std::string text = good;
    for (auto n = 1 + random() % 3; n > 0; --n) {
      const std::size_t at = random() % text.size();
      if (random() % 2)
        text.erase(at, 1 + random() % 8);
      else
        text.insert(at, pieces[random() % std::size(pieces)]);
    }
    for (std::size_t at = 0; (at = text.find("add ", at)) != text.npos; ++at)
      text.insert(at + 4, "-n ");  // no name look-ups
    try {
      parse_script(text, {});
    } catch (const SyntaxError& error) {
      ASSERT_GE(error.line(), 1U) << text;
      ASSERT_LE(error.line(), 8U) << text;
    }
  }
}

}  // namespace
}  // namespace saline::setkey
