// One connected socket of the PF_KEY server: what it asked for and what it still has to be sent.
// Private to server.cpp and dispatch.cpp.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <set>

#include "host/pfkey/server.hpp"

namespace saline::pfkey {

struct Server::Session {
  int fd = -1;
  Client client;
  std::uint32_t features = 0;  // kFeature*, from saline_hello
  std::set<SaType> registered;
  bool promiscuous = false;
  bool broken = false;  // to be closed at the end of poll()

  std::deque<Bytes> queue;  // what the socket did not take yet
  std::size_t queued_bytes = 0;
  bool overflowed = false;  // told ENOBUFS; hears no broadcast until the queue is empty
  std::uint32_t watched = 0;

  std::unique_ptr<DumpSource> dump;  // running while not null
  Message dump_head;                 // type, satype, seq, pid of its request
  std::optional<Message> dump_next;  // the entry to send next, so that the last one is known
  std::uint32_t dump_seq = 0;

  ~Session();
};

}  // namespace saline::pfkey
