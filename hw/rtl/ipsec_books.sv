// All there is to an SA of one direction: its context (ipsec_sa_table), its counters and lifetimes
// (ipsec_account), its numbers (ipsec_number) or window (ipsec_replay). No logic of its own.
`default_nettype none

module ipsec_books #(
    parameter bit          INBOUND    = 0,
    parameter int unsigned SLOTS      = 256,
    parameter int unsigned WINDOW_MAX = 1024
) (
    input  logic                     clk_i,
    input  logic                     rst_ni,
    // table writes
    input  logic                     write_valid_i,
    output logic                     write_ready_o,
    input  logic [7:0]               write_op_i,
    input  logic [15:0]              write_index_i,
    input  saline_pkg::sa_context_t  write_context_i,
    // contexts
    input  logic                     read_i,
    input  logic [15:0]              read_index_i,
    output saline_pkg::sa_context_t  context_o,
    output logic [15:0]              epoch_o,
    // entries
    input  logic                     valid_i,
    output logic                     ready_o,
    input  ipsec_pkg::account_t      entry_i,
    output logic                     reply_valid_o,
    output logic [7:0]               reply_reason_o,
    output logic [63:0]              reply_number_o,
    // inbound: pre-check of a number and of lifetimes, with the reads of read_i
    input  logic                     infer_i,
    input  logic [7:0]               infer_words_i,
    input  logic [31:0]              infer_low_i,
    output logic [63:0]              number_o,
    output logic                     acceptable_o,
    output logic [63:0]              packets_o,
    output logic [63:0]              octets_o,
    // counter window
    input  logic                     count_valid_i,
    input  logic [15:0]              count_index_i,
    output logic                     count_valid_o,
    output saline_pkg::sa_counters_t count_record_o,
    output logic                     event_valid_o,
    output saline_pkg::event_t       event_o
);
  logic [15:0] check_index, check_epoch, init_index;
  logic [63:0] init_number;
  logic        init_valid, init_done;
  ipsec_sa_table #(
      .SLOTS(SLOTS)
  ) u_contexts (
      .clk_i,
      .rst_ni,
      .read_i,
      .read_index_i,
      .context_o,
      .epoch_o,
      .check_index_i(check_index),
      .check_epoch_o(check_epoch),
      .init_valid_o (init_valid),
      .init_done_i  (init_done),
      .init_index_o (init_index),
      .init_number_o(init_number),
      .write_valid_i,
      .write_ready_o,
      .write_op_i,
      .write_index_i,
      .write_context_i
  );

  logic        number_read, number_esn, number_ok, number_last, number_write;
  logic        number_init, number_init_done;
  logic [15:0] number_index;
  logic [63:0] number, number_next, number_top;
  logic [7:0]  number_words;
  ipsec_account #(
      .INBOUND(INBOUND),
      .SLOTS  (SLOTS)
  ) u_account (
      .clk_i,
      .rst_ni,
      .valid_i,
      .ready_o,
      .entry_i,
      .reply_valid_o,
      .reply_reason_o,
      .reply_number_o,
      .epoch_index_o     (check_index),
      .epoch_i           (check_epoch),
      .number_read_o     (number_read),
      .number_index_o    (number_index),
      .number_o          (number),
      .number_words_o    (number_words),
      .number_esn_o      (number_esn),
      .number_ok_i       (number_ok),
      .number_last_i     (number_last),
      .number_next_i     (number_next),
      .number_top_i      (number_top),
      .number_write_o    (number_write),
      .number_init_o     (number_init),
      .number_init_done_i(number_init_done),
      .init_valid_i      (init_valid),
      .init_done_o       (init_done),
      .init_index_i      (init_index),
      .init_number_i     (init_number),
      .peek_i            (read_i),
      .peek_index_i      (read_index_i),
      .peek_packets_o    (packets_o),
      .peek_octets_o     (octets_o),
      .count_valid_i,
      .count_index_i,
      .count_valid_o,
      .count_record_o,
      .event_valid_o,
      .event_o
  );

  if (INBOUND) begin : g_replay
    ipsec_replay #(
        .SLOTS     (SLOTS),
        .WINDOW_MAX(WINDOW_MAX)
    ) u_replay (
        .clk_i,
        .rst_ni,
        .look_i        (read_i),
        .look_index_i  (read_index_i),
        .infer_i,
        .esn_i         (context_o.esn),
        .replay_words_i(infer_words_i),
        .low_i         (infer_low_i),
        .number_o,
        .acceptable_o,
        .read_i        (number_read),
        .index_i       (number_index),
        .number_i      (number),
        .words_i       (number_words),
        .ok_o          (number_ok),
        .top_o         (number_top),
        .write_i       (number_write),
        .init_i        (number_init),
        .init_done_o   (number_init_done)
    );
    assign number_next = number_top;
    assign number_last = 1'b0;
    logic unused;
    assign unused = &{1'b0, number_esn};
  end else begin : g_number
    ipsec_number #(
        .SLOTS(SLOTS)
    ) u_number (
        .clk_i,
        .read_i  (number_read),
        .esn_i   (number_esn),
        .index_i (number_index),
        .ok_o    (number_ok),
        .next_o  (number_next),
        .last_o  (number_last),
        .top_o   (number_top),
        .write_i (number_write),
        .init_i  (number_init),
        .number_i(number)
    );
    assign number_init_done = number_init;
    assign number_o         = 64'd0;
    assign acceptable_o     = 1'b1;
    logic unused;
    assign unused = &{1'b0, infer_i, infer_words_i, infer_low_i, number_words};
  end
endmodule

`default_nettype wire
