// The test host and its builders.
#include "tests/host/ipsec/bed.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "host/base/bytes.hpp"

namespace saline::test {

using namespace saline::ipsec;

base::Address address(std::string_view text) { return base::Address::parse(text); }

Buffer::Buffer(const Bytes& bytes, std::uint32_t headroom, std::uint32_t tailroom)
    : storage_(headroom + bytes.size() + tailroom, 0xEE) {
  std::copy(bytes.begin(), bytes.end(), storage_.begin() + headroom);
  packet_.data = storage_.data() + headroom;
  packet_.length = static_cast<std::uint32_t>(bytes.size());
  packet_.headroom = headroom;
  packet_.tailroom = tailroom;
}

Bytes ip_packet(std::string_view source, std::string_view destination, std::uint8_t protocol,
                const Bytes& payload, const Bytes& options) {
  const base::Address from = address(source);
  const base::Address to = address(destination);
  Bytes packet;
  if (from.family == base::Family::ipv4) {
    packet.assign(20, 0);
    packet[0] = static_cast<std::uint8_t>(0x45 + options.size() / 4);
    packet[8] = 64;
    packet[9] = protocol;
    std::copy_n(from.bytes.begin(), 4, packet.begin() + 12);
    std::copy_n(to.bytes.begin(), 4, packet.begin() + 16);
    packet.insert(packet.end(), options.begin(), options.end());
    base::store16(&packet[2], static_cast<std::uint16_t>(packet.size() + payload.size()));
    base::store16(&packet[10], ipv4_header_checksum(packet));
  } else {
    packet.assign(40, 0);
    packet[0] = 0x60;
    base::store16(&packet[4], static_cast<std::uint16_t>(options.size() + payload.size()));
    packet[6] = protocol;
    packet[7] = 64;
    std::copy_n(from.bytes.begin(), 16, packet.begin() + 8);
    std::copy_n(to.bytes.begin(), 16, packet.begin() + 24);
    packet.insert(packet.end(), options.begin(), options.end());
  }
  packet.insert(packet.end(), payload.begin(), payload.end());
  return packet;
}

Bytes udp(std::size_t data_bytes, std::uint8_t seed, std::uint16_t source_port,
          std::uint16_t destination_port) {
  Bytes datagram(8 + data_bytes);
  base::store16(&datagram[0], source_port);
  base::store16(&datagram[2], destination_port);
  base::store16(&datagram[4], static_cast<std::uint16_t>(datagram.size()));
  for (std::size_t i = 0; i < data_bytes; ++i)
    datagram[8 + i] = static_cast<std::uint8_t>(seed + i);
  return datagram;
}

Bytes random_bytes(std::mt19937_64& generator, std::size_t count) {
  Bytes bytes(count);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(generator());
  return bytes;
}

base::Secret key_for(const crypto::Algorithm& algorithm, unsigned key_bits) {
  Bytes key((key_bits == 0 ? algorithm.key_bits_min : key_bits) / 8);
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::uint8_t>(i * 7 + 1);
  return base::Secret(key);
}

SaConfig config_of(const SaSpec& spec) {
  SaConfig config;
  config.id = {spec.spi, address(spec.destination), spec.protocol};
  config.source = address(spec.source);
  config.mode = spec.mode;
  config.reqid = spec.reqid;
  config.replay_window = spec.window;
  config.extended_sequence = spec.esn;
  config.allow_legacy = true;  // refusing them is association_test's business
  if (spec.protocol == Protocol::esp && !spec.encryption.empty()) {
    config.encryption = crypto::find_encryption(spec.encryption);
    config.encryption_key = key_for(*config.encryption, spec.key_bits);
  }
  config.flags = spec.flags;
  config.allow_legacy = true;
  config.udp = spec.udp;
  config.ah_align8 = spec.align8;
  if (spec.protocol == Protocol::ipcomp) {
    config.compression = crypto::find_compression("deflate");
    config.replay_window = 0;
    return config;
  }
  if (!spec.integrity.empty()) {
    config.integrity = crypto::find_integrity(spec.integrity);
    config.integrity_key = key_for(*config.integrity);
  }
  return config;
}

Policy policy_for(std::initializer_list<SaSpec> specs, Direction direction, Level level) {
  Policy policy;
  policy.direction = direction;
  policy.action = Action::ipsec;
  const base::Family family = address(specs.begin()->source).family;
  policy.selector.source.address.family = family;
  policy.selector.destination.address.family = family;
  for (const SaSpec& spec : specs) {
    Request request;
    request.protocol = spec.protocol;
    request.mode = spec.mode;
    request.level = level;
    request.reqid = spec.reqid;
    if (spec.mode == Mode::tunnel) {
      request.source = address(spec.source);
      request.destination = address(spec.destination);
    }
    policy.requests.push_back(request);
  }
  return policy;
}

Host::Host() : provider(crypto::make_provider()), processor(*provider) {}

std::shared_ptr<SecurityAssociation> Host::add(const SaSpec& spec) { return add(config_of(spec)); }

std::shared_ptr<SecurityAssociation> Host::add(SaConfig config) {
  auto sa = SecurityAssociation::create(std::move(config), *provider);
  sad.add(sa);
  sad.publish();
  return sa;
}

void Host::add_policy(Policy policy) {
  spd.add(std::move(policy));
  spd.publish();
}

OutboundItem Host::protect(Buffer& buffer, const Policy& policy, std::uint32_t mtu) {
  processor.set_settings(settings);
  OutboundItem item;
  item.packet = &buffer.packet();
  item.policy = &policy;
  item.mtu = mtu;
  processor.outbound(*sad.view().acquire(), {&item, 1});
  return item;
}

InboundItem Host::open(Buffer& buffer) {
  processor.set_settings(settings);
  InboundItem item;
  item.packet = &buffer.packet();
  processor.inbound(*sad.view().acquire(), {&item, 1});
  return item;
}

hw::DropReason Host::check(Buffer& buffer, Direction direction) {
  processor.set_settings(settings);
  return processor.check_inbound_policy(*spd.view().acquire(), buffer.packet(), direction).reason;
}

Bytes protect_with(const SaSpec& spec, const Bytes& packet) {
  Host host;
  host.add(spec);
  Buffer buffer(packet);
  Policy policy = policy_for({spec});
  if (host.protect(buffer, policy).outcome != Outcome::pass)
    throw std::logic_error("the packet was not protected");
  return buffer.bytes();
}

Bytes craft_esp(const SaSpec& spec, std::uint32_t sequence, const Bytes& text) {
  const SaConfig config = config_of(spec);
  const auto provider = crypto::make_provider();
  crypto::SessionKeys keys;
  keys.encryption = config.encryption;
  keys.encryption_key = config.encryption_key.bytes();
  keys.integrity = config.integrity;
  keys.integrity_key = config.integrity_key.bytes();
  const auto session = provider->open(keys);
  const std::size_t header = 8u + config.encryption->iv_bytes;
  Bytes esp(header, 0);
  base::store32(&esp[0], spec.spi);
  base::store32(&esp[4], sequence);
  esp.insert(esp.end(), text.begin(), text.end());
  const bool aead = config.encryption->is_aead();
  const std::size_t icv = aead ? config.encryption->icv_bytes : config.integrity->icv_bytes;
  esp.resize(esp.size() + icv);
  crypto::Job job;
  job.session = session.get();
  job.iv = &esp[8];
  job.text = std::span(esp).subspan(header, text.size());
  job.authenticated[0] = std::span(esp).first(aead ? 8 : header + text.size());
  job.icv = &esp[header + text.size()];
  provider->run({&job, 1});
  if (job.result != crypto::Result::ok) throw std::logic_error("text of a wrong length");
  return ip_packet(spec.source, spec.destination, kEsp, esp);
}

Bytes with_trailer(Bytes payload, std::uint8_t pad, std::uint8_t next_header) {
  for (unsigned i = 1; i <= pad; ++i) payload.push_back(static_cast<std::uint8_t>(i));
  payload.push_back(pad);
  payload.push_back(next_header);
  return payload;
}

std::uint64_t refused(const SecurityAssociation& sa, hw::DropReason reason) {
  return sa.counters().refused[static_cast<std::size_t>(reason)].get();
}

}  // namespace saline::test
