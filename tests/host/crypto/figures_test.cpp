// The figures printed in the RFCs, kept in tests/data: these run on any checkout.
#include <gtest/gtest.h>

#include "host/crypto/mac.hpp"
#include "tests/host/crypto/providers.hpp"
#include "tests/host/crypto/sealing.hpp"
#include "tests/host/vectors.hpp"

namespace saline::test {

using crypto::Direction;
using crypto::Result;

namespace {

const JsonFile& figures() {
  static const JsonFile file("tests/data/crypto_figures.json");
  return file;
}

}  // namespace

class Figures : public ProviderTest {};
SALINE_FOR_ALL_PROVIDERS(Figures);

TEST_P(Figures, Hmac) {
  const Json cases = figures().root()["hmac"];
  ASSERT_GE(cases.size(), 25u);
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const Json figure = cases[i];
    SCOPED_TRACE(figure["origin"].text() + " " + figure["name"].text());
    const std::string name = figure["name"].text();
    const auto* algorithm = crypto::find_integrity(name);
    ASSERT_NE(algorithm, nullptr);
    const auto hmac = crypto::make_hmac(algorithm->method, figure["key"].hex());
    Bytes mac(figure["mac"].hex().size());
    const Bytes data = figure["data"].hex();
    const std::span<const std::uint8_t> parts[] = {std::span(data).first(data.size() / 3),
                                                   std::span(data).subspan(data.size() / 3)};
    hmac->compute(parts, mac);
    EXPECT_EQ(mac, figure["mac"].hex());
    EXPECT_TRUE(signs_as(*provider, name.c_str(), figure["key"].hex(), data, mac));
  }
}

TEST_P(Figures, Ciphers) {
  const Json cases = figures().root()["cipher"];
  ASSERT_GE(cases.size(), 19u);
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const Json figure = cases[i];
    SCOPED_TRACE(figure["origin"].text());
    const std::string name = figure["name"].text();
    const auto sealed = crypt(*provider, name.c_str(), Direction::seal, figure["key"].hex(),
                              figure["iv"].hex(), figure["plain"].hex());
    EXPECT_EQ(sealed.result, Result::ok);
    EXPECT_EQ(sealed.text, figure["cipher"].hex());
    const auto opened = crypt(*provider, name.c_str(), Direction::open, figure["key"].hex(),
                              figure["iv"].hex(), figure["cipher"].hex());
    EXPECT_EQ(opened.text, figure["plain"].hex());
  }
}

TEST_P(Figures, Gcm) {
  const Json cases = figures().root()["gcm"];
  ASSERT_GE(cases.size(), 12u);
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const Json figure = cases[i];
    SCOPED_TRACE(figure["origin"].text());
    const Bytes wire = figure["cipher"].hex();
    const Bytes text(wire.begin(), wire.end() - 16);
    const Bytes icv(wire.end() - 16, wire.end());
    const auto sealed = crypt(*provider, "aes-gcm-16", Direction::seal, figure["key"].hex(),
                              figure["iv"].hex(), figure["plain"].hex(), figure["aad"].hex());
    EXPECT_EQ(sealed.result, Result::ok);
    EXPECT_EQ(sealed.text, text);
    EXPECT_EQ(sealed.icv, icv);
    const auto opened = crypt(*provider, "aes-gcm-16", Direction::open, figure["key"].hex(),
                              figure["iv"].hex(), text, figure["aad"].hex(), icv);
    EXPECT_EQ(opened.result, Result::ok);
    EXPECT_EQ(opened.text, figure["plain"].hex());
  }
}

}  // namespace saline::test
