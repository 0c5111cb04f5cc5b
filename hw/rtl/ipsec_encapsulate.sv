// ESP around one packet (RFC 4303 §3.3): where its text lies in the frame, the trailer behind it,
// the headers in front of it, the job of the suite; or why it cannot be.
//
// Tunnel mode: any IP packet, in an outer header as the SA says; the Ethernet header stays but for
// its type. Transport mode: ESP goes behind hop-by-hop and routing headers and in front of
// destination options for the end (RFC 4303 §3.1.1); a fragment is refused. Padding is 1, 2, 3, ...
// to a multiple of 4. Ethernet padding behind the IP packet goes. Combinational; number_i is needed
// for head_o and job_o alone. The IV is iv_base XOR the sequence number.
`default_nettype none

module ipsec_encapsulate (
    /* verilator lint_off UNUSEDSIGNAL */
    input  ipsec_pkg::head_t        head_i,
    input  ipsec_pkg::headers_t     headers_i,
    /* verilator lint_on UNUSEDSIGNAL */
    input  saline_pkg::sa_context_t context_i,
    input  logic [63:0]             number_i,
    output logic [7:0]              reason_o,
    output logic [15:0]             offset_o,  // of the payload in the frame
    output logic [15:0]             payload_o,
    output logic                    empty_o,   // no payload: the trailer's first byte is 1
    output logic [5:0]              trailer_bytes_o,  // without that byte
    output logic [255:0]            trailer_o,
    output logic [7:0]              head_bytes_o,
    output logic [1023:0]           head_o,
    output ipsec_pkg::job_t         job_o
);
  localparam logic [7:0] Esp = 8'd50;
  localparam logic [7:0] Ipv4 = 8'd4, Ipv6 = 8'd41;

  // ---- Sizes
  logic [7:0]  begin_, esp_at;
  logic [15:0] text, esp_bytes, frame;
  logic [1:0]  pad;
  logic [7:0]  outer_bytes, next_header;
  always_comb begin
    begin_      = headers_i.vlan ? 8'd18 : 8'd14;
    offset_o    = context_i.tunnel ? {8'd0, begin_} : {8'd0, headers_i.insert};
    payload_o   = headers_i.ip_end - offset_o;
    empty_o     = payload_o == 16'd0;
    pad         = 2'd2 - payload_o[1:0];
    text        = payload_o + {14'd0, pad} + 16'd2;
    esp_bytes   = text + 16'd32;
    esp_at      = context_i.tunnel ? begin_ + outer_bytes : headers_i.insert;
    head_bytes_o = esp_at + 8'd16;
    frame       = {8'd0, esp_at} + esp_bytes;

    next_header = headers_i.insert_protocol;
    if (context_i.tunnel) next_header = headers_i.ipv6 ? Ipv6 : Ipv4;
    trailer_o        = '0;
    trailer_bytes_o  = {4'd0, pad} + 6'd2;
    case (pad)
      2'd0:    trailer_o[15:0] = {next_header, 8'd0};
      2'd1:    trailer_o[23:0] = {next_header, 16'h01_01};
      2'd2:    trailer_o[31:0] = {next_header, 24'h02_02_01};
      default: trailer_o[39:0] = {next_header, 32'h03_03_02_01};
    endcase
    if (empty_o) begin
      trailer_o[23:0] = {next_header, 16'h02_02};
      trailer_o[31:24] = 8'd0;
      trailer_bytes_o = 6'd3;
    end

    reason_o = saline_pkg::DropReasonNone;
    if (!headers_i.ip || headers_i.broken) reason_o = saline_pkg::DropReasonMalformed;
    else if (context_i.suite != saline_pkg::SuiteAesGcm12816
             && context_i.suite != saline_pkg::SuiteAesGcm25616)
      reason_o = saline_pkg::DropReasonUnsupported;
    else if (!context_i.tunnel && headers_i.fragment) reason_o = saline_pkg::DropReasonFragment;
    else if (!context_i.tunnel && headers_i.deep) reason_o = saline_pkg::DropReasonUnsupported;
    else if (frame > 16'(saline_pkg::FrameBytesMax)) reason_o = saline_pkg::DropReasonTooBig;
  end

  // ---- Headers
  logic [319:0]  outer;
  logic [1023:0] patched, base;
  logic [63:0]   inner;
  assign inner = headers_i.vlan ? head_i.data[8*18 +: 64] : head_i.data[8*14 +: 64];
  ipsec_outer_header u_outer (
      .context_i,
      .inner_i         (inner),
      .inner_ipv6_i    (headers_i.ipv6),
      .esp_bytes_i     (esp_bytes),
      .identification_i(number_i[15:0]),
      .header_o        (outer),
      .bytes_o         (outer_bytes)
  );
  ipsec_patch u_patch (
      .data_i    (head_i.data),
      .vlan_i    (headers_i.vlan),
      .ipv6_i    (headers_i.ipv6),
      .field_i   (headers_i.insert_field),
      .upper_i   (headers_i.insert),
      .protocol_i(Esp),
      .ip_bytes_i({8'd0, headers_i.insert - begin_} + esp_bytes),
      .data_o    (patched)
  );

  logic [63:0]  iv;
  logic [127:0] esp;  // SPI, sequence number, IV
  logic [15:0]  type_;
  always_comb begin
    iv    = ipsec_pkg::flip64(context_i.iv_base ^ number_i);
    esp   = {iv, ipsec_pkg::flip32(number_i[31:0]), ipsec_pkg::flip32(context_i.spi)};
    type_ = context_i.outer_ipv6 ? 16'hDD86 : 16'h0008;
    base  = patched;
    if (context_i.tunnel) begin
      base = headers_i.vlan ? {560'd0, outer, type_, head_i.data[127:0]}
                            : {592'd0, outer, type_, head_i.data[95:0]};
    end
    head_o = (base & ~({1024{1'b1}} << {esp_at, 3'b000})) | ({896'd0, esp} << {esp_at, 3'b000});
  end

  ipsec_job u_job (
      .context_i,
      .encrypt_i(1'b1),
      .number_i,
      .iv_i     (iv),
      .bytes_i  (text),
      .job_o
  );
endmodule

`default_nettype wire
