// The run-time half of the ipsec-mb provider. Private to host/crypto; everybody else asks
// make_provider() or make_ipsec_mb_provider().
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "host/crypto/ipsec_mb_session.hpp"
#include "host/crypto/provider.hpp"

namespace saline::crypto::ipsec_mb {

class MbProvider final : public Provider {
 public:
  // With others, who know everything, this opens there what it does not know or is slower at, and
  // runs bursts of both; and GCM goes through our own code where that is faster.
  explicit MbProvider(std::unique_ptr<Provider> others = nullptr);

  std::string_view name() const noexcept override;
  bool supports(const Algorithm* encryption, const Algorithm* integrity) const noexcept override;
  std::unique_ptr<Session> open(const SessionKeys& keys) override;
  void run(std::span<Job> burst) noexcept override;

 private:
  static constexpr std::size_t kInFlight = 64;
  static constexpr std::size_t kGatherBytes = std::size_t{1} << 18;

  enum class Work : std::uint8_t { whole, cipher, hash };

  // A job on its way through the library.
  struct Slot {
    Job* job = nullptr;
    const MbSession* session = nullptr;
    const std::uint8_t* signed_bytes = nullptr;  // in one piece; of an AEAD, its AAD
    std::size_t signed_length = 0;
    Work work = Work::whole;
    bool overlaid = false;                // the last 4 signed bytes lie over the ICV's first
    std::array<std::uint8_t, 4> covered;  // what was there
    alignas(16) std::array<std::uint8_t, 16> iv;
    alignas(16) std::array<std::uint8_t, 64> mac;
  };

  Result run_gcm(const MbSession& session, const Shape& shape, const Job& job) noexcept;
  Result run_own_gcm(const MbSession& session, const Shape& shape, const Job& job) noexcept;
  bool join_aad(Slot& aad, const Job& job) noexcept;
  Result run_gmac(const MbSession& session, const Shape& shape, const Job& job) noexcept;
  void queue(Job& job) noexcept;
  void queue_split(Job& job) noexcept;
  void push(Job& job, Work work) noexcept;
  bool join_signed(Slot& slot) noexcept;
  void make_room(const Job& job) noexcept;
  bool gather(const Job& job, Slot& slot) noexcept;
  static bool signs_text(const Slot& slot) noexcept;
  static void take_back(const Slot& slot) noexcept;
  void submit() noexcept;
  void submit(IMB_MGR& manager, std::span<Slot* const> slots) noexcept;
  bool better_by_sha_ni(const Slot& slot, std::size_t sha1_jobs) const noexcept;
  void fill(IMB_JOB& work, Slot& slot) noexcept;
  void fill_aead(IMB_JOB& work, Slot& slot, const Shape& shape) noexcept;
  void fill_hash(IMB_JOB& work, const MbSession& session, const Shape& shape) noexcept;
  static void finish(const IMB_JOB& work) noexcept;

  std::unique_ptr<Provider> others_;
  bool own_gcm_ = false;
  Manager manager_;
  Manager sha_ni_;                             // may be nullptr
  std::array<aes_gcm_enc_dec_t, 3> gcm_seal_;  // by key length: 16, 24, 32
  std::array<aes_gcm_enc_dec_t, 3> gcm_open_;
  std::array<aes_gmac_init_t, 3> gmac_init_;
  std::array<aes_gmac_update_t, 3> gmac_update_;
  std::array<aes_gmac_finalize_t, 3> gmac_finalize_;
  gcm_context_data context_{};
  std::array<Slot, kInFlight> slots_{};
  std::size_t queued_ = 0;
  std::unique_ptr<std::uint8_t[]> gathered_;  // signed bytes that did not lie in one piece
  std::size_t gathered_used_ = 0;
};

}  // namespace saline::crypto::ipsec_mb
