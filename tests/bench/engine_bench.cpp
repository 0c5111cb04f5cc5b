// The software engine on one core, packets in memory, through the whole path: parse, policy lookup,
// SA lookup, sequence number or window, ESP or AH in tunnel mode, crypto. In the same run, in
// turns, the crypto alone (vs_raw: ipsec-mb's burst API) and librte_ipsec over crypto_aesni_mb
// (vs_librte_ipsec). Ratios are of throughput: above 1, Saline is faster.
//   engine.<transform>.<packet
//   bytes>[.sas<N>].<encrypt|decrypt>.{gbps,cycles,vs_raw,vs_librte_ipsec}
//   engine.<transform>.<packet bytes>.<encrypt|decrypt>.crypto_cycles  of those, Saline's crypto
// gbps counts the clear packets; sas<N> are transport mode SAs between hosts, 4096 packets spread
// over them at random. A million SAs are compared with 16,384 by engine.million_sas.<bytes>.*.ratio
// (of cycles). What the policies cost is in tests/bench/engine/policies.hpp. With an argument only
// figures whose name starts with `engine.` and it.
#include <cstdio>
#include <exception>
#include <string>

#include "tests/bench/engine/policies.hpp"
#include "tests/bench/engine/side.hpp"

namespace {

using namespace saline::bench;

constexpr int kRounds = 9;
constexpr int kCountedBursts = 200;
constexpr std::size_t kManySas = 16384;
constexpr std::size_t kManyPackets = 4096;

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
  const auto provider = make_provider_side(transform);
  const auto librte = make_librte_side(transform, 1);
  for (const std::size_t bytes : {64, 512, 1420}) {
    const Load load{bytes, kBurst, 1};
    std::vector<Entrant> entrants{{saline.get(), load}, {raw.get(), load}, {provider.get(), load}};
    if (librte) entrants.push_back({librte.get(), load});
    const auto all = compare(entrants, kRounds);
    const std::string name = std::string("engine.") + transform.name + "." + std::to_string(bytes);
    report(name + ".encrypt", bytes, all[0].seal, &all[1].seal, librte ? &all[3].seal : nullptr);
    report(name + ".decrypt", bytes, all[0].open, &all[1].open, librte ? &all[3].open : nullptr);
    print_figure(name + ".encrypt.crypto_cycles", median(all[2].seal), 0);
    print_figure(name + ".decrypt.crypto_cycles", median(all[2].open), 0);
  }
}

void measure_many_sas(const Transform& transform) {
  const auto saline = make_saline_side(transform, kManySas);
  const auto librte = make_librte_side(transform, kManySas);
  for (const std::size_t bytes : {64, 512, 1420}) {
    const Load load{bytes, kManyPackets, kManySas};
    const auto all = compare({{saline.get(), load}, {librte.get(), load}}, kRounds);
    const std::string name = std::string("engine.") + transform.name + "." + std::to_string(bytes) +
                             ".sas" + std::to_string(kManySas);
    report(name + ".encrypt", bytes, all[0].seal, nullptr, &all[1].seal);
    report(name + ".decrypt", bytes, all[0].open, nullptr, &all[1].open);
  }
}

void measure_a_million_sas(const Transform& transform) {
  constexpr std::size_t kMillion = 1000000;
  const auto many = make_saline_side(transform, kManySas);
  const auto million = make_saline_side(transform, kMillion);
  for (const std::size_t bytes : {64, 512, 1420}) {
    const auto all = compare({{million.get(), {bytes, kManyPackets, kMillion}},
                              {many.get(), {bytes, kManyPackets, kManySas}}},
                             kRounds);
    const std::string name = std::string("engine.") + transform.name + "." + std::to_string(bytes) +
                             ".sas" + std::to_string(kMillion);
    report(name + ".encrypt", bytes, all[0].seal, nullptr, nullptr);
    report(name + ".decrypt", bytes, all[0].open, nullptr, nullptr);
    const std::string ratio = "engine.million_sas." + std::to_string(bytes);
    print_figure(ratio + ".encrypt.ratio", median(all[0].seal) / median(all[1].seal), 2);
    print_figure(ratio + ".decrypt.ratio", median(all[0].open) / median(all[1].open), 2);
  }
}

// For tests/bench/engine/count_instructions: a fixed number of bursts through the engine alone.
int run_bursts(const std::string& transform, std::size_t bytes) {
  const auto saline = make_saline_side(*find_transform(transform), 1);
  saline->load({bytes, kBurst, 1});
  bool passed = true;
  for (int i = 0; i < kCountedBursts; ++i) {
    saline->rearm(0);
    passed = saline->seal(0) && passed;
    saline->rearm(0);
    passed = saline->open(0) && passed;
  }
  return passed && saline->intact() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc == 4 && std::string(argv[1]) == "bursts")
      return run_bursts(argv[2], std::stoul(argv[3]));
    const std::string wanted = argc > 1 ? argv[1] : "";
    const auto asked = [&](const std::string& name) { return name.starts_with(wanted); };
    start_dpdk(kManySas);
    for (const char* name : {"aes-gcm-128", "aes-cbc-128+hmac-sha256", "aes-cbc-128+hmac-sha1",
                             "ah+hmac-sha256", "ah+hmac-sha1", "aes-ccm-128", "chacha20-poly1305"})
      if (asked(name)) measure_one_sa(*find_transform(name));
    for (const char* name : {"aes-gcm-128", "aes-cbc-128+hmac-sha256"})
      if (asked(name) || asked("sas16384")) measure_many_sas(*find_transform(name));
    if (asked("polic")) measure_policies();
    if (asked("million_sas")) measure_a_million_sas(*find_transform("aes-gcm-128"));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "engine_bench: %s\n", error.what());
    return 1;
  }
  return 0;
}
