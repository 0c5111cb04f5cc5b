// Pipelined multiplier in GF(2^128), elements as in gf128_pkg. One product per clock, latency three
// clocks: products of 32 bits, their sum, reduction. The stages keep their values while their
// valid is 0: valid_i[k] belongs to what is at the input of stage k.
`default_nettype none

module gf128_multiply (
    input  logic         clk_i,
    input  logic [2:0]   valid_i,
    input  logic [127:0] a_i,
    input  logic [127:0] b_i,
    output logic [127:0] product_o
);
  // Products of 64 bits are of low halves, high halves and sums of halves; each has three leaves.
  logic [191:0] a, b;
  assign a = {a_i[63:0] ^ a_i[127:64], a_i};
  assign b = {b_i[63:0] ^ b_i[127:64], b_i};

  for (genvar k = 0; k < 3; k++) begin : g_part
    logic [62:0] low_q, high_q, sums_q;
    logic [63:0] x, y;
    assign x = a[64*k+:64];
    assign y = b[64*k+:64];
    always_ff @(posedge clk_i) begin
      if (valid_i[0]) begin
        low_q  <= gf128_pkg::product32(x[31:0], y[31:0]);
        high_q <= gf128_pkg::product32(x[63:32], y[63:32]);
        sums_q <= gf128_pkg::product32(x[31:0] ^ x[63:32], y[31:0] ^ y[63:32]);
      end
    end
  end

  logic [254:0] sum_q;
  always_ff @(posedge clk_i) begin
    if (valid_i[1]) begin
      sum_q <= gf128_pkg::join128(
          gf128_pkg::join64(g_part[0].low_q, g_part[0].high_q, g_part[0].sums_q),
          gf128_pkg::join64(g_part[1].low_q, g_part[1].high_q, g_part[1].sums_q),
          gf128_pkg::join64(g_part[2].low_q, g_part[2].high_q, g_part[2].sums_q));
    end
    if (valid_i[2]) product_o <= gf128_pkg::reduce(sum_q);
  end
endmodule

`default_nettype wire
