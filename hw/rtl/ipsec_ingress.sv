// Inbound pipeline: MAC to host. Frames come in whole, so that a damaged one is never looked at and
// lengths are exact; ipsec_admit decides what the cipher gets; ipsec_gate stores its output until
// the verdict. Frames that only pass take the same way through suite none, so that order is kept.
`default_nettype none

module ipsec_ingress #(
    parameter int unsigned SA_SLOTS       = 256,
    parameter int unsigned LOOKUP_BUCKETS = 256,
    parameter int unsigned WINDOW_MAX     = 1024,
    parameter int unsigned LANES          = 4
) (
    input  logic                       clk_i,
    input  logic                       rst_ni,
    input  logic                       enable_i,
    output logic                       idle_o,
    // tables
    input  logic                       sa_write_valid_i,
    output logic                       sa_write_ready_o,
    input  logic                       lookup_write_i,
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
    input  logic                       in_valid_i,
    output logic                       in_ready_o,
    input  ipsec_pkg::beat_t           in_beat_i,
    input  logic                       in_error_i,
    output logic                       meta_valid_o,
    input  logic                       meta_ready_i,
    output saline_pkg::rx_completion_t meta_o,
    output logic                       out_valid_o,
    input  logic                       out_ready_i,
    output ipsec_pkg::beat_t           out_beat_o
);
  // ---- Frames in; while not enabled they are taken and thrown away, frame by frame
  logic inside_frame_q, discard_q, discard, entry_ready;
  assign discard    = inside_frame_q ? discard_q : !enable_i;
  assign in_ready_o = discard || entry_ready;
  always_ff @(posedge clk_i) begin
    discard_q <= discard;
    if (!rst_ni) inside_frame_q <= 1'b0;
    else if (in_valid_i && in_ready_o) inside_frame_q <= !in_beat_i.last;
  end

  logic head_valid, head_ready, frame_valid, frame_ready, entry_empty;
  logic parsed_valid, parsed_ready, parse_busy;
  ipsec_pkg::head_t    head, parsed_head;
  ipsec_pkg::headers_t headers;
  ipsec_pkg::beat_t    frame;
  ipsec_head #(
      .WHOLE(1'b1),
      .DEPTH(512)
  ) u_head (
      .clk_i,
      .rst_ni,
      .empty_o     (entry_empty),
      .in_valid_i  (in_valid_i && !discard),
      .in_ready_o  (entry_ready),
      .in_beat_i,
      .in_error_i,
      .head_valid_o(head_valid),
      .head_ready_i(head_ready),
      .head_o      (head),
      .out_valid_o (frame_valid),
      .out_ready_i (frame_ready),
      .out_beat_o  (frame)
  );
  ipsec_parse u_parse (
      .clk_i,
      .rst_ni,
      .busy_o       (parse_busy),
      .in_valid_i   (head_valid),
      .in_ready_o   (head_ready),
      .in_head_i    (head),
      .out_valid_o  (parsed_valid),
      .out_ready_i  (parsed_ready),
      .out_head_o   (parsed_head),
      .out_headers_o(headers)
  );

  // ---- SA, pre-check
  logic                find, find_hit;
  logic [31:0]         find_spi;
  logic [15:0]         find_sa_index;
  /* verilator lint_off UNUSEDSIGNAL */
  ipsec_pkg::headers_t find_headers;
  /* verilator lint_on UNUSEDSIGNAL */
  ipsec_lookup #(
      .BUCKETS(LOOKUP_BUCKETS)
  ) u_lookup (
      .clk_i,
      .rst_ni,
      .find_i       (find),
      .spi_i        (find_spi),
      .protocol_i   (find_headers.protocol),
      .ipv6_i       (find_headers.ipv6),
      .destination_i(find_headers.destination),
      .hit_o        (find_hit),
      .sa_index_o   (find_sa_index),
      .write_i      (lookup_write_i),
      .remove_i     (table_op_i == saline_pkg::TableOpRemove),
      .index_i      (table_index_i),
      .entry_i      (table_record_i[saline_pkg::LookupEntryBits-1:0])
  );

  logic                    context_read, infer, acceptable;
  logic [15:0]             context_index, context_epoch;
  logic [7:0]              infer_words;
  logic [31:0]             infer_low;
  logic [63:0]             number, packets, octets, unused_number;
  saline_pkg::sa_context_t sa_context;
  logic                account_valid, account_ready, reply_valid;
  ipsec_pkg::account_t account;
  logic [7:0]          reply_reason;
  ipsec_books #(
      .INBOUND   (1'b1),
      .SLOTS     (SA_SLOTS),
      .WINDOW_MAX(WINDOW_MAX)
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
      .context_o      (sa_context),
      .epoch_o        (context_epoch),
      .valid_i        (account_valid),
      .ready_o        (account_ready),
      .entry_i        (account),
      .reply_valid_o  (reply_valid),
      .reply_reason_o (reply_reason),
      .reply_number_o (unused_number),
      .infer_i        (infer),
      .infer_words_i  (infer_words),
      .infer_low_i    (infer_low),
      .number_o       (number),
      .acceptable_o   (acceptable),
      .packets_o      (packets),
      .octets_o       (octets),
      .count_valid_i,
      .count_index_i,
      .count_valid_o,
      .count_record_o,
      .event_valid_o,
      .event_o
  );

  logic                admit_busy, emit, emit_ready, drop;
  logic [15:0]         offset, bytes;
  logic [4:0]          icv_bytes;
  ipsec_pkg::job_t     job;
  ipsec_pkg::arrival_t arrival;
  ipsec_admit #(
      .WINDOW_MAX(WINDOW_MAX)
  ) u_admit (
      .clk_i,
      .rst_ni,
      .busy_o         (admit_busy),
      .parsed_valid_i (parsed_valid),
      .parsed_ready_o (parsed_ready),
      .head_i         (parsed_head),
      .headers_i      (headers),
      .find_o         (find),
      .find_spi_o     (find_spi),
      .find_headers_o (find_headers),
      .find_hit_i     (find_hit),
      .find_sa_index_i(find_sa_index),
      .context_read_o (context_read),
      .context_index_o(context_index),
      .context_i      (sa_context),
      .context_epoch_i(context_epoch),
      .infer_o        (infer),
      .infer_words_o  (infer_words),
      .infer_low_o    (infer_low),
      .number_i       (number),
      .acceptable_i   (acceptable),
      .packets_i      (packets),
      .octets_i       (octets),
      .ready_i        (emit_ready),
      .emit_o         (emit),
      .offset_o       (offset),
      .bytes_o        (bytes),
      .icv_bytes_o    (icv_bytes),
      .drop_o         (drop),
      .job_o          (job),
      .arrival_o      (arrival)
  );

  // ---- Cipher and gate
  logic       release_valid, release_ready, gate_busy, goes;
  logic       store_valid, store_ready;
  ipsec_pkg::release_t leaving;
  ipsec_pkg::beat_t    store;
  ipsec_open #(
      .LANES(LANES)
  ) u_open (
      .clk_i,
      .rst_ni,
      .busy_o         (gate_busy),
      .ready_o        (emit_ready),
      .emit_i         (emit),
      .offset_i       (offset),
      .bytes_i        (bytes),
      .icv_bytes_i    (icv_bytes),
      .drop_i         (drop),
      .job_i          (job),
      .arrival_i      (arrival),
      .in_valid_i     (frame_valid),
      .in_ready_o     (frame_ready),
      .in_beat_i      (frame),
      .account_valid_o(account_valid),
      .account_ready_i(account_ready),
      .account_o      (account),
      .reply_valid_i  (reply_valid),
      .reply_reason_i (reply_reason),
      .refused_o,
      .meta_valid_o,
      .meta_ready_i,
      .meta_o,
      .release_valid_o(release_valid),
      .release_ready_i(release_ready),
      .release_o      (leaving),
      .store_valid_o  (store_valid),
      .store_ready_i  (store_ready),
      .store_o        (store)
  );
  ipsec_release u_release (
      .clk_i,
      .rst_ni,
      .valid_i    (release_valid),
      .ready_o    (release_ready),
      .release_i  (leaving),
      .in_valid_i (store_valid),
      .in_ready_o (store_ready),
      .in_beat_i  (store),
      .out_valid_o,
      .out_ready_i,
      .out_beat_o
  );

  // Frames admitted and not yet gone.
  logic [5:0] inside_q;
  assign goes = out_valid_o && out_ready_i && out_beat_o.last;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) inside_q <= 6'd0;
    else inside_q <= inside_q + {5'd0, emit} - {5'd0, goes}
                     - {5'd0, release_valid && release_ready && !leaving.send};
  end
  assign idle_o = entry_empty && !inside_frame_q && !parse_busy && !admit_busy && !gate_busy
                  && !meta_valid_o && inside_q == 6'd0;
endmodule

`default_nettype wire
