// The Processor's working memory for one burst. Private to the packet walk.
#pragma once

#include <array>
#include <cstdint>

#include "host/ipsec/process.hpp"
#include "host/ipsec/step.hpp"

namespace saline::ipsec {

// The SAs that an outbound packet's policy asks for, resolved before anything is changed.
struct Bundle {
  struct Entry {
    SecurityAssociation* association = nullptr;
    Mode mode = Mode::transport;
    base::Address tunnel_source;
    base::Address tunnel_destination;
  };
  std::array<Entry, kRequestsMax> entries;
  std::uint32_t count = 0;
  std::uint32_t next = 0;
};

struct Processor::Scratch {
  std::array<Step, kBurst> steps;
  std::array<Bundle, kBurst> bundles;
  std::array<crypto::Job, kBurst> jobs;
  std::array<std::size_t, kBurst> owner;  // job -> item of the chunk
  std::array<bool, kBurst> active;
  crypto::RandomStream random;
  std::uint16_t next_identification = 0;
};

}  // namespace saline::ipsec
