// What a suite must know of one ESP packet (RFC 4106 §3 to §5): keys from the SA's context, nonce
// from salt and IV, additional data from SPI and sequence number. Combinational.
`default_nettype none

module ipsec_job (
    /* verilator lint_off UNUSEDSIGNAL */
    input  saline_pkg::sa_context_t context_i,
    /* verilator lint_on UNUSEDSIGNAL */
    input  logic                    encrypt_i,
    input  logic [63:0]             number_i,
    input  logic [63:0]             iv_i,  // byte i at [8*i +: 8]
    input  logic [15:0]             bytes_i,
    output ipsec_pkg::job_t         job_o
);
  always_comb begin
    job_o.suite       = context_i.suite;
    job_o.encrypt     = encrypt_i;
    job_o.key         = context_i.key;
    job_o.hash_powers = context_i.hash_powers;
    job_o.salt        = ipsec_pkg::flip32(context_i.salt);
    job_o.iv          = iv_i;
    job_o.aad_bytes   = context_i.esn ? 4'd12 : 4'd8;
    job_o.aad         = {32'd0, ipsec_pkg::flip32(number_i[31:0]),
                         ipsec_pkg::flip32(context_i.spi)};
    if (context_i.esn) begin
      job_o.aad = {ipsec_pkg::flip64(number_i), ipsec_pkg::flip32(context_i.spi)};
    end
    job_o.bytes       = bytes_i;
  end
endmodule

`default_nettype wire
