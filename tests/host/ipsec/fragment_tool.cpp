// Splitting and putting together for a peer in another language: commands on stdin, one answer line
// each on stdout. For fragment_scapy_test.py.
//   split MTU HEX     -> the fragments
//   join HEX HEX ...  -> the whole packet, or - when there is none
#include <array>
#include <iostream>
#include <sstream>

#include "host/base/bytes.hpp"
#include "host/ipsec/reassembly.hpp"

namespace {

using namespace saline;
using Bytes = std::vector<std::uint8_t>;

std::string split(const Bytes& packet, std::uint32_t mtu) {
  ipsec::Splitter splitter;
  std::string out;
  Bytes buffer(65536);
  if (!splitter.start(packet, mtu, 0x12345678)) return "-";
  while (const std::uint32_t bytes = splitter.next(buffer))
    out += (out.empty() ? "" : " ") + base::to_hex(std::span(buffer).first(bytes));
  return out;
}

std::string join(std::istream& words) {
  ipsec::Reassembly reassembly({.datagrams = 16, .blocks = 64});
  Bytes whole(ipsec::Reassembly::kWholeMax);
  for (std::string word; words >> word;) {
    const auto fragment = base::from_hex(word);
    ipsec::Headers headers;
    std::uint32_t length = 0;
    if (ipsec::parse_headers(fragment, headers) &&
        reassembly.add(fragment, headers, 0, 0, whole, length) == ipsec::Reassembly::Result::whole)
      return base::to_hex(std::span(whole).first(length));
  }
  return "-";
}

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string command, packet;
    std::uint32_t mtu = 0;
    words >> command;
    if (command == "split") {
      words >> mtu >> packet;
      std::cout << split(base::from_hex(packet), mtu) << std::endl;
    } else {
      std::cout << join(words) << std::endl;
    }
  }
}
