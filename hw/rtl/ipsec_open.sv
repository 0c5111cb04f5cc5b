// Inbound packets from admission to the verdict: text cut out of the frame, suite, gate.
//
// emit_i for one clock, with ready_o, gives the commands of one frame. Up to 16 frames are inside.
`default_nettype none

module ipsec_open #(
    parameter int unsigned LANES = 4
) (
    input  logic                       clk_i,
    input  logic                       rst_ni,
    output logic                       busy_o,
    output logic                       ready_o,
    input  logic                       emit_i,
    input  logic [15:0]                offset_i,
    input  logic [15:0]                bytes_i,
    input  logic [4:0]                 icv_bytes_i,
    input  logic                       drop_i,
    input  ipsec_pkg::job_t            job_i,
    input  ipsec_pkg::arrival_t        arrival_i,
    input  logic                       in_valid_i,
    output logic                       in_ready_o,
    input  ipsec_pkg::beat_t           in_beat_i,
    // the SA's books
    output logic                       account_valid_o,
    input  logic                       account_ready_i,
    output ipsec_pkg::account_t        account_o,
    input  logic                       reply_valid_i,
    input  logic [7:0]                 reply_reason_i,
    output logic [7:0]                 refused_o,
    // what leaves
    output logic                       meta_valid_o,
    input  logic                       meta_ready_i,
    output saline_pkg::rx_completion_t meta_o,
    output logic                       release_valid_o,
    input  logic                       release_ready_i,
    output ipsec_pkg::release_t        release_o,
    output logic                       store_valid_o,
    input  logic                       store_ready_i,
    output ipsec_pkg::beat_t           store_o
);
  logic slice_fifo_ready, job_fifo_ready, arrival_fifo_ready;
  assign ready_o = slice_fifo_ready && job_fifo_ready && arrival_fifo_ready;

  // ---- Text and ICV out of the frame
  logic        slice_valid, slice_take, slice_drop;
  logic [15:0] slice_offset, slice_bytes;
  logic [4:0]  slice_icv;
  logic [2:0]  unused_slice_level, unused_job_level;
  stream_fifo #(
      .W    (38),
      .DEPTH(4)
  ) u_slices (
      .clk_i,
      .rst_ni,
      .valid_i(emit_i),
      .ready_o(slice_fifo_ready),
      .data_i ({drop_i, icv_bytes_i, offset_i, bytes_i}),
      .valid_o(slice_valid),
      .ready_i(slice_take),
      .data_o ({slice_drop, slice_icv, slice_offset, slice_bytes}),
      .level_o(unused_slice_level)
  );
  logic secret_valid, secret_ready, cut_valid, cut_ready, cut_short;
  ipsec_pkg::beat_t secret;
  logic [127:0] cut_icv;
  stream_slice u_slice (
      .clk_i,
      .rst_ni,
      .command_valid_i     (slice_valid),
      .command_ready_o     (slice_take),
      .command_offset_i    (slice_offset),
      .command_bytes_i     (slice_bytes),
      .command_tail_bytes_i(slice_icv),
      .command_drop_i      (slice_drop),
      .in_valid_i,
      .in_ready_o,
      .in_beat_i,
      .out_valid_o         (secret_valid),
      .out_ready_i         (secret_ready),
      .out_beat_o          (secret),
      .tail_valid_o        (cut_valid),
      .tail_ready_i        (cut_ready),
      .tail_o              (cut_icv),
      .tail_short_o        (cut_short)
  );
  // Received ICVs wait until the computed ones are there.
  logic         tail_valid, tail_ready, tail_short;
  logic [127:0] tail;
  logic [4:0]   unused_tail_level, arrival_level;
  stream_fifo #(
      .W    (129),
      .DEPTH(16)
  ) u_tails (
      .clk_i,
      .rst_ni,
      .valid_i(cut_valid),
      .ready_o(cut_ready),
      .data_i ({cut_short, cut_icv}),
      .valid_o(tail_valid),
      .ready_i(tail_ready),
      .data_o ({tail_short, tail}),
      .level_o(unused_tail_level)
  );

  // ---- Suite
  logic job_valid, job_take, text_valid, text_ready, icv_valid, icv_ready;
  ipsec_pkg::job_t  job;
  ipsec_pkg::beat_t text;
  logic [127:0]     icv;
  stream_fifo #(
      .W    ($bits(job_i)),
      .DEPTH(4)
  ) u_jobs (
      .clk_i,
      .rst_ni,
      .valid_i(emit_i && !drop_i),
      .ready_o(job_fifo_ready),
      .data_i (job_i),
      .valid_o(job_valid),
      .ready_i(job_take),
      .data_o (job),
      .level_o(unused_job_level)
  );
  suite_gcm #(
      .LANES(LANES)
  ) u_suite (
      .clk_i,
      .rst_ni,
      .job_valid_i (job_valid),
      .job_ready_o (job_take),
      .job_i       (job),
      .text_valid_i(secret_valid),
      .text_ready_o(secret_ready),
      .text_i      (secret),
      .text_valid_o(text_valid),
      .text_ready_i(text_ready),
      .text_o      (text),
      .icv_valid_o (icv_valid),
      .icv_ready_i (icv_ready),
      .icv_o       (icv)
  );

  // ---- Gate
  logic arrival_valid, arrival_take, gate_busy;
  ipsec_pkg::arrival_t arrival;
  stream_fifo #(
      .W    ($bits(arrival_i)),
      .DEPTH(16)
  ) u_arrivals (
      .clk_i,
      .rst_ni,
      .valid_i(emit_i),
      .ready_o(arrival_fifo_ready),
      .data_i (arrival_i),
      .valid_o(arrival_valid),
      .ready_i(arrival_take),
      .data_o (arrival),
      .level_o(arrival_level)
  );
  assign busy_o = arrival_level != 5'd0 || gate_busy;
  ipsec_gate u_gate (
      .clk_i,
      .rst_ni,
      .busy_o         (gate_busy),
      .arrival_valid_i(arrival_valid),
      .arrival_ready_o(arrival_take),
      .arrival_i      (arrival),
      .text_valid_i   (text_valid),
      .text_ready_o   (text_ready),
      .text_i         (text),
      .icv_valid_i    (icv_valid),
      .icv_ready_o    (icv_ready),
      .icv_i          (icv),
      .tail_valid_i   (tail_valid),
      .tail_ready_o   (tail_ready),
      .tail_i         (tail),
      .tail_short_i   (tail_short),
      .account_valid_o,
      .account_ready_i,
      .account_o,
      .reply_valid_i,
      .reply_reason_i,
      .refused_o,
      .meta_valid_o,
      .meta_ready_i,
      .meta_o,
      .release_valid_o,
      .release_ready_i,
      .release_o,
      .store_valid_o,
      .store_ready_i,
      .store_o
  );
endmodule

`default_nettype wire
