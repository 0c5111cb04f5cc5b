// The whole command against a PF_KEY server in another thread: exit codes, error texts, options.
#include "host/setkey/command.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>

#include "host/base/error.hpp"
#include "host/pfkey/server.hpp"

namespace saline::setkey {
namespace {

using pfkey::Message;
using pfkey::MessageType;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ListDump : public pfkey::DumpSource {
 public:
  explicit ListDump(const std::vector<Message>& entries) {
    for (const Message& entry : entries) entries_.push_back(entry.clone());
  }
  std::optional<Message> next() override {
    if (at_ == entries_.size()) return std::nullopt;
    return std::move(entries_[at_++]);
  }

 private:
  std::vector<Message> entries_;
  std::size_t at_ = 0;
};

// Keeps what it is given, in lists; enough of a daemon for a client's test.
class Keeper : public pfkey::Handler {
 public:
  std::vector<Message> sas, policies;
  std::vector<std::string> log;

  Message add(Message& request, const pfkey::Client&) override {
    log.push_back("ADD " + std::to_string(request.sa->spi));
    for (const Message& sa : sas)
      if (sa.sa->spi == request.sa->spi) throw base::Error(EEXIST, "exists");
    Message entry = request.clone();
    entry.sa->state = pfkey::SaState::mature;
    entry.current = pfkey::Lifetime{0, 0, 1700000000, 0};
    entry.saline_path = pfkey::SalinePath{pfkey::Path::card, "fits"};
    sas.push_back(std::move(entry));
    return request.clone();
  }
  Message get(Message& request, const pfkey::Client&) override {
    for (const Message& sa : sas)
      if (sa.sa->spi == request.sa->spi) return sa.clone();
    throw base::Error(ESRCH, "no SA");
  }
  Message del(Message& request, const pfkey::Client&) override {
    log.push_back(request.sa ? "DELETE" : "DELETE all");
    if (std::erase_if(sas, [&](const Message& sa) {
          return !request.sa || sa.sa->spi == request.sa->spi;
        }) == 0)
      throw base::Error(ESRCH, "no SA");
    return Message::reply_to(request);
  }
  Message getspi(Message& request, const pfkey::Client&) override {
    Message reply = Message::reply_to(request);
    reply.sa.emplace().spi = request.spi_range->min;
    return reply;
  }
  Message flush(Message& request, const pfkey::Client&) override {
    log.push_back("FLUSH");
    sas.clear();
    return Message::reply_to(request);
  }
  std::unique_ptr<pfkey::DumpSource> dump(Message&, const pfkey::Client&) override {
    return std::make_unique<ListDump>(sas);
  }
  Message spdadd(Message& request, const pfkey::Client&) override {
    const auto direction = request.policy->direction;
    log.push_back("SPDADD " + std::to_string(static_cast<int>(direction)));
    if (refused_direction == direction) throw base::Error(EINVAL, "refused");
    request.policy->id = static_cast<std::uint32_t>(8 + policies.size() * 8);
    policies.push_back(request.clone());
    return request.clone();
  }
  Message spddelete(Message& request, const pfkey::Client&) override {
    const auto direction = request.policy->direction;
    log.push_back("SPDDELETE " + std::to_string(static_cast<int>(direction)));
    if (std::erase_if(policies,
                      [&](const Message& p) { return p.policy->direction == direction; }) == 0)
      throw base::Error(ENOENT, "no policy");
    return Message::reply_to(request);
  }
  Message spdflush(Message& request, const pfkey::Client&) override {
    log.push_back("SPDFLUSH");
    policies.clear();
    return Message::reply_to(request);
  }
  std::unique_ptr<pfkey::DumpSource> spddump(Message&, const pfkey::Client&) override {
    return std::make_unique<ListDump>(policies);
  }
  std::optional<pfkey::Direction> refused_direction;
};

class SetkeyCommand : public ::testing::Test {
 protected:
  SetkeyCommand() {
    char pattern[] = "/tmp/saline-setkey-XXXXXX";
    directory_ = ::mkdtemp(pattern);
    socket_ = directory_ + "/pfkey.sock";
    ::setenv("SALINE_PFKEY", socket_.c_str(), 1);
    server_ = std::make_unique<pfkey::Server>(pfkey::ServerOptions{.path = socket_}, keeper_);
    thread_ = std::thread([this] {
      while (!stop_) server_->poll(5);
    });
  }
  ~SetkeyCommand() override {
    stop_server();
    std::filesystem::remove_all(directory_);
    ::unsetenv("SALINE_PFKEY");
  }
  void stop_server() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
    server_.reset();
  }
  std::string file(const std::string& text, mode_t mode = 0600) {
    const std::string path = directory_ + "/script";
    std::ofstream(path) << text;
    ::chmod(path.c_str(), mode);
    return path;
  }
  int run(std::vector<std::string> arguments, const std::string& input = "") {
    arguments.insert(arguments.begin(), "setkey");
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    std::istringstream in(input);
    std::ostringstream out, err;
    const int code = setkey::run(static_cast<int>(argv.size()), argv.data(), in, out, err);
    out_ = out.str();
    err_ = err.str();
    return code;
  }

  static constexpr char kAdd[] = "add 10.0.0.1 10.0.0.2 esp 0x1000 -m tunnel -E null -A null;\n";
  static constexpr char kIn[] =
      "spdadd 10.0.0.0/8 10.1.0.0/16 any -P in ipsec esp/transport//require;\n";

  Keeper keeper_;
  std::string directory_, socket_, out_, err_;
  std::unique_ptr<pfkey::Server> server_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

TEST_F(SetkeyCommand, CarriesOutAScriptInOrder) {
  EXPECT_EQ(run({"-c"}, std::string("flush; spdflush;\n") + kAdd + kIn), 0) << err_;
  EXPECT_EQ(out_, "");
  EXPECT_EQ(err_, "");
  EXPECT_EQ(run({"-f", file("deleteall 10.0.0.1 10.0.0.2 esp;")}), 0) << err_;
  EXPECT_EQ(run({"-f", "-"}, "exit; flush;"), 0) << err_;
  EXPECT_THAT(keeper_.log,
              ElementsAre("FLUSH", "SPDFLUSH", "ADD 4096", "SPDADD 1", "SPDADD 3", "DELETE all"));
}

TEST_F(SetkeyCommand, ShowsSas) {
  ASSERT_EQ(run({"-c"}, kAdd), 0) << err_;
  EXPECT_EQ(run({"-D"}), 0);
  EXPECT_THAT(out_, HasSubstr("10.0.0.1 10.0.0.2 \n\tesp mode=tunnel spi=4096(0x00001000)"));
  EXPECT_THAT(out_, HasSubstr("\tE: null \n\tA: null \n"));
  EXPECT_THAT(out_, HasSubstr("refcnt=0\n\tpath: card (fits)\n"));
  EXPECT_EQ(run({"-Dp"}), 0);
  EXPECT_THAT(out_, HasSubstr("10.0.0.1[0] 10.0.0.2[0] \n"));
  EXPECT_EQ(run({"-c"}, "get 10.0.0.1 10.0.0.2 esp 0x1000;"), 0);
  EXPECT_THAT(out_, HasSubstr("spi=4096(0x00001000)"));
  EXPECT_EQ(run({"-c"}, "dump esp;"), 0);
  EXPECT_THAT(out_, HasSubstr("spi=4096(0x00001000)"));
  EXPECT_EQ(run({"-c"}, "getspi 10.0.0.1 10.0.0.2 esp 777;"), 0) << err_;
  EXPECT_EQ(out_, "spi=777\n");
}

TEST_F(SetkeyCommand, DeadSasAreShownWhenAskedFor) {
  ASSERT_EQ(run({"-c"}, kAdd), 0);
  keeper_.sas[0].sa->state = pfkey::SaState::dead;
  EXPECT_EQ(run({"-D"}), 0);
  EXPECT_EQ(out_, "");
  EXPECT_EQ(run({"-Da"}), 0);
  EXPECT_THAT(out_, HasSubstr("state=dead"));
}

TEST_F(SetkeyCommand, ShowsPolicies) {
  ASSERT_EQ(run({"-c"}, kIn), 0) << err_;
  EXPECT_EQ(run({"-DP"}), 0);
  EXPECT_EQ(out_,
            "10.0.0.0/8[any] 10.1.0.0/16[any] any\n\tin prio def ipsec\n\tesp/transport//require\n"
            "\tspid=8 seq=1 pid=" +
                std::to_string(::getpid()) +
                "\n\trefcnt=0\n"
                "10.0.0.0/8[any] 10.1.0.0/16[any] any\n\tfwd prio def ipsec\n"
                "\tesp/transport//require\n\tspid=16 seq=0 pid=" +
                std::to_string(::getpid()) + "\n\trefcnt=0\n");
}

TEST_F(SetkeyCommand, EmptyTablesAreAnAnswer) {
  EXPECT_EQ(run({"-D"}), 0);
  EXPECT_EQ(out_, "No SAD entries.\n");
  EXPECT_EQ(run({"-D", "-P"}), 0);
  EXPECT_EQ(out_, "No SPD entries.\n");
  EXPECT_EQ(err_, "");
}

TEST_F(SetkeyCommand, Flushes) {
  EXPECT_EQ(run({"-F"}), 0);
  EXPECT_EQ(run({"-FP"}), 0);
  EXPECT_THAT(keeper_.log, ElementsAre("FLUSH", "SPDFLUSH"));
}

TEST_F(SetkeyCommand, ARefusalNamesTheLineAndTheRestGoesOn) {
  const std::string path = file(std::string(kAdd) + kAdd +
                                "get 10.0.0.1 10.0.0.2 esp 5;\n"
                                "spddelete ::/0 ::/0 any -P out;\nflush;\n");
  EXPECT_EQ(run({"-f", path}), 1);
  EXPECT_EQ(err_,
            path + ":2: File exists.\n" + path + ":3: No entry.\n" + path + ":4: No entry.\n");
  EXPECT_EQ(keeper_.log.back(), "FLUSH");
}

TEST_F(SetkeyCommand, ASyntaxErrorDoesNothingAtAll) {
  const std::string path = file(std::string("flush;\n") + kAdd + "add nonsense;\n");
  EXPECT_EQ(run({"-f", path}), 1);
  EXPECT_THAT(err_, ::testing::StartsWith(path + ":3: "));
  EXPECT_EQ(run({"-c"}, "flush;\n\nbogus;"), 1);
  EXPECT_EQ(err_, "stdin:3: unknown statement 'bogus'\n");
  EXPECT_TRUE(keeper_.log.empty());
}

TEST_F(SetkeyCommand, TheForwardCopyGoesWithItsPolicy) {
  ASSERT_EQ(run({"-k", "-c"}, kIn), 0);
  EXPECT_THAT(keeper_.log, ElementsAre("SPDADD 1"));
  // Deleting in RFC mode: that there is no copy is no error.
  EXPECT_EQ(run({"-c"}, "spddelete 10.0.0.0/8 10.1.0.0/16 any -P in;"), 0) << err_;
  keeper_.log.clear();
  keeper_.refused_direction = pfkey::Direction::fwd;
  EXPECT_EQ(run({"-c"}, kIn), 1);
  EXPECT_EQ(err_, "stdin:1: Invalid argument.\n");
  EXPECT_THAT(keeper_.log, ElementsAre("SPDADD 1", "SPDADD 3", "SPDDELETE 1"));
  EXPECT_TRUE(keeper_.policies.empty());
}

TEST_F(SetkeyCommand, DryRunsSendNothing) {
  const std::string path = file(std::string(kAdd) + kIn);
  EXPECT_EQ(run({"-n", "-f", path}), 0);
  EXPECT_EQ(out_, path + ":1: ADD 10.0.0.1 10.0.0.2 spi=4096\n" + path +
                      ":2: X_SPDADD 10.0.0.0 10.1.0.0 in\n" + path +
                      ":2: X_SPDADD 10.0.0.0 10.1.0.0 fwd\n");
  EXPECT_TRUE(keeper_.log.empty());
}

TEST_F(SetkeyCommand, VerboseShowsMessages) {
  EXPECT_EQ(run({"-v", "-c"}, "flush;"), 0);
  const std::string pid = std::to_string(::getpid());
  EXPECT_EQ(out_, "> FLUSH seq=1 pid=" + pid + "\n< FLUSH seq=1 pid=" + pid + "\n");
}

TEST_F(SetkeyCommand, WarnsOfKeysThatOthersCanRead) {
  const std::string script = "add ::1 ::2 esp 5 -E des-cbc 0x0123456789abcdef;";
  EXPECT_EQ(run({"-f", file(script, 0644)}), 0);
  EXPECT_THAT(err_, HasSubstr("warning: others can read "));
  EXPECT_EQ(run({"-F"}), 0);
  EXPECT_EQ(run({"-f", file(script, 0600)}), 0);
  EXPECT_EQ(err_, "");
  EXPECT_EQ(run({"-f", file("flush;", 0644)}), 0);
  EXPECT_EQ(err_, "");
}

TEST_F(SetkeyCommand, SaysWhenNobodyServes) {
  stop_server();
  EXPECT_EQ(run({"-D"}), 1);
  EXPECT_EQ(err_, "setkey: no PF_KEY service at " + socket_ +
                      " (No such file or directory): start salined, or name its socket with -s "
                      "PATH or the variable SALINE_PFKEY\n");
  EXPECT_EQ(run({"-s", "/nowhere/at/all", "-F"}), 1);
  EXPECT_THAT(err_, HasSubstr("no PF_KEY service at /nowhere/at/all"));
}

TEST_F(SetkeyCommand, FilesThatAreNone) {
  EXPECT_EQ(run({"-f", directory_}), 1);
  EXPECT_EQ(err_, "setkey: " + directory_ + ": Is a directory\n");
  EXPECT_EQ(run({"-f", directory_ + "/none"}), 1);
  EXPECT_EQ(err_, "setkey: " + directory_ + "/none: No such file or directory\n");
}

TEST_F(SetkeyCommand, UsageAndVersion) {
  for (const auto& arguments : std::vector<std::vector<std::string>>{
           {}, {"-h"}, {"-Z"}, {"-D", "-F"}, {"-f"}, {"-c", "more"}, {"-P"}}) {
    EXPECT_EQ(run(arguments), 1);
    EXPECT_THAT(err_, ::testing::StartsWith("usage: setkey "));
  }
  EXPECT_EQ(run({"-V"}), 1);
  EXPECT_THAT(out_, HasSubstr("Saline"));
}

TEST_F(SetkeyCommand, LongDumpsArriveWhole) {
  std::string script;
  for (int i = 0; i < 3000; ++i)
    script += "add 10.0.0.1 10.0.0.2 esp " + std::to_string(i + 1000) + " -E null;\n";
  ASSERT_EQ(run({"-c"}, script), 0) << err_;
  ASSERT_EQ(run({"-D"}), 0);
  std::size_t entries = 0;
  for (std::size_t at = 0; (at = out_.find("\tsadb_seq=", at)) != out_.npos; ++at) ++entries;
  EXPECT_EQ(entries, 3000U);
  EXPECT_THAT(out_, HasSubstr("\tsadb_seq=0 pid="));
}

}  // namespace
}  // namespace saline::setkey
