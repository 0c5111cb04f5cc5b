// The AES-GCM core (NIST SP 800-38D §7): LANES slots of 16 bytes per clock, in order, no stall, no
// bubble; each beat may belong to another packet, key and direction.
//
// A packet is a run of slots: zero slots in front to fill the beats, the AAD, the text, the length
// block, which is always the last slot of the last beat. That slot needs no key stream, so its AES
// lane encrypts J0 there and the mask of the ICV comes just when it is wanted (NIST SP 800-38D
// §7.1 step 6). Text slots come out transformed 16 clocks later, others as zero; the ICV 22 clocks
// after the last beat. Slot s is at [128*s +: 128]; data are in stream order, key, powers and
// nonce as in the standard. Powers: H^k at [128*(k-1) +: 128].
`default_nettype none

module suite_gcm_cipher #(
    parameter int unsigned LANES = 4
) (
    input  logic                 clk_i,
    input  logic                 rst_ni,
    input  logic                 valid_i,
    input  logic                 first_i,
    input  logic                 last_i,
    input  logic                 pass_i,        // suite none: text unchanged, ICV zero
    input  logic                 encrypt_i,
    input  logic                 long_key_i,
    input  logic [255:0]         key_i,
    input  logic [95:0]          nonce_i,
    input  logic [31:0]          counter_i,     // of slot 0; the AAD slot would have 1
    input  logic [LANES-1:0]     is_text_i,     // the slot is text
    input  logic [LANES-1:0]     is_partial_i,  // of the slot only the bytes in partial_i count
    input  logic [15:0]          partial_i,     // bit i: byte i
    input  logic [128*LANES-1:0] data_i,        // bytes that do not count are zero
    input  logic [128*LANES-1:0] powers_i,
    output logic                 text_valid_o,
    output logic [128*LANES-1:0] text_o,
    output logic                 icv_valid_o,
    output logic [127:0]         icv_o
);
  localparam int unsigned CipherLatency = 15;
  localparam int unsigned HashLatency = 5;
  localparam int unsigned BesideW = 4 + 2 * LANES + 16 + 256 * LANES;

  // Counter blocks, NIST SP 800-38D §6.5.
  logic [128*LANES-1:0] counters, stream;
  always_comb begin
    for (int unsigned s = 0; s < LANES; s++) begin
      counters[128*s+:128] = {nonce_i, counter_i + s};
    end
    if (last_i) counters[128*(LANES-1)+:32] = 32'd1;
  end

  logic valid;
  aes_lanes #(
      .LANES(LANES)
  ) u_aes (
      .clk_i,
      .rst_ni,
      .valid_i,
      .long_key_i,
      .key_i,
      .blocks_i(counters),
      .valid_o (valid),
      .blocks_o(stream)
  );

  logic                 first, last, pass, encrypt;
  logic [LANES-1:0]     is_text, is_partial;
  logic [15:0]          partial;
  logic [128*LANES-1:0] data, powers;
  suite_gcm_delay #(
      .W    (BesideW),
      .DELAY(CipherLatency)
  ) u_beside (
      .clk_i,
      .rst_ni,
      .valid_i,
      .data_i({first_i, last_i, pass_i, encrypt_i, is_text_i, is_partial_i, partial_i, data_i,
               powers_i}),
      .data_o({first, last, pass, encrypt, is_text, is_partial, partial, data, powers})
  );

  logic [127:0] partial_mask;
  always_comb begin
    for (int i = 0; i < 16; i++) partial_mask[8*i+:8] = {8{partial[i]}};
  end

  // Text out, and what GHASH sees: the ciphertext, in either direction.
  logic [128*LANES-1:0] hashed_q, slot_powers_q;
  for (genvar s = 0; s < LANES; s++) begin : g_slot
    logic [127:0] mask, result;
    assign mask   = pass ? 128'd0 : aes_pkg::reverse_bytes(stream[128*s+:128]);
    assign result = data[128*s+:128] ^ (is_partial[s] ? mask & partial_mask : mask);
    always_ff @(posedge clk_i) begin
      if (valid) begin
        text_o[128*s+:128]   <= is_text[s] ? result : 128'd0;
        hashed_q[128*s+:128] <= aes_pkg::reverse_bytes(is_text[s] && encrypt ? result
                                                       : data[128*s+:128]);
        slot_powers_q[128*s+:128] <= powers[128*(LANES-1-s)+:128];
      end
    end
  end

  logic first_q;
  logic [HashLatency:0] last_q;  // along with GHASH, to its end
  always_ff @(posedge clk_i) begin
    first_q <= first;
    if (!rst_ni) begin
      text_valid_o <= 1'b0;
      last_q       <= '0;
      icv_valid_o  <= 1'b0;
    end else begin
      text_valid_o <= valid;
      last_q       <= {last_q[HashLatency-1:0], valid && last};
      icv_valid_o  <= last_q[HashLatency];
    end
  end

  logic [127:0] hash;
  ghash #(
      .LANES(LANES)
  ) u_ghash (
      .clk_i,
      .rst_ni,
      .valid_i (text_valid_o),
      .first_i (first_q),
      .blocks_i(hashed_q),
      .powers_i(slot_powers_q),
      .hash_o  (hash)
  );

  logic         masked_pass;
  logic [127:0] mask;
  suite_gcm_delay #(
      .W    (129),
      .DELAY(HashLatency + 1)
  ) u_mask (
      .clk_i,
      .rst_ni,
      .valid_i(valid && last),
      .data_i ({pass, stream[128*(LANES-1)+:128]}),
      .data_o ({masked_pass, mask})
  );

  always_ff @(posedge clk_i) begin
    if (last_q[HashLatency]) icv_o <= masked_pass ? 128'd0 : aes_pkg::reverse_bytes(hash ^ mask);
  end
endmodule

`default_nettype wire
