// A gateway under test as a child process: ended with the object, and with this program however it
// ends.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace saline::bench {

class Child {
 public:
  // Standard output and error go to the file `log`.
  Child(const std::vector<std::string>& command, const std::string& log) {
    process_ = fork();
    if (process_ < 0) throw std::runtime_error("fork failed");
    if (process_ != 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int out = open(log.c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600);
    dup2(out, 1);
    dup2(out, 2);
    dup2(open("/dev/null", O_RDONLY), 0);
    std::vector<char*> argv;
    for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    execvp(argv[0], argv.data());
    _exit(127);
  }
  ~Child() {
    if (!running()) return;
    kill(process_, SIGTERM);
    for (int tenth = 0; tenth < 50 && running(); ++tenth) usleep(100'000);
    if (!running()) return;
    kill(process_, SIGKILL);
    waitpid(process_, nullptr, 0);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  bool running() {
    if (process_ > 0 && waitpid(process_, &status_, WNOHANG) == process_) process_ = -1;
    return process_ > 0;
  }
  // Waits for the end; the exit status.
  int wait() {
    if (process_ > 0) waitpid(process_, &status_, 0);
    process_ = -1;
    return WIFEXITED(status_) ? WEXITSTATUS(status_) : 128;
  }

 private:
  pid_t process_ = -1;
  int status_ = 0;
};

}  // namespace saline::bench
