// A setkey script as PF_KEY requests: setkey(8)'s grammar as the Linux fork has it, plus
// aes-gcm-16, -esn and replay windows above 255 (FreeBSD's words), plus `update`.
//
//   statement := (add|update) flags* host host proto spi ext* algorithms
//              | (get|delete|getspi) flags* host host proto spi ext*
//              | deleteall flags* host host proto
//              | (flush|dump) [proto]
//              | (spdadd|spdupdate|spddelete) flags* range range upper [type,code|key] [-ctx ...]
//              -P policy | spdflush | spddump | exit | quit | bye                each ends with ';'
//   flags     := -4 | -6 | -n, in one word or several
//   host      := address[port]           range := address[/prefix][port]
//   proto     := esp | ah | esp-old | ah-old | ipcomp | esp-udp [address]
//   spi       := decimal | 0xhex
//   ext       := -m (transport|tunnel|any) | -u reqid | -r packets | -esn
//              | -f (random-pad|zero-pad|seq-pad|nocyclic-seq|ah-align8) | -lh s | -ls s | -bh
//              bytes | -bs bytes | -ctx doi alg "string"
//   algorithms:= -E name [key] [-A name [key]] | -A name [key] | -C name [-R]
//   key       := "string" | 0xhex; an odd number of digits: the first is a byte of its own
//
// Refused although some build has them: `tagged` policies (need pf), tcp (needs TCP-MD5).
#pragma once

#include <string_view>
#include <vector>

#include "host/pfkey/message.hpp"
#include "host/setkey/lexer.hpp"

namespace saline::setkey {

struct Request {
  pfkey::Message message;
  // The fwd copy of an in policy: when deleting, its absence is no error.
  bool forward_copy = false;
};

struct Statement {
  unsigned line = 0;
  bool leave = false;  // exit, quit, bye: nothing after it is carried out
  std::vector<Request> requests;
};

struct ParseOptions {
  bool kernel_mode = false;  // -k: exactly as written, no fwd copies
};

// All statements, or SyntaxError: a script with an error anywhere does nothing at all. Keys are
// checked against the algorithm table, addresses are resolved by getaddrinfo.
std::vector<Statement> parse_script(std::string_view script, const ParseOptions& options);

}  // namespace saline::setkey
