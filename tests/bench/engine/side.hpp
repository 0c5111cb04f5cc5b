// One of those that are compared: it holds packets in memory and SAs, and protects or opens a burst
// of them at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/bench/engine/measure.hpp"

namespace saline::bench {

// What is measured. Names are those of the figures.
struct Transform {
  const char* name;
  const char* encryption;            // as setkey calls them
  const char* integrity;             // nullptr: AEAD
  std::size_t encryption_key_bytes;  // with salt
  std::size_t integrity_key_bytes;
};
// nullptr when there is none of that name.
const Transform* find_transform(const std::string& name);

// What ESP's cipher, or AH's hash, has to go through for a packet of that many bytes in a tunnel.
struct Extent {
  std::size_t header;  // of ESP with its IV; signed where there is a hash
  std::size_t text;
};
Extent extent_of(const Transform& transform, std::size_t bytes);

struct Load {
  std::size_t bytes = 0;    // of each clear packet
  std::size_t packets = 0;  // a multiple of kBurst
  std::size_t sas = 1;      // per direction; packets are spread over them at random
};

// Protected packets go back by open(), in the same order, to what they were.
class Side {
 public:
  virtual ~Side() = default;
  virtual std::string name() const = 0;
  // Puts clear packets into memory and chooses an SA for each; not timed.
  virtual void load(const Load& load) = 0;
  // Undoes what the last use of the descriptors left in them; not timed.
  virtual void rearm(std::size_t burst) = 0;
  // False when a packet was refused.
  virtual bool seal(std::size_t burst) = 0;
  virtual bool open(std::size_t burst) = 0;
  // Whether the packets are again what load() put there.
  virtual bool intact() const { return true; }
};

std::unique_ptr<Side> make_saline_side(const Transform& transform, std::size_t sas);
// librte_ipsec over crypto_aesni_mb; nullptr where it does not know the transform.
std::unique_ptr<Side> make_librte_side(const Transform& transform, std::size_t sas);
// The crypto of an ESP packet alone, through ipsec-mb's burst API.
std::unique_ptr<Side> make_raw_side(const Transform& transform);

// The same crypto through the provider that the engine uses, on jobs that are made already.
std::unique_ptr<Side> make_provider_side(const Transform& transform);

// Starts DPDK's environment in memory of its own, without devices but crypto_aesni_mb.
void start_dpdk(std::size_t sas);

// SA of packet i: the same for every side.
std::vector<std::uint32_t> choose_sas(const Load& load);
// An IPv4 UDP packet from 10.0.0.0/8 to the host that belongs to the SA.
std::vector<std::uint8_t> clear_packet(std::size_t bytes, std::uint32_t sa);

// Cycles per packet, one value a round.
struct Samples {
  std::vector<double> seal;
  std::vector<double> open;
};
// All sides in turn, each with its own load; throws when a packet is refused or damaged.
struct Entrant {
  Side* side;
  Load load;
};
std::vector<Samples> compare(const std::vector<Entrant>& entrants, int rounds);

}  // namespace saline::bench
