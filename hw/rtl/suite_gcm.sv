// Suite unit for ESP AES-GCM with a 16-byte ICV (RFC 4106, NIST SP 800-38D §7), keys of 128 and
// 256 bits; suite none passes the text unchanged with an ICV of zero.
//
// Takes one job and one packet of text per ESP packet, gives the transformed text and one ICV
// record, all in order. The text may come before its job but is not taken before it. The ICV is
// the computed one in both directions; comparing it is the gate's work: on decryption the text
// leaves before its ICV is known. The length that counts is job.bytes: longer text is cut, shorter
// text is continued with zeros, and nothing hangs.
//
// Packets follow one another without a bubble, each with its own key and direction, and take
// ceil((ceil(bytes / 16) + 2) / LANES) clocks in the cipher. LANES is 4 (512 bits per clock) or 1.
// The ICV is offered at most 8 clocks after the last text beat would leave unhindered; up to 32
// ICVs wait. A user that wants the ICV before it takes the text must store the whole text itself.
`default_nettype none

module suite_gcm #(
    parameter int unsigned LANES = 4
) (
    input  logic             clk_i,
    input  logic             rst_ni,
    input  logic             job_valid_i,
    output logic             job_ready_o,
    input  ipsec_pkg::job_t  job_i,
    input  logic             text_valid_i,
    output logic             text_ready_o,
    input  ipsec_pkg::beat_t text_i,
    output logic             text_valid_o,
    input  logic             text_ready_i,
    output ipsec_pkg::beat_t text_o,
    output logic             icv_valid_o,
    input  logic             icv_ready_i,
    output logic [127:0]     icv_o
);
  localparam int unsigned W = 128 * LANES;
  localparam int unsigned Depth = 32;  // more than the clocks from frame to out and back
  localparam int unsigned A = $clog2(Depth);
  localparam int unsigned BeatW = 11 + W;

  // Beats on their way from frame to unframe, ICVs from frame to their taker: the cipher does not
  // stall, so what goes in must find room at the end.
  logic [A:0] beats_q, icvs_q;
  logic       beat_in, beat_out, icv_in, icv_out;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      beats_q <= '0;
      icvs_q  <= '0;
    end else begin
      beats_q <= beats_q + (A + 1)'(beat_in) - (A + 1)'(beat_out);
      icvs_q  <= icvs_q + (A + 1)'(icv_in) - (A + 1)'(icv_out);
    end
  end

  logic         word_valid, word_ready, word_last;
  logic [W-1:0] word;
  logic         result_valid, result_ready, result_last;
  logic [6:0]   result_bytes;
  logic [W-1:0] result;

  logic             valid, first, last, ends, pass, encrypt, long_key;
  logic [6:0]       end_bytes;
  logic [2:0]       shift;
  logic [255:0]     key;
  logic [95:0]      nonce;
  logic [31:0]      counter;
  logic [LANES-1:0] is_text, is_partial;
  logic [15:0]      partial;
  logic [W-1:0]     data, powers;
  suite_gcm_frame #(
      .LANES(LANES)
  ) u_frame (
      .clk_i,
      .rst_ni,
      .job_valid_i,
      .job_ready_o,
      .job_i,
      .word_valid_i(word_valid),
      .word_ready_o(word_ready),
      .word_last_i (word_last),
      .word_i      (word),
      // One beat may already be in the frame's output register.
      .go_i        (beats_q < (A + 1)'(Depth - 1)),
      .room_i      (icvs_q < (A + 1)'(Depth - 1)),
      .valid_o     (valid),
      .first_o     (first),
      .last_o      (last),
      .end_o       (ends),
      .end_bytes_o (end_bytes),
      .shift_o     (shift),
      .pass_o      (pass),
      .encrypt_o   (encrypt),
      .long_key_o  (long_key),
      .key_o       (key),
      .nonce_o     (nonce),
      .counter_o   (counter),
      .is_text_o   (is_text),
      .is_partial_o(is_partial),
      .partial_o   (partial),
      .data_o      (data),
      .powers_o    (powers)
  );

  logic         text_valid, icv_valid;
  logic [W-1:0] text;
  logic [127:0] icv;
  suite_gcm_cipher #(
      .LANES(LANES)
  ) u_cipher (
      .clk_i,
      .rst_ni,
      .valid_i     (valid),
      .first_i     (first),
      .last_i      (last),
      .pass_i      (pass),
      .encrypt_i   (encrypt),
      .long_key_i  (long_key),
      .key_i       (key),
      .nonce_i     (nonce),
      .counter_i   (counter),
      .is_text_i   (is_text),
      .is_partial_i(is_partial),
      .partial_i   (partial),
      .data_i      (data),
      .powers_i    (powers),
      .text_valid_o(text_valid),
      .text_o      (text),
      .icv_valid_o (icv_valid),
      .icv_o       (icv)
  );

  // How to undo the frame goes along with the cipher; a beat of the length block alone ends there.
  logic       no_text_beat, beat_ends, beat_empty;
  logic [6:0] beat_end_bytes;
  logic [2:0] beat_shift;
  assign no_text_beat = LANES == 1 && last;
  suite_gcm_delay #(
      .W    (12),
      .DELAY(16)
  ) u_beside (
      .clk_i,
      .rst_ni,
      .valid_i(valid),
      .data_i ({no_text_beat, ends, end_bytes, shift}),
      .data_o ({beat_empty, beat_ends, beat_end_bytes, beat_shift})
  );

  logic         beat_valid, beat_ready, beat_unused_ready;
  logic         out_ends;
  logic [6:0]   out_end_bytes;
  logic [2:0]   out_shift;
  logic [W-1:0] out_text;
  logic [A:0]   beats_level, icvs_level;
  stream_fifo #(
      .W    (BeatW),
      .DEPTH(Depth)
  ) u_beats (
      .clk_i,
      .rst_ni,
      .valid_i(text_valid && !beat_empty),
      .ready_o(beat_unused_ready),
      .data_i ({beat_ends, beat_end_bytes, beat_shift, text}),
      .valid_o(beat_valid),
      .ready_i(beat_ready),
      .data_o ({out_ends, out_end_bytes, out_shift, out_text}),
      .level_o(beats_level)
  );
  suite_gcm_unframe #(
      .LANES(LANES)
  ) u_unframe (
      .clk_i,
      .rst_ni,
      .valid_i    (beat_valid),
      .ready_o    (beat_ready),
      .end_i      (out_ends),
      .end_bytes_i(out_end_bytes),
      .shift_i    (out_shift),
      .data_i     (out_text),
      .valid_o    (result_valid),
      .ready_i    (result_ready),
      .last_o     (result_last),
      .end_bytes_o(result_bytes),
      .data_o     (result)
  );

  logic icv_unused_ready;
  stream_fifo #(
      .W    (128),
      .DEPTH(Depth)
  ) u_icvs (
      .clk_i,
      .rst_ni,
      .valid_i(icv_valid),
      .ready_o(icv_unused_ready),
      .data_i (icv),
      .valid_o(icv_valid_o),
      .ready_i(icv_ready_i),
      .data_o (icv_o),
      .level_o(icvs_level)
  );

  assign beat_in  = valid && !no_text_beat;
  assign beat_out = beat_valid && beat_ready;
  assign icv_in   = valid && first;
  assign icv_out  = icv_valid_o && icv_ready_i;

  // The buffers cannot be full; a word of a whole beat needs no length.
  logic unused;
  assign unused = &{beat_unused_ready, icv_unused_ready, beats_level, icvs_level, text_i.bytes};

  // Between beats of 64 bytes and words of LANES slots.
  if (LANES == 4) begin : g_whole
    assign word_valid   = text_valid_i;
    assign text_ready_o = word_ready;
    assign word_last    = text_i.last;
    assign word         = text_i.data;
    assign text_valid_o = result_valid;
    assign result_ready = text_ready_i;
    assign text_o       = {result_last, result_last ? result_bytes : 7'd64, result};
  end else begin : g_parts
    suite_gcm_narrow #(
        .LANES(LANES)
    ) u_narrow (
        .clk_i,
        .rst_ni,
        .valid_i (text_valid_i),
        .ready_o (text_ready_o),
        .beat_i  (text_i),
        .valid_o (word_valid),
        .ready_i (word_ready),
        .last_o  (word_last),
        .word_o  (word)
    );
    suite_gcm_widen #(
        .LANES(LANES)
    ) u_widen (
        .clk_i,
        .rst_ni,
        .valid_i (result_valid),
        .ready_o (result_ready),
        .last_i  (result_last),
        .bytes_i (result_bytes),
        .word_i  (result),
        .valid_o (text_valid_o),
        .ready_i (text_ready_i),
        .beat_o  (text_o)
    );
  end
endmodule

`default_nettype wire
