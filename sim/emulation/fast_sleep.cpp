// Preloaded by run: libxrt_hwemu sleeps ten seconds when it loads an image and again when it
// closes, waiting for a simulator that is long there. Shortens sleep() when libxrt_hwemu is the
// caller, and only then; libxrt itself is untouched.
#include <dlfcn.h>

#include <cerrno>
#include <cstring>
#include <ctime>

extern "C" unsigned sleep(unsigned seconds) {
  constexpr long kSleep_ns = 100000;  // for each second asked for
  Dl_info caller{};
  const bool emulation = dladdr(__builtin_return_address(0), &caller) != 0 && caller.dli_fname &&
                         std::strstr(caller.dli_fname, "libxrt_hwemu") != nullptr;
  timespec time{static_cast<time_t>(seconds), 0};
  if (emulation) time = {0, kSleep_ns * static_cast<long>(seconds < 1000 ? seconds : 1000)};
  timespec left{};
  if (nanosleep(&time, &left) == 0 || errno != EINTR || emulation) return 0;
  return static_cast<unsigned>(left.tv_sec);
}
