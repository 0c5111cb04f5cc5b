// A card whose MAC is a network device: frames to and from a raw socket at the other end of a veth
// pair, in a network namespace of this process's own. The card must wake for a frame that comes
// while it is idle.
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "tests/driver/card_fixture.hpp"

namespace saline::driver {
namespace {

// The far end: sees every frame on its device, its own ones not.
class RawSocket {
 public:
  explicit RawSocket(const char* device)
      : fd_(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL))) {
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex = static_cast<int>(if_nametoindex(device));
    const timeval limit{10, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    bound_ = bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  }
  ~RawSocket() { close(fd_); }
  bool bound() const { return bound_; }
  void send(const Bytes& frame) {
    EXPECT_EQ(::send(fd_, frame.data(), frame.size(), 0), ssize(frame));
  }
  Bytes receive() {
    Bytes frame(2048);
    for (;;) {
      sockaddr_ll from{};
      socklen_t length = sizeof(from);
      const ssize_t got =
          recvfrom(fd_, frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&from), &length);
      if (got < 0) return {};
      if (from.sll_pkttype == PACKET_OUTGOING) continue;
      frame.resize(static_cast<std::size_t>(got));
      return frame;
    }
  }

 private:
  static ssize_t ssize(const Bytes& frame) { return static_cast<ssize_t>(frame.size()); }
  int fd_;
  bool bound_ = false;
};

class WireTest : public CardTest {
 protected:
  void SetUp() override {
    if (unshare(CLONE_NEWNET) != 0) GTEST_SKIP() << "needs the right to make a network namespace";
    // IPv6 off: the kernel's own frames would mix with ours.
    const int made = std::system(
        "for d in all default; do echo 1 >/proc/sys/net/ipv6/conf/$d/disable_ipv6; done 2>&-; "
        "ip link add near type veth peer name far && ip link set near up && ip link set far up");
    if (made != 0) GTEST_SKIP() << "needs ip(8) and the veth module";
    open("iface:near");
  }
};

TEST_F(WireTest, SendsAndReceivesOnANetworkDevice) {
  RawSocket far("far");
  ASSERT_TRUE(far.bound());
  const Bytes out = udp_frame(base::Family::ipv4, 100);
  send({plain(out)});
  EXPECT_EQ(far.receive(), out);
  EXPECT_TRUE(silent());
  for (int i = 0; i < 5; ++i) {
    const Bytes in = udp_frame(base::Family::ipv6, 60 + 200 * static_cast<std::size_t>(i));
    far.send(in);
    const auto back = next();
    ASSERT_TRUE(back) << "the idle card did not wake";
    EXPECT_EQ(back->bytes, in);
  }
}

}  // namespace
}  // namespace saline::driver
