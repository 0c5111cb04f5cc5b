// AES (FIPS 197) tables and word operations. Words and blocks are written as in the standard: the
// first byte is the most significant.
`default_nettype none

package aes_pkg;

  // SubBytes of x is Sbox[8*x +: 8]. Modules copy it into a ROM array, which simulates fastest.
  localparam logic [2047:0] Sbox = {
    128'h16bb54b0_0f2d9941_6842e6bf_0d89a18c,
    128'hdf2855ce_e9871e9b_948ed969_1198f8e1,
    128'h9e1dc186_b9573561_0ef60348_66b53e70,
    128'h8a8bbd4b_1f74dde8_c6b4a61c_2e2578ba,
    128'h08ae7a65_eaf4566c_a94ed58d_6d37c8e7,
    128'h79e49591_62acd3c2_5c240649_0a3a32e0,
    128'hdb0b5ede_14b8ee46_88902a22_dc4f8160,
    128'h73195d64_3d7ea7c4_1744975f_ec130ccd,
    128'hd2f3ff10_21dab6bc_f5389d92_8f40a351,
    128'ha89f3c50_7f02f945_85334d43_fbaaefd0,
    128'hcf584c4a_39becb6a_5bb1fc20_ed00d153,
    128'h842fe329_b3d63b52_a05a6e1b_1a2c8309,
    128'h75b227eb_e2801207_9a059618_c323c704,
    128'h1531d871_f1e5a534_ccf73f36_2693fdb7,
    128'hc072a49c_afa2d4ad_f04759fa_7dc982ca,
    128'h76abd7fe_2b670130_c56f6bf2_7b777c63
  };

  // MixColumns of one column, FIPS 197 §5.1.3: the four products by x in one word.
  function automatic logic [31:0] mix_column(input logic [31:0] s);
    logic [31:0] next, pair, high;
    next = {s[23:0], s[31:24]};
    pair = s ^ next;
    high = (pair >> 7) & 32'h01010101;
    mix_column = ((pair & 32'h7f7f7f7f) << 1) ^ high ^ (high << 1) ^ (high << 3) ^ (high << 4)
                 ^ next ^ {s[15:0], s[31:16]} ^ {s[7:0], s[31:8]};
  endfunction

  // Rcon[i], FIPS 197 §5.2; i from 1.
  function automatic logic [7:0] round_constant(input int unsigned i);
    logic [7:0] value;
    value = 8'h01;
    for (int unsigned k = 1; k < 16; k++) begin
      if (k < i) value = {value[6:0], 1'b0} ^ (value[7] ? 8'h1b : 8'h00);
    end
    round_constant = value;
  endfunction

  // Between stream order (first byte least significant) and the order of the standard.
  function automatic logic [127:0] reverse_bytes(input logic [127:0] x);
    reverse_bytes = {
      x[7:0], x[15:8], x[23:16], x[31:24], x[39:32], x[47:40], x[55:48], x[63:56],
      x[71:64], x[79:72], x[87:80], x[95:88], x[103:96], x[111:104], x[119:112], x[127:120]
    };
  endfunction

endpackage

`default_nettype wire
