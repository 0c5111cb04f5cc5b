// gcm_reference.hpp: AES-GCM by OpenSSL.
#include "tests/hw/rtl/gcm_reference.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <memory>
#include <stdexcept>

namespace saline::hw::bench {

namespace {

using Context = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;

void require(int answer) {
  if (answer != 1) throw std::runtime_error("OpenSSL refused a call of the reference");
}

Bytes aes_block(const Bytes& key, const Bytes& block) {
  Context context(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  require(EVP_EncryptInit_ex(context.get(),
                             key.size() == 32 ? EVP_aes_256_ecb() : EVP_aes_128_ecb(), nullptr,
                             key.data(), nullptr));
  Bytes out(32);
  int length = 0;
  require(EVP_EncryptUpdate(context.get(), out.data(), &length, block.data(), 16));
  out.resize(16);
  return out;
}

// NIST SP 800-38D §6.3, algorithm 1, bit by bit.
Bytes multiply(const Bytes& x, const Bytes& y) {
  Bytes z(16), v = y;
  for (size_t i = 0; i < 128; i++) {
    if ((x[i / 8] >> (7 - i % 8) & 1) != 0) {
      for (size_t j = 0; j < 16; j++) z[j] ^= v[j];
    }
    const bool odd = (v[15] & 1) != 0;
    for (size_t j = 15; j > 0; j--) v[j] = static_cast<uint8_t>(v[j] >> 1 | v[j - 1] << 7);
    v[0] = static_cast<uint8_t>(v[0] >> 1 ^ (odd ? 0xE1 : 0));
  }
  return z;
}

// Appends a field of the packed struct, from the least significant bit up.
class Packer {
 public:
  void add(const Bytes& little, size_t bits) {
    for (size_t i = 0; i < bits; i++, at_++) {
      const bool set = i / 8 < little.size() && (little[i / 8] >> (i % 8) & 1) != 0;
      if (set) port_[at_ / 32] |= 1U << (at_ % 32);
    }
  }
  void add(uint64_t value, size_t bits) {
    Bytes little(8);
    for (size_t i = 0; i < 8; i++) little[i] = static_cast<uint8_t>(value >> (8 * i));
    add(little, bits);
  }
  const JobPort& port() const { return port_; }

 private:
  JobPort port_{};
  size_t at_ = 0;
};

Bytes reversed(Bytes bytes) {
  std::reverse(bytes.begin(), bytes.end());
  return bytes;
}

}  // namespace

GcmResult gcm_reference(const GcmPacket& packet) {
  if (packet.pass) return {packet.text, Bytes(16)};
  const auto* cipher = packet.key.size() == 32 ? EVP_aes_256_gcm() : EVP_aes_128_gcm();
  const auto size = static_cast<int>(packet.text.size());
  GcmResult result{Bytes(packet.text.size()), Bytes(16)};
  // Counter mode is its own inverse: "encrypting" a ciphertext gives the plaintext, and encrypting
  // that gives the ICV over the ciphertext.
  Bytes plain = packet.text;
  for (int pass = packet.encrypt ? 1 : 0; pass < 2; pass++) {
    Context context(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
    int length = 0;
    require(
        EVP_EncryptInit_ex(context.get(), cipher, nullptr, packet.key.data(), packet.nonce.data()));
    require(EVP_EncryptUpdate(context.get(), nullptr, &length, packet.aad.data(),
                              static_cast<int>(packet.aad.size())));
    require(EVP_EncryptUpdate(context.get(), result.text.data(), &length, plain.data(), size));
    require(EVP_EncryptFinal_ex(context.get(), result.text.data() + length, &length));
    require(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, 16, result.icv.data()));
    if (pass == 0) plain = result.text;
  }
  if (!packet.encrypt) result.text = plain;
  return result;
}

Bytes gcm_hash_powers(const Bytes& key) {
  const Bytes h = aes_block(key, Bytes(16));
  Bytes power = h, all;
  for (int i = 0; i < 4; i++) {
    all.insert(all.begin(), power.begin(), power.end());
    power = multiply(power, h);
  }
  return all;
}

JobPort gcm_job(const GcmPacket& packet) {
  Bytes key = packet.key;
  key.resize(32);
  const Bytes salt(packet.nonce.begin(), packet.nonce.begin() + 4);
  const Bytes iv(packet.nonce.begin() + 4, packet.nonce.end());
  Packer packer;
  packer.add(packet.text.size(), 16);
  packer.add(packet.aad.size(), 4);
  packer.add(packet.aad, 96);
  packer.add(iv, 64);
  packer.add(salt, 32);
  packer.add(reversed(gcm_hash_powers(packet.key)), 512);
  packer.add(reversed(key), 256);
  packer.add(packet.encrypt ? 1 : 0, 1);
  packer.add(packet.pass ? 0 : (packet.key.size() == 32 ? 2 : 1), 8);
  return packer.port();
}

}  // namespace saline::hw::bench
