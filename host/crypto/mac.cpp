// Which family computes a method.
#include "host/crypto/mac.hpp"

namespace saline::crypto {

std::unique_ptr<Mac> make_mac(Method method, std::span<const std::uint8_t> key) {
  if (auto mac = make_hmac(method, key)) return mac;
  if (auto mac = make_keyed_hash(method, key)) return mac;
  return make_block_mac(method, key);
}

}  // namespace saline::crypto
