// The DES keys that RFC 2405 §3.1 and RFC 2451 §2.3 refuse.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/des.h>

#include <algorithm>

#include "host/base/secret.hpp"
#include "host/crypto/provider.hpp"

namespace saline::crypto {

bool is_weak_des_key(std::span<const std::uint8_t> key) noexcept {
  std::array<DES_cblock, 3> parts{};
  const std::size_t count = std::min<std::size_t>(key.size() / 8, parts.size());
  bool weak = false;
  for (std::size_t i = 0; i < count; ++i) {
    std::copy_n(key.begin() + static_cast<std::ptrdiff_t>(i * 8), 8, parts[i]);
    DES_set_odd_parity(&parts[i]);
    weak = weak || DES_is_weak_key(&parts[i]) != 0;
    if (i > 0) weak = weak || std::equal(parts[i], parts[i] + 8, parts[i - 1]);
  }
  base::wipe({&parts[0][0], sizeof(parts)});
  return weak;
}

}  // namespace saline::crypto
