// Rewrites the IP headers at the begin of a frame for another upper protocol and length: total
// length and checksum of IPv4, payload length of IPv6, the byte that names the protocol.
// Transport mode in both directions (RFC 4303 §3.1.1). Combinational.
`default_nettype none

module ipsec_patch (
    input  logic [1023:0] data_i,  // byte i at [8*i +: 8]
    input  logic          vlan_i,
    input  logic          ipv6_i,
    input  logic [7:0]    field_i,     // frame offset of the byte that names the protocol
    input  logic [7:0]    upper_i,     // frame offset of the end of the IP headers
    input  logic [7:0]    protocol_i,
    input  logic [15:0]   ip_bytes_i,  // of the new packet, from the IP header on
    output logic [1023:0] data_o
);
  logic [879:0]  ip;  // from the IP header on, as far as the shorter window goes
  logic [479:0]  summed;
  logic [15:0]   checksum, payload;
  logic [7:0]    begin_, header;
  always_comb begin
    begin_  = vlan_i ? 8'd18 : 8'd14;
    header  = upper_i - begin_;
    payload = ip_bytes_i - 16'd40;
    ip      = vlan_i ? data_i[8*18 +: 880] : data_i[8*14 +: 880];
    if (ipv6_i) begin
      ip[8*4 +: 16] = {payload[7:0], payload[15:8]};
    end else begin
      ip[8*2 +: 16] = {ip_bytes_i[7:0], ip_bytes_i[15:8]};
      ip[8*9 +: 8]  = protocol_i;
      ip[8*10 +: 16] = 16'd0;
    end
    summed = ip[479:0] & ~({480{1'b1}} << {header, 3'b000});
  end

  ipsec_checksum u_checksum (
      .header_i  (summed),
      .checksum_o(checksum)
  );

  logic [1023:0] placed;
  always_comb begin
    placed = data_i;
    if (vlan_i) placed[8*18 +: 880] = ip;
    else placed[8*14 +: 880] = ip;
    if (ipv6_i) begin
      placed[{field_i[6:0], 3'b000} +: 8] = protocol_i;
    end else begin
      if (vlan_i) placed[8*28 +: 16] = checksum;
      else placed[8*24 +: 16] = checksum;
    end
    data_o = placed;
  end

  logic unused;
  assign unused = &{1'b0, field_i[7]};
endmodule

`default_nettype wire
