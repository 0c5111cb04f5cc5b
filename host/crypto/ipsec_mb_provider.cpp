// Bursts through ipsec-mb. GCM goes packet by packet; everything else is gathered across the SAs of
// a burst into the library's lanes, and all of it has come out when run() returns. Results do not
// depend on the order in which lanes finish. Texts, and what XCBC or CMAC signs, may have 65,504
// bytes: the library counts them in 16 bits. A hash has at least a byte to sign.
#include "host/crypto/ipsec_mb_provider.hpp"

#include <cstring>
#include <utility>

#include "host/base/secret.hpp"
#include "host/crypto/gcm_vaes.hpp"

namespace saline::crypto::ipsec_mb {

namespace {

constexpr std::size_t kLongestText = 65504;

bool has_cipher(const Shape& shape) noexcept { return shape.cipher_mode != IMB_CIPHER_NULL; }
bool has_hash(const Shape& shape) noexcept { return shape.hash_alg != IMB_AUTH_NULL; }

bool counts_bytes(IMB_HASH_ALG hash) noexcept {
  return hash == IMB_AUTH_AES_XCBC || hash == IMB_AUTH_AES_CMAC || hash == IMB_AUTH_AES_CCM;
}

// In time that depends on the length alone; ICVs are multiples of 4 bytes.
bool equal_macs(const std::uint8_t* a, const std::uint8_t* b, std::size_t bytes) noexcept {
  std::uint32_t difference = 0;
  for (std::size_t i = 0; i < bytes; i += 4) {
    std::uint32_t x, y;
    std::memcpy(&x, a + i, 4);
    std::memcpy(&y, b + i, 4);
    difference |= x ^ y;
  }
  return difference == 0;
}

void write_nonce(std::uint8_t* nonce, const MbSession& session, const Shape& shape,
                 const std::uint8_t* iv) noexcept {
  std::memcpy(nonce, session.salt().data(), shape.salt_bytes);
  std::memcpy(nonce + shape.salt_bytes, iv, 8);
}

std::size_t signed_bytes(const Job& job) noexcept {
  std::size_t length = 0;
  for (const auto& part : job.authenticated) length += part.size();
  return length;
}

// The library may look at an address even where the length is zero.
constexpr std::array<std::uint8_t, 64> kNothing{};

const std::uint8_t* text_of(const Job& job) noexcept {
  return job.text.empty() ? kNothing.data() : job.text.data();
}

}  // namespace

MbProvider::MbProvider(std::unique_ptr<Provider> others)
    : others_(std::move(others)),
      manager_(make_manager()),
      sha_ni_(make_sha_ni_manager(*manager_)),
      gcm_seal_{manager_->gcm128_enc, manager_->gcm192_enc, manager_->gcm256_enc},
      gcm_open_{manager_->gcm128_dec, manager_->gcm192_dec, manager_->gcm256_dec},
      gmac_init_{manager_->gmac128_init, manager_->gmac192_init, manager_->gmac256_init},
      gmac_update_{manager_->gmac128_update, manager_->gmac192_update, manager_->gmac256_update},
      gmac_finalize_{manager_->gmac128_finalize, manager_->gmac192_finalize,
                     manager_->gmac256_finalize},
      gathered_(new std::uint8_t[kGatherBytes]) {
  own_gcm_ = others_ && manager_->used_arch < IMB_ARCH_AVX512 && gcm_vaes::runs_here();
}

std::string_view MbProvider::name() const noexcept {
  return others_ ? "ipsec-mb and openssl" : "ipsec-mb";
}

bool MbProvider::supports(const Algorithm* encryption, const Algorithm* integrity) const noexcept {
  return others_ ? others_->supports(encryption, integrity)
                 : ipsec_mb::supports(encryption, integrity);
}

std::unique_ptr<Session> MbProvider::open(const SessionKeys& keys) {
  const bool left_to_others = others_ && !is_faster(*manager_, keys);
  return left_to_others ? others_->open(keys) : open_session(*manager_, keys, own_gcm_);
}

void MbProvider::run(std::span<Job> burst) noexcept {
  for (std::size_t i = 0; i < burst.size(); ++i) {
    Job& job = burst[i];
    if (job.session->owner() != Session::Owner::ipsec_mb) {
      std::size_t end = i + 1;
      while (end < burst.size() && burst[end].session->owner() != Session::Owner::ipsec_mb) ++end;
      others_->run(burst.subspan(i, end - i));
      i = end - 1;
      continue;
    }
    const auto& session = static_cast<const MbSession&>(*job.session);
    const Shape& shape = session.shape();
    switch (shape.kind) {
      case Kind::gcm:
        job.result = run_gcm(session, shape, job);
        break;
      case Kind::gcm_vaes:
        job.result = run_own_gcm(session, shape, job);
        break;
      case Kind::gmac:
        job.result = run_gmac(session, shape, job);
        break;
      case Kind::chained:
      case Kind::aead:
        queue(job);
        break;
    }
  }
  submit();
}

// RFC 4106 §4: the nonce is salt, then IV.
Result MbProvider::run_gcm(const MbSession& session, const Shape& shape, const Job& job) noexcept {
  alignas(16) std::array<std::uint8_t, 16> nonce;
  std::memcpy(nonce.data(), session.salt().data(), 4);
  std::memcpy(nonce.data() + 4, job.iv, 8);
  Slot aad;
  if (!join_aad(aad, job)) return Result::failed;
  const auto* const keys = reinterpret_cast<const gcm_key_data*>(session.block() + shape.seal_keys);
  const std::size_t length_class = shape.key_bytes / 8u - 2;
  auto* const text = const_cast<std::uint8_t*>(text_of(job));
  if (job.direction == Direction::seal) {
    gcm_seal_[length_class](keys, &context_, text, text, job.text.size(), nonce.data(),
                            aad.signed_bytes, aad.signed_length, job.icv, shape.icv_bytes);
    return Result::ok;
  }
  alignas(16) std::array<std::uint8_t, 16> mac;
  gcm_open_[length_class](keys, &context_, text, text, job.text.size(), nonce.data(),
                          aad.signed_bytes, aad.signed_length, mac.data(), shape.icv_bytes);
  if (equal_macs(mac.data(), job.icv, shape.icv_bytes)) return Result::ok;
  base::wipe(job.text);
  return Result::icv_mismatch;
}

bool MbProvider::join_aad(Slot& aad, const Job& job) noexcept {
  aad.signed_bytes = job.authenticated[0].data();
  aad.signed_length = job.authenticated[0].size();
  if (job.authenticated[1].empty() && job.authenticated[2].empty()) return true;
  make_room(job);
  return gather(job, aad);
}

Result MbProvider::run_own_gcm(const MbSession& session, const Shape& shape,
                               const Job& job) noexcept {
  alignas(16) std::array<std::uint8_t, 16> nonce;
  write_nonce(nonce.data(), session, shape, job.iv);
  Slot aad;
  if (!join_aad(aad, job)) return Result::failed;
  const auto* const block = reinterpret_cast<const std::uint8_t*>(session.block());
  const gcm_vaes::Message message{block + shape.seal_keys,
                                  block + shape.hash_keys[0],
                                  shape.key_bytes / 4 + 6,
                                  nonce.data(),
                                  aad.signed_bytes,
                                  aad.signed_length,
                                  const_cast<std::uint8_t*>(text_of(job)),
                                  job.text.size()};
  alignas(16) std::array<std::uint8_t, 16> mac;
  if (job.direction == Direction::seal) {
    gcm_vaes::seal(message, mac.data());
    std::memcpy(job.icv, mac.data(), shape.icv_bytes);
    return Result::ok;
  }
  gcm_vaes::open(message, mac.data());
  if (equal_macs(mac.data(), job.icv, shape.icv_bytes)) return Result::ok;
  base::wipe(job.text);
  return Result::icv_mismatch;
}

// RFC 4543 §3: ESP signs its header, the IV and the text; AH says itself what is signed.
Result MbProvider::run_gmac(const MbSession& session, const Shape& shape, const Job& job) noexcept {
  alignas(16) std::array<std::uint8_t, 16> nonce;
  write_nonce(nonce.data(), session, shape, job.iv);
  const auto* const keys = reinterpret_cast<const gcm_key_data*>(session.block() + shape.seal_keys);
  const std::size_t length_class = shape.key_bytes / 8u - 2;
  const auto update = [&](std::span<const std::uint8_t> part) {
    if (!part.empty()) gmac_update_[length_class](keys, &context_, part.data(), part.size());
  };
  gmac_init_[length_class](keys, &context_, nonce.data(), 12);
  for (const auto& part : job.authenticated) update(part);
  if (shape.integrity != Method::aes_gmac) {
    update({job.iv, shape.iv_bytes});
    update(job.text);
  }
  alignas(16) std::array<std::uint8_t, 16> mac;
  gmac_finalize_[length_class](keys, &context_, mac.data(), shape.icv_bytes);
  if (job.direction == Direction::seal)
    std::memcpy(job.icv, mac.data(), shape.icv_bytes);
  else if (!equal_macs(mac.data(), job.icv, shape.icv_bytes))
    return Result::icv_mismatch;
  return Result::ok;
}

// ---- jobs that share lanes

void MbProvider::queue(Job& job) noexcept {
  const Shape& shape = static_cast<const MbSession&>(*job.session).shape();
  job.result = Result::pending;
  if (job.text.size() % shape.text_multiple != 0 || job.text.size() > kLongestText) {
    job.result = Result::failed;
    return;
  }
  push(job, Work::whole);
}

// Takes the next slot. What cannot be done in one piece is done in two.
void MbProvider::push(Job& job, Work work) noexcept {
  make_room(job);
  Slot& slot = slots_[queued_];
  slot.job = &job;
  slot.session = static_cast<const MbSession*>(job.session);
  slot.work = work;
  slot.overlaid = false;
  const Shape& shape = slot.session->shape();
  if (shape.kind == Kind::aead || (has_hash(shape) && work != Work::cipher)) {
    // The library's HMAC of nothing not only is wrong, it spoils its lanes for later jobs.
    const std::size_t length = signed_bytes(job);
    if ((length == 0 && shape.kind == Kind::chained) ||
        (length > kLongestText && counts_bytes(shape.hash_alg)) || !join_signed(slot)) {
      job.result = Result::failed;
      return;
    }
    if (work == Work::whole && shape.kind == Kind::chained && has_cipher(shape) &&
        !signs_text(slot)) {
      take_back(slot);
      return queue_split(job);
    }
  }
  ++queued_;
}

bool MbProvider::signs_text(const Slot& slot) noexcept {
  const std::span<std::uint8_t> text = slot.job->text;
  return text.empty() || (text.data() >= slot.signed_bytes &&
                          text.data() + text.size() <= slot.signed_bytes + slot.signed_length);
}

// Puts the ICV back where join_signed() laid other bytes over it.
void MbProvider::take_back(const Slot& slot) noexcept {
  if (slot.overlaid) std::memcpy(slot.job->icv, slot.covered.data(), slot.covered.size());
}

void MbProvider::queue_split(Job& job) noexcept {
  const bool seal = job.direction == Direction::seal;
  for (const Work work : {seal ? Work::cipher : Work::hash, seal ? Work::hash : Work::cipher}) {
    push(job, work);
    submit();
    if (job.result != Result::ok) return;
  }
}

// Finds the signed bytes in one piece, or puts them in one. ESP's high half of the sequence number
// (RFC 4303 §2.2.1) is signed behind the text, where the ICV will be: it waits there meanwhile.
bool MbProvider::join_signed(Slot& slot) noexcept {
  Job& job = *slot.job;
  const auto& parts = job.authenticated;
  slot.signed_bytes = parts[0].data();
  slot.signed_length = parts[0].size();
  if (parts[1].empty() && parts[2].empty()) return true;
  const Shape& shape = slot.session->shape();
  if (parts[2].empty() && parts[1].size() == slot.covered.size() && job.icv != nullptr &&
      shape.kind == Kind::chained && parts[0].data() + parts[0].size() == job.icv &&
      shape.icv_bytes >= slot.covered.size()) {
    std::memcpy(slot.covered.data(), job.icv, slot.covered.size());
    std::memcpy(job.icv, parts[1].data(), slot.covered.size());
    slot.overlaid = true;
    slot.signed_length += slot.covered.size();
    return true;
  }
  return gather(job, slot);
}

bool MbProvider::gather(const Job& job, Slot& slot) noexcept {
  const std::size_t length = signed_bytes(job);
  if (gathered_used_ + length > kGatherBytes) return false;
  std::uint8_t* const start = gathered_.get() + gathered_used_;
  std::uint8_t* at = start;
  for (const auto& part : job.authenticated) {
    if (!part.empty()) std::memcpy(at, part.data(), part.size());
    at += part.size();
  }
  gathered_used_ += length;
  slot.signed_bytes = start;
  slot.signed_length = length;
  return true;
}

// So that a job's parts can be gathered, and there is a slot.
void MbProvider::make_room(const Job& job) noexcept {
  const std::size_t length = signed_bytes(job);
  if (queued_ == kInFlight || gathered_used_ + length > kGatherBytes) submit();
}

// ---- into the library and out of it

// SHA-256 is always faster by SHA-NI; SHA-1 until there is work for most of the wide lanes, and for
// short texts that are only hashed there: AES-CBC opens without lanes.
bool MbProvider::better_by_sha_ni(const Slot& slot, std::size_t sha1_jobs) const noexcept {
  constexpr std::size_t kEnoughForLanes = 6;
  constexpr std::size_t kShort = 256;
  const IMB_HASH_ALG hash = slot.session->shape().hash_alg;
  return hash == IMB_AUTH_HMAC_SHA_256 ||
         (hash == IMB_AUTH_HMAC_SHA_1 &&
          (sha1_jobs < kEnoughForLanes ||
           (slot.job->direction == Direction::open && slot.signed_length < kShort)));
}

void MbProvider::submit() noexcept {
  gathered_used_ = 0;
  if (queued_ == 0) return;
  std::size_t sha1_jobs = 0;
  for (std::size_t i = 0; i < queued_; ++i)
    sha1_jobs += slots_[i].session->shape().hash_alg == IMB_AUTH_HMAC_SHA_1;
  std::array<Slot*, kInFlight> wide;
  std::array<Slot*, kInFlight> by_sha_ni;
  std::size_t wide_count = 0;
  std::size_t by_sha_ni_count = 0;
  for (std::size_t i = 0; i < queued_; ++i) {
    if (sha_ni_ && better_by_sha_ni(slots_[i], sha1_jobs))
      by_sha_ni[by_sha_ni_count++] = &slots_[i];
    else
      wide[wide_count++] = &slots_[i];
  }
  if (wide_count != 0) submit(*manager_, {wide.data(), wide_count});
  if (by_sha_ni_count != 0) submit(*sha_ni_, {by_sha_ni.data(), by_sha_ni_count});
  queued_ = 0;
}

void MbProvider::submit(IMB_MGR& manager, std::span<Slot* const> slots) noexcept {
  std::array<IMB_JOB*, kInFlight> works;
  const auto count = static_cast<std::uint32_t>(slots.size());
  std::uint32_t left = IMB_GET_NEXT_BURST(&manager, count, works.data());
  for (std::uint32_t i = 0; i < left; ++i) fill(*works[i], *slots[i]);
  std::uint32_t done = IMB_SUBMIT_BURST_NOCHECK(&manager, left, works.data());
  for (;;) {
    for (std::uint32_t i = 0; i < done; ++i) finish(*works[i]);
    left -= done;
    if (left == 0) break;
    done = IMB_FLUSH_BURST(&manager, left, works.data());
    if (done == 0) break;
  }
  for (Slot* const slot : slots)
    if (slot->job->result == Result::pending) slot->job->result = Result::failed;
}

void MbProvider::fill(IMB_JOB& work, Slot& slot) noexcept {
  const Job& job = *slot.job;
  const MbSession& session = *slot.session;
  const Shape& shape = session.shape();
  const bool seal = job.direction == Direction::seal;
  const bool sealed_in_place = seal && shape.mac_bytes == shape.icv_bytes;
  work.user_data = &slot;
  work.cipher_direction = seal ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
  work.auth_tag_output = sealed_in_place ? job.icv : slot.mac.data();
  work.auth_tag_output_len_in_bytes = shape.mac_bytes;
  if (shape.kind == Kind::aead) return fill_aead(work, slot, shape);
  work.chain_order = seal ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
  const bool cipher = has_cipher(shape) && !job.text.empty() && slot.work != Work::hash;
  const bool hash = has_hash(shape) && slot.work != Work::cipher;
  const std::uint8_t* const start = hash ? slot.signed_bytes : job.text.data();
  work.src = start;
  work.dst = job.text.data();
  work.cipher_mode = cipher ? shape.cipher_mode : IMB_CIPHER_NULL;
  work.msg_len_to_cipher_in_bytes = cipher ? job.text.size() : 0;
  if (cipher) {
    work.cipher_start_src_offset_in_bytes = static_cast<std::size_t>(job.text.data() - start);
    work.enc_keys = session.block() + shape.seal_keys;
    work.dec_keys = session.block() + shape.open_keys;
    work.key_len_in_bytes = shape.key_bytes;
    work.iv = job.iv;
    work.iv_len_in_bytes = shape.iv_bytes;
    if (shape.cipher == Method::aes_ctr) {  // RFC 3686 §4; the library counts from 1
      write_nonce(slot.iv.data(), session, shape, job.iv);
      work.iv = slot.iv.data();
      work.iv_len_in_bytes = 12;
    }
  }
  work.hash_alg = hash ? shape.hash_alg : IMB_AUTH_NULL;
  work.hash_start_src_offset_in_bytes = 0;
  work.msg_len_to_hash_in_bytes = hash ? slot.signed_length : 0;
  if (hash) fill_hash(work, session, shape);
}

void MbProvider::fill_hash(IMB_JOB& work, const MbSession& session, const Shape& shape) noexcept {
  const std::byte* const block = session.block();
  const auto* const first = reinterpret_cast<const std::uint8_t*>(block + shape.hash_keys[0]);
  const auto* const second = reinterpret_cast<const std::uint8_t*>(block + shape.hash_keys[1]);
  const auto* const third = reinterpret_cast<const std::uint8_t*>(block + shape.hash_keys[2]);
  if (shape.hash_alg == IMB_AUTH_AES_XCBC) {
    work.u.XCBC._k1_expanded = reinterpret_cast<const std::uint32_t*>(first);
    work.u.XCBC._k2 = second;
    work.u.XCBC._k3 = third;
  } else if (shape.hash_alg == IMB_AUTH_AES_CMAC) {
    work.u.CMAC._key_expanded = first;
    work.u.CMAC._skey1 = second;
    work.u.CMAC._skey2 = third;
  } else {
    work.u.HMAC._hashed_auth_key_xor_ipad = first;
    work.u.HMAC._hashed_auth_key_xor_opad = second;
  }
}

// RFC 4309 §4 and RFC 7634 §2: salt, then IV; CCM signs what is encrypted, ChaCha20-Poly1305 what
// is sent.
void MbProvider::fill_aead(IMB_JOB& work, Slot& slot, const Shape& shape) noexcept {
  const Job& job = *slot.job;
  const bool seal = job.direction == Direction::seal;
  const bool ccm = shape.cipher == Method::aes_ccm;
  auto* const text = const_cast<std::uint8_t*>(text_of(job));
  work.chain_order = seal == ccm ? IMB_ORDER_HASH_CIPHER : IMB_ORDER_CIPHER_HASH;
  work.src = text;
  work.dst = text;
  work.cipher_mode = shape.cipher_mode;
  work.hash_alg = shape.hash_alg;
  work.cipher_start_src_offset_in_bytes = 0;
  work.hash_start_src_offset_in_bytes = 0;
  work.msg_len_to_cipher_in_bytes = job.text.size();
  work.msg_len_to_hash_in_bytes = job.text.size();
  work.enc_keys = slot.session->block() + shape.seal_keys;
  work.dec_keys = work.enc_keys;
  work.key_len_in_bytes = shape.key_bytes;
  write_nonce(slot.iv.data(), *slot.session, shape, job.iv);
  work.iv = slot.iv.data();
  work.iv_len_in_bytes = shape.salt_bytes + 8u;
  if (ccm) {
    work.u.CCM.aad = slot.signed_bytes;
    work.u.CCM.aad_len_in_bytes = slot.signed_length;
  } else {
    work.u.CHACHA20_POLY1305.aad = slot.signed_bytes;
    work.u.CHACHA20_POLY1305.aad_len_in_bytes = slot.signed_length;
    work.u.CHACHA20_POLY1305.ctx = nullptr;
  }
}

void MbProvider::finish(const IMB_JOB& work) noexcept {
  Slot& slot = *static_cast<Slot*>(work.user_data);
  Job& job = *slot.job;
  const Shape& shape = slot.session->shape();
  const bool seal = job.direction == Direction::seal;
  if (!seal) take_back(slot);
  if (work.status != IMB_STATUS_COMPLETED) {
    job.result = Result::failed;
    return;
  }
  job.result = Result::ok;
  if (shape.icv_bytes == 0 || slot.work == Work::cipher) return;
  if (seal) {
    if (shape.mac_bytes != shape.icv_bytes) std::memcpy(job.icv, slot.mac.data(), shape.icv_bytes);
  } else if (!equal_macs(slot.mac.data(), job.icv, shape.icv_bytes)) {
    job.result = Result::icv_mismatch;
    if (shape.kind == Kind::aead || has_cipher(shape)) base::wipe(job.text);
  }
}

}  // namespace saline::crypto::ipsec_mb
