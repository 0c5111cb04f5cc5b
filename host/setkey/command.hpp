// The setkey command, as a function that tests can call: options, scripts, errors, exit code.
#pragma once

#include <istream>
#include <ostream>

namespace saline::setkey {

// 0: all done. 1: usage, syntax error (then nothing was sent), no daemon, or the daemon refused
// something (the statements after it were still carried out). An empty table is an answer, not a
// refusal. Not for several threads: getopt.
int run(int argc, char* const argv[], std::istream& in, std::ostream& out, std::ostream& err);

}  // namespace saline::setkey
