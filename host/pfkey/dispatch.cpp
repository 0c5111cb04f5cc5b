// The request boundary of the PF_KEY server: a datagram becomes a request, goes to its handler, and
// the answer goes to its audience; whatever is thrown becomes an errno for the sender alone.
#include <cerrno>
#include <exception>
#include <new>
#include <utility>

#include "host/base/error.hpp"
#include "host/pfkey/request.hpp"
#include "host/pfkey/server.hpp"
#include "host/pfkey/session.hpp"

namespace saline::pfkey {
namespace {

[[noreturn]] void unsupported(const Message& request) {
  throw base::Error(EOPNOTSUPP, std::string(name(request.type)) + " is not supported");
}

// The audience of a successful answer: every socket, or the sender alone.
bool everybody_hears(MessageType type) {
  return type != MessageType::getspi && type != MessageType::get && type != MessageType::spdget;
}

using Answer = Message (Handler::*)(Message&, const Client&);

Answer handler_of(MessageType type) {
  switch (type) {
    case MessageType::getspi:
      return &Handler::getspi;
    case MessageType::update:
      return &Handler::update;
    case MessageType::add:
      return &Handler::add;
    case MessageType::del:
      return &Handler::del;
    case MessageType::get:
      return &Handler::get;
    case MessageType::reg:
      return &Handler::reg;
    case MessageType::flush:
      return &Handler::flush;
    case MessageType::spdadd:
      return &Handler::spdadd;
    case MessageType::spdupdate:
      return &Handler::spdupdate;
    case MessageType::spdsetidx:
      return &Handler::spdsetidx;
    case MessageType::spddelete:
      return &Handler::spddelete;
    case MessageType::spddelete2:
      return &Handler::spddelete2;
    case MessageType::spdget:
      return &Handler::spdget;
    case MessageType::spdflush:
      return &Handler::spdflush;
    case MessageType::migrate:
      return &Handler::migrate;
    default:
      return nullptr;
  }
}

}  // namespace

Message Handler::getspi(Message& request, const Client&) { unsupported(request); }
Message Handler::update(Message& request, const Client&) { unsupported(request); }
Message Handler::add(Message& request, const Client&) { unsupported(request); }
Message Handler::del(Message& request, const Client&) { unsupported(request); }
Message Handler::get(Message& request, const Client&) { unsupported(request); }
void Handler::acquire(Message& request, const Client&) { unsupported(request); }
Message Handler::reg(Message& request, const Client&) { unsupported(request); }
Message Handler::flush(Message& request, const Client&) { unsupported(request); }
Message Handler::spdadd(Message& request, const Client&) { unsupported(request); }
Message Handler::spdupdate(Message& request, const Client&) { unsupported(request); }
Message Handler::spdsetidx(Message& request, const Client&) { unsupported(request); }
Message Handler::spddelete(Message& request, const Client&) { unsupported(request); }
Message Handler::spddelete2(Message& request, const Client&) { unsupported(request); }
Message Handler::spdget(Message& request, const Client&) { unsupported(request); }
Message Handler::spdflush(Message& request, const Client&) { unsupported(request); }
Message Handler::migrate(Message& request, const Client&) { unsupported(request); }
std::unique_ptr<DumpSource> Handler::dump(Message& request, const Client&) { unsupported(request); }
std::unique_ptr<DumpSource> Handler::spddump(Message& request, const Client&) {
  unsupported(request);
}
void Handler::session_closed(const Client&) noexcept {}
void Handler::refused(const Client&, MessageType, int, const std::string&) noexcept {}

void Server::handle(Session& session, std::span<const std::uint8_t> datagram) {
  MessageType type = MessageType::reserved;
  const auto refuse = [&](int errno_value, const std::string& sentence) {
    send_or_queue(session, encode_error(datagram, errno_value));
    handler_.refused(session.client, type, errno_value, sentence);
  };
  try {
    Message request = decode(datagram);
    type = request.type;
    check_request(request);
    if (request.saline_hello) session.features = *request.saline_hello;
    for (const auto& [id, other] : sessions_)
      if (other->promiscuous && id != session.client.session)
        queue_broadcast(*other, request.without_keys());
    carry_out(session, request);
  } catch (const base::Error& error) {
    refuse(error.errno_value(), error.what());
  } catch (const std::bad_alloc&) {
    refuse(ENOMEM, "out of memory");
  } catch (const std::exception& error) {
    refuse(EIO, error.what());
  }
}

void Server::carry_out(Session& session, Message& request) {
  const Message head = Message::reply_to(request);
  switch (request.type) {
    case MessageType::acquire:
      return handler_.acquire(request, session.client);
    case MessageType::promisc:
      session.promiscuous = static_cast<unsigned>(request.satype) == 1;
      return reply(session, head, head.clone(), true);
    case MessageType::dump:
    case MessageType::spddump:
      if (session.dump) throw base::Error(EBUSY, "a dump is running on this socket");
      return start_dump(session, head,
                        request.type == MessageType::dump
                            ? handler_.dump(request, session.client)
                            : handler_.spddump(request, session.client));
    case MessageType::reg:
      if (session.registered.contains(request.satype))
        throw base::Error(EEXIST, "registered for this SA type already");
      return register_session(session, head, handler_.reg(request, session.client));
    default:
      break;
  }
  const Answer answer = handler_of(request.type);
  if (!answer) unsupported(request);
  reply(session, head, (handler_.*answer)(request, session.client), everybody_hears(request.type));
}

void Server::start_dump(Session& session, const Message& head, std::unique_ptr<DumpSource> source) {
  session.dump_next = source->next();
  if (!session.dump_next) throw base::Error(ENOENT, "nothing to dump");
  session.dump = std::move(source);
  session.dump_head = head.clone();
  session.dump_seq = 0;
  generate(session);
  watch(session);
}

namespace {

void address_to(Message& answer, const Message& head) {
  answer.type = head.type;
  answer.seq = head.seq;
  answer.pid = head.pid;
  if (answer.satype == SaType::unspec) answer.satype = head.satype;
}

}  // namespace

// Satype 0 is answered but not registered, as on Linux; setkey uses it to learn the algorithms.
void Server::register_session(Session& session, const Message& head, Message answer) {
  address_to(answer, head);
  queue_reply(session, answer);
  if (head.satype != SaType::unspec) session.registered.insert(head.satype);
  for (const auto& [id, other] : sessions_)
    if (id != session.client.session && (!other->registered.empty() || other->promiscuous))
      queue_broadcast(*other, answer);
}

void Server::reply(Session& session, const Message& head, Message answer, bool to_all) {
  address_to(answer, head);
  queue_reply(session, answer);
  const Message shown = answer.without_keys();
  for (const auto& [id, other] : sessions_)
    if (id != session.client.session && (to_all || other->promiscuous))
      queue_broadcast(*other, shown);
}

void Server::send_registered(const Message& message) {
  Message shown = message.without_keys();
  shown.pid = 0;
  for (const auto& [id, session] : sessions_)
    if (!session->registered.empty() || session->promiscuous) queue_broadcast(*session, shown);
}

void Server::send_all(const Message& message) {
  Message shown = message.without_keys();
  shown.pid = 0;
  for (const auto& [id, session] : sessions_) queue_broadcast(*session, shown);
}

}  // namespace saline::pfkey
