// DEFLATE by zlib. inflate() takes its window's memory when a stream first needs it; the
// constructor makes it do so, so that no packet ever does.
#include "host/crypto/deflate.hpp"

#include <zlib.h>

#include <array>
#include <cerrno>

#include "host/base/error.hpp"

namespace saline::crypto {

namespace {

constexpr int kRawWindow = -15;  // no zlib header; any window that a peer may have used
constexpr int kLevel = 1;        // packets are short: higher levels cost more than they save
constexpr int kMemoryLevel = 8;

void point(z_stream& stream, std::span<const std::uint8_t> in,
           std::span<std::uint8_t> out) noexcept {
  stream.next_in = const_cast<std::uint8_t*>(in.data());  // zlib's type; it does not write there
  stream.avail_in = static_cast<uInt>(in.size());
  static std::uint8_t nowhere;  // zlib refuses nullptr even where it may not write
  stream.next_out = out.empty() ? &nowhere : out.data();
  stream.avail_out = static_cast<uInt>(out.size());
}

}  // namespace

struct Deflate::State {
  z_stream compressor{};
  z_stream expander{};
};

Deflate::Deflate() : state_(std::make_unique<State>()) {
  const bool compressor = deflateInit2(&state_->compressor, kLevel, Z_DEFLATED, kRawWindow,
                                       kMemoryLevel, Z_DEFAULT_STRATEGY) == Z_OK;
  const bool expander = inflateInit2(&state_->expander, kRawWindow) == Z_OK;
  // A stored block of two bytes of which only one fits.
  constexpr std::array<std::uint8_t, 7> stored{1, 2, 0, 0xFD, 0xFF, 7, 7};
  std::array<std::uint8_t, 1> one;
  if (expander) {
    point(state_->expander, stored, one);
    inflate(&state_->expander, Z_SYNC_FLUSH);
  }
  if (compressor && expander) return;
  deflateEnd(&state_->compressor);
  inflateEnd(&state_->expander);
  throw base::Error(ENOMEM, "zlib found no memory for its state");
}

Deflate::~Deflate() {
  deflateEnd(&state_->compressor);
  inflateEnd(&state_->expander);
}

std::optional<std::size_t> Deflate::compress(std::span<const std::uint8_t> in,
                                             std::span<std::uint8_t> out) noexcept {
  z_stream& stream = state_->compressor;
  if (deflateReset(&stream) != Z_OK) return std::nullopt;
  point(stream, in, out);
  if (deflate(&stream, Z_FINISH) != Z_STREAM_END) return std::nullopt;
  return out.size() - stream.avail_out;
}

std::optional<std::size_t> Deflate::expand(std::span<const std::uint8_t> in,
                                           std::span<std::uint8_t> out) noexcept {
  z_stream& stream = state_->expander;
  if (inflateReset(&stream) != Z_OK) return std::nullopt;
  point(stream, in, out);
  if (inflate(&stream, Z_FINISH) != Z_STREAM_END || stream.avail_in != 0) return std::nullopt;
  return out.size() - stream.avail_out;
}

}  // namespace saline::crypto
