// AH (RFC 4302), and the old one without a sequence number (RFC 1826). The headers before AH are
// signed through a copy with their mutable fields muted; everything behind AH is signed where it
// lies (RFC 4302 §3.3.3).
#include <cstring>

#include "host/base/bytes.hpp"
#include "host/ipsec/mutable_fields.hpp"
#include "host/ipsec/step.hpp"
#include "host/ipsec/tunnel.hpp"

namespace saline::ipsec {

namespace {

using hw::DropReason;

// Up to the field of the ICV, which a mode with an IV begins with that (RFC 4543 §4).
constexpr std::uint32_t kAhHeader = 12;
constexpr std::uint32_t kOldAhHeader = 8;

std::uint32_t ah_header(const SecurityAssociation& sa) noexcept {
  return sa.old_format() ? kOldAhHeader : kAhHeader;
}

// Fills the job from a packet whose AH lies at `offset`, complete but for its ICV. The copy holds
// headers and AH with the ICV as zero; IV and ICV padding are signed as they are (RFC 4302
// §3.3.3.2.1).
DropReason set_job(Step& step, crypto::Job& job, std::uint32_t offset, std::uint32_t ah_bytes,
                   const Settings& settings) noexcept {
  SecurityAssociation& sa = *step.association;
  const Packet& packet = *step.packet;
  const std::uint32_t covered = offset + ah_bytes;
  if (covered > step.signed_headers.size()) return DropReason::unsupported;
  std::uint8_t* copy = step.signed_headers.data();
  std::memcpy(copy, packet.data, covered);
  const std::uint32_t iv = offset + ah_header(sa);
  const std::uint32_t icv = iv + sa.iv_bytes();
  std::memset(copy + icv, 0, sa.icv_bytes());
  if (!mute({copy, offset}, settings)) return DropReason::malformed;
  job.session = sa.session();
  job.iv = packet.data + iv;
  job.icv = packet.data + icv;
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

// Sequence number and what depends on it, in the packet and in the copy that is signed.
void write_number(Step& step, std::uint8_t* ah, std::uint8_t* copy) noexcept {
  const SecurityAssociation& sa = *step.association;
  if (!sa.old_format()) base::store32(ah + 8, static_cast<std::uint32_t>(step.sequence));
  if (sa.iv_bytes() != 0) base::store64(ah + kAhHeader, sa.iv_base() ^ step.sequence);
  std::memcpy(copy + 8, ah + 8, ah_header(sa) + sa.iv_bytes() - 8);
  base::store32(step.sequence_high.data(), static_cast<std::uint32_t>(step.sequence >> 32));
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
  std::uint8_t* ah = opening.header;
  std::memset(ah, 0, ah_bytes);
  ah[0] = opening.next_header;
  ah[1] = static_cast<std::uint8_t>(ah_bytes / 4 - 2);  // RFC 4302 §2.2
  base::store32(ah + 4, sa.spi());
  job.direction = crypto::Direction::seal;
  // Headers that cannot be signed are found out before a number is used.
  reason = set_job(step, job, offset, ah_bytes, context.settings);
  if (reason != DropReason::none) return reason;
  reason = sa.next_sequence(step.sequence);
  if (reason != DropReason::none) return reason;
  write_number(step, ah, step.signed_headers.data() + offset);
  return DropReason::none;
}

namespace {

// The length of AH, 0 when it is not what the SA's algorithm makes it. A peer that pads to 8 bytes
// over IPv4 may also not do so.
std::uint32_t ah_bytes_of(const Step& step, std::uint8_t length_field) noexcept {
  const SecurityAssociation& sa = *step.association;
  const std::uint32_t bytes = (length_field + 2u) * 4;
  const std::uint32_t wanted = sa.overhead(0, step.headers.family);
  const std::uint32_t bare = ah_header(sa) + sa.iv_bytes() + sa.icv_bytes();
  const bool unpadded = sa.config().ah_align8 && step.headers.family == base::Family::ipv4 &&
                        bytes == (bare + 3) / 4 * 4;
  return bytes == wanted || unpadded ? bytes : 0;
}

}  // namespace

// RFC 4302 §3.4.2 to §3.4.4.
DropReason prepare_ah_inbound(Step& step, crypto::Job& job, const Settings& settings) noexcept {
  SecurityAssociation& sa = *step.association;
  const Headers& headers = step.headers;
  const std::uint32_t available = headers.total - headers.upper_offset;
  const std::uint8_t* ah = step.packet->data + headers.upper_offset;
  const std::uint32_t ah_bytes = ah_bytes_of(step, ah[1]);
  if (ah_bytes == 0 || available < ah_bytes) return DropReason::malformed;
  const ReplayWindow::Check check = sa.window().check(sa.old_format() ? 0 : base::load32(ah + 8));
  if (!check.acceptable) return DropReason::replay;
  step.sequence = check.sequence;
  job.direction = crypto::Direction::open;
  return set_job(step, job, headers.upper_offset, ah_bytes, settings);
}

DropReason finish_ah_inbound(Step& step, const Settings& settings) noexcept {
  const Headers& headers = step.headers;
  const std::uint8_t* ah = step.packet->data + headers.upper_offset;
  const std::uint32_t ah_bytes = (ah[1] + 2u) * 4;
  const std::uint32_t payload = headers.total - headers.upper_offset - ah_bytes;
  const std::uint8_t next_header = ah[0];
  return close_gap(step, ah_bytes, payload, next_header, settings);
}

}  // namespace saline::ipsec
