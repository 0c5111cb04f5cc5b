// Delays a word of W bits by DELAY clocks in a ring of RAM. A word that came with valid_i 0 comes
// out as anything: the user carries valid by himself.
`default_nettype none

module suite_gcm_delay #(
    parameter int unsigned W     = 8,
    parameter int unsigned DELAY = 4
) (
    input  logic         clk_i,
    input  logic         rst_ni,
    input  logic         valid_i,
    input  logic [W-1:0] data_i,
    output logic [W-1:0] data_o
);
  localparam int unsigned A = $clog2(DELAY);

  logic [W-1:0] ring[0:DELAY-1];
  logic [A-1:0] at_q;

  assign data_o = ring[at_q];  // written DELAY clocks ago, overwritten at the coming edge

  always_ff @(posedge clk_i) begin
    if (valid_i) ring[at_q] <= data_i;
    if (!rst_ni || at_q == A'(DELAY - 1)) at_q <= '0;
    else at_q <= at_q + 1'b1;
  end
endmodule

`default_nettype wire
