// Traffic through a gateway's two TAP ports, devices `plain` and `wire` of this network namespace:
// sent by packet(7) as fast as the kernel takes it, counted by the kernel.
#pragma once

#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "tests/bench/forward/frames.hpp"

namespace saline::bench {

class TapTraffic {
 public:
  // Packets a second that the gateway writes to the other device; 0 when it writes none within
  // 20 s.
  static double rate(const std::string& in, const std::string& out, const Frame& frame) {
    TapTraffic traffic(in);
    for (int tenth = 0; traffic.pump(out, frame, 0.1) < 10; ++tenth)
      if (tenth == 200) return 0;
    return static_cast<double>(traffic.pump(out, frame, kSeconds)) / kSeconds;
  }

 private:
  static constexpr double kSeconds = 1.5;

  explicit TapTraffic(const std::string& device) : socket_(socket(AF_PACKET, SOCK_RAW, 0)) {
    const int on = 1;
    setsockopt(socket_, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on);
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_ifindex = static_cast<int>(if_nametoindex(device.c_str()));
    if (bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
      throw std::runtime_error("cannot send on " + device);
  }
  ~TapTraffic() { close(socket_); }

  // Of /proc/net/dev: what the device's other end, the gateway, has given to the kernel.
  static std::uint64_t received(const std::string& device) {
    std::FILE* table = std::fopen("/proc/net/dev", "r");
    char line[512], name[64];
    unsigned long long packets = 0, found = 0;
    while (table != nullptr && std::fgets(line, sizeof line, table) != nullptr)
      if (std::sscanf(line, " %63[^:]: %*u %llu", name, &packets) == 2 && device == name)
        found = packets;
    if (table != nullptr) std::fclose(table);
    return found;
  }

  std::uint64_t pump(const std::string& out, const Frame& frame, double seconds) {
    using Clock = std::chrono::steady_clock;
    const std::uint64_t before = received(out);
    const auto end = Clock::now() + std::chrono::duration<double>(seconds);
    iovec part{const_cast<std::uint8_t*>(frame.data()), frame.size()};
    mmsghdr burst[64]{};
    for (mmsghdr& message : burst) {
      message.msg_hdr.msg_iov = &part;
      message.msg_hdr.msg_iovlen = 1;
    }
    while (Clock::now() < end)
      if (sendmmsg(socket_, burst, 64, MSG_DONTWAIT) < 0) usleep(20);
    return received(out) - before;
  }

  int socket_;
};

}  // namespace saline::bench
