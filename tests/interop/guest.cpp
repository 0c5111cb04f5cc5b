// Everything the guest of the interop tests runs: the first process of a Linux kernel in user mode
// (see kernel_peer.py). It loads the modules named in /modules, echoes UDP on port 7, keeps sockets
// for UDP-encapsulated ESP on port 4500 (RFC 3948), and runs the commands that come in frames of
// its own EtherType on the one network device there is. Statically linked: the guest has no files
// but those the test packs.
//
// A frame: Ethernet header of kEtherType, then kind (1 byte), length (2, network order), data.
//   from the host   k  nothing: an interrupt, that is all     c, e  a command: a part, its last
//   part from the guest  h  hello: up                              o, x  output; then the exit
//   status
// A command is text for /bin/sh, or "@PATH": the contents of that file, without a process.
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/udp.h>
#include <linux/xfrm.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

namespace {

constexpr std::uint16_t kEtherType = 0x88B5;  // IEEE 802: local experiments
constexpr char kDevice[] = "vec0";
constexpr std::size_t kData = 1400;
constexpr int kLonely = 60'000;  // ms without a frame: the test is gone

[[noreturn]] void give_up(const char* what) {
  std::perror(what);
  ::reboot(RB_POWER_OFF);
  std::abort();
}

void mount_all() {
  for (const char* folder : {"/proc", "/sys", "/dev", "/tmp", "/run"}) ::mkdir(folder, 0755);
  ::mount("proc", "/proc", "proc", 0, nullptr);
  ::mount("sysfs", "/sys", "sysfs", 0, nullptr);
  ::mount("devtmpfs", "/dev", "devtmpfs", 0, nullptr);
  ::mount("tmpfs", "/tmp", "tmpfs", 0, nullptr);
  ::mount("tmpfs", "/run", "tmpfs", 0, nullptr);
}

// /modules lists file names, each after those it depends on.
void load_modules() {
  std::FILE* list = std::fopen("/modules", "r");
  if (!list) give_up("/modules");
  char name[256];
  while (std::fscanf(list, "%255s", name) == 1) {
    const int file = ::open(name, O_RDONLY | O_CLOEXEC);
    if (file < 0 || ::syscall(SYS_finit_module, file, "", 0) != 0) std::perror(name);
    ::close(file);
  }
  std::fclose(list);
}

// As a key daemon's socket: what comes in UDP is no clear packet to be refused by policy.
bool bypass_policy(int fd, int family) {
  xfrm_userpolicy_info policy{};
  policy.sel.family = static_cast<std::uint16_t>(family);
  policy.action = XFRM_POLICY_ALLOW;
  policy.dir = XFRM_POLICY_IN;
  const int level = family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP;
  const int option = family == AF_INET6 ? IPV6_XFRM_POLICY : IP_XFRM_POLICY;
  return ::setsockopt(fd, level, option, &policy, sizeof policy) == 0;
}

int udp_socket(int family, std::uint16_t port, bool encapsulated) {
  const int fd = ::socket(family, SOCK_DGRAM, 0);
  const int one = 1;
  const int type = UDP_ENCAP_ESPINUDP;
  sockaddr_in6 six{};
  sockaddr_in four{};
  six.sin6_family = AF_INET6;
  four.sin_family = AF_INET;
  six.sin6_port = four.sin_port = htons(port);
  int failed;
  if (family == AF_INET6) {
    ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    failed = ::bind(fd, reinterpret_cast<sockaddr*>(&six), sizeof six);
  } else {
    failed = ::bind(fd, reinterpret_cast<sockaddr*>(&four), sizeof four);
  }
  if (encapsulated) {
    failed |= ::setsockopt(fd, IPPROTO_UDP, UDP_ENCAP, &type, sizeof type);
    failed |= !bypass_policy(fd, family);
  }
  if (failed) give_up("UDP socket");
  return fd;
}

[[noreturn]] void echo() {
  std::array<pollfd, 2> sockets{
      {{udp_socket(AF_INET, 7, false), POLLIN, 0}, {udp_socket(AF_INET6, 7, false), POLLIN, 0}}};
  static char data[65536];
  for (;;) {
    ::poll(sockets.data(), sockets.size(), -1);
    for (const pollfd& socket : sockets) {
      sockaddr_storage peer;
      socklen_t size = sizeof peer;
      auto* const address = reinterpret_cast<sockaddr*>(&peer);
      const ssize_t got = ::recvfrom(socket.fd, data, sizeof data, MSG_DONTWAIT, address, &size);
      if (got >= 0) ::sendto(socket.fd, data, static_cast<std::size_t>(got), 0, address, size);
    }
  }
}

class Agent {
 public:
  Agent() {
    ifreq request{};
    std::strcpy(request.ifr_name, kDevice);
    fd_ = ::socket(AF_PACKET, SOCK_RAW, htons(kEtherType));
    if (fd_ < 0 || ::ioctl(fd_, SIOCGIFFLAGS, &request) < 0) give_up(kDevice);
    request.ifr_flags |= IFF_UP;
    if (::ioctl(fd_, SIOCSIFFLAGS, &request) < 0) give_up(kDevice);
    ::ioctl(fd_, SIOCGIFHWADDR, &request);
    std::memcpy(mac_, request.ifr_hwaddr.sa_data, sizeof mac_);
    const int room = 4 << 20;
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(kEtherType);
    address.sll_ifindex = static_cast<int>(::if_nametoindex(kDevice));
    if (::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) give_up("bind");
  }

  [[noreturn]] void serve() {
    send('h', {});
    for (;;) {
      pollfd input{fd_, POLLIN, 0};
      if (::poll(&input, 1, kLonely) == 0) ::reboot(RB_POWER_OFF);
      unsigned char frame[2048];
      const ssize_t got = ::recv(fd_, frame, sizeof frame, 0);
      if (got < ETH_HLEN + 3) continue;
      const unsigned char* at = frame + ETH_HLEN;
      const std::size_t length = std::size_t{at[1]} << 8 | at[2];
      if (at[0] == 'k' || length > static_cast<std::size_t>(got) - ETH_HLEN - 3) continue;
      command_.append(reinterpret_cast<const char*>(at + 3), length);
      if (at[0] == 'c') continue;
      const char status = static_cast<char>(command_[0] == '@' ? show(command_.c_str() + 1)
                                                               : run(command_.c_str()));
      send('x', {&status, 1});
      command_.clear();
    }
  }

 private:
  void send(char kind, std::string_view data) {
    unsigned char frame[ETH_HLEN + 3 + kData] = {};
    std::memset(frame, 0xFF, 6);
    std::memcpy(frame + 6, mac_, 6);
    frame[12] = kEtherType >> 8;
    frame[13] = kEtherType & 0xFF;
    frame[14] = static_cast<unsigned char>(kind);
    frame[15] = static_cast<unsigned char>(data.size() >> 8);
    frame[16] = static_cast<unsigned char>(data.size());
    std::copy(data.begin(), data.end(), frame + ETH_HLEN + 3);
    if (::send(fd_, frame, ETH_HLEN + 3 + data.size(), 0) < 0) std::perror("send");
  }

  bool pass_on(int from) {
    char data[kData];
    const ssize_t got = ::read(from, data, sizeof data);
    if (got > 0) send('o', {data, static_cast<std::size_t>(got)});
    return got > 0;
  }

  int show(const char* path) {
    const int file = ::open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 1;
    while (pass_on(file)) {
    }
    ::close(file);
    return 0;
  }

  int run(const char* text) {
    int ends[2];
    if (::pipe(ends) != 0) return 125;
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(ends[0]);
      ::dup2(ends[1], 1);
      ::dup2(ends[1], 2);
      ::close(ends[1]);
      ::alarm(20);
      ::execl("/bin/sh", "sh", "-c", text, nullptr);
      ::_exit(127);
    }
    ::close(ends[1]);
    while (pass_on(ends[0])) {
    }
    ::close(ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  int fd_ = -1;
  char mac_[6];
  std::string command_;
};

}  // namespace

int main() {
  ::setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
  mount_all();
  load_modules();
  Agent agent;
  if (::fork() == 0) echo();
  udp_socket(AF_INET, 4500, true);
  udp_socket(AF_INET6, 4500, true);
  agent.serve();
}
