// The software engine: Gbit/s of clear packets through the whole walk (policy's SA, ESP header,
// crypto, bookkeeping) in bursts, one thread, and its ratio to the same bytes through OpenSSL's EVP
// interface alone, on keyed contexts and without headers (vs_raw). Rounds of both are interleaved,
// figures are medians of the thread's processor time.
//   engine.<transform>.<packet bytes>.<encrypt|decrypt>.gbit_s, .vs_raw
#include <openssl/evp.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "host/crypto/provider.hpp"
#include "host/ipsec/process.hpp"

namespace {

using namespace saline;
using namespace saline::ipsec;
using Bytes = std::vector<std::uint8_t>;

constexpr std::size_t kPackets = 32;
constexpr int kRounds = 31;
constexpr std::uint32_t kHeadroom = 128;
constexpr std::uint32_t kBufferBytes = 2048;

struct Transform {
  const char* name;
  const char* encryption;
  const char* integrity;  // nullptr: AEAD
  std::size_t key_bytes;
};
constexpr Transform kTransforms[] = {
    {"aes-gcm-128", "aes-gcm-16", nullptr, 20},
    {"aes-gcm-256", "aes-gcm-16", nullptr, 36},
    {"aes-cbc-128-sha256", "aes-cbc", "hmac-sha2-256", 16},
};

// An IPv4 UDP packet of that many bytes from 10.0.0.1 to 10.0.0.2.
Bytes clear_packet(std::size_t bytes) {
  Bytes packet(bytes, 0x5A);
  const std::uint8_t header[] = {0x45,
                                 0,
                                 static_cast<std::uint8_t>(bytes >> 8),
                                 static_cast<std::uint8_t>(bytes),
                                 0,
                                 1,
                                 0,
                                 0,
                                 64,
                                 kUdp,
                                 0,
                                 0,
                                 10,
                                 0,
                                 0,
                                 1,
                                 10,
                                 0,
                                 0,
                                 2};
  std::copy(std::begin(header), std::end(header), packet.begin());
  return packet;
}

// The raw work: one EVP call sequence per packet, as a program without IPsec would do it.
class Raw {
 public:
  Raw(const Transform& transform, bool seal)
      : aead_(transform.integrity == nullptr), seal_(seal), cipher_(EVP_CIPHER_CTX_new()) {
    const Bytes key(32, 7);
    const std::size_t bytes = transform.key_bytes - (aead_ ? 4 : 0);
    const EVP_CIPHER* kind = !aead_        ? EVP_aes_128_cbc()
                             : bytes == 16 ? EVP_aes_128_gcm()
                                           : EVP_aes_256_gcm();
    EVP_CipherInit_ex(cipher_, kind, nullptr, key.data(), nullptr, seal);
    EVP_CIPHER_CTX_set_padding(cipher_, 0);
    if (aead_) return;
    EVP_MAC* mac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
    mac_ = EVP_MAC_CTX_new(mac);
    EVP_MAC_free(mac);
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string("digest", digest, 0),
                                 OSSL_PARAM_construct_end()};
    EVP_MAC_init(mac_, key.data(), 32, params);
  }
  ~Raw() {
    EVP_CIPHER_CTX_free(cipher_);
    EVP_MAC_CTX_free(mac_);
  }
  Raw(const Raw&) = delete;
  Raw& operator=(const Raw&) = delete;

  void run(std::uint8_t* text, int bytes) {
    std::uint8_t iv[16] = {};
    std::uint8_t tag[32] = {};
    int written = 0;
    std::size_t tag_bytes = 0;
    if (!aead_) {
      bytes = (bytes + 15) / 16 * 16;
      if (!seal_) sign(text, bytes, tag, tag_bytes);
      EVP_CipherInit_ex(cipher_, nullptr, nullptr, nullptr, iv, -1);
      EVP_CipherUpdate(cipher_, text, &written, text, bytes);
      if (seal_) sign(text, bytes, tag, tag_bytes);
      return;
    }
    EVP_CipherInit_ex(cipher_, nullptr, nullptr, nullptr, iv, -1);
    EVP_CipherUpdate(cipher_, nullptr, &written, iv, 8);
    EVP_CipherUpdate(cipher_, text, &written, text, bytes);
    if (!seal_) EVP_CIPHER_CTX_ctrl(cipher_, EVP_CTRL_AEAD_SET_TAG, 16, tag);
    EVP_CipherFinal_ex(cipher_, tag, &written);
    if (seal_) EVP_CIPHER_CTX_ctrl(cipher_, EVP_CTRL_AEAD_GET_TAG, 16, tag);
  }

 private:
  void sign(const std::uint8_t* text, int bytes, std::uint8_t* tag, std::size_t& tag_bytes) {
    EVP_MAC_init(mac_, nullptr, 0, nullptr);
    EVP_MAC_update(mac_, text, static_cast<std::size_t>(bytes));
    EVP_MAC_final(mac_, tag, &tag_bytes, 32);
  }

  bool aead_;
  bool seal_;
  EVP_CIPHER_CTX* cipher_;
  EVP_MAC_CTX* mac_ = nullptr;
};

class Engine {
 public:
  explicit Engine(const Transform& transform)
      : provider_(crypto::make_provider()), processor_(*provider_) {
    SaConfig config;
    config.id = {0x1000, base::Address::parse("10.0.0.2"), Protocol::esp};
    config.source = base::Address::parse("10.0.0.1");
    config.mode = Mode::transport;
    config.encryption = crypto::find_encryption(transform.encryption);
    config.encryption_key = base::Secret(Bytes(transform.key_bytes, 7));
    if (transform.integrity != nullptr) {
      config.integrity = crypto::find_integrity(transform.integrity);
      config.integrity_key = base::Secret(Bytes(32, 7));
    }
    config.replay_window = 1024;
    sa_ = SecurityAssociation::create(std::move(config), *provider_);
    sad_.add(sa_);
    sad_.publish();
    policy_.action = Action::ipsec;
    policy_.requests.push_back({Protocol::esp, Mode::transport, Level::require, {}, {}, 0});
    memory_.resize(kPackets * kBufferBytes);
  }

  // Puts `clear` into every buffer.
  void fill(const Bytes& clear) {
    for (std::size_t i = 0; i < kPackets; ++i) {
      std::uint8_t* at = memory_.data() + i * kBufferBytes + kHeadroom;
      std::copy(clear.begin(), clear.end(), at);
      packets_[i] = Packet{};
      packets_[i].data = at;
      packets_[i].length = static_cast<std::uint32_t>(clear.size());
      packets_[i].headroom = kHeadroom;
      packets_[i].tailroom = kBufferBytes - kHeadroom - packets_[i].length;
    }
  }

  bool seal() {
    std::array<OutboundItem, kPackets> items;
    for (std::size_t i = 0; i < kPackets; ++i) {
      items[i].packet = &packets_[i];
      items[i].policy = &policy_;
    }
    processor_.outbound(*sad_.view().acquire(), items);
    return items.back().outcome == Outcome::pass;
  }

  bool open() {
    std::array<InboundItem, kPackets> items;
    for (std::size_t i = 0; i < kPackets; ++i) items[i].packet = &packets_[i];
    processor_.inbound(*sad_.view().acquire(), items);
    return items.back().outcome == Outcome::pass;
  }

 private:
  std::unique_ptr<crypto::Provider> provider_;
  Sad sad_;
  Processor processor_;
  std::shared_ptr<SecurityAssociation> sa_;
  Policy policy_;
  Bytes memory_;
  std::array<Packet, kPackets> packets_;
};

// This thread's processor time, so that other work on the machine does not count.
double now_s() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

double seconds_of(const std::function<void()>& work) {
  const double start = now_s();
  work();
  return now_s() - start;
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

void report(const std::string& name, std::size_t bytes, std::size_t bursts, double engine,
            double raw) {
  const double bits = 8.0 * static_cast<double>(bytes * kPackets * bursts);
  std::printf("%s.gbit_s: %.3f\n", name.c_str(), bits / engine / 1e9);
  std::printf("%s.vs_raw: %.3f\n", name.c_str(), raw / engine);
}

// Sealing and opening alternate on the same packets; what is put back between them is not timed.
bool measure(const Transform& transform, std::size_t bytes) {
  Engine engine(transform);
  Raw raw_seal(transform, true);
  Raw raw_open(transform, false);
  const Bytes clear = clear_packet(bytes);
  const std::size_t bursts = 200000 / (bytes + 200);
  std::vector<std::uint8_t> text(kBufferBytes * kPackets);
  std::vector<double> seal, open, seal_raw, open_raw;
  bool all_passed = true;
  for (int round = 0; round < kRounds; ++round) {
    double sealing = 0;
    double opening = 0;
    for (std::size_t burst = 0; burst < bursts; ++burst) {
      engine.fill(clear);
      sealing += seconds_of([&] { all_passed = engine.seal() && all_passed; });
      opening += seconds_of([&] { all_passed = engine.open() && all_passed; });
    }
    seal.push_back(sealing);
    open.push_back(opening);
    for (auto [raw, times] : {std::pair(&raw_seal, &seal_raw), std::pair(&raw_open, &open_raw)})
      times->push_back(seconds_of([&, raw = raw] {
        for (std::size_t i = 0; i < bursts * kPackets; ++i)
          raw->run(text.data() + i % kPackets * kBufferBytes, static_cast<int>(bytes - 20));
      }));
  }
  const std::string name = std::string("engine.") + transform.name + "." + std::to_string(bytes);
  report(name + ".encrypt", bytes, bursts, median(seal), median(seal_raw));
  report(name + ".decrypt", bytes, bursts, median(open), median(open_raw));
  return all_passed;
}

}  // namespace

int main() {
  bool all_passed = true;
  for (const Transform& transform : kTransforms)
    for (std::size_t bytes : {64u, 512u, 1420u})
      all_passed = measure(transform, bytes) && all_passed;
  if (!all_passed) std::fprintf(stderr, "engine_bench: a packet was refused\n");
  return all_passed ? 0 : 1;
}
