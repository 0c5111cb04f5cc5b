// The simulator protocol over socket pairs: this test is libxrt, byte for byte as XRT 2.13 sends.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstring>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "host/base/error.hpp"
#include "sim/emulation/server.hpp"
#include "sim/emulation/wire.hpp"

namespace saline::sim {
namespace {

using Served = EmulationServer::Served;

class MapBoard : public EmulatedBoard {
 public:
  std::uint32_t read_register(std::uint64_t address) override { return registers[address]; }
  void write_register(std::uint64_t address, std::uint32_t value) override {
    registers[address] = value;
  }
  void read_memory(std::uint64_t address, std::span<std::uint8_t> out) override {
    for (auto& byte : out) byte = memory[address++];
  }
  void write_memory(std::uint64_t address, std::span<const std::uint8_t> data) override {
    for (const auto byte : data) memory[address++] = byte;
  }
  std::map<std::uint64_t, std::uint32_t> registers;
  std::map<std::uint64_t, std::uint8_t> memory;
};

class EmulationProtocol : public testing::Test {
 protected:
  EmulationProtocol() {
    int main[2], d2x[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, main), 0);
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, d2x), 0);
    main_ = main[0];
    d2x_ = d2x[0];
    const timeval patience{10, 0};
    for (const int fd : {main_, d2x_}) {
      EXPECT_EQ(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    }
    server.adopt(main[1], d2x[1]);
  }
  ~EmulationProtocol() override {
    hang_up();
    close(d2x_);
  }
  void hang_up() {
    if (main_ >= 0) close(main_);
    main_ = -1;
  }

  static std::string head(std::uint64_t size, std::uint32_t api) {
    std::string out = "\x09________\x15____";
    std::memcpy(&out[1], &size, 8);
    std::memcpy(&out[10], &api, 4);
    return out;
  }
  static void put(int fd, const std::string& data) {
    EXPECT_EQ(write(fd, data.data(), data.size()), static_cast<ssize_t>(data.size()));
  }
  static std::string take(int fd, std::size_t bytes) {
    std::string out(bytes, '\0');
    EXPECT_EQ(recv(fd, out.data(), bytes, MSG_WAITALL), static_cast<ssize_t>(bytes));
    return out;
  }
  static std::string take_message(int fd, std::size_t header) {
    const std::string start = take(fd, header);
    std::uint64_t size = 0;
    std::memcpy(&size, &start[1], 8);
    return size != 0 ? take(fd, size) : "";
  }
  // The reply's first number and its bytes.
  static std::pair<std::uint64_t, std::string> parse(const std::string& message) {
    std::pair<std::uint64_t, std::string> out;
    WireReader reader(message);
    for (WireField field; reader.next(field);) {
      if (field.field == 1) out.first = field.number;
      if (field.field == 2) out.second = field.bytes;
    }
    EXPECT_TRUE(reader.well_formed());
    return out;
  }
  // One call, as libxrt makes it: written, served, its reply read as 9 bytes and a message.
  std::pair<std::uint64_t, std::string> call(std::uint32_t api, const WireWriter& message) {
    put(main_, head(message.message().size(), api) + message.message());
    EXPECT_EQ(server.serve(board, 1000000), api == 1 ? Served::closed : Served::call);
    return parse(take_message(main_, 9));
  }

  EmulationServer server;
  MapBoard board;
  int main_ = -1, d2x_ = -1;
};

TEST_F(EmulationProtocol, WritesAndReadsRegisters) {
  call(9, WireWriter().number(2, 0x1800040).number(3, 4).bytes(4, std::string("\x04\x03\x02\x01")));
  EXPECT_EQ(board.registers[0x1800040], 0x01020304u);
  const auto [valid, data] = call(11, WireWriter().number(2, 0x1800040).number(3, 4));
  EXPECT_EQ(valid, 1u);
  EXPECT_EQ(data, std::string("\x04\x03\x02\x01"));
}

TEST_F(EmulationProtocol, AddsTheOffsetOfAPartialSyncToTheAddress) {
  call(6, WireWriter().number(3, 0x1000).bytes(4, "salt").number(5, 4).number(6, 0x40));
  EXPECT_EQ(board.memory[0x1040], 's');
  const auto [size, data] = call(
      7, WireWriter().bytes(3, std::string(4, 'x')).number(4, 0x1000).number(5, 4).number(6, 0x40));
  EXPECT_EQ(size, 4u);
  EXPECT_EQ(data, "salt");
}

TEST_F(EmulationProtocol, AcknowledgesWhatNeedsNoWork) {
  EXPECT_EQ(call(20, WireWriter().bytes(1, "name and value")).first, 1u);
  EXPECT_EQ(call(4, WireWriter().number(1, 0x2000).number(2, 4096)).first, 1u);
  EXPECT_EQ(call(5, WireWriter().number(1, 0x2000)).first, 1u);
  EXPECT_EQ(call(19, WireWriter().number(1, 1)).second, "");
}

TEST_F(EmulationProtocol, ReachesHostMemoryOnItsOwnSocket) {
  std::thread host([&] {  // libxrt's D2X thread
    const std::string question = take_message(d2x_, 14);
    WireReader asked(question);
    WireField field;
    EXPECT_TRUE(asked.next(field));
    EXPECT_EQ(field.number, 0x2000000000u);
    EXPECT_TRUE(asked.next(field));
    EXPECT_EQ(field.number, 64u);
    const std::string answer = WireWriter().number(1, 1).bytes(2, std::string(64, 'h')).message();
    put(d2x_, head(answer.size(), 34) + answer);
    const std::string written = take_message(d2x_, 14);
    put(d2x_, head(2, 35) + WireWriter().number(1, 1).message());
    WireReader reader(written);
    while (reader.next(field) && field.field != 3) {
    }
    EXPECT_EQ(field.bytes, std::string(32, 'c'));
    take_message(d2x_, 14);
    put(d2x_, head(2, 35) + WireWriter().number(1, 0).message());
  });
  std::array<std::uint8_t, 64> read{};
  EXPECT_TRUE(server.read_host(0x2000000000, read));
  EXPECT_EQ(read[63], 'h');
  const std::array<std::uint8_t, 32> wrong{};
  std::array<std::uint8_t, 32> data{};
  data.fill('c');
  EXPECT_TRUE(server.write_host(0x2000000000, data));
  EXPECT_FALSE(server.write_host(0x2000ffffff, wrong)) << "across the end of a buffer";
  host.join();
}

TEST_F(EmulationProtocol, EndsTheHostsThreadBeforeItAnswersClose) {
  EXPECT_EQ(call(1, WireWriter()).first, 1u);
  EXPECT_EQ(take(d2x_, 14), head(0, 1));
}

TEST_F(EmulationProtocol, EndsWhenTheHostIsGone) {
  hang_up();
  EXPECT_EQ(server.serve(board, 1000000), Served::closed);
}

TEST_F(EmulationProtocol, ReturnsWithoutACall) {
  EXPECT_EQ(server.serve(board, 0), Served::nothing);
  EXPECT_EQ(server.serve(board, 1000), Served::nothing);
}

TEST_F(EmulationProtocol, RefusesWhatIsNoCall) {
  put(main_, std::string(14, 'x'));
  EXPECT_THROW(server.serve(board, 1000000), base::Error);
  put(main_, head(std::uint64_t{1} << 40, 9));
  EXPECT_THROW(server.serve(board, 1000000), base::Error);
  const std::string truncated = WireWriter().bytes(4, "data").message().substr(0, 3);
  put(main_, head(truncated.size(), 9) + truncated);
  EXPECT_THROW(server.serve(board, 1000000), base::Error);
}

TEST(Wire, RoundTripsEveryKindOfField) {
  WireWriter out;
  out.number(1, 0).number(2, ~std::uint64_t{0}).bytes(15, "").bytes(16, std::string(300, 'x'));
  WireReader in(out.message());
  WireField field;
  ASSERT_TRUE(in.next(field));
  EXPECT_EQ(field.number, 0u);
  ASSERT_TRUE(in.next(field));
  EXPECT_EQ(field.number, ~std::uint64_t{0});
  ASSERT_TRUE(in.next(field));
  EXPECT_EQ(field.field, 15u);
  ASSERT_TRUE(in.next(field));
  EXPECT_EQ(field.field, 16u);
  EXPECT_EQ(field.bytes.size(), 300u);
  EXPECT_FALSE(in.next(field));
  EXPECT_TRUE(in.well_formed());
}

TEST(Wire, ReadsFixedWordsLittleEndian) {
  const std::string message("\x09\x01\x02\x00\x00\x00\x00\x00\x00\x15\x07\x00\x00\x00", 14);
  WireReader in(message);
  WireField field;
  ASSERT_TRUE(in.next(field));
  EXPECT_EQ(field.number, 0x201u);
  ASSERT_TRUE(in.next(field));
  EXPECT_EQ(field.number, 7u);
}

TEST(Wire, NeverReadsPastTheEnd) {
  const std::string first = WireWriter().number(1, 1u << 30).message();
  const std::string second = first + WireWriter().bytes(2, "text").message();
  const std::string whole = second + WireWriter().number(3, 7).message();
  for (std::size_t cut = 0; cut <= whole.size(); ++cut) {
    const std::vector<char> part(whole.begin(), whole.begin() + static_cast<long>(cut));
    WireReader in({part.data(), part.size()});
    int fields = 0;
    for (WireField field; fields < 4 && in.next(field); ++fields) {
    }
    EXPECT_EQ(fields, (cut >= first.size()) + (cut >= second.size()) + (cut >= whole.size()));
    const bool between_fields =
        cut == 0 || cut == first.size() || cut == second.size() || cut == whole.size();
    EXPECT_EQ(in.well_formed(), between_fields) << cut;
  }
  WireField field;
  WireReader endless(std::string_view("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 13));
  EXPECT_FALSE(endless.next(field));
  EXPECT_FALSE(endless.well_formed());
}

}  // namespace
}  // namespace saline::sim
