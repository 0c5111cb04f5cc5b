// IPv6 routing headers as far as IPsec must foresee them: who the final destination is, and what
// the header has become there (RFC 4302 §3.3.3.1.2: mutable but predictable). Types 2 (RFC 6275
// §6.4), 3 (RFC 6554 §3) and 4 (RFC 8754 §2); type 0 is dead (RFC 5095), others have an unknown
// future.
#pragma once

#include <cstdint>
#include <span>

namespace saline::ipsec {

// Turns the header and the destination address (16 bytes) of the IPv6 header into what arrives at
// the last segment: segments left 0, addresses where the way leaves them. Nothing changes where no
// segments are left. False: lengths that do not fit, or a type whose future is unknown.
bool arrive(std::span<std::uint8_t> header, std::uint8_t* destination) noexcept;

// The same for the destination alone, whatever it now is.
bool final_destination(std::span<const std::uint8_t> header, std::uint8_t* destination) noexcept;

// Zeroes what routers may change although it stands in a header: data of a segment routing
// header's TLVs whose type has the highest bit set (RFC 8754 §2.1). False when a length is wrong.
bool mute_segment_tlvs(std::span<std::uint8_t> header) noexcept;

}  // namespace saline::ipsec
