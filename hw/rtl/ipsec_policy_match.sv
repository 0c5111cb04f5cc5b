// Does one policy entry select a packet (RFC 4301 §4.4.1.1)? A fragment has neither protocol nor
// ports, even a first one: only entries that ask for neither match it (RFC 4301 §7). Combinational.
`default_nettype none

module ipsec_policy_match (
    /* verilator lint_off UNUSEDSIGNAL */
    input  ipsec_pkg::headers_t       headers_i,
    input  saline_pkg::policy_entry_t entry_i,
    /* verilator lint_on UNUSEDSIGNAL */
    output logic                      match_o
);
  logic addresses, protocol, ports;
  always_comb begin
    addresses = entry_i.ipv6 == headers_i.ipv6
                && ((entry_i.source ^ headers_i.source) & entry_i.source_mask) == 128'd0
                && ((entry_i.destination ^ headers_i.destination) & entry_i.destination_mask)
                   == 128'd0;
    protocol  = entry_i.any_protocol
                || (!headers_i.fragment && entry_i.protocol == headers_i.protocol);
    ports     = entry_i.any_port
                || (headers_i.ports && headers_i.source_port >= entry_i.source_port_min
                    && headers_i.source_port <= entry_i.source_port_max
                    && headers_i.destination_port >= entry_i.destination_port_min
                    && headers_i.destination_port <= entry_i.destination_port_max);
    match_o   = entry_i.valid && addresses && protocol && ports;
  end
endmodule

`default_nettype wire
