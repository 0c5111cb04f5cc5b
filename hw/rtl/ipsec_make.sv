// Makes outbound frames from commands: payload cut out of the frame, trailer, suite, ICV, headers.
// A frame that is sent as it is takes the same way with nothing added, so that order is kept.
//
// emit_i for one clock, with ready_o, gives the commands of one frame. Up to 16 frames are inside.
`default_nettype none

module ipsec_make #(
    parameter int unsigned LANES = 4
) (
    input  logic                clk_i,
    input  logic                rst_ni,
    output logic                ready_o,
    input  logic                emit_i,
    /* verilator lint_off UNUSEDSIGNAL */
    input  ipsec_pkg::release_t cut_i,
    /* verilator lint_on UNUSEDSIGNAL */
    input  logic                protect_i,
    input  logic [5:0]          trailer_bytes_i,
    input  logic [255:0]        trailer_i,
    input  ipsec_pkg::job_t     job_i,
    input  logic                in_valid_i,
    output logic                in_ready_o,
    input  ipsec_pkg::beat_t    in_beat_i,
    output logic                out_valid_o,
    input  logic                out_ready_i,
    output ipsec_pkg::beat_t    out_beat_o
);
  localparam int unsigned CutWidth    = 44;
  localparam int unsigned TailWidth   = 6 + 40;  // a trailer has at most 5 bytes
  localparam int unsigned FinishWidth = 1 + 8 + 1024;

  logic cut_ready, tail_ready, job_fifo_ready, finish_ready;
  assign ready_o = cut_ready && tail_ready && job_fifo_ready && finish_ready;

  // ---- Cut
  logic [2:0] unused_cut_level, unused_job_level;
  logic [4:0] unused_finish_level, unused_tail_level, unused_icv_level;
  logic cut_valid, cut_take, consume, cut, single;
  logic [7:0]  single_byte;
  logic [15:0] offset, bytes;
  logic [0:0]  unused_cut;
  stream_fifo #(
      .W    (CutWidth),
      .DEPTH(4)
  ) u_cuts (
      .clk_i,
      .rst_ni,
      .valid_i(emit_i),
      .ready_o(cut_ready),
      .data_i ({1'b0, cut_i.consume, cut_i.cut, cut_i.single, cut_i.single_byte, cut_i.offset,
                cut_i.bytes}),
      .valid_o(cut_valid),
      .ready_i(cut_take),
      .data_o ({unused_cut, consume, cut, single, single_byte, offset, bytes}),
      .level_o(unused_cut_level)
  );
  logic payload_valid, payload_ready;
  ipsec_pkg::beat_t payload;
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
      .out_valid_o    (payload_valid),
      .out_ready_i    (payload_ready),
      .out_beat_o     (payload)
  );

  // ---- Trailer (RFC 4303 §2.4 to §2.6)
  logic tail_valid, tail_take;
  logic [5:0]  tail_bytes;
  logic [39:0] tail;
  stream_fifo #(
      .W    (TailWidth),
      .DEPTH(16)
  ) u_tails (
      .clk_i,
      .rst_ni,
      .valid_i(emit_i && cut_i.send),
      .ready_o(tail_ready),
      .data_i ({trailer_bytes_i, trailer_i[39:0]}),
      .valid_o(tail_valid),
      .ready_i(tail_take),
      .data_o ({tail_bytes, tail}),
      .level_o(unused_tail_level)
  );
  logic plain_valid, plain_ready;
  ipsec_pkg::beat_t plain;
  stream_append u_trailer (
      .clk_i,
      .rst_ni,
      .command_valid_i     (tail_valid),
      .command_ready_o     (tail_take),
      .command_tail_bytes_i(tail_bytes),
      .command_tail_i      ({216'd0, tail}),
      .in_valid_i          (payload_valid),
      .in_ready_o          (payload_ready),
      .in_beat_i           (payload),
      .out_valid_o         (plain_valid),
      .out_ready_i         (plain_ready),
      .out_beat_o          (plain)
  );

  // ---- Suite
  logic job_valid, job_take, secret_valid, secret_ready, icv_valid, icv_take;
  ipsec_pkg::job_t  job;
  ipsec_pkg::beat_t secret;
  logic [127:0]     icv;
  stream_fifo #(
      .W    ($bits(job_i)),
      .DEPTH(4)
  ) u_jobs (
      .clk_i,
      .rst_ni,
      .valid_i(emit_i && cut_i.send),
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
      .text_valid_i(plain_valid),
      .text_ready_o(plain_ready),
      .text_i      (plain),
      .text_valid_o(secret_valid),
      .text_ready_i(secret_ready),
      .text_o      (secret),
      .icv_valid_o (icv_valid),
      .icv_ready_i (icv_take),
      .icv_o       (icv)
  );

  // ---- ICV and headers. The two halves of a finish command are used at different times.
  logic protects_valid, protects, protects_ready, icv_command;
  stream_fifo #(
      .W    (1),
      .DEPTH(16)
  ) u_protects (
      .clk_i,
      .rst_ni,
      .valid_i(emit_i && cut_i.send),
      .ready_o(protects_ready),
      .data_i (protect_i),
      .valid_o(protects_valid),
      .ready_i(icv_command),
      .data_o (protects),
      .level_o(unused_icv_level)
  );
  logic sealed_valid, sealed_ready;
  ipsec_pkg::beat_t sealed;
  assign icv_take = icv_command;
  stream_append u_icv (
      .clk_i,
      .rst_ni,
      .command_valid_i     (protects_valid && icv_valid),
      .command_ready_o     (icv_command),
      .command_tail_bytes_i(protects ? 6'd16 : 6'd0),
      .command_tail_i      ({128'd0, icv}),
      .in_valid_i          (secret_valid),
      .in_ready_o          (secret_ready),
      .in_beat_i           (secret),
      .out_valid_o         (sealed_valid),
      .out_ready_i         (sealed_ready),
      .out_beat_o          (sealed)
  );

  logic head_fifo_ready, head_valid, head_take;
  logic [7:0]    head_bytes;
  logic [1023:0] head;
  assign finish_ready = protects_ready && head_fifo_ready;
  stream_fifo #(
      .W    (FinishWidth - 1),
      .DEPTH(16)
  ) u_heads (
      .clk_i,
      .rst_ni,
      .valid_i(emit_i && cut_i.send),
      .ready_o(head_fifo_ready),
      .data_i ({cut_i.head_bytes, cut_i.head}),
      .valid_o(head_valid),
      .ready_i(head_take),
      .data_o ({head_bytes, head}),
      .level_o(unused_finish_level)
  );
  stream_prepend u_prepend (
      .clk_i,
      .rst_ni,
      .command_valid_i     (head_valid),
      .command_ready_o     (head_take),
      .command_head_bytes_i(head_bytes),
      .command_head_i      (head),
      .in_valid_i          (sealed_valid),
      .in_ready_o          (sealed_ready),
      .in_beat_i           (sealed),
      .out_valid_o,
      .out_ready_i,
      .out_beat_o
  );

  logic unused;
  assign unused = &{1'b0, trailer_i[255:40]};
endmodule

`default_nettype wire
