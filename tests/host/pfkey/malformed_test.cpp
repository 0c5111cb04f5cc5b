// Every class of malformed datagram gets its errno and nothing else, and a hundred thousand random
// mutations get an Error or a Message that survives a round trip.
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <random>
#include <string>

#include "host/base/error.hpp"
#include "host/pfkey/request.hpp"
#include "tests/host/pfkey/samples.hpp"

namespace saline::pfkey {
namespace {

using Datagram = std::vector<std::uint8_t>;

int errno_of(const Datagram& datagram) {
  try {
    decode(datagram);
    return 0;
  } catch (const base::Error& error) {
    return error.errno_value();
  }
}

// Offsets in kAddHex.
constexpr std::size_t kSaAt = 16, kHardAt = 32, kSourceAt = 64, kDestinationAt = 88, kKeyAt = 112,
                      kSa2At = 136;
// Offsets in kSpdAddHex.
constexpr std::size_t kPolicyAt = 96, kRequestAt = 112;

Datagram broken(std::string_view hex, std::size_t offset, int value) {
  Datagram datagram = bytes_of(hex);
  datagram.at(offset) = static_cast<std::uint8_t>(value);
  return datagram;
}

Datagram with_length(Datagram datagram) {
  datagram[4] = static_cast<std::uint8_t>(datagram.size() / 8);
  datagram[5] = static_cast<std::uint8_t>(datagram.size() / 8 >> 8);
  return datagram;
}

// A DUMP with one more extension.
Datagram with_extension(std::string_view extension) {
  Datagram datagram = bytes_of("02 0a 00 00 0200 0000 00000000 00000000");
  const Datagram more = bytes_of(extension);
  datagram.insert(datagram.end(), more.begin(), more.end());
  return with_length(datagram);
}

TEST(PfkeyMalformed, TheSamplesThemselvesAreFine) {
  EXPECT_EQ(errno_of(bytes_of(kAddHex)), 0);
  EXPECT_EQ(errno_of(bytes_of(kSpdAddHex)), 0);
  EXPECT_EQ(errno_of(with_extension("")), 0);
}

TEST(PfkeyMalformed, LengthThatIsNotTheDatagrams) {
  EXPECT_EQ(errno_of({}), EMSGSIZE);
  EXPECT_EQ(errno_of(bytes_of("02 0a 00 00 0100 0000")), EMSGSIZE);
  EXPECT_EQ(errno_of(broken(kAddHex, 4, 0)), EMSGSIZE);
  EXPECT_EQ(errno_of(broken(kAddHex, 4, 0x12)), EMSGSIZE);
  EXPECT_EQ(errno_of(broken(kAddHex, 4, 0x14)), EMSGSIZE);
  EXPECT_EQ(errno_of(broken(kAddHex, 5, 1)), EMSGSIZE);
  Datagram odd = bytes_of(kAddHex);
  odd.push_back(0);
  EXPECT_EQ(errno_of(odd), EMSGSIZE);
}

TEST(PfkeyMalformed, Header) {
  EXPECT_EQ(errno_of(broken(kAddHex, 0, 1)), EINVAL);
  EXPECT_EQ(errno_of(broken(kAddHex, 1, 0)), EINVAL);
  EXPECT_EQ(errno_of(broken(kAddHex, 1, 25)), EINVAL);
  for (const int satype : {1, 4, 10, 11, 16, 255})
    EXPECT_EQ(errno_of(broken(kAddHex, 3, satype)), EINVAL) << satype;
  EXPECT_EQ(errno_of(broken(kAddHex, 6, 1)), EINVAL);
  EXPECT_EQ(errno_of(broken(kAddHex, 7, 1)), EINVAL);
  EXPECT_EQ(errno_of(bytes_of("02 0b 00 01 0200 0000 00000000 00000000")), 0);  // PROMISC on
  EXPECT_EQ(errno_of(bytes_of("02 0b 00 02 0200 0000 00000000 00000000")), EINVAL);
}

TEST(PfkeyMalformed, ExtensionLengths) {
  EXPECT_EQ(errno_of(broken(kAddHex, kSaAt, 0)), EINVAL);   // would loop for ever
  EXPECT_EQ(errno_of(broken(kAddHex, kSaAt, 1)), EINVAL);   // below its size
  EXPECT_EQ(errno_of(broken(kAddHex, kSaAt, 6)), EINVAL);   // swallows the next
  EXPECT_EQ(errno_of(broken(kAddHex, kSa2At, 3)), EINVAL);  // beyond the end
  EXPECT_EQ(errno_of(broken(kAddHex, kSa2At + 1, 1)), EINVAL);
  EXPECT_EQ(errno_of(broken(kAddHex, kHardAt, 3)), EINVAL);
}

TEST(PfkeyMalformed, ExtensionTypes) {
  for (const int type : {0, 17, 27, 31, 100, 255})
    EXPECT_EQ(errno_of(broken(kAddHex, kSa2At + 2, type)), EINVAL) << type;
  EXPECT_EQ(errno_of(broken(kAddHex, kSa2At + 2, 1)), EINVAL);          // a second SA
  EXPECT_EQ(errno_of(broken(kAddHex, kDestinationAt + 2, 5)), EINVAL);  // a second source
  EXPECT_EQ(errno_of(broken(kAddHex, kSa2At + 2, 12)), EOPNOTSUPP);     // sensitivity
  EXPECT_EQ(errno_of(broken(kAddHex, kSa2At + 3, 0x80)), EINVAL);       // private, not ours
}

TEST(PfkeyMalformed, EveryKindOfExtensionIsHeldToItsSize) {
  for (unsigned type = 1; type <= 26; ++type) {
    for (unsigned units = 1; units <= 12; ++units) {
      Datagram datagram = bytes_of("02 0a 00 00 0200 0000 00000000 00000000");
      datagram.resize(16 + units * 8, 0xff);
      datagram[16] = static_cast<std::uint8_t>(units);
      datagram[17] = 0;
      datagram[18] = static_cast<std::uint8_t>(type);
      datagram[19] = 0;
      const int result = errno_of(with_length(datagram));
      const bool fixed_size = type <= 4 || type == 16 || (type >= 19 && type <= 22);
      const unsigned size = type <= 1 || type == 16 || type == 19 ? 2 : type <= 4 ? 4 : 1;
      if (fixed_size && units != size) {
        EXPECT_EQ(result, EINVAL) << "type " << type << ", units " << units;
      }
    }
  }
}

TEST(PfkeyMalformed, Addresses) {
  EXPECT_EQ(errno_of(broken(kAddHex, kSourceAt + 5, 33)), EINVAL);       // prefix
  EXPECT_EQ(errno_of(broken(kSpdAddHex, 16 + 5, 129)), EINVAL);          // prefix, IPv6
  EXPECT_EQ(errno_of(broken(kAddHex, kSourceAt + 8, 1)), EAFNOSUPPORT);  // AF_UNIX
  EXPECT_EQ(errno_of(broken(kAddHex, kSourceAt + 8, 0)), EAFNOSUPPORT);
  EXPECT_EQ(errno_of(broken(kAddHex, kSourceAt + 8, 10)), EINVAL);    // IPv6, too short
  EXPECT_EQ(errno_of(broken(kSpdAddHex, 16 + 8, 2)), EINVAL);         // IPv4, too long
  EXPECT_EQ(errno_of(with_extension("0100 0500 00000000")), EINVAL);  // no sockaddr
  EXPECT_EQ(errno_of(with_extension("0200 0500 00000000 0200 0000 0a000001")), EINVAL);
  Message mixed = sample_add();
  mixed.destination = address("::1", 128);
  const Bytes bytes = encode(mixed);
  EXPECT_EQ(errno_of(Datagram(bytes.begin(), bytes.end())), EINVAL);
}

TEST(PfkeyMalformed, PortsOfAnSaAreNotJudged) {
  EXPECT_EQ(errno_of(broken(kAddHex, kSourceAt + 10, 0x11)), 0);
}

TEST(PfkeyMalformed, Keys) {
  EXPECT_EQ(errno_of(broken(kAddHex, kKeyAt + 4, 0x81)), EINVAL);  // 129 bits
  EXPECT_EQ(errno_of(broken(kAddHex, kKeyAt + 4, 0x88)), EINVAL);  // one byte too many
  EXPECT_EQ(errno_of(broken(kAddHex, kKeyAt + 4, 0x40)), EINVAL);  // eight unused bytes
  EXPECT_EQ(errno_of(broken(kAddHex, kKeyAt + 4, 0x48)), 0);       // 9 bytes, padded
  EXPECT_EQ(errno_of(broken(kAddHex, kKeyAt + 5, 0xff)), EINVAL);
  EXPECT_EQ(errno_of(with_extension("0100 0900 0000 0000")), 0);  // NULL has no key
  EXPECT_EQ(errno_of(with_extension("0200 0900 0000 0000 0000000000000000")), EINVAL);
}

TEST(PfkeyMalformed, Enumerations) {
  EXPECT_EQ(errno_of(broken(kAddHex, kSaAt + 9, 4)), EINVAL);         // state
  EXPECT_EQ(errno_of(broken(kAddHex, kSa2At + 4, 3)), EINVAL);        // mode
  EXPECT_EQ(errno_of(with_extension("0100 1400 03000000")), EINVAL);  // NAT-T type
  EXPECT_EQ(errno_of(with_extension("0200 0a00 0400 0000 0000000000000000")), EINVAL);
  EXPECT_EQ(errno_of(with_extension("0300 0a00 0200 0000 0000000000000000 6161616161616161")),
            EINVAL);  // identity without end
}

TEST(PfkeyMalformed, Policies) {
  const auto policy = [](std::size_t offset, int value) {
    return errno_of(broken(kSpdAddHex, offset, value));
  };
  EXPECT_EQ(policy(kPolicyAt + 4, 5), EINVAL);  // type
  EXPECT_EQ(policy(kPolicyAt + 6, 4), EINVAL);  // direction
  EXPECT_EQ(policy(kRequestAt, 0), EINVAL);     // length 0: would loop for ever
  EXPECT_EQ(policy(kRequestAt, 15), EINVAL);
  EXPECT_EQ(policy(kRequestAt, 16), EINVAL);  // tunnel without addresses
  EXPECT_EQ(policy(kRequestAt, 32), EINVAL);  // one address
  EXPECT_EQ(policy(kRequestAt, 47), EINVAL);
  EXPECT_EQ(policy(kRequestAt, 49), EINVAL);  // over the end
  EXPECT_EQ(policy(kRequestAt + 1, 0xff), EINVAL);
  EXPECT_EQ(policy(kRequestAt + 2, 17), EINVAL);  // protocol
  EXPECT_EQ(policy(kRequestAt + 3, 1), EINVAL);
  EXPECT_EQ(policy(kRequestAt + 4, 0), EINVAL);  // mode any
  EXPECT_EQ(policy(kRequestAt + 4, 3), EINVAL);
  EXPECT_EQ(policy(kRequestAt + 5, 4), EINVAL);  // level
  EXPECT_EQ(policy(kRequestAt + 16, 1), EAFNOSUPPORT);
  EXPECT_EQ(policy(kRequestAt + 32, 10), EINVAL);  // second address of another family
}

// The last request of the datagram claims to be shorter than it can be: what would follow it lies
// outside the datagram.
TEST(PfkeyMalformed, ARequestShorterThanItselfAtTheEnd) {
  for (const int length : {0, 1, 15}) {
    Datagram datagram = with_extension(
        "0400 1200 0200 02 00 00000000 00000080"
        "1000 3200 01 02 0000 00000000 00000000");
    EXPECT_EQ(errno_of(datagram), 0);
    datagram[32] = static_cast<std::uint8_t>(length);
    datagram.shrink_to_fit();
    EXPECT_EQ(errno_of(datagram), EINVAL) << length;
  }
}

TEST(PfkeyMalformed, APolicyHasAtMostSixteenRequests) {
  Message m = sample_spdadd();
  m.policy->requests.resize(16, m.policy->requests[0]);
  EXPECT_NO_THROW(decode(encode(m)));
  m.policy->requests.resize(17, m.policy->requests[0]);
  EXPECT_THROW(decode(encode(m)), base::Error);
}

// One to four of: flip a bit, set a byte to something, cut, grow, repeat a piece.
void mutate(Datagram& datagram, std::mt19937& random) {
  for (auto times = 1 + random() % 4; times > 0; --times) {
    if (datagram.empty()) return;
    const std::size_t at = random() % datagram.size();
    static constexpr std::uint8_t kInteresting[] = {0, 1, 2, 3, 7, 8, 16, 26, 0x7f, 0x80, 0xff};
    switch (random() % 8) {
      case 0:
        datagram.resize(at);
        break;
      case 1:
        datagram.insert(datagram.end(), random() % 64, static_cast<std::uint8_t>(random()));
        break;
      case 2:
        datagram.insert(datagram.end(), 8, 0);
        break;
      case 3:
      case 4:
        datagram[at] = static_cast<std::uint8_t>(datagram[at] ^ (1 << random() % 8));
        break;
      default:
        datagram[at] = kInteresting[random() % std::size(kInteresting)];
    }
  }
  if (random() % 4 != 0 && datagram.size() >= 16) {  // so that most come past the header
    datagram.resize(datagram.size() / 8 * 8);
    datagram = with_length(datagram);
  }
}

TEST(PfkeyMalformed, RandomMutationsNeverGetFurtherThanTheyMay) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  std::vector<Datagram> seeds{bytes_of(kAddHex), bytes_of(kSpdAddHex)};
  Message full = sample_add();
  full.source_identity = Identity{IdentityType::fqdn, 9, "gate.example.org"};
  full.proposal = Proposal{32, {{}, {}}};
  full.supported_auth = {{2, 0, 128, 128}};
  full.policy = sample_spdadd().policy;
  full.nat_t_original = address("10.9.8.7", 32);
  full.security_context = SecurityContext{1, 2, "context"};
  full.kmaddress = KmAddress{{base::Address::parse("::1"), 0}, {base::Address::parse("::2"), 0}};
  full.saline_path = SalinePath{Path::card, "reason"};
  const Bytes bytes = encode(full, kFeaturePath);
  seeds.emplace_back(bytes.begin(), bytes.end());
  int accepted = 0;
  for (int i = 0; i < 100000; ++i) {
    // On the heap at its exact size: the sanitizer sees a read of one byte too many.
    Datagram mutant = seeds[random() % seeds.size()];
    mutate(mutant, random);
    mutant.shrink_to_fit();
    try {
      Message m = decode(mutant);
      ++accepted;
      const Bytes again = encode(m, kFeaturePath | kFeatureReplay);
      ASSERT_EQ(static_cast<const PublicMessage&>(decode(again)), m) << "mutation " << i;
      check_request(m);
    } catch (const base::Error& error) {
      ASSERT_GT(error.errno_value(), 0);
    }
  }
  EXPECT_GT(accepted, 1000);  // else the mutations test the header only
}

}  // namespace
}  // namespace saline::pfkey
