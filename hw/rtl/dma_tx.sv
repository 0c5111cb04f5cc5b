// The transmit ring: dma_fetch -> dma_read -> engine; dma_head reports back to the driver.
//
// Two readers (0 descriptors, 1 frames) and one writer on the bus multiplexers, port n of a flat
// signal at [n*width +: width]. posted_o: the driver has posted what is not fetched yet, or it
// waits here. busy_o: something is under way. Counts, done and drop as in dma_read.
`default_nettype none

module dma_tx (
    input  logic                       clk_i,
    input  logic                       rst_ni,
    input  logic                       run_i,
    output logic                       posted_o,
    output logic                       busy_o,
    input  logic [63:6]                base_i,
    input  logic [3:0]                 size_log2_i,
    input  logic [15:0]                tail_i,
    input  logic [63:6]                head_i,
    output logic                       meta_valid_o,
    input  logic                       meta_ready_i,
    output saline_pkg::tx_descriptor_t meta_o,
    output logic                       out_valid_o,
    input  logic                       out_ready_i,
    output ipsec_pkg::beat_t           out_beat_o,
    output logic                       drop_o,
    output logic [7:0]                 drop_reason_o,
    output logic                       error_o,
    output logic [1:0]                 ar_valid_o,
    input  logic [1:0]                 ar_ready_i,
    output logic [127:0]               ar_address_o,
    output logic [15:0]                ar_len_o,
    input  logic [1:0]                 r_valid_i,
    input  logic [511:0]               r_data_i,
    input  logic                       r_last_i,
    input  logic                       r_error_i,
    output logic                       aw_valid_o,
    input  logic                       aw_ready_i,
    output logic [63:0]                aw_address_o,
    output logic                       w_valid_o,
    input  logic                       w_ready_i,
    output logic [511:0]               w_data_o,
    output logic [63:0]                w_strobe_o,
    input  logic                       b_valid_i,
    input  logic                       b_error_i
);
  logic                       fetch_busy, read_busy, head_busy;
  logic                       descriptor_valid, descriptor_ready, descriptor_error, done;
  saline_pkg::tx_descriptor_t descriptor;
  dma_fetch u_fetch (
      .clk_i,
      .rst_ni,
      .run_i,
      .base_i,
      .size_log2_i,
      .tail_i,
      .posted_o,
      .busy_o      (fetch_busy),
      .ar_valid_o  (ar_valid_o[0]),
      .ar_ready_i  (ar_ready_i[0]),
      .ar_address_o(ar_address_o[63:0]),
      .ar_len_o    (ar_len_o[7:0]),
      .r_valid_i   (r_valid_i[0]),
      .r_data_i,
      .r_error_i,
      .valid_o     (descriptor_valid),
      .ready_i     (descriptor_ready),
      .descriptor_o(descriptor),
      .error_o     (descriptor_error)
  );

  dma_read u_read (
      .clk_i,
      .rst_ni,
      .busy_o            (read_busy),
      .descriptor_valid_i(descriptor_valid),
      .descriptor_ready_o(descriptor_ready),
      .descriptor_i      (descriptor),
      .descriptor_error_i(descriptor_error),
      .ar_valid_o        (ar_valid_o[1]),
      .ar_ready_i        (ar_ready_i[1]),
      .ar_address_o      (ar_address_o[127:64]),
      .ar_len_o          (ar_len_o[15:8]),
      .r_valid_i         (r_valid_i[1]),
      .r_data_i,
      .r_last_i,
      .r_error_i,
      .meta_valid_o,
      .meta_ready_i,
      .meta_o,
      .out_valid_o,
      .out_ready_i,
      .out_beat_o,
      .done_o            (done),
      .drop_o,
      .drop_reason_o
  );

  dma_head u_head (
      .clk_i,
      .rst_ni,
      .line_i (head_i),
      .done_i (done),
      .busy_o (head_busy),
      .error_o,
      .aw_valid_o,
      .aw_ready_i,
      .aw_address_o,
      .w_valid_o,
      .w_ready_i,
      .w_data_o,
      .w_strobe_o,
      .b_valid_i,
      .b_error_i
  );

  assign busy_o = fetch_busy || descriptor_valid || read_busy || head_busy;
endmodule

`default_nettype wire
