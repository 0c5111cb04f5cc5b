// Holds every inbound packet until its verdict (RFC 4303 §3.4): text is stored whole, and a byte
// leaves only when the ICV is equal and the SA's books have taken the number. There and then all
// packets, refused ones included, are counted, in the order in which they came.
//
// What leaves: the completion, then the frame. A refused packet whose SA asks for it leaves as its
// first 128 bytes as received, flagged; never a decrypted byte.
// A packet takes 3 clocks, 7 with an SA, if its text is there. STORE in beats must hold the longest
// text and one beat.
`default_nettype none

module ipsec_gate #(
    parameter int unsigned STORE = 512
) (
    input  logic                       clk_i,
    input  logic                       rst_ni,
    output logic                       busy_o,
    // records of admission, in order
    input  logic                       arrival_valid_i,
    output logic                       arrival_ready_o,
    input  ipsec_pkg::arrival_t        arrival_i,
    // of those with text: text from the suite, ICV computed, ICV received
    input  logic                       text_valid_i,
    output logic                       text_ready_o,
    input  ipsec_pkg::beat_t           text_i,
    input  logic                       icv_valid_i,
    output logic                       icv_ready_o,
    input  logic [127:0]               icv_i,
    input  logic                       tail_valid_i,
    output logic                       tail_ready_o,
    input  logic [127:0]               tail_i,
    input  logic                       tail_short_i,
    // the SA's books
    output logic                       account_valid_o,
    input  logic                       account_ready_i,
    output ipsec_pkg::account_t        account_o,
    input  logic                       reply_valid_i,
    input  logic [7:0]                 reply_reason_i,
    output logic [7:0]                 refused_o,  // one clock, else 0
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
  localparam logic [2:0] Idle = 3'd0, Judge = 3'd1, Account = 3'd2, Reply = 3'd3, Build = 3'd4,
                         Release = 3'd5;

  // ---- Store, and of each text its first beat and its last two bytes
  logic         store_ready, end_ready, end_valid, take_text, started_q;
  logic [511:0] first_q, end_first;
  logic [15:0]  last_two, end_last_two;
  logic [$clog2(STORE):0] unused_level;
  logic [4:0]   unused_end_level;
  assign text_ready_o = store_ready && end_ready;
  assign take_text    = text_valid_i && text_ready_o;
  assign last_two     = 16'(text_i.data >> {text_i.bytes - 7'd2, 3'b000});
  always_ff @(posedge clk_i) begin
    if (take_text && !started_q) first_q <= text_i.data;
    if (!rst_ni) started_q <= 1'b0;
    else if (take_text) started_q <= !text_i.last;
  end
  stream_fifo #(
      .W    (520),
      .DEPTH(STORE)
  ) u_store (
      .clk_i,
      .rst_ni,
      .valid_i(take_text),
      .ready_o(store_ready),
      .data_i (text_i),
      .valid_o(store_valid_o),
      .ready_i(store_ready_i),
      .data_o (store_o),
      .level_o(unused_level)
  );
  logic end_take;
  stream_fifo #(
      .W    (528),
      .DEPTH(16)
  ) u_ends (
      .clk_i,
      .rst_ni,
      .valid_i(take_text && text_i.last),
      .ready_o(end_ready),
      .data_i ({last_two, started_q ? first_q : text_i.data}),
      .valid_o(end_valid),
      .ready_i(end_take),
      .data_o ({end_last_two, end_first}),
      .level_o(unused_end_level)
  );

  // ---- One packet at a time
  logic [2:0]          state_q;
  ipsec_pkg::arrival_t arrival_q;
  logic [511:0]        text_q;
  logic [15:0]         last_two_q;
  logic                equal_q, take;
  logic [7:0]          reason_q, late_q;
  logic [15:0]         octets_q;

  assign take = state_q == Idle && arrival_valid_i
                && (!arrival_i.text || (end_valid && icv_valid_i && tail_valid_i));
  assign arrival_ready_o = take;
  assign end_take        = take && arrival_i.text;
  assign icv_ready_o     = end_take;
  assign tail_ready_o    = end_take;
  assign busy_o          = state_q != Idle;

  logic [7:0]    shape_reason;
  logic [15:0]   octets, frame_bytes, offset, bytes;
  logic          empty;
  logic [7:0]    head_bytes;
  logic [1023:0] head;
  ipsec_decapsulate u_decapsulate (
      .arrival_i    (arrival_q),
      .first_i      (text_q),
      .pad_i        (last_two_q[7:0]),
      .next_header_i(last_two_q[15:8]),
      .reason_o     (shape_reason),
      .octets_o     (octets),
      .frame_bytes_o(frame_bytes),
      .empty_o      (empty),
      .offset_o     (offset),
      .bytes_o      (bytes),
      .head_bytes_o (head_bytes),
      .head_o       (head)
  );

  assign account_valid_o = state_q == Account;
  always_comb begin
    account_o        = arrival_q.account;
    account_o.reason = reason_q;
    account_o.late   = late_q;
    account_o.octets = octets_q;
  end

  // ---- What leaves
  logic        flagged, whole, good;  // the head, the frame as it came, the inner packet
  logic [7:0]  cut_bytes;     // of the head of a flagged frame
  logic [6:0]  cut_last;
  logic [1023:0] stand_in;    // the head whose last byte goes alone
  logic [7:0]  stand_in_bytes;
  always_comb begin
    good      = arrival_q.candidate && reason_q == saline_pkg::DropReasonNone;
    whole     = arrival_q.text && !arrival_q.candidate;
    flagged   = reason_q != saline_pkg::DropReasonNone && arrival_q.deliver
                && reason_q != saline_pkg::DropReasonDummy;
    cut_bytes = arrival_q.head.bytes > 16'd128 ? 8'd128 : arrival_q.head.bytes[7:0];
    stand_in       = good ? head : arrival_q.head.data;
    stand_in_bytes = good ? head_bytes : cut_bytes;
    cut_last       = 7'(stand_in_bytes - 8'd1);
  end

  always_ff @(posedge clk_i) begin
    if (take) begin
      arrival_q  <= arrival_i;
      text_q     <= end_first;
      last_two_q <= end_last_two;
      equal_q    <= icv_i == tail_i && !tail_short_i;
      reason_q   <= arrival_i.account.reason;
      late_q     <= saline_pkg::DropReasonNone;
    end
    if (state_q == Judge) begin
      octets_q <= octets;
      if (arrival_q.candidate) begin
        if (!equal_q) reason_q <= saline_pkg::DropReasonIcv;
        else late_q <= shape_reason;
      end
    end
    if (state_q == Reply && reply_valid_i) reason_q <= reply_reason_i;
    if (state_q == Build) begin
      release_o             <= '0;
      release_o.consume     <= arrival_q.text;
      release_o.send        <= whole || good || flagged;
      release_o.cut         <= whole || (good && !empty);
      release_o.single      <= flagged || (good && empty);
      release_o.single_byte <= stand_in[{cut_last, 3'b000} +: 8];
      release_o.offset      <= good ? offset : 16'd0;
      release_o.bytes       <= good ? bytes : arrival_q.head.bytes;
      release_o.head        <= stand_in;
      release_o.head_bytes  <= stand_in_bytes;
      if (flagged || (good && empty)) release_o.head_bytes <= {1'b0, cut_last};
      if (whole) release_o.head_bytes <= 8'd0;

      meta_o            <= '0;
      meta_o.bytes      <= good ? frame_bytes : flagged ? {8'd0, cut_bytes} : arrival_q.head.bytes;
      meta_o.reason     <= reason_q;
      meta_o.through_sa <= arrival_q.held;
      meta_o.tunnel     <= good && arrival_q.tunnel;
      meta_o.esp        <= arrival_q.esp;
      meta_o.sa_index   <= arrival_q.held ? arrival_q.account.index : 16'd0;
      meta_o.sa_tag     <= arrival_q.held ? arrival_q.account.tag : 16'd0;
      meta_o.spi        <= arrival_q.spi;
      meta_o.sequence_number <= arrival_q.account.number;
    end
  end

  // Completion and release are offered side by side, each until it is taken.
  logic meta_done_q, release_done_q, meta_done, release_done, leave;
  assign meta_valid_o    = state_q == Release && release_o.send && !meta_done_q;
  assign release_valid_o = state_q == Release && !release_done_q;
  assign meta_done       = !release_o.send || meta_done_q || meta_ready_i;
  assign release_done    = release_done_q || release_ready_i;
  assign leave           = state_q == Release && meta_done && release_done;
  assign refused_o       = leave ? reason_q : saline_pkg::DropReasonNone;
  always_ff @(posedge clk_i) begin
    meta_done_q    <= state_q == Release && !leave && meta_done;
    release_done_q <= state_q == Release && !leave && release_done;
    if (!rst_ni) begin
      state_q <= Idle;
    end else begin
      case (state_q)
        Idle: if (take) state_q <= arrival_i.held ? Judge : Build;
        Judge: state_q <= Account;
        Account: if (account_ready_i) state_q <= Reply;
        Reply: if (reply_valid_i) state_q <= Build;
        Build: state_q <= Release;
        default: if (leave) state_q <= Idle;
      endcase
    end
  end
endmodule

`default_nettype wire
