// GF(2^128) of GHASH (NIST SP 800-38D §6.3). Elements are written as in the standard: bit 127 is
// the coefficient of x^0. A carry-less product of two such words is the product of the polynomials
// in the same mirrored order, bit 254 for x^0, so nothing is ever reversed.
//
// The functions work on whole words: they map to the same LUTs as bit-level trees and simulate an
// order of magnitude faster.
`default_nettype none

package gf128_pkg;

  function automatic logic [62:0] product32(input logic [31:0] a, input logic [31:0] b);
    logic [62:0] sum;
    sum = 63'd0;
    for (int i = 0; i < 32; i++) sum = sum ^ ({63{a[i]}} & ({31'd0, b} << i));
    product32 = sum;
  endfunction

  // Karatsuba: the product from those of the low halves, the high halves and the sums of halves.
  function automatic logic [126:0] join64(input logic [62:0] low, input logic [62:0] high,
                                          input logic [62:0] sums);
    join64 = {high, 1'b0, low} ^ {32'd0, sums ^ low ^ high, 32'd0};
  endfunction

  function automatic logic [254:0] join128(input logic [126:0] low, input logic [126:0] high,
                                           input logic [126:0] sums);
    join128 = {high, 1'b0, low} ^ {64'd0, sums ^ low ^ high, 64'd0};
  endfunction

  function automatic logic [126:0] product64(input logic [63:0] a, input logic [63:0] b);
    product64 = join64(product32(a[31:0], b[31:0]), product32(a[63:32], b[63:32]),
                       product32(a[31:0] ^ a[63:32], b[31:0] ^ b[63:32]));
  endfunction

  // Reduces modulo x^128 + x^7 + x^2 + x + 1. The coefficients of x^128 and up are folded in four
  // shifts; what these push beyond x^127 is folded once more.
  function automatic logic [127:0] reduce(input logic [254:0] product);
    logic [127:0] high, over;
    high   = {product[126:0], 1'b0};
    over   = {high[6:0] ^ {high[1:0], 5'd0} ^ {high[0], 6'd0}, 121'd0};
    high   = high ^ (high >> 1) ^ (high >> 2) ^ (high >> 7);
    reduce = product[254:127] ^ high ^ over ^ (over >> 1) ^ (over >> 2) ^ (over >> 7);
  endfunction

  function automatic logic [127:0] multiply(input logic [127:0] a, input logic [127:0] b);
    multiply = reduce(join128(product64(a[63:0], b[63:0]), product64(a[127:64], b[127:64]),
                              product64(a[63:0] ^ a[127:64], b[63:0] ^ b[127:64])));
  endfunction

endpackage

`default_nettype wire
