// Anti-replay windows of the inbound SAs (RFC 4303 §3.4.3, App. A).
//
// A window is a ring of words of 32 numbers each. A word is stored with the number of the block it
// holds; a word that holds another block counts as empty, so that moving the window writes nothing
// and any jump is one read and one write. The ring is twice the largest window, hence the word
// being filled is never one the window still needs. Of the block number 40 bits are kept: a slot
// of the ring untouched for exactly 2^45 numbers could refuse a number wrongly, never accept one.
// Numbers up to the one the SA was installed with count as seen (floor).
//
// Two users. The pre-check (three clocks: index; number's low half and window with the context;
// answer) infers the high half of an ESN and says whether the number could be new; it decides
// nothing. The commit (read_i; one clock later ok_o; write_i) decides, with the ICV known good, one
// packet at a time. replay_words 0: any number is accepted, the right edge still follows.
`default_nettype none

module ipsec_replay #(
    parameter int unsigned SLOTS      = 256,
    parameter int unsigned WINDOW_MAX = 1024
) (
    input  logic        clk_i,
    input  logic        rst_ni,
    // pre-check
    input  logic        look_i,
    input  logic [15:0] look_index_i,
    input  logic        infer_i,  // one clock after look_i
    input  logic        esn_i,
    input  logic [7:0]  replay_words_i,
    input  logic [31:0] low_i,
    output logic [63:0] number_o,  // one clock after infer_i
    output logic        acceptable_o,
    // commit
    input  logic        read_i,
    input  logic [15:0] index_i,
    input  logic [63:0] number_i,  // these two stay from read_i to write_i
    input  logic [7:0]  words_i,
    output logic        ok_o,
    output logic [63:0] top_o,
    input  logic        write_i,
    // a new SA at index_i with right edge number_i
    input  logic        init_i,
    output logic        init_done_o  // one clock; init_i stays until then
);
  localparam int unsigned A = $clog2(SLOTS);
  localparam int unsigned R = $clog2(2 * WINDOW_MAX / 32);  // log2 of words in a ring

  logic [127:0] edges[0:SLOTS-1];  // floor, top
  logic [71:0]  words[0:(SLOTS << R)-1];  // block number, bits

  // ---- Pre-check
  logic [15:0]  slot_q;
  logic [63:0]  look_floor_q, look_top_q, number_q, inferred;
  logic [7:0]   look_words_q;
  logic [71:0]  look_word_q;
  logic [31:0]  window, bottom, epoch;
  logic         in_case_a;
  always_comb begin  // RFC 4303 App. A2.2
    window    = replay_words_i == 8'd0 ? 32'h8000_0000 : {19'd0, replay_words_i, 5'd0};
    bottom    = look_top_q[31:0] - window + 32'd1;
    in_case_a = look_top_q[31:0] >= window - 32'd1;
    epoch     = look_top_q[63:32];
    if (in_case_a && low_i < bottom) epoch = look_top_q[63:32] + 32'd1;
    if (!in_case_a && low_i >= bottom) epoch = look_top_q[63:32] - 32'd1;
    inferred = {epoch, low_i};
    // A number before the first epoch is 0, which no window accepts.
    if (!in_case_a && low_i >= bottom && look_top_q[63:32] == 32'd0) inferred = 64'd0;
    if (!esn_i) inferred = {32'd0, low_i};
  end

  always_ff @(posedge clk_i) begin
    if (look_i) begin
      {look_floor_q, look_top_q} <= edges[look_index_i[A-1:0]];
      slot_q                     <= look_index_i;
    end
    if (infer_i) begin
      number_q     <= inferred;
      look_words_q <= replay_words_i;
      look_word_q  <= words[{slot_q[A-1:0], inferred[5 +: R]}];
    end
  end

  logic look_ok;
  ipsec_replay_check u_look (
      .words_i (look_words_q),
      .number_i(number_q),
      .top_i   (look_top_q),
      .floor_i (look_floor_q),
      .word_i  (look_word_q),
      .ok_o    (look_ok)
  );
  assign number_o     = number_q;
  assign acceptable_o = look_ok;

  // ---- Commit
  logic [63:0] floor_q, top_q;
  logic [71:0] word_q, word;
  logic [R:0]  clear_q;
  logic [A-1:0] slot;
  assign slot = index_i[A-1:0];
  ipsec_replay_check u_commit (
      .words_i(words_i),
      .number_i,
      .top_i  (top_q),
      .floor_i(floor_q),
      .word_i (word_q),
      .ok_o   (ok_o)
  );
  always_comb begin
    word[71:32] = number_i[44:5];
    word[31:0]  = (word_q[71:32] == number_i[44:5] ? word_q[31:0] : 32'd0)
                  | (32'd1 << number_i[4:0]);
  end
  assign top_o       = top_q;
  assign init_done_o = init_i && clear_q[R];

  always_ff @(posedge clk_i) begin
    if (read_i) begin
      {floor_q, top_q} <= edges[slot];
      word_q           <= words[{slot, number_i[5 +: R]}];
    end
    if (init_i) edges[slot] <= {number_i, number_i};
    else if (write_i && number_i > top_q) edges[slot] <= {floor_q, number_i};
    if (init_i) words[{slot, clear_q[R-1:0]}] <= 72'd0;
    else if (write_i) words[{slot, number_i[5 +: R]}] <= word;
    if (!rst_ni || !init_i || init_done_o) clear_q <= '0;
    else clear_q <= clear_q + 1'b1;
  end

  logic unused;
  assign unused = &{1'b0, index_i[15:A], slot_q[15:A]};
endmodule

`default_nettype wire
