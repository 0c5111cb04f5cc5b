// A whole card whose MAC loops back, over the transport that SALINE_TEST_TRANSPORT names (model
// when unset), with frames in and out of it. Every wait is bounded.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <numeric>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "driver/device.hpp"
#include "driver/gcm_powers.hpp"
#include "host/base/bytes.hpp"
#include "host/base/error.hpp"

namespace saline::driver {

using Bytes = std::vector<std::uint8_t>;

constexpr std::size_t kEthernetBytes = 14;

inline std::uint16_t internet_checksum(std::span<const std::uint8_t> header) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i + 1 < header.size(); i += 2) sum += base::load16(&header[i]);
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

// A UDP packet between two hosts behind Ethernet addresses of our own.
inline Bytes udp_frame(base::Family family, std::size_t payload, std::uint8_t filler = 0x11,
                       std::uint16_t port = 7) {
  const bool v4 = family == base::Family::ipv4;
  const std::size_t ip = v4 ? 20 : 40;
  Bytes out(kEthernetBytes + ip + 8 + payload, filler);
  const std::uint8_t ethernet[] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};
  std::copy(std::begin(ethernet), std::end(ethernet), out.begin());
  base::store16(&out[12], v4 ? 0x0800 : 0x86dd);
  std::uint8_t* header = &out[kEthernetBytes];
  std::fill_n(header, ip, std::uint8_t{0});
  const auto length = static_cast<std::uint16_t>(8 + payload);
  if (v4) {
    header[0] = 0x45;
    base::store16(header + 2, static_cast<std::uint16_t>(20 + length));
    header[8] = 64;
    header[9] = 17;
    base::store32(header + 12, 0x0A010101);
    base::store32(header + 16, 0x0A020202);
    base::store16(header + 10, internet_checksum({header, 20}));
  } else {
    header[0] = 0x60;
    base::store16(header + 4, length);
    header[6] = 17;
    header[7] = 64;
    header[8] = header[24] = 0xFD;
    header[23] = 1;
    header[39] = 2;
  }
  std::uint8_t* udp = header + ip;
  base::store16(udp, 1000);
  base::store16(udp + 2, port);
  base::store16(udp + 4, length);
  base::store16(udp + 6, 0);
  for (std::size_t i = 0; i < payload; ++i) udp[8 + i] = static_cast<std::uint8_t>(filler + i);
  return out;
}

struct Received {
  RxFrame frame;
  Bytes bytes;
};

class CardTest : public testing::Test {
 protected:
  static std::string transport() {
    const char* kind = std::getenv("SALINE_TEST_TRANSPORT");
    return kind ? kind : "model";
  }

  void SetUp() override { open("loopback"); }

  void open(const std::string& mac) {
    Options options;
    if (transport() == "model") {
      options["mac"] = mac;
    } else {
      setenv("SALINE_MAC", mac.c_str(), 1);  // for the process that libxrt starts
    }
    device_ = std::make_unique<Device>(open_transport(transport(), options));
    start({.transmit = 16, .receive = 32, .events = 8});
  }

  Device& device() { return *device_; }

  void start(const RingSizes& sizes) {
    device().start(sizes);
    buffers_.assign(sizes.receive, Bytes(2048));
    for (std::size_t i = 0; i < buffers_.size(); ++i) post(i);
  }

  // Keys, salts and tags differ from SA to SA; both ends of one SPI agree.
  static hw::SaContext context(std::uint32_t spi, base::Family outer = base::Family::ipv4) {
    hw::SaContext c;
    c.suite = static_cast<std::uint8_t>(hw::Suite::aes_gcm_128_16);
    c.tunnel = true;
    c.outer_ipv6 = outer == base::Family::ipv6;
    c.spi = spi;
    c.salt = 0xCAFE0000 | spi;
    c.replay_words = 2;
    c.hop_limit = 64;
    c.iv_base = 0x0123456789ABCDEF ^ spi;
    c.source = outer_source(outer).bytes;
    c.destination = outer_destination(outer).bytes;
    set_key(c, 16);
    return c;
  }
  static void set_key(hw::SaContext& c, std::size_t bytes) {
    c.suite = static_cast<std::uint8_t>(bytes == 16 ? hw::Suite::aes_gcm_128_16
                                                    : hw::Suite::aes_gcm_256_16);
    std::iota(c.key.begin(), c.key.begin() + static_cast<long>(bytes),
              static_cast<std::uint8_t>(c.spi));
    c.hash_powers = gcm_hash_powers(std::span(c.key).first(bytes));
  }
  static base::Address outer_source(base::Family family) {
    return base::Address::parse(family == base::Family::ipv4 ? "192.0.2.1" : "2001:db8::1");
  }
  static base::Address outer_destination(base::Family family) {
    return base::Address::parse(family == base::Family::ipv4 ? "192.0.2.2" : "2001:db8::2");
  }

  static TxFrame plain(const Bytes& frame) {
    TxFrame out;
    out.data = frame.data();
    out.bytes = static_cast<std::uint16_t>(frame.size());
    return out;
  }
  static TxFrame through(const SaSlot& slot, const Bytes& frame) {
    TxFrame out = plain(frame);
    out.protect = true;
    out.sa_index = slot.index;
    out.sa_tag = slot.tag;
    return out;
  }

  // Sends the frames and waits until their buffers are free again.
  void send(std::vector<TxFrame> frames) {
    std::size_t sent = 0, reaped = 0;
    const auto end = deadline();
    while (reaped < frames.size() && std::chrono::steady_clock::now() < end) {
      for (std::size_t i = sent; i < frames.size(); ++i) frames[i].cookie = i;
      sent += device().transmit(std::span(frames).subspan(sent));
      std::uint64_t cookies[8];
      const std::size_t count = device().reap_transmitted(cookies);
      for (std::size_t i = 0; i < count; ++i) EXPECT_EQ(cookies[i], reaped + i);
      reaped += count;
      collect();
    }
    ASSERT_EQ(reaped, frames.size()) << "frames the card did not take";
    ASSERT_FALSE(device().failed());
  }

  // The next received frame.
  std::optional<Received> next(std::chrono::seconds patience = std::chrono::seconds(30)) {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (arrived_.empty() && std::chrono::steady_clock::now() < end) collect();
    if (arrived_.empty()) return std::nullopt;
    Received out = std::move(arrived_.front());
    arrived_.erase(arrived_.begin());
    return out;
  }

  // Nothing arrives although the card is at rest.
  bool silent() {
    const auto end = deadline();
    int idle = 0;
    while (idle < 20 && std::chrono::steady_clock::now() < end) {
      const std::size_t before = arrived_.size();
      collect();
      idle = arrived_.size() == before ? idle + 1 : 0;
      if (transport() != "model") std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return arrived_.empty();
  }

  static std::chrono::steady_clock::time_point deadline() {
    return std::chrono::steady_clock::now() + std::chrono::seconds(60);
  }

  std::vector<hw::Event> wait_events(std::size_t count) {
    std::vector<hw::Event> out;
    const auto end = deadline();
    while (out.size() < count && std::chrono::steady_clock::now() < end) {
      hw::Event events[4];
      const std::size_t got = device().poll_events(events);
      out.insert(out.end(), events, events + got);
    }
    return out;
  }

  // What the card sends for this frame, taken from its own wire: no SA of this SPI may be inbound.
  Bytes protected_form(const SaSlot& slot, const Bytes& frame) {
    send({through(slot, frame)});
    const auto wire = next();
    EXPECT_TRUE(wire && wire->frame.esp && !wire->frame.is_protected);
    return wire ? wire->bytes : Bytes(128);
  }

 private:
  void post(std::size_t index) {
    const RxBuffer buffer{buffers_[index].data(),
                          static_cast<std::uint16_t>(buffers_[index].size()), index};
    ASSERT_EQ(device().post_receive({&buffer, 1}), 1u);
  }
  void collect() {
    RxFrame frames[8];
    const std::size_t count = device().receive(frames);
    for (std::size_t i = 0; i < count; ++i) {
      const Bytes& buffer = buffers_[frames[i].cookie];
      arrived_.push_back({frames[i], Bytes(buffer.begin(), buffer.begin() + frames[i].bytes)});
      post(frames[i].cookie);
    }
  }

  std::unique_ptr<Device> device_;
  std::vector<Bytes> buffers_;
  std::vector<Received> arrived_;
};

}  // namespace saline::driver
