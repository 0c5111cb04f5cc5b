// Which provider the engine gets.
#include "host/base/error.hpp"
#include "host/crypto/ipsec_mb_provider.hpp"
#include "host/crypto/provider.hpp"

namespace saline::crypto {

std::unique_ptr<Provider> make_ipsec_mb_provider() {
  return std::make_unique<ipsec_mb::MbProvider>();
}

std::unique_ptr<Provider> make_provider() {
  try {
    return std::make_unique<ipsec_mb::MbProvider>(make_openssl_provider());
  } catch (const base::Error&) {  // a processor that ipsec-mb cannot run on
    return make_openssl_provider();
  }
}

}  // namespace saline::crypto
