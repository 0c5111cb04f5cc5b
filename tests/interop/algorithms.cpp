// Saline's table of transforms for programs in other languages, one line a row:
//   kind name key-bits[,key-bits...] salt-bytes iv-bytes block-bytes icv-bytes
#include "host/crypto/algorithms.hpp"

#include <iostream>

int main() {
  using namespace saline::crypto;
  constexpr const char* kKinds[] = {"integrity", "cipher", "aead", "compression"};
  for (const Algorithm& row : algorithms()) {
    std::cout << kKinds[static_cast<int>(row.kind)] << ' ' << row.name << ' ';
    const char* comma = "";
    for (unsigned bits = row.key_bits_min; bits <= row.key_bits_max; bits += 8) {
      if (row.key_bits_valid(bits)) {
        std::cout << comma << bits;
        comma = ",";
      }
    }
    std::cout << ' ' << +row.salt_bytes << ' ' << +row.iv_bytes << ' ' << +row.block_bytes << ' '
              << +row.icv_bytes << '\n';
  }
}
