// Making and closing the place of an IPsec header: transport and tunnel mode of AH and ESP alike
// (RFC 4302 §3.1, RFC 4303 §3.1).
#include <cstring>

#include "host/base/bytes.hpp"
#include "host/ipsec/ipcomp.hpp"
#include "host/ipsec/step.hpp"
#include "host/ipsec/tunnel.hpp"

namespace saline::ipsec {

namespace {

using hw::DropReason;

// Total length or payload length, and the IPv4 checksum, after `packet` changed its size.
void write_lengths(const Packet& packet) noexcept {
  std::uint8_t* header = packet.data;
  if (header[0] >> 4 == 4) {
    base::store16(header + 2, static_cast<std::uint16_t>(packet.length));
    const std::size_t bytes = (header[0] & 15u) * 4;
    base::store16(header + 10, ipv4_header_checksum({header, bytes}));
  } else {
    base::store16(header + 4, static_cast<std::uint16_t>(packet.length - 40));
  }
}

bool fits_in_ip(const Packet& packet, std::uint32_t more, base::Family outer) noexcept {
  return packet.length + more <= (outer == base::Family::ipv6 ? 65535u + 40u : 65535u);
}

}  // namespace

DropReason open_gap(Step& step, std::uint32_t header, std::uint32_t tail, std::uint8_t protocol,
                    OutboundContext& context, Opening& opening) noexcept {
  Packet& packet = *step.packet;
  const bool tunnel = step.mode == Mode::tunnel;
  const base::Family outer = tunnel ? context.tunnel_destination.family : step.headers.family;
  const std::uint32_t outer_bytes = tunnel ? outer_header_bytes(outer) : 0;
  const std::uint32_t front = outer_bytes + header;
  if (!fits_in_ip(packet, front + tail, outer)) return DropReason::too_big;
  if (packet.headroom < front || packet.tailroom < tail) return DropReason::no_buffer;
  packet.grow_back(tail);
  packet.grow_front(front);
  if (tunnel) {
    const std::uint8_t* inner = packet.data + front;
    opening.header = packet.data + outer_bytes;
    opening.next_header = inner[0] >> 4 == 4 ? kIpv4 : kIpv6;
    write_outer_header(packet,
                       {context.tunnel_source, context.tunnel_destination, protocol,
                        context.next_identification++, step.association->flags()},
                       inner, context.settings);
    return DropReason::none;
  }
  std::memmove(packet.data, packet.data + header, step.headers.insert_offset);
  opening.header = packet.data + step.headers.insert_offset;
  opening.next_header = packet.data[step.headers.insert_protocol_field];
  packet.data[step.headers.insert_protocol_field] = protocol;
  write_lengths(packet);
  return DropReason::none;
}

DropReason close_gap(Step& step, std::uint32_t header, std::uint32_t payload,
                     std::uint8_t next_header, const Settings& settings) noexcept {
  Packet& packet = *step.packet;
  const Headers& headers = step.headers;
  const SecurityAssociation& sa = *step.association;
  if (next_header == kNoNextHeader) return DropReason::dummy;
  bool carries_ip = next_header == kIpv4 || next_header == kIpv6;
  // What IPComp in tunnel mode has left uncompressed lies as plain IP in IP in a transport mode SA.
  if (carries_ip && sa.mode() == Mode::transport)
    carries_ip = find_ipcomp(*step.sad, headers, 0) == nullptr;
  // An SA of mode any takes what comes; else the packet must have the SA's form (RFC 4301 §5.2).
  if (sa.mode() == (carries_ip ? Mode::transport : Mode::tunnel)) return DropReason::policy;
  packet.shrink_back(packet.length - (headers.upper_offset + header + payload));
  const std::uint32_t offset = headers.upper_offset - step.udp_bytes;
  header += step.udp_bytes;
  if (!carries_ip) {
    step.mode = Mode::transport;
    step.payload = payload;
    packet.data[headers.upper_protocol_field] = next_header;
    std::memmove(packet.data + header, packet.data, offset);
    packet.shrink_front(header);
    write_lengths(packet);
    return DropReason::none;
  }
  step.mode = Mode::tunnel;
  // Behind a translator the source may change; the ICV has vouched for the packet.
  if (settings.verify_tunnel_source && !sa.in_udp() && !sa.source().is_unspecified() &&
      sa.source() != headers.source)
    return DropReason::policy;
  const std::uint8_t outer_class = traffic_class(packet.data);
  packet.shrink_front(offset + header);
  const DropReason reason = enter_inner(packet, next_header, outer_class, headers.family, settings,
                                        sa.flags(), step.headers);
  step.parsed = true;
  step.payload = packet.length;
  return reason;
}

}  // namespace saline::ipsec
