// Where a simulated card's MAC leads: back into itself, to a network device of this machine, to a
// queue of a test, or nowhere.
#pragma once

#include <deque>
#include <memory>
#include <string>

#include "sim/card.hpp"

namespace saline::sim {

// "loopback": every frame sent is received. "iface:NAME": a raw socket on network device NAME
// (promiscuous, non-blocking, frames the host itself sends on it are not received). "none": sent
// frames vanish. Throws base::Error saying what to do: EINVAL for any other text, ENODEV when the
// device does not exist, EPERM without CAP_NET_RAW.
std::unique_ptr<Mac> open_mac_link(const std::string& link);

// Two queues in memory, for tests.
class QueueMac : public Mac {
 public:
  void transmit(std::span<const std::uint8_t> frame) noexcept override {
    sent.emplace_back(frame.begin(), frame.end());
  }
  bool receive(Frame& frame) noexcept override {
    if (to_receive.empty()) return false;
    frame = std::move(to_receive.front());
    to_receive.pop_front();
    return true;
  }

  std::deque<std::vector<std::uint8_t>> sent;
  std::deque<Frame> to_receive;
};

}  // namespace saline::sim
