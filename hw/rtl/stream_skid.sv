// Register slice: cuts every path between its two sides, data, valid and ready, at one word per
// clock. Latency one clock. Holds up to two words of W bits. Reset is synchronous.
// Proved in hw/formal/stream_skid.svh.
`default_nettype none

module stream_skid #(
    parameter int unsigned W = 8
) (
    input  logic         clk_i,
    input  logic         rst_ni,
    input  logic         valid_i,
    output logic         ready_o,
    input  logic [W-1:0] data_i,
    output logic         valid_o,
    input  logic         ready_i,
    output logic [W-1:0] data_o
);
  logic         first_q, second_q;  // words in data_q and spare_q
  logic [W-1:0] data_q, spare_q;

  assign ready_o = !second_q;
  assign valid_o = first_q;
  assign data_o  = data_q;

  always_ff @(posedge clk_i) begin
    if (ready_i || !first_q) data_q <= second_q ? spare_q : data_i;
    if (ready_o) spare_q <= data_i;
    if (!rst_ni) begin
      first_q  <= 1'b0;
      second_q <= 1'b0;
    end else if (ready_i || !first_q) begin
      first_q  <= second_q || valid_i;
      second_q <= 1'b0;
    end else if (valid_i) begin
      second_q <= 1'b1;
    end
  end

`ifdef FORMAL
`include "stream_skid.svh"
`endif
endmodule

`default_nettype wire
