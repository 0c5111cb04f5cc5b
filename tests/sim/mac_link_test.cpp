// Links of the simulated MAC: texts that are refused, loopback, and a pair of network devices in a
// network namespace of the test's own (skipped where that is not allowed).
#include "sim/mac_link.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "host/base/error.hpp"

namespace saline::sim {
namespace {

int errno_of(const std::string& link) {
  try {
    open_mac_link(link);
  } catch (const base::Error& error) {
    return error.errno_value();
  }
  return 0;
}

std::vector<std::uint8_t> frame_of(std::size_t bytes, bool tagged = false) {
  std::vector<std::uint8_t> frame(bytes, 0x5A);
  const std::vector<std::uint8_t> kind =
      tagged ? std::vector<std::uint8_t>{0x81, 0x00, 0x20, 0x64, 0x88, 0xB5}
             : std::vector<std::uint8_t>{0x88, 0xB5};
  std::fill_n(frame.begin(), 12, 0x02);
  std::copy(kind.begin(), kind.end(), frame.begin() + 12);
  for (std::size_t i = 20; i < bytes; ++i) frame[i] = static_cast<std::uint8_t>(i);
  return frame;
}

TEST(MacLink, RefusesTextsItDoesNotKnow) {
  EXPECT_EQ(errno_of("loop"), EINVAL);
  EXPECT_EQ(errno_of(""), EINVAL);
  EXPECT_EQ(errno_of("loopback"), 0);
  EXPECT_EQ(errno_of("none"), 0);
}

TEST(MacLink, LoopbackReturnsFramesInOrderPaddedToTheEthernetMinimum) {
  const auto mac = open_mac_link("loopback");
  Mac::Frame frame;
  EXPECT_FALSE(mac->receive(frame));
  mac->transmit(frame_of(20));
  mac->transmit(frame_of(1500));
  ASSERT_TRUE(mac->receive(frame));
  ASSERT_EQ(frame.bytes.size(), 60u);
  EXPECT_EQ(frame.bytes[19], 0x5A);
  EXPECT_THAT(std::vector<std::uint8_t>(frame.bytes.begin() + 20, frame.bytes.end()),
              testing::Each(0));
  ASSERT_TRUE(mac->receive(frame));
  EXPECT_EQ(frame.bytes, frame_of(1500));
  EXPECT_FALSE(mac->receive(frame));
}

TEST(MacLink, NoneSwallowsFrames) {
  const auto mac = open_mac_link("none");
  Mac::Frame frame;
  mac->transmit(frame_of(100));
  EXPECT_FALSE(mac->receive(frame));
}

// Runs body in a thread with a network namespace of its own that holds the pair left and right.
template <class Body>
void in_namespace(Body body) {
  std::string reason;
  std::thread([&] {
    if (::unshare(CLONE_NEWNET) != 0) {
      reason = "a network namespace needs CAP_SYS_ADMIN";
      return;
    }
    if (std::system("ip link add left mtu 9000 type veth peer name right mtu 9000 2>/dev/null && "
                    "ip link set left up && ip link set right up") != 0) {
      reason = "cannot make a veth pair with ip";
      return;
    }
    body();
  }).join();
  if (!reason.empty()) GTEST_SKIP() << reason;
}

// The next frame of the test's kind; the kernel speaks on a new link as well.
bool receive_ours(Mac& mac, Mac::Frame& frame) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  while (std::chrono::steady_clock::now() < until) {
    if (!mac.receive(frame)) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    } else if (frame.bytes.size() >= 14 && frame.bytes[0] == 0x02 && frame.bytes[6] == 0x02) {
      return true;
    }
  }
  return false;
}

// A link that has just come up may still lose frames: waits until one gets across, both ways.
void wait_for_carrier(Mac& left, Mac& right) {
  Mac::Frame frame;
  for (Mac* from : {&left, &right}) {
    Mac& to = from == &left ? right : left;
    bool crossed = false;
    for (int tries = 0; tries < 2000 && !crossed; ++tries) {
      from->transmit(frame_of(99));
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      while (to.receive(frame)) crossed = crossed || frame.bytes == frame_of(99);
    }
    ASSERT_TRUE(crossed);
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
  while (left.receive(frame) || right.receive(frame)) {
  }
}

TEST(MacLink, CarriesFramesOfEverySizeBetweenTwoDevices) {
  in_namespace([] {
    const auto left = open_mac_link("iface:left"), right = open_mac_link("iface:right");
    wait_for_carrier(*left, *right);
    for (const std::size_t bytes : {20, 59, 60, 61, 1514, 9014}) {
      SCOPED_TRACE(bytes);
      left->transmit(frame_of(bytes));
      Mac::Frame frame;
      ASSERT_TRUE(receive_ours(*right, frame));
      EXPECT_EQ(frame.bytes.size(), std::max<std::size_t>(bytes, 60));
      frame.bytes.resize(bytes);
      EXPECT_EQ(frame.bytes, frame_of(bytes));
    }
  });
}

TEST(MacLink, KeepsVlanTags) {
  in_namespace([] {
    const auto left = open_mac_link("iface:left"), right = open_mac_link("iface:right");
    wait_for_carrier(*left, *right);
    left->transmit(frame_of(100, true));
    Mac::Frame frame;
    ASSERT_TRUE(receive_ours(*right, frame));
    EXPECT_EQ(frame.bytes, frame_of(100, true));
  });
}

TEST(MacLink, DoesNotReceiveWhatItSends) {
  in_namespace([] {
    const auto left = open_mac_link("iface:left"), right = open_mac_link("iface:right");
    wait_for_carrier(*left, *right);
    left->transmit(frame_of(100));
    Mac::Frame frame;
    ASSERT_TRUE(receive_ours(*right, frame));
    while (left->receive(frame)) EXPECT_NE(frame.bytes, frame_of(100));
  });
}

TEST(MacLink, SaysThatADeviceDoesNotExist) {
  in_namespace([] {
    EXPECT_EQ(errno_of("iface:nothere"), ENODEV);
    EXPECT_EQ(errno_of("iface:"), EINVAL);
    EXPECT_EQ(errno_of("iface:a-name-longer-than-a-device-has"), EINVAL);
  });
}

}  // namespace
}  // namespace saline::sim
