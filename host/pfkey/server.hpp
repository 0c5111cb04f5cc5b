// The PF_KEY service over a Unix socket: sessions, the request boundary, who hears what, and dumps.
// SOCK_SEQPACKET, one message per datagram. RFC 2367 §3.1 (audiences), KAME's policy messages.
// One thread: everything happens inside poll(), the handler is called from there, and the server
// may be called back from the handler. What the SADB and SPD answer is the Handler's business.
//
// Admission: socket mode 0600 and SO_PEERCRED uid 0 or the daemon's own; anybody else gets one
// header with EACCES and is closed.
// Audience: the sender alone hears GETSPI, GET, X_SPDGET, DUMP, X_SPDDUMP and every error; REGISTER
// goes to the registered sockets and the sender; the rest goes to every socket, to the sender
// exactly once. Keys go to the sender only: everybody else's copy is without them. A promiscuous
// socket (Linux form, no wrapper) also gets each request and each reply it would not hear, without
// keys; not the entries of dumps.
// Slow readers: replies are never lost, a session with a full queue is not read from until it
// drains. A broadcast that finds a full queue is lost for that session, which then gets one header
// of that type with ENOBUFS, seq 0, pid 0 in its place and nothing more until its queue has
// drained. Nobody else waits.
// Dumps: generated as the reader drains, numbered up from 1 as Linux does, the last 0 (so that an
// entry that vanishes between snapshot and reading leaves no hole and the end is always marked).
// Empty: ENOENT. A second one on the same socket while one runs: EBUSY.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "host/base/acceptor.hpp"
#include "host/pfkey/message.hpp"

namespace saline::pfkey {

using SessionId = std::uint64_t;  // never reused

struct Client {
  SessionId session = 0;  // identity of a socket: the owner of the larval SAs it asked for
  uid_t uid = 0;
  pid_t pid = 0;  // of the process that connected; not Message::pid
};

// The entries of one dump, from a snapshot taken when it was asked for. next() returns entries
// until there are none; an entry that has gone since is left out. It may be destroyed early. The
// server sets type, seq and pid (and satype where unspec).
class DumpSource {
 public:
  virtual ~DumpSource() = default;
  virtual std::optional<Message> next() = 0;
};

// One function per request the SADB and SPD answer. Each gets a request that passed check_request()
// (what is present is listed there), may move out of it, and returns the reply; type, seq, pid, and
// satype where unspec, are set by the server. To refuse: throw base::Error, the sender is told its
// errno. The defaults throw Error(EOPNOTSUPP).
class Handler {
 public:
  virtual ~Handler() = default;
  virtual Message getspi(Message& request, const Client& client);
  virtual Message update(Message& request, const Client& client);
  virtual Message add(Message& request, const Client& client);
  virtual Message del(Message& request, const Client& client);
  virtual Message get(Message& request, const Client& client);
  // From a client, RFC 2367 §3.1.6: with error != 0 a negotiation failed. No reply.
  virtual void acquire(Message& request, const Client& client);
  // Fills in the supported algorithms; who is registered is the server's book.
  virtual Message reg(Message& request, const Client& client);
  virtual Message flush(Message& request, const Client& client);
  virtual std::unique_ptr<DumpSource> dump(Message& request, const Client& client);
  virtual Message spdadd(Message& request, const Client& client);
  virtual Message spdupdate(Message& request, const Client& client);
  virtual Message spdsetidx(Message& request, const Client& client);
  virtual Message spddelete(Message& request, const Client& client);   // by selector
  virtual Message spddelete2(Message& request, const Client& client);  // by id
  virtual Message spdget(Message& request, const Client& client);
  virtual Message spdflush(Message& request, const Client& client);
  virtual std::unique_ptr<DumpSource> spddump(Message& request, const Client& client);
  virtual Message migrate(Message& request, const Client& client);
  // The socket is gone: its larval SAs and pending acquires can go too.
  virtual void session_closed(const Client& client) noexcept;
  // For the log: a request refused, and why. The sentence never holds keys.
  virtual void refused(const Client& client, MessageType type, int errno_value,
                       const std::string& sentence) noexcept;
};

struct ServerOptions {
  std::string path = kDefaultSocketPath;
  std::size_t queue_bytes = 1 << 20;  // per session, beyond the socket's own buffer
  std::size_t max_sessions = 256;     // more are closed at once
};

class Server {
 public:
  // Creates the directory (0755) and the socket (0600); a socket file nobody serves is replaced,
  // one that answers is Error(EADDRINUSE). `handler` must outlive the server.
  Server(ServerOptions options, Handler& handler);
  ~Server();  // closes all sessions (without session_closed) and removes the socket file
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Readable whenever poll() has something to do: put it into any poll, select or epoll.
  int fd() const noexcept { return epoll_fd_; }
  // Waits up to `timeout_ms` (0: not at all, -1: for ever) and does a bounded amount of what is
  // due.
  void poll(int timeout_ms);

  // From the daemon, seq as given, pid 0. ACQUIRE, EXPIRE, X_NAT_T_NEW_MAPPING go to the
  // registered; anything else (an SA deleted by the operator, X_SPDEXPIRE) to all. Keys are left
  // out.
  void send_registered(const Message& message);
  void send_all(const Message& message);

  std::size_t sessions() const noexcept { return sessions_.size(); }
  // Somebody has registered for this satype or another: an ACQUIRE would be heard.
  bool anybody_registered() const noexcept;

 private:
  struct Session;

  // server.cpp: sockets and queues.
  void accept_session();
  void serve(Session& session, std::uint32_t events);
  void receive(Session& session);
  void queue_reply(Session& session, const Message& message);
  void queue_broadcast(Session& session, const Message& message);
  void send_or_queue(Session& session, Bytes datagram);
  void flush_queue(Session& session);
  void generate(Session& session);
  void watch(Session& session);
  void close_broken();
  // dispatch.cpp: the request boundary and the audiences.
  void handle(Session& session, std::span<const std::uint8_t> datagram);
  void carry_out(Session& session, Message& request);
  void start_dump(Session& session, const Message& head, std::unique_ptr<DumpSource> source);
  void register_session(Session& session, const Message& head, Message answer);
  void reply(Session& session, const Message& head, Message answer, bool to_all);

  ServerOptions options_;
  Handler& handler_;
  int epoll_fd_ = -1;
  int listen_fd_ = -1;
  base::Acceptor acceptor_;
  SessionId next_session_ = 1;
  std::map<SessionId, std::unique_ptr<Session>> sessions_;
  Bytes receive_buffer_;
};

}  // namespace saline::pfkey
