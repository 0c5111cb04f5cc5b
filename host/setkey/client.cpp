// One blocking socket with a patience of ten seconds.
#include "host/setkey/client.hpp"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "host/base/error.hpp"

namespace saline::setkey {
namespace {

constexpr std::size_t kMaxMessageBytes = 64 * 1024;
constexpr time_t kPatience_s = 10;

[[noreturn]] void no_service(const std::string& path, int reason) {
  const std::string where = "no PF_KEY service at " + path + " (" + std::strerror(reason) + "): ";
  if (reason == EACCES || reason == EPERM)
    throw base::Error(reason, where + "run setkey as root or as the user of salined");
  throw base::Error(reason, where +
                                "start salined, or name its socket with -s PATH or the variable "
                                "SALINE_PFKEY");
}

}  // namespace

Client::Client(const std::string& path)
    : pid_(static_cast<std::uint32_t>(::getpid())), buffer_(kMaxMessageBytes) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) no_service(path, ENAMETOOLONG);
  std::memcpy(address.sun_path, path.data(), path.size());
  fd_ = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (fd_ < 0) throw base::system_error("socket(AF_UNIX)");
  const timeval patience{kPatience_s, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const int reason = errno;
    ::close(fd_);
    no_service(path, reason);
  }
}

Client::~Client() { ::close(fd_); }

pfkey::Message Client::receive() {
  const ssize_t size = ::recv(fd_, buffer_.data(), buffer_.size(), 0);
  if (size == 0) throw base::Error(ECONNRESET, "salined closed the connection");
  if (size < 0 && errno == EAGAIN)
    throw base::Error(ETIMEDOUT, "salined does not answer: is it stopped?");
  if (size < 0) throw base::system_error("receive from salined");
  const auto datagram = std::span(buffer_).first(static_cast<std::size_t>(size));
  // An answer to something that had no type carries only its errno; decode() would refuse it.
  if (datagram.size() >= 3 && datagram[1] == 0)
    throw base::Error(datagram[2] ? datagram[2] : EIO,
                      std::string("salined refuses the connection: ") + std::strerror(datagram[2]));
  pfkey::Message message = pfkey::decode(datagram);
  base::wipe(datagram);
  if (observe) observe(false, message);
  return message;
}

int Client::request(pfkey::Message message,
                    const std::function<void(const pfkey::Message&)>& answer) {
  message.pid = pid_;
  message.seq = ++seq_;
  message.saline_hello = pfkey::kFeaturePath | pfkey::kFeatureReplay;
  if (observe) observe(true, message);
  const pfkey::Bytes datagram = pfkey::encode(message, pfkey::kFeatureReplay);
  if (::send(fd_, datagram.data(), datagram.size(), MSG_NOSIGNAL) < 0)
    throw base::system_error("send to salined");
  const bool dump =
      message.type == pfkey::MessageType::dump || message.type == pfkey::MessageType::spddump;
  for (;;) {
    const pfkey::Message reply = receive();
    if (reply.type != message.type || reply.pid != pid_) continue;
    if (!dump && reply.seq != message.seq) continue;
    if (reply.error != 0) return reply.error;
    answer(reply);
    if (!dump || reply.seq == 0) return 0;
  }
}

}  // namespace saline::setkey
