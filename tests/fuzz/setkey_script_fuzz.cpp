// setkey's scripts: every statement that parses can be sent, and a syntax error names a line of the
// script. Names are never looked up here.
#include <netdb.h>

#include <algorithm>
#include <string>

#include "host/base/error.hpp"
#include "host/setkey/script.hpp"
#include "tests/fuzz/fuzz.hpp"

// By the linker's --wrap: whatever a mutated host name says, no name server hears of it.
extern "C" int __real_getaddrinfo(const char*, const char*, const addrinfo*, addrinfo**);
extern "C" int __wrap_getaddrinfo(const char* node, const char* service, const addrinfo* hints,
                                  addrinfo** result) {
  addrinfo numeric = *hints;
  numeric.ai_flags |= AI_NUMERICHOST;
  return __real_getaddrinfo(node, service, &numeric, result);
}

namespace saline::fuzz {

void one(Input input) {
  const bool kernel_mode = input.take8() % 2 != 0;
  const Bytes bytes = input.rest();
  const std::string script(bytes.begin(), bytes.end());
  const auto lines = static_cast<std::size_t>(std::count(script.begin(), script.end(), '\n'));
  try {
    for (const setkey::Statement& statement : setkey::parse_script(script, {kernel_mode})) {
      SALINE_REQUIRE(statement.line <= lines + 1, "a statement beyond the script");
      for (const setkey::Request& request : statement.requests)
        pfkey::decode(pfkey::encode(request.message, pfkey::kFeatureReplay));
    }
  } catch (const setkey::SyntaxError& error) {
    SALINE_REQUIRE(std::string(error.what()).size() < 10000, "an endless error");
  }
}

std::vector<Bytes> seeds() {
  std::vector<Bytes> all;
  for (const std::string& text : std::initializer_list<std::string>{
           "flush; spdflush; dump esp; spddump;\n",
           "add 10.0.0.1 10.0.0.2 esp 0x1000 -m tunnel -u 7 -r 32 -E aes-cbc "
           "0x000102030405060708090a0b0c0d0e0f -A hmac-sha1 \"12345678901234567890\";\n",
           "add -6 ::1 ::2 ah 4096 -lh 100 -bs 5 -f zero-pad -A hmac-md5 \"1234567890123456\";",
           "add 10.0.0.1[4500] 10.0.0.2[4500] esp-udp 10.0.0.3 257 -E null -A hmac-sha2-256 "
           "0x0001020304050607080900010203040506070809000102030405060708090001;",
           "add 10.0.0.1 10.0.0.2 ipcomp 0x1234 -C deflate -R;",
           "# a comment\nget 10.0.0.1 10.0.0.2 esp 256;\ndelete 10.0.0.1 10.0.0.2 ah 257;\n",
           "deleteall 10.0.0.1 10.0.0.2 esp; getspi 10.0.0.1 10.0.0.2 esp 300;",
           "spdadd 10.0.0.0/8[80] 10.1.0.0/16 tcp -P out prio def ipsec "
           "esp/tunnel/10.0.0.1-10.0.0.2/require ah/transport//use;",
           "spdadd ::/0 ::/0 icmp6 135,0 -P in none;",
           "spddelete 10.0.0.0/8 10.1.0.0/16 any -P fwd; exit;"}) {
    all.push_back(join({{0}, Bytes(text.begin(), text.end())}));
    all.push_back(join({{1}, Bytes(text.begin(), text.end())}));
  }
  return all;
}

}  // namespace saline::fuzz
