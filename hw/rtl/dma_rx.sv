// The receive ring: dma_fetch gives buffers, dma_write fills them, dma_record writes completions.
//
// One reader and two writers (0 frames, 1 completions) on the bus multiplexers, port n of a flat
// signal at [n*width +: width]. Frames are taken also while no ring runs, and dropped for want of a
// buffer. busy_o: something is under way; buffers fetched ahead are not. Drops and deliveries as in
// dma_write.
`default_nettype none

module dma_rx (
    input  logic                       clk_i,
    input  logic                       rst_ni,
    input  logic                       ring_rst_ni,
    input  logic                       run_i,
    output logic                       busy_o,
    input  logic [63:6]                base_i,
    input  logic [3:0]                 size_log2_i,
    input  logic [15:0]                tail_i,
    input  logic [63:6]                done_i,
    input  logic                       meta_valid_i,
    output logic                       meta_ready_o,
    input  saline_pkg::rx_completion_t meta_i,
    input  logic                       in_valid_i,
    output logic                       in_ready_o,
    input  ipsec_pkg::beat_t           in_beat_i,
    output logic                       drop_o,
    output logic [7:0]                 drop_reason_o,
    output logic                       delivered_o,
    output logic [15:0]                delivered_bytes_o,
    output logic                       error_o,
    output logic                       ar_valid_o,
    input  logic                       ar_ready_i,
    output logic [63:0]                ar_address_o,
    output logic [7:0]                 ar_len_o,
    input  logic                       r_valid_i,
    input  logic [511:0]               r_data_i,
    input  logic                       r_error_i,
    output logic [1:0]                 aw_valid_o,
    input  logic [1:0]                 aw_ready_i,
    output logic [127:0]               aw_address_o,
    output logic [15:0]                aw_len_o,
    output logic [1:0]                 w_valid_o,
    input  logic [1:0]                 w_ready_i,
    output logic [1023:0]              w_data_o,
    output logic [127:0]               w_strobe_o,
    input  logic [1:0]                 b_valid_i,
    input  logic                       b_error_i
);
  logic                       posted, fetch_busy, write_busy, record_busy;
  logic                       descriptor_valid, descriptor_ready, descriptor_error;
  saline_pkg::rx_descriptor_t descriptor;
  dma_fetch u_fetch (
      .clk_i,
      .rst_ni      (ring_rst_ni),
      .run_i,
      .base_i,
      .size_log2_i,
      .tail_i,
      .posted_o    (posted),
      .busy_o      (fetch_busy),
      .ar_valid_o,
      .ar_ready_i,
      .ar_address_o,
      .ar_len_o,
      .r_valid_i,
      .r_data_i,
      .r_error_i,
      .valid_o     (descriptor_valid),
      .ready_i     (descriptor_ready),
      .descriptor_o(descriptor),
      .error_o     (descriptor_error)
  );

  // dma_write compares a record with its buffer before it takes it: that path ends here, not in the
  // engine.
  saline_pkg::rx_completion_t meta;
  logic                       meta_valid, meta_ready;
  stream_skid #(
      .W(saline_pkg::RxCompletionBits)
  ) u_meta (
      .clk_i,
      .rst_ni,
      .valid_i(meta_valid_i),
      .ready_o(meta_ready_o),
      .data_i (meta_i),
      .valid_o(meta_valid),
      .ready_i(meta_ready),
      .data_o (meta)
  );

  logic         record_valid, record_ready;
  logic [247:0] record;
  dma_write u_write (
      .clk_i,
      .rst_ni,
      .busy_o            (write_busy),
      .posted_i          (posted),
      .descriptor_valid_i(descriptor_valid),
      .descriptor_ready_o(descriptor_ready),
      .descriptor_i      (descriptor),
      .descriptor_error_i(descriptor_error),
      .meta_valid_i      (meta_valid),
      .meta_ready_o      (meta_ready),
      .meta_i            (meta),
      .in_valid_i,
      .in_ready_o,
      .in_beat_i,
      .aw_valid_o        (aw_valid_o[0]),
      .aw_ready_i        (aw_ready_i[0]),
      .aw_address_o      (aw_address_o[63:0]),
      .aw_len_o          (aw_len_o[7:0]),
      .w_valid_o         (w_valid_o[0]),
      .w_ready_i         (w_ready_i[0]),
      .w_data_o          (w_data_o[511:0]),
      .w_strobe_o        (w_strobe_o[63:0]),
      .b_valid_i         (b_valid_i[0]),
      .b_error_i,
      .record_valid_o    (record_valid),
      .record_ready_i    (record_ready),
      .record_o          (record),
      .delivered_o,
      .delivered_bytes_o,
      .drop_o,
      .drop_reason_o
  );

  logic [15:0] unused_index;
  assign aw_len_o[15:8] = '0;
  dma_record u_done (
      .clk_i,
      .rst_ni      (ring_rst_ni),
      .base_i      (done_i),
      .size_log2_i,
      .index_o     (unused_index),
      .busy_o      (record_busy),
      .error_o,
      .valid_i     (record_valid),
      .ready_o     (record_ready),
      .record_i    (record),
      .aw_valid_o  (aw_valid_o[1]),
      .aw_ready_i  (aw_ready_i[1]),
      .aw_address_o(aw_address_o[127:64]),
      .w_valid_o   (w_valid_o[1]),
      .w_ready_i   (w_ready_i[1]),
      .w_data_o    (w_data_o[1023:512]),
      .w_strobe_o  (w_strobe_o[127:64]),
      .b_valid_i   (b_valid_i[1]),
      .b_error_i
  );

  assign busy_o = fetch_busy || write_busy || record_busy;
endmodule

`default_nettype wire
