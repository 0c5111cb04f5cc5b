// Addresses, prefixes and socket addresses.
#include "host/base/ip.hpp"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <vector>

#include "host/base/error.hpp"

namespace saline::base {

TEST(Address, ParsesAndPrintsBothFamilies) {
  EXPECT_EQ(Address::parse("192.0.2.1").to_string(), "192.0.2.1");
  EXPECT_EQ(Address::parse("2001:DB8::1").to_string(), "2001:db8::1");
  EXPECT_EQ(Address::parse("192.0.2.1").wire().size(), 4u);
  EXPECT_EQ(Address::parse("::1").wire().size(), 16u);
}

TEST(Address, RefusesNamesAndNonsenseNamingThem) {
  for (const char* text :
       {"", "localhost", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1::2::3", "::1%lo"}) {
    try {
      Address::parse(text);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.errno_value(), EINVAL);
      EXPECT_NE(std::string(error.what()).find(text), std::string::npos);
    }
  }
}

TEST(Address, KnowsMulticastAndUnspecified) {
  EXPECT_TRUE(Address::parse("224.0.0.1").is_multicast());
  EXPECT_TRUE(Address::parse("ff02::1").is_multicast());
  EXPECT_FALSE(Address::parse("223.255.255.255").is_multicast());
  EXPECT_FALSE(Address::parse("fe80::1").is_multicast());
  EXPECT_TRUE(Address::parse("0.0.0.0").is_unspecified());
  EXPECT_FALSE(Address::parse("::1").is_unspecified());
}

TEST(Prefix, ComparesOnlyItsBits) {
  const Prefix ten{Address::parse("10.1.2.3"), 9};
  EXPECT_TRUE(ten.contains(Address::parse("10.127.0.0")));
  EXPECT_FALSE(ten.contains(Address::parse("10.128.0.0")));
  EXPECT_FALSE(ten.contains(Address::parse("::ffff:10.1.2.3")));
  const Prefix all{Address::parse("::"), 0};
  EXPECT_TRUE(all.contains(Address::parse("2001:db8::1")));
  EXPECT_FALSE(all.contains(Address::parse("10.0.0.1")));
  const Prefix host{Address::parse("2001:db8::1"), 128};
  EXPECT_TRUE(host.contains(Address::parse("2001:db8::1")));
  EXPECT_FALSE(host.contains(Address::parse("2001:db8::2")));
}

TEST(Prefix, LeavesOutTheFullLength) {
  EXPECT_EQ((Prefix{Address::parse("10.0.0.0"), 8}).to_string(), "10.0.0.0/8");
  EXPECT_EQ((Prefix{Address::parse("10.0.0.1"), 32}).to_string(), "10.0.0.1");
  EXPECT_EQ((Prefix{Address::parse("::1"), 128}).to_string(), "::1");
}

TEST(Endpoint, GoesThroughASocketAddressUnchanged) {
  for (const char* text : {"192.0.2.9", "2001:db8::9"}) {
    const Endpoint endpoint{Address::parse(text), 4500};
    std::vector<std::uint8_t> bytes(sockaddr_bytes(endpoint.address.family));
    endpoint_to_sockaddr(endpoint, bytes);
    EXPECT_EQ(endpoint_from_sockaddr(bytes), endpoint);
    EXPECT_THROW(endpoint_from_sockaddr(std::span(bytes).first(bytes.size() - 1)), Error);
    EXPECT_THROW(endpoint_to_sockaddr(endpoint, std::span(bytes).first(bytes.size() - 1)), Error);
  }
}

TEST(Endpoint, RefusesOtherFamilies) {
  sockaddr_in other{};
  other.sin_family = AF_UNIX;
  const auto* raw = reinterpret_cast<const std::uint8_t*>(&other);
  try {
    endpoint_from_sockaddr({raw, sizeof(other)});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.errno_value(), EAFNOSUPPORT);
  }
  EXPECT_THROW(endpoint_from_sockaddr({raw, 1}), Error);
}

}  // namespace saline::base
