// The codec of IPComp against RFC 1951 by hand, against zlib's own format, and against hostile
// input.
#include "host/crypto/deflate.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <vector>

#include "host/base/bytes.hpp"

namespace saline::test {

using crypto::Deflate;
using Bytes = std::vector<std::uint8_t>;

namespace {

std::uint64_t seed() {
  const char* given = std::getenv("SALINE_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 0) : std::random_device{}();
}

}  // namespace

TEST(Deflate, ExpandsStreamsWrittenByHand) {
  Deflate codec;
  const std::pair<const char*, const char*> cases[] = {
      {"010300fcff616263", "616263"},                // RFC 1951 §3.2.4: stored
      {"4b4c4a0600", "616263"},                      // RFC 1951 §3.2.6: fixed Huffman codes
      {"4b4c440200", "61616161616161616161616161"},  // a match that overlaps itself
      {"000100feff61010100feff62", "6162"},          // two blocks
      {"0300", ""},
  };
  for (const auto& [packed, plain] : cases) {
    SCOPED_TRACE(packed);
    Bytes out(64);
    const auto bytes = codec.expand(base::from_hex(packed), out);
    ASSERT_TRUE(bytes);
    out.resize(*bytes);
    EXPECT_EQ(base::to_hex(out), plain);
  }
}

TEST(Deflate, EveryLengthGoesThereAndBack) {
  const std::uint64_t number = seed();
  SCOPED_TRACE("SALINE_SEED=" + std::to_string(number));
  std::mt19937_64 generator(number);
  Deflate codec;
  for (std::size_t bytes = 0; bytes < 1500; bytes += 1 + generator() % 7) {
    Bytes plain(bytes);
    for (std::uint8_t& byte : plain) byte = static_cast<std::uint8_t>(generator() % 9);
    Bytes packed(bytes + 64);
    const auto packed_bytes = codec.compress(plain, packed);
    ASSERT_TRUE(packed_bytes);
    packed.resize(*packed_bytes);
    Bytes out(bytes);
    ASSERT_EQ(codec.expand(packed, out), bytes);
    EXPECT_EQ(out, plain);
  }
}

TEST(Deflate, SaysWhenTheResultIsLonger) {
  Deflate codec;
  std::mt19937_64 generator(7);
  Bytes noise(400);
  for (std::uint8_t& byte : noise) byte = static_cast<std::uint8_t>(generator());
  Bytes out(noise.size());
  EXPECT_EQ(codec.compress(noise, out), std::nullopt);
  const Bytes zeros(400);
  EXPECT_TRUE(codec.compress(zeros, out)) << "and works on afterwards";
}

TEST(Deflate, RefusesAllButOneWholeStream) {
  Deflate codec;
  Bytes plain(700, 0x41);
  Bytes packed(800);
  packed.resize(codec.compress(plain, packed).value());
  Bytes out(plain.size());
  for (std::size_t bytes = 0; bytes < packed.size(); ++bytes)
    EXPECT_EQ(codec.expand(std::span(packed).first(bytes), out), std::nullopt) << bytes;
  Bytes longer = packed;
  longer.push_back(0);
  EXPECT_EQ(codec.expand(longer, out), std::nullopt) << "bytes behind the stream";
  EXPECT_EQ(codec.expand(base::from_hex("0103000000616263"), out), std::nullopt) << "LEN, NLEN";
  EXPECT_EQ(codec.expand(base::from_hex("07"), out), std::nullopt) << "block type 3";
  EXPECT_EQ(codec.expand(base::from_hex("4b4c440200"), {}), std::nullopt);
  EXPECT_EQ(codec.expand(packed, out), plain.size()) << "and works on afterwards";
}

// 1000 to 1 in few bytes: never a byte behind out.
TEST(Deflate, ABombStopsAtTheEndOfTheBuffer) {
  Deflate codec;
  const Bytes zeros(1 << 20);
  Bytes packed(16384);
  packed.resize(codec.compress(zeros, packed).value());
  Bytes out(1500 + 16, 0xEE);
  EXPECT_EQ(codec.expand(packed, std::span(out).first(1500)), std::nullopt);
  EXPECT_EQ(Bytes(out.begin() + 1500, out.end()), Bytes(16, 0xEE));
}

TEST(Deflate, SurvivesRandomInput) {
  const std::uint64_t number = seed();
  SCOPED_TRACE("SALINE_SEED=" + std::to_string(number));
  std::mt19937_64 generator(number);
  Deflate codec;
  Bytes out(2000);
  for (int i = 0; i < 3000; ++i) {
    Bytes in(1 + generator() % 200);
    for (std::uint8_t& byte : in) byte = static_cast<std::uint8_t>(generator());
    codec.expand(in, out);
  }
}

}  // namespace saline::test
