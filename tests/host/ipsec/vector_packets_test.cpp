// Whole packets that others made: RFC 3602's figures (on any checkout), and from the vector
// collection the set of DPDK's IPsec tests, RFC 7634's packet and one of ESP with GMAC. Each opens
// to its plaintext, is made again bit for bit where nothing in it is random, and with any one bit
// flipped is refused.
#include <gtest/gtest.h>

#include <cerrno>
#include <iostream>
#include <map>
#include <optional>

#include "host/base/bytes.hpp"
#include "host/base/error.hpp"
#include "tests/host/ipsec/bed.hpp"
#include "tests/host/vectors.hpp"

namespace saline::test {

using namespace saline::ipsec;
using hw::DropReason;

namespace {

struct Golden {
  std::string name;
  SaConfig config;
  Bytes wire;
  Bytes plain;
  bool inbound_only = false;  // its maker does not say how it was made
};

const std::map<std::string, std::string> kNames = {
    {"AEAD_AES_GCM", "aes-gcm-16"},
    {"AEAD_AES_CCM", "aes-ccm-16"},
    {"CIPHER_AES_CBC", "aes-cbc"},
    {"CIPHER_3DES_CBC", "3des-cbc"},
    {"CIPHER_DES_CBC", "des-cbc"},
    {"CIPHER_AES_CTR", "aes-ctr"},
    {"CIPHER_NULL", "null"},
    {"AUTH_MD5_HMAC", "hmac-md5"},
    {"AUTH_SHA256_HMAC", "hmac-sha2-256"},
    {"AUTH_SHA384_HMAC", "hmac-sha2-384"},
    {"AUTH_SHA512_HMAC", "hmac-sha2-512"},
    {"AUTH_AES_XCBC_MAC", "aes-xcbc-mac"},
    {"AUTH_AES_GMAC", "aes-gmac-128"},
    {"AUTH_NULL", "null"},
};

Bytes join(Bytes first, const Bytes& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

void set_algorithm(SaConfig& config, const std::string& theirs, const Json& vector) {
  const std::string ours = kNames.at(theirs);
  if (!theirs.starts_with("AUTH")) {
    config.encryption = crypto::find_encryption(ours);
    config.encryption_key = base::Secret(join(vector["key"].hex(), vector["salt"].hex()));
    return;
  }
  config.integrity = crypto::find_integrity(ours);
  if (config.integrity == nullptr || config.integrity->icv_bytes == 0) return;
  const Bytes own = vector["auth_key"].hex();
  config.integrity_key =
      base::Secret(join(own.empty() ? vector["key"].hex() : own,
                        config.integrity->salt_bytes == 0 ? Bytes{} : vector["salt"].hex()));
}

Golden dpdk_golden(const Json& vector) {
  Golden golden;
  golden.name = vector["name"].text();
  // One vector is for the inbound direction only, with the two sides swapped.
  golden.inbound_only = golden.name == "pkt_aes_128_cbc_null";
  golden.wire = vector[golden.inbound_only ? "input" : "output"].hex();
  golden.plain = vector[golden.inbound_only ? "output" : "input"].hex();
  SaConfig& config = golden.config;
  Headers headers;
  if (!parse_headers(golden.wire, headers)) throw std::logic_error(golden.name);
  config.id.spi = static_cast<std::uint32_t>(std::stoul(vector["spi"].text(), nullptr, 0));
  config.id.destination = headers.destination;
  config.id.protocol = vector["proto"].text() == "AH" ? Protocol::ah : Protocol::esp;
  config.source = headers.source;
  config.mode = vector["mode"].text() == "TUNNEL" ? Mode::tunnel : Mode::transport;
  for (std::size_t i = 0; i < vector["algos"].size(); ++i)
    set_algorithm(config, vector["algos"][i].text(), vector);
  return golden;
}

// A tunnel's packet of which the sources give the ESP part alone.
Golden bare_golden(const std::string& name, const char* cipher, Bytes key, const Bytes& esp,
                   Bytes plain) {
  Golden golden;
  golden.name = name;
  golden.wire = ip_packet("192.0.2.1", "192.0.2.2", kEsp, esp);
  golden.plain = std::move(plain);
  golden.config.id = {base::load32(esp.data()), address("192.0.2.2"), Protocol::esp};
  golden.config.source = address("192.0.2.1");
  golden.config.mode = Mode::tunnel;
  golden.config.encryption = crypto::find_encryption(cipher);
  golden.config.encryption_key = base::Secret(key);
  return golden;
}

std::vector<Golden> goldens() {
  std::vector<Golden> all;
  const JsonFile dpdk(vectors_path("dpdk/ipsec_packet_vectors.json"));
  const Json vectors = dpdk.root()["vectors"];
  for (std::size_t i = 0; i < vectors.size(); ++i) all.push_back(dpdk_golden(vectors[i]));

  const JsonFile rfc(vectors_path("rfc/rfc3602_rfc7634_esp_packets.json"));
  const Json chacha = rfc.root()["rfc7634_appendix_A"];
  Bytes esp = join(join(chacha["spi"].hex(), chacha["seq"].hex()), chacha["iv"].hex());
  all.push_back(bare_golden("rfc7634_appendix_A", "chacha20-poly1305",
                            join(chacha["key"].hex(), chacha["salt"].hex()),
                            join(esp, chacha["esp_payload_and_icv"].hex()), chacha["inner"].hex()));

  const JsonFile own(vectors_path("own/esp_gmac.json"));
  const Bytes gmac = own.root()["esp_packet"].hex();
  // In front 16 bytes of header and IV, behind it two of padding, two of trailer and the ICV. Its
  // next header is ICMP.
  const Bytes payload(gmac.begin() + 16, gmac.end() - 16 - 4);
  all.push_back(bare_golden("esp_gmac", "aes-gmac",
                            join(own.root()["key"].hex(), own.root()["salt"].hex()), gmac,
                            ip_packet("192.0.2.1", "192.0.2.2", kIcmp, payload)));
  all.back().config.mode = Mode::transport;
  for (Golden& golden : all) {
    golden.config.allow_unauthenticated = true;
    golden.config.allow_reserved_spi = true;
    golden.config.allow_legacy = true;
  }
  return all;
}

// nullptr, with a line about it, when the build has no such transform.
std::shared_ptr<SecurityAssociation> add(Host& host, Golden& golden) {
  try {
    if (golden.config.encryption == nullptr && golden.config.integrity == nullptr)
      throw base::Error(ENOTSUP, "not in the table");
    return host.add(std::move(golden.config));
  } catch (const base::Error& error) {
    if (error.errno_value() != ENOTSUP) throw;
    std::cout << "skipped " << golden.name << ": " << error.what() << '\n';
    return nullptr;
  }
}

std::size_t header_bytes(const Bytes& packet) { return packet[0] >> 4 == 4 ? 20 : 40; }

bool is_authenticated(const Golden& golden) {
  const SaConfig& config = golden.config;
  return (config.integrity != nullptr && config.integrity->icv_bytes != 0) ||
         (config.encryption != nullptr && config.encryption->is_aead());
}

// A flipped bit behind the outer header: what it must be refused as.
DropReason reason_for(const Bytes& wire, Protocol protocol, std::size_t bit) {
  const std::size_t at = bit / 8 - header_bytes(wire);
  const bool ah = protocol == Protocol::ah;
  const std::size_t spi = ah ? 4 : 0;
  if (at >= spi && at < spi + 4) return DropReason::no_sa;
  return ah && at == 1 ? DropReason::malformed : DropReason::icv;
}

constexpr const char* kSources[] = {"dpdk/ipsec_packet_vectors.json",
                                    "rfc/rfc3602_rfc7634_esp_packets.json", "own/esp_gmac.json"};

}  // namespace

TEST(PacketVectors, Rfc3602Cases5To8) {
  const JsonFile file("tests/data/esp_figures.json");
  const Json packets = file.root()["packets"];
  ASSERT_EQ(packets.size(), 4u);
  for (std::size_t i = 0; i < packets.size(); ++i) {
    const Json figure = packets[i];
    SCOPED_TRACE("case " + std::to_string(figure["case"].number()));
    SaConfig config;
    config.id = {static_cast<std::uint32_t>(figure["spi"].number()), address(figure["dst"].text()),
                 Protocol::esp};
    config.source = address(figure["src"].text());
    const bool tunnel = figure["mode"].text() == "tunnel";
    config.mode = tunnel ? Mode::tunnel : Mode::transport;
    config.encryption = crypto::find_encryption("aes-cbc");
    config.encryption_key = base::Secret(figure["key"].hex());
    config.allow_unauthenticated = true;
    Bytes esp(8);
    base::store32(&esp[0], config.id.spi);
    base::store32(&esp[4], static_cast<std::uint32_t>(figure["seq"].number()));
    for (const char* part : {"iv", "ct"}) esp = join(esp, figure[part].hex());
    Host host;
    host.add(std::move(config));
    Buffer buffer(ip_packet(figure["src"].text(), figure["dst"].text(), kEsp, esp));
    ASSERT_EQ(host.open(buffer).reason, DropReason::none);
    const Bytes opened = buffer.bytes();
    EXPECT_EQ(Bytes(opened.begin() + (tunnel ? 0 : 20), opened.end()), figure["data"].hex());
  }
}

TEST(PacketVectors, EachOpensToItsPlaintext) {
  for (const char* source : kSources) SALINE_NEEDS_VECTORS(source);
  std::vector<Golden> all = goldens();
  EXPECT_EQ(all.size(), 29u);
  std::size_t skipped = 0;
  for (Golden& golden : all) {
    SCOPED_TRACE(golden.name);
    Host host;
    if (add(host, golden) == nullptr) {
      ++skipped;
      continue;
    }
    Buffer buffer(golden.wire);
    EXPECT_EQ(host.open(buffer).reason, DropReason::none);
    EXPECT_EQ(base::to_hex(buffer.bytes()), base::to_hex(golden.plain));
  }
  EXPECT_EQ(skipped, 0u);
}

// Under an outer header of its own: its identification, hop limit and DSCP are the maker's choice.
// Not made again: packets with a random IV, and AH in tunnel mode, which signs the identification.
TEST(PacketVectors, EachThatIsNotRandomIsMadeBitForBit) {
  for (const char* source : kSources) SALINE_NEEDS_VECTORS(source);
  int made = 0;
  for (Golden& golden : goldens()) {
    SCOPED_TRACE(golden.name);
    const crypto::Algorithm* cipher = golden.config.encryption;
    const bool ah = golden.config.id.protocol == Protocol::ah;
    const bool random = cipher != nullptr && cipher->iv_bytes != 0 && !cipher->is_counter_mode();
    if (random || golden.inbound_only || (ah && golden.config.mode == Mode::tunnel)) continue;
    const std::size_t outer = header_bytes(golden.wire);
    const std::uint32_t sequence = base::load32(&golden.wire[outer + (ah ? 8 : 4)]);
    golden.config.sequence = sequence - 1;
    golden.config.iv_base = base::load64(&golden.wire[outer + (ah ? 12 : 8)]) ^ sequence;
    Host host;
    const auto sa = add(host, golden);
    if (sa == nullptr) continue;
    Policy policy;
    policy.action = Action::ipsec;
    Request request{sa->protocol(), sa->config().mode, Level::require, {}, {}, 0};
    if (request.mode == Mode::tunnel) {
      request.source = sa->config().source;
      request.destination = sa->id().destination;
    }
    policy.requests.push_back(request);
    Buffer buffer(golden.plain);
    ASSERT_EQ(host.protect(buffer, policy).reason, DropReason::none);
    const Bytes bytes = buffer.bytes();
    EXPECT_EQ(base::to_hex(std::span(bytes).subspan(outer)),
              base::to_hex(std::span(golden.wire).subspan(outer)));
    ++made;
  }
  EXPECT_GE(made, 14);
}

TEST(PacketVectors, EachBitOfEachMatters) {
  for (const char* source : kSources) SALINE_NEEDS_VECTORS(source);
  std::size_t bits = 0;
  for (Golden& golden : goldens()) {
    SCOPED_TRACE(golden.name);
    Host host;
    if (!is_authenticated(golden)) continue;
    const auto sa = add(host, golden);
    if (sa == nullptr) continue;
    for (std::size_t bit = header_bytes(golden.wire) * 8; bit < golden.wire.size() * 8; ++bit) {
      Bytes wire = golden.wire;
      wire[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
      Buffer buffer(wire);
      ASSERT_EQ(host.open(buffer).reason, reason_for(golden.wire, sa->protocol(), bit))
          << "bit " << bit;
      ++bits;
    }
    // The outer header: a change is found, or is of no consequence to what was protected.
    for (std::size_t bit = 0; bit < header_bytes(golden.wire) * 8; ++bit) {
      Bytes wire = golden.wire;
      wire[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
      Buffer buffer(wire);
      if (host.open(buffer).outcome != Outcome::pass || buffer.packet().history_count == 0)
        continue;
      const std::size_t from = sa->config().mode == Mode::tunnel ? 0 : header_bytes(golden.wire);
      const Bytes opened = buffer.bytes();
      EXPECT_EQ(base::to_hex(std::span(opened).subspan(from)),
                base::to_hex(std::span(golden.plain).subspan(from)))
          << "bit " << bit;
    }
  }
  EXPECT_GT(bits, 20000u);
}

}  // namespace saline::test
