// The figures printed in the RFCs, kept in tests/data: these run on any checkout, and there is one
// at least for every row of the table.
#include <gtest/gtest.h>

#include <set>

#include "host/crypto/mac.hpp"
#include "tests/host/crypto/providers.hpp"
#include "tests/host/crypto/vector_case.hpp"
#include "tests/host/vectors.hpp"

namespace saline::test {

namespace {

const JsonFile& figures() {
  static const JsonFile file("tests/data/crypto_figures.json");
  return file;
}

VectorCase figure_case(const Json& figure) {
  VectorCase c;
  c.row = figure["name"].text();
  c.key = figure["key"].hex();
  c.iv = figure["iv"].hex();
  c.aad = figure["data"].present() ? figure["data"].hex() : figure["aad"].hex();
  c.plain = figure["plain"].hex();
  c.cipher = figure["cipher"].hex();
  c.icv = figure["mac"].hex();
  return c;
}

}  // namespace

class Figures : public ProviderTest {
 protected:
  // Every figure of the section that its row takes; counts those.
  int run_section(const char* section) {
    int ran = 0;
    const Json cases = figures().root()[section];
    for (std::size_t i = 0; i < cases.size(); ++i) {
      VectorCase c = figure_case(cases[i]);
      SCOPED_TRACE(cases[i]["origin"].text() + " " + c.row);
      const crypto::Algorithm* row = crypto::find_encryption(c.row);
      if (row != nullptr && row->is_aead()) {
        const std::size_t text = c.cipher.size() - row->icv_bytes;
        c.icv.assign(c.cipher.begin() + static_cast<std::ptrdiff_t>(text), c.cipher.end());
        c.cipher.resize(text);
      }
      if (!fits(c)) continue;
      run_case(*provider, c);
      ++ran;
    }
    return ran;
  }
};
SALINE_FOR_ALL_PROVIDERS(Figures);

// Keys that the rows take.
TEST_P(Figures, Macs) { EXPECT_EQ(run_section("mac"), 21); }
TEST_P(Figures, Ciphers) { EXPECT_EQ(run_section("cipher"), 34); }
TEST_P(Figures, Aeads) { EXPECT_EQ(run_section("aead"), 25); }
TEST_P(Figures, Gmac) { EXPECT_EQ(run_section("gmac"), 3); }

// Keys of any length, MACs of any length.
TEST(FigureMacs, OfAnyKey) {
  const Json cases = figures().root()["mac"];
  ASSERT_EQ(cases.size(), 49u);
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const Json figure = cases[i];
    SCOPED_TRACE(figure["origin"].text() + " " + figure["name"].text());
    const auto* algorithm = crypto::find_integrity(figure["name"].text());
    ASSERT_NE(algorithm, nullptr);
    const auto mac = crypto::make_mac(algorithm->method, figure["key"].hex());
    Bytes out(figure["mac"].hex().size());
    const Bytes data = figure["data"].hex();
    const std::span<const std::uint8_t> parts[] = {std::span(data).first(data.size() / 3),
                                                   std::span(data).subspan(data.size() / 3)};
    EXPECT_TRUE(mac->compute(parts, out));
    EXPECT_EQ(out, figure["mac"].hex());
  }
}

TEST(FigureCoverage, EveryRowHasOneAtLeast) {
  std::set<const crypto::Algorithm*> seen;
  for (const char* section : {"mac", "cipher", "aead", "gmac"}) {
    const Json cases = figures().root()[section];
    for (std::size_t i = 0; i < cases.size(); ++i) {
      VectorCase c = figure_case(cases[i]);
      const crypto::Algorithm* row = crypto::find_encryption(c.row);
      seen.insert(row != nullptr ? row : crypto::find_integrity(c.row));
    }
  }
  for (const crypto::Algorithm& row : crypto::algorithms()) {
    const bool computes = row.method != crypto::Method::null_integrity;
    // deflate_test has the streams.
    EXPECT_EQ(seen.contains(&row), computes && row.kind != crypto::Kind::compression) << row.name;
  }
}

}  // namespace saline::test
