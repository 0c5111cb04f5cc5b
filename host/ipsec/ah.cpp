// AH (RFC 4302). The headers before AH are signed through a copy with their mutable fields muted;
// everything behind AH is signed where it lies (RFC 4302 §3.3.3).
#include <cstring>

#include "host/base/bytes.hpp"
#include "host/ipsec/mutable_fields.hpp"
#include "host/ipsec/step.hpp"
#include "host/ipsec/tunnel.hpp"

namespace saline::ipsec {

namespace {

using hw::DropReason;

constexpr std::uint32_t kAhHeader = 12;  // up to the ICV

// Fills the job from a packet whose AH lies at `offset`, complete but for its ICV. The copy holds
// headers and AH with the ICV as zero; ICV padding is signed as it is (RFC 4302 §3.3.3.2.1).
DropReason set_job(Step& step, crypto::Job& job, std::uint32_t offset, std::uint32_t ah_bytes,
                   const Settings& settings) noexcept {
  SecurityAssociation& sa = *step.association;
  const Packet& packet = *step.packet;
  const std::uint32_t covered = offset + ah_bytes;
  if (covered > step.signed_headers.size()) return DropReason::unsupported;
  std::uint8_t* copy = step.signed_headers.data();
  std::memcpy(copy, packet.data, covered);
  std::memset(copy + offset + kAhHeader, 0, sa.icv_bytes());
  if (!mute({copy, offset}, settings)) return DropReason::malformed;
  job.session = sa.session();
  job.icv = packet.data + offset + kAhHeader;
  job.authenticated = {
      std::span<const std::uint8_t>(copy, covered),
      std::span<const std::uint8_t>(packet.data + covered, packet.length - covered),
      {}};
  if (sa.extended_sequence()) {
    base::store32(step.sequence_high.data(), static_cast<std::uint32_t>(step.sequence >> 32));
    job.authenticated[2] = step.sequence_high;
  }
  return DropReason::none;
}

}  // namespace

DropReason prepare_ah_outbound(Step& step, crypto::Job& job, OutboundContext& context) noexcept {
  SecurityAssociation& sa = *step.association;
  Packet& packet = *step.packet;
  const bool tunnel = step.mode == Mode::tunnel;
  const base::Family outer = tunnel ? context.tunnel_destination.family : step.headers.family;
  const std::uint32_t offset = tunnel ? outer_header_bytes(outer) : step.headers.insert_offset;
  const std::uint32_t ah_bytes = sa.overhead(0, outer);
  if (offset + ah_bytes > step.signed_headers.size()) return DropReason::unsupported;
  step.payload = tunnel ? packet.length : packet.length - offset;
  Opening opening;
  DropReason reason = open_gap(step, ah_bytes, 0, kAh, context, opening);
  if (reason != DropReason::none) return reason;
  reason = sa.next_sequence(step.sequence);
  if (reason != DropReason::none) return reason;

  std::uint8_t* ah = opening.header;
  std::memset(ah, 0, ah_bytes);
  ah[0] = opening.next_header;
  ah[1] = static_cast<std::uint8_t>(ah_bytes / 4 - 2);  // RFC 4302 §2.2
  base::store32(ah + 4, sa.spi());
  base::store32(ah + 8, static_cast<std::uint32_t>(step.sequence));
  job.direction = crypto::Direction::seal;
  return set_job(step, job, offset, ah_bytes, context.settings);
}

// RFC 4302 §3.4.2 to §3.4.4.
DropReason prepare_ah_inbound(Step& step, crypto::Job& job, const Settings& settings) noexcept {
  SecurityAssociation& sa = *step.association;
  const Headers& headers = step.headers;
  const std::uint32_t available = headers.total - headers.upper_offset;
  const std::uint32_t ah_bytes = sa.overhead(0, headers.family);
  const std::uint8_t* ah = step.packet->data + headers.upper_offset;
  if (available < ah_bytes || (ah[1] + 2u) * 4 != ah_bytes) return DropReason::malformed;
  const ReplayWindow::Check check = sa.window().check(base::load32(ah + 8));
  if (!check.acceptable) return DropReason::replay;
  step.sequence = check.sequence;
  job.direction = crypto::Direction::open;
  return set_job(step, job, headers.upper_offset, ah_bytes, settings);
}

DropReason finish_ah_inbound(Step& step, const Settings& settings) noexcept {
  const Headers& headers = step.headers;
  const std::uint32_t ah_bytes = step.association->overhead(0, headers.family);
  const std::uint32_t payload = headers.total - headers.upper_offset - ah_bytes;
  const std::uint8_t next_header = step.packet->data[headers.upper_offset];
  return close_gap(step, ah_bytes, payload, next_header, settings);
}

}  // namespace saline::ipsec
