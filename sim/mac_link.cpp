// The links: a loop and a void in memory, and a network device by a packet(7) socket. Offloads are
// not undone: a kernel at the other end should have checksum and segmentation offload off.
#include "sim/mac_link.hpp"

#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "host/base/error.hpp"
#include "hw/interface/saline_hw.hpp"

namespace saline::sim {

namespace {

constexpr std::size_t kFrameBytesMin = 60;  // IEEE 802.3 minimum without FCS
constexpr std::size_t kQueueMax = 4096;     // frames a loopback holds

// As a MAC does: short frames are padded with zeros.
std::vector<std::uint8_t> padded(std::span<const std::uint8_t> frame) {
  std::vector<std::uint8_t> bytes(frame.begin(), frame.end());
  if (bytes.size() < kFrameBytesMin) bytes.resize(kFrameBytesMin);
  return bytes;
}

class Loopback final : public Mac {
 public:
  void transmit(std::span<const std::uint8_t> frame) noexcept override {
    if (queue_.size() < kQueueMax) queue_.push_back(padded(frame));
  }
  bool receive(Frame& frame) noexcept override {
    if (queue_.empty()) return false;
    frame = {std::move(queue_.front()), false};
    queue_.pop_front();
    return true;
  }

 private:
  std::deque<std::vector<std::uint8_t>> queue_;
};

class NoLink final : public Mac {
 public:
  void transmit(std::span<const std::uint8_t>) noexcept override {}
  bool receive(Frame&) noexcept override { return false; }
};

// A network device by a packet(7) socket.
class Interface final : public Mac {
 public:
  explicit Interface(const std::string& name) {
    // No protocol yet: nothing is received before the socket is bound to its device.
    socket_ = ::socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (socket_ < 0 && errno == EPERM) {
      throw base::Error(EPERM, "mac=iface:" + name +
                                   " needs CAP_NET_RAW: run as root or in a network namespace "
                                   "of your own");
    }
    if (socket_ < 0) throw base::system_error("open a packet socket for mac=iface:" + name);
    try {
      bind_to(name);
    } catch (...) {
      ::close(socket_);
      throw;
    }
  }
  ~Interface() override { ::close(socket_); }

  void transmit(std::span<const std::uint8_t> frame) noexcept override {
    // What the device does not take is lost, as on a wire.
    if (frame.size() >= kFrameBytesMin) {
      (void)!::send(socket_, frame.data(), frame.size(), 0);
      return;
    }
    std::array<std::uint8_t, kFrameBytesMin> short_frame{};
    std::copy(frame.begin(), frame.end(), short_frame.begin());
    (void)!::send(socket_, short_frame.data(), short_frame.size(), 0);
  }

  bool receive(Frame& frame) noexcept override {
    for (;;) {
      sockaddr_ll from{};
      alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(tpacket_auxdata))> control{};
      iovec part{buffer_.data() + kTag, buffer_.size() - kTag};
      msghdr message{};
      message.msg_name = &from;
      message.msg_namelen = sizeof from;
      message.msg_iov = &part;
      message.msg_iovlen = 1;
      message.msg_control = control.data();
      message.msg_controllen = control.size();
      const ssize_t bytes = ::recvmsg(socket_, &message, MSG_DONTWAIT);
      if (bytes < 0) return false;
      if (from.sll_pkttype == PACKET_OUTGOING || bytes < ETH_HLEN) continue;
      if ((message.msg_flags & MSG_TRUNC) != 0) continue;  // longer than the card carries
      const std::size_t tag = put_tag_back(message);
      const std::uint8_t* first = buffer_.data() + kTag - tag;
      frame.bytes.assign(first, first + bytes + tag);
      frame.damaged = false;
      return true;
    }
  }

 private:
  static constexpr std::size_t kTag = 4;  // bytes of a VLAN tag

  void bind_to(const std::string& name) {
    ifreq request{};
    if (name.empty() || name.size() >= sizeof request.ifr_name) {
      throw base::Error(EINVAL, "mac=iface:" + name + ": not a name of a network device");
    }
    std::memcpy(request.ifr_name, name.data(), name.size());
    if (::ioctl(socket_, SIOCGIFINDEX, &request) != 0) {
      throw base::Error(ENODEV, "mac=iface:" + name + ": there is no such network device; " +
                                    "create it first or see ip link");
    }
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = __builtin_bswap16(ETH_P_ALL);
    address.sll_ifindex = request.ifr_ifindex;
    const int on = 1, room = 4 << 20;
    packet_mreq membership{};
    membership.mr_ifindex = request.ifr_ifindex;
    membership.mr_type = PACKET_MR_PROMISC;
    // Older kernels do not know the first; receive() looks at the packet type in any case.
    (void)::setsockopt(socket_, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on);
    (void)::setsockopt(socket_, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    if (::setsockopt(socket_, SOL_PACKET, PACKET_AUXDATA, &on, sizeof on) != 0 ||
        ::setsockopt(socket_, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &membership, sizeof membership) !=
            0 ||
        ::bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      throw base::system_error("bind a packet socket to " + name);
    }
  }

  // The kernel takes the outermost VLAN tag out of a frame; returns the bytes put before it.
  std::size_t put_tag_back(msghdr& message) noexcept {
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header;
         header = CMSG_NXTHDR(&message, header)) {
      if (header->cmsg_level != SOL_PACKET || header->cmsg_type != PACKET_AUXDATA) continue;
      tpacket_auxdata extra{};
      std::memcpy(&extra, CMSG_DATA(header), sizeof extra);
      if ((extra.tp_status & TP_STATUS_VLAN_VALID) == 0) continue;
      const std::uint16_t kind =
          (extra.tp_status & TP_STATUS_VLAN_TPID_VALID) != 0 ? extra.tp_vlan_tpid : ETH_P_8021Q;
      std::memmove(buffer_.data(), buffer_.data() + kTag, 2 * ETH_ALEN);
      std::uint8_t* tag = buffer_.data() + 2 * ETH_ALEN;
      tag[0] = static_cast<std::uint8_t>(kind >> 8);
      tag[1] = static_cast<std::uint8_t>(kind);
      tag[2] = static_cast<std::uint8_t>(extra.tp_vlan_tci >> 8);
      tag[3] = static_cast<std::uint8_t>(extra.tp_vlan_tci);
      return kTag;
    }
    return 0;
  }

  int socket_ = -1;
  std::array<std::uint8_t, hw::kFrameBytesMax + kTag> buffer_{};
};

}  // namespace

std::unique_ptr<Mac> open_mac_link(const std::string& link) {
  constexpr std::string_view kInterface = "iface:";
  if (link == "loopback") return std::make_unique<Loopback>();
  if (link == "none") return std::make_unique<NoLink>();
  if (link.starts_with(kInterface)) {
    return std::make_unique<Interface>(link.substr(kInterface.size()));
  }
  throw base::Error(EINVAL, "mac=" + link + ": say loopback, none or iface:NAME");
}

}  // namespace saline::sim
