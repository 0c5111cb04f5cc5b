// AES-XCBC-MAC (RFC 3566) and AES-CMAC (RFC 4493): CBC-MACs that differ in how the key of the chain
// and the two masks of the last block come from the key. The chain runs through libcrypto's CBC;
// EVP's own CMAC would do half of this.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "host/base/error.hpp"
#include "host/base/secret.hpp"
#include "host/crypto/evp.hpp"
#include "host/crypto/mac.hpp"
#include "host/crypto/provider.hpp"

namespace saline::crypto {

namespace {

using Block = std::array<std::uint8_t, 16>;

// RFC 4493 §2.3: times x in GF(2^128).
Block doubled(const Block& in) noexcept {
  Block out;
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<std::uint8_t>(in[i] << 1 | (i + 1 < in.size() ? in[i + 1] >> 7 : 0));
  if ((in[0] & 0x80) != 0) out[15] ^= 0x87;
  return out;
}

Block filled(std::uint8_t byte) noexcept {
  Block block;
  block.fill(byte);
  return block;
}

class BlockMac final : public Mac {
 public:
  BlockMac(Method method, std::span<const std::uint8_t> key) {
    if (method == Method::aes_cmac) {
      chain_ = keyed_context(Method::aes_cbc, key, true);
      whole_mask_ = doubled(aes_encrypt_block(key, filled(0)));
      cut_mask_ = doubled(whole_mask_);
    } else {
      if (key.size() != 16) throw base::Error(EINVAL, "AES-XCBC-MAC takes a key of 128 bits");
      Block chain_key = aes_encrypt_block(key, filled(1));
      chain_ = keyed_context(Method::aes_cbc, chain_key, true);
      base::wipe(chain_key);
      whole_mask_ = aes_encrypt_block(key, filled(2));
      cut_mask_ = aes_encrypt_block(key, filled(3));
    }
  }

  ~BlockMac() override {
    base::wipe(whole_mask_);
    base::wipe(cut_mask_);
  }

  std::size_t mac_bytes() const noexcept override { return sizeof(Block); }

  bool compute(std::span<const std::span<const std::uint8_t>> parts,
               std::span<std::uint8_t> out) const noexcept override {
    constexpr Block kZero{};
    if (EVP_CipherInit_ex(chain_.get(), nullptr, nullptr, nullptr, kZero.data(), -1) != 1)
      return false;
    Block last;  // held back until it is known whether more follows
    std::size_t held = 0;
    Block mac;
    for (std::span<const std::uint8_t> part : parts) {
      while (!part.empty()) {
        if (held == last.size()) {
          if (!feed(last, mac)) return false;
          held = 0;
        }
        if (held == 0 && part.size() > last.size()) {
          const std::size_t whole = (part.size() - 1) / last.size() * last.size();
          if (!feed(part.first(whole), mac)) return false;
          part = part.subspan(whole);
        }
        const std::size_t count = std::min(last.size() - held, part.size());
        std::memcpy(last.data() + held, part.data(), count);
        held += count;
        part = part.subspan(count);
      }
    }
    const bool whole = held == last.size();
    if (!whole) {
      std::memset(last.data() + held, 0, last.size() - held);
      last[held] = 0x80;
    }
    const Block& mask = whole ? whole_mask_ : cut_mask_;
    for (std::size_t i = 0; i < last.size(); ++i)
      last[i] = static_cast<std::uint8_t>(last[i] ^ mask[i]);
    if (!feed(last, mac)) return false;
    std::copy_n(mac.begin(), std::min(out.size(), mac.size()), out.begin());
    return true;
  }

 private:
  // Whole blocks, at least one; mac becomes the chain's value behind them.
  bool feed(std::span<const std::uint8_t> blocks, Block& mac) const noexcept {
    std::array<std::uint8_t, 512> scratch;
    while (!blocks.empty()) {
      const std::size_t count = std::min(scratch.size(), blocks.size());
      int written = 0;
      if (EVP_CipherUpdate(chain_.get(), scratch.data(), &written, blocks.data(),
                           static_cast<int>(count)) != 1 ||
          written != static_cast<int>(count))
        return false;
      std::memcpy(mac.data(), scratch.data() + count - mac.size(), mac.size());
      blocks = blocks.subspan(count);
    }
    return true;
  }

  CipherContext chain_;
  Block whole_mask_;
  Block cut_mask_;
};

}  // namespace

std::unique_ptr<Mac> make_block_mac(Method method, std::span<const std::uint8_t> key) {
  if (method != Method::aes_xcbc_mac && method != Method::aes_cmac) return nullptr;
  return std::make_unique<BlockMac>(method, key);
}

}  // namespace saline::crypto
