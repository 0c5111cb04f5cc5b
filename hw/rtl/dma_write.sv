// Receive frames: writes each frame into the next posted buffer and then its completion record.
//
// Takes a frame's record first, then its beats; writes it to any byte address with byte strobes, in
// bursts inside a 4 KiB page. The completion is given to the ring only when every response of the
// frame's bursts has come; a bus error on the way leaves a completion with no bytes and reason Dma,
// as does a descriptor that could not be read (its buffer carries no frame then).
// A frame for which no buffer is posted, or that is longer than the next one, is dropped, the
// buffer stays. drop_o pulses with the reason; delivered_o pulses per frame delivered whole.
`default_nettype none

module dma_write (
    input  logic                       clk_i,
    input  logic                       rst_ni,
    output logic                       busy_o,
    input  logic                       posted_i,  // a descriptor is here or will come
    input  logic                       descriptor_valid_i,
    output logic                       descriptor_ready_o,
    input  saline_pkg::rx_descriptor_t descriptor_i,
    input  logic                       descriptor_error_i,
    input  logic                       meta_valid_i,
    output logic                       meta_ready_o,
    input  saline_pkg::rx_completion_t meta_i,
    input  logic                       in_valid_i,
    output logic                       in_ready_o,
    input  ipsec_pkg::beat_t           in_beat_i,
    output logic                       aw_valid_o,
    input  logic                       aw_ready_i,
    output logic [63:0]                aw_address_o,
    output logic [7:0]                 aw_len_o,
    output logic                       w_valid_o,
    input  logic                       w_ready_i,
    output logic [511:0]               w_data_o,
    output logic [63:0]                w_strobe_o,
    input  logic                       b_valid_i,
    input  logic                       b_error_i,
    output logic                       record_valid_o,
    input  logic                       record_ready_i,
    output logic [247:0]               record_o,
    output logic                       delivered_o,
    output logic [15:0]                delivered_bytes_o,
    output logic                       drop_o,
    output logic [7:0]                 drop_reason_o
);
  localparam int unsigned RecordBits = saline_pkg::RxCompletionBits;

  localparam logic [1:0] Idle = 2'd0, Write = 2'd1, Drop = 2'd2;
  logic [1:0] state_q;

  // ---- What to do with the next frame
  logic fits, place, refuse, void_buffer, pend_ready, head_ready;
  assign fits        = meta_i.bytes <= descriptor_i.bytes;
  assign void_buffer = state_q == Idle && pend_ready && descriptor_valid_i && descriptor_error_i;
  assign place       = state_q == Idle && pend_ready && descriptor_valid_i && !descriptor_error_i
                       && meta_valid_i && fits && head_ready;
  assign refuse      = state_q == Idle && meta_valid_i
                       && (descriptor_valid_i ? !descriptor_error_i && !fits : !posted_i);
  assign descriptor_ready_o = void_buffer || place;
  assign meta_ready_o       = place || refuse;

  // ---- Bursts of the frame being written
  logic [63:6] line_q;
  logic [8:0]  left_q, burst;
  logic [2:0]  bursts_q;
  logic [6:0]  to_page;
  logic        done_dma;  // a completion with a bus error goes out
  logic        ask, frame_last, beat_take, drop_last, out_valid;
  logic        first_q;
  logic [5:0]  offset_q;
  logic        b_room;
  logic [16:0] span;
  ipsec_pkg::beat_t out;

  assign span    = {1'b0, meta_i.bytes} + {11'd0, descriptor_i.address[5:0]};
  assign to_page = 7'd64 - {1'b0, line_q[11:6]};
  assign burst   = left_q < {2'd0, to_page} ? left_q : {2'd0, to_page};
  assign ask     = aw_valid_o && aw_ready_i;

  assign aw_valid_o   = left_q != 9'd0 && b_room;
  assign aw_address_o = {line_q, 6'd0};
  assign aw_len_o     = 8'(burst - 9'd1);

  assign w_valid_o  = out_valid;
  assign w_data_o   = out.data;
  assign w_strobe_o = ~({64{1'b1}} << out.bytes) & (first_q ? {64{1'b1}} << offset_q : {64{1'b1}});
  assign beat_take  = out_valid && w_ready_i;
  assign frame_last = beat_take && out.last;  // so all its bursts have been asked for
  assign drop_last  = state_q == Drop && in_ready_o && in_valid_i && in_beat_i.last;

  always_ff @(posedge clk_i) begin
    if (place) begin
      line_q   <= descriptor_i.address[63:6];
      bursts_q <= '0;
      offset_q <= descriptor_i.address[5:0];
    end else if (ask) begin
      line_q   <= line_q + {49'd0, burst};
      bursts_q <= bursts_q + 3'd1;
    end
    if (place) first_q <= 1'b1;
    else if (beat_take) first_q <= 1'b0;
    if (!rst_ni) begin
      state_q <= Idle;
      left_q  <= '0;
    end else begin
      if (place) left_q <= 9'((span + 17'd63) >> 6);
      else if (ask) left_q <= left_q - burst;
      if (place) state_q <= Write;
      else if (refuse) state_q <= Drop;
      else if (drop_last || frame_last) state_q <= Idle;
    end
  end

  // ---- Data, moved up to the buffer's byte address
  logic prepend_ready;
  assign in_ready_o = state_q == Drop ? !done_dma : prepend_ready;
  stream_prepend u_align (
      .clk_i,
      .rst_ni,
      .command_valid_i(place),
      .command_ready_o(head_ready),
      .command_head_bytes_i({2'b00, descriptor_i.address[5:0]}),
      .command_head_i(1024'd0),
      .in_valid_i(in_valid_i && state_q != Drop),
      .in_ready_o(prepend_ready),
      .in_beat_i(in_beat_i),
      .out_valid_o(out_valid),
      .out_ready_i(w_ready_i),
      .out_beat_o(out)
  );

  // ---- Completions that wait for the responses of their bursts, and those responses
  saline_pkg::rx_completion_t wait_q, done, pending;
  logic [2:0] pending_bursts, seen_q;
  logic       pending_valid, pending_take, push, error_seen_q;
  logic       answer_valid, answer_error, answer_take, unused_answer_ready;
  logic [6:0] under_way_q;
  logic [4:0] unused_pending_level;
  logic [6:0] unused_answer_level;

  assign push   = void_buffer || frame_last;
  assign b_room = under_way_q != 7'd64;
  always_ff @(posedge clk_i) begin
    if (place) wait_q <= meta_i;
    if (!rst_ni) under_way_q <= '0;
    else under_way_q <= under_way_q + {6'd0, ask} - {6'd0, answer_take};
  end
  always_comb begin
    done = wait_q;
    if (void_buffer) begin
      done        = '0;
      done.reason = saline_pkg::DropReasonDma;
    end
  end
  stream_fifo #(
      .W    (RecordBits + 3),
      .DEPTH(16)
  ) u_pending (
      .clk_i,
      .rst_ni,
      .valid_i(push),
      .ready_o(pend_ready),
      .data_i ({void_buffer ? 3'd0 : bursts_q, done}),
      .valid_o(pending_valid),
      .ready_i(pending_take),
      .data_o ({pending_bursts, pending}),
      .level_o(unused_pending_level)
  );
  stream_fifo #(
      .W    (1),
      .DEPTH(64)
  ) u_answers (
      .clk_i,
      .rst_ni,
      .valid_i(b_valid_i),
      .ready_o(unused_answer_ready),  // never more than asked for
      .data_i (b_error_i),
      .valid_o(answer_valid),
      .ready_i(answer_take),
      .data_o (answer_error),
      .level_o(unused_answer_level)
  );

  assign answer_take    = answer_valid && pending_valid && seen_q != pending_bursts;
  assign record_valid_o = pending_valid && seen_q == pending_bursts;
  assign pending_take   = record_valid_o && record_ready_i;
  always_ff @(posedge clk_i) begin
    if (!rst_ni || pending_take) begin
      seen_q       <= '0;
      error_seen_q <= 1'b0;
    end else if (answer_take) begin
      seen_q       <= seen_q + 3'd1;
      error_seen_q <= error_seen_q || answer_error;
    end
  end

  saline_pkg::rx_completion_t written;
  logic [7:0] unused_phase;
  logic       unused_reserved;
  always_comb begin
    written = pending;
    if (error_seen_q) begin
      written.bytes  = '0;
      written.reason = saline_pkg::DropReasonDma;
    end
  end
  assign {record_o, unused_phase} = written;
  assign unused_reserved = &descriptor_i.reserved0;

  assign done_dma          = pending_take && (error_seen_q || pending_bursts == 3'd0);
  assign delivered_o       = pending_take && !done_dma;
  assign delivered_bytes_o = pending.bytes;
  // A bus error's count never meets a refused frame's: that one waits a clock.
  assign drop_o        = done_dma || drop_last;
  assign drop_reason_o = done_dma ? saline_pkg::DropReasonDma : saline_pkg::DropReasonNoBuffer;
  assign busy_o        = state_q != Idle || pending_valid || meta_valid_i || left_q != 9'd0
                         || in_valid_i;
endmodule

`default_nettype wire
