// The library libsaline_transport_fake.so; see fake_transport.hpp.
#include "tests/driver/pmd/fake_transport.hpp"

namespace saline::pmd::test {
namespace {

std::unique_ptr<driver::FakeCard> card;

}  // namespace

driver::FakeCard* fake_card() noexcept { return card.get(); }

}  // namespace saline::pmd::test

// bounce=1: a card that does not address process memory. mac=loopback is what it always is.
extern "C" saline::driver::Transport* saline_open_transport(
    const saline::driver::Options& options) {
  using namespace saline;
  for (const auto& [key, value] : options) {
    if (key != "bounce" && key != "mac")
      throw base::Error(EINVAL, "transport=fake knows no " + key);
  }
  pmd::test::card = std::make_unique<driver::FakeCard>();
  return new driver::FakeTransport(*pmd::test::card, !options.contains("bounce"));
}
