// Gathers words of LANES slots of 16 bytes, LANES 1 or 2, into beats of 64 bytes. bytes_i, valid
// with last_i, is the length of the packet's last beat. One word per clock.
`default_nettype none

module suite_gcm_widen #(
    parameter int unsigned LANES = 1
) (
    input  logic                 clk_i,
    input  logic                 rst_ni,
    input  logic                 valid_i,
    output logic                 ready_o,
    input  logic                 last_i,
    input  logic [6:0]           bytes_i,
    input  logic [128*LANES-1:0] word_i,
    output logic                 valid_o,
    input  logic                 ready_i,
    output ipsec_pkg::beat_t     beat_o
);
  localparam int unsigned Words = 4 / LANES;

  logic [1:0]       at_q;
  logic             full_q;
  ipsec_pkg::beat_t beat_q;
  logic             take, done;

  assign ready_o = !full_q || ready_i;
  assign take    = valid_i && ready_o;
  assign done    = last_i || at_q == 2'(Words - 1);
  assign valid_o = full_q;
  assign beat_o  = beat_q;

  always_ff @(posedge clk_i) begin
    if (take) begin
      beat_q.last  <= last_i;
      beat_q.bytes <= last_i ? bytes_i : 7'd64;
      beat_q.data  <= (at_q == 2'd0 ? 512'd0 : beat_q.data)
                      | (512'(word_i) << (at_q * 128 * LANES));
    end
    if (!rst_ni) begin
      at_q   <= '0;
      full_q <= 1'b0;
    end else begin
      if (take) at_q <= done ? 2'd0 : at_q + 2'd1;
      full_q <= take ? done : full_q && !ready_i;
    end
  end
endmodule

`default_nettype wire
