// Which parts a PF_KEY request must carry: RFC 2367 §3.1 and KAME's policy messages. Needs no
// state, so it stands before every handler, which can then dereference what its type demands.
#pragma once

#include "host/pfkey/message.hpp"

namespace saline::pfkey {

// Throws Error(EINVAL) naming the missing or contradictory part; Error(EOPNOTSUPP) for messages
// only the daemon sends (EXPIRE, X_SPDACQUIRE, X_SPDEXPIRE, X_NAT_T_NEW_MAPPING) or nobody
// (X_PCHANGE). After it returns:
//   GETSPI                 source, destination, satype ah|esp|ipcomp, spi_range (filled in with the
//                          default when absent) with min <= max
//   ADD, UPDATE            sa with spi != 0, source, destination, satype ah|esp|ipcomp; ESP has
//                          key_encrypt (0 bits for null) and encrypt != 0, AH has key_auth; no soft
//                          lifetime above its hard one
//   DELETE                 source, destination; sa optional (absent: all of the pair, KAME)
//   GET                    sa, source, destination
//   ACQUIRE                error != 0 and seq != 0 (negotiation failed), or source and destination
//   REGISTER, FLUSH, DUMP  satype unspec|ah|esp|ipcomp
//   X_SPDADD/UPDATE/SETIDX policy with direction in|out|fwd, type discard|none|ipsec (ENTRUST and
//                          BYPASS belong to sockets), requests exactly when the type is ipsec,
//                          source, destination of one upper protocol
//   X_SPDDELETE            policy with direction, source, destination
//   X_SPDDELETE2, X_SPDGET policy with id != 0
//   X_MIGRATE              policy with an even number of requests, one family; source, destination
void check_request(Message& request);

}  // namespace saline::pfkey
