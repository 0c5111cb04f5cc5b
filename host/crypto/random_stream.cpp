// IV bytes come from libcrypto's CTR_DRBG (NIST SP 800-90A, seeded by the operating system), a
// buffer at a time; bytes handed out are erased here at once.
#include <openssl/rand.h>

#include <algorithm>
#include <cstring>

#include "host/base/secret.hpp"
#include "host/crypto/provider.hpp"

namespace saline::crypto {

RandomStream::RandomStream() {
  if (RAND_bytes(buffer_.data(), static_cast<int>(buffer_.size())) == 1) used_ = 0;
}

RandomStream::~RandomStream() { base::wipe(buffer_); }

bool RandomStream::fill(std::span<std::uint8_t> out) noexcept {
  while (!out.empty()) {
    if (used_ == buffer_.size()) {
      if (RAND_bytes(buffer_.data(), static_cast<int>(buffer_.size())) != 1) return false;
      used_ = 0;
    }
    const std::size_t count = std::min(out.size(), buffer_.size() - used_);
    std::memcpy(out.data(), buffer_.data() + used_, count);
    std::memset(buffer_.data() + used_, 0, count);
    used_ += count;
    out = out.subspan(count);
  }
  return true;
}

}  // namespace saline::crypto
