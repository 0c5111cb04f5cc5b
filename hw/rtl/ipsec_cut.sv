// Takes frames out of a stream by command: a slice of one, a frame thrown away, or a single byte in
// its place. One command per frame that is to be consumed or byte that is to be sent, in order.
`default_nettype none

module ipsec_cut (
    input  logic             clk_i,
    input  logic             rst_ni,
    input  logic             command_valid_i,
    output logic             command_ready_o,
    input  logic             consume_i,  // a frame of the stream is used up
    input  logic             cut_i,      // and its bytes [offset, offset + bytes) are sent
    input  logic             single_i,   // or this byte is
    input  logic [7:0]       byte_i,
    input  logic [15:0]      offset_i,
    input  logic [15:0]      bytes_i,
    input  logic             in_valid_i,
    output logic             in_ready_o,
    input  ipsec_pkg::beat_t in_beat_i,
    output logic             out_valid_o,
    input  logic             out_ready_i,
    output ipsec_pkg::beat_t out_beat_o
);
  // Packets to send, in order; the slice itself may be further.
  logic       order_ready, order_valid, single;
  logic [7:0] single_byte;
  logic       slice_ready, slice_valid;
  logic       sends, take, done;
  ipsec_pkg::beat_t sliced;

  assign sends           = cut_i || single_i;
  assign command_ready_o = (order_ready || !sends) && (slice_ready || !consume_i);
  assign take            = command_valid_i && command_ready_o;
  assign done            = out_valid_o && out_ready_i && out_beat_o.last;

  logic [2:0] unused_level;
  stream_fifo #(
      .W    (9),
      .DEPTH(4)
  ) u_order (
      .clk_i,
      .rst_ni,
      .valid_i(take && sends),
      .ready_o(order_ready),
      .data_i ({single_i, byte_i}),
      .valid_o(order_valid),
      .ready_i(done),
      .data_o ({single, single_byte}),
      .level_o(unused_level)
  );

  logic         unused_valid, unused_short;
  logic [127:0] unused_tail;
  stream_slice u_slice (
      .clk_i,
      .rst_ni,
      .command_valid_i     (take && consume_i),
      .command_ready_o     (slice_ready),
      .command_offset_i    (offset_i),
      .command_bytes_i     (bytes_i),
      .command_tail_bytes_i(5'd0),
      .command_drop_i      (!cut_i),
      .in_valid_i,
      .in_ready_o,
      .in_beat_i,
      .out_valid_o         (slice_valid),
      .out_ready_i         (order_valid && !single && out_ready_i),
      .out_beat_o          (sliced),
      .tail_valid_o        (unused_valid),
      .tail_ready_i        (1'b1),
      .tail_o              (unused_tail),
      .tail_short_o        (unused_short)
  );

  assign out_valid_o = order_valid && (single || slice_valid);
  always_comb begin
    out_beat_o = sliced;
    if (single) begin
      out_beat_o.last  = 1'b1;
      out_beat_o.bytes = 7'd1;
      out_beat_o.data  = {504'd0, single_byte};
    end
  end
endmodule

`default_nettype wire
