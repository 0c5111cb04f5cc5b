// Takes frames in, keeps their beats in a buffer and gives the first 128 bytes of each as a record.
//
// WHOLE 1 (from the MAC): the record comes when the frame is in, with its exact length and what is
// wrong with it; a frame longer than FrameBytesMax loses its end. WHOLE 0: the record comes as soon
// as 128 bytes or the frame's end are in, its length is not exact. Beats may be taken out before or
// after the record. DEPTH in beats must hold the longest frame and one beat.
`default_nettype none

module ipsec_head #(
    parameter bit          WHOLE = 1,
    parameter int unsigned DEPTH = 512
) (
    input  logic             clk_i,
    input  logic             rst_ni,
    output logic             empty_o,
    input  logic             in_valid_i,
    output logic             in_ready_o,
    input  ipsec_pkg::beat_t in_beat_i,
    input  logic             in_error_i,  // with the last beat
    output logic             head_valid_o,
    input  logic             head_ready_i,
    output ipsec_pkg::head_t head_o,
    output logic             out_valid_o,
    input  logic             out_ready_i,
    output ipsec_pkg::beat_t out_beat_o
);
  localparam int unsigned HeadWidth = 18 + 8 * ipsec_pkg::HeadBytes;
  localparam logic [8:0] BeatsMax = 9'(saline_pkg::FrameBytesMax / ipsec_pkg::BeatBytes);

  logic [8:0]       index_q;  // of the beat in its frame; stays at BeatsMax
  logic             over_q;   // an end has been written, the rest is thrown away
  logic [511:0]     first_q;
  logic             take, push, store_ready, head_ready, over;
  ipsec_pkg::beat_t store;
  ipsec_pkg::head_t head;

  assign in_ready_o = store_ready && head_ready;
  assign take       = in_valid_i && in_ready_o;
  assign over       = index_q == BeatsMax;
  assign push       = take && (WHOLE ? in_beat_i.last
                                     : index_q == 9'd1 || (index_q == 9'd0 && in_beat_i.last));

  logic [511:0] second_q;
  always_comb begin
    store = in_beat_i;
    if (over) store.last = 1'b1;
    head.damaged  = in_error_i;
    head.too_long = over;
    head.bytes    = {1'b0, index_q, 6'd0} + {9'd0, in_beat_i.bytes};
    head.data     = {second_q, first_q};
    if (index_q == 9'd0) head.data = {512'd0, in_beat_i.data};
    if (index_q == 9'd1) head.data = {in_beat_i.data, first_q};
  end

  always_ff @(posedge clk_i) begin
    if (take && index_q == 9'd0) first_q <= in_beat_i.data;
    if (take && index_q == 9'd1) second_q <= in_beat_i.data;
    if (!rst_ni) begin
      index_q <= 9'd0;
      over_q  <= 1'b0;
    end else if (take) begin
      over_q <= over && !in_beat_i.last;
      if (in_beat_i.last) index_q <= 9'd0;
      else if (!over) index_q <= index_q + 9'd1;
    end
  end

  logic [$clog2(DEPTH):0] level;
  logic [3:0]             head_level;
  assign empty_o = level == '0 && head_level == 4'd0 && index_q == 9'd0;

  stream_fifo #(
      .W    (520),
      .DEPTH(DEPTH)
  ) u_store (
      .clk_i,
      .rst_ni,
      .valid_i(take && !over_q),
      .ready_o(store_ready),
      .data_i (store),
      .valid_o(out_valid_o),
      .ready_i(out_ready_i),
      .data_o (out_beat_o),
      .level_o(level)
  );
  stream_fifo #(
      .W    (HeadWidth),
      .DEPTH(8)
  ) u_heads (
      .clk_i,
      .rst_ni,
      .valid_i(push),
      .ready_o(head_ready),
      .data_i (head),
      .valid_o(head_valid_o),
      .ready_i(head_ready_i),
      .data_o (head_o),
      .level_o(head_level)
  );
endmodule

`default_nettype wire
