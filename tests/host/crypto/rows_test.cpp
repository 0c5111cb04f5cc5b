// What holds for every row of the table, with every provider that knows it: seal and open are
// inverse at every length, whatever the alignment; no bit of a packet can be changed; keys have
// just the lengths of the table; and what does not go together is refused.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "host/base/error.hpp"
#include "host/crypto/mac.hpp"
#include "tests/host/crypto/providers.hpp"
#include "tests/host/crypto/vector_case.hpp"

namespace saline::test {

using namespace saline::crypto;

namespace {

Bytes key_of(std::size_t bits) {
  Bytes key(bits / 8);
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::uint8_t>(i * 37 + 11);
  return key;
}

// An ESP-like packet (or an AH-like one): header, IV, text, ICV, in one buffer that begins at any
// address.
struct Frame {
  static constexpr std::size_t kHeader = 8;

  Frame(const Algorithm* encryption_, const Algorithm* integrity_, unsigned key_bits,
        std::size_t text_bytes_, Provider& provider_)
      : encryption(encryption_), integrity(integrity_), text(text_bytes_), provider(provider_) {
    keys.encryption = encryption;
    keys.integrity = integrity;
    encryption_key = key_of(encryption ? key_bits : 0);
    integrity_key = key_of(integrity ? (encryption ? integrity->key_bits_min : key_bits) : 0);
    keys.encryption_key = encryption_key;
    keys.integrity_key = integrity_key;
    session = open_if_able(provider, keys);
    const Algorithm& with_iv = encryption ? *encryption : *integrity;
    iv = with_iv.has_derived_iv() ? 4 : with_iv.iv_bytes;
    icv = encryption && encryption->is_aead() ? encryption->icv_bytes
          : integrity                         ? integrity->icv_bytes
                                              : 0;
  }

  std::size_t size() const { return kHeader + iv + text + icv; }

  Result run(Direction direction, std::uint8_t* packet) {
    Job job;
    job.session = session.get();
    job.direction = direction;
    job.iv = packet + kHeader;
    job.icv = packet + kHeader + iv + text;
    const std::span<const std::uint8_t> whole(packet, kHeader + iv + text);
    if (encryption && encryption->is_aead())
      job.authenticated = {whole.first(kHeader), {}, {}};
    else
      job.authenticated = {whole.first(kHeader / 2), whole.subspan(kHeader / 2), {}};
    if (encryption) job.text = {packet + kHeader + iv, text};
    provider.run({&job, 1});
    return job.result;
  }

  const Algorithm* encryption;
  const Algorithm* integrity;
  std::size_t text;
  std::size_t iv = 0;
  std::size_t icv = 0;
  Provider& provider;
  SessionKeys keys;
  Bytes encryption_key;
  Bytes integrity_key;
  std::unique_ptr<Session> session;
};

Bytes packet_of(const Frame& frame) {
  Bytes packet(frame.size());
  for (std::size_t i = 0; i + frame.icv < packet.size(); ++i)
    packet[i] = static_cast<std::uint8_t>(i * 11 + 3);
  return packet;
}

}  // namespace

class Rows : public ProviderTest {
 protected:
  // Every row once alone in its kind of packet: ciphers with HMAC-SHA2-256, the rest alone.
  template <typename Visit>
  void for_each_row(Visit visit) {
    const Algorithm* sha = find_integrity("hmac-sha2-256");
    for (const Algorithm& row : algorithms()) {
      const bool signs = row.kind == Kind::integrity;
      if (row.kind == Kind::compression || row.method == Method::null_integrity) continue;
      const Algorithm* encryption = signs ? nullptr : &row;
      const Algorithm* integrity = signs ? &row : row.is_aead() ? nullptr : sha;
      if (!provider->supports(encryption, integrity)) continue;
      const unsigned step = row.key_bits_step == 0 ? 1 : row.key_bits_step;
      for (unsigned bits = row.key_bits_min; bits <= row.key_bits_max; bits += step) {
        SCOPED_TRACE(std::string(row.name) + " " + std::to_string(bits));
        visit(row, encryption, integrity, bits);
      }
    }
  }
};
SALINE_FOR_ALL_PROVIDERS(Rows);

TEST_P(Rows, SealAndOpenAreInverseAtEveryLengthAndAddress) {
  for_each_row([&](const Algorithm& row, const Algorithm* e, const Algorithm* i, unsigned bits) {
    for (std::size_t blocks : {0, 1, 2, 3, 5, 17}) {
      Frame frame(e, i, bits, blocks * std::max<std::size_t>(row.block_bytes, 5), *provider);
      if (frame.session == nullptr) return;
      if (row.block_bytes > 1) frame.text = blocks * row.block_bytes;
      const Bytes original = packet_of(frame);
      Bytes first;
      for (std::size_t offset = 0; offset < 4; ++offset) {
        Bytes memory(offset + original.size());
        std::uint8_t* packet = memory.data() + offset;
        std::copy(original.begin(), original.end(), packet);
        ASSERT_EQ(frame.run(Direction::seal, packet), Result::ok);
        const Bytes sealed(packet, packet + original.size());
        if (offset == 0) first = sealed;
        EXPECT_EQ(sealed, first) << "differs by address";
        ASSERT_EQ(frame.run(Direction::open, packet), Result::ok);
        EXPECT_TRUE(std::equal(packet, packet + frame.size() - frame.icv, original.begin()));
      }
      const bool hides = e != nullptr && row.method != Method::null_cipher &&
                         row.method != Method::aes_gmac && frame.text != 0;
      const auto text = static_cast<std::ptrdiff_t>(Frame::kHeader + frame.iv);
      EXPECT_EQ(hides, !std::equal(first.begin() + text,
                                   first.begin() + text + static_cast<std::ptrdiff_t>(frame.text),
                                   original.begin() + text));
    }
  });
}

TEST_P(Rows, EveryBitIsProtected) {
  for_each_row([&](const Algorithm& row, const Algorithm* e, const Algorithm* i, unsigned bits) {
    if (bits != row.key_bits_min && bits != row.key_bits_max) return;
    Frame frame(e, i, bits, 2 * std::max<std::size_t>(row.block_bytes, 8), *provider);
    if (frame.session == nullptr) return;
    Bytes sealed = packet_of(frame);
    ASSERT_EQ(frame.run(Direction::seal, sealed.data()), Result::ok);
    for (std::size_t bit = 0; bit < sealed.size() * 8; ++bit) {
      Bytes changed = sealed;
      changed[bit / 8] = static_cast<std::uint8_t>(changed[bit / 8] ^ 1 << bit % 8);
      ASSERT_EQ(frame.run(Direction::open, changed.data()), Result::icv_mismatch) << bit;
    }
    EXPECT_EQ(frame.run(Direction::open, sealed.data()), Result::ok);
  });
}

TEST_P(Rows, TakeKeysOfJustTheirLengths) {
  for (const Algorithm& row : algorithms()) {
    if (row.kind == Kind::compression || row.method == Method::null_integrity) continue;
    const bool signs = row.kind == Kind::integrity;
    if (!provider->supports(signs ? nullptr : &row, signs ? &row : nullptr)) continue;
    for (unsigned bits = 0; bits <= row.key_bits_max + 64u; bits += 8) {
      const Bytes key = key_of(bits);
      SessionKeys keys;
      (signs ? keys.integrity : keys.encryption) = &row;
      (signs ? keys.integrity_key : keys.encryption_key) = key;
      if (row.key_bits_valid(bits)) {
        EXPECT_NO_THROW(open_if_able(*provider, keys)) << row.name << ' ' << bits;
      } else {
        EXPECT_THROW(provider->open(keys), base::Error) << row.name << ' ' << bits;
      }
    }
  }
}

TEST_P(Rows, WhatDoesNotGoTogetherIsRefused) {
  const auto refused = [&](const Algorithm* encryption, const Algorithm* integrity) {
    EXPECT_FALSE(provider->supports(encryption, integrity));
    const Bytes encryption_key = key_of(encryption ? encryption->key_bits_min : 0);
    const Bytes integrity_key = key_of(integrity ? integrity->key_bits_min : 0);
    EXPECT_THROW(provider->open({encryption, encryption_key, integrity, integrity_key}),
                 base::Error);
  };
  for (const Algorithm& row : algorithms())
    if (row.is_aead()) refused(&row, find_integrity("hmac-sha1"));
  refused(find_encryption("aes-cbc"), find_integrity("aes-gmac-128"));
  refused(find_encryption("null"), find_integrity("aes-gmac-128"));
  refused(find_integrity("hmac-sha1"), nullptr);
  refused(nullptr, find_encryption("aes-cbc"));
  refused(find_compression("deflate"), nullptr);
  refused(nullptr, nullptr);
}

// AH of RFC 1826 has 16 bytes of every MAC.
TEST(OldIcv, IsAsLongAsAsked) {
  const auto provider = make_provider();
  for (const char* name : {"hmac-md5", "hmac-sha1", "keyed-md5", "keyed-sha1", "hmac-ripemd160",
                           "aes-xcbc-mac", "hmac-sha2-256-96"}) {
    SCOPED_TRACE(name);
    const Algorithm* row = find_integrity(name);
    const Bytes key = key_of(row->key_bits_min);
    SessionKeys keys;
    keys.integrity = row;
    keys.integrity_key = key;
    keys.icv_bytes = 16;
    const auto session = provider->open(keys);
    const Bytes message(77, 0x5A);
    Bytes icv(17);
    Job job;
    job.session = session.get();
    job.authenticated[0] = message;
    job.icv = icv.data();
    provider->run({&job, 1});
    ASSERT_EQ(job.result, Result::ok);
    EXPECT_EQ(icv[16], 0);
    icv.resize(16);
    Bytes wanted(16);
    const std::span<const std::uint8_t> parts[] = {message};
    ASSERT_TRUE(make_mac(row->method, key)->compute(parts, wanted));
    EXPECT_EQ(icv, wanted);
    icv[15] ^= 1;
    job.direction = Direction::open;
    job.icv = icv.data();
    provider->run({&job, 1});
    EXPECT_EQ(job.result, Result::icv_mismatch);
    keys.icv_bytes = 33;
    EXPECT_THROW(provider->open(keys), base::Error);
  }
}

}  // namespace saline::test
