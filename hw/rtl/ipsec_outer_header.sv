// The outer IP header of an ESP tunnel (RFC 4301 §5.1.2, RFC 6040 §4.1): IPv4 or IPv6 around IPv4
// or IPv6. Of the inner header the first 8 bytes are looked at. Combinational.
`default_nettype none

module ipsec_outer_header (
    /* verilator lint_off UNUSEDSIGNAL */
    input  saline_pkg::sa_context_t context_i,
    input  logic [63:0]             inner_i,  // byte i at [8*i +: 8]
    /* verilator lint_on UNUSEDSIGNAL */
    input  logic                    inner_ipv6_i,
    input  logic [15:0]             esp_bytes_i,  // from ESP header to ICV
    input  logic [15:0]             identification_i,
    output logic [319:0]            header_o,
    output logic [7:0]              bytes_o
);
  localparam logic [7:0] Esp = 8'd50;

  logic [7:0]   inner_class, class_;
  logic [19:0]  flow;
  logic         df;
  logic [15:0]  total;
  logic [159:0] ipv4;  // most significant byte first
  logic [319:0] ipv6;
  always_comb begin
    inner_class = inner_ipv6_i ? {inner_i[3:0], inner_i[15:12]} : inner_i[15:8];
    class_[7:2] = context_i.copy_dscp ? inner_class[7:2] : context_i.traffic_class[7:2];
    class_[1:0] = context_i.ecn_copy ? inner_class[1:0] : 2'b00;
    flow        = context_i.flow_label;
    if (context_i.copy_flow_label && inner_ipv6_i) begin
      flow = {inner_i[11:8], inner_i[23:16], inner_i[31:24]};
    end
    df = context_i.df_mode == saline_pkg::DfModeSet
         || (context_i.df_mode == saline_pkg::DfModeCopy && !inner_ipv6_i && inner_i[54]);
    total = esp_bytes_i + 16'd20;
    ipv4  = {8'h45, class_, total, identification_i, 1'b0, df, 14'd0, context_i.hop_limit, Esp,
             16'd0, context_i.source[127:96], context_i.destination[127:96]};
    ipv6  = {4'd6, class_, flow, esp_bytes_i, Esp, context_i.hop_limit, context_i.source,
             context_i.destination};
  end

  logic [319:0] swapped;
  logic [15:0]  checksum;
  always_comb begin
    swapped = '0;
    for (int i = 0; i < 40; i++) begin
      if (context_i.outer_ipv6) swapped[8*i +: 8] = ipv6[8*(39-i) +: 8];
      else if (i < 20) swapped[8*i +: 8] = ipv4[8*(19-i) +: 8];
    end
  end
  ipsec_checksum u_checksum (
      .header_i  ({320'd0, swapped[159:0]}),
      .checksum_o(checksum)
  );
  always_comb begin
    header_o = swapped;
    if (!context_i.outer_ipv6) header_o[8*10 +: 16] = checksum;
    bytes_o = context_i.outer_ipv6 ? 8'd40 : 8'd20;
  end
endmodule

`default_nettype wire
