// Fragmentation: splitting an IPv4 (RFC 791 §3.2) or IPv6 (RFC 8200 §4.5) packet into fragments in
// buffers of the caller, what a fragment says of itself, and the choice between fragmenting before
// protection, after it, and not at all (RFC 4301 §8, RFC 2473 §7). Allocates nothing. Putting
// together again is reassembly.hpp.
#pragma once

#include <cstdint>
#include <span>

#include "host/ipsec/packet.hpp"
#include "host/ipsec/settings.hpp"

namespace saline::ipsec {

inline constexpr std::uint32_t kFragmentHeaderBytes = 8;

// What one fragment is of its datagram. Positions count from the IP header; header_bytes is what
// every fragment repeats (in IPv6 without the fragment header), payload_at where this one's piece
// begins.
struct FragmentInfo {
  base::Family family = base::Family::none;
  std::uint32_t identification = 0;
  std::uint32_t offset = 0;  // bytes into the datagram's payload
  bool more = false;
  std::uint8_t protocol = 0;         // IPv4: protocol; IPv6: next header of the fragment header
  std::uint32_t protocol_field = 0;  // the byte in the header that names it once whole
  std::uint32_t header_bytes = 0;
  std::uint32_t payload_at = 0;
  std::uint32_t payload_bytes = 0;
};

// False when the packet is no fragment. `headers` is the parse of `packet`.
bool parse_fragment(std::span<const std::uint8_t> packet, const Headers& headers,
                    FragmentInfo& out) noexcept;

// Splits one packet. The packet's bytes must stay until the last fragment is made. DF is not
// looked at: whether a packet may be split is choose_split's business or the caller's.
class Splitter {
 public:
  // identification: IPv6's; IPv4 keeps the packet's own, and a fragment of IPv4 may be split again.
  // False when it cannot be: malformed, an IPv6 fragment, or an MTU too small for the headers and
  // eight bytes. A packet that fits gives one fragment, itself.
  bool start(std::span<const std::uint8_t> packet, std::uint32_t mtu,
             std::uint32_t identification) noexcept;
  // The next fragment, written into `buffer`; its length, 0 after the last or when the buffer is
  // smaller than the MTU.
  std::uint32_t next(std::span<std::uint8_t> buffer) noexcept;
  // After the last fragment.
  bool done() const noexcept { return header_ + at_ == packet_.size(); }

 private:
  std::uint32_t write_ipv4(std::span<std::uint8_t> buffer, std::uint32_t bytes, bool last) noexcept;
  std::uint32_t write_ipv6(std::span<std::uint8_t> buffer, std::uint32_t bytes, bool last) noexcept;

  std::span<const std::uint8_t> packet_;
  std::uint32_t mtu_ = 0;
  std::uint32_t identification_ = 0;
  base::Family family_ = base::Family::none;
  std::uint32_t header_ = 0;          // bytes of the packet's own headers
  std::uint32_t protocol_field_ = 0;  // IPv6: the byte that will name the fragment header
  std::uint32_t first_header_ = 0;    // bytes of headers in the first fragment
  std::uint32_t later_header_ = 0;    // and in the others, which lack some IPv4 options
  std::uint32_t at_ = 0;              // of the payload, next to go
  std::uint32_t base_offset_ = 0;     // IPv4 fragment split again
  bool more_behind_ = false;          // the same: it was not the last
};

// A packet that is too big once protected.
struct Oversize {
  const std::uint8_t* data = nullptr;
  const Headers* headers = nullptr;
  std::uint32_t fitting_mtu = 0;
  bool came_in_fragments = false;  // this host put it together itself
  bool tunnel_innermost = false;   // the innermost transform is a tunnel: takes fragments
  bool by_card = false;            // which sends one frame for one packet
  // Of the outermost tunnel; none: transport mode all the way.
  base::Family outer_family = base::Family::none;
  std::uint32_t outer_flags = 0;  // SADB_SAFLAGS of its SA
};

enum class Split : std::uint8_t {
  never,   // drop it and tell the sender
  before,  // fragment it to fitting_mtu, protect the pieces
  after,   // protect it, fragment what comes out
};

Split choose_split(const Oversize& packet, const Settings& settings) noexcept;

}  // namespace saline::ipsec
