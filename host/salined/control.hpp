// The operator's socket, for saline(8): one line asks, the answer is text until the end of the
// stream. Unix stream socket, mode 0600.
#pragma once

#include <functional>
#include <string>

#include "host/base/acceptor.hpp"

namespace saline::daemon {

class ControlSocket {
 public:
  // The question without its line end; what is returned is sent as it is.
  using Answer = std::function<std::string(const std::string& question)>;

  // A socket file nobody serves is replaced. Throws Error(EADDRINUSE) when somebody does.
  ControlSocket(const std::string& path, Answer answer);
  ~ControlSocket();
  ControlSocket(const ControlSocket&) = delete;
  ControlSocket& operator=(const ControlSocket&) = delete;

  int fd() const noexcept { return fd_; }
  // Answers one client; one that is silent or does not read is left after a second.
  void serve() noexcept;

 private:
  std::string path_;
  Answer answer_;
  int fd_ = -1;
  base::Acceptor acceptor_;
};

}  // namespace saline::daemon
