// Adds tail_bytes (0 to 32) after the last byte of a packet: trailer, ICV.
//
// One command per packet, in order. Byte i of the tail is command_tail_i[8*i +: 8]; bits past
// tail_bytes are ignored. The command may come long after the packet: all beats but the last pass
// without it, the last waits for it. Rate: one beat per clock, one clock more when the tail
// spills into a beat of its own.
`default_nettype none

module stream_append (
    input  logic             clk_i,
    input  logic             rst_ni,
    input  logic             command_valid_i,
    output logic             command_ready_o,
    input  logic [5:0]       command_tail_bytes_i,
    input  logic [255:0]     command_tail_i,
    input  logic             in_valid_i,
    output logic             in_ready_o,
    input  ipsec_pkg::beat_t in_beat_i,
    output logic             out_valid_o,
    input  logic             out_ready_i,
    output ipsec_pkg::beat_t out_beat_o
);
endmodule

`default_nettype wire
