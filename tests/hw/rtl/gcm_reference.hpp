// AES-GCM by OpenSSL, and jobs for suite_gcm made from it.
#pragma once

#include <verilated.h>

#include "tests/hw/rtl/bench.hpp"

namespace saline::hw::bench {

using JobPort = VlWide<31>;  // ipsec_pkg::job_t, 989 bits

struct GcmPacket {
  bool encrypt = true;
  bool pass = false;  // suite none
  Bytes key;          // 16 or 32
  Bytes nonce;        // 12: salt, IV
  Bytes aad;          // up to 12
  Bytes text;         // as the unit takes it
};

struct GcmResult {
  Bytes text;
  Bytes icv;
};

/// What the unit must give: plaintext to ciphertext or back, and the ICV over the ciphertext.
GcmResult gcm_reference(const GcmPacket& packet);

JobPort gcm_job(const GcmPacket& packet);

/// H^4, H^3, H^2, H, each as its 16 bytes.
Bytes gcm_hash_powers(const Bytes& key);

}  // namespace saline::hw::bench
