// Whole packets that others made: RFC 3602's figures (on any checkout) and the packet set of DPDK's
// IPsec tests (from the vector collection).
#include <gtest/gtest.h>

#include <map>

#include "host/base/bytes.hpp"
#include "tests/host/ipsec/bed.hpp"
#include "tests/host/vectors.hpp"

namespace saline::test {

using namespace saline::ipsec;
using hw::DropReason;

namespace {

// Names of the algorithms in the DPDK set that Saline has.
const std::map<std::string, std::string> kNames = {
    {"AEAD_AES_GCM", "aes-gcm-16"},        {"CIPHER_AES_CBC", "aes-cbc"},
    {"CIPHER_3DES_CBC", "3des-cbc"},       {"CIPHER_DES_CBC", "des-cbc"},
    {"CIPHER_AES_CTR", "aes-ctr"},         {"AUTH_MD5_HMAC", "hmac-md5"},
    {"AUTH_SHA256_HMAC", "hmac-sha2-256"}, {"AUTH_SHA384_HMAC", "hmac-sha2-384"},
    {"AUTH_SHA512_HMAC", "hmac-sha2-512"}, {"AUTH_NULL", "null"},
};

// One vector of the set is for the inbound direction only, with the two sides swapped.
bool is_inbound_only(const Json& vector) { return vector["name"].text() == "pkt_aes_128_cbc_null"; }
Bytes wire_of(const Json& vector) {
  return vector[is_inbound_only(vector) ? "input" : "output"].hex();
}
std::string plain_of(const Json& vector) {
  return vector[is_inbound_only(vector) ? "output" : "input"].text();
}

// False when the vector needs an algorithm Saline does not have.
bool config_from(const Json& vector, SaConfig& config) {
  const Bytes wire = wire_of(vector);
  Headers headers;
  if (!parse_headers(wire, headers)) return false;
  config.id.spi = static_cast<std::uint32_t>(std::stoul(vector["spi"].text(), nullptr, 0));
  config.id.destination = headers.destination;
  config.id.protocol = vector["proto"].text() == "AH" ? Protocol::ah : Protocol::esp;
  config.source = headers.source;
  config.mode = vector["mode"].text() == "TUNNEL" ? Mode::tunnel : Mode::transport;
  config.allow_unauthenticated = true;
  config.allow_reserved_spi = true;
  for (std::size_t i = 0; i < vector["algos"].size(); ++i) {
    const auto name = kNames.find(vector["algos"][i].text());
    if (name == kNames.end()) return false;
    if (const auto* cipher = crypto::find_encryption(name->second);
        cipher != nullptr && !name->first.starts_with("AUTH")) {
      config.encryption = cipher;
      Bytes key = vector["key"].hex();
      if (cipher->salt_bytes != 0) {
        const Bytes salt = vector["salt"].hex();
        key.insert(key.end(), salt.begin(), salt.begin() + 4);
      }
      config.encryption_key = base::Secret(key);
    } else {
      config.integrity = crypto::find_integrity(name->second);
      if (config.integrity->icv_bytes != 0)
        config.integrity_key = base::Secret(vector["auth_key"].hex());
    }
  }
  return true;
}

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
    for (const char* part : {"iv", "ct"}) {
      const Bytes bytes = figure[part].hex();
      esp.insert(esp.end(), bytes.begin(), bytes.end());
    }
    Host host;
    host.add(std::move(config));
    Buffer buffer(ip_packet(figure["src"].text(), figure["dst"].text(), kEsp, esp));
    ASSERT_EQ(host.open(buffer).reason, DropReason::none);
    const Bytes opened = buffer.bytes();
    EXPECT_EQ(Bytes(opened.begin() + (tunnel ? 0 : 20), opened.end()), figure["data"].hex());
  }
}

TEST(PacketVectors, DpdkPacketsOpenToTheirPlaintext) {
  SALINE_NEEDS_VECTORS("dpdk/ipsec_packet_vectors.json");
  const JsonFile file(vectors_path("dpdk/ipsec_packet_vectors.json"));
  const Json vectors = file.root()["vectors"];
  int ran = 0;
  for (std::size_t i = 0; i < vectors.size(); ++i) {
    SCOPED_TRACE(vectors[i]["name"].text());
    SaConfig config;
    if (!config_from(vectors[i], config)) continue;
    const bool unauthenticated = config.integrity != nullptr && config.integrity->icv_bytes == 0;
    Host host;
    host.add(std::move(config));
    Buffer buffer(wire_of(vectors[i]));
    ASSERT_EQ(host.open(buffer).reason, DropReason::none);
    EXPECT_EQ(base::to_hex(buffer.bytes()), plain_of(vectors[i]));
    ++ran;
    if (unauthenticated) continue;
    Bytes altered = vectors[i]["output"].hex();
    altered.back() ^= 1;
    Buffer bad(altered);
    EXPECT_EQ(host.open(bad).reason, DropReason::icv);
  }
  EXPECT_EQ(ran, 24) << "CCM, XCBC and GMAC are not there yet";
}

TEST(PacketVectors, DpdkGcmPacketsAreMadeBitForBit) {
  SALINE_NEEDS_VECTORS("dpdk/ipsec_packet_vectors.json");
  const JsonFile file(vectors_path("dpdk/ipsec_packet_vectors.json"));
  const Json vectors = file.root()["vectors"];
  int ran = 0;
  for (std::size_t i = 0; i < vectors.size(); ++i) {
    if (vectors[i]["algos"][std::size_t{0}].text() != "AEAD_AES_GCM") continue;
    SCOPED_TRACE(vectors[i]["name"].text());
    const Bytes wire = vectors[i]["output"].hex();
    SaConfig config;
    ASSERT_TRUE(config_from(vectors[i], config));
    const std::size_t outer = wire[0] >> 4 == 4 ? 20 : 40;
    const std::uint32_t sequence = base::load32(&wire[outer + 4]);
    config.sequence = sequence - 1;
    config.iv_base = base::load64(&wire[outer + 8]) ^ sequence;
    Policy policy;
    policy.action = Action::ipsec;
    policy.requests.push_back(
        {Protocol::esp, Mode::tunnel, Level::require, config.source, config.id.destination, 0});
    Host host;
    host.add(std::move(config));
    Buffer buffer(vectors[i]["input"].hex());
    ASSERT_EQ(host.protect(buffer, policy).reason, DropReason::none);
    // The outer header's identification, TTL and DSCP are the maker's choice; ESP is not.
    const Bytes made = buffer.bytes();
    EXPECT_EQ(base::to_hex(std::span(made).subspan(outer)),
              base::to_hex(std::span(wire).subspan(outer)));
    ++ran;
  }
  EXPECT_GE(ran, 5);
}

}  // namespace saline::test
