// First-in first-out buffer of DEPTH words of W bits with ready/valid on both sides.
//
// Fall-through: a word is offered one clock after it was taken, data_o comes straight from the
// storage. Takes and gives one word per clock at any fill level, except that a full buffer takes
// nothing in the clock in which it gives one: ready_o does not depend on ready_i. DEPTH is a power
// of two, at least 2. level_o is the number of words inside. Reset is synchronous. No data reset.
// Proved in hw/formal/stream_fifo.svh: order, no loss, no duplicate, held offers.
`default_nettype none

module stream_fifo #(
    parameter int unsigned W     = 8,
    parameter int unsigned DEPTH = 4
) (
    input  logic                   clk_i,
    input  logic                   rst_ni,
    input  logic                   valid_i,
    output logic                   ready_o,
    input  logic [W-1:0]           data_i,
    output logic                   valid_o,
    input  logic                   ready_i,
    output logic [W-1:0]           data_o,
    output logic [$clog2(DEPTH):0] level_o
);
  localparam int unsigned A = $clog2(DEPTH);

  logic [W-1:0] memory[0:DEPTH-1];
  logic [A:0]   write_q, read_q;  // one bit more than the address tells full from empty

  assign level_o = write_q - read_q;
  assign valid_o = level_o != '0;
  assign ready_o = !level_o[A];
  assign data_o  = memory[read_q[A-1:0]];

  always_ff @(posedge clk_i) begin
    if (valid_i && ready_o) memory[write_q[A-1:0]] <= data_i;
    if (!rst_ni) begin
      write_q <= '0;
      read_q  <= '0;
    end else begin
      if (valid_i && ready_o) write_q <= write_q + 1'b1;
      if (valid_o && ready_i) read_q <= read_q + 1'b1;
    end
  end

`ifdef FORMAL
`include "stream_fifo.svh"
`endif
endmodule

`default_nettype wire
