// The operator's Unix socket; see control.hpp.
#include "host/salined/control.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>

#include "host/base/error.hpp"

namespace saline::daemon {
namespace {

using base::Error;

constexpr std::size_t kQuestionMax = 256;
constexpr timeval kPatience{1, 0};

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    throw Error(ENAMETOOLONG, "the control socket's path '" + path + "' is empty or too long");
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

bool answers(const sockaddr_un& address) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return false;
  const bool connected =
      ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ||
      errno == EAGAIN;
  ::close(fd);
  return connected;
}

void serve_client(int client, const ControlSocket::Answer& answer) {
  ::setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
  ::setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience);
  std::string question;
  char buffer[kQuestionMax];
  while (question.find('\n') == std::string::npos && question.size() < kQuestionMax) {
    const ssize_t got = ::recv(client, buffer, sizeof buffer, 0);
    if (got <= 0) return;
    question.append(buffer, static_cast<std::size_t>(got));
  }
  question.resize(std::min(question.find('\n'), question.size()));
  const std::string text = answer(question);
  for (std::string_view left = text; !left.empty();) {
    const ssize_t sent = ::send(client, left.data(), left.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;
    left.remove_prefix(static_cast<std::size_t>(sent));
  }
}

}  // namespace

ControlSocket::ControlSocket(const std::string& path, Answer answer)
    : path_(path), answer_(std::move(answer)) {
  const sockaddr_un address = address_of(path);
  if (answers(address)) {
    throw Error(EADDRINUSE, "another salined serves " + path + ": stop it, or give --control");
  }
  struct stat status;
  if (::lstat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode)) ::unlink(path.c_str());
  if (const auto folder = std::filesystem::path(path).parent_path(); !folder.empty()) {
    std::error_code ignored;
    std::filesystem::create_directories(folder, ignored);
  }
  fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd_ < 0) throw base::system_error("socket(AF_UNIX)");
  const mode_t before = ::umask(0177);
  const int result = ::bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  ::umask(before);
  if (result != 0 || ::listen(fd_, 8) != 0) {
    const Error failure = base::system_error("control socket " + path);
    ::close(fd_);
    throw failure;
  }
}

ControlSocket::~ControlSocket() {
  ::close(fd_);
  ::unlink(path_.c_str());
}

void ControlSocket::serve() noexcept {
  const int client = acceptor_.accept(fd_, 0);
  if (client < 0) return;
  try {
    serve_client(client, answer_);
  } catch (const std::exception&) {
    // Out of memory: the client sees an early end.
  }
  ::close(client);
}

}  // namespace saline::daemon
