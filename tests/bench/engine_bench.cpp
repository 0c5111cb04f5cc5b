// The software engine on one core, packets in memory, through the whole path: parse, policy lookup,
// SA lookup, sequence number or window, ESP or AH in tunnel mode, crypto. In the same run, in
// turns, the crypto alone (vs_raw: ipsec-mb's burst API) and librte_ipsec over crypto_aesni_mb
// (vs_librte_ipsec). Ratios are of throughput: above 1, Saline is faster.
//   engine.<transform>.<packet
//   bytes>[.sas<N>].<encrypt|decrypt>.{gbps,cycles,vs_raw,vs_librte_ipsec}
// gbps counts the clear packets. With an argument only transforms whose name starts with it.
#include <cstdio>
#include <exception>
#include <string>

#include "tests/bench/engine/side.hpp"

namespace {

using namespace saline::bench;

constexpr int kRounds = 9;

void report(const std::string& name, std::size_t bytes, const std::vector<double>& saline,
            const std::vector<double>* raw, const std::vector<double>* librte) {
  const double cycles = median(saline);
  print_figure(name + ".gbps", cycles_per_second() / cycles * static_cast<double>(bytes) * 8e-9, 2);
  print_figure(name + ".cycles", cycles, 0);
  const auto ratio = [&](const std::vector<double>& other) {
    std::vector<double> ratios;
    for (std::size_t i = 0; i < saline.size(); ++i) ratios.push_back(other[i] / saline[i]);
    return median(ratios);
  };
  if (raw != nullptr) print_figure(name + ".vs_raw", ratio(*raw), 2);
  if (librte != nullptr) print_figure(name + ".vs_librte_ipsec", ratio(*librte), 2);
}

void measure_one_sa(const Transform& transform) {
  const auto saline = make_saline_side(transform, 1);
  const auto raw = make_raw_side(transform);
  const auto librte = make_librte_side(transform, 1);
  std::vector<Side*> sides{saline.get(), raw.get()};
  if (librte) sides.push_back(librte.get());
  for (const std::size_t bytes : {64, 512, 1420}) {
    const auto all = compare(sides, {bytes, kBurst, 1}, kRounds);
    const std::string name = std::string("engine.") + transform.name + "." + std::to_string(bytes);
    report(name + ".encrypt", bytes, all[0].seal, &all[1].seal, librte ? &all[2].seal : nullptr);
    report(name + ".decrypt", bytes, all[0].open, &all[1].open, librte ? &all[2].open : nullptr);
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::string wanted = argc > 1 ? argv[1] : "";
    start_dpdk(1);
    for (const char* name : {"aes-gcm-128", "aes-cbc-128+hmac-sha256", "aes-cbc-128+hmac-sha1",
                             "ah+hmac-sha256", "ah+hmac-sha1", "aes-ccm-128", "chacha20-poly1305"})
      if (std::string(name).starts_with(wanted)) measure_one_sa(*find_transform(name));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "engine_bench: %s\n", error.what());
    return 1;
  }
  return 0;
}
