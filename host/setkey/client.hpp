// The client side of a PF_KEY socket, for setkey: one request at a time, its answer or its dump.
// Messages for others on the same socket (broadcasts) are passed over.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "host/pfkey/message.hpp"

namespace saline::setkey {

class Client {
 public:
  // Throws base::Error with a sentence that says what to do when nobody serves the path.
  explicit Client(const std::string& path);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Sends the request, gives every answer to `answer` (one, or the entries of a dump), and returns
  // the errno of the daemon, 0 when it did as asked. Throws base::Error when the daemon goes away
  // or says nothing for ten seconds.
  int request(pfkey::Message message, const std::function<void(const pfkey::Message&)>& answer);

  // Every message sent (true) and received, for -v.
  std::function<void(bool sent, const pfkey::Message&)> observe;

 private:
  pfkey::Message receive();

  int fd_ = -1;
  std::uint32_t pid_;
  std::uint32_t seq_ = 0;
  pfkey::Bytes buffer_;
};

}  // namespace saline::setkey
