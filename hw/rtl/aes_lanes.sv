// AES encryption (FIPS 197) of LANES blocks per clock under one key, a new key of 128 or 256 bits
// in every clock. The round keys are expanded on the fly in one pipeline beside the lanes. Latency
// 15 clocks for either key size; no stall, valid travels along. Block s is at [128*s +: 128];
// blocks and key are written as in the standard, a 128-bit key in the upper half of key_i.
`default_nettype none

module aes_lanes #(
    parameter int unsigned LANES = 4
) (
    input  logic                 clk_i,
    input  logic                 rst_ni,
    input  logic                 valid_i,
    input  logic                 long_key_i,
    input  logic [255:0]         key_i,
    input  logic [128*LANES-1:0] blocks_i,
    output logic                 valid_o,
    output logic [128*LANES-1:0] blocks_o
);
  // Bit r: what is at the input of round r is valid.
  logic [15:1] valid_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) valid_q <= '0;
    else valid_q <= {valid_q[14:1], valid_i};
  end

  for (genvar r = 1; r <= 14; r++) begin : g_key
    logic         long_key;
    logic [127:0] older, current;  // current is the key of round r - 1 ...
    logic         long_key_next;
    logic [127:0] key;  // ... and key, one clock later, that of round r
    // The last step has no successor.
    // verilator lint_off UNUSEDSIGNAL
    logic [127:0] older_next;
    // verilator lint_on UNUSEDSIGNAL
    if (r == 1) begin : g_first
      assign long_key = long_key_i;
      assign older    = 128'd0;
      assign current  = key_i[255:128];
    end else begin : g_later
      assign long_key = g_key[r-1].long_key_next;
      assign older    = g_key[r-1].older_next;
      assign current  = g_key[r-1].key;
    end
    logic valid;
    if (r == 1) begin : g_valid
      assign valid = valid_i;
    end else begin : g_valid
      assign valid = valid_q[r-1];
    end
    aes_key_step #(
        .ROUND(r)
    ) u_step (
        .clk_i,
        .valid_i      (valid),
        .long_key_i   (long_key),
        .second_half_i(key_i[127:0]),
        .before_i     (older),
        .current_i    (current),
        .long_key_o   (long_key_next),
        .before_o     (older_next),
        .current_o    (key)
    );
  end

  for (genvar lane = 0; lane < LANES; lane++) begin : g_lane
    logic [127:0] whitened_q;
    always_ff @(posedge clk_i) begin
      if (valid_i) whitened_q <= blocks_i[128*lane+:128] ^ key_i[255:128];
    end
    for (genvar r = 1; r <= 14; r++) begin : g_round
      logic [127:0] block, after;
      if (r == 1) begin : g_first
        assign block = whitened_q;
      end else begin : g_later
        assign block = g_round[r-1].after;
      end
      aes_round #(
          .LAST_SHORT(r == 10),
          .PAST_SHORT(r > 10),
          .LAST_LONG (r == 14)
      ) u_round (
          .clk_i,
          .valid_i   (valid_q[r]),
          .long_key_i(g_key[r].long_key_next),
          .block_i   (block),
          .key_i     (g_key[r].key),
          .block_o   (after)
      );
    end
    assign blocks_o[128*lane+:128] = g_round[14].after;
  end

  assign valid_o = valid_q[15];
endmodule

`default_nettype wire
