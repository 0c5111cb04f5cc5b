// ESP (RFC 4303), with the AEAD layout of RFC 4106; also the old format (RFC 1827, IVs as RFC 1829
// has them), derived IVs, TFC padding and the UDP header of RFC 3948. Packets are changed in place;
// the crypto itself is a Job that runs with the rest of the burst between prepare and finish.
#include <cstring>

#include "host/base/bytes.hpp"
#include "host/ipsec/step.hpp"
#include "host/ipsec/udp_encapsulation.hpp"

namespace saline::ipsec {

namespace {

using hw::DropReason;

constexpr std::uint32_t kEspHeader = 8;  // SPI and sequence number
constexpr std::uint32_t kOldEspHeader = 4;
constexpr std::uint32_t kTrailer = 2;  // pad length and next header

std::uint32_t esp_header(const SecurityAssociation& sa) noexcept {
  return sa.old_format() ? kOldEspHeader : kEspHeader;
}

// Where the crypto finds the IV: a derived one is the sequence number.
std::uint32_t iv_offset(const SecurityAssociation& sa) noexcept {
  return sa.derives_iv() ? kOldEspHeader : esp_header(sa);
}

// What is authenticated. AEAD: SPI and sequence number, 64 bits of it with ESN (RFC 4106 §5). Else
// header to trailer, then the high half, which is not sent (RFC 4303 §2.2.1).
void set_authenticated(Step& step, crypto::Job& job, const std::uint8_t* esp,
                       std::uint32_t covered) noexcept {
  const SecurityAssociation& sa = *step.association;
  const auto high = static_cast<std::uint32_t>(step.sequence >> 32);
  if (sa.is_aead()) {
    std::size_t bytes = kEspHeader;
    std::memcpy(step.aad.data(), esp, 4);
    if (sa.extended_sequence()) {
      base::store32(step.aad.data() + 4, high);
      std::memcpy(step.aad.data() + 8, esp + 4, 4);
      bytes = 12;
    } else {
      std::memcpy(step.aad.data() + 4, esp + 4, 4);
    }
    job.authenticated = {std::span<const std::uint8_t>(step.aad.data(), bytes), {}, {}};
    return;
  }
  job.authenticated = {std::span<const std::uint8_t>(esp, covered), {}, {}};
  if (sa.extended_sequence()) {
    base::store32(step.sequence_high.data(), high);
    job.authenticated[1] = step.sequence_high;
  }
}

// RFC 3602 §3 wants a CBC IV unpredictable; RFC 4106 §3.1 wants a counter mode's unique.
bool write_iv(const SecurityAssociation& sa, std::uint64_t sequence, std::uint8_t* iv,
              crypto::RandomStream& random) noexcept {
  if (sa.iv_bytes() == 0) return true;
  if (!sa.is_counter_mode()) return random.fill({iv, sa.iv_bytes()});
  base::store64(iv, sa.iv_base() ^ sequence);
  return true;
}

// RFC 4303 §2.4: 1, 2, 3, ... unless the SA asks for another content (SADB_X_EXT_PMASK).
bool write_padding(const SecurityAssociation& sa, std::uint8_t* pad, std::uint32_t bytes,
                   crypto::RandomStream& random) noexcept {
  if ((sa.flags() & kFlagPadRandom) != 0) return random.fill({pad, bytes});
  const bool zero = (sa.flags() & kFlagPadZero) != 0;
  for (std::uint32_t i = 0; i < bytes; ++i) pad[i] = zero ? 0 : static_cast<std::uint8_t>(i + 1);
  return true;
}

bool padding_is_default(const std::uint8_t* pad, std::uint32_t bytes) noexcept {
  for (std::uint32_t i = 0; i < bytes; ++i)
    if (pad[i] != static_cast<std::uint8_t>(i + 1)) return false;
  return true;
}

}  // namespace

namespace {

// What SAs that are not plain() put around and behind the payload.
struct Extras {
  std::uint32_t udp = 0;   // bytes of UDP header
  std::uint32_t fill = 0;  // bytes of TFC padding
  PeerMapping peer;
};

Extras extras_of(Step& step, std::uint32_t payload, OutboundContext& context) noexcept {
  const SecurityAssociation& sa = *step.association;
  const SaConfig& config = sa.config();
  Extras extras;
  step.udp_offset = 0;
  if (payload < config.tfc_bytes && step.mode == Mode::tunnel)
    extras.fill = config.tfc_bytes - payload;
  if (!config.udp.enabled()) return extras;
  extras.udp = kUdpHeader;
  extras.peer = {context.tunnel_destination, config.udp.destination_port};
  sa.mapping().get(extras.peer);
  return extras;
}

// In transport mode the address is the packet's own, which nobody here may change.
DropReason open_udp_gap(Step& step, const Extras& extras, std::uint32_t header, std::uint32_t tail,
                        OutboundContext& context, Opening& opening) noexcept {
  OutboundContext moved{context.settings, context.random, context.next_identification,
                        context.tunnel_source, extras.peer.address};
  return open_gap(step, extras.udp + header, tail, kUdp, moved, opening);
}

// Between open_gap and the ESP header.
void write_extras(Step& step, const Extras& extras, std::uint8_t*& esp, std::uint8_t* trailer,
                  std::uint32_t udp_bytes) noexcept {
  std::memset(trailer - extras.fill, 0, extras.fill);
  if (extras.udp == 0) return;
  const std::uint16_t source_port = step.association->config().udp.source_port;
  write_udp_header(esp, source_port, extras.peer.port, udp_bytes);
  if (step.packet->data[0] >> 4 == 6)
    step.udp_offset = static_cast<std::uint32_t>(esp - step.packet->data);
  esp += extras.udp;
}

}  // namespace

// RFC 4303 §3.3: encapsulate, pad, number; encryption and ICV are the job.
DropReason prepare_esp_outbound(Step& step, crypto::Job& job, OutboundContext& context) noexcept {
  SecurityAssociation& sa = *step.association;
  Packet& packet = *step.packet;
  const std::uint32_t payload =
      step.mode == Mode::tunnel ? packet.length : packet.length - step.headers.insert_offset;
  Extras extras;
  if (!sa.plain()) [[unlikely]]
    extras = extras_of(step, payload, context);
  const std::uint32_t filled = payload + extras.fill;
  const std::uint32_t pad_to = sa.pad_to();
  const std::uint32_t text = (filled + kTrailer + pad_to - 1) & ~(pad_to - 1);
  const std::uint32_t header = esp_header(sa) + sa.iv_bytes();
  const std::uint32_t tail = text - payload + sa.icv_bytes();
  Opening opening;
  DropReason reason = extras.udp != 0 ? open_udp_gap(step, extras, header, tail, context, opening)
                                      : open_gap(step, header, tail, kEsp, context, opening);
  if (reason != DropReason::none) return reason;
  reason = sa.next_sequence(step.sequence);
  if (reason != DropReason::none) return reason;

  std::uint8_t* esp = opening.header;
  std::uint8_t* trailer = esp + extras.udp + header + filled;
  if (!sa.plain()) [[unlikely]]
    write_extras(step, extras, esp, trailer, extras.udp + header + payload + tail);
  base::store32(esp, sa.spi());
  if (!sa.old_format()) base::store32(esp + 4, static_cast<std::uint32_t>(step.sequence));
  const std::uint32_t pad = text - filled - kTrailer;
  if (!write_iv(sa, step.sequence, esp + esp_header(sa), context.random) ||
      !write_padding(sa, trailer, pad, context.random))
    return DropReason::unsupported;
  trailer[pad] = static_cast<std::uint8_t>(pad);
  trailer[pad + 1] = opening.next_header;

  step.payload = payload;
  job.session = sa.session();
  job.direction = crypto::Direction::seal;
  job.iv = esp + iv_offset(sa);
  job.text = {esp + header, text};
  job.icv = esp + header + text;
  set_authenticated(step, job, esp, header + text);
  return DropReason::none;
}

void finish_esp_outbound(const Step& step) noexcept {
  if (step.udp_offset != 0) write_udp_checksum(*step.packet, step.udp_offset);
}

// RFC 4303 §3.4.2 and §3.4.3: lengths first, then the window; the ICV is the job.
DropReason prepare_esp_inbound(Step& step, crypto::Job& job) noexcept {
  SecurityAssociation& sa = *step.association;
  const Headers& headers = step.headers;
  const std::uint32_t header = esp_header(sa) + sa.iv_bytes();
  const std::uint32_t icv = sa.icv_bytes();
  if (sa.in_udp() != (step.udp_bytes != 0)) return DropReason::encapsulation;
  const std::uint32_t available = headers.total - headers.upper_offset;
  if (available < header + icv + kTrailer) return DropReason::malformed;
  const std::uint32_t text = available - header - icv;
  if ((text & (sa.pad_to() - 1)) != 0) return DropReason::malformed;
  std::uint8_t* esp = step.packet->data + headers.upper_offset;
  const ReplayWindow::Check check = sa.window().check(sa.old_format() ? 0 : base::load32(esp + 4));
  if (!check.acceptable) return DropReason::replay;
  step.sequence = check.sequence;

  job.session = sa.session();
  job.direction = crypto::Direction::open;
  job.iv = esp + iv_offset(sa);
  job.text = {esp + header, text};
  job.icv = esp + header + text;
  set_authenticated(step, job, esp, header + text);
  return DropReason::none;
}

namespace {

// RFC 3948 §3: where the peer is now, and what its translator has done to what came out.
void finish_udp(const Step& step, const PeerMapping& from, bool delivered) noexcept {
  SecurityAssociation& sa = *step.association;
  if (sa.icv_bytes() != 0) sa.peer_seen(from);
  if (delivered && step.mode == Mode::transport)
    correct_checksum(*step.packet, sa.config().udp.original);
}

}  // namespace

// RFC 4303 §3.4.4.1, steps after decryption.
DropReason finish_esp_inbound(Step& step, const Settings& settings) noexcept {
  SecurityAssociation& sa = *step.association;
  const std::uint32_t header = esp_header(sa) + sa.iv_bytes();
  const std::uint32_t text =
      step.headers.total - step.headers.upper_offset - header - sa.icv_bytes();
  const std::uint8_t* plain = step.packet->data + step.headers.upper_offset + header;
  const std::uint32_t pad = plain[text - 2];
  const std::uint8_t next_header = plain[text - 1];
  if (pad + kTrailer > text) return DropReason::malformed;
  const std::uint32_t payload = text - kTrailer - pad;
  if (!padding_is_default(plain + payload, pad)) {
    if (settings.strict_padding) return DropReason::malformed;
    step.bad_padding = true;
  }
  PeerMapping from;
  if (step.udp_bytes != 0) [[unlikely]]
    from = {step.headers.source,
            base::load16(step.packet->data + step.headers.upper_offset - step.udp_bytes)};
  const DropReason reason = close_gap(step, header, payload, next_header, settings);
  if (step.udp_bytes != 0 && (reason == DropReason::none || reason == DropReason::dummy))
    finish_udp(step, from, reason == DropReason::none);
  return reason;
}

}  // namespace saline::ipsec
