// What setkey -D and -DP print, field by field as KAME's libipsec does, so that scripts which read
// it keep working. What only Saline knows (who does an SA's packets and why) stands on lines after
// KAME's last.
#pragma once

#include <ctime>
#include <ostream>

#include "host/pfkey/message.hpp"

namespace saline::setkey {

struct DumpStyle {
  bool ports = false;   // -p: ports with the addresses
  std::time_t now = 0;  // "current:" and "diff:"
};

// One entry of a DUMP or the answer to a GET.
void print_sa(std::ostream& out, const pfkey::Message& entry, const DumpStyle& style);
// One entry of an X_SPDDUMP.
void print_policy(std::ostream& out, const pfkey::Message& entry, const DumpStyle& style);

}  // namespace saline::setkey
