// saline: what an operator asks salined. Commands: status, sysctl.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string>
#include <vector>

#include "host/base/error.hpp"

namespace saline::cli {
namespace {

using base::Error;

constexpr char kDefaultControlPath[] = "/run/saline/control.sock";
constexpr int kUsageError = 2;

constexpr char kUsage[] =
    R"(usage: saline [--control PATH] status [-j]
       saline [--control PATH] sysctl [-a | NAME[=VALUE]...]

  status        SAs with who carries them and why, policies, drops by reason, the card's counters
    -j          as JSON
  sysctl        host-wide variables of ipsec(4) by their full names; NAME=VALUE sets one at once
    -a          all of them, as without a name
  --control     the daemon's control socket (default /run/saline/control.sock)
)";

struct Command {
  std::string control_path = kDefaultControlPath;
  std::vector<std::string> questions;
  bool help = false;
};

Command parse(const std::vector<std::string>& arguments) {
  Command command;
  bool status = false, json = false, sysctl = false;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    if (word == "-h" || word == "--help") {
      command.help = true;
    } else if (word == "--control") {
      if (++i == arguments.size()) throw Error(EINVAL, "--control needs a path");
      command.control_path = arguments[i];
    } else if (sysctl && word == "-a") {
      command.questions.insert(command.questions.begin(), "sysctl\n");
    } else if (sysctl && !word.starts_with('-')) {
      command.questions.push_back("sysctl " + word + "\n");
    } else if (word == "sysctl" && !status) {
      sysctl = true;
    } else if (word == "status") {
      status = true;
    } else if (word == "-j" && status) {
      json = true;
    } else {
      throw Error(EINVAL, "'" + word + "' is not understood; saline --help says what is");
    }
  }
  if (sysctl && command.questions.empty()) command.questions.push_back("sysctl\n");
  if (sysctl || command.help) return command;
  if (!status) throw Error(EINVAL, "what? saline --help says what can be asked");
  command.questions.push_back(json ? "status json\n" : "status\n");
  return command;
}

class Connection {
 public:
  explicit Connection(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
    if (fd_ < 0) throw base::system_error("socket");
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) {
      throw Error(ENAMETOOLONG, "the path of the control socket is too long");
    }
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      throw Error(errno, "no salined answers at " + path + " (" + std::strerror(errno) +
                             "): is it running, and are you root?");
    }
  }
  ~Connection() {
    if (fd_ >= 0) ::close(fd_);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  std::string ask(const std::string& question) {
    if (::send(fd_, question.data(), question.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(question.size())) {
      throw base::system_error("send");
    }
    std::string answer;
    char buffer[65536];
    for (;;) {
      const ssize_t got = ::recv(fd_, buffer, sizeof buffer, 0);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw base::system_error("recv");
      if (got == 0) return answer;
      answer.append(buffer, static_cast<std::size_t>(got));
    }
  }

 private:
  int fd_;
};

int run(const std::vector<std::string>& arguments) {
  Command command;
  try {
    command = parse(arguments);
  } catch (const Error& error) {
    std::fprintf(stderr, "saline: %s\n", error.what());
    return kUsageError;
  }
  if (command.help) {
    std::fputs(kUsage, stdout);
    return 0;
  }
  bool refused = false;
  for (const std::string& question : command.questions) {
    const std::string answer = Connection(command.control_path).ask(question);
    const bool error = answer.empty() || answer.starts_with("error: ");
    std::fwrite(answer.data(), 1, answer.size(), error ? stderr : stdout);
    refused = refused || error;
  }
  return refused ? 1 : 0;
}

}  // namespace
}  // namespace saline::cli

int main(int argc, char** argv) {
  try {
    return saline::cli::run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "saline: %s\n", error.what());
    return 1;
  }
}
