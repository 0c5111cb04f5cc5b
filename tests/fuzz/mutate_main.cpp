// A target as an ordinary test, without libFuzzer: its seeds, then blind mutations of them for
// about a second. SALINE_SEED=N repeats a run, SALINE_FUZZ_FILE=path runs one file alone.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>

#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using saline::fuzz::Bytes;

void mutate(Bytes& input, std::mt19937_64& random) {
  for (std::uint64_t edits = 1 + random() % 4; edits > 0 && !input.empty(); --edits) {
    const std::size_t at = random() % input.size();
    switch (random() % 6) {
      case 0:
        input[at] = static_cast<std::uint8_t>(random());
        break;
      case 1:
        input[at] ^= static_cast<std::uint8_t>(1u << random() % 8);
        break;
      case 2:
        input[at] = random() % 2 == 0 ? 0 : 0xFF;
        break;
      case 3:
        input.resize(at);
        break;
      case 4:
        input.insert(input.begin() + static_cast<std::ptrdiff_t>(at),
                     static_cast<std::uint8_t>(random()));
        break;
      default:
        input[at] = static_cast<std::uint8_t>(input[at] + 1);
        break;
    }
  }
}

}  // namespace

int main() {
  if (const char* path = std::getenv("SALINE_FUZZ_FILE"); path != nullptr) {
    std::ifstream file(path, std::ios::binary);
    const Bytes input((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    return LLVMFuzzerTestOneInput(input.data(), input.size());
  }
  const char* given = std::getenv("SALINE_SEED");
  const std::uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 0) : std::random_device{}();
  std::printf("SALINE_SEED=%llu\n", static_cast<unsigned long long>(seed));
  std::fflush(stdout);
  std::mt19937_64 random(seed);
  const std::vector<Bytes> seeds = saline::fuzz::seeds();
  for (const Bytes& input : seeds) LLVMFuzzerTestOneInput(input.data(), input.size());
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(800);
  std::uint64_t runs = 0;
  for (; runs < 20000 && std::chrono::steady_clock::now() < end; ++runs) {
    Bytes input = seeds[random() % seeds.size()];
    mutate(input, random);
    LLVMFuzzerTestOneInput(input.data(), input.size());
  }
  std::printf("%zu seeds and %llu mutations of them\n", seeds.size(),
              static_cast<unsigned long long>(runs));
  return seeds.empty() || runs == 0 ? 1 : 0;
}
