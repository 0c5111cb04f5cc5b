// AXI4-Lite slave front: one write and one read at a time become words on a plain bus.
//
// Write: write_valid_o for one clock with address and data; byte strobes other than all four make
// the write be ignored. Read: read_valid_o until read_ready_i, which comes with the data. Every
// access is answered OKAY. Addresses are byte addresses, bits 1:0 are ignored.
`default_nettype none

module axi_lite_slave (
    input  logic        clk_i,
    input  logic        rst_ni,
    input  logic        s_axil_awvalid_i,
    output logic        s_axil_awready_o,
    input  logic [11:0] s_axil_awaddr_i,
    input  logic        s_axil_wvalid_i,
    output logic        s_axil_wready_o,
    input  logic [31:0] s_axil_wdata_i,
    input  logic [3:0]  s_axil_wstrb_i,
    output logic        s_axil_bvalid_o,
    input  logic        s_axil_bready_i,
    output logic [1:0]  s_axil_bresp_o,
    input  logic        s_axil_arvalid_i,
    output logic        s_axil_arready_o,
    input  logic [11:0] s_axil_araddr_i,
    output logic        s_axil_rvalid_o,
    input  logic        s_axil_rready_i,
    output logic [31:0] s_axil_rdata_o,
    output logic [1:0]  s_axil_rresp_o,
    output logic        write_valid_o,
    output logic [11:0] write_address_o,
    output logic [31:0] write_data_o,
    output logic        read_valid_o,
    output logic [11:0] read_address_o,
    input  logic        read_ready_i,
    input  logic [31:0] read_data_i
);
  logic        aw_q, w_q, whole_q, b_q, ar_q, r_q;
  logic [11:2] awaddr_q, araddr_q;
  logic [31:0] wdata_q, rdata_q;
  logic        write_now, read_now, unused_bits;

  assign write_now = aw_q && w_q && !b_q;
  assign read_now  = ar_q && !r_q && read_ready_i;
  always_ff @(posedge clk_i) begin
    if (s_axil_awvalid_i && s_axil_awready_o) awaddr_q <= s_axil_awaddr_i[11:2];
    if (s_axil_wvalid_i && s_axil_wready_o) begin
      wdata_q <= s_axil_wdata_i;
      whole_q <= s_axil_wstrb_i == 4'hF;
    end
    if (s_axil_arvalid_i && s_axil_arready_o) araddr_q <= s_axil_araddr_i[11:2];
    if (read_now) rdata_q <= read_data_i;
    if (!rst_ni) begin
      aw_q <= 1'b0;
      w_q  <= 1'b0;
      b_q  <= 1'b0;
      ar_q <= 1'b0;
      r_q  <= 1'b0;
    end else begin
      if (write_now) aw_q <= 1'b0;
      else if (s_axil_awvalid_i) aw_q <= 1'b1;
      if (write_now) w_q <= 1'b0;
      else if (s_axil_wvalid_i) w_q <= 1'b1;
      if (write_now) b_q <= 1'b1;
      else if (s_axil_bready_i) b_q <= 1'b0;
      if (read_now) ar_q <= 1'b0;
      else if (s_axil_arvalid_i) ar_q <= 1'b1;
      if (read_now) r_q <= 1'b1;
      else if (s_axil_rready_i) r_q <= 1'b0;
    end
  end

  assign s_axil_awready_o = !aw_q;
  assign s_axil_wready_o  = !w_q;
  assign s_axil_bvalid_o  = b_q;
  assign s_axil_bresp_o   = 2'b00;
  assign s_axil_arready_o = !ar_q;
  assign s_axil_rvalid_o  = r_q;
  assign s_axil_rdata_o   = rdata_q;
  assign s_axil_rresp_o   = 2'b00;
  assign write_valid_o    = write_now && whole_q;
  assign write_address_o  = {awaddr_q, 2'b00};
  assign write_data_o     = wdata_q;
  assign read_valid_o     = ar_q && !r_q;
  assign read_address_o   = {araddr_q, 2'b00};
  assign unused_bits      = ^{s_axil_awaddr_i[1:0], s_axil_araddr_i[1:0]};
endmodule

`default_nettype wire
