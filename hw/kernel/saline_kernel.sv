// The card as a Vitis RTL kernel: saline_card with the port names and constants that package_xo
// wants. Control is user managed: the host reads and writes registers by xrt::ip, nothing here is a
// start or done bit. Not yet run on a card; `make -C hw/kernel` needs Vivado and Vitis.
//
// s_axis_rx and m_axis_tx are meant for a CMAC kernel on the same clock. A MAC that cannot wait
// needs a frame buffer on its side: this kernel may hold s_axis_rx_tready down, and may pause
// within a frame on m_axis_tx.
`default_nettype none

module saline_kernel #(
    parameter int unsigned SA_SLOTS       = 1024,
    parameter int unsigned LOOKUP_BUCKETS = 1024,
    parameter int unsigned POLICIES       = 64,
    parameter int unsigned WINDOW_MAX     = 1024,
    parameter int unsigned LANES          = 4
) (
    input  logic          ap_clk,
    input  logic          ap_rst_n,
    input  logic          s_axi_control_awvalid,
    output logic          s_axi_control_awready,
    input  logic [11:0]   s_axi_control_awaddr,
    input  logic          s_axi_control_wvalid,
    output logic          s_axi_control_wready,
    input  logic [31:0]   s_axi_control_wdata,
    input  logic [3:0]    s_axi_control_wstrb,
    output logic          s_axi_control_bvalid,
    input  logic          s_axi_control_bready,
    output logic [1:0]    s_axi_control_bresp,
    input  logic          s_axi_control_arvalid,
    output logic          s_axi_control_arready,
    input  logic [11:0]   s_axi_control_araddr,
    output logic          s_axi_control_rvalid,
    input  logic          s_axi_control_rready,
    output logic [31:0]   s_axi_control_rdata,
    output logic [1:0]    s_axi_control_rresp,
    output logic          m_axi_host_awvalid,
    input  logic          m_axi_host_awready,
    output logic [1:0]    m_axi_host_awid,
    output logic [63:0]   m_axi_host_awaddr,
    output logic [7:0]    m_axi_host_awlen,
    output logic          m_axi_host_wvalid,
    input  logic          m_axi_host_wready,
    output logic [511:0]  m_axi_host_wdata,
    output logic [63:0]   m_axi_host_wstrb,
    output logic          m_axi_host_wlast,
    input  logic          m_axi_host_bvalid,
    output logic          m_axi_host_bready,
    input  logic [1:0]    m_axi_host_bid,
    input  logic [1:0]    m_axi_host_bresp,
    output logic          m_axi_host_arvalid,
    input  logic          m_axi_host_arready,
    output logic [1:0]    m_axi_host_arid,
    output logic [63:0]   m_axi_host_araddr,
    output logic [7:0]    m_axi_host_arlen,
    input  logic          m_axi_host_rvalid,
    output logic          m_axi_host_rready,
    input  logic [1:0]    m_axi_host_rid,
    input  logic [511:0]  m_axi_host_rdata,
    input  logic [1:0]    m_axi_host_rresp,
    input  logic          m_axi_host_rlast,
    output logic [511:0]  m_axis_tx_tdata,
    output logic [63:0]   m_axis_tx_tkeep,
    output logic          m_axis_tx_tlast,
    output logic          m_axis_tx_tvalid,
    input  logic          m_axis_tx_tready,
    input  logic [511:0]  s_axis_rx_tdata,
    input  logic [63:0]   s_axis_rx_tkeep,
    input  logic          s_axis_rx_tlast,
    input  logic [0:0]    s_axis_rx_tuser,
    input  logic          s_axis_rx_tvalid,
    output logic          s_axis_rx_tready,
    output logic [2:0]    m_axi_host_awsize,
    output logic [1:0]    m_axi_host_awburst,
    output logic [3:0]    m_axi_host_awcache,
    output logic [2:0]    m_axi_host_awprot,
    output logic [2:0]    m_axi_host_arsize,
    output logic [1:0]    m_axi_host_arburst,
    output logic [3:0]    m_axi_host_arcache,
    output logic [2:0]    m_axi_host_arprot
);
  // The platform's reset is long and has a large fan-out.
  logic rst_n_q, rst_n_qq, unused_idle;
  always_ff @(posedge ap_clk) begin
    rst_n_q  <= ap_rst_n;
    rst_n_qq <= rst_n_q;
  end

  saline_card #(
      .SA_SLOTS      (SA_SLOTS),
      .LOOKUP_BUCKETS(LOOKUP_BUCKETS),
      .POLICIES      (POLICIES),
      .WINDOW_MAX    (WINDOW_MAX),
      .LANES         (LANES)
  ) u_card (
      .clk_i               (ap_clk),
      .rst_ni              (rst_n_qq),
      .s_axil_awvalid_i    (s_axi_control_awvalid),
      .s_axil_awready_o    (s_axi_control_awready),
      .s_axil_awaddr_i     (s_axi_control_awaddr),
      .s_axil_wvalid_i     (s_axi_control_wvalid),
      .s_axil_wready_o     (s_axi_control_wready),
      .s_axil_wdata_i      (s_axi_control_wdata),
      .s_axil_wstrb_i      (s_axi_control_wstrb),
      .s_axil_bvalid_o     (s_axi_control_bvalid),
      .s_axil_bready_i     (s_axi_control_bready),
      .s_axil_bresp_o      (s_axi_control_bresp),
      .s_axil_arvalid_i    (s_axi_control_arvalid),
      .s_axil_arready_o    (s_axi_control_arready),
      .s_axil_araddr_i     (s_axi_control_araddr),
      .s_axil_rvalid_o     (s_axi_control_rvalid),
      .s_axil_rready_i     (s_axi_control_rready),
      .s_axil_rdata_o      (s_axi_control_rdata),
      .s_axil_rresp_o      (s_axi_control_rresp),
      .m_axi_awvalid_o     (m_axi_host_awvalid),
      .m_axi_awready_i     (m_axi_host_awready),
      .m_axi_awid_o        (m_axi_host_awid),
      .m_axi_awaddr_o      (m_axi_host_awaddr),
      .m_axi_awlen_o       (m_axi_host_awlen),
      .m_axi_wvalid_o      (m_axi_host_wvalid),
      .m_axi_wready_i      (m_axi_host_wready),
      .m_axi_wdata_o       (m_axi_host_wdata),
      .m_axi_wstrb_o       (m_axi_host_wstrb),
      .m_axi_wlast_o       (m_axi_host_wlast),
      .m_axi_bvalid_i      (m_axi_host_bvalid),
      .m_axi_bready_o      (m_axi_host_bready),
      .m_axi_bid_i         (m_axi_host_bid),
      .m_axi_bresp_i       (m_axi_host_bresp),
      .m_axi_arvalid_o     (m_axi_host_arvalid),
      .m_axi_arready_i     (m_axi_host_arready),
      .m_axi_arid_o        (m_axi_host_arid),
      .m_axi_araddr_o      (m_axi_host_araddr),
      .m_axi_arlen_o       (m_axi_host_arlen),
      .m_axi_rvalid_i      (m_axi_host_rvalid),
      .m_axi_rready_o      (m_axi_host_rready),
      .m_axi_rid_i         (m_axi_host_rid),
      .m_axi_rdata_i       (m_axi_host_rdata),
      .m_axi_rresp_i       (m_axi_host_rresp),
      .m_axi_rlast_i       (m_axi_host_rlast),
      .mac_tx_tdata_o      (m_axis_tx_tdata),
      .mac_tx_tkeep_o      (m_axis_tx_tkeep),
      .mac_tx_tlast_o      (m_axis_tx_tlast),
      .mac_tx_tvalid_o     (m_axis_tx_tvalid),
      .mac_tx_tready_i     (m_axis_tx_tready),
      .mac_rx_tdata_i      (s_axis_rx_tdata),
      .mac_rx_tkeep_i      (s_axis_rx_tkeep),
      .mac_rx_tlast_i      (s_axis_rx_tlast),
      .mac_rx_tuser_i      (s_axis_rx_tuser[0]),
      .mac_rx_tvalid_i     (s_axis_rx_tvalid),
      .mac_rx_tready_o     (s_axis_rx_tready),
      .idle_o              (unused_idle)
  );

  // Whole beats in ascending order; modifiable, allocated in no cache; unprivileged, secure data.
  assign m_axi_host_awsize  = 3'd6;
  assign m_axi_host_awburst = 2'b01;
  assign m_axi_host_awcache = 4'b0011;
  assign m_axi_host_awprot  = 3'b000;
  assign m_axi_host_arsize  = 3'd6;
  assign m_axi_host_arburst = 2'b01;
  assign m_axi_host_arcache = 4'b0011;
  assign m_axi_host_arprot  = 3'b000;
endmodule

`default_nettype wire
