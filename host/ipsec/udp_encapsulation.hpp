// ESP in UDP (RFC 3948): what a datagram at one of our ports holds, the UDP header around ESP, the
// checksums that a translator has spoilt in transport mode, and keepalives. Which SA goes into UDP
// and where its peer is are in the SA (association.hpp). Not here: the non-IKE marker of the
// drafts.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "host/ipsec/association.hpp"
#include "host/ipsec/packet.hpp"

namespace saline::ipsec {

inline constexpr std::uint32_t kUdpHeader = 8;
inline constexpr std::uint16_t kEncapsulationPort = 4500;

// Our own ports at which ESP arrives in UDP: 4500 and what inbound SAs name. An immutable value for
// the data thread once it is made.
class EncapsulationPorts {
 public:
  EncapsulationPorts() noexcept { add(kEncapsulationPort); }
  void add(std::uint16_t port) noexcept { words_[port / 64] |= 1ull << (port % 64); }
  bool contains(std::uint16_t port) const noexcept {
    return (words_[port / 64] >> (port % 64) & 1) != 0;
  }
  bool operator==(const EncapsulationPorts&) const = default;

 private:
  std::array<std::uint64_t, 1024> words_{};
};

enum class UdpContent : std::uint8_t {
  esp,
  ike,        // behind the non-ESP marker: the host's
  keepalive,  // one byte 0xFF: nobody's
  damaged,    // lengths or checksum are wrong, or too short for either
};

// RFC 3948 §2: of a whole packet whose upper protocol is UDP. A checksum of zero is none, in IPv6
// too (RFC 6935 §5).
UdpContent look_into_udp(std::span<const std::uint8_t> packet, const Headers& headers) noexcept;

// RFC 3948 §2.1; `bytes` with the header. The checksum is zero, as IPv4 has it.
void write_udp_header(std::uint8_t* udp, std::uint16_t source_port, std::uint16_t destination_port,
                      std::uint32_t bytes) noexcept;
// IPv6 demands one (RFC 8200 §8.1). The packet is whole and encrypted, its UDP header at `offset`.
void write_udp_checksum(const Packet& packet, std::uint32_t offset) noexcept;

// RFC 3948 §3.1.2, for a packet that came out of transport mode behind a translator: its TCP, UDP
// or ICMPv6 checksum covers addresses that are no longer in its header. With the source's original
// address the change is taken over; without (unspecified) the checksum is made anew, which the ICV
// of the SA makes safe. A UDP checksum of zero stays.
void correct_checksum(const Packet& packet, const base::Address& original_source) noexcept;

// RFC 3948 §2.3: the packet that an outbound SA sends from behind a translator when it has nothing
// else to send. Bytes written; 0 when the SA is not in UDP or the room is too small.
inline constexpr std::size_t kKeepaliveMax = 49;
std::size_t build_keepalive(const SecurityAssociation& association,
                            std::span<std::uint8_t> out) noexcept;

}  // namespace saline::ipsec
