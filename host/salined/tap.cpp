// A TAP device as a port (Linux, Documentation/networking/tuntap). Frames go through one system
// call each: the price of talking to the kernel. No offloads: the kernel computes checksums and
// segments itself.
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <rte_mbuf.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "host/base/error.hpp"
#include "host/salined/port.hpp"

namespace saline::daemon {
namespace {

using base::Error;

class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int get() const noexcept { return fd_; }

 private:
  int fd_;
};

int open_device() {
  const int fd = ::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) {
    throw Error(errno, std::string("/dev/net/tun cannot be opened (") + std::strerror(errno) +
                           "): a TAP host port needs root and the tun module");
  }
  return fd;
}

class Tap : public Port {
 public:
  Tap(const std::string& name, const MacAddress& mac, std::uint16_t mtu, rte_mempool* pool)
      : device_(open_device()), name_(name), mac_(mac), mtu_(mtu), pool_(pool) {
    attach();
    const File socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (socket.get() < 0) throw base::system_error("socket");
    ifreq request = named_request();
    request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
    std::memcpy(request.ifr_hwaddr.sa_data, mac_.data(), mac_.size());
    control(socket, SIOCSIFHWADDR, request, "address");
    request = named_request();
    request.ifr_mtu = mtu_;
    control(socket, SIOCSIFMTU, request, "MTU");
  }

  const std::string& name() const noexcept override { return name_; }
  MacAddress mac() const noexcept override { return mac_; }
  std::uint16_t mtu() const noexcept override { return mtu_; }

  // Packets put together here come in whole: the kernel minds the MTU only when it sends.
  std::uint32_t frame_max() const noexcept override { return 65535; }

  std::size_t receive(std::span<rte_mbuf*> frames) noexcept override {
    std::size_t count = 0;
    while (count < frames.size()) {
      rte_mbuf* mbuf = rte_pktmbuf_alloc(pool_);
      if (mbuf == nullptr) break;
      mbuf->data_off = kFrameHeadroom;
      const std::size_t room = mbuf->buf_len - kFrameHeadroom;
      const ssize_t got = ::read(device_.get(), rte_pktmbuf_mtod(mbuf, void*), room);
      if (got <= 0) {
        rte_pktmbuf_free(mbuf);
        break;
      }
      mbuf->data_len = static_cast<std::uint16_t>(got);
      mbuf->pkt_len = static_cast<std::uint32_t>(got);
      frames[count++] = mbuf;
    }
    return count;
  }

  std::size_t send(std::span<rte_mbuf*> frames) noexcept override {
    std::size_t sent = 0;
    for (rte_mbuf* mbuf : frames) {
      sent += mbuf->nb_segs == 1 ? ::write(device_.get(), rte_pktmbuf_mtod(mbuf, const void*),
                                           mbuf->data_len) == mbuf->data_len
                                 : send_chain(*mbuf);
      rte_pktmbuf_free(mbuf);
    }
    return sent;
  }

 private:
  bool send_chain(const rte_mbuf& frame) noexcept {
    std::array<iovec, 64> pieces;  // of 64 KiB in the smallest buffers there are
    int count = 0;
    for (const rte_mbuf* at = &frame; at != nullptr; at = at->next) {
      if (count == static_cast<int>(pieces.size())) return false;
      pieces[static_cast<std::size_t>(count++)] = {rte_pktmbuf_mtod(at, void*), at->data_len};
    }
    return ::writev(device_.get(), pieces.data(), count) == static_cast<ssize_t>(frame.pkt_len);
  }

  ifreq named_request() const noexcept {
    ifreq request{};
    std::memcpy(request.ifr_name, name_.data(), name_.size());
    return request;
  }

  void attach() {
    if (name_.empty() || name_.size() >= IFNAMSIZ) {
      throw Error(EINVAL, "'" + name_ + "' is no name for a network device: 1 to 15 characters");
    }
    if (if_nametoindex(name_.c_str()) != 0) {
      throw Error(EBUSY, "a network device " + name_ +
                             " exists already; end the salined that made it or choose another "
                             "name with --host-port tap:NAME");
    }
    ifreq request = named_request();
    request.ifr_flags = IFF_TAP | IFF_NO_PI;
    if (::ioctl(device_.get(), TUNSETIFF, &request) != 0) {
      throw Error(errno, "the TAP device " + name_ + " cannot be made (" + std::strerror(errno) +
                             "): this needs CAP_NET_ADMIN");
    }
  }

  void control(const File& socket, unsigned long operation, ifreq& request,
               const char* what) const {
    if (::ioctl(socket.get(), operation, &request) != 0) {
      throw base::system_error(std::string("setting the ") + what + " of " + name_);
    }
  }

  File device_;
  std::string name_;
  MacAddress mac_;
  std::uint16_t mtu_;
  rte_mempool* pool_;
};

}  // namespace

std::unique_ptr<Port> open_tap(const std::string& name, const MacAddress& mac, std::uint16_t mtu,
                               rte_mempool* pool) {
  return std::make_unique<Tap>(name, mac, mtu, pool);
}

}  // namespace saline::daemon
