// Header checksum of IPv4 (RFC 791 §3.1, RFC 1071 §2) over up to 60 bytes. The caller has set the
// checksum field and what is behind the header to zero. Byte i at [8*i +: 8], as in streams: the
// sum does not depend on the order of bytes, the result is as it stands in the header.
// Combinational.
`default_nettype none

module ipsec_checksum (
    input  logic [479:0] header_i,
    output logic [15:0]  checksum_o
);
  logic [20:0] sum;
  logic [16:0] folded;
  always_comb begin
    sum = '0;
    for (int i = 0; i < 30; i++) sum = sum + {5'd0, header_i[16*i +: 16]};
    folded     = {1'b0, sum[15:0]} + {12'd0, sum[20:16]};
    checksum_o = ~(folded[15:0] + {15'd0, folded[16]});
  end
endmodule

`default_nettype wire
