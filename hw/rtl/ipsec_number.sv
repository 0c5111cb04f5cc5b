// Outbound sequence numbers (RFC 4303 §3.3.3): the last number each SA has sent, 64 bits. A number
// is given out once; after 2^32 - 1, with ESN 2^64 - 1, there is none any more.
//
// read_i looks a slot up; next_o, ok_o, last_o and top_o answer one clock later and stay until the
// next read. write_i makes next_o the last number sent. init_i sets the slot at index_i to
// number_i; one clock.
`default_nettype none

module ipsec_number #(
    parameter int unsigned SLOTS = 256
) (
    input  logic        clk_i,
    input  logic        read_i,
    input  logic        esn_i,  // with the answer
    input  logic [15:0] index_i,
    output logic        ok_o,
    output logic [63:0] next_o,
    output logic        last_o,  // next_o is the last one there is
    output logic [63:0] top_o,
    input  logic        write_i,
    input  logic        init_i,
    input  logic [63:0] number_i
);
  localparam int unsigned A = $clog2(SLOTS);

  logic [63:0]  memory[0:SLOTS-1];
  logic [63:0]  top_q, largest;
  logic [A-1:0] slot;
  assign slot    = index_i[A-1:0];
  assign largest = esn_i ? 64'hFFFF_FFFF_FFFF_FFFF : 64'h0000_0000_FFFF_FFFF;
  assign next_o  = top_q + 64'd1;
  assign ok_o    = top_q < largest;
  assign last_o  = next_o == largest;
  assign top_o   = top_q;

  always_ff @(posedge clk_i) begin
    if (read_i) top_q <= memory[slot];
    if (init_i) memory[slot] <= number_i;
    else if (write_i) memory[slot] <= next_o;
  end

  logic unused;
  assign unused = &{1'b0, index_i[15:A]};
endmodule

`default_nettype wire
