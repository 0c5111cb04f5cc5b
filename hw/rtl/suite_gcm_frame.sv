// Lays a packet out for suite_gcm_cipher: zero slots in front, AAD, text, length block (NIST SP
// 800-38D §7.1 step 5), LANES slots per beat; the text moves up by 1 to LANES slots. One beat per
// clock, no clock lost between packets when job and text are there in time.
//
// The text comes in words of LANES slots; a word's bytes are those of its beat. job.bytes rules:
// longer text is thrown away, text that ends early is continued with zeros. go_i 0 stops the
// beats, room_i 0 the packets (no ICV may be lost). Output is registered and must be taken.
`default_nettype none

module suite_gcm_frame #(
    parameter int unsigned LANES = 4
) (
    input  logic                 clk_i,
    input  logic                 rst_ni,
    input  logic                 job_valid_i,
    output logic                 job_ready_o,
    input  ipsec_pkg::job_t      job_i,
    input  logic                 word_valid_i,
    output logic                 word_ready_o,
    input  logic                 word_last_i,
    input  logic [128*LANES-1:0] word_i,
    input  logic                 go_i,
    input  logic                 room_i,
    output logic                 valid_o,
    output logic                 first_o,
    output logic                 last_o,
    output logic                 end_o,       // the packet's text ends in this beat
    output logic [6:0]           end_bytes_o,  // bytes of the packet's last 64-byte beat
    output logic [2:0]           shift_o,      // slots before the text, 1 to LANES
    output logic                 pass_o,
    output logic                 encrypt_o,
    output logic                 long_key_o,
    output logic [255:0]         key_o,
    output logic [95:0]          nonce_o,
    output logic [31:0]          counter_o,
    output logic [LANES-1:0]     is_text_o,
    output logic [LANES-1:0]     is_partial_o,
    output logic [15:0]          partial_o,
    output logic [128*LANES-1:0] data_o,
    output logic [128*LANES-1:0] powers_o
);
  localparam int unsigned W = 128 * LANES;
  localparam logic [13:0] Lanes = 14'(LANES);

  // The packet in work.
  logic            active_q, first_q, drain_q, ended_q;
  ipsec_pkg::job_t job_q;
  logic [2:0]      shift_q;
  logic [13:0]     beats_q, words_q;  // still to go out, still to come in
  logic [31:0]     counter_q;
  logic [W-1:0]    word_q;            // the word before

  logic take_job, step, last, wants_word, word_taken;
  logic [15:0] bytes;
  logic [13:0] slots, beats;

  always_comb begin
    bytes = job_i.bytes == 16'd0 ? 16'd1 : job_i.bytes;
    slots = {2'b00, bytes[15:4]} + {13'd0, bytes[3:0] != 4'd0};
    beats = (slots + 14'd2 + Lanes - 14'd1) / Lanes;
  end

  assign wants_word   = words_q != 14'd0 && !ended_q;
  assign step         = active_q && !drain_q && go_i && (room_i || !first_q)
                        && (!wants_word || word_valid_i);
  assign last         = beats_q == 14'd1;
  assign word_ready_o = active_q && (drain_q || (step && wants_word));
  assign word_taken   = word_valid_i && word_ready_o;
  assign take_job     = job_valid_i && job_ready_o;
  assign job_ready_o  = !active_q || (drain_q ? word_taken && word_last_i
                                      : step && last && (ended_q || (word_taken && word_last_i)));

  always_ff @(posedge clk_i) begin
    if (take_job) begin
      job_q       <= job_i;
      job_q.bytes <= bytes;
      beats_q     <= beats;
      words_q     <= (slots + Lanes - 14'd1) / Lanes;
      shift_q     <= 3'(Lanes * beats - slots - 14'd1);
      counter_q   <= 32'd2 - {18'd0, Lanes * beats - slots - 14'd1};
    end else if (step) begin
      beats_q   <= beats_q - 14'd1;
      counter_q <= counter_q + LANES;
      if (words_q != 14'd0) words_q <= words_q - 14'd1;
    end
    if (step) word_q <= word;
    if (!rst_ni) begin
      active_q <= 1'b0;
      first_q  <= 1'b0;
      drain_q  <= 1'b0;
      ended_q  <= 1'b0;
    end else begin
      if (job_ready_o) begin
        active_q <= job_valid_i;
        first_q  <= 1'b1;
        drain_q  <= 1'b0;
        ended_q  <= 1'b0;
      end else begin
        if (step) first_q <= 1'b0;
        if (step && last) drain_q <= 1'b1;
        if (word_taken && word_last_i) ended_q <= 1'b1;
      end
    end
  end

  // The beat: text of this word behind that of the word before; AAD, length block in their slots.
  logic [W-1:0]     word, moved;
  logic [LANES-1:0] is_text, is_end;
  logic [127:0]     aad, lengths, end_mask;
  logic [15:0]      partial;
  logic             ends;
  always_comb begin
    word    = wants_word ? word_i : {W{1'b0}};
    moved   = W'({word, word_q} >> (10'(W) - {shift_q, 7'd0}));
    aad     = {32'd0, job_q.aad_bytes == 4'd12 ? job_q.aad[95:64] : 32'd0, job_q.aad[63:0]};
    lengths = aes_pkg::reverse_bytes({57'd0, job_q.aad_bytes, 3'd0, 45'd0, job_q.bytes, 3'd0});

    // The text's last slot is the one before the length block: with one lane, a beat earlier.
    ends    = LANES == 1 ? beats_q == 14'd2 : last;
    is_end  = {LANES{1'b0}};
    is_text = {LANES{1'b1}};
    for (int unsigned s = 0; s < LANES; s++) begin
      if (first_q && s < {29'd0, shift_q}) is_text[s] = 1'b0;
    end
    if (last) is_text[LANES-1] = 1'b0;
    if (ends) is_end[LANES==1?0 : LANES-2] = 1'b1;
    partial  = job_q.bytes[3:0] == 4'd0 ? 16'hFFFF : ~(16'hFFFF << job_q.bytes[3:0]);
    end_mask = job_q.bytes[3:0] == 4'd0 ? {128{1'b1}}
               : ~({128{1'b1}} << {job_q.bytes[3:0], 3'b000});
  end

  for (genvar s = 0; s < LANES; s++) begin : g_slot
    logic is_aad;
    assign is_aad = first_q && shift_q == 3'(s + 1);
    always_ff @(posedge clk_i) begin
      if (step) begin
        if (is_text[s]) data_o[128*s+:128] <= is_end[s] ? moved[128*s+:128] & end_mask
                                                        : moved[128*s+:128];
        else if (is_aad) data_o[128*s+:128] <= aad;
        else if (last && s == LANES - 1) data_o[128*s+:128] <= lengths;
        else data_o[128*s+:128] <= 128'd0;
      end
    end
  end

  always_ff @(posedge clk_i) begin
    valid_o <= rst_ni && step;
    if (step) begin
      first_o      <= first_q;
      last_o       <= last;
      end_o        <= ends;
      end_bytes_o  <= job_q.bytes[5:0] == 6'd0 ? 7'd64 : {1'b0, job_q.bytes[5:0]};
      shift_o      <= shift_q;
      pass_o       <= job_q.suite == saline_pkg::SuiteNone;
      encrypt_o    <= job_q.encrypt;
      long_key_o   <= job_q.suite != saline_pkg::SuiteAesGcm12816;
      key_o        <= job_q.key;
      nonce_o      <= 96'(aes_pkg::reverse_bytes({32'd0, job_q.iv, job_q.salt}) >> 32);
      counter_o    <= counter_q;
      is_text_o    <= is_text;
      is_partial_o <= is_end;
      partial_o    <= partial;
      powers_o     <= job_q.hash_powers[W-1:0];
    end
  end
endmodule

`default_nettype wire
