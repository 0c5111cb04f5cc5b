// The engine's crypto provider by itself: jobs as ESP and AH make them, one SA.
#include <array>
#include <vector>

#include "host/crypto/provider.hpp"
#include "tests/bench/engine/side.hpp"

namespace saline::bench {

namespace {

using namespace saline::crypto;

class ProviderSide final : public Side {
 public:
  explicit ProviderSide(const Transform& transform)
      : transform_(transform), provider_(make_provider()) {
    const std::vector<std::uint8_t> cipher_key(transform.encryption_key_bytes, 7);
    const std::vector<std::uint8_t> mac_key(transform.integrity_key_bytes, 7);
    SessionKeys keys;
    if (transform.encryption != nullptr) keys.encryption = find_encryption(transform.encryption);
    keys.encryption_key = cipher_key;
    if (transform.integrity != nullptr) keys.integrity = find_integrity(transform.integrity);
    keys.integrity_key = mac_key;
    session_ = provider_->open(keys);
  }

  std::string name() const override { return "crypto provider"; }

  void load(const Load& load) override {
    extent_ = extent_of(transform_, load.bytes);
    for (auto& packet : packets_) packet.assign(2048, 0x5A);
  }

  void rearm(std::size_t) override {
    for (std::size_t i = 0; i < kBurst; ++i) {
      std::uint8_t* const packet = packets_[i].data();
      Job& job = jobs_[i];
      job = Job{};
      job.session = session_.get();
      job.iv = packet + 8;
      job.icv = packet + extent_.header + extent_.text;
      const bool aead = transform_.integrity == nullptr;
      if (transform_.encryption != nullptr) job.text = {packet + extent_.header, extent_.text};
      job.authenticated[0] = {packet, aead ? 8 : extent_.header + extent_.text};
    }
  }

  bool seal(std::size_t) override { return run(Direction::seal); }
  bool open(std::size_t) override { return run(Direction::open); }

 private:
  bool run(Direction direction) {
    for (Job& job : jobs_) job.direction = direction;
    provider_->run(jobs_);
    for (const Job& job : jobs_)
      if (job.result != Result::ok) return false;
    return true;
  }

  const Transform& transform_;
  std::unique_ptr<Provider> provider_;
  std::unique_ptr<Session> session_;
  Extent extent_{};
  std::array<std::vector<std::uint8_t>, kBurst> packets_;
  std::array<Job, kBurst> jobs_;
};

}  // namespace

std::unique_ptr<Side> make_provider_side(const Transform& transform) {
  return std::make_unique<ProviderSide>(transform);
}

}  // namespace saline::bench
