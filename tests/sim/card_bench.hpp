// A whole card on the bench: the Verilated saline_card behind the device layer, with queues for a
// MAC and random stalls on every channel, for tests that compare it with something else.
#pragma once

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <vector>

#include "driver/device.hpp"
#include "sim/card.hpp"
#include "sim/mac_link.hpp"

namespace saline::sim {

// A Transport over a Card in this process whose MAC is a pair of queues. Every address of the
// process is a device address.
class BenchTransport : public driver::Transport, private Memory {
 public:
  BenchTransport(std::shared_ptr<QueueMac> mac, CardOptions options)
      : mac_(std::move(mac)), card_(*this, *mac_, options) {}

  std::uint32_t read32(std::uint32_t offset) override { return card_.read32(offset); }
  void write32(std::uint32_t offset, std::uint32_t value) override { card_.write32(offset, value); }
  std::unique_ptr<driver::DmaMemory> allocate(std::size_t bytes) override {
    return std::make_unique<Pages>(bytes);
  }
  bool addresses_process_memory() const noexcept override { return true; }
  void progress() noexcept override { card_.run(4000); }
  std::string description() const override { return "model on the bench"; }

  std::uint64_t cycles() const noexcept { return card_.cycles(); }
  // Runs until nothing moves any more.
  void settle() noexcept {
    for (int tries = 0; tries < 1000 && !card_.run(4000); ++tries) {
    }
  }

 private:
  class Pages : public driver::DmaMemory {
   public:
    explicit Pages(std::size_t bytes) : bytes_((bytes + 4095) / 4096 * 4096) {
      memory_.reset(static_cast<std::uint8_t*>(std::aligned_alloc(4096, bytes_)));
      std::memset(memory_.get(), 0, bytes_);
    }
    std::span<std::uint8_t> host() noexcept override { return {memory_.get(), bytes_}; }
    std::uint64_t device_address() const noexcept override {
      return reinterpret_cast<std::uint64_t>(memory_.get());
    }
    void to_device(std::size_t, std::size_t) override {}
    void from_device(std::size_t, std::size_t) override {}

   private:
    struct Free {
      void operator()(std::uint8_t* memory) const { std::free(memory); }
    };
    std::size_t bytes_;
    std::unique_ptr<std::uint8_t, Free> memory_;
  };

  bool read(std::uint64_t address, std::span<std::uint8_t> out) noexcept override {
    std::memcpy(out.data(), reinterpret_cast<const void*>(address), out.size());
    return true;
  }
  bool write(std::uint64_t address, std::span<const std::uint8_t> data) noexcept override {
    std::memcpy(reinterpret_cast<void*>(address), data.data(), data.size());
    return true;
  }

  std::shared_ptr<QueueMac> mac_;
  Card card_;
};

// Device, MAC queues and frame buffers in one.
class CardBench {
 public:
  using Bytes = std::vector<std::uint8_t>;

  struct Received {
    driver::RxFrame frame;
    Bytes bytes;
  };

  explicit CardBench(CardOptions options = {}) : mac_(std::make_shared<QueueMac>()) {
    auto transport = std::make_unique<BenchTransport>(mac_, options);
    transport_ = transport.get();
    device_ = std::make_unique<driver::Device>(std::move(transport));
    device_->start({});
    buffers_.resize(256, Bytes(16384));
    for (std::size_t i = 0; i < buffers_.size(); ++i) post(i);
  }

  driver::Device& device() { return *device_; }
  std::uint64_t cycles() const { return transport_->cycles(); }

  // Sends frames through the card and returns what left its MAC, in order.
  std::vector<Bytes> send(const std::vector<driver::TxFrame>& frames) {
    std::size_t sent = 0;
    std::uint64_t cookies[64];
    while (sent < frames.size()) {
      sent += device_->transmit({frames.data() + sent, frames.size() - sent});
      transport_->settle();
      while (device_->reap_transmitted(cookies) > 0) {
      }
    }
    transport_->settle();
    std::vector<Bytes> out(mac_->sent.begin(), mac_->sent.end());
    mac_->sent.clear();
    return out;
  }

  // Gives frames to the card's MAC and returns what the host got, in order.
  std::vector<Received> receive(const std::vector<Mac::Frame>& frames) {
    std::vector<Received> out;
    std::size_t given = 0;
    while (given < frames.size()) {
      for (int n = 0; n < 64 && given < frames.size(); ++n, ++given)
        mac_->to_receive.push_back(frames[given]);
      transport_->settle();
      drain(out);
    }
    return out;
  }

 private:
  void post(std::size_t index) {
    const driver::RxBuffer buffer{buffers_[index].data(), 16383, index};
    device_->post_receive({&buffer, 1});
  }

  void drain(std::vector<Received>& out) {
    driver::RxFrame frames[64];
    for (int idle = 0; idle < 2;) {
      const std::size_t count = device_->receive(frames);
      for (std::size_t i = 0; i < count; ++i) {
        const Bytes& buffer = buffers_[frames[i].cookie];
        out.push_back({frames[i], Bytes(buffer.begin(), buffer.begin() + frames[i].bytes)});
        post(frames[i].cookie);
      }
      idle = count == 0 ? idle + 1 : 0;
      if (count == 0) transport_->settle();
    }
  }

  std::shared_ptr<QueueMac> mac_;
  BenchTransport* transport_ = nullptr;
  std::unique_ptr<driver::Device> device_;
  std::vector<Bytes> buffers_;
};

}  // namespace saline::sim
