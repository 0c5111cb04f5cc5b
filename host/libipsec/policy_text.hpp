// The policy language of ipsec_set_policy(3), both ways: what stands after -P in setkey, what
// programs pass to setsockopt(IP_IPSEC_POLICY), and what `setkey -DP` prints. No name resolution.
//
//   policy   := direction [ [prio-spec] action request* ]      requests only after ipsec
//   direction:= in | out | fwd          action := discard | none | ipsec | bypass | entrust
//   prio-spec:= (priority | prio) [low|def|high] [(+|-) N] | (priority | prio) [-] N
//   request  := (esp|ah|ipcomp) / (transport|tunnel) [ / [addresses] [ / [level] ] ]
//   addresses:= ip[port]-ip[port] | me-any | any-me
//   level    := default | use | require | unique | unique:N
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "host/base/error.hpp"
#include "host/pfkey/message.hpp"

namespace saline::libipsec {

// A text that is no policy; errno EINVAL. what() is the reason alone; offset() is the byte of the
// text where it shows, for the caller to say "column N" or a line of its own.
class PolicyTextError : public base::Error {
 public:
  PolicyTextError(std::size_t offset, const std::string& reason);
  std::size_t offset() const noexcept { return offset_; }

 private:
  std::size_t offset_;
};

// The policy that `text` writes; id 0. A bare direction (as spddelete takes) gives type discard and
// priority 0; with an action and no prio-spec the priority is kPriorityDefault. Whitespace and
// newlines may stand around every token. me-any (out) and any-me (in) give unspecified addresses of
// IPv4; the daemon puts its own there. Throws PolicyTextError.
pfkey::Policy parse_policy(std::string_view text);

// What a socket may have (setsockopt IP_IPSEC_POLICY): throws Error(EINVAL) for discard, none and
// for directions other than in and out. KAME's rule; Linux takes none for bypass.
void check_socket_policy(const pfkey::Policy& policy);

struct PolicyStyle {
  std::string_view separator = "\n\t";  // between the head and each request
  bool ports = false;                   // addresses with [port]
};

// "in prio def ipsec\n\tesp/tunnel/10.0.0.1-10.0.0.2/require". A priority is shown by the nearest
// of low, def, high and the distance; 0 is not shown. parse_policy() of it gives the policy back,
// but for its id, and for reqids: shown at any level but read only in unique:N, and above kReqidMax
// (the daemon's own) shown as "#N", which no one may write.
std::string print_policy(const pfkey::Policy& policy, const PolicyStyle& style = {});

}  // namespace saline::libipsec
