// What is under a verified ESP packet (RFC 4303 §3.4.4.1 step 3 on, RFC 4301 §5.2): padding and
// next header, inner header, congestion marks (RFC 6040 §4.2), TFC padding; and the frame to
// deliver, as a head and a slice of the text. Or why it is refused.
//
// Tunnel mode: the received Ethernet header with the type of the inner packet, behind it the inner
// packet, cut to its own length. Transport mode: the received headers without ESP. Padding bytes
// are not looked at beyond their number. Combinational, from records that stay while it is used.
`default_nettype none

module ipsec_decapsulate (
    /* verilator lint_off UNUSEDSIGNAL */
    input  ipsec_pkg::arrival_t arrival_i,
    input  logic [511:0]        first_i,  // first beat of the text
    /* verilator lint_on UNUSEDSIGNAL */
    input  logic [7:0]          pad_i,
    input  logic [7:0]          next_header_i,
    output logic [7:0]          reason_o,
    output logic [15:0]         octets_o,  // payload without padding
    output logic [15:0]         frame_bytes_o,
    output logic                empty_o,   // no payload: the frame is the head alone
    output logic [15:0]         offset_o,  // of the slice of the text behind the head
    output logic [15:0]         bytes_o,
    output logic [7:0]          head_bytes_o,
    output logic [1023:0]       head_o
);
  localparam logic [7:0] Ipv4 = 8'd4, Ipv6 = 8'd41, NoNextHeader = 8'd59;

  logic [15:0] used, payload;
  logic [7:0]  begin_;
  always_comb begin
    begin_  = arrival_i.headers.vlan ? 8'd18 : 8'd14;
    used    = {8'd0, pad_i} + 16'd2;
    payload = arrival_i.text_bytes - used;
  end

  // ---- Inner header
  logic        ipv6, inner_good, ecn_bad;
  logic [15:0] inner_bytes;
  logic [1:0]  inner_ecn, outer_ecn, ecn;
  always_comb begin
    ipv6        = next_header_i == Ipv6;
    inner_bytes = ipv6 ? {first_i[8*4 +: 8], first_i[8*5 +: 8]} + 16'd40
                       : {first_i[8*2 +: 8], first_i[8*3 +: 8]};
    inner_good  = ipv6 ? first_i[7:4] == 4'd6 && payload >= 16'd40
                         && {first_i[8*4 +: 8], first_i[8*5 +: 8]} <= payload - 16'd40
                       : first_i[7:4] == 4'd4 && payload >= 16'd20 && first_i[3:0] >= 4'd5
                         && inner_bytes >= {10'd0, first_i[3:0], 2'b00} && inner_bytes <= payload;

    outer_ecn   = arrival_i.headers.vlan ? arrival_i.head.data[8*19 +: 2]
                                         : arrival_i.head.data[8*15 +: 2];
    if (arrival_i.headers.ipv6) begin
      outer_ecn = arrival_i.headers.vlan ? arrival_i.head.data[8*19 + 4 +: 2]
                                         : arrival_i.head.data[8*15 + 4 +: 2];
    end
    inner_ecn   = ipv6 ? first_i[13:12] : first_i[9:8];
    ecn         = inner_ecn;
    ecn_bad     = 1'b0;
    if (arrival_i.ecn_copy) begin
      if (outer_ecn == 2'b11) begin
        ecn     = 2'b11;
        ecn_bad = inner_ecn == 2'b00;
      end else if (outer_ecn == 2'b01 && inner_ecn == 2'b10) begin
        ecn = 2'b01;
      end
    end
  end

  always_comb begin
    octets_o = arrival_i.tunnel ? inner_bytes : payload;
    reason_o = saline_pkg::DropReasonNone;
    if (used > arrival_i.text_bytes) reason_o = saline_pkg::DropReasonMalformed;
    else if (next_header_i == NoNextHeader) reason_o = saline_pkg::DropReasonDummy;
    else if ((next_header_i == Ipv4 || ipv6) != arrival_i.tunnel)
      reason_o = saline_pkg::DropReasonPolicy;
    else if (arrival_i.tunnel && !inner_good) reason_o = saline_pkg::DropReasonMalformed;
    else if (arrival_i.tunnel && ecn_bad) reason_o = saline_pkg::DropReasonEcn;
  end

  // ---- Tunnel: Ethernet header and the part of the inner header that may change
  logic [479:0]  inner, summed;
  logic [15:0]   checksum, type_;
  logic [223:0]  front;  // 12 or 4 bytes of inner header are used
  logic [1023:0] tunnel_head;
  always_comb begin
    inner = first_i[479:0];
    if (ipv6) inner[13:12] = ecn;
    else inner[9:8] = ecn;
    summed = inner & ~({480{1'b1}} << {first_i[3:0], 5'b00000});
    summed[8*10 +: 16] = 16'd0;
    type_ = ipv6 ? 16'hDD86 : 16'h0008;
  end
  ipsec_checksum u_checksum (
      .header_i  (summed),
      .checksum_o(checksum)
  );
  always_comb begin
    front = {128'd0, inner[95:0]};
    if (ipv6) front = {192'd0, inner[31:0]};
    else if (ecn != inner_ecn) front[8*10 +: 16] = checksum;
    tunnel_head = arrival_i.headers.vlan
                  ? {656'd0, front, type_, arrival_i.head.data[127:0]}
                  : {688'd0, front, type_, arrival_i.head.data[95:0]};
  end

  // ---- Transport: the headers as they came, without ESP
  logic [1023:0] patched;
  ipsec_patch u_patch (
      .data_i    (arrival_i.head.data),
      .vlan_i    (arrival_i.headers.vlan),
      .ipv6_i    (arrival_i.headers.ipv6),
      .field_i   (arrival_i.headers.field),
      .upper_i   (arrival_i.headers.upper),
      .protocol_i(next_header_i),
      .ip_bytes_i({8'd0, arrival_i.headers.upper - begin_} + payload),
      .data_o    (patched)
  );

  always_comb begin
    if (arrival_i.tunnel) begin
      offset_o      = ipv6 ? 16'd4 : 16'd12;
      bytes_o       = inner_bytes - offset_o;
      head_bytes_o  = begin_ + offset_o[7:0];
      head_o        = tunnel_head;
      frame_bytes_o = {8'd0, begin_} + inner_bytes;
      empty_o       = 1'b0;
    end else begin
      offset_o      = 16'd0;
      bytes_o       = payload;
      head_bytes_o  = arrival_i.headers.upper;
      head_o        = patched;
      frame_bytes_o = {8'd0, arrival_i.headers.upper} + payload;
      empty_o       = payload == 16'd0;
    end
  end
endmodule

`default_nettype wire
