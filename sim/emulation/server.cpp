// Both sockets of the simulator protocol, with libxrt's message numbers.
#include "sim/emulation/server.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "host/base/error.hpp"
#include "sim/emulation/wire.hpp"

namespace saline::sim {
namespace {

// Numbers of XRT's xcl_macros.h, those our flow meets.
enum Api : std::uint32_t {
  kClose = 1,
  kLoadBitstream = 3,
  kAllocate = 4,
  kFree = 5,
  kHostToDevice = 6,
  kDeviceToHost = 7,
  kWriteControl = 9,
  kReadControl = 11,
  kReadTrace = 16,
  kTimestamp = 17,
  kDebugMessages = 19,
  kSetEnvironment = 20,
  kReadHost = 34,
  kWriteHost = 35,
};

constexpr std::size_t kCallHeader = 14, kReplyHeader = 9;
constexpr std::uint64_t kMessageMax = 64u << 20;

bool read_all(int socket, void* to, std::size_t bytes) {
  auto* at = static_cast<char*>(to);
  while (bytes != 0) {
    const ssize_t got = ::read(socket, at, bytes);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    at += got;
    bytes -= static_cast<std::size_t>(got);
  }
  return true;
}

bool write_all(int socket, std::string_view data) {
  while (!data.empty()) {
    const ssize_t sent = ::send(socket, data.data(), data.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    data.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

// {fixed64 field 1: size}, and {fixed32 field 2: api} in a call.
std::string header(std::uint64_t size, std::size_t bytes, std::uint32_t api = 0) {
  std::string out(bytes, '\0');
  out[0] = 0x09;
  std::memcpy(&out[1], &size, 8);
  if (bytes == kCallHeader) {
    out[9] = 0x15;
    std::memcpy(&out[10], &api, 4);
  }
  return out;
}

std::string_view text_of(std::span<const std::uint8_t> data) {
  return {reinterpret_cast<const char*>(data.data()), data.size()};
}

// libxrt ignores EMULATION_SOCKETID for the main socket when USER is not set.
std::string socket_path(const char* prefix) {
  const char* user = std::getenv("USER");
  const char* id = std::getenv("EMULATION_SOCKETID");
  const std::string directory = user ? std::string("/tmp/") + user + "/" : "/tmp/";
  if (*prefix) return directory + prefix + (id ? std::string("_") + id : "");
  return directory + (user && id ? id : "xcl_sock");
}

int connect_to(const std::string& path, int timeout_ms) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    throw base::Error(ENAMETOOLONG, path + " is too long for a socket: use a shorter USER");
  }
  std::memcpy(address.sun_path, path.c_str(), path.size());
  for (int waited = 0;; ++waited) {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) {
      return fd;
    }
    if (fd >= 0) ::close(fd);
    if (waited >= timeout_ms) {
      throw base::Error(ENOTCONN, "libxrt does not listen at " + path +
                                      ": start this program through sim/emulation/run");
    }
    ::usleep(1000);
  }
}

}  // namespace

// The fields our calls use; their numbers differ from call to call.
struct EmulationServer::Call {
  std::uint32_t api = 0;
  std::uint64_t address = 0;
  std::uint64_t size = 0;
  std::uint64_t offset = 0;  // of a partial sync: not part of the address
  std::string_view data;
};

EmulationServer::~EmulationServer() {
  if (main_ >= 0) ::close(main_);
  if (d2x_ >= 0) ::close(d2x_);
}

void EmulationServer::connect(int timeout_ms) {
  main_ = connect_to(socket_path(""), timeout_ms);
  d2x_ = connect_to(socket_path("D2X_unix_sock"), timeout_ms);
}

void EmulationServer::adopt(int main_socket, int d2x_socket) {
  main_ = main_socket;
  d2x_ = d2x_socket;
}

EmulationServer::Served EmulationServer::serve(EmulatedBoard& board, int timeout_us) {
  pollfd waiting{main_, POLLIN, 0};
  timespec limit{timeout_us / 1000000, timeout_us % 1000000 * 1000L};
  const int ready = ::ppoll(&waiting, 1, timeout_us < 0 ? nullptr : &limit, nullptr);
  if (ready == 0 || (ready < 0 && errno == EINTR)) return Served::nothing;
  Call call;
  if (!receive_call(call)) return Served::closed;
  return answer(call, board) ? Served::call : Served::closed;
}

bool EmulationServer::receive_call(Call& call) {
  std::uint8_t head[kCallHeader];
  if (!read_all(main_, head, sizeof(head))) return false;
  std::uint64_t size = 0;
  std::memcpy(&size, head + 1, 8);
  std::memcpy(&call.api, head + 10, 4);
  if (head[0] != 0x09 || head[9] != 0x15 || size > kMessageMax) {
    throw base::Error(EPROTO,
                      "libxrt sent a call this protocol does not have: only the XRT 2.13 "
                      "of Debian 12 is known to work");
  }
  message_.resize(size);
  if (size != 0 && !read_all(main_, message_.data(), size)) return false;
  const bool reads_device = call.api == kDeviceToHost;
  const bool control = call.api == kWriteControl || call.api == kReadControl;
  const unsigned address = control ? 2 : reads_device ? 4 : 3;
  const unsigned bytes = control ? 3 : 5;
  WireReader reader(message_);
  for (WireField field; reader.next(field);) {
    if (field.field == address) call.address = field.number;
    if (field.field == bytes) call.size = field.number;
    if (field.field == 4 && !reads_device) call.data = field.bytes;
    if (field.field == 6) call.offset = field.number;
  }
  if (!reader.well_formed() || call.size > kMessageMax) {
    throw base::Error(EPROTO, "libxrt sent a malformed message, api " + std::to_string(call.api));
  }
  return true;
}

bool EmulationServer::answer(const Call& call, EmulatedBoard& board) {
  WireWriter out;
  const auto data =
      std::span(reinterpret_cast<const std::uint8_t*>(call.data.data()), call.data.size());
  switch (call.api) {
    case kWriteControl:
      for (std::size_t i = 0; i + 4 <= data.size(); i += 4) {
        std::uint32_t value;
        std::memcpy(&value, data.data() + i, 4);
        board.write_register(call.address + i, value);
      }
      reply(out.number(1, 1).message());
      return true;
    case kReadControl:
      scratch_.assign(call.size, '\0');
      for (std::size_t i = 0; i + 4 <= call.size; i += 4) {
        const std::uint32_t value = board.read_register(call.address + i);
        std::memcpy(&scratch_[i], &value, 4);
      }
      reply(out.number(1, 1).bytes(2, scratch_).message());
      return true;
    case kHostToDevice:
      board.write_memory(call.address + call.offset, data);
      reply(out.number(1, data.size()).message());
      return true;
    case kDeviceToHost:
      scratch_.assign(call.size, '\0');
      board.read_memory(call.address + call.offset,
                        {reinterpret_cast<std::uint8_t*>(scratch_.data()), scratch_.size()});
      reply(out.number(1, call.size).bytes(2, scratch_).message());
      return true;
    case kDebugMessages:
    case kReadTrace:
      reply(out.message());
      return true;
    case kTimestamp:
      reply(out.number(1, 0).message());
      return true;
    case kClose:
      // Before the reply, or libxrt's thread spins on the closed socket.
      end_d2x();
      reply(out.number(1, 1).message());
      return false;
    default:
      if (call.api != kAllocate && call.api != kFree && call.api != kSetEnvironment &&
          call.api != kLoadBitstream) {
        std::fprintf(stderr, "emulation: unexpected call %u acknowledged\n", call.api);
      }
      reply(out.number(1, 1).message());
      return true;
  }
}

void EmulationServer::reply(const std::string& message) {
  write_all(main_, header(message.size(), kReplyHeader) + message);
}

void EmulationServer::end_d2x() noexcept { write_all(d2x_, header(0, kCallHeader, kClose)); }

bool EmulationServer::call_host(std::uint32_t api, const std::string& message) noexcept {
  if (!write_all(d2x_, header(message.size(), kCallHeader, api) + message)) return false;
  std::uint8_t head[kCallHeader];
  if (!read_all(d2x_, head, sizeof(head))) return false;
  std::uint64_t size = 0;
  std::memcpy(&size, head + 1, 8);
  if (size > kMessageMax) return false;
  response_.resize(size);
  return size == 0 || read_all(d2x_, response_.data(), size);
}

bool EmulationServer::read_host(std::uint64_t address, std::span<std::uint8_t> out) noexcept {
  WireWriter call;
  if (!call_host(kReadHost, call.number(1, address).number(2, out.size()).message())) return false;
  bool valid = false, whole = false;
  WireReader reader(response_);
  for (WireField field; reader.next(field);) {
    if (field.field == 1) valid = field.number != 0;
    if (field.field == 2 && field.bytes.size() == out.size()) {
      std::memcpy(out.data(), field.bytes.data(), out.size());
      whole = true;
    }
  }
  return valid && whole && reader.well_formed();
}

bool EmulationServer::write_host(std::uint64_t address,
                                 std::span<const std::uint8_t> data) noexcept {
  WireWriter call;
  call.number(1, address).number(2, data.size()).bytes(3, text_of(data));
  if (!call_host(kWriteHost, call.message())) return false;
  bool valid = false;
  WireReader reader(response_);
  for (WireField field; reader.next(field);) {
    if (field.field == 1) valid = field.number != 0;
  }
  return valid && reader.well_formed();
}

}  // namespace saline::sim
