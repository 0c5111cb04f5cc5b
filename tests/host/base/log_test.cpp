// Log lines stay lines.
#include "host/base/log.hpp"

#include <gtest/gtest.h>

namespace saline::base {

TEST(Log, WritesSubsystemEventAndFields) {
  EXPECT_EQ(format_log("sadb", "added", {{"spi", "0x1000"}, {"to", "10.0.0.2"}}),
            "sadb: added spi=0x1000 to=10.0.0.2");
}

TEST(Log, KeepsALineOneLine) {
  EXPECT_EQ(format_log("x", "y", {{"a", "two words"}, {"b", "q\"\\"}, {"c", "n\nl"}, {"d", ""}}),
            "x: y a=\"two words\" b=\"q\\\"\\\\\" c=\"n\\x0al\" d=\"\"");
}

TEST(Log, DropsWhatIsBelowTheThreshold) {
  testing::internal::CaptureStderr();
  set_log_threshold(Priority::warning);
  log(Priority::info, "t", "quiet");
  log(Priority::warning, "t", "loud");
  set_log_threshold(Priority::notice);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "warning t: loud\n");
}

}  // namespace saline::base
