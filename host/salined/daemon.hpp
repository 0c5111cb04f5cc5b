// salined as an object: ports, databases, engine, data thread and control loop, put together in the
// order in which they need each other.
#pragma once

#include "host/salined/options.hpp"

namespace saline::daemon {

// Serves until SIGTERM or SIGINT, which must be blocked in the calling thread before anything makes
// threads. Throws base::Error when it cannot start.
void serve(const Options& options);

}  // namespace saline::daemon
