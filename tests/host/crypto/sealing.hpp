// One-shot use of a provider for vectors: keys, IV and texts as hexadecimal test files give them.
#pragma once

#include <memory>
#include <vector>

#include "host/crypto/provider.hpp"

namespace saline::test {

using Bytes = std::vector<std::uint8_t>;

struct Sealed {
  crypto::Result result = crypto::Result::pending;
  Bytes text;
  Bytes icv;
};

// A cipher alone, or an AEAD whose key has its salt behind it.
inline Sealed crypt(crypto::Provider& provider, const char* name, crypto::Direction direction,
                    const Bytes& key, const Bytes& iv, const Bytes& text, const Bytes& aad = {},
                    const Bytes& icv = Bytes(16)) {
  crypto::SessionKeys keys;
  keys.encryption = crypto::find_encryption(name);
  keys.encryption_key = key;
  const auto session = provider.open(keys);
  Sealed sealed{crypto::Result::pending, text, icv};
  crypto::Job job;
  job.session = session.get();
  job.direction = direction;
  job.iv = iv.data();
  job.text = sealed.text;
  job.authenticated[0] = aad;
  job.icv = sealed.icv.data();
  provider.run({&job, 1});
  sealed.result = job.result;
  return sealed;
}

}  // namespace saline::test
