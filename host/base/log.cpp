// Log lines, to stderr or syslog.
#include "host/base/log.hpp"

#include <syslog.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>

namespace saline::base {

namespace {

std::atomic<LogTarget> g_target{LogTarget::standard_error};
std::atomic<int> g_threshold{static_cast<int>(Priority::notice)};

bool needs_quotes(std::string_view value) {
  if (value.empty()) return true;
  for (const char c : value)
    if (c == ' ' || c == '"' || c == '\\' || c == '=' || static_cast<unsigned char>(c) < 0x20 ||
        c == 0x7F)
      return true;
  return false;
}

void append_value(std::string& line, std::string_view value) {
  if (!needs_quotes(value)) {
    line += value;
    return;
  }
  line += '"';
  for (const char c : value) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      char escaped[5];
      std::snprintf(escaped, sizeof(escaped), "\\x%02x", static_cast<unsigned>(c) & 0xFF);
      line += escaped;
    } else {
      if (c == '"' || c == '\\') line += '\\';
      line += c;
    }
  }
  line += '"';
}

const char* priority_word(Priority priority) {
  switch (priority) {
    case Priority::error:
      return "error ";
    case Priority::warning:
      return "warning ";
    default:
      return "";
  }
}

}  // namespace

void set_log_target(LogTarget target, const char* program) {
  if (target == LogTarget::syslog) openlog(program, LOG_PID, LOG_DAEMON);
  g_target = target;
}

void set_log_threshold(Priority least) { g_threshold = static_cast<int>(least); }

std::string format_log(std::string_view subsystem, std::string_view event, LogFields fields) {
  std::string line;
  line += subsystem;
  line += ": ";
  line += event;
  for (const auto& [key, value] : fields) {
    line += ' ';
    line += key;
    line += '=';
    append_value(line, value);
  }
  return line;
}

void log(Priority priority, std::string_view subsystem, std::string_view event, LogFields fields) {
  if (static_cast<int>(priority) > g_threshold) return;
  const std::string text = format_log(subsystem, event, fields);
  if (g_target == LogTarget::syslog) {
    syslog(static_cast<int>(priority), "%s", text.c_str());
    return;
  }
  // One write, so that lines of several threads and processes do not mix.
  const std::string line = priority_word(priority) + text + "\n";
  if (write(STDERR_FILENO, line.data(), line.size()) < 0) return;
}

}  // namespace saline::base
