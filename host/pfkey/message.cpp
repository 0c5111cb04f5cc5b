// What messages can do besides crossing the wire: copies, replies, names.
#include "host/pfkey/message.hpp"

#include <iterator>

namespace saline::pfkey {

Message Message::reply_to(const PublicMessage& request) {
  Message reply(request.type);
  reply.satype = request.satype;
  reply.seq = request.seq;
  reply.pid = request.pid;
  return reply;
}

Message Message::clone() const {
  Message copy = without_keys();
  if (key_auth) copy.key_auth = Key{key_auth->bits, key_auth->bytes.clone()};
  if (key_encrypt) copy.key_encrypt = Key{key_encrypt->bits, key_encrypt->bytes.clone()};
  return copy;
}

const char* name(MessageType type) {
  static constexpr const char* kNames[] = {
      "RESERVED",    "GETSPI",       "UPDATE",       "ADD",
      "DELETE",      "GET",          "ACQUIRE",      "REGISTER",
      "EXPIRE",      "FLUSH",        "DUMP",         "X_PROMISC",
      "X_PCHANGE",   "X_SPDUPDATE",  "X_SPDADD",     "X_SPDDELETE",
      "X_SPDGET",    "X_SPDACQUIRE", "X_SPDDUMP",    "X_SPDFLUSH",
      "X_SPDSETIDX", "X_SPDEXPIRE",  "X_SPDDELETE2", "X_NAT_T_NEW_MAPPING",
      "X_MIGRATE",
  };
  static_assert(std::size(kNames) == kLastMessageType + 1);
  const auto index = static_cast<std::size_t>(type);
  return index < std::size(kNames) ? kNames[index] : "UNKNOWN";
}

}  // namespace saline::pfkey
