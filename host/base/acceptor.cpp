// One descriptor in reserve; see acceptor.hpp.
#include "host/base/acceptor.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace saline::base {
namespace {

int open_reserve() noexcept { return ::open("/dev/null", O_RDONLY | O_CLOEXEC); }

}  // namespace

Acceptor::Acceptor() : reserve_(open_reserve()) {}

Acceptor::~Acceptor() {
  if (reserve_ >= 0) ::close(reserve_);
}

int Acceptor::accept(int listen_fd, int flags) noexcept {
  const int fd = ::accept4(listen_fd, nullptr, nullptr, SOCK_CLOEXEC | flags);
  if (fd >= 0 || (errno != EMFILE && errno != ENFILE)) return fd;
  if (reserve_ >= 0) ::close(reserve_);
  const int refused = ::accept4(listen_fd, nullptr, nullptr, SOCK_CLOEXEC | flags);
  if (refused >= 0) ::close(refused);
  reserve_ = open_reserve();
  return -1;
}

}  // namespace saline::base
