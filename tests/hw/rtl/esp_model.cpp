// esp_model.hpp: frames and ESP packets, byte by byte.
#include "tests/hw/rtl/esp_model.hpp"

namespace saline::hw::bench {

namespace {

constexpr uint8_t kEsp = 50;

size_t get16(const Bytes& bytes, size_t at) {
  return static_cast<size_t>(bytes[at] << 8 | bytes[at + 1]);
}

void append(Bytes& to, const Bytes& what) { to.insert(to.end(), what.begin(), what.end()); }

Bytes big32(uint64_t value) {
  return {static_cast<uint8_t>(value >> 24), static_cast<uint8_t>(value >> 16),
          static_cast<uint8_t>(value >> 8), static_cast<uint8_t>(value)};
}

Bytes address(Random& random, const Bytes& wanted, bool ipv6) {
  if (!wanted.empty()) return wanted;
  return random.bytes(ipv6 ? 16 : 4);
}

Bytes make_ipv4(Random& random, const FrameForm& form) {
  Bytes ip = random.bytes(20 + form.options);
  ip[0] = static_cast<uint8_t>(0x40 | ip.size() / 4);
  ip[1] = form.traffic_class;
  put16(ip, 2, ip.size() + form.payload);
  put16(ip, 6, form.fragment ? 0x2000 : form.df ? 0x4000 : 0);
  ip[9] = form.protocol;
  const Bytes source = address(random, form.source, false);
  const Bytes destination = address(random, form.destination, false);
  std::copy(source.begin(), source.end(), ip.begin() + 12);
  std::copy(destination.begin(), destination.end(), ip.begin() + 16);
  // Router alert, then no-operations.
  for (size_t i = 20; i < ip.size(); i++) ip[i] = 1;
  if (form.options >= 4) {
    const Bytes alert = {148, 4, 0, 0};
    std::copy(alert.begin(), alert.end(), ip.begin() + 20);
  }
  put16(ip, 10, 0);
  put16(ip, 10, header_checksum(ip, 0));
  return ip;
}

Bytes make_ipv6(Random& random, const FrameForm& form) {
  Bytes extensions;
  std::vector<uint8_t> chain;
  if (form.hop_by_hop) chain.push_back(0);
  if (form.routing) chain.push_back(43);
  if (form.fragment) chain.push_back(44);
  if (form.destination_options) chain.push_back(60);
  for (size_t i = 0; i < chain.size(); i++) {
    Bytes header(8);
    header[0] = i + 1 < chain.size() ? chain[i + 1] : form.protocol;
    header[1] = 0;
    if (chain[i] == 0 || chain[i] == 60) header[2] = 1, header[3] = 4;  // PadN
    if (chain[i] == 43) header[2] = 4;  // segment routing, none left
    if (chain[i] == 44) header[3] = 1;  // more fragments
    if (chain[i] == 60 && random.percent(50)) {
      header[1] = 1;
      header[3] = 12;
      header.resize(16);
    }
    append(extensions, header);
  }
  Bytes ip(8);
  const size_t flow = random() & 0xFFFFF;
  ip[0] = static_cast<uint8_t>(0x60 | form.traffic_class >> 4);
  ip[1] = static_cast<uint8_t>(form.traffic_class << 4 | flow >> 16);
  put16(ip, 2, flow & 0xFFFF);
  put16(ip, 4, extensions.size() + form.payload);
  ip[6] = chain.empty() ? form.protocol : chain[0];
  ip[7] = 63;
  append(ip, address(random, form.source, true));
  append(ip, address(random, form.destination, true));
  append(ip, extensions);
  return ip;
}

// Where transport mode ESP goes, and the byte that names it (RFC 4303 §3.1.1).
struct Place {
  size_t at = 0;
  size_t field = 0;
};

Place transport_place(const Bytes& frame) {
  const size_t begin = ip_begin(frame);
  if (frame[begin] >> 4 == 4) return {begin + (frame[begin] & 15U) * 4, begin + 9};
  Place place{begin + 40, begin + 6};
  size_t at = begin + 40, field = begin + 6;
  while (frame[field] == 0 || frame[field] == 43 || frame[field] == 60) {
    const uint8_t type = frame[field];
    field = at;
    at += (frame[at + 1] + 1U) * 8;
    if (type != 60) place = {at, field};
  }
  return place;
}

Bytes outer_header(const Bytes& inner, const SaContext& sa, size_t esp_bytes, uint64_t number,
                   const Twist& twist) {
  const bool inner6 = inner[0] >> 4 == 6;
  const auto inner_class = static_cast<uint8_t>(inner6 ? inner[0] << 4 | inner[1] >> 4 : inner[1]);
  auto outer_class = static_cast<uint8_t>((sa.copy_dscp ? inner_class : sa.traffic_class) & 0xFC);
  if (sa.ecn_copy) outer_class |= inner_class & 3;
  if (twist.outer_ecn != 0xFF) {
    outer_class = static_cast<uint8_t>((outer_class & 0xFC) | twist.outer_ecn);
  }
  Bytes outer;
  if (sa.outer_ipv6) {
    size_t flow = sa.flow_label;
    if (sa.copy_flow_label && inner6) flow = (inner[1] & 15U) << 16 | get16(inner, 2);
    outer = big32(size_t{6} << 28 | size_t{outer_class} << 20 | flow);
    outer.resize(8);
    put16(outer, 4, esp_bytes);
    outer[6] = kEsp;
    outer[7] = sa.hop_limit;
    outer.insert(outer.end(), sa.source.begin(), sa.source.end());
    outer.insert(outer.end(), sa.destination.begin(), sa.destination.end());
    return outer;
  }
  outer.resize(20);
  outer[0] = 0x45;
  outer[1] = outer_class;
  put16(outer, 2, 20 + esp_bytes);
  put16(outer, 4, number & 0xFFFF);
  const bool df = sa.df_mode == 1 || (sa.df_mode == 2 && !inner6 && (inner[6] & 0x40) != 0);
  outer[6] = df ? 0x40 : 0;
  outer[8] = sa.hop_limit;
  outer[9] = kEsp;
  std::copy_n(sa.source.begin(), 4, outer.begin() + 12);
  std::copy_n(sa.destination.begin(), 4, outer.begin() + 16);
  put16(outer, 10, header_checksum(outer, 0));
  return outer;
}

// SPI to ICV (RFC 4303 §2, RFC 4106).
Bytes esp_packet(const Bytes& payload, uint8_t next_header, const SaContext& sa, uint64_t number,
                 const Twist& twist) {
  Bytes text = payload;
  text.resize(text.size() + twist.tfc);
  size_t pad = (2 - text.size()) & 3;
  if (twist.pad >= 0) pad = static_cast<size_t>(twist.pad);
  for (size_t i = 1; i <= pad; i++) text.push_back(static_cast<uint8_t>(i));
  text.push_back(static_cast<uint8_t>(twist.pad_length_field < 0 ? pad : twist.pad_length_field));
  text.push_back(twist.next_header < 0 ? next_header : static_cast<uint8_t>(twist.next_header));

  const Bytes spi = big32(sa.spi), low = big32(number);
  Bytes iv = big32((sa.iv_base ^ number) >> 32);
  append(iv, big32(sa.iv_base ^ number));
  GcmPacket packet;
  packet.key.assign(sa.key.begin(), sa.key.begin() + (sa.suite == 2 ? 32 : 16));
  packet.nonce = big32(sa.salt);
  append(packet.nonce, iv);
  packet.aad = spi;
  if (sa.esn) append(packet.aad, big32(number >> 32));
  append(packet.aad, low);
  packet.text = text;
  const GcmResult result = gcm_reference(packet);
  Bytes esp = spi;
  append(esp, low);
  append(esp, iv);
  append(esp, result.text);
  append(esp, result.icv);
  return esp;
}

}  // namespace

void put16(Bytes& bytes, size_t at, size_t value) {
  bytes[at] = static_cast<uint8_t>(value >> 8);
  bytes[at + 1] = static_cast<uint8_t>(value);
}

uint16_t header_checksum(const Bytes& bytes, size_t begin) {
  uint32_t sum = 0;
  const size_t words = (bytes[begin] & 15U) * 2;
  for (size_t i = 0; i < words; i++) {
    if (i != 5) sum += static_cast<uint32_t>(get16(bytes, begin + 2 * i));
  }
  while (sum > 0xFFFF) sum = (sum & 0xFFFF) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

size_t ip_begin(const Bytes& frame) { return get16(frame, 12) == 0x8100 ? 18 : 14; }

size_t ip_end(const Bytes& frame) {
  const size_t begin = ip_begin(frame);
  return begin + (frame[begin] >> 4 == 4 ? get16(frame, begin + 2) : 40 + get16(frame, begin + 4));
}

Bytes without_padding(const Bytes& frame) {
  return Bytes(frame.begin(), frame.begin() + static_cast<long>(ip_end(frame)));
}

void set_ecn(Bytes& frame, size_t begin, unsigned ecn) {
  if (frame[begin] >> 4 == 4) {
    frame[begin + 1] = static_cast<uint8_t>((frame[begin + 1] & 0xFC) | ecn);
    put16(frame, begin + 10, header_checksum(frame, begin));
  } else {
    frame[begin + 1] = static_cast<uint8_t>((frame[begin + 1] & 0xCF) | ecn << 4);
  }
}

FrameForm random_form(Random& random, size_t payload_max) {
  FrameForm form;
  form.vlan = random.percent(30);
  form.ipv6 = random.percent(50);
  form.payload = random.percent(40) ? random.between(0, 80) : random.between(0, payload_max);
  const std::vector<uint8_t> protocols = {1, 6, 17, 58, 132, 89, 255};
  form.protocol = protocols[random.between(0, protocols.size() - 1)];
  if (!form.ipv6 && random.percent(30)) form.options = 4 * random.between(1, 10);
  if (form.ipv6) {
    form.hop_by_hop = random.percent(20);
    form.routing = random.percent(20);
    form.destination_options = random.percent(20);
  }
  form.traffic_class = static_cast<uint8_t>(random());
  form.df = random.percent(50);
  if (random.percent(20)) form.padding = random.between(1, 46);
  return form;
}

Bytes make_frame(Random& random, const FrameForm& form) {
  Bytes frame = random.bytes(12);
  frame[0] &= 0xFE;
  if (form.vlan) append(frame, {0x81, 0x00, 0x20, 0x2A});
  append(frame, form.ipv6 ? Bytes{0x86, 0xDD} : Bytes{0x08, 0x00});
  append(frame, form.ipv6 ? make_ipv6(random, form) : make_ipv4(random, form));
  append(frame, random.bytes(form.payload));
  append(frame, random.bytes(form.padding));
  return frame;
}

SaContext make_sa(Random& random, bool tunnel, bool outer_ipv6, bool esn, bool long_key) {
  SaContext sa;
  sa.valid = true;
  sa.tunnel = tunnel;
  sa.outer_ipv6 = outer_ipv6;
  sa.esn = esn;
  sa.copy_dscp = random.percent(50);
  sa.copy_flow_label = random.percent(50);
  sa.ecn_copy = random.percent(50);
  sa.suite = long_key ? 2 : 1;
  sa.df_mode = static_cast<uint8_t>(random.between(0, 2));
  sa.spi = static_cast<uint32_t>(random.between(256, 0xFFFFFFFF));
  sa.salt = static_cast<uint32_t>(random());
  sa.hop_limit = static_cast<uint8_t>(random());
  sa.traffic_class = static_cast<uint8_t>(random());
  sa.flow_label = static_cast<uint32_t>(random() & 0xFFFFF);
  sa.sa_tag = static_cast<uint16_t>(random());
  const size_t address_bytes = outer_ipv6 ? 16 : 4;
  std::ranges::copy(random.bytes(address_bytes), sa.source.begin());
  std::ranges::copy(random.bytes(address_bytes), sa.destination.begin());
  sa.iv_base = random();
  const Bytes key = random.bytes(long_key ? 32 : 16);
  std::ranges::copy(key, sa.key.begin());
  std::ranges::copy(gcm_hash_powers(key), sa.hash_powers.begin());
  return sa;
}

Bytes protect(const Bytes& frame, const SaContext& sa, uint64_t number, const Twist& twist) {
  const size_t begin = ip_begin(frame), end = ip_end(frame);
  const auto slice = [&](size_t from, size_t to) {
    return Bytes(frame.begin() + static_cast<long>(from), frame.begin() + static_cast<long>(to));
  };
  if (sa.tunnel) {
    const Bytes inner = slice(begin, end);
    const Bytes esp = esp_packet(inner, inner[0] >> 4 == 4 ? 4 : 41, sa, number, twist);
    Bytes out = slice(0, begin);
    put16(out, begin - 2, sa.outer_ipv6 ? 0x86DD : 0x0800);
    append(out, outer_header(inner, sa, esp.size(), number, twist));
    append(out, esp);
    return out;
  }
  const Place place = transport_place(frame);
  const Bytes esp = esp_packet(slice(place.at, end), frame[place.field], sa, number, twist);
  Bytes out = slice(0, place.at);
  out[place.field] = kEsp;
  append(out, esp);
  if (frame[begin] >> 4 == 4) {
    put16(out, begin + 2, out.size() - begin);
    put16(out, begin + 10, header_checksum(out, begin));
  } else {
    put16(out, begin + 4, out.size() - begin - 40);
  }
  return out;
}

size_t octets(const Bytes& frame, const SaContext& sa) {
  return ip_end(frame) - (sa.tunnel ? ip_begin(frame) : transport_place(frame).at);
}

}  // namespace saline::hw::bench
