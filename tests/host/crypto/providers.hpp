// Tests that hold for every provider: TEST_P(Suite, Name) over a fixture derived from ProviderTest,
// once per provider that runs on this machine. A row that the provider under test does not know is
// left to the others: ask knows() first.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "host/base/error.hpp"
#include "host/crypto/provider.hpp"

namespace saline::test {

struct ProviderChoice {
  const char* name;
  std::unique_ptr<crypto::Provider> (*make)();
};

inline std::vector<ProviderChoice> all_providers() {
  std::vector<ProviderChoice> all = {{"openssl", &crypto::make_openssl_provider},
                                     {"chosen", &crypto::make_provider}};
  try {
    crypto::make_ipsec_mb_provider();
    all.push_back({"ipsec_mb", &crypto::make_ipsec_mb_provider});
  } catch (const base::Error&) {  // not on this processor
  }
  return all;
}

class ProviderTest : public testing::TestWithParam<ProviderChoice> {
 protected:
  // By setkey names; nullptr for no encryption or no integrity.
  bool knows(const char* encryption, const char* integrity = nullptr) const {
    return provider->supports(encryption == nullptr ? nullptr : crypto::find_encryption(encryption),
                              integrity == nullptr ? nullptr : crypto::find_integrity(integrity));
  }

  std::unique_ptr<crypto::Provider> provider = GetParam().make();
};

// What INSTANTIATE_TEST_SUITE_P wants is the same for every suite.
#define SALINE_FOR_ALL_PROVIDERS(suite)                                                   \
  INSTANTIATE_TEST_SUITE_P(Providers, suite, testing::ValuesIn(all_providers()),          \
                           [](const testing::TestParamInfo<ProviderChoice>& param_info) { \
                             return std::string(param_info.param.name);                   \
                           })

}  // namespace saline::test
