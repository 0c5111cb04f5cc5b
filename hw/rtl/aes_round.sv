// One registered round of the AES cipher (FIPS 197 §5.1) in a pipeline that carries keys of 128 and
// 256 bits side by side: round 10 is the last of a 128-bit key, whose block then passes rounds 11
// to 14 unchanged. Latency one clock. Blocks and keys are written as in the standard. The register
// keeps its value when valid_i is 0, which saves power and simulation time.
`default_nettype none

module aes_round #(
    parameter bit LAST_SHORT = 1'b0,  // round 10
    parameter bit PAST_SHORT = 1'b0,  // rounds 11 to 14
    parameter bit LAST_LONG  = 1'b0   // round 14
) (
    input  logic         clk_i,
    input  logic         valid_i,
    input  logic         long_key_i,
    input  logic [127:0] block_i,
    input  logic [127:0] key_i,
    output logic [127:0] block_o
);
  logic [7:0] sbox[0:255];
  initial begin
    for (int i = 0; i < 256; i++) sbox[i] = aes_pkg::Sbox[8*i+:8];
  end

  function automatic logic [31:0] column(input logic [7:0] a, input logic [7:0] b,
                                         input logic [7:0] c, input logic [7:0] d,
                                         input logic wide_key);
    logic [31:0] s;
    s = {sbox[a], sbox[b], sbox[c], sbox[d]};
    if (LAST_LONG || (LAST_SHORT && !wide_key)) column = s;
    else column = aes_pkg::mix_column(s);
  endfunction

  // ShiftRows: column j takes row r from column j + r.
  function automatic logic [127:0] round(input logic [127:0] x, input logic [127:0] round_key,
                                         input logic wide_key);
    round = round_key ^ {
      column(x[127:120], x[87:80], x[47:40], x[7:0], wide_key),
      column(x[95:88], x[55:48], x[15:8], x[103:96], wide_key),
      column(x[63:56], x[23:16], x[111:104], x[71:64], wide_key),
      column(x[31:24], x[119:112], x[79:72], x[39:32], wide_key)
    };
  endfunction

  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      block_o <= (PAST_SHORT && !long_key_i) ? block_i : round(block_i, key_i, long_key_i);
    end
  end
endmodule

`default_nettype wire
