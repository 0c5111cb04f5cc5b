// A host for tests: databases, a Processor, and buffers with room; builders of packets and SAs.
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "host/crypto/provider.hpp"
#include "host/ipsec/process.hpp"

namespace saline::test {

using Bytes = std::vector<std::uint8_t>;

base::Address address(std::string_view text);

// Owns the memory of a Packet.
class Buffer {
 public:
  explicit Buffer(const Bytes& bytes, std::uint32_t headroom = 256, std::uint32_t tailroom = 512);
  ipsec::Packet& packet() { return packet_; }
  Bytes bytes() const { return {packet_.data, packet_.data + packet_.length}; }

 private:
  Bytes storage_;
  ipsec::Packet packet_;
};

// IPv4 with the options given (a multiple of 4 bytes) or IPv6, by the family of the addresses;
// `payload` follows, checksum and lengths are right.
Bytes ip_packet(std::string_view source, std::string_view destination, std::uint8_t protocol,
                const Bytes& payload, const Bytes& options = {});
// A UDP datagram of that many data bytes, counting up from seed. Its checksum is left zero.
Bytes udp(std::size_t data_bytes, std::uint8_t seed = 0, std::uint16_t source_port = 1000,
          std::uint16_t destination_port = 2000);
Bytes random_bytes(std::mt19937_64& generator, std::size_t count);

// A key that fits, of the shortest size unless key_bits says otherwise; bytes count up from 1.
base::Secret key_for(const crypto::Algorithm& algorithm, unsigned key_bits = 0);

struct SaSpec {
  std::string source = "10.0.0.1";
  std::string destination = "10.0.0.2";
  std::uint32_t spi = 0x1000;
  ipsec::Protocol protocol = ipsec::Protocol::esp;
  ipsec::Mode mode = ipsec::Mode::transport;
  std::string encryption = "aes-cbc";  // ignored for AH; "" is none
  std::string integrity = "hmac-sha1";
  unsigned key_bits = 0;
  std::uint32_t window = 64;
  bool esn = false;
  std::uint32_t reqid = 0;
  std::uint32_t flags = 0;
  ipsec::UdpEncapsulation udp{};
  bool align8 = false;
};
// IPComp is always with deflate, and SAs of the old formats are allowed.
ipsec::SaConfig config_of(const SaSpec& spec);

// A policy that takes any packet of the family, with one request per SA, innermost first.
ipsec::Policy policy_for(std::initializer_list<SaSpec> specs,
                         ipsec::Direction direction = ipsec::Direction::out,
                         ipsec::Level level = ipsec::Level::require);

class Host {
 public:
  Host();
  std::shared_ptr<ipsec::SecurityAssociation> add(const SaSpec& spec);
  std::shared_ptr<ipsec::SecurityAssociation> add(ipsec::SaConfig config);
  void add_policy(ipsec::Policy policy);

  ipsec::OutboundItem protect(Buffer& buffer, const ipsec::Policy& policy, std::uint32_t mtu = 0);
  ipsec::InboundItem open(Buffer& buffer);
  hw::DropReason check(Buffer& buffer, ipsec::Direction direction = ipsec::Direction::in);

  std::unique_ptr<crypto::Provider> provider;
  ipsec::Sad sad;
  ipsec::Spd spd;
  ipsec::Settings settings;
  ipsec::Processor processor;
};

// Protects `packet` on one fresh host with a fresh SA; throws when that does not pass.
Bytes protect_with(const SaSpec& spec, const Bytes& packet);

// An ESP packet made by hand: IP header, ESP header, IV of zeros, `text` (payload, padding, pad
// length, next header) encrypted as it is, and a good ICV. ESN is not used.
Bytes craft_esp(const SaSpec& spec, std::uint32_t sequence, const Bytes& text);
// payload followed by 1, 2, 3, ..., the pad length and the next header.
Bytes with_trailer(Bytes payload, std::uint8_t pad, std::uint8_t next_header);

std::uint64_t refused(const ipsec::SecurityAssociation& sa, hw::DropReason reason);

}  // namespace saline::test
