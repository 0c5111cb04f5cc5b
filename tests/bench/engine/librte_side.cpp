// The peer: librte_ipsec of the installed DPDK over its crypto_aesni_mb, look-aside. It is given
// the SA of each packet: it parses nothing, asks no policy and searches no SA.
#include <rte_crypto.h>
#include <rte_cryptodev.h>
#include <rte_eal.h>
#include <rte_ip.h>
#include <rte_ipsec.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <rte_memory.h>
#include <rte_security.h>
#include <sys/mman.h>

#include <array>
#include <cstring>
#include <stdexcept>
#include <string>

#include "tests/bench/engine/side.hpp"

namespace saline::bench {

namespace {

constexpr std::uint16_t kIvOffset = sizeof(rte_crypto_op) + sizeof(rte_crypto_sym_op);
constexpr std::size_t kPacketsMax = 4096;
constexpr std::uint8_t kDevice = 0;

rte_mempool* packet_pool = nullptr;
rte_mempool* operation_pool = nullptr;
rte_mempool* session_pool = nullptr;

void require(bool worked, const char* what) {
  if (!worked) throw std::runtime_error(std::string("DPDK: ") + what + " failed");
}

// Keys in large pages, as where DPDK has hugetlbfs; --no-huge alone would make the peer slow.
int ask_for_large_pages(const rte_memseg_list* list, void*) {
  madvise(list->base_va, list->len, MADV_HUGEPAGE);
  return 0;
}

struct Xforms {
  rte_crypto_sym_xform first{};
  rte_crypto_sym_xform second{};
};

std::array<std::uint8_t, 64> key() {
  std::array<std::uint8_t, 64> bytes;
  bytes.fill(7);
  return bytes;
}

void fill_aead(rte_crypto_sym_xform& xform, const Transform& transform, bool seal) {
  static std::array<std::uint8_t, 64> bytes = key();
  xform.type = RTE_CRYPTO_SYM_XFORM_AEAD;
  xform.aead.op = seal ? RTE_CRYPTO_AEAD_OP_ENCRYPT : RTE_CRYPTO_AEAD_OP_DECRYPT;
  xform.aead.algo = RTE_CRYPTO_AEAD_AES_GCM;
  xform.aead.key.data = bytes.data();
  xform.aead.key.length = static_cast<std::uint16_t>(transform.encryption_key_bytes - 4);
  xform.aead.iv.offset = kIvOffset;
  xform.aead.iv.length = 12;
  xform.aead.digest_length = 16;
  xform.aead.aad_length = 8;
}

void fill_chained(Xforms& xforms, const Transform& transform, bool seal) {
  static std::array<std::uint8_t, 64> bytes = key();
  rte_crypto_sym_xform& cipher = seal ? xforms.first : xforms.second;
  rte_crypto_sym_xform& auth = seal ? xforms.second : xforms.first;
  const bool sha1 = std::string(transform.integrity) == "hmac-sha1";
  cipher.type = RTE_CRYPTO_SYM_XFORM_CIPHER;
  cipher.cipher.op = seal ? RTE_CRYPTO_CIPHER_OP_ENCRYPT : RTE_CRYPTO_CIPHER_OP_DECRYPT;
  cipher.cipher.algo = RTE_CRYPTO_CIPHER_AES_CBC;
  cipher.cipher.key.data = bytes.data();
  cipher.cipher.key.length = static_cast<std::uint16_t>(transform.encryption_key_bytes);
  cipher.cipher.iv.offset = kIvOffset;
  cipher.cipher.iv.length = 16;
  auth.type = RTE_CRYPTO_SYM_XFORM_AUTH;
  auth.auth.op = seal ? RTE_CRYPTO_AUTH_OP_GENERATE : RTE_CRYPTO_AUTH_OP_VERIFY;
  auth.auth.algo = sha1 ? RTE_CRYPTO_AUTH_SHA1_HMAC : RTE_CRYPTO_AUTH_SHA256_HMAC;
  auth.auth.key.data = bytes.data();
  auth.auth.key.length = static_cast<std::uint16_t>(transform.integrity_key_bytes);
  auth.auth.digest_length = sha1 ? 12 : 16;
  xforms.first.next = &xforms.second;
}

class LibrteSide final : public Side {
 public:
  LibrteSide(const Transform& transform, std::size_t sas) : tunnel_(sas == 1) {
    outer_.version_ihl = 0x45;
    outer_.time_to_live = 64;
    outer_.next_proto_id = IPPROTO_ESP;
    outer_.src_addr = rte_cpu_to_be_32(0xAC200001);
    outer_.dst_addr = rte_cpu_to_be_32(0xAC100000);
    for (const bool seal : {true, false}) {
      auto& sessions = seal ? sealing_ : opening_;
      sessions = static_cast<rte_ipsec_session*>(
          rte_zmalloc(nullptr, sizeof(rte_ipsec_session) * sas, 64));
      require(sessions != nullptr, "rte_zmalloc");
      for (std::size_t i = 0; i < sas; ++i) create(sessions[i], transform, seal, i);
    }
    sas_ = sas;
  }

  ~LibrteSide() override {
    release();
    for (rte_ipsec_session* sessions : {sealing_, opening_}) {
      for (std::size_t i = 0; i < sas_; ++i) {
        rte_cryptodev_sym_session_free(kDevice, sessions[i].crypto.ses);
        rte_free(sessions[i].sa);
      }
      rte_free(sessions);
    }
  }
  LibrteSide(const LibrteSide&) = delete;
  LibrteSide& operator=(const LibrteSide&) = delete;

  std::string name() const override { return "librte_ipsec"; }

  void load(const Load& load) override {
    release();
    load_ = load;
    chosen_ = choose_sas(load);
    packets_.resize(load.packets);
    operations_.resize(load.packets);
    const auto count = static_cast<unsigned>(load.packets);
    require(rte_pktmbuf_alloc_bulk(packet_pool, packets_.data(), count) == 0, "mbufs");
    require(rte_crypto_op_bulk_alloc(operation_pool, RTE_CRYPTO_OP_TYPE_SYMMETRIC,
                                     operations_.data(), static_cast<std::uint16_t>(count)) != 0,
            "operations");
    for (std::size_t i = 0; i < load.packets; ++i) {
      const auto clear = clear_packet(load.bytes, chosen_[i]);
      std::memcpy(rte_pktmbuf_append(packets_[i], static_cast<std::uint16_t>(clear.size())),
                  clear.data(), clear.size());
    }
  }

  void rearm(std::size_t burst) override {
    for (std::size_t i = burst * kBurst; i < (burst + 1) * kBurst; ++i) {
      packets_[i]->l2_len = 0;
      packets_[i]->l3_len = 20;
      packets_[i]->ol_flags = 0;
      packets_[i]->packet_type = 0;
    }
  }

  bool seal(std::size_t burst) override { return run(sealing_, burst); }
  bool open(std::size_t burst) override { return run(opening_, burst); }

  bool intact() const override {
    const auto clear = clear_packet(load_.bytes, chosen_[0]);
    return packets_[0]->data_len == clear.size() &&
           std::memcmp(rte_pktmbuf_mtod(packets_[0], void*), clear.data(), clear.size()) == 0;
  }

 private:
  void release() {
    if (packets_.empty()) return;
    rte_pktmbuf_free_bulk(packets_.data(), static_cast<unsigned>(packets_.size()));
    rte_mempool_put_bulk(operation_pool, reinterpret_cast<void**>(operations_.data()),
                         static_cast<unsigned>(operations_.size()));
    packets_.clear();
    operations_.clear();
  }

  void create(rte_ipsec_session& session, const Transform& transform, bool seal, std::size_t sa) {
    Xforms xforms;
    if (transform.integrity == nullptr)
      fill_aead(xforms.first, transform, seal);
    else
      fill_chained(xforms, transform, seal);
    rte_ipsec_sa_prm parameters{};
    parameters.ipsec_xform.spi = static_cast<std::uint32_t>(0x1000 + sa);
    parameters.ipsec_xform.salt = 0x07070707;
    parameters.ipsec_xform.direction =
        seal ? RTE_SECURITY_IPSEC_SA_DIR_EGRESS : RTE_SECURITY_IPSEC_SA_DIR_INGRESS;
    parameters.ipsec_xform.proto = RTE_SECURITY_IPSEC_SA_PROTO_ESP;
    parameters.ipsec_xform.replay_win_sz = 128;
    if (tunnel_) {
      parameters.ipsec_xform.mode = RTE_SECURITY_IPSEC_SA_MODE_TUNNEL;
      parameters.ipsec_xform.tunnel.type = RTE_SECURITY_IPSEC_TUNNEL_IPV4;
      parameters.tun.hdr_len = sizeof(outer_);
      parameters.tun.next_proto = IPPROTO_IPIP;
      parameters.tun.hdr = &outer_;
    } else {
      parameters.ipsec_xform.mode = RTE_SECURITY_IPSEC_SA_MODE_TRANSPORT;
      parameters.trs.proto = IPPROTO_IPIP;  // means: IPv4 packets
    }
    parameters.crypto_xform = &xforms.first;
    const int bytes = rte_ipsec_sa_size(&parameters);
    require(bytes > 0, "rte_ipsec_sa_size");
    session.sa =
        static_cast<rte_ipsec_sa*>(rte_zmalloc(nullptr, static_cast<std::size_t>(bytes), 64));
    require(session.sa != nullptr, "rte_zmalloc");
    require(rte_ipsec_sa_init(session.sa, &parameters, static_cast<std::uint32_t>(bytes)) >= 0,
            "rte_ipsec_sa_init");
    session.type = RTE_SECURITY_ACTION_TYPE_NONE;
    session.crypto.dev_id = kDevice;
    session.crypto.ses = static_cast<rte_cryptodev_sym_session*>(
        rte_cryptodev_sym_session_create(kDevice, parameters.crypto_xform, session_pool));
    require(session.crypto.ses != nullptr, "rte_cryptodev_sym_session_create");
    require(rte_ipsec_session_prepare(&session) == 0, "rte_ipsec_session_prepare");
  }

  // Neighbours of one SA are prepared together.
  bool run(rte_ipsec_session* sessions, std::size_t burst) {
    rte_mbuf** const packets = &packets_[burst * kBurst];
    rte_crypto_op** const operations = &operations_[burst * kBurst];
    const std::uint32_t* const sas = &chosen_[burst * kBurst];
    std::uint16_t ready = 0;
    for (std::uint16_t i = 0; i < kBurst;) {
      std::uint16_t end = static_cast<std::uint16_t>(i + 1);
      while (end < kBurst && sas[end] == sas[i]) ++end;
      ready = static_cast<std::uint16_t>(
          ready + rte_ipsec_pkt_crypto_prepare(&sessions[sas[i]], packets + i, operations + ready,
                                               static_cast<std::uint16_t>(end - i)));
      i = end;
    }
    std::array<rte_crypto_op*, kBurst> done;
    const std::uint16_t sent = rte_cryptodev_enqueue_burst(kDevice, 0, operations, ready);
    std::uint16_t got = 0;
    while (got < sent)
      got = static_cast<std::uint16_t>(
          got + rte_cryptodev_dequeue_burst(kDevice, 0, done.data() + got,
                                            static_cast<std::uint16_t>(sent - got)));
    std::array<rte_mbuf*, kBurst> grouped;
    std::array<rte_ipsec_group, kBurst> groups;
    const std::uint16_t count = rte_ipsec_pkt_crypto_group(
        const_cast<const rte_crypto_op**>(done.data()), grouped.data(), groups.data(), got);
    std::size_t finished = 0;
    for (std::uint16_t i = 0; i < count; ++i)
      finished += rte_ipsec_pkt_process(static_cast<rte_ipsec_session*>(groups[i].id.ptr),
                                        groups[i].m, static_cast<std::uint16_t>(groups[i].cnt));
    return finished == kBurst;
  }

  const bool tunnel_;
  rte_ipv4_hdr outer_{};
  rte_ipsec_session* sealing_ = nullptr;
  rte_ipsec_session* opening_ = nullptr;
  std::size_t sas_ = 0;
  Load load_;
  std::vector<std::uint32_t> chosen_;
  std::vector<rte_mbuf*> packets_;
  std::vector<rte_crypto_op*> operations_;
};

}  // namespace

void start_dpdk(std::size_t sas) {
  // An SA costs two sessions of 1.5 KiB and two SAs of 400 bytes.
  const std::string megabytes = std::to_string(128 + sas * 2 * 2560 / 1048576);
  const char* arguments[] = {
      "engine_bench",    "--no-huge", "--no-pci", "--no-telemetry",         "--no-shconf",  "-m",
      megabytes.c_str(), "-l",        "0",        "--vdev=crypto_aesni_mb", "--log-level=4"};
  require(rte_eal_init(std::size(arguments), const_cast<char**>(arguments)) >= 0, "rte_eal_init");
  rte_memseg_list_walk(ask_for_large_pages, nullptr);
  require(rte_cryptodev_count() == 1, "crypto_aesni_mb");
  packet_pool = rte_pktmbuf_pool_create("packets", kPacketsMax * 2 - 1, 64, 0, 2048 + 128, 0);
  operation_pool = rte_crypto_op_pool_create("operations", RTE_CRYPTO_OP_TYPE_SYMMETRIC,
                                             kPacketsMax * 2 - 1, 0, 64, 0);
  session_pool = rte_cryptodev_sym_session_pool_create(
      "sessions", static_cast<std::uint32_t>(2 * sas + 64),
      rte_cryptodev_sym_get_private_session_size(kDevice), 0, 0, 0);
  require(packet_pool != nullptr && operation_pool != nullptr && session_pool != nullptr,
          "a memory pool");
  rte_cryptodev_config config{};
  config.nb_queue_pairs = 1;
  require(rte_cryptodev_configure(kDevice, &config) == 0, "rte_cryptodev_configure");
  rte_cryptodev_qp_conf queue{};
  queue.nb_descriptors = 2048;
  queue.mp_session = session_pool;
  require(rte_cryptodev_queue_pair_setup(kDevice, 0, &queue, 0) == 0, "a queue pair");
  require(rte_cryptodev_start(kDevice) == 0, "rte_cryptodev_start");
}

std::unique_ptr<Side> make_librte_side(const Transform& transform, std::size_t sas) {
  const std::string encryption = transform.encryption != nullptr ? transform.encryption : "";
  if (encryption != "aes-gcm-16" && encryption != "aes-cbc") return nullptr;
  return std::make_unique<LibrteSide>(transform, sas);
}

}  // namespace saline::bench
