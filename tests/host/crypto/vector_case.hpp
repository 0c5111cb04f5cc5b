// One published case, whatever file it comes from, put to a provider both ways.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include "host/base/error.hpp"
#include "host/crypto/provider.hpp"

namespace saline::test {

using Bytes = std::vector<std::uint8_t>;

struct VectorCase {
  std::string row;  // setkey name
  Bytes key;        // salt last
  Bytes iv;
  Bytes aad;  // of a MAC: the message
  Bytes plain;
  Bytes cipher;
  Bytes icv;
  bool valid = true;
};

inline Bytes join(Bytes first, const Bytes& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

// Nonces as the RFCs split them: the first salt_bytes go behind the key, the rest is the IV.
inline void split_nonce(VectorCase& c, const Bytes& nonce, std::size_t salt_bytes) {
  const auto middle = nonce.begin() + static_cast<std::ptrdiff_t>(salt_bytes);
  c.key = join(c.key, Bytes(nonce.begin(), middle));
  c.iv = Bytes(middle, nonce.end());
}

// ipsec-mb alone leaves some key sizes of a row to others, and says so when it is asked to open.
inline std::unique_ptr<crypto::Session> open_if_able(crypto::Provider& provider,
                                                     const crypto::SessionKeys& keys) {
  try {
    return provider.open(keys);
  } catch (const base::Error& error) {
    if (provider.name() != "ipsec-mb" || error.errno_value() != ENOTSUP) throw;
    return nullptr;
  }
}

// False when the provider does not know the row; the case must fit it in all sizes. Text and ICV
// lie at odd addresses.
inline bool run_case(crypto::Provider& provider, const VectorCase& c) {
  const crypto::Algorithm* encryption = crypto::find_encryption(c.row);
  const crypto::Algorithm* integrity =
      encryption == nullptr ? crypto::find_integrity(c.row) : nullptr;
  if (!provider.supports(encryption, integrity)) return false;
  // ipsec-mb signs neither nothing nor 65536 bytes, which no packet asks for.
  if (integrity != nullptr && provider.name() != "openssl" &&
      (c.aad.empty() || c.aad.size() > 0xFFFF))
    return false;
  crypto::SessionKeys keys;
  keys.encryption = encryption;
  keys.integrity = integrity;
  (encryption != nullptr ? keys.encryption_key : keys.integrity_key) = c.key;
  const auto session = open_if_able(provider, keys);
  if (session == nullptr) return false;
  const auto run = [&](crypto::Direction direction, const Bytes& text, Bytes& out, Bytes& icv) {
    Bytes odd(1 + text.size() + icv.size());
    std::copy(text.begin(), text.end(), odd.begin() + 1);
    std::copy(icv.begin(), icv.end(), odd.begin() + 1 + static_cast<std::ptrdiff_t>(text.size()));
    crypto::Job job;
    job.session = session.get();
    job.direction = direction;
    job.iv = c.iv.data();
    job.text = {odd.data() + 1, text.size()};
    job.icv = odd.data() + 1 + text.size();
    const std::size_t cut = c.aad.size() / 3;  // a message may come in parts
    job.authenticated = {std::span(c.aad).first(cut), std::span(c.aad).subspan(cut), {}};
    if (encryption != nullptr) job.authenticated = {c.aad, {}, {}};
    provider.run({&job, 1});
    out.assign(job.text.begin(), job.text.end());
    icv.assign(job.icv, job.icv + icv.size());
    return job.result;
  };
  Bytes out;
  Bytes icv = c.icv;
  EXPECT_EQ(run(crypto::Direction::open, c.cipher, out, icv),
            c.valid ? crypto::Result::ok : crypto::Result::icv_mismatch);
  if (!c.valid) return true;
  EXPECT_EQ(out, c.plain);
  std::fill(icv.begin(), icv.end(), std::uint8_t{0});
  EXPECT_EQ(run(crypto::Direction::seal, c.plain, out, icv), crypto::Result::ok);
  EXPECT_EQ(out, c.cipher);
  EXPECT_EQ(icv, c.icv);
  return true;
}

// Whether the table has a row of that name that takes this key, IV and ICV, and text of that
// length; a MAC longer than the ICV is cut.
inline bool fits(VectorCase& c) {
  const crypto::Algorithm* row = crypto::find_encryption(c.row);
  if (row == nullptr) row = crypto::find_integrity(c.row);
  if (row == nullptr || !row->key_bits_valid(static_cast<unsigned>(c.key.size() * 8))) return false;
  if (c.iv.size() != row->iv_bytes && !row->has_derived_iv()) return false;
  if (row->kind == crypto::Kind::integrity && row->iv_bytes == 0 && c.valid &&
      c.icv.size() > row->icv_bytes)
    c.icv.resize(row->icv_bytes);
  return c.icv.size() == row->icv_bytes && c.plain.size() % row->block_bytes == 0 &&
         c.cipher.size() % row->block_bytes == 0;
}

}  // namespace saline::test
