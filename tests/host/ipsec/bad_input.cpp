// The books, and the rule.
#include "tests/host/ipsec/bad_input.hpp"

#include <gtest/gtest.h>

namespace saline::test {

using namespace saline::ipsec;
using hw::DropReason;

namespace {

void add_reasons(Books& books, const std::string& where, const ReasonCounters& counters) {
  for (std::size_t i = 0; i < counters.size(); ++i)
    books[where + " " + std::string(hw::to_string(static_cast<DropReason>(i)))] = counters[i].get();
}

}  // namespace

Books books_of(Host& host, SecurityAssociation& sa) {
  Books books;
  const Counters& counters = host.processor.counters();
  books["outbound passed"] = counters.outbound_passed.get();
  books["outbound clear by use"] = counters.outbound_clear_by_use.get();
  books["bad padding"] = counters.bad_padding.get();
  books["to card"] = counters.to_card.get();
  books["inbound passed"] = counters.inbound_passed.get();
  add_reasons(books, "inbound refused", counters.inbound_refused);
  add_reasons(books, "outbound refused", counters.outbound_refused);
  books["SA packets"] = sa.counters().packets.get();
  books["SA bytes"] = sa.counters().bytes.get();
  books["SA first used"] = sa.counters().first_used_s.get();
  books["SA last used"] = sa.counters().last_used_s.get();
  books["SA sequence"] = sa.counters().sequence.get();
  books["SA state"] = static_cast<std::uint64_t>(sa.state());
  add_reasons(books, "SA refused", sa.counters().refused);
  const ReplayWindow& window = sa.window();
  books["window top"] = window.top();
  const auto edge = static_cast<std::uint32_t>(window.top());
  std::uint64_t answers = 0xcbf29ce484222325;
  for (std::uint32_t low = edge - window.packets() - 2; low != edge + 4; ++low)
    answers = (answers ^ (window.check(low).acceptable ? low | 1ull << 40 : low)) * 0x100000001b3;
  books["window answers"] = answers;
  return books;
}

void expect_refused(Host& host, SecurityAssociation& sa, const Bytes& wire, DropReason reason,
                    Number number) {
  Books expected = books_of(host, sa);
  Buffer buffer(wire);
  const InboundItem item = host.open(buffer);
  EXPECT_EQ(item.outcome, Outcome::drop);
  EXPECT_EQ(item.reason, reason) << hw::to_string(item.reason);
  EXPECT_EQ(buffer.packet().history_count, 0) << "an unverified step in the history";
  Books books = books_of(host, sa);
  const std::string name(hw::to_string(reason));
  ++expected["inbound refused " + name];
  if (item.association == &sa) ++expected["SA refused " + name];
  if (number == Number::used) {
    EXPECT_NE(books["window answers"], expected["window answers"]) << "its number was not noted";
    books.erase("window answers");
    books.erase("window top");
    expected.erase("window answers");
    expected.erase("window top");
  }
  EXPECT_EQ(books, expected);
  EXPECT_EQ(sa.take_events(), 0u);
}

void expect_refused(const SaSpec& spec, const Bytes& wire, DropReason reason, Number number) {
  Host host;
  auto sa = host.add(spec);
  expect_refused(host, *sa, wire, reason, number);
}

Bytes received(const SaSpec& spec, const Bytes& wire) {
  Host host;
  host.add(spec);
  Buffer buffer(wire);
  const InboundItem item = host.open(buffer);
  EXPECT_EQ(item.reason, DropReason::none) << hw::to_string(item.reason);
  return buffer.bytes();
}

}  // namespace saline::test
