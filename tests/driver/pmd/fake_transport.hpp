// transport=fake: the device layer's fake card behind a port, so that the driver's plumbing is
// tested without RTL. The card of the transport opened last is the test's to look into.
#pragma once

#include "tests/driver/fake_card.hpp"

namespace saline::pmd::test {

driver::FakeCard* fake_card() noexcept;  // null before the first transport=fake

}  // namespace saline::pmd::test
