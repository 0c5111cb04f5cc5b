// IPComp; see ipcomp.hpp.
#include "host/ipsec/ipcomp.hpp"

#include <cstring>

#include "host/base/bytes.hpp"
#include "host/ipsec/tunnel.hpp"

namespace saline::ipsec {

namespace {

using hw::DropReason;

constexpr std::size_t kIpPacketMax = 65535;

// The payload's compressed form in the compressor's buffer; 0 when it would not be smaller, the
// IPComp header included (RFC 3173 §2.2).
std::uint32_t compress(Compressor& compressor, std::span<const std::uint8_t> payload) noexcept {
  if (payload.size() < kCompressionThreshold || payload.size() > kIpPacketMax) return 0;
  const auto bytes = compressor.deflate().compress(
      payload, compressor.buffer().first(payload.size() - kIpcompHeader - 1));
  return static_cast<std::uint32_t>(bytes.value_or(0));
}

void write_ipcomp(std::uint8_t* header, std::uint8_t next_header, const SaConfig& config) noexcept {
  header[0] = next_header;
  header[1] = 0;
  base::store16(header + 2, cpi_of(config));
}

}  // namespace

Compressor::Compressor() : buffer_(kIpPacketMax) {}

std::uint16_t cpi_of(const SaConfig& config) noexcept {
  return (config.flags & kFlagRawCpi) != 0 ? config.compression->pfkey_id
                                           : static_cast<std::uint16_t>(config.id.spi);
}

SecurityAssociation* find_ipcomp(const SadView& sad, const Headers& headers,
                                 std::uint32_t cpi) noexcept {
  if (cpi != 0) {
    SecurityAssociation* exact = sad.find({cpi, headers.destination, Protocol::ipcomp});
    if (exact != nullptr && cpi_of(exact->config()) == cpi) return exact;
    if (cpi > kWellKnownCpiMax) return nullptr;
  }
  for (const Mode mode : {Mode::tunnel, Mode::transport}) {
    if (cpi == 0 && mode != Mode::tunnel) break;
    SecurityAssociation* sa =
        sad.choose({Protocol::ipcomp, mode, headers.source, headers.destination, 0, true});
    if (sa != nullptr && (cpi == 0 || cpi_of(sa->config()) == cpi)) return sa;
  }
  return nullptr;
}

DropReason compress_outbound(Step& step, OutboundContext& context, Compressor& compressor,
                             bool& compressed) noexcept {
  Packet& packet = *step.packet;
  const SaConfig& config = step.association->config();
  const bool tunnel = step.mode == Mode::tunnel;
  const std::uint32_t offset = tunnel ? 0 : step.headers.insert_offset;
  const std::uint32_t before = packet.length - offset;
  step.payload = before;
  const std::uint32_t bytes = compress(compressor, packet.bytes().subspan(offset));
  compressed = bytes != 0;
  if (!compressed && !tunnel) return DropReason::none;
  // What goes away behind is more than what the header takes in front.
  if (bytes != 0) packet.shrink_back(before - bytes);
  Opening opening;
  const DropReason reason =
      open_gap(step, bytes == 0 ? 0 : kIpcompHeader, 0,
               bytes == 0 ? packet.data[0] >> 4 == 4 ? kIpv4 : kIpv6 : kIpcomp, context, opening);
  if (reason != DropReason::none || bytes == 0) return reason;
  write_ipcomp(opening.header, opening.next_header, config);
  std::memcpy(opening.header + kIpcompHeader, compressor.buffer().data(), bytes);
  return DropReason::none;
}

DropReason expand_inbound(Step& step, const Settings& settings, Compressor& compressor) noexcept {
  Packet& packet = *step.packet;
  const Headers& headers = step.headers;
  const std::uint32_t offset = headers.upper_offset;
  const std::uint8_t* ipcomp = packet.data + offset;
  const std::uint8_t next_header = ipcomp[0];
  // In transport mode the length field of the header in front must hold it.
  const std::size_t room = kIpPacketMax + (headers.family == base::Family::ipv6 ? 40 : 0) - offset;
  const auto expanded = compressor.deflate().expand(packet.bytes().subspan(offset + kIpcompHeader),
                                                    compressor.buffer().first(room));
  if (!expanded) return DropReason::compression;
  const auto payload = static_cast<std::uint32_t>(*expanded);
  const std::uint32_t wanted = offset + kIpcompHeader + payload;
  if (wanted <= packet.length) {
    packet.shrink_back(packet.length - wanted);
  } else if (!packet.grow_back(wanted - packet.length)) {
    // Not enough room behind: the headers move into the room in front.
    packet.grow_back(packet.tailroom);
    const std::uint32_t front = wanted - packet.length;
    if (!packet.grow_front(front)) return DropReason::no_buffer;
    std::memmove(packet.data, packet.data + front, offset + kIpcompHeader);
  }
  std::memcpy(packet.data + offset + kIpcompHeader, compressor.buffer().data(), payload);
  return close_gap(step, kIpcompHeader, payload, next_header, settings);
}

DropReason enter_uncompressed(Step& step, const Settings& settings) noexcept {
  const Headers& headers = step.headers;
  return close_gap(step, 0, headers.total - headers.upper_offset, headers.upper_protocol, settings);
}

}  // namespace saline::ipsec
