// Bench around a Verilated module: ready/valid drivers and monitors that stall at random and check
// the stream rules of hw/rtl/ipsec_pkg.sv (an offer never waits for ready and once made stays until
// it is taken; a beat has 64 bytes but for the last; bytes past the end are zero).
#pragma once

#include <gtest/gtest.h>
#include <verilated.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace saline::hw::bench {

using Bytes = std::vector<uint8_t>;
using BeatPort = VlWide<17>;  // ipsec_pkg::beat_t: last [519], bytes [518:512], data [511:0]

constexpr size_t kBeatBytes = 64;

/// SALINE_SEED in the environment repeats a run; every test prints the seed it used.
inline uint64_t seed() {
  const char* text = std::getenv("SALINE_SEED");
  return text != nullptr ? std::strtoull(text, nullptr, 0) : std::random_device{}();
}

class Random {
 public:
  explicit Random(uint64_t value) : engine_(value) {}
  uint64_t operator()() { return engine_(); }
  size_t between(size_t low, size_t high) { return low + engine_() % (high - low + 1); }
  bool percent(unsigned chance) { return engine_() % 100 < chance; }
  Bytes bytes(size_t count) {
    Bytes out(count);
    for (auto& byte : out) byte = static_cast<uint8_t>(engine_());
    return out;
  }

 private:
  std::mt19937_64 engine_;
};

/// Copies bytes into a wide port, byte i at [8*i +: 8].
template <size_t Words>
void put_little(VlWide<Words>& port, const Bytes& bytes) {
  Bytes padded(4 * Words);
  std::copy(bytes.begin(), bytes.end(), padded.begin());
  std::memcpy(port.data(), padded.data(), padded.size());
}

template <size_t Words>
Bytes get_little(const VlWide<Words>& port, size_t count) {
  Bytes bytes(count);
  std::memcpy(bytes.data(), &port[0], count);
  return bytes;
}

inline std::vector<BeatPort> to_beats(const Bytes& packet) {
  std::vector<BeatPort> beats;
  for (size_t at = 0; at < packet.size(); at += kBeatBytes) {
    const size_t count = std::min(kBeatBytes, packet.size() - at);
    BeatPort beat;
    std::memset(beat.data(), 0, sizeof beat);
    std::memcpy(beat.data(), &packet[at], count);
    beat[16] = static_cast<uint32_t>(count) | (at + count == packet.size() ? 0x80U : 0U);
    beats.push_back(beat);
  }
  return beats;
}

/// Offers the words of a queue on a valid/ready channel, with random pauses.
template <class Word>
class Driver {
 public:
  Driver(CData& valid, const CData& ready, std::function<void(const Word&)> put)
      : valid_(valid), ready_(ready), put_(std::move(put)) {
    valid_ = 0;
  }
  std::deque<Word> queue;
  unsigned stall_percent = 0;

  void before_edge(Random& random) {
    if (offered_ || queue.empty()) return;
    offered_ = !random.percent(stall_percent);
    if (offered_) put_(queue.front());
    valid_ = offered_;
  }
  void at_edge() { taken_ = offered_ && ready_; }
  void after_edge() {
    if (!taken_) return;
    queue.pop_front();
    offered_ = false;
    valid_ = 0;
  }

 private:
  CData& valid_;
  const CData& ready_;
  std::function<void(const Word&)> put_;
  bool offered_ = false;
  bool taken_ = false;
};

/// Takes words from a valid/ready channel, with random pauses.
template <class Word>
class Monitor {
 public:
  Monitor(const CData& valid, CData& ready, std::function<Word()> get)
      : valid_(valid), ready_(ready), get_(std::move(get)) {
    ready_ = 0;
  }
  std::vector<Word> taken;
  std::function<void(const Word&)> on_word;
  unsigned stall_percent = 0;

  void before_edge(Random& random) { ready_ = !random.percent(stall_percent); }
  /// The same clock as it would be if nobody were ready.
  void withhold() { willing_ = std::exchange(ready_, 0); }
  void restore() {
    unasked_ = valid_;
    ready_ = willing_;
    probed_ = true;
  }
  void at_edge() {
    if (std::exchange(probed_, false)) {
      ASSERT_EQ(valid_, unasked_) << "an offer waits for ready";
    }
    if (waiting_) {
      ASSERT_TRUE(valid_) << "an offer was withdrawn";
      ASSERT_EQ(get_(), offer_) << "an offer changed while it waited";
    }
    waiting_ = valid_ && !ready_;
    if (!valid_) return;
    offer_ = get_();
    if (!ready_) return;
    if (on_word) {
      on_word(offer_);
    } else {
      taken.push_back(offer_);
    }
  }

 private:
  const CData& valid_;
  CData& ready_;
  std::function<Word()> get_;
  Word offer_{};
  bool waiting_ = false;
  CData willing_ = 0, unasked_ = 0;
  bool probed_ = false;
};

struct Beat {
  bool last = false;
  unsigned count = 0;
  Bytes data;
  bool operator==(const Beat&) const = default;
};

inline Beat from_port(const BeatPort& port) {
  return {(port[16] & 0x80U) != 0, port[16] & 0x7FU, get_little(port, kBeatBytes)};
}

/// Joins beats into packets and checks their form.
class Packets {
 public:
  std::vector<Bytes> done;

  void operator()(const Beat& beat) {
    ASSERT_GE(beat.count, 1U);
    ASSERT_LE(beat.count, kBeatBytes);
    ASSERT_TRUE(beat.last || beat.count == kBeatBytes) << "a short beat inside a packet";
    for (size_t i = beat.count; i < kBeatBytes; i++) {
      ASSERT_EQ(beat.data[i], 0) << "byte past the end is not zero";
    }
    current_.insert(current_.end(), beat.data.begin(), beat.data.begin() + beat.count);
    if (!beat.last) return;
    done.push_back(current_);
    current_.clear();
  }

 private:
  Bytes current_;
};

/// One clock of `model`: inputs settle, the channels look, the edge comes. Ports clk_i and rst_ni.
/// In some clocks the inputs settle twice, first with nobody ready: the offers must be the same.
template <class Model, class... Channels>
void clock(Model& model, Random& random, Channels&... channels) {
  (channels.before_edge(random), ...);
  model.clk_i = 0;
  if (random.percent(20)) {
    const auto withhold = [](auto& channel) {
      if constexpr (requires { channel.withhold(); }) channel.withhold();
    };
    const auto restore = [](auto& channel) {
      if constexpr (requires { channel.restore(); }) channel.restore();
    };
    (withhold(channels), ...);
    model.eval();
    (restore(channels), ...);
  }
  model.eval();
  (channels.at_edge(), ...);
  model.clk_i = 1;
  model.eval();
  const auto finish = [](auto& channel) {
    if constexpr (requires { channel.after_edge(); }) channel.after_edge();
  };
  (finish(channels), ...);
}

template <class Model>
void reset(Model& model) {
  model.rst_ni = 0;
  for (int i = 0; i < 4; i++) {
    model.clk_i = 0;
    model.eval();
    model.clk_i = 1;
    model.eval();
  }
  model.rst_ni = 1;
}

}  // namespace saline::hw::bench
