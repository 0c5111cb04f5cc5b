// The Processor's wiring; the walks are in outbound.cpp, inbound.cpp and policy_check.cpp.
#include "host/ipsec/process.hpp"

#include <algorithm>
#include <utility>

#include "host/base/bytes.hpp"
#include "host/ipsec/scratch.hpp"
#include "host/ipsec/tunnel.hpp"

namespace saline::ipsec {

LocalAddresses::LocalAddresses(std::vector<base::Address> addresses)
    : sorted_(std::move(addresses)) {
  std::sort(sorted_.begin(), sorted_.end());
}

bool LocalAddresses::contains(const base::Address& address) const noexcept {
  constexpr std::size_t kFew = 8;  // for which a search is slower than a look at each
  if (sorted_.size() > kFew) return std::binary_search(sorted_.begin(), sorted_.end(), address);
  return sorted_.empty() || std::find(sorted_.begin(), sorted_.end(), address) != sorted_.end();
}

Processor::Processor(crypto::Provider& provider)
    : provider_(provider), scratch_(std::make_unique<Scratch>()) {
  std::array<std::uint8_t, 2> start{};
  scratch_->random.fill(start);
  scratch_->next_identification = base::load16(start.data());
}

Processor::~Processor() = default;

const Policy* Processor::match(const SpdView& spd, Direction direction, const Flow& flow) noexcept {
  const Policy* found = nullptr;
  match(spd, direction, {&flow, 1}, {&found, 1});
  return found;
}

void Processor::set_settings(const Settings& settings) noexcept { settings_ = settings; }
void Processor::set_local_addresses(const LocalAddresses* local) noexcept { local_ = local; }
void Processor::set_socket_policies(const SocketPolicyView* sockets) noexcept {
  sockets_ = sockets;
}
void Processor::match(const SpdView& spd, Direction direction, std::span<const Flow> flows,
                      std::span<const Policy*> found) noexcept {
  scratch_->flow_cache.match(spd, direction, flows, found);
  if (sockets_ == nullptr || sockets_->empty(direction)) return;
  for (std::size_t i = 0; i < flows.size(); ++i)
    if (const Policy* own = sockets_->find(direction, flows[i])) found[i] = own;
}

void Processor::set_encapsulation_ports(const EncapsulationPorts* ports) noexcept {
  ports_ = ports != nullptr ? ports : &default_ports_;
}
void Processor::set_time(std::uint64_t now_s) noexcept { now_s_ = now_s; }

std::uint32_t worst_case_overhead(const Policy& policy, const SadView& sad,
                                  const Settings& settings) noexcept {
  // Without an SA: the longest header, IV, padding and ICV of the algorithm table.
  constexpr std::uint32_t kLongestEsp = 8 + 16 + 15 + 2 + 32;
  constexpr std::uint32_t kLongestAh = 12 + 36;
  std::uint32_t total = 0;
  base::Family family = policy.selector.source.address.family;
  for (const Request& request : policy.requests) {
    if (request.mode == Mode::tunnel) {
      family = request.destination.family;
      total += outer_header_bytes(family);
    }
    if (request.protocol == Protocol::ipcomp) continue;
    const SecurityAssociation* sa = nullptr;
    if (request.destination.family != base::Family::none)
      sa = sad.choose({request.protocol, request.mode, request.source, request.destination,
                       request.reqid, settings.prefer_oldest_sa});
    if (sa == nullptr)
      total += request.protocol == Protocol::ah ? kLongestAh : kLongestEsp;
    else if (request.protocol == Protocol::ah)
      total += sa->overhead(0, family);
    else
      total += (sa->config().udp.enabled() ? kUdpHeader : 0) + 8 + sa->iv_bytes() + sa->pad_to() -
               1 + 2 + sa->icv_bytes();
  }
  return total;
}

}  // namespace saline::ipsec
