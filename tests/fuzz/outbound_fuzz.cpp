// Outbound, then inbound: a random policy of up to three requests over a random packet. What passes
// comes back as it was, through the same SAs in reverse order, and kept within the MTU; what is
// refused before any work is left as it was, and used no number.
#include <algorithm>

#include "host/base/bytes.hpp"
#include "tests/fuzz/ledger.hpp"
#include "tests/fuzz/reference.hpp"

namespace saline::fuzz {

namespace {

using namespace saline::ipsec;
using hw::DropReason;

constexpr const char* kEnds4[] = {"10.0.0.1", "10.0.0.2"};
constexpr const char* kEnds6[] = {"2001:db8::1", "2001:db8::2"};

// Every protocol, mode and family over the same two hosts, so that any bundle of them finds SAs.
std::vector<test::SaSpec> specs() {
  struct Transform {
    const char* encryption;
    const char* integrity;
  };
  constexpr Transform kTransforms[] = {{"aes-gcm-16", ""},
                                       {"aes-cbc", "hmac-sha2-256"},
                                       {"null", "hmac-sha1"},
                                       {nullptr, "hmac-sha2-256"},
                                       {nullptr, "hmac-sha1"}};
  std::vector<test::SaSpec> all;
  std::uint32_t reqid = 0;
  for (const Transform& transform : kTransforms)
    for (Mode mode : {Mode::transport, Mode::tunnel})
      for (bool ipv6 : {false, true}) {
        test::SaSpec spec;
        spec.protocol = transform.encryption == nullptr ? Protocol::ah : Protocol::esp;
        if (transform.encryption != nullptr) spec.encryption = transform.encryption;
        spec.integrity = transform.integrity;
        spec.mode = mode;
        spec.source = (ipv6 ? kEnds6 : kEnds4)[0];
        spec.destination = (ipv6 ? kEnds6 : kEnds4)[1];
        spec.reqid = ++reqid;
        spec.esn = reqid % 2 == 0;
        all.push_back(spec);
      }
  return all;
}

struct World {
  World() : sender(specs()), receiver(specs()) {}
  Peer sender;
  Peer receiver;
};

World& world() {
  static World shared;
  return shared;
}

Policy policy_from(Input& input, std::vector<std::size_t>& used) {
  Policy policy;
  policy.action = Action::ipsec;
  for (unsigned count = 1 + input.take8() % 3; count > 0; --count) {
    const std::size_t index = input.take8() % world().sender.count();
    const test::SaSpec& spec = world().sender.spec(index);
    Request request;
    request.protocol = spec.protocol;
    request.mode = spec.mode;
    request.level = Level::require;
    request.reqid = spec.reqid;
    if (spec.mode == Mode::tunnel) {
      request.source = test::address(spec.source);
      request.destination = test::address(spec.destination);
    }
    policy.requests.push_back(request);
    used.push_back(index);
  }
  return policy;
}

// Between the two hosts, with whatever else the input says.
Bytes packet_from(Input& input) {
  const std::uint8_t shape = input.take8();
  if (shape % 8 == 7) return input.rest();
  const auto* ends = shape % 2 == 0 ? kEnds4 : kEnds6;
  const std::uint8_t protocol = input.take8();
  Bytes options;
  if (shape % 2 == 0) {
    options = input.take(input.take8() % 4 * 4u);
    options.resize(options.size() / 4 * 4);
  }
  const Bytes fields = input.take(2);  // class, identification or flow label
  Bytes packet = test::ip_packet(ends[0], ends[1], protocol, input.rest(), options);
  if (fields.size() == 2 && shape % 2 == 0) {
    packet[1] = fields[0];
    packet[6] = static_cast<std::uint8_t>(fields[1] & 0x60);
    base::store16(&packet[10], slow_checksum(packet, packet[0] % 16 * 4u));
  } else if (fields.size() == 2) {
    packet[1] = fields[0];
    packet[7] = fields[1];
  }
  return packet;
}

std::uint64_t numbers_used() {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < world().sender.count(); ++i)
    sum += world().sender.sa(i).counters().sequence.get();
  return sum;
}

// Whether the receiver finds more in the packet than the sender's policy put there, or less.
bool has_its_own_ipsec(const Bytes& plain) {
  const auto headers = slow_headers(plain);
  return !headers || headers->routed || headers->upper == kEsp || headers->upper == kAh ||
         headers->upper == 108 || headers->upper == kNoNextHeader || headers->upper == kIpv4 ||
         headers->upper == kIpv6;
}

void require_back(const Bytes& plain, test::Buffer& wire, const std::vector<std::size_t>& used) {
  for (const std::size_t index : used) world().receiver.sa(index).window().restart(0);
  const Bytes sent = wire.bytes();
  test::Buffer arrived(sent, 0, 0);
  const InboundItem item = world().receiver.host.open(arrived);
  if (has_its_own_ipsec(plain)) return;
  SALINE_REQUIRE(item.outcome == Outcome::pass, "protected, and refused at the other end");
  const auto headers = slow_headers(plain);
  SALINE_REQUIRE(
      arrived.bytes() ==
          Bytes(plain.begin(), plain.begin() + static_cast<std::ptrdiff_t>(headers->total)),
      "another packet came back");
  SALINE_REQUIRE(arrived.packet().history_count == used.size(), "as many steps back");
  for (std::size_t i = 0; i < used.size(); ++i) {
    const SecurityAssociation* step = arrived.packet().history[used.size() - 1 - i].association;
    SALINE_REQUIRE(step == &world().receiver.sa(used[i]), "the same SAs in reverse order");
  }
}

}  // namespace

void one(Input input) {
  std::vector<std::size_t> used;
  const Policy policy = policy_from(input, used);
  const std::uint32_t mtu = input.take8() * 16u;
  const std::uint32_t headroom = input.take8() * 4u;
  const Bytes plain = packet_from(input);
  if (plain.size() > 4000) return;
  const std::uint64_t numbers = numbers_used();
  test::Buffer buffer(plain, headroom, headroom);
  const OutboundItem item = world().sender.host.protect(buffer, policy, mtu);
  SALINE_REQUIRE((item.outcome == Outcome::drop) == (item.reason != DropReason::none),
                 "dropped with a reason, and not otherwise");
  if (item.outcome == Outcome::pass) {
    SALINE_REQUIRE(mtu == 0 || buffer.packet().length <= mtu || item.fragment_to == mtu,
                   "larger than the path, and not to be fragmented");
    SALINE_REQUIRE(numbers_used() == numbers + used.size(), "one number per request");
    require_back(plain, buffer, used);
    return;
  }
  if (item.outcome == Outcome::split)
    SALINE_REQUIRE(item.fitting_mtu >= 8 && item.fitting_mtu < plain.size(), "split to what size");
  const bool at_once = item.outcome == Outcome::split || item.reason == DropReason::no_sa ||
                       item.reason == DropReason::fragment || item.reason == DropReason::too_big;
  if (!at_once || used.size() > 1) return;
  SALINE_REQUIRE(numbers_used() == numbers, "a number for a packet that was not sent");
  const Bytes left = buffer.bytes();
  SALINE_REQUIRE(left.size() <= plain.size() && std::equal(left.begin(), left.end(), plain.begin()),
                 "a refused packet was changed");
}

std::vector<Bytes> seeds() {
  std::vector<Bytes> all;
  const Bytes datagram = test::udp(40);
  for (std::uint8_t index = 0; index < world().sender.count(); ++index) {
    const std::uint8_t shape = index % 2;
    const Bytes fields = shape == 0 ? Bytes{kUdp, 0, 0, 0} : Bytes{kUdp, 0, 64};
    all.push_back(join({{0, index, 0, 100, shape}, fields, datagram}));
    const auto other = static_cast<std::uint8_t>(index / 4 * 4 + 2 + index % 2);  // its tunnel
    all.push_back(join({{1, index, other, 90, 100, shape}, fields, datagram}));
    all.push_back(join({{2, index, other, other, 0, 100, shape}, fields, datagram}));
  }
  all.push_back(join({{0, 2, 0, 100, 7}, test::ip_packet("10.1.0.1", "10.2.0.1", kUdp, datagram)}));
  all.push_back(join({{0, 2, 4, 100, 7}, test::ip_packet("10.1.0.1", "10.2.0.1", kUdp, datagram)}));
  return all;
}

}  // namespace saline::fuzz
