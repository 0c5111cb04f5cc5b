// Accepting connections when descriptors have run out: a listener that nobody accepts from stays
// readable, and whoever waits for it would spin.
#pragma once

namespace saline::base {

class Acceptor {
 public:
  Acceptor();
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  // accept4(), close-on-exec and `flags`; -1 when there is nothing to accept, or no descriptor: the
  // connection is then taken with one kept in reserve, and closed.
  int accept(int listen_fd, int flags) noexcept;

 private:
  int reserve_ = -1;
};

}  // namespace saline::base
