// Byte order, hexadecimal text, errors of system calls.
#include "host/base/bytes.hpp"

#include <gtest/gtest.h>

#include <cerrno>

#include "host/base/error.hpp"

namespace saline::base {

TEST(Bytes, StoresMostSignificantByteFirst) {
  std::array<std::uint8_t, 8> bytes{};
  store64(bytes.data(), 0x0102030405060708);
  EXPECT_EQ(to_hex(bytes), "0102030405060708");
  EXPECT_EQ(load64(bytes.data()), 0x0102030405060708u);
  EXPECT_EQ(load32(bytes.data() + 1), 0x02030405u);
  EXPECT_EQ(load16(bytes.data() + 6), 0x0708u);
  store32(bytes.data(), 0xA1B2C3D4);
  store16(bytes.data() + 4, 0xE5F6);
  EXPECT_EQ(to_hex(bytes), "a1b2c3d4e5f60708");
}

TEST(Bytes, HexTakesBothCasesAndNothingElse) {
  EXPECT_EQ(from_hex("00fFAb"), (std::vector<std::uint8_t>{0x00, 0xFF, 0xAB}));
  EXPECT_TRUE(from_hex("").empty());
  EXPECT_THROW(from_hex("abc"), Error);
  EXPECT_THROW(from_hex("0g"), Error);
  EXPECT_THROW(from_hex("0x"), Error);
}

TEST(Bytes, HexErrorNeverRepeatsTheText) {
  try {
    from_hex("deadbeefz0");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.errno_value(), EINVAL);
    EXPECT_EQ(std::string(error.what()).find("dead"), std::string::npos) << error.what();
  }
}

TEST(Error, SystemErrorNamesCallAndCause) {
  errno = EACCES;
  const Error error = system_error("open /dev/net/tun");
  EXPECT_EQ(error.errno_value(), EACCES);
  EXPECT_STREQ(error.what(), "open /dev/net/tun: Permission denied");
  errno = 0;
  EXPECT_NE(system_error("nothing").errno_value(), 0);
}

}  // namespace saline::base
