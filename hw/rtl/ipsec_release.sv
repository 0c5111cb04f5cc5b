// Sends what the gate has released: headers in front of a slice of the stored text, or the head of
// a frame alone. Text that is not sent is taken out of the store.
`default_nettype none

module ipsec_release (
    input  logic                clk_i,
    input  logic                rst_ni,
    input  logic                valid_i,
    output logic                ready_o,
    input  ipsec_pkg::release_t release_i,
    input  logic                in_valid_i,
    output logic                in_ready_o,
    input  ipsec_pkg::beat_t    in_beat_i,
    output logic                out_valid_o,
    input  logic                out_ready_i,
    output ipsec_pkg::beat_t    out_beat_o
);
  logic cut_fifo_ready, head_fifo_ready, take;
  logic [2:0] unused_cut_level, unused_head_level;
  assign ready_o = cut_fifo_ready && head_fifo_ready;
  assign take    = valid_i && ready_o;

  logic        cut_valid, cut_take, consume, cut, single;
  logic [7:0]  single_byte;
  logic [15:0] offset, bytes;
  stream_fifo #(
      .W    (43),
      .DEPTH(4)
  ) u_cuts (
      .clk_i,
      .rst_ni,
      .valid_i(take && (release_i.consume || release_i.send)),
      .ready_o(cut_fifo_ready),
      .data_i ({release_i.consume, release_i.cut, release_i.single, release_i.single_byte,
                release_i.offset, release_i.bytes}),
      .valid_o(cut_valid),
      .ready_i(cut_take),
      .data_o ({consume, cut, single, single_byte, offset, bytes}),
      .level_o(unused_cut_level)
  );
  logic slice_valid, slice_ready;
  ipsec_pkg::beat_t slice;
  ipsec_cut u_cut (
      .clk_i,
      .rst_ni,
      .command_valid_i(cut_valid),
      .command_ready_o(cut_take),
      .consume_i      (consume),
      .cut_i          (cut),
      .single_i       (single),
      .byte_i         (single_byte),
      .offset_i       (offset),
      .bytes_i        (bytes),
      .in_valid_i,
      .in_ready_o,
      .in_beat_i,
      .out_valid_o    (slice_valid),
      .out_ready_i    (slice_ready),
      .out_beat_o     (slice)
  );

  logic head_valid, head_take;
  logic [7:0]    head_bytes;
  logic [1023:0] head;
  stream_fifo #(
      .W    (1032),
      .DEPTH(4)
  ) u_heads (
      .clk_i,
      .rst_ni,
      .valid_i(take && release_i.send),
      .ready_o(head_fifo_ready),
      .data_i ({release_i.head_bytes, release_i.head}),
      .valid_o(head_valid),
      .ready_i(head_take),
      .data_o ({head_bytes, head}),
      .level_o(unused_head_level)
  );
  stream_prepend u_prepend (
      .clk_i,
      .rst_ni,
      .command_valid_i     (head_valid),
      .command_ready_o     (head_take),
      .command_head_bytes_i(head_bytes),
      .command_head_i      (head),
      .in_valid_i          (slice_valid),
      .in_ready_o          (slice_ready),
      .in_beat_i           (slice),
      .out_valid_o,
      .out_ready_i,
      .out_beat_o
  );
endmodule

`default_nettype wire
