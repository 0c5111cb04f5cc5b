// Outbound pipeline: host to MAC. A frame's beats wait in u_head until ipsec_select has decided,
// then run through cut, trailer, suite, ICV and headers without being stored again. Every stage
// works on another packet at the same time.
`default_nettype none

module ipsec_egress #(
    parameter int unsigned SA_SLOTS = 256,
    parameter int unsigned POLICIES = 64,
    parameter int unsigned LANES    = 4
) (
    input  logic                       clk_i,
    input  logic                       rst_ni,
    input  logic                       enable_i,
    input  logic                       default_discard_i,
    output logic                       idle_o,
    // tables
    input  logic                       sa_write_valid_i,
    output logic                       sa_write_ready_o,
    input  logic                       policy_write_i,
    input  logic [7:0]                 table_op_i,
    input  logic [15:0]                table_index_i,
    input  logic [2047:0]              table_record_i,
    // counters and events
    input  logic                       count_valid_i,
    input  logic [15:0]                count_index_i,
    output logic                       count_valid_o,
    output saline_pkg::sa_counters_t   count_record_o,
    output logic [7:0]                 refused_o,  // one clock per frame, else 0
    output logic                       event_valid_o,
    output saline_pkg::event_t         event_o,
    // frames
    input  logic                       meta_valid_i,
    output logic                       meta_ready_o,
    input  saline_pkg::tx_descriptor_t meta_i,
    input  logic                       in_valid_i,
    output logic                       in_ready_o,
    input  ipsec_pkg::beat_t           in_beat_i,
    output logic                       out_valid_o,
    input  logic                       out_ready_i,
    output ipsec_pkg::beat_t           out_beat_o
);
  // ---- Frames in, headers found
  logic head_valid, head_ready, store_valid, store_ready, store_empty;
  logic parsed_valid, parsed_ready, parse_busy;
  ipsec_pkg::head_t    head, parsed_head, bounded;
  ipsec_pkg::headers_t headers;
  ipsec_pkg::beat_t    store;
  ipsec_head #(
      .WHOLE(1'b0),
      .DEPTH(64)
  ) u_head (
      .clk_i,
      .rst_ni,
      .empty_o     (store_empty),
      .in_valid_i,
      .in_ready_o,
      .in_beat_i,
      .in_error_i  (1'b0),
      .head_valid_o(head_valid),
      .head_ready_i(head_ready),
      .head_o      (head),
      .out_valid_o (store_valid),
      .out_ready_i (store_ready),
      .out_beat_o  (store)
  );

  // The length is the descriptor's: a frame's two records meet here and stay together.
  logic pair_ready, pair_valid, parse_ready, meta_fifo_ready, meta_valid, meta_ready;
  logic [2:0] unused_meta_level;
  saline_pkg::tx_descriptor_t meta;
  assign pair_valid   = head_valid && meta_valid_i && meta_fifo_ready && enable_i;
  assign pair_ready   = pair_valid && parse_ready;
  assign head_ready   = pair_ready;
  assign meta_ready_o = pair_ready;
  always_comb begin
    bounded       = head;
    bounded.bytes = meta_i.bytes;
  end
  stream_fifo #(
      .W    (saline_pkg::TxDescriptorBits),
      .DEPTH(4)
  ) u_metas (
      .clk_i,
      .rst_ni,
      .valid_i(pair_ready),
      .ready_o(meta_fifo_ready),
      .data_i (meta_i),
      .valid_o(meta_valid),
      .ready_i(meta_ready),
      .data_o (meta),
      .level_o(unused_meta_level)
  );
  ipsec_parse u_parse (
      .clk_i,
      .rst_ni,
      .busy_o       (parse_busy),
      .in_valid_i   (pair_valid),
      .in_ready_o   (parse_ready),
      .in_head_i    (bounded),
      .out_valid_o  (parsed_valid),
      .out_ready_i  (parsed_ready),
      .out_head_o   (parsed_head),
      .out_headers_o(headers)
  );

  // ---- Policy, SA, number
  logic                find, find_done, find_hit;
  logic [1:0]          find_action;
  logic [15:0]         find_sa_index;
  ipsec_pkg::headers_t find_headers;
  ipsec_classify #(
      .POLICIES(POLICIES)
  ) u_classify (
      .clk_i,
      .rst_ni,
      .find_i    (find),
      .headers_i (find_headers),
      .done_o    (find_done),
      .hit_o     (find_hit),
      .action_o  (find_action),
      .sa_index_o(find_sa_index),
      .write_i   (policy_write_i),
      .remove_i  (table_op_i == saline_pkg::TableOpRemove),
      .index_i   (table_index_i),
      .entry_i   (table_record_i[saline_pkg::PolicyEntryBits-1:0])
  );

  logic                    context_read;
  logic [15:0]             context_index, context_epoch;
  saline_pkg::sa_context_t sa_context;
  logic                account_valid, account_ready, reply_valid;
  ipsec_pkg::account_t account;
  logic [7:0]          reply_reason;
  logic [63:0]         reply_number;
  logic [63:0]         unused_number, unused_packets, unused_octets;
  logic                unused_acceptable;
  ipsec_books #(
      .INBOUND(1'b0),
      .SLOTS  (SA_SLOTS)
  ) u_books (
      .clk_i,
      .rst_ni,
      .write_valid_i  (sa_write_valid_i),
      .write_ready_o  (sa_write_ready_o),
      .write_op_i     (table_op_i),
      .write_index_i  (table_index_i),
      .write_context_i(table_record_i),
      .read_i         (context_read),
      .read_index_i   (context_index),
      .infer_i        (1'b0),
      .infer_words_i  (8'd0),
      .infer_low_i    (32'd0),
      .number_o       (unused_number),
      .acceptable_o   (unused_acceptable),
      .packets_o      (unused_packets),
      .octets_o       (unused_octets),
      .context_o      (sa_context),
      .epoch_o        (context_epoch),
      .valid_i        (account_valid),
      .ready_o        (account_ready),
      .entry_i        (account),
      .reply_valid_o  (reply_valid),
      .reply_reason_o (reply_reason),
      .reply_number_o (reply_number),
      .count_valid_i,
      .count_index_i,
      .count_valid_o,
      .count_record_o,
      .event_valid_o,
      .event_o
  );

  logic                select_busy, emit, emit_ready, protect;
  ipsec_pkg::release_t cut;
  logic [5:0]          trailer_bytes;
  logic [255:0]        trailer;
  ipsec_pkg::job_t     job;
  ipsec_select u_select (
      .clk_i,
      .rst_ni,
      .default_discard_i,
      .busy_o         (select_busy),
      .meta_valid_i   (meta_valid),
      .meta_ready_o   (meta_ready),
      .meta_i         (meta),
      .parsed_valid_i (parsed_valid),
      .parsed_ready_o (parsed_ready),
      .head_i         (parsed_head),
      .headers_i      (headers),
      .find_o         (find),
      .find_headers_o (find_headers),
      .find_done_i    (find_done),
      .find_hit_i     (find_hit),
      .find_action_i  (find_action),
      .find_sa_index_i(find_sa_index),
      .context_read_o (context_read),
      .context_index_o(context_index),
      .context_i      (sa_context),
      .context_epoch_i(context_epoch),
      .account_valid_o(account_valid),
      .account_ready_i(account_ready),
      .account_o      (account),
      .reply_valid_i  (reply_valid),
      .reply_reason_i (reply_reason),
      .reply_number_i (reply_number),
      .refused_o,
      .ready_i        (emit_ready),
      .emit_o         (emit),
      .cut_o          (cut),
      .protect_o      (protect),
      .trailer_bytes_o(trailer_bytes),
      .trailer_o      (trailer),
      .job_o          (job)
  );

  // ---- The frame is made
  ipsec_make #(
      .LANES(LANES)
  ) u_make (
      .clk_i,
      .rst_ni,
      .ready_o        (emit_ready),
      .emit_i         (emit),
      .cut_i          (cut),
      .protect_i      (protect),
      .trailer_bytes_i(trailer_bytes),
      .trailer_i      (trailer),
      .job_i          (job),
      .in_valid_i     (store_valid),
      .in_ready_o     (store_ready),
      .in_beat_i      (store),
      .out_valid_o,
      .out_ready_i,
      .out_beat_o
  );

  // Frames emitted and not yet gone.
  logic [5:0] inside_q;
  logic       goes;
  assign goes = out_valid_o && out_ready_i && out_beat_o.last;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) inside_q <= 6'd0;
    else inside_q <= inside_q + {5'd0, emit && cut.send} - {5'd0, goes};
  end
  assign idle_o = store_empty && !parse_busy && !meta_valid && !select_busy && inside_q == 6'd0;

  logic unused;
  assign unused = &{1'b0, head.bytes};
endmodule

`default_nettype wire
