// Mutable fields against the table of the vector collection, byte by byte.
#include "host/ipsec/mutable_fields.hpp"

#include <gtest/gtest.h>

#include "tests/host/ipsec/bed.hpp"

namespace saline::test {

using namespace saline::ipsec;

TEST(MutableFields, Ipv4BaseHeader) {
  Bytes header = ip_packet("10.0.0.1", "10.0.0.2", kAh, {});
  header[1] = 0xB8;
  header[4] = 0x12;
  header[6] = 0x40;
  const Bytes before = header;
  ASSERT_TRUE(mute(header, Settings{}));
  Bytes expected = before;
  for (std::size_t at : {1u, 6u, 7u, 8u, 10u, 11u}) expected[at] = 0;
  EXPECT_EQ(header, expected);
}

TEST(MutableFields, Ipv4OptionsGoWholeOrStayWhole) {
  const Bytes options = {1, 130, 4, 9, 9, 7, 7, 4, 1, 2, 3, 4};
  Bytes header = ip_packet("10.0.0.1", "10.0.0.2", kAh, {}, options);
  ASSERT_TRUE(mute(header, Settings{}));
  EXPECT_EQ(Bytes(header.begin() + 20, header.end()),
            (Bytes{1, 130, 4, 9, 9, 0, 0, 0, 0, 0, 0, 0}));
}

TEST(MutableFields, Ipv6BaseHeader) {
  Bytes header = ip_packet("2001:db8::1", "2001:db8::2", kAh, {});
  header[0] = 0x6A;
  header[1] = 0xBC;
  header[2] = 0xDE;
  header[3] = 0xF0;
  const Bytes before = header;
  ASSERT_TRUE(mute(header, Settings{}));
  Bytes expected = before;
  expected[0] = 0x60;
  expected[1] = expected[2] = expected[3] = expected[7] = 0;
  EXPECT_EQ(header, expected);
}

TEST(MutableFields, Ipv6OptionsOffTheEndAreRefused) {
  const Bytes options = {kAh, 0, 0x3E, 9, 1, 2, 3, 4};
  Bytes header = ip_packet("2001:db8::1", "2001:db8::2", kHopByHop, {}, options);
  EXPECT_FALSE(mute(header, Settings{}));
}

}  // namespace saline::test
