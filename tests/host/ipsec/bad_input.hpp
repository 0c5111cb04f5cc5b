// The rule for bad input: it is refused with one reason, counted once where it was found, and
// leaves window, lifetimes and all other counters as they were.
#pragma once

#include <map>
#include <string>

#include "tests/host/ipsec/bed.hpp"

namespace saline::test {

// Everything that a host and one SA of it count, by name, and the window's answers around its edge:
// to be compared before and after.
using Books = std::map<std::string, std::uint64_t>;
Books books_of(Host& host, ipsec::SecurityAssociation& sa);

// Whether the packet was authentic, so that its number counts as seen although it is refused.
enum class Number { unused, used };

// `host`, whose SA `sa` is the one meant (or nearly meant), receives `wire`.
void expect_refused(Host& host, ipsec::SecurityAssociation& sa, const Bytes& wire,
                    hw::DropReason reason, Number number = Number::unused);
// The same on a fresh host with that SA alone.
void expect_refused(const SaSpec& spec, const Bytes& wire, hw::DropReason reason,
                    Number number = Number::unused);

// What a fresh host with that SA makes of an acceptable packet.
Bytes received(const SaSpec& spec, const Bytes& wire);

}  // namespace saline::test
