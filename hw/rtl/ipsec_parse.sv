// Finds the IP headers of a frame in its first 128 bytes: Ethernet with at most one 802.1Q tag,
// IPv4 with options (RFC 791 §3.1), IPv6 with hop-by-hop, routing, destination options and fragment
// headers (RFC 8200 §4), ports of TCP, UDP, UDP-Lite, SCTP and DCCP, type and code of ICMP.
//
// One header or option per clock: about 4 clocks for IPv4, 5 for IPv6, one more for each option or
// extension header. A header chain whose upper header begins after byte 112 is `deep`, so that ESP
// header and IV of any other lie in the window. Looks through neither AH nor ESP.
`default_nettype none

module ipsec_parse (
    input  logic                clk_i,
    input  logic                rst_ni,
    output logic                busy_o,
    input  logic                in_valid_i,
    output logic                in_ready_o,
    input  ipsec_pkg::head_t    in_head_i,
    output logic                out_valid_o,
    input  logic                out_ready_i,
    output ipsec_pkg::head_t    out_head_o,
    output ipsec_pkg::headers_t out_headers_o
);
  localparam logic [2:0] Idle = 3'd0, Base = 3'd1, Option = 3'd2, Chain = 3'd3, Upper = 3'd4,
                         Done = 3'd5;
  localparam logic [7:0] HopByHop = 8'd0, Routing = 8'd43, Fragment = 8'd44,
                         DestinationOptions = 8'd60;
  localparam logic [7:0] UpperMax = 8'd112;

  logic [2:0]          state_q, state_d;
  ipsec_pkg::head_t    head_q;
  ipsec_pkg::headers_t headers_q, headers_d;
  logic [7:0]          at_q, at_d;  // header or option in work
  logic [7:0]          options_end_q;

  assign in_ready_o    = state_q == Idle;
  assign out_valid_o   = state_q == Done;
  assign out_head_o    = head_q;
  assign out_headers_o = headers_q;
  assign busy_o        = state_q != Idle;

  // ---- The base header
  logic         vlan;
  logic [15:0]  type_;
  /* verilator lint_off UNUSEDSIGNAL */
  logic [319:0] ip;  // first 40 bytes of the IP header
  /* verilator lint_on UNUSEDSIGNAL */
  logic [15:0]  begin_;
  logic [15:0]  ipv4_total, ipv6_end, ipv4_end;
  logic [5:0]   ipv4_header;
  logic         ipv4, ipv6, ipv4_good, ipv6_good;
  always_comb begin
    vlan   = head_q.data[8*12 +: 16] == 16'h0081;
    type_  = vlan ? head_q.data[8*16 +: 16] : head_q.data[8*12 +: 16];
    ip     = vlan ? head_q.data[8*18 +: 320] : head_q.data[8*14 +: 320];
    begin_ = vlan ? 16'd18 : 16'd14;
    ipv4   = type_ == 16'h0008;
    ipv6   = type_ == 16'hDD86;

    ipv4_header = {ip[3:0], 2'b00};
    ipv4_total  = {ip[8*2 +: 8], ip[8*3 +: 8]};
    ipv4_end    = begin_ + ipv4_total;
    ipv6_end    = begin_ + 16'd40 + {ip[8*4 +: 8], ip[8*5 +: 8]};
    // Sums are compared without their carry: totals are bounded first.
    ipv4_good = ip[7:4] == 4'd4 && ip[3:0] >= 4'd5 && head_q.bytes >= begin_ + 16'd20
                && ipv4_total >= {10'd0, ipv4_header} && ipv4_total <= head_q.bytes - begin_;
    ipv6_good = ip[7:4] == 4'd6 && head_q.bytes >= begin_ + 16'd40
                && {ip[8*4 +: 8], ip[8*5 +: 8]} <= head_q.bytes - begin_ - 16'd40;
  end

  // ---- The header at at_q
  logic [31:0] look;
  logic [15:0] extension_bytes;  // up to 2048
  logic [15:0] next_at, option_at;
  logic        extension, routing_bad;
  logic [7:0]  protocol;
  always_comb begin
    look            = 32'(head_q.data >> {at_q, 3'b000});
    protocol        = headers_q.protocol;
    extension       = protocol == HopByHop || protocol == Routing || protocol == Fragment
                      || protocol == DestinationOptions;
    extension_bytes = protocol == Fragment ? 16'd8 : 16'd8 + {5'd0, look[15:8], 3'b000};
    next_at         = {8'd0, at_q} + extension_bytes;
    option_at       = {8'd0, at_q} + {8'd0, look[15:8]};
    // Type 0 with segments left: RFC 5095 §3; type 2 has one form: RFC 6275 §6.4.
    routing_bad     = look[31:24] != 8'd0
                      && (look[23:16] == 8'd0
                          || (look[23:16] == 8'd2 && (look[31:24] != 8'd1 || look[15:8] != 8'd2)));
  end

  always_comb begin
    state_d   = state_q;
    headers_d = headers_q;
    at_d      = at_q;
    case (state_q)
      Idle: if (in_valid_i) state_d = Base;
      Base: begin
        headers_d                 = '0;
        headers_d.ip              = ipv4 || ipv6;
        headers_d.ipv6            = ipv6;
        headers_d.vlan            = vlan;
        headers_d.broken          = ipv4 ? !ipv4_good : !ipv6_good;
        headers_d.protocol        = ipv4 ? ip[8*9 +: 8] : ip[8*6 +: 8];
        headers_d.field           = begin_[7:0] + (ipv4 ? 8'd9 : 8'd6);
        headers_d.ip_end          = ipv4 ? ipv4_end : ipv6_end;
        headers_d.fragment        = ipv4 && {ip[8*6 +: 6], ip[8*7 +: 8]} != 14'd0;
        headers_d.source          = ipv4 ? {ipsec_pkg::flip32(ip[8*12 +: 32]), 96'd0}
                                         : ipsec_pkg::flip128(ip[8*8 +: 128]);
        headers_d.destination     = ipv4 ? {ipsec_pkg::flip32(ip[8*16 +: 32]), 96'd0}
                                         : ipsec_pkg::flip128(ip[8*24 +: 128]);
        at_d                      = begin_[7:0] + 8'd40;
        if (ipv4) at_d            = begin_[7:0] + {2'd0, ipv4_header};
        headers_d.insert          = at_d;
        headers_d.insert_field    = headers_d.field;
        headers_d.insert_protocol = headers_d.protocol;
        headers_d.upper           = at_d;
        state_d                   = Chain;
        if (ipv4) state_d         = Upper;
        if (ipv4 && ip[3:0] != 4'd5) begin
          at_d    = begin_[7:0] + 8'd20;
          state_d = Option;
        end
        if (!headers_d.ip || headers_d.broken) state_d = Done;
      end
      Option: begin  // loose and strict source route: 131 and 137
        at_d = look[7:0] == 8'd1 ? at_q + 8'd1 : option_at[7:0];
        if (at_q >= options_end_q || look[7:0] == 8'd0) begin
          at_d    = headers_q.upper;
          state_d = Upper;
        end else if (look[7:0] != 8'd1) begin
          if (at_q + 8'd2 > options_end_q || look[15:8] < 8'd2
              || option_at > {8'd0, options_end_q}) begin
            headers_d.broken = 1'b1;
            state_d          = Done;
          end else if ((look[7:0] == 8'd131 || look[7:0] == 8'd137)
                       && look[15:8] >= 8'd7 && look[23:16] <= look[15:8] - 8'd3) begin
            headers_d.routed = 1'b1;
          end
        end
      end
      Chain: begin
        headers_d.upper = at_q;
        if (!extension) begin
          state_d = Upper;
        end else if ({8'd0, at_q} + 16'd8 > headers_q.ip_end || next_at > headers_q.ip_end
                     || (protocol == Routing && routing_bad)
                     || (protocol == HopByHop
                         && headers_q.field != (headers_q.vlan ? 8'd24 : 8'd20)))
        begin
          headers_d.broken = 1'b1;
          state_d          = Done;
        end else begin
          headers_d.protocol = look[7:0];
          headers_d.field    = at_q;
          if (protocol == Routing && look[31:24] != 8'd0) headers_d.routed = 1'b1;
          if (protocol != DestinationOptions) begin
            headers_d.insert          = next_at[7:0];
            headers_d.insert_field    = at_q;
            headers_d.insert_protocol = look[7:0];
          end
          headers_d.upper = next_at[7:0];
          at_d            = next_at[7:0];
          // What follows a fragment header may be the middle of anything.
          if (protocol == Fragment) begin
            headers_d.fragment = 1'b1;
            state_d            = Upper;
          end
          if (next_at > {8'd0, UpperMax}) begin
            headers_d.deep = 1'b1;
            state_d        = Done;
          end
        end
      end
      Upper: begin
        case (protocol)
          8'd6, 8'd17, 8'd33, 8'd132, 8'd136: begin
            headers_d.ports            = {8'd0, at_q} + 16'd4 <= headers_q.ip_end;
            headers_d.source_port      = {look[7:0], look[15:8]};
            headers_d.destination_port = {look[23:16], look[31:24]};
          end
          8'd1, 8'd58: begin
            headers_d.ports            = {8'd0, at_q} + 16'd2 <= headers_q.ip_end;
            headers_d.source_port      = {8'd0, look[7:0]};
            headers_d.destination_port = {8'd0, look[15:8]};
          end
          default: ;
        endcase
        if (headers_q.fragment) headers_d.ports = 1'b0;
        state_d = Done;
      end
      default: if (out_ready_i) state_d = Idle;
    endcase
  end

  always_ff @(posedge clk_i) begin
    if (state_q == Idle && in_valid_i) head_q <= in_head_i;
    if (state_q == Base) options_end_q <= begin_[7:0] + {2'd0, ipv4_header};
    headers_q <= headers_d;
    at_q      <= at_d;
    if (!rst_ni) state_q <= Idle;
    else state_q <= state_d;
  end
endmodule

`default_nettype wire
