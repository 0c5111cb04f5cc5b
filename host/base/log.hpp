// One line per event: `subsystem: event key=value ...`, to stderr or syslog, with syslog's
// priorities. For the control plane: never called per packet, never given key material.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace saline::base {

// Values of syslog(3).
enum class Priority : int { error = 3, warning = 4, notice = 5, info = 6, debug = 7 };

enum class LogTarget { standard_error, syslog };

using LogFields = std::initializer_list<std::pair<std::string_view, std::string>>;

// Process-wide; starts as standard_error and notice. program names the process in syslog and must
// outlive it.
void set_log_target(LogTarget target, const char* program);
void set_log_threshold(Priority least);

// Values with spaces, quotes or control characters are quoted and escaped, so that a line stays one
// line. Safe from several threads.
void log(Priority priority, std::string_view subsystem, std::string_view event,
         LogFields fields = {});

// The text that log() writes, without priority and line end.
std::string format_log(std::string_view subsystem, std::string_view event, LogFields fields);

}  // namespace saline::base
