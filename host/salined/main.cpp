// salined: options, process-wide protections, and the daemon.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <cerrno>
#include <cstdio>
#include <exception>

#include "host/base/error.hpp"
#include "host/salined/daemon.hpp"
#include "host/salined/options.hpp"

namespace {

constexpr int kUsageError = 2;

int complain(const std::exception& error, int status) {
  std::fprintf(stderr, "salined: %s\n", error.what());
  return status;
}

// Keys must not reach a core file, nor a debugger of the same user.
void forbid_core_dumps() {
  const rlimit none{0, 0};
  if (prctl(PR_SET_DUMPABLE, 0) != 0 || setrlimit(RLIMIT_CORE, &none) != 0) {
    throw saline::base::system_error("forbidding core dumps");
  }
}

// They end the control loop by a descriptor; threads made later inherit the mask.
void block_end_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

}  // namespace

int main(int argc, char** argv) {
  std::optional<saline::daemon::Options> options;
  try {
    options = saline::daemon::parse_options(argc, argv);
  } catch (const saline::base::Error& error) {
    return complain(error, kUsageError);
  }
  if (!options) {
    std::fputs(saline::daemon::usage(), stdout);
    return 0;
  }
  try {
    forbid_core_dumps();
    block_end_signals();
    saline::daemon::serve(*options);
    return 0;
  } catch (const std::exception& error) {
    return complain(error, 1);
  }
}
