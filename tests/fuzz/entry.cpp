// The libFuzzer entry of a target. With SALINE_FUZZ_SEEDS=folder the program writes the target's
// seeds there and ends.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "tests/fuzz/fuzz.hpp"

namespace saline::fuzz {

std::uint8_t Input::take8() {
  if (left_.empty()) return 0;
  const std::uint8_t byte = left_.front();
  left_ = left_.subspan(1);
  return byte;
}

std::uint16_t Input::take16() {
  const std::uint8_t high = take8();
  return static_cast<std::uint16_t>(high << 8 | take8());
}

std::uint32_t Input::take32() {
  const std::uint32_t high = take16();
  return high << 16 | take16();
}

Bytes Input::take(std::size_t count) {
  const auto part = left_.first(count < left_.size() ? count : left_.size());
  left_ = left_.subspan(part.size());
  return {part.begin(), part.end()};
}

void contradicted(const char* what, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: contradicted: %s\n", file, line, what);
  std::abort();
}

Bytes join(std::initializer_list<Bytes> parts) {
  Bytes all;
  for (const Bytes& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

}  // namespace saline::fuzz

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  const char* folder = std::getenv("SALINE_FUZZ_SEEDS");
  if (folder == nullptr) return 0;
  int number = 0;
  for (const saline::fuzz::Bytes& seed : saline::fuzz::seeds()) {
    std::ofstream file(std::string(folder) + "/seed-" + std::to_string(number++), std::ios::binary);
    file.write(reinterpret_cast<const char*>(seed.data()),
               static_cast<std::streamsize>(seed.size()));
  }
  std::exit(0);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  saline::fuzz::one(saline::fuzz::Input({data, size}));
  return 0;
}
