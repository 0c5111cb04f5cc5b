// Messages and datagrams that several PF_KEY tests start from. The datagrams are typed by hand from
// RFC 2367 §2 and §3, not produced by the encoder.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "host/pfkey/message.hpp"

namespace saline::pfkey {

inline std::vector<std::uint8_t> bytes_of(std::string_view hex) {
  std::vector<std::uint8_t> bytes;
  int digit = 0;
  for (const char c : hex) {
    if (c == ' ' || c == '\n') continue;
    const int value = c <= '9' ? c - '0' : c - 'a' + 10;
    if (digit++ % 2 == 0)
      bytes.push_back(static_cast<std::uint8_t>(value << 4));
    else
      bytes.back() = static_cast<std::uint8_t>(bytes.back() | value);
  }
  return bytes;
}

// SADB_ADD of an ESP SA, IPv4, as setkey on little-endian Linux sends it.
inline constexpr std::string_view kAddHex =
    "02 03 00 03 1300 0000 07000000 39300000"  // header: ADD, ESP, 19 units, seq 7
    "0200 0100 00001000 04 00 03 0c 40000000"  // SA: SPI 0x1000, replay 4, AES, SHA1
    "0400 0300 00000000 0000000000000000 100e000000000000 0000000000000000"  // HARD: 3600 s
    "0300 0500 ff 20 0000 0200 0000 0a000001 0000000000000000"               // SRC 10.0.0.1
    "0300 0600 ff 20 0000 0200 0000 0a000002 0000000000000000"               // DST 10.0.0.2
    "0300 0900 8000 0000 00112233445566778899aabbccddeeff"                   // 128-bit AES key
    "0200 1300 02 00 0000 00000000 05000000";                                // SA2: tunnel, reqid 5

// SADB_X_SPDADD, IPv6 selector, out, one ESP tunnel with IPv4 end points.
inline constexpr std::string_view kSpdAddHex =
    "02 0e 00 00 1400 0000 00000000 01000000"
    "0500 0500 06 40 0000 0a00 0050 00000000 20010db8000000000000000000000000 00000000 00000000"
    "0500 0600 06 80 0000 0a00 0000 00000000 20010db8000000000000000000000001 00000000 00000000"
    "0800 1200 0200 02 00 00000000 00000080"  // IPSEC, out, priority 0x80000000
    "3000 3200 02 02 0000 00000000 00000000"  // 48 bytes, ESP, tunnel, require
    "0200 0000 c0000201 0000000000000000 0200 0000 c0000202 0000000000000000";

inline AddressExtension address(const char* text, std::uint8_t prefixlen, std::uint16_t port = 0,
                                std::uint8_t proto = kUpperAny) {
  return {{base::Address::parse(text), port}, proto, prefixlen};
}

inline Key key_of(std::size_t bytes, std::uint8_t fill = 0xA5) {
  const std::vector<std::uint8_t> raw(bytes, fill);
  return {static_cast<std::uint16_t>(bytes * 8), base::Secret(raw)};
}

inline Message sample_add() {
  Message m(MessageType::add);
  m.satype = SaType::esp;
  m.seq = 7;
  m.pid = 12345;
  m.sa = Sa{0x1000, 4, SaState::larval, 3, 12, kSaFlagCyclicSequence};
  m.hard = Lifetime{0, 0, 3600, 0};
  m.source = address("10.0.0.1", 32);
  m.destination = address("10.0.0.2", 32);
  m.key_encrypt = key_of(16);
  m.key_auth = key_of(20);
  m.sa2 = Sa2{Mode::tunnel, 0, 5};
  return m;
}

inline Message sample_spdadd() {
  Message m(MessageType::spdadd);
  m.source = address("2001:db8::", 64, 80, 6);
  m.destination = address("2001:db8::1", 128, 0, 6);
  PolicyRequest request;
  request.proto = 50;
  request.mode = Mode::tunnel;
  request.level = Level::require;
  request.source = base::Endpoint{base::Address::parse("192.0.2.1"), 0};
  request.destination = base::Endpoint{base::Address::parse("192.0.2.2"), 0};
  m.policy = Policy{PolicyType::ipsec, Direction::out, 0, kPriorityDefault, {request}};
  m.pid = 1;
  return m;
}

}  // namespace saline::pfkey
