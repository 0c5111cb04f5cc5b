// Is a sequence number acceptable to a window (RFC 4303 §3.4.3)? Combinational; see ipsec_replay.
`default_nettype none

module ipsec_replay_check (
    input  logic [7:0]  words_i,   // window in units of 32 numbers, 0: off
    input  logic [63:0] number_i,
    input  logic [63:0] top_i,     // right edge
    input  logic [63:0] floor_i,   // numbers up to here count as seen
    input  logic [71:0] word_i,    // the ring's word for this number
    output logic        ok_o
);
  logic [63:0] behind;
  logic        left, seen;
  always_comb begin
    behind = top_i - number_i;
    left   = number_i <= top_i && behind >= {51'd0, words_i, 5'd0};
    seen   = word_i[71:32] == number_i[44:5] && word_i[{27'd0, number_i[4:0]}];
    ok_o   = words_i == 8'd0 || (number_i > floor_i && !left && !seen);
  end
endmodule

`default_nettype wire
