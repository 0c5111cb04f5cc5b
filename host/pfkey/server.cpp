// The socket side of the PF_KEY server: admission, reading, queues, dumps as the reader drains.
#include "host/pfkey/server.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <new>
#include <string>
#include <utility>

#include "host/base/error.hpp"
#include "host/pfkey/session.hpp"

namespace saline::pfkey {
namespace {

// The largest request there is use for; racoon's and charon's stay below 4096.
constexpr std::size_t kMaxRequestBytes = 64 * 1024;
// Bounds of one poll() per session, so that nobody keeps the others waiting.
constexpr int kMaxRequestsAtOnce = 16;
constexpr int kMaxEntriesAtOnce = 64;

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path)
    throw base::Error(ENAMETOOLONG, "PF_KEY socket path '" + path + "': give one of 1 to " +
                                        std::to_string(sizeof address.sun_path - 1) + " bytes");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

int seqpacket_socket() {
  const int fd = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) throw base::system_error("socket(AF_UNIX)");
  return fd;
}

// A socket file that refuses connections is left over from a daemon that is gone.
void remove_stale(const std::string& path, const sockaddr_un& address) {
  struct stat status;
  if (::lstat(path.c_str(), &status) != 0) return;
  if (!S_ISSOCK(status.st_mode))
    throw base::Error(EEXIST, path + " exists and is no socket: remove it or choose another path");
  const int fd = seqpacket_socket();
  const int result = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int reason = errno;
  ::close(fd);
  if (result == 0 || reason == EAGAIN)
    throw base::Error(EADDRINUSE, "another salined serves " + path + ": stop it first");
  if (reason == ECONNREFUSED) ::unlink(path.c_str());
}

int listen_at(const std::string& path) {
  const sockaddr_un address = address_of(path);
  std::error_code ignored;  // bind() says it better
  const auto directory = std::filesystem::path(path).parent_path();
  if (!directory.empty()) std::filesystem::create_directories(directory, ignored);
  remove_stale(path, address);
  const int fd = seqpacket_socket();
  // Before bind(), so that the file never has another mode.
  if (::fchmod(fd, 0600) != 0 ||
      ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(fd, 64) != 0) {
    const base::Error error = base::system_error("listen on " + path);
    ::close(fd);
    throw error;
  }
  return fd;
}

void epoll_set(int epoll_fd, int operation, int fd, std::uint32_t events, std::uint64_t data) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = data;
  if (::epoll_ctl(epoll_fd, operation, fd, &event) != 0) throw base::system_error("epoll_ctl");
}

// One header with the reason, then the door; the peer may be gone already.
void turn_away(int fd, int errno_value) noexcept {
  const Bytes header = encode_error({}, errno_value);
  (void)!::send(fd, header.data(), header.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  ::close(fd);
}

}  // namespace

Server::Session::~Session() { ::close(fd); }

Server::Server(ServerOptions options, Handler& handler)
    : options_(std::move(options)), handler_(handler), receive_buffer_(kMaxRequestBytes) {
  listen_fd_ = listen_at(options_.path);
  epoll_fd_ = ::epoll_create1(EPOLL_CLOEXEC);
  try {
    if (epoll_fd_ < 0) throw base::system_error("epoll_create1");
    epoll_set(epoll_fd_, EPOLL_CTL_ADD, listen_fd_, EPOLLIN, 0);
  } catch (...) {
    ::close(epoll_fd_);
    ::close(listen_fd_);
    ::unlink(options_.path.c_str());
    throw;
  }
}

Server::~Server() {
  sessions_.clear();
  ::unlink(options_.path.c_str());
  ::close(epoll_fd_);
  ::close(listen_fd_);
}

bool Server::anybody_registered() const noexcept {
  for (const auto& [id, session] : sessions_)
    if (!session->registered.empty() && !session->broken) return true;
  return false;
}

void Server::poll(int timeout_ms) {
  std::array<epoll_event, 32> events;
  const int count =
      ::epoll_wait(epoll_fd_, events.data(), static_cast<int>(events.size()), timeout_ms);
  if (count < 0 && errno != EINTR) throw base::system_error("epoll_wait");
  for (int i = 0; i < count; ++i) {
    const SessionId id = events[i].data.u64;
    if (id == 0)
      accept_session();
    else if (const auto found = sessions_.find(id); found != sessions_.end())
      serve(*found->second, events[i].events);
  }
  close_broken();
}

void Server::accept_session() {
  const int fd = acceptor_.accept(listen_fd_, SOCK_NONBLOCK);
  if (fd < 0) return;
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 ||
      (peer.uid != 0 && peer.uid != ::geteuid()))
    return turn_away(fd, EACCES);
  if (sessions_.size() >= options_.max_sessions) return turn_away(fd, ENOBUFS);
  auto session = std::make_unique<Session>();
  session->fd = fd;
  session->client = {next_session_++, peer.uid, peer.pid};
  session->watched = EPOLLIN;
  epoll_set(epoll_fd_, EPOLL_CTL_ADD, fd, EPOLLIN, session->client.session);
  sessions_.emplace(session->client.session, std::move(session));
}

void Server::serve(Session& session, std::uint32_t events) {
  if (events & EPOLLOUT) {
    flush_queue(session);
    generate(session);
  }
  if (events & EPOLLIN)
    receive(session);
  else if (events & (EPOLLHUP | EPOLLERR))
    session.broken = true;
  watch(session);
}

void Server::receive(Session& session) {
  for (int i = 0; i < kMaxRequestsAtOnce && !session.broken; ++i) {
    if (session.queued_bytes >= options_.queue_bytes) return;
    const ssize_t size = ::recv(session.fd, receive_buffer_.data(), receive_buffer_.size(),
                                MSG_DONTWAIT | MSG_TRUNC);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (size <= 0) {  // gone; an empty datagram looks the same and gets the same
      session.broken = true;
      return;
    }
    const auto whole = static_cast<std::size_t>(size);
    const auto datagram = std::span(receive_buffer_).first(std::min(whole, kMaxRequestBytes));
    if (whole > kMaxRequestBytes)
      send_or_queue(session, encode_error(datagram, EMSGSIZE));
    else
      handle(session, datagram);
    base::wipe(datagram);
  }
}

void Server::queue_reply(Session& session, const Message& message) {
  send_or_queue(session, encode(message, session.features));
}

void Server::queue_broadcast(Session& session, const Message& message) {
  if (session.overflowed) return;
  Bytes datagram = encode(message, session.features);
  if (session.queued_bytes + datagram.size() > options_.queue_bytes) {
    session.overflowed = true;
    Message lost(message.type);
    lost.satype = message.satype;
    lost.error = ENOBUFS;
    datagram = encode(lost);
  }
  send_or_queue(session, std::move(datagram));
}

void Server::send_or_queue(Session& session, Bytes datagram) {
  if (session.broken) return;
  session.queued_bytes += datagram.size();
  session.queue.push_back(std::move(datagram));
  flush_queue(session);
  watch(session);
}

void Server::flush_queue(Session& session) {
  while (!session.queue.empty() && !session.broken) {
    const Bytes& front = session.queue.front();
    if (::send(session.fd, front.data(), front.size(), MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
      if (errno == EAGAIN || errno == EINTR || errno == ENOBUFS) return;
      session.broken = true;
      return;
    }
    session.queued_bytes -= front.size();
    session.queue.pop_front();
  }
  session.overflowed = false;
}

// Sends entries of a running dump as long as the socket takes them. An entry that cannot be
// generated ends the dump with its errno, which is better than a short list.
void Server::generate(Session& session) {
  const auto end_with = [&](int errno_value) {
    session.dump.reset();
    Message end = session.dump_head.clone();
    end.seq = 0;
    end.error = static_cast<std::uint8_t>(errno_value);
    queue_reply(session, end);
  };
  for (int i = 0; i < kMaxEntriesAtOnce && session.dump && session.queue.empty(); ++i) {
    if (session.broken) return;
    try {
      Message entry = std::move(*session.dump_next);
      session.dump_next = session.dump->next();
      entry.type = session.dump_head.type;
      entry.pid = session.dump_head.pid;
      if (entry.satype == SaType::unspec) entry.satype = session.dump_head.satype;
      entry.seq = session.dump_next ? ++session.dump_seq : 0;
      const bool last = !session.dump_next;
      queue_reply(session, entry);
      if (last) session.dump.reset();
    } catch (const base::Error& error) {
      end_with(error.errno_value());
    } catch (const std::bad_alloc&) {
      end_with(ENOMEM);
    }
  }
}

void Server::watch(Session& session) {
  std::uint32_t events = 0;
  if (session.queued_bytes < options_.queue_bytes) events |= EPOLLIN;
  if (!session.queue.empty() || session.dump) events |= EPOLLOUT;
  if (events == session.watched || session.broken) return;
  epoll_set(epoll_fd_, EPOLL_CTL_MOD, session.fd, events, session.client.session);
  session.watched = events;
}

void Server::close_broken() {
  for (auto at = sessions_.begin(); at != sessions_.end();) {
    if (!at->second->broken) {
      ++at;
      continue;
    }
    const Client client = at->second->client;
    at = sessions_.erase(at);
    handler_.session_closed(client);
  }
}

}  // namespace saline::pfkey
