// The crypto of ESP packets and nothing else, through ipsec-mb's burst API: the same lengths as in
// tunnel mode, no headers, no SA, one key.
#define NO_COMPAT_IMB_API_053
#include <intel-ipsec-mb.h>

#include <array>
#include <cstring>
#include <string>

#include "tests/bench/engine/side.hpp"

namespace saline::bench {

namespace {

class RawSide final : public Side {
 public:
  explicit RawSide(const Transform& transform)
      : manager_(alloc_mb_mgr(0)),
        transform_(transform),
        encryption_(transform.encryption != nullptr ? transform.encryption : ""),
        integrity_(transform.integrity != nullptr ? transform.integrity : "") {
    init_mb_mgr_auto(manager_, nullptr);
    expand_cipher();
    if (transform.integrity != nullptr) expand_hash();
  }
  ~RawSide() override { free_mb_mgr(manager_); }
  RawSide(const RawSide&) = delete;
  RawSide& operator=(const RawSide&) = delete;

  std::string name() const override { return "raw ipsec-mb"; }

  void load(const Load& load) override {
    const Extent extent = extent_of(transform_, load.bytes);
    header_ = extent.header;
    text_ = extent.text;
    for (auto& packet : packets_) packet.assign(2048, 0x5A);
  }

  void rearm(std::size_t) override {}
  bool seal(std::size_t) override { return run(true); }
  bool open(std::size_t) override { return run(false); }

 private:
  void expand_cipher() {
    alignas(16) std::array<std::uint8_t, 32> key;
    key.fill(7);
    if (encryption_ == "aes-gcm-16" && transform_.encryption_key_bytes == 20)
      IMB_AES128_GCM_PRE(manager_, key.data(), &gcm_);
    else if (encryption_ == "aes-gcm-16")
      IMB_AES256_GCM_PRE(manager_, key.data(), &gcm_);
    else if (encryption_ == "chacha20-poly1305")
      std::memcpy(seal_keys_, key.data(), 32);
    else
      IMB_AES_KEYEXP_128(manager_, key.data(), seal_keys_, open_keys_);
  }

  void expand_hash() {
    for (const auto& [mask, state] : {std::pair(0x36, inner_), std::pair(0x5C, outer_)}) {
      std::array<std::uint8_t, 64> block;
      block.fill(static_cast<std::uint8_t>(mask));
      for (std::size_t i = 0; i < transform_.integrity_key_bytes; ++i)
        block[i] = static_cast<std::uint8_t>(7 ^ mask);
      if (integrity_ == "hmac-sha1")
        IMB_SHA1_ONE_BLOCK(manager_, block.data(), state);
      else
        IMB_SHA256_ONE_BLOCK(manager_, block.data(), state);
    }
  }

  bool run(bool seal) {
    std::array<IMB_JOB*, kBurst> jobs;
    if (IMB_GET_NEXT_BURST(manager_, kBurst, jobs.data()) != kBurst) return false;
    for (std::size_t i = 0; i < kBurst; ++i) fill(*jobs[i], i, seal);
    std::uint32_t done = IMB_SUBMIT_BURST_NOCHECK(manager_, kBurst, jobs.data());
    while (done < kBurst) {
      const std::uint32_t more = IMB_FLUSH_BURST(manager_, kBurst - done, jobs.data());
      if (more == 0) return false;
      done += more;
    }
    return true;
  }

  void fill(IMB_JOB& job, std::size_t i, bool seal) {
    std::uint8_t* const packet = packets_[i].data();
    job.src = packet;
    job.dst = packet + header_;
    job.cipher_direction = seal ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
    job.chain_order = seal ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
    job.cipher_start_src_offset_in_bytes = header_;
    job.msg_len_to_cipher_in_bytes = text_;
    job.enc_keys = seal_keys_;
    job.dec_keys = open_keys_;
    job.iv = ivs_[i].data();
    job.auth_tag_output = tags_[i].data();
    if (integrity_.empty())
      fill_aead(job, i, seal);
    else
      fill_chained(job);
  }

  void fill_aead(IMB_JOB& job, std::size_t i, bool seal) {
    job.hash_start_src_offset_in_bytes = header_;
    job.msg_len_to_hash_in_bytes = text_;
    job.auth_tag_output_len_in_bytes = 16;
    job.iv_len_in_bytes = 12;
    if (encryption_ == "aes-gcm-16") {
      job.cipher_mode = IMB_CIPHER_GCM;
      job.hash_alg = IMB_AUTH_AES_GMAC;
      job.key_len_in_bytes = transform_.encryption_key_bytes - 4;
      job.enc_keys = job.dec_keys = &gcm_;
      job.u.GCM.aad = aads_[i].data();
      job.u.GCM.aad_len_in_bytes = 8;
    } else if (encryption_ == "aes-ccm-16") {
      job.cipher_mode = IMB_CIPHER_CCM;
      job.hash_alg = IMB_AUTH_AES_CCM;
      job.key_len_in_bytes = 16;
      job.dec_keys = seal_keys_;
      job.iv_len_in_bytes = 11;
      job.u.CCM.aad = aads_[i].data();
      job.u.CCM.aad_len_in_bytes = 8;
      job.chain_order = seal ? IMB_ORDER_HASH_CIPHER : IMB_ORDER_CIPHER_HASH;
    } else {
      job.cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
      job.hash_alg = IMB_AUTH_CHACHA20_POLY1305;
      job.key_len_in_bytes = 32;
      job.dec_keys = seal_keys_;
      job.u.CHACHA20_POLY1305.aad = aads_[i].data();
      job.u.CHACHA20_POLY1305.aad_len_in_bytes = 8;
      job.u.CHACHA20_POLY1305.ctx = nullptr;
    }
  }

  void fill_chained(IMB_JOB& job) {
    const bool sha1 = integrity_ == "hmac-sha1";
    job.cipher_mode = encryption_.empty() ? IMB_CIPHER_NULL : IMB_CIPHER_CBC;
    job.hash_alg = sha1 ? IMB_AUTH_HMAC_SHA_1 : IMB_AUTH_HMAC_SHA_256;
    job.key_len_in_bytes = 16;
    job.iv_len_in_bytes = 16;
    job.hash_start_src_offset_in_bytes = 0;
    job.msg_len_to_hash_in_bytes = encryption_.empty() ? text_ : header_ + text_;
    job.u.HMAC._hashed_auth_key_xor_ipad = inner_;
    job.u.HMAC._hashed_auth_key_xor_opad = outer_;
    job.auth_tag_output_len_in_bytes = sha1 ? 12 : 16;
  }

  IMB_MGR* manager_;
  const Transform& transform_;
  std::string encryption_;
  std::string integrity_;
  std::size_t header_ = 0;
  std::size_t text_ = 0;
  alignas(64) gcm_key_data gcm_{};
  alignas(16) std::uint8_t seal_keys_[240] = {};
  alignas(16) std::uint8_t open_keys_[240] = {};
  alignas(16) std::uint8_t inner_[64] = {};
  alignas(16) std::uint8_t outer_[64] = {};
  std::array<std::vector<std::uint8_t>, kBurst> packets_;
  std::array<std::array<std::uint8_t, 16>, kBurst> ivs_{};
  std::array<std::array<std::uint8_t, 16>, kBurst> aads_{};
  std::array<std::array<std::uint8_t, 32>, kBurst> tags_{};
};

}  // namespace

std::unique_ptr<Side> make_raw_side(const Transform& transform) {
  return std::make_unique<RawSide>(transform);
}

}  // namespace saline::bench
