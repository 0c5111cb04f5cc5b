// The figures of the policy database; see policies.cpp.
#pragma once

namespace saline::bench {

//   engine.policies<N>.cycles            outbound parse and lookup, 1,024 flows that repeat
//   engine.policies<N>.new.cycles        the same when every packet is of a new flow
//   engine.policies<N>[.new].more_cycles beyond one policy and flows that repeat
//   engine.policy_change_ms              one of 50,000 added or removed, until it is in effect
void measure_policies();

}  // namespace saline::bench
