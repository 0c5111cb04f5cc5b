// GHASH (NIST SP 800-38D §6.4) of LANES blocks per clock, messages back to back, each with its own
// subkey. A message is a run of beats, first_i with the first, padded with zero blocks in front so
// that every beat is full: block s of a beat is then always multiplied by H^(LANES - s), and the
// value so far by H^LANES in the one loop. No power is ever selected at run time.
//
// Blocks and powers are written as in the standard; block s is at [128*s +: 128], the power for it
// at the same place. Latency from beat to hash_o five clocks; hash_o is then valid for one clock.
`default_nettype none

module ghash #(
    parameter int unsigned LANES = 4
) (
    input  logic                 clk_i,
    input  logic                 rst_ni,
    input  logic                 valid_i,
    input  logic                 first_i,
    input  logic [128*LANES-1:0] blocks_i,
    input  logic [128*LANES-1:0] powers_i,
    output logic [127:0]         hash_o
);
  logic [4:1] valid_q, first_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) valid_q <= '0;
    else valid_q <= {valid_q[3:1], valid_i};
    first_q <= {first_q[3:1], first_i};
  end

  // sum[s] is the sum of the products of lanes 0 to s.
  for (genvar s = 0; s < LANES; s++) begin : g_lane
    logic [127:0] product, sum;
    gf128_multiply u_multiply (
        .clk_i,
        .valid_i  ({valid_q[2:1], valid_i}),
        .a_i      (blocks_i[128*s+:128]),
        .b_i      (powers_i[128*s+:128]),
        .product_o(product)
    );
    if (s == 0) begin : g_first
      assign sum = product;
    end else begin : g_later
      assign sum = g_lane[s-1].sum ^ product;
    end
  end

  // H^LANES goes along to meet the sum at the loop.
  logic [127:0] power1_q, power2_q, power3_q, power4_q, sum_q;
  always_ff @(posedge clk_i) begin
    if (valid_i) power1_q <= powers_i[127:0];
    if (valid_q[1]) power2_q <= power1_q;
    if (valid_q[2]) power3_q <= power2_q;
    if (valid_q[3]) begin
      power4_q <= power3_q;
      sum_q    <= g_lane[LANES-1].sum;
    end
    if (valid_q[4]) begin
      hash_o <= sum_q ^ (first_q[4] ? 128'd0 : gf128_pkg::multiply(hash_o, power4_q));
    end
  end
endmodule

`default_nettype wire
