// Undoes suite_gcm_frame on the text side: takes the beats of suite_gcm_cipher from first to the
// one in which the text ends, moves the text down by shift_i slots, and gives it in words of LANES
// slots. Each beat taken gives at most one word, so the text keeps the cipher's rate; the last
// word never waits for a following packet.
`default_nettype none

module suite_gcm_unframe #(
    parameter int unsigned LANES = 4
) (
    input  logic                 clk_i,
    input  logic                 rst_ni,
    input  logic                 valid_i,
    output logic                 ready_o,
    input  logic                 end_i,
    input  logic [6:0]           end_bytes_i,
    input  logic [2:0]           shift_i,
    input  logic [128*LANES-1:0] data_i,
    output logic                 valid_o,
    input  logic                 ready_i,
    output logic                 last_o,
    output logic [6:0]           end_bytes_o,  // valid with last_o
    output logic [128*LANES-1:0] data_o
);
  localparam int unsigned W = 128 * LANES;

  logic         hold_q, hold_end_q;
  logic [6:0]   hold_end_bytes_q;
  logic [2:0]   hold_shift_q;
  logic [W-1:0] hold_data_q;

  // With LANES - 1 or more slots in front the text's end is in the last full window, else a rest
  // stays in hold.
  logic advance, window, rest, take;
  assign advance = !valid_o || ready_i;
  assign rest    = hold_q && hold_end_q;
  assign window  = hold_q && !hold_end_q && valid_i;
  assign ready_o = advance || !hold_q;
  assign take    = valid_i && ready_o;

  logic no_rest;
  assign no_rest = window && end_i && {29'd0, shift_i} + 32'd1 >= LANES;

  always_ff @(posedge clk_i) begin
    if (take) begin
      hold_end_q       <= end_i;
      hold_end_bytes_q <= end_bytes_i;
      hold_shift_q     <= shift_i;
      hold_data_q      <= data_i;
    end
    if (advance && (window || rest)) begin
      last_o      <= rest || no_rest;
      end_bytes_o <= rest ? hold_end_bytes_q : end_bytes_i;
      data_o      <= W'({rest ? {W{1'b0}} : data_i, hold_data_q} >> {hold_shift_q, 7'd0});
    end
    if (!rst_ni) begin
      hold_q  <= 1'b0;
      valid_o <= 1'b0;
    end else begin
      if (take) hold_q <= !no_rest;
      else if (advance && rest) hold_q <= 1'b0;
      if (advance) valid_o <= window || rest;
    end
  end
endmodule

`default_nettype wire
