// One header's work on one packet: what prepare leaves for finish while a burst's crypto runs.
// Private to the packet walk.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "host/crypto/provider.hpp"
#include "host/ipsec/association.hpp"
#include "host/ipsec/packet.hpp"
#include "host/ipsec/settings.hpp"
#include "hw/interface/saline_hw.hpp"

namespace saline::ipsec {

// Longest IP header chain with its AH that the software path signs.
inline constexpr std::size_t kSignedHeadersMax = 640;

class SadView;

struct Step {
  Packet* packet = nullptr;
  SecurityAssociation* association = nullptr;
  Headers headers;
  bool parsed = false;          // headers describe the packet as it now is
  std::uint64_t hash = 0;       // of the SA's lookup that is under way, see SadView
  Mode mode = Mode::transport;  // outbound: as asked; inbound: set by finish
  std::uint64_t sequence = 0;
  std::uint32_t payload = 0;     // bytes for the SA's byte counter
  bool bad_padding = false;      // inbound, accepted all the same
  const SadView* sad = nullptr;  // inbound
  // ESP in UDP. Inbound: 8 where headers.upper_offset lies behind a UDP header. Outbound: where
  // that header is, when its checksum must be written at the end; else 0.
  std::uint32_t udp_bytes = 0;
  std::uint32_t udp_offset = 0;
  std::array<std::uint8_t, 12> aad;
  std::array<std::uint8_t, 4> sequence_high;
  std::span<std::uint8_t> signed_headers;  // kSignedHeadersMax bytes, for AH
};

// What outbound steps draw on besides the packet.
struct OutboundContext {
  const Settings& settings;
  crypto::RandomStream& random;
  std::uint16_t& next_identification;
  const base::Address& tunnel_source;
  const base::Address& tunnel_destination;
};

// Outbound: sizes are known to fit in an IP packet. Consumes a sequence number only when nothing
// but the crypto can fail any more.
hw::DropReason prepare_esp_outbound(Step& step, crypto::Job& job,
                                    OutboundContext& context) noexcept;
hw::DropReason prepare_ah_outbound(Step& step, crypto::Job& job, OutboundContext& context) noexcept;

// Once the crypto is done; only for SAs that are not plain().
void finish_esp_outbound(const Step& step) noexcept;

// Inbound: step.headers has been parsed and names ESP or AH as upper protocol; behind a UDP header
// (step.udp_bytes) upper_offset and upper_protocol are those of ESP.
hw::DropReason prepare_esp_inbound(Step& step, crypto::Job& job) noexcept;
hw::DropReason prepare_ah_inbound(Step& step, crypto::Job& job, const Settings& settings) noexcept;
// After a good ICV and the window's commit: removes the header and finds out the mode.
hw::DropReason finish_esp_inbound(Step& step, const Settings& settings) noexcept;
hw::DropReason finish_ah_inbound(Step& step, const Settings& settings) noexcept;

// Shared by AH and ESP.
//
// Room in front for `header` bytes of IPsec header behind the IP headers (transport) or behind a
// new tunnel header (tunnel), IP headers moved and written; *at is where the IPsec header goes and
// *next_header what it must name. step.headers must describe the packet. `tail` bytes are added
// behind before lengths are written.
struct Opening {
  std::uint8_t* header = nullptr;
  std::uint8_t next_header = 0;
};
hw::DropReason open_gap(Step& step, std::uint32_t header, std::uint32_t tail, std::uint8_t protocol,
                        OutboundContext& context, Opening& opening) noexcept;
// The reverse: removes `header` bytes at headers.upper_offset, and a UDP header in front of them,
// and leaves `payload` bytes behind them, in transport mode under the IP headers, in tunnel mode
// alone.
hw::DropReason close_gap(Step& step, std::uint32_t header, std::uint32_t payload,
                         std::uint8_t next_header, const Settings& settings) noexcept;

}  // namespace saline::ipsec
