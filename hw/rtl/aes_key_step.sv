// One registered step of the AES key expansion (FIPS 197 §5.2) in lock step with aes_round: from
// the keys of rounds ROUND-2 and ROUND-1 to those of ROUND-1 and ROUND. Keys of 128 and 256 bits
// may alternate from clock to clock. The second round key of a 256-bit key is its second half,
// which only step 1 looks at. Latency one clock; valid_i as in aes_round.
`default_nettype none

module aes_key_step #(
    parameter int unsigned ROUND = 1
) (
    input  logic         clk_i,
    input  logic         valid_i,
    input  logic         long_key_i,
    input  logic [127:0] second_half_i,
    input  logic [127:0] before_i,   // key of round ROUND - 2
    input  logic [127:0] current_i,  // key of round ROUND - 1
    output logic         long_key_o,
    output logic [127:0] before_o,
    output logic [127:0] current_o
);
  localparam logic [7:0] RconShort = aes_pkg::round_constant(ROUND);
  localparam logic [7:0] RconLong  = aes_pkg::round_constant(ROUND / 2);

  logic [7:0] sbox[0:255];
  initial begin
    for (int i = 0; i < 256; i++) sbox[i] = aes_pkg::Sbox[8*i+:8];
  end

  // RotWord and Rcon in every step of a short key, in every other one of a long key.
  function automatic logic [127:0] expand(input logic [127:0] base, input logic [31:0] turned,
                                          input logic wide_key);
    logic [31:0] s, t;
    logic [31:0] k0, k1, k2;
    s = {sbox[turned[31:24]], sbox[turned[23:16]], sbox[turned[15:8]], sbox[turned[7:0]]};
    t = s;
    if (!wide_key || ROUND % 2 == 0) begin
      t = {s[23:0], s[31:24]} ^ {wide_key ? RconLong : RconShort, 24'd0};
    end
    k0 = base[127:96] ^ t;
    k1 = base[95:64] ^ k0;
    k2 = base[63:32] ^ k1;
    expand = {k0, k1, k2, base[31:0] ^ k2};
  endfunction

  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      long_key_o <= long_key_i;
      before_o   <= current_i;
      if (ROUND == 1 && long_key_i) current_o <= second_half_i;
      else current_o <= expand(long_key_i ? before_i : current_i, current_i[31:0], long_key_i);
    end
  end
endmodule

`default_nettype wire
