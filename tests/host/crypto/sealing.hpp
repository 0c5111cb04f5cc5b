// One-shot use of a provider for vectors: keys, IV and texts as hexadecimal test files give them.
#pragma once

#include <algorithm>
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

// Integrity alone: the ICV of the message, empty when the job failed.
inline Bytes sign(crypto::Provider& provider, const char* name, const Bytes& key,
                  const Bytes& message) {
  crypto::SessionKeys keys;
  keys.integrity = crypto::find_integrity(name);
  keys.integrity_key = key;
  const auto session = provider.open(keys);
  Bytes icv(keys.integrity->icv_bytes);
  crypto::Job job;
  job.session = session.get();
  job.authenticated[0] = message;
  job.icv = icv.data();
  provider.run({&job, 1});
  return job.result == crypto::Result::ok ? icv : Bytes{};
}

// What sign() says is how this longer or equally long MAC starts. True as well for what no SA has:
// a key or a MAC of another length, or nothing to sign.
inline bool signs_as(crypto::Provider& provider, const char* name, const Bytes& key,
                     const Bytes& message, const Bytes& mac) {
  const crypto::Algorithm* const row = crypto::find_integrity(name);
  if (!row->key_bits_valid(static_cast<unsigned>(key.size() * 8)) || mac.size() < row->icv_bytes ||
      message.empty())
    return true;
  const Bytes icv = sign(provider, name, key, message);
  return icv.size() == row->icv_bytes && std::equal(icv.begin(), icv.end(), mac.begin());
}

}  // namespace saline::test
