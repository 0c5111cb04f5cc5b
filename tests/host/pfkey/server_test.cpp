// The PF_KEY server through real sockets: who hears what, what errors do, how dumps and slow
// readers behave. Client and server share this thread; pump() gives the server its turn.
#include "host/pfkey/server.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>

#include "host/base/error.hpp"
#include "tests/host/pfkey/samples.hpp"

namespace saline::pfkey {
namespace {

// A dump of `count` SAs with SPIs from 1; tells how far it was asked.
class CountingDump : public DumpSource {
 public:
  CountingDump(std::uint32_t count, std::uint32_t& generated)
      : count_(count), generated_(generated) {}
  std::optional<Message> next() override {
    if (spi_ == count_) return std::nullopt;
    ++generated_;
    Message m = sample_add();
    m.satype = SaType::unspec;
    m.sa->spi = ++spi_;
    m.current = Lifetime{};
    return m;
  }

 private:
  std::uint32_t count_, spi_ = 0;
  std::uint32_t& generated_;
};

class FakeHandler : public Handler {
 public:
  std::uint32_t dump_entries = 0, dump_generated = 0;
  std::vector<SessionId> closed;
  std::vector<std::string> refusals;

  Message add(Message& request, const Client&) override {
    if (request.sa->spi == 1) throw base::Error(EEXIST, "that SA exists");
    if (request.sa->spi == 2) throw std::bad_alloc();
    if (request.sa->spi == 3) throw std::runtime_error("a bug");
    Message reply = request.clone();
    reply.type = MessageType::reserved;  // the server knows better
    reply.seq = reply.pid = 99;
    reply.saline_path = SalinePath{Path::card, "fits"};
    return reply;
  }
  Message get(Message& request, const Client&) override {
    Message reply = sample_add();
    reply.sa->spi = request.sa->spi;
    return reply;
  }
  Message flush(Message& request, const Client&) override { return Message::reply_to(request); }
  Message reg(Message& request, const Client&) override {
    Message reply = Message::reply_to(request);
    reply.supported_encrypt = {{12, 16, 128, 256}};
    return reply;
  }
  void acquire(Message&, const Client&) override { ++acquires; }
  std::unique_ptr<DumpSource> dump(Message&, const Client&) override {
    return std::make_unique<CountingDump>(dump_entries, dump_generated);
  }
  void session_closed(const Client& client) noexcept override { closed.push_back(client.session); }
  void refused(const Client&, MessageType, int, const std::string& sentence) noexcept override {
    refusals.push_back(sentence);
  }
  int acquires = 0;
};

struct Peer {
  explicit Peer(const std::string& path, int receive_buffer = 0) {
    fd = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (receive_buffer)
      ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    connected = ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  ~Peer() { close(); }
  void close() {
    if (fd >= 0) ::close(fd);
    fd = -1;
  }

  bool send(std::span<const std::uint8_t> bytes) const {
    return ::send(fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL) ==
           static_cast<ssize_t>(bytes.size());
  }
  bool send(const Message& message) const { return send(encode(message, ~0U)); }
  // What is there now; nothing when nothing is.
  std::optional<std::vector<std::uint8_t>> receive_bytes() const {
    std::vector<std::uint8_t> bytes(4096);
    const ssize_t size = ::recv(fd, bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (size < 0) return std::nullopt;
    bytes.resize(static_cast<std::size_t>(size));
    return bytes;
  }
  std::optional<Message> receive() const {
    const auto bytes = receive_bytes();
    if (!bytes || bytes->empty()) return std::nullopt;
    return decode(*bytes);
  }
  bool at_end() const {
    const auto bytes = receive_bytes();
    return bytes && bytes->empty();
  }

  int fd = -1;
  bool connected = false;
};

class PfkeyServer : public ::testing::Test {
 protected:
  PfkeyServer() {
    char pattern[] = "/tmp/saline-pfkey-XXXXXX";
    directory_ = ::mkdtemp(pattern);
    path_ = directory_ + "/run/pfkey.sock";
    start();
  }
  ~PfkeyServer() override {
    server_.reset();
    std::filesystem::remove_all(directory_);
  }
  void start(std::size_t queue_bytes = 1 << 20) {
    server_.reset();
    server_ = std::make_unique<Server>(ServerOptions{path_, queue_bytes, 8}, handler_);
  }
  void pump(int times = 20) {
    for (int i = 0; i < times; ++i) server_->poll(0);
  }
  Message add(std::uint32_t spi, std::uint32_t seq = 7) {
    Message m = sample_add();
    m.sa->spi = spi;
    m.seq = seq;
    return m;
  }
  Message plain(MessageType type, SaType satype = SaType::unspec) {
    Message m(type);
    m.satype = satype;
    m.seq = 3;
    m.pid = 4;
    return m;
  }
  int error_for(const Peer& peer, const Message& request) {
    peer.send(request);
    pump();
    const auto reply = peer.receive();
    EXPECT_TRUE(reply);
    return reply ? reply->error : -1;
  }

  std::string directory_, path_;
  FakeHandler handler_;
  std::unique_ptr<Server> server_;
};

TEST_F(PfkeyServer, SocketIsForTheOwnerAloneAndGoesWithTheServer) {
  struct stat status;
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600U);
  server_.reset();
  EXPECT_NE(::stat(path_.c_str(), &status), 0);
}

TEST_F(PfkeyServer, ASecondServerIsRefusedAndAStaleSocketReplaced) {
  try {
    Server second({path_}, handler_);
    ADD_FAILURE() << "two servers on one path";
  } catch (const base::Error& error) {
    EXPECT_EQ(error.errno_value(), EADDRINUSE);
  }
  const std::string stale = directory_ + "/stale.sock";
  std::filesystem::rename(path_, stale);
  server_.reset();  // nobody serves `stale` now
  Server replacing({stale}, handler_);
  EXPECT_TRUE(Peer(stale).connected);
  const std::string file = directory_ + "/file";
  ::close(::open(file.c_str(), O_CREAT | O_WRONLY, 0600));
  EXPECT_THROW(Server({file}, handler_), base::Error);
  EXPECT_TRUE(std::filesystem::exists(file));
}

TEST_F(PfkeyServer, AnotherUserIsTurnedAway) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to connect as somebody else";
  ASSERT_EQ(::chmod(path_.c_str(), 0666), 0);
  ASSERT_EQ(::chmod(directory_.c_str(), 0755), 0);
  ASSERT_EQ(::seteuid(65534), 0);
  Peer nobody(path_);
  ASSERT_EQ(::seteuid(0), 0);
  ASSERT_TRUE(nobody.connected);
  pump();
  const auto reply = nobody.receive_bytes();
  ASSERT_TRUE(reply);
  ASSERT_EQ(reply->size(), 16U);
  EXPECT_EQ((*reply)[2], EACCES);
  EXPECT_EQ(server_->sessions(), 0U);
  EXPECT_TRUE(nobody.at_end());
}

TEST_F(PfkeyServer, SessionsAreBounded) {
  std::vector<std::unique_ptr<Peer>> peers;
  for (int i = 0; i < 9; ++i) peers.push_back(std::make_unique<Peer>(path_));
  pump();
  EXPECT_EQ(server_->sessions(), 8U);
  peers[0]->close();
  pump();
  Peer next(path_);
  pump();
  EXPECT_EQ(server_->sessions(), 8U);
  EXPECT_EQ(error_for(next, plain(MessageType::flush)), 0);
}

// Else the listener would stay readable and the daemon's loop spin.
TEST_F(PfkeyServer, WithoutDescriptorsAConnectionIsClosedNotLeftWaiting) {
  Peer early(path_), late(path_);
  pump(1);  // one accept a turn
  ASSERT_EQ(server_->sessions(), 1U);
  std::vector<int> hoard;
  for (int fd; (fd = ::dup(0)) >= 0;) hoard.push_back(fd);
  pump();
  const bool closed = late.at_end();
  for (const int fd : hoard) ::close(fd);
  EXPECT_TRUE(closed);
  EXPECT_EQ(error_for(early, plain(MessageType::flush)), 0);
  Peer next(path_);
  EXPECT_EQ(error_for(next, plain(MessageType::flush)), 0);
}

TEST_F(PfkeyServer, TheSenderGetsOneCopyWithKeysTheOthersOneWithout) {
  Peer sender(path_), other(path_);
  ASSERT_TRUE(sender.send(add(0x1000)));
  pump();
  const auto reply = sender.receive();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->type, MessageType::add);
  EXPECT_EQ(reply->seq, 7U);
  EXPECT_EQ(reply->pid, 12345U);
  EXPECT_EQ(reply->error, 0);
  EXPECT_TRUE(reply->key_encrypt);
  EXPECT_FALSE(sender.receive());
  const auto copy = other.receive_bytes();
  ASSERT_TRUE(copy);
  EXPECT_EQ(decode(*copy).sa->spi, 0x1000U);
  EXPECT_EQ(std::ranges::count(*copy, 0xA5), 0) << "key bytes in a broadcast";
  EXPECT_FALSE(other.receive());
}

TEST_F(PfkeyServer, GetIsForTheSenderAlone) {
  Peer sender(path_), other(path_);
  Message get = add(0x1000);
  get.type = MessageType::get;
  sender.send(get);
  pump();
  const auto reply = sender.receive();
  ASSERT_TRUE(reply);
  EXPECT_TRUE(reply->key_encrypt);
  EXPECT_FALSE(other.receive());
}

TEST_F(PfkeyServer, ErrorsAreAHeaderForTheSenderAlone) {
  Peer sender(path_), other(path_);
  ASSERT_TRUE(sender.send(add(1)));
  pump();
  const auto bytes = sender.receive_bytes();
  ASSERT_TRUE(bytes);
  EXPECT_EQ(bytes->size(), 16U);
  const Message reply = decode(*bytes);
  EXPECT_EQ(reply.error, EEXIST);
  EXPECT_EQ(reply.type, MessageType::add);
  EXPECT_EQ(reply.seq, 7U);
  EXPECT_EQ(reply.pid, 12345U);
  EXPECT_FALSE(sender.receive());
  EXPECT_FALSE(other.receive());
  EXPECT_THAT(handler_.refusals, ::testing::ElementsAre("that SA exists"));
}

TEST_F(PfkeyServer, WhateverAHandlerThrowsBecomesAnErrno) {
  Peer sender(path_);
  EXPECT_EQ(error_for(sender, add(2)), ENOMEM);
  EXPECT_EQ(error_for(sender, add(3)), EIO);
  EXPECT_EQ(error_for(sender, add(4)), 0);
}

TEST_F(PfkeyServer, MalformedDatagramsNeverReachAHandler) {
  Peer sender(path_), other(path_);
  auto bytes = bytes_of(kAddHex);
  bytes[18] = 99;
  sender.send(bytes);
  sender.send(std::span(bytes).first(3));
  std::vector<std::uint8_t> huge(70000);
  ASSERT_TRUE(sender.send(huge));
  Message incomplete = add(0x1000);
  incomplete.destination.reset();
  sender.send(incomplete);
  pump();
  for (const int expected : {EINVAL, EMSGSIZE, EMSGSIZE, EINVAL}) {
    const auto reply = sender.receive_bytes();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->size(), 16U);
    EXPECT_EQ((*reply)[2], expected);
  }
  EXPECT_FALSE(sender.receive_bytes());
  EXPECT_FALSE(other.receive_bytes());
  EXPECT_EQ(error_for(sender, add(0x1000)), 0);
}

TEST_F(PfkeyServer, RequestsWithoutHandlerAreNotSupported) {
  Peer sender(path_);
  EXPECT_EQ(error_for(sender, sample_spdadd()), EOPNOTSUPP);
  EXPECT_EQ(error_for(sender, plain(MessageType::expire)), EOPNOTSUPP);
  EXPECT_EQ(error_for(sender, plain(MessageType::spddump)), EOPNOTSUPP);
}

TEST_F(PfkeyServer, TheRegisteredHearTheDaemon) {
  Peer registered(path_), asking(path_), silent(path_);
  pump();
  EXPECT_FALSE(server_->anybody_registered());
  EXPECT_EQ(error_for(registered, plain(MessageType::reg, SaType::ah)), 0);
  EXPECT_TRUE(server_->anybody_registered());
  EXPECT_EQ(error_for(registered, plain(MessageType::reg, SaType::ah)), EEXIST);
  EXPECT_EQ(error_for(registered, plain(MessageType::reg, SaType::esp)), 0);
  EXPECT_FALSE(silent.receive()) << "REGISTER goes to the registered and the sender";

  // Satype 0 is answered, also to the registered, but does not register.
  EXPECT_EQ(error_for(asking, plain(MessageType::reg)), 0);
  ASSERT_TRUE(registered.receive());

  Message acquire = add(0, 42);
  acquire.type = MessageType::acquire;
  server_->send_registered(acquire);
  const auto heard = registered.receive();
  ASSERT_TRUE(heard);
  EXPECT_EQ(heard->type, MessageType::acquire);
  EXPECT_EQ(heard->seq, 42U);
  EXPECT_EQ(heard->pid, 0U);
  EXPECT_FALSE(heard->key_encrypt);
  EXPECT_FALSE(registered.receive());
  EXPECT_FALSE(asking.receive());
  server_->send_all(acquire);
  EXPECT_TRUE(asking.receive());
  EXPECT_TRUE(silent.receive());
  registered.close();
  pump();
  EXPECT_FALSE(server_->anybody_registered());
}

TEST_F(PfkeyServer, AFailedNegotiationHasNoReply) {
  Peer sender(path_);
  Message failed = plain(MessageType::acquire, SaType::esp);
  failed.error = ENOENT;
  sender.send(failed);
  pump();
  EXPECT_EQ(handler_.acquires, 1);
  EXPECT_FALSE(sender.receive());
}

TEST_F(PfkeyServer, PromiscuousSocketsSeeRequestsAndRepliesWithoutKeys) {
  Peer curious(path_), sender(path_);
  EXPECT_EQ(error_for(curious, plain(MessageType::promisc, static_cast<SaType>(1))), 0);
  ASSERT_TRUE(sender.receive());  // PROMISC itself goes to all
  Message get = add(0x1000);
  get.type = MessageType::get;
  sender.send(get);
  pump();
  ASSERT_TRUE(sender.receive());
  for (int i = 0; i < 2; ++i) {
    const auto copy = curious.receive_bytes();
    ASSERT_TRUE(copy);
    EXPECT_EQ(decode(*copy).type, MessageType::get);
    EXPECT_EQ(std::ranges::count(*copy, 0xA5), 0);
  }
  EXPECT_FALSE(curious.receive());
  EXPECT_EQ(error_for(curious, plain(MessageType::promisc)), 0);
  ASSERT_TRUE(sender.receive());
  sender.send(get);
  pump();
  EXPECT_FALSE(curious.receive());
}

TEST_F(PfkeyServer, PrivateExtensionsGoToTheSocketThatAskedForThem) {
  Peer ours(path_), linux_client(path_);
  Message hello = add(0x1000);
  hello.saline_hello = kFeaturePath;
  ours.send(hello);
  pump();
  ASSERT_EQ(ours.receive()->saline_path, (SalinePath{Path::card, "fits"}));
  EXPECT_FALSE(linux_client.receive()->saline_path);
  linux_client.send(add(0x1001));
  pump();
  EXPECT_FALSE(linux_client.receive()->saline_path);
  EXPECT_TRUE(ours.receive()->saline_path);
}

TEST_F(PfkeyServer, DumpsAreNumberedUpAndEndWithZero) {
  Peer sender(path_), other(path_);
  handler_.dump_entries = 3;
  sender.send(plain(MessageType::dump, SaType::esp));
  pump();
  for (const std::uint32_t seq : {1, 2, 0}) {
    const auto entry = sender.receive();
    ASSERT_TRUE(entry);
    EXPECT_EQ(entry->type, MessageType::dump);
    EXPECT_EQ(entry->satype, SaType::esp);
    EXPECT_EQ(entry->seq, seq);
    EXPECT_EQ(entry->pid, 4U);
    EXPECT_TRUE(entry->key_encrypt);
  }
  EXPECT_FALSE(sender.receive());
  EXPECT_FALSE(other.receive());
  handler_.dump_entries = 1;
  sender.send(plain(MessageType::dump));
  pump();
  EXPECT_EQ(sender.receive()->seq, 0U);
}

TEST_F(PfkeyServer, AnEmptyDumpIsAnError) {
  Peer sender(path_);
  EXPECT_EQ(error_for(sender, plain(MessageType::dump)), ENOENT);
}

TEST_F(PfkeyServer, ALongDumpWaitsForItsReaderAndNobodyElseDoes) {
  constexpr std::uint32_t kEntries = 100000;
  handler_.dump_entries = kEntries;
  Peer reader(path_, 4096), other(path_);
  reader.send(plain(MessageType::dump));
  pump(200);
  EXPECT_LT(handler_.dump_generated, 5000U) << "generated without a reader";
  reader.send(plain(MessageType::dump));
  EXPECT_EQ(error_for(other, plain(MessageType::flush)), 0);

  std::uint32_t spi = 0;
  bool busy = false, ended = false;
  for (int idle = 0; !ended && idle < 100;) {
    server_->poll(0);
    const auto message = reader.receive();
    idle = message ? 0 : idle + 1;
    if (!message || message->type == MessageType::flush) continue;
    if (message->error == EBUSY) {
      busy = true;
      continue;
    }
    ASSERT_EQ(message->error, 0);
    ASSERT_EQ(message->sa->spi, ++spi);
    ended = message->seq == 0;
    ASSERT_EQ(message->seq, ended ? 0 : spi);
  }
  EXPECT_TRUE(ended);
  EXPECT_EQ(spi, kEntries);
  EXPECT_TRUE(busy) << "a second dump on the same socket";
}

TEST_F(PfkeyServer, AClientMayLeaveInTheMiddleOfItsDump) {
  handler_.dump_entries = 100000;
  Peer reader(path_);
  reader.send(plain(MessageType::dump));
  pump();
  reader.close();
  pump();
  EXPECT_EQ(server_->sessions(), 0U);
  EXPECT_EQ(handler_.closed.size(), 1U);
}

TEST_F(PfkeyServer, ASlowReaderLosesBroadcastsAndIsTold) {
  start(4096);
  Peer slow(path_), sender(path_);
  constexpr std::uint32_t kTimes = 4000;
  for (std::uint32_t i = 0; i < kTimes; ++i) {
    ASSERT_TRUE(sender.send(add(0x1000 + i)));
    pump(1);
    ASSERT_TRUE(sender.receive() || (pump(2), sender.receive()))
        << "the sender waited, request " << i;
  }
  std::uint32_t heard = 0, lost = 0;
  while (const auto message = slow.receive()) {
    if (message->error == 0)
      ++heard;
    else
      ++lost;
    if (message->error != 0) {
      EXPECT_EQ(message->error, ENOBUFS);
      EXPECT_EQ(message->type, MessageType::add);
      EXPECT_EQ(message->seq, 0U);
      EXPECT_EQ(message->pid, 0U);
    }
    pump(2);
  }
  EXPECT_EQ(lost, 1U);
  EXPECT_GT(heard, 10U);
  EXPECT_LT(heard, kTimes);
  sender.send(add(0x999));
  pump();
  const auto again = slow.receive();
  ASSERT_TRUE(again) << "it hears again once it has read";
  EXPECT_EQ(again->sa->spi, 0x999U);
}

TEST_F(PfkeyServer, RepliesAreNeverLost) {
  start(4096);
  Peer sender(path_);
  Message get = add(0);
  get.type = MessageType::get;
  constexpr std::uint32_t kTimes = 20000;
  std::uint32_t sent = 0, received = 0;
  while (sent < kTimes) {  // until the server stops reading, as its answers are not read
    get.sa->spi = sent + 1;
    if (!sender.send(get)) break;
    ++sent;
    pump(1);
  }
  EXPECT_LT(sent, kTimes);
  for (int idle = 0; idle < 100;) {
    const auto reply = sender.receive();
    idle = reply ? 0 : idle + 1;
    if (reply) {
      ASSERT_EQ(reply->error, 0);
      ASSERT_EQ(reply->sa->spi, ++received);
    }
    pump(1);
  }
  EXPECT_EQ(received, sent);
}

TEST_F(PfkeyServer, TellsTheHandlerThatASessionIsGone) {
  Peer first(path_), second(path_);
  pump();
  first.close();
  pump();
  EXPECT_EQ(server_->sessions(), 1U);
  EXPECT_EQ(handler_.closed.size(), 1U);
}

}  // namespace
}  // namespace saline::pfkey
