// DEFLATE (RFC 1951) of one payload at a time, as IPComp carries it (RFC 2394): raw, without zlib's
// header and Adler-32, no history from one packet to the next. zlib's memory is taken once, in the
// constructor; make one per thread. Knows nothing of IPComp: see host/ipsec/ipcomp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

namespace saline::crypto {

class Deflate {
 public:
  // Throws Error(ENOMEM).
  Deflate();
  ~Deflate();
  Deflate(const Deflate&) = delete;
  Deflate& operator=(const Deflate&) = delete;

  // Bytes written to out; nullopt when the result is longer than out, which then holds nothing
  // usable. A caller that wants only what gets smaller (RFC 3173 §2.2) passes a shorter out. The
  // spans may not overlap.
  std::optional<std::size_t> compress(std::span<const std::uint8_t> in,
                                      std::span<std::uint8_t> out) noexcept;

  // Bytes written to out; nullopt for anything but one whole stream: damaged, cut short, followed
  // by more bytes, or longer than out when expanded. Never writes behind out. The spans may not
  // overlap.
  std::optional<std::size_t> expand(std::span<const std::uint8_t> in,
                                    std::span<std::uint8_t> out) noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace saline::crypto
