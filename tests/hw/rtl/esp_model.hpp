// A second opinion on ESP for the engine's tests: frames made at random, protected packets built
// byte by byte from the RFCs with OpenSSL's AES-GCM. Shares no code with the data paths; knows
// nothing of windows or tables.
#pragma once

#include "hw/interface/saline_hw.hpp"
#include "tests/hw/rtl/gcm_reference.hpp"

namespace saline::hw::bench {

struct FrameForm {
  bool vlan = false;
  bool ipv6 = false;
  size_t payload = 64;  // behind the IP headers; TCP or UDP ports are its first bytes
  uint8_t protocol = 17;
  size_t options = 0;       // IPv4 option bytes, a multiple of 4 up to 40
  bool hop_by_hop = false;  // IPv6 extension headers, in this order
  bool routing = false;
  bool destination_options = false;
  bool fragment = false;  // a first fragment
  uint8_t traffic_class = 0;
  bool df = false;
  size_t padding = 0;  // Ethernet bytes behind the IP packet
  Bytes source = {};   // 4 or 16 bytes; random when empty
  Bytes destination = {};
};

/// A form drawn at random; payload of up to payload_max bytes.
FrameForm random_form(Random& random, size_t payload_max);
Bytes make_frame(Random& random, const FrameForm& form);

/// The IP packet of a frame without Ethernet padding, and where it begins.
size_t ip_begin(const Bytes& frame);
size_t ip_end(const Bytes& frame);
Bytes without_padding(const Bytes& frame);
uint16_t header_checksum(const Bytes& bytes, size_t begin);
void put16(Bytes& bytes, size_t at, size_t value);
/// Sets the congestion mark of the IP header at `begin`, checksum included.
void set_ecn(Bytes& frame, size_t begin, unsigned ecn);

/// A context with random keys, addresses and numbers, valid, with hash powers.
SaContext make_sa(Random& random, bool tunnel, bool outer_ipv6, bool esn, bool long_key);

/// Departures from the rules, for packets that a receiver must refuse.
struct Twist {
  int next_header = -1;
  int pad = -1;               // padding bytes to add, such that the text stays a multiple of 4
  int pad_length_field = -1;  // what the field says instead
  size_t tfc = 0;             // bytes between inner packet and padding
  uint8_t outer_ecn = 0xFF;   // of the tunnel header
};

/// What the card must send for a frame, and what a peer would send to it.
Bytes protect(const Bytes& frame, const SaContext& sa, uint64_t number, const Twist& twist = {});

/// How many payload bytes count in the SA's books.
size_t octets(const Bytes& frame, const SaContext& sa);

}  // namespace saline::hw::bench
