// Cuts beats of 64 bytes into words of LANES slots of 16 bytes, LANES 1 or 2; words past the
// packet's end do not appear. No latency: the beat is taken with its last word.
`default_nettype none

module suite_gcm_narrow #(
    parameter int unsigned LANES = 1
) (
    input  logic                 clk_i,
    input  logic                 rst_ni,
    input  logic                 valid_i,
    output logic                 ready_o,
    input  ipsec_pkg::beat_t     beat_i,
    output logic                 valid_o,
    input  logic                 ready_i,
    output logic                 last_o,
    output logic [128*LANES-1:0] word_o
);
  localparam int unsigned W = 128 * LANES;
  localparam logic [7:0] WordBytes = 8'(16 * LANES);

  logic [6:0] at_q;  // bytes of the beat already given
  logic       done;
  assign done    = {1'b0, at_q} + WordBytes >= {1'b0, beat_i.bytes};
  assign valid_o = valid_i;
  assign ready_o = ready_i && done;
  assign last_o  = beat_i.last && done;
  assign word_o  = W'(beat_i.data >> {at_q, 3'b000});

  always_ff @(posedge clk_i) begin
    if (!rst_ni) at_q <= '0;
    else if (valid_i && ready_i) at_q <= done ? 7'd0 : at_q + WordBytes[6:0];
  end
endmodule

`default_nettype wire
