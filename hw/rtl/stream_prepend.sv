// Puts head_bytes (0 to 128) in front of a packet: outer headers, ESP header, IV.
//
// One command per packet, in order; the command is taken before the packet's first beat. Byte i of
// the head is command_head_i[8*i +: 8]; bits past head_bytes are ignored. Rate: one beat per clock;
// a packet takes as many clocks as it has beats on the way out.
`default_nettype none

module stream_prepend (
    input  logic             clk_i,
    input  logic             rst_ni,
    input  logic             command_valid_i,
    output logic             command_ready_o,
    input  logic [7:0]       command_head_bytes_i,
    input  logic [1023:0]    command_head_i,
    input  logic             in_valid_i,
    output logic             in_ready_o,
    input  ipsec_pkg::beat_t in_beat_i,
    output logic             out_valid_o,
    input  logic             out_ready_i,
    output ipsec_pkg::beat_t out_beat_o
);
endmodule

`default_nettype wire
