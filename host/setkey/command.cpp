// Options, reading of scripts, and what to say about each answer of the daemon.
#include "host/setkey/command.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>

#include "host/base/error.hpp"
#include "host/setkey/client.hpp"
#include "host/setkey/dump.hpp"
#include "host/setkey/script.hpp"

namespace saline::setkey {
namespace {

using pfkey::Message;
using pfkey::MessageType;

constexpr char kUsage[] =
    "usage: setkey [-v] [-n] [-k | -r] [-s PATH] -c           statements from standard input\n"
    "       setkey [-v] [-n] [-k | -r] [-s PATH] -f FILE      statements from FILE, - is stdin\n"
    "       setkey [-v] [-a] [-p] [-P] [-s PATH] -D           show SAs, or with -P policies\n"
    "       setkey [-v] [-P] [-s PATH] -F                     remove all SAs, or with -P policies\n"
    "       setkey -V | -h\n"
    "  -a also dead SAs   -p with ports   -n check and show, send nothing   -v show messages\n"
    "  -k policies exactly as written   -r an in policy also holds for forwarding (default)\n"
    "  -s the daemon's socket; else $SALINE_PFKEY, else /run/saline/pfkey.sock\n";

struct Options {
  char action = 0;  // c, f, D, F
  std::string file;
  std::string socket = pfkey::kDefaultSocketPath;
  bool policies = false, all = false, ports = false, dry = false, verbose = false;
  ParseOptions parse;
};

// Nothing for -h, -V and anything that is no use of setkey.
std::optional<Options> read_options(int argc, char* const argv[], std::ostream& out,
                                    std::ostream& err) {
  Options options;
  if (const char* path = std::getenv("SALINE_PFKEY")) options.socket = path;
  ::optind = 0;
  ::opterr = 0;
  for (int c; (c = ::getopt(argc, argv, "acDFPf:hknprs:vV")) != -1;) {
    switch (c) {
      case 'c':
      case 'D':
      case 'F':
      case 'f':
        if (options.action != 0) return err << kUsage, std::nullopt;
        options.action = static_cast<char>(c);
        if (c == 'f') options.file = ::optarg;
        break;
      case 'P':
        options.policies = true;
        break;
      case 'a':
        options.all = true;
        break;
      case 'p':
        options.ports = true;
        break;
      case 'n':
        options.dry = true;
        break;
      case 'v':
        options.verbose = true;
        break;
      case 'k':
      case 'r':
        options.parse.kernel_mode = c == 'k';
        break;
      case 's':
        options.socket = ::optarg;
        break;
      case 'V':
        return out << "setkey (Saline) 0.1.0\n", std::nullopt;
      default:
        return err << kUsage, std::nullopt;
    }
  }
  if (options.action == 0 || ::optind != argc) return err << kUsage, std::nullopt;
  return options;
}

pfkey::Bytes read_stream(std::istream& in) {
  pfkey::Bytes text;
  std::array<char, 4096> piece;
  while (in.read(piece.data(), piece.size()), in.gcount() > 0)
    text.insert(text.end(), piece.data(), piece.data() + in.gcount());
  base::wipe({reinterpret_cast<std::uint8_t*>(piece.data()), piece.size()});
  return text;
}

// Says through `exposed` whether others than the owner can read it.
pfkey::Bytes read_file(const std::string& path, bool& exposed) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw base::system_error(path);
  struct stat status {};
  ::fstat(fd, &status);
  exposed = S_ISREG(status.st_mode) && (status.st_mode & (S_IRGRP | S_IROTH));
  pfkey::Bytes text;
  std::size_t size = 0;
  for (ssize_t got = 1; got > 0; size += static_cast<std::size_t>(got)) {
    text.resize(size + 65536);
    got = ::read(fd, text.data() + size, 65536);
    if (got < 0) {
      const base::Error error = base::system_error(path);
      ::close(fd);
      throw error;
    }
  }
  ::close(fd);
  text.resize(size);
  return text;
}

bool holds_keys(const std::vector<Statement>& statements) {
  for (const Statement& statement : statements)
    for (const Request& request : statement.requests)
      if ((request.message.key_auth && !request.message.key_auth->bytes.empty()) ||
          (request.message.key_encrypt && !request.message.key_encrypt->bytes.empty()))
        return true;
  return false;
}

std::string error_text(MessageType type, int errno_value) {
  const bool missing = errno_value == ENOENT || errno_value == ESRCH;
  if (missing && type == MessageType::dump) return "No SAD entries.";
  if (missing && type == MessageType::spddump) return "No SPD entries.";
  if (missing) return "No entry.";
  return std::string(std::strerror(errno_value)) + ".";
}

bool is_dump(MessageType type) { return type == MessageType::dump || type == MessageType::spddump; }

class Command {
 public:
  Command(Options options, std::istream& in, std::ostream& out, std::ostream& err)
      : options_(std::move(options)), in_(in), out_(out), err_(err) {}

  int run() {
    if (options_.action == 'c' || options_.action == 'f') return run_script();
    Statement statement;
    const MessageType types[2][2] = {{MessageType::flush, MessageType::spdflush},
                                     {MessageType::dump, MessageType::spddump}};
    const MessageType type = types[options_.action == 'D'][options_.policies];
    statement.requests.push_back({Message(type)});
    where_ = "setkey: ";
    return carry_out(statement) ? 0 : 1;
  }

 private:
  int run_script() {
    const bool from_input = options_.action == 'c' || options_.file == "-";
    const std::string name = from_input ? "stdin" : options_.file;
    bool exposed = false;
    const pfkey::Bytes text = from_input ? read_stream(in_) : read_file(name, exposed);
    std::vector<Statement> statements;
    try {
      statements =
          parse_script({reinterpret_cast<const char*>(text.data()), text.size()}, options_.parse);
    } catch (const SyntaxError& error) {
      err_ << name << ":" << error.line() << ": " << error.what() << "\n";
      return 1;
    }
    if (exposed && holds_keys(statements))
      err_ << "setkey: warning: others can read " << name << ", which holds keys: chmod 600 it\n";
    bool fine = true;
    for (const Statement& statement : statements) {
      if (statement.leave) break;
      where_ = name + ":" + std::to_string(statement.line) + ": ";
      fine = carry_out(statement) && fine;
    }
    return fine ? 0 : 1;
  }

  bool carry_out(const Statement& statement) {
    for (const Request& request : statement.requests) {
      if (options_.dry) {
        show(true, request.message);
        continue;
      }
      const int error =
          client().request(request.message.clone(), [this](const Message& reply) { print(reply); });
      const MessageType type = request.message.type;
      if (error == 0 || (request.forward_copy && error == ENOENT && type == MessageType::spddelete))
        continue;
      if (is_dump(type) && error == ENOENT) {
        out_ << error_text(type, error) << "\n";
        continue;
      }
      err_ << where_ << error_text(type, error) << "\n";
      if (request.forward_copy && type == MessageType::spdadd) take_back(statement);
      return false;  // of a pair, the copy without the policy would be wrong
    }
    return true;
  }

  // The fwd copy was refused: the in policy, added just before it, goes too.
  void take_back(const Statement& statement) {
    Message message = statement.requests.front().message.clone();
    message.type = MessageType::spddelete;
    client().request(std::move(message), [](const Message&) {});
  }

  Client& client() {
    if (!client_) {
      client_.emplace(options_.socket);
      if (options_.verbose)
        client_->observe = [this](bool sent, const Message& message) { show(sent, message); };
    }
    return *client_;
  }

  void print(const Message& reply) {
    const DumpStyle style{options_.ports, std::time(nullptr)};
    switch (reply.type) {
      case MessageType::dump:
        if (reply.sa && reply.sa->state == pfkey::SaState::dead && !options_.all) return;
        [[fallthrough]];
      case MessageType::get:
        return print_sa(out_, reply, style);
      case MessageType::spddump:
        return print_policy(out_, reply, style);
      case MessageType::getspi:
        if (reply.sa) out_ << "spi=" << reply.sa->spi << "\n";
        return;
      default:
        return;
    }
  }

  // One line per message, for -v and -n; no keys.
  void show(bool sent, const Message& message) {
    out_ << (options_.dry ? where_ : sent ? "> " : "< ") << pfkey::name(message.type);
    if (message.source && message.destination)
      out_ << " " << message.source->endpoint.address.to_string() << " "
           << message.destination->endpoint.address.to_string();
    if (message.sa) out_ << " spi=" << message.sa->spi;
    if (message.policy)
      out_ << (message.policy->direction == pfkey::Direction::fwd   ? " fwd"
               : message.policy->direction == pfkey::Direction::out ? " out"
                                                                    : " in");
    if (!options_.dry) out_ << " seq=" << message.seq << " pid=" << message.pid;
    if (message.error) out_ << " error=" << std::strerror(message.error);
    out_ << "\n";
  }

  Options options_;
  std::istream& in_;
  std::ostream &out_, &err_;
  std::optional<Client> client_;
  std::string where_;
};

}  // namespace

int run(int argc, char* const argv[], std::istream& in, std::ostream& out, std::ostream& err) {
  const auto options = read_options(argc, argv, out, err);
  if (!options) return 1;
  try {
    return Command(*options, in, out, err).run();
  } catch (const base::Error& error) {
    err << "setkey: " << error.what() << "\n";
  } catch (const std::exception& error) {
    err << "setkey: " << error.what() << "\n";
  }
  return 1;
}

}  // namespace saline::setkey
