// The card: registers and rings on the host's buses, the engine, the MAC's streams.
//
// AXI4-Lite slave (12-bit byte addresses, docs/registers.md), AXI4 master (512 bits, 64-bit
// addresses, whole beats in ascending order inside a 4 KiB page, identifiers 0 to 3), AXI4-Stream
// to and from a MAC (frames without FCS, tuser with the last beat: damaged). One clock, synchronous
// reset. idle_o: no work is left for the clock. Instances only: the list is the way of a packet.
`default_nettype none

module saline_card #(
    parameter int unsigned SA_SLOTS       = 256,
    parameter int unsigned LOOKUP_BUCKETS = 256,
    parameter int unsigned POLICIES       = 64,
    parameter int unsigned WINDOW_MAX     = 1024,
    parameter int unsigned LANES          = 4
) (
    input  logic          clk_i,
    input  logic          rst_ni,
    input  logic          s_axil_awvalid_i,
    output logic          s_axil_awready_o,
    input  logic [11:0]   s_axil_awaddr_i,
    input  logic          s_axil_wvalid_i,
    output logic          s_axil_wready_o,
    input  logic [31:0]   s_axil_wdata_i,
    input  logic [3:0]    s_axil_wstrb_i,
    output logic          s_axil_bvalid_o,
    input  logic          s_axil_bready_i,
    output logic [1:0]    s_axil_bresp_o,
    input  logic          s_axil_arvalid_i,
    output logic          s_axil_arready_o,
    input  logic [11:0]   s_axil_araddr_i,
    output logic          s_axil_rvalid_o,
    input  logic          s_axil_rready_i,
    output logic [31:0]   s_axil_rdata_o,
    output logic [1:0]    s_axil_rresp_o,
    output logic          m_axi_awvalid_o,
    input  logic          m_axi_awready_i,
    output logic [1:0]    m_axi_awid_o,
    output logic [63:0]   m_axi_awaddr_o,
    output logic [7:0]    m_axi_awlen_o,
    output logic          m_axi_wvalid_o,
    input  logic          m_axi_wready_i,
    output logic [511:0]  m_axi_wdata_o,
    output logic [63:0]   m_axi_wstrb_o,
    output logic          m_axi_wlast_o,
    input  logic          m_axi_bvalid_i,
    output logic          m_axi_bready_o,
    input  logic [1:0]    m_axi_bid_i,
    input  logic [1:0]    m_axi_bresp_i,
    output logic          m_axi_arvalid_o,
    input  logic          m_axi_arready_i,
    output logic [1:0]    m_axi_arid_o,
    output logic [63:0]   m_axi_araddr_o,
    output logic [7:0]    m_axi_arlen_o,
    input  logic          m_axi_rvalid_i,
    output logic          m_axi_rready_o,
    input  logic [1:0]    m_axi_rid_i,
    input  logic [511:0]  m_axi_rdata_i,
    input  logic [1:0]    m_axi_rresp_i,
    input  logic          m_axi_rlast_i,
    output logic [511:0]  mac_tx_tdata_o,
    output logic [63:0]   mac_tx_tkeep_o,
    output logic          mac_tx_tlast_o,
    output logic          mac_tx_tvalid_o,
    input  logic          mac_tx_tready_i,
    input  logic [511:0]  mac_rx_tdata_i,
    input  logic [63:0]   mac_rx_tkeep_i,
    input  logic          mac_rx_tlast_i,
    input  logic          mac_rx_tuser_i,
    input  logic          mac_rx_tvalid_i,
    output logic          mac_rx_tready_o,
    output logic          idle_o
);
  // ---- Registers
  logic                on, default_discard, idle;
  ipsec_pkg::rings_t   rings;
  logic          table_valid, table_ready, count_valid, count_ready, count_answer;
  logic [7:0]    table_select, table_op, count_select;
  logic [15:0]   table_index, count_index;
  logic [2047:0] table_record;
  logic [511:0]  count_record;
  ipsec_csr #(
      .SA_SLOTS      (SA_SLOTS),
      .LOOKUP_BUCKETS(LOOKUP_BUCKETS),
      .POLICIES      (POLICIES),
      .WINDOW_MAX    (WINDOW_MAX)
  ) u_csr (
      .clk_i,
      .rst_ni,
      .s_axil_awvalid_i,
      .s_axil_awready_o,
      .s_axil_awaddr_i,
      .s_axil_wvalid_i,
      .s_axil_wready_o,
      .s_axil_wdata_i,
      .s_axil_wstrb_i,
      .s_axil_bvalid_o,
      .s_axil_bready_i,
      .s_axil_bresp_o,
      .s_axil_arvalid_i,
      .s_axil_arready_o,
      .s_axil_araddr_i,
      .s_axil_rvalid_o,
      .s_axil_rready_i,
      .s_axil_rdata_o,
      .s_axil_rresp_o,
      .idle_i           (idle),
      .on_o             (on),
      .default_discard_o(default_discard),
      .rings_o          (rings),
      .table_valid_o    (table_valid),
      .table_ready_i    (table_ready),
      .table_select_o   (table_select),
      .table_op_o       (table_op),
      .table_index_o    (table_index),
      .table_data_o     (table_record),
      .count_valid_o    (count_valid),
      .count_ready_i    (count_ready),
      .count_select_o   (count_select),
      .count_index_o    (count_index),
      .count_valid_i    (count_answer),
      .count_data_i     (count_record)
  );

  // ---- Rings
  logic                       run, active, engine_idle, at_rest;
  logic                       tx_meta_valid, tx_meta_ready, tx_valid, tx_ready;
  logic                       rx_meta_valid, rx_meta_ready, rx_valid, rx_ready;
  logic                       event_valid, event_ready;
  saline_pkg::tx_descriptor_t tx_meta;
  saline_pkg::rx_completion_t rx_meta;
  saline_pkg::event_t         card_event;
  ipsec_pkg::beat_t           tx_beat, rx_beat;
  logic                       tx_drop, rx_drop, rx_delivered, event_lost, bus_error;
  logic [7:0]                 tx_drop_reason, rx_drop_reason;
  logic [15:0]                rx_delivered_bytes;
  dma_host u_dma (
      .clk_i,
      .rst_ni,
      .on_i                (on),
      .engine_idle_i       (at_rest),
      .run_o               (run),
      .active_o            (active),
      .idle_o              (idle),
      .rings_i             (rings),
      .tx_meta_valid_o     (tx_meta_valid),
      .tx_meta_ready_i     (tx_meta_ready),
      .tx_meta_o           (tx_meta),
      .tx_valid_o          (tx_valid),
      .tx_ready_i          (tx_ready),
      .tx_beat_o           (tx_beat),
      .rx_meta_valid_i     (rx_meta_valid),
      .rx_meta_ready_o     (rx_meta_ready),
      .rx_meta_i           (rx_meta),
      .rx_valid_i          (rx_valid),
      .rx_ready_o          (rx_ready),
      .rx_beat_i           (rx_beat),
      .event_valid_i       (event_valid),
      .event_ready_o       (event_ready),
      .event_i             (card_event),
      .tx_drop_o           (tx_drop),
      .tx_drop_reason_o    (tx_drop_reason),
      .rx_drop_o           (rx_drop),
      .rx_drop_reason_o    (rx_drop_reason),
      .rx_delivered_o      (rx_delivered),
      .rx_delivered_bytes_o(rx_delivered_bytes),
      .event_lost_o        (event_lost),
      .bus_error_o         (bus_error),
      .m_axi_awvalid_o,
      .m_axi_awready_i,
      .m_axi_awid_o,
      .m_axi_awaddr_o,
      .m_axi_awlen_o,
      .m_axi_wvalid_o,
      .m_axi_wready_i,
      .m_axi_wdata_o,
      .m_axi_wstrb_o,
      .m_axi_wlast_o,
      .m_axi_bvalid_i,
      .m_axi_bready_o,
      .m_axi_bid_i,
      .m_axi_bresp_i,
      .m_axi_arvalid_o,
      .m_axi_arready_i,
      .m_axi_arid_o,
      .m_axi_araddr_o,
      .m_axi_arlen_o,
      .m_axi_rvalid_i,
      .m_axi_rready_o,
      .m_axi_rid_i,
      .m_axi_rdata_i,
      .m_axi_rresp_i,
      .m_axi_rlast_i
  );

  // ---- Engine
  logic             mac_rx_valid, mac_rx_ready, mac_rx_error, mac_rx_busy;
  ipsec_pkg::beat_t mac_rx_beat, mac_tx_beat;
  ipsec_engine #(
      .SA_SLOTS      (SA_SLOTS),
      .LOOKUP_BUCKETS(LOOKUP_BUCKETS),
      .POLICIES      (POLICIES),
      .WINDOW_MAX    (WINDOW_MAX),
      .LANES         (LANES)
  ) u_engine (
      .clk_i,
      .rst_ni,
      .enable_i                (active),
      .policy_default_discard_i(default_discard),
      .idle_o                  (engine_idle),
      .table_valid_i           (table_valid),
      .table_ready_o           (table_ready),
      .table_select_i          (table_select),
      .table_op_i              (table_op),
      .table_index_i           (table_index),
      .table_record_i          (table_record),
      .count_valid_i           (count_valid),
      .count_ready_o           (count_ready),
      .count_select_i          (count_select),
      .count_index_i           (count_index),
      .count_valid_o           (count_answer),
      .count_record_o          (count_record),
      .tx_drop_i               (tx_drop),
      .tx_drop_reason_i        (tx_drop_reason),
      .rx_drop_i               (rx_drop),
      .rx_drop_reason_i        (rx_drop_reason),
      .rx_delivered_i          (rx_delivered),
      .rx_delivered_bytes_i    (rx_delivered_bytes),
      .event_lost_i            (event_lost),
      .bus_error_i             (bus_error),
      .tx_meta_valid_i         (tx_meta_valid),
      .tx_meta_ready_o         (tx_meta_ready),
      .tx_meta_i               (tx_meta),
      .tx_valid_i              (tx_valid),
      .tx_ready_o              (tx_ready),
      .tx_beat_i               (tx_beat),
      .mac_tx_valid_o          (mac_tx_tvalid_o),
      .mac_tx_ready_i          (mac_tx_tready_i),
      .mac_tx_beat_o           (mac_tx_beat),
      .mac_rx_valid_i          (mac_rx_valid),
      .mac_rx_ready_o          (mac_rx_ready),
      .mac_rx_beat_i           (mac_rx_beat),
      .mac_rx_error_i          (mac_rx_error),
      .rx_meta_valid_o         (rx_meta_valid),
      .rx_meta_ready_i         (rx_meta_ready),
      .rx_meta_o               (rx_meta),
      .rx_valid_o              (rx_valid),
      .rx_ready_i              (rx_ready),
      .rx_beat_o               (rx_beat),
      .event_valid_o           (event_valid),
      .event_ready_i           (event_ready),
      .event_o                 (card_event)
  );

  // ---- MAC: frames that arrive while the rings are being finished are not taken in any more
  mac_rx u_mac_rx (
      .clk_i,
      .rst_ni,
      .enable_i(run),
      .busy_o  (mac_rx_busy),
      .mac_rx_tdata_i,
      .mac_rx_tkeep_i,
      .mac_rx_tlast_i,
      .mac_rx_tuser_i,
      .mac_rx_tvalid_i,
      .mac_rx_tready_o,
      .valid_o (mac_rx_valid),
      .ready_i (mac_rx_ready),
      .beat_o  (mac_rx_beat),
      .error_o (mac_rx_error)
  );
  assign mac_tx_tdata_o = mac_tx_beat.data;
  assign mac_tx_tkeep_o = ~({64{1'b1}} << mac_tx_beat.bytes);
  assign mac_tx_tlast_o = mac_tx_beat.last;

  assign at_rest = engine_idle && !mac_rx_busy && !mac_tx_tvalid_o && !table_valid;
  assign idle_o  = idle;
endmodule

`default_nettype wire
