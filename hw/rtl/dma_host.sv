// The host side of the card: descriptor, completion and event rings over one AXI4 master.
//
// Room for every read burst is reserved before it is asked for and every response is taken, so the
// bus is never held up by the engine.
//
// on_i starts and stops the rings. Off to on: all indices begin at 0. On to off: nothing more is
// fetched, what is in flight is finished, then the rings are reset; on_i is looked at again only
// after that. run_o: the rings run; active_o: they run or are being finished. idle_o: nothing is
// in flight and nothing posted waits to be sent.
`default_nettype none

module dma_host (
    input  logic                       clk_i,
    input  logic                       rst_ni,
    input  logic                       on_i,
    input  logic                       engine_idle_i,
    output logic                       run_o,
    output logic                       active_o,
    output logic                       idle_o,
    input  ipsec_pkg::rings_t          rings_i,
    // frames to the engine
    output logic                       tx_meta_valid_o,
    input  logic                       tx_meta_ready_i,
    output saline_pkg::tx_descriptor_t tx_meta_o,
    output logic                       tx_valid_o,
    input  logic                       tx_ready_i,
    output ipsec_pkg::beat_t           tx_beat_o,
    // frames and events from the engine; phase is filled in here
    input  logic                       rx_meta_valid_i,
    output logic                       rx_meta_ready_o,
    input  saline_pkg::rx_completion_t rx_meta_i,
    input  logic                       rx_valid_i,
    output logic                       rx_ready_o,
    input  ipsec_pkg::beat_t           rx_beat_i,
    input  logic                       event_valid_i,
    output logic                       event_ready_o,
    input  saline_pkg::event_t         event_i,
    // for the counters: one clock each
    output logic                       tx_drop_o,
    output logic [7:0]                 tx_drop_reason_o,
    output logic                       rx_drop_o,
    output logic [7:0]                 rx_drop_reason_o,
    output logic                       rx_delivered_o,
    output logic [15:0]                rx_delivered_bytes_o,
    output logic                       event_lost_o,
    output logic                       bus_error_o,  // a head, completion or event was not written
    // AXI4
    output logic                       m_axi_awvalid_o,
    input  logic                       m_axi_awready_i,
    output logic [1:0]                 m_axi_awid_o,
    output logic [63:0]                m_axi_awaddr_o,
    output logic [7:0]                 m_axi_awlen_o,
    output logic                       m_axi_wvalid_o,
    input  logic                       m_axi_wready_i,
    output logic [511:0]               m_axi_wdata_o,
    output logic [63:0]                m_axi_wstrb_o,
    output logic                       m_axi_wlast_o,
    input  logic                       m_axi_bvalid_i,
    output logic                       m_axi_bready_o,
    input  logic [1:0]                 m_axi_bid_i,
    input  logic [1:0]                 m_axi_bresp_i,
    output logic                       m_axi_arvalid_o,
    input  logic                       m_axi_arready_i,
    output logic [1:0]                 m_axi_arid_o,
    output logic [63:0]                m_axi_araddr_o,
    output logic [7:0]                 m_axi_arlen_o,
    input  logic                       m_axi_rvalid_i,
    output logic                       m_axi_rready_o,
    input  logic [1:0]                 m_axi_rid_i,
    input  logic [511:0]               m_axi_rdata_i,
    input  logic [1:0]                 m_axi_rresp_i,
    input  logic                       m_axi_rlast_i
);
  // ---- On and off
  localparam logic [1:0] Off = 2'd0, On = 2'd1, Drain = 2'd2;
  logic [1:0] state_q;
  logic       ring_rst_n_q, at_rest, tx_posted;
  assign run_o    = state_q == On && on_i;  // the driver's counts are cleared together with on_i
  assign active_o = state_q != Off;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q      <= Off;
      ring_rst_n_q <= 1'b0;
    end else begin
      ring_rst_n_q <= state_q != Off;
      if (state_q == Off && on_i) state_q <= On;
      else if (state_q == On && !on_i) state_q <= Drain;
      else if (state_q == Drain && at_rest) state_q <= Off;
    end
  end

  // ---- Bus: readers 0 tx descriptors, 1 tx frames, 2 rx descriptors
  logic [2:0]   ar_valid, ar_ready, r_valid;
  logic [191:0] ar_address;
  logic [23:0]  ar_len;
  logic [511:0] r_data;
  logic         r_last, r_error;
  dma_read_mux #(
      .COUNT(3)
  ) u_read_mux (
      .clk_i,
      .rst_ni,
      .ar_valid_i  (ar_valid),
      .ar_ready_o  (ar_ready),
      .ar_address_i(ar_address),
      .ar_len_i    (ar_len),
      .r_valid_o   (r_valid),
      .r_data_o    (r_data),
      .r_last_o    (r_last),
      .r_error_o   (r_error),
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

  // Writers 0 rx frames, 1 rx completions, 2 tx head, 3 events
  logic [3:0]    aw_valid, aw_ready, w_valid, w_ready, b_valid;
  logic [255:0]  aw_address;
  logic [31:0]   aw_len;
  logic [2047:0] w_data;
  logic [255:0]  w_strobe;
  logic          b_error;
  assign aw_len[31:16] = '0;
  dma_write_mux #(
      .COUNT(4)
  ) u_write_mux (
      .clk_i,
      .rst_ni,
      .aw_valid_i  (aw_valid),
      .aw_ready_o  (aw_ready),
      .aw_address_i(aw_address),
      .aw_len_i    (aw_len),
      .w_valid_i   (w_valid),
      .w_ready_o   (w_ready),
      .w_data_i    (w_data),
      .w_strobe_i  (w_strobe),
      .b_valid_o   (b_valid),
      .b_error_o   (b_error),
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
      .m_axi_bresp_i
  );

  // ---- Rings
  logic tx_busy, head_error, rx_busy, record_error;
  dma_tx u_tx (
      .clk_i,
      .rst_ni       (ring_rst_n_q),
      .run_i        (run_o),
      .posted_o     (tx_posted),
      .busy_o       (tx_busy),
      .base_i       (rings_i.tx_base),
      .size_log2_i  (rings_i.tx_size_log2),
      .tail_i       (rings_i.tx_tail),
      .head_i       (rings_i.tx_head),
      .meta_valid_o (tx_meta_valid_o),
      .meta_ready_i (tx_meta_ready_i),
      .meta_o       (tx_meta_o),
      .out_valid_o  (tx_valid_o),
      .out_ready_i  (tx_ready_i),
      .out_beat_o   (tx_beat_o),
      .drop_o       (tx_drop_o),
      .drop_reason_o(tx_drop_reason_o),
      .error_o      (head_error),
      .ar_valid_o   (ar_valid[1:0]),
      .ar_ready_i   (ar_ready[1:0]),
      .ar_address_o (ar_address[127:0]),
      .ar_len_o     (ar_len[15:0]),
      .r_valid_i    (r_valid[1:0]),
      .r_data_i     (r_data),
      .r_last_i     (r_last),
      .r_error_i    (r_error),
      .aw_valid_o   (aw_valid[2]),
      .aw_ready_i   (aw_ready[2]),
      .aw_address_o (aw_address[191:128]),
      .w_valid_o    (w_valid[2]),
      .w_ready_i    (w_ready[2]),
      .w_data_o     (w_data[1535:1024]),
      .w_strobe_o   (w_strobe[191:128]),
      .b_valid_i    (b_valid[2]),
      .b_error_i    (b_error)
  );
  dma_rx u_rx (
      .clk_i,
      .rst_ni,
      .ring_rst_ni      (ring_rst_n_q),
      .run_i            (run_o),
      .busy_o           (rx_busy),
      .base_i           (rings_i.rx_base),
      .size_log2_i      (rings_i.rx_size_log2),
      .tail_i           (rings_i.rx_tail),
      .done_i           (rings_i.rx_done),
      .meta_valid_i     (rx_meta_valid_i),
      .meta_ready_o     (rx_meta_ready_o),
      .meta_i           (rx_meta_i),
      .in_valid_i       (rx_valid_i),
      .in_ready_o       (rx_ready_o),
      .in_beat_i        (rx_beat_i),
      .drop_o           (rx_drop_o),
      .drop_reason_o    (rx_drop_reason_o),
      .delivered_o      (rx_delivered_o),
      .delivered_bytes_o(rx_delivered_bytes_o),
      .error_o          (record_error),
      .ar_valid_o       (ar_valid[2]),
      .ar_ready_i       (ar_ready[2]),
      .ar_address_o     (ar_address[191:128]),
      .ar_len_o         (ar_len[23:16]),
      .r_valid_i        (r_valid[2]),
      .r_data_i         (r_data),
      .r_error_i        (r_error),
      .aw_valid_o       (aw_valid[1:0]),
      .aw_ready_i       (aw_ready[1:0]),
      .aw_address_o     (aw_address[127:0]),
      .aw_len_o         (aw_len[15:0]),
      .w_valid_o        (w_valid[1:0]),
      .w_ready_i        (w_ready[1:0]),
      .w_data_o         (w_data[1023:0]),
      .w_strobe_o       (w_strobe[127:0]),
      .b_valid_i        (b_valid[1:0]),
      .b_error_i        (b_error)
  );

  // ---- Events: one that finds no room is lost and counted, the engine never waits for the driver
  logic         event_room, event_taken, event_busy, event_error;
  logic [15:0]  event_index;
  logic [247:0] event_record;
  logic [7:0]   unused_event_phase;
  assign {event_record, unused_event_phase} = event_i;
  assign event_room    = run_o && rings_i.event_size_log2 >= 4'd2
                         && event_index - rings_i.event_head < (16'd1 << rings_i.event_size_log2);
  assign event_ready_o = event_taken || !event_room;
  assign event_lost_o  = event_valid_i && !event_room;
  dma_record u_events (
      .clk_i,
      .rst_ni      (ring_rst_n_q),
      .base_i      (rings_i.event_base),
      .size_log2_i (rings_i.event_size_log2),
      .index_o     (event_index),
      .busy_o      (event_busy),
      .error_o     (event_error),
      .valid_i     (event_valid_i && event_room),
      .ready_o     (event_taken),
      .record_i    (event_record),
      .aw_valid_o  (aw_valid[3]),
      .aw_ready_i  (aw_ready[3]),
      .aw_address_o(aw_address[255:192]),
      .w_valid_o   (w_valid[3]),
      .w_ready_i   (w_ready[3]),
      .w_data_o    (w_data[2047:1536]),
      .w_strobe_o  (w_strobe[255:192]),
      .b_valid_i   (b_valid[3]),
      .b_error_i   (b_error)
  );

  assign bus_error_o = head_error || record_error || event_error;
  // A receive descriptor fetched ahead is not work; one to send is.
  assign at_rest = engine_idle_i && !tx_busy && !rx_busy && !event_busy && !event_valid_i;
  assign idle_o  = at_rest && !(run_o && tx_posted) && state_q != Drain && run_o == on_i;
endmodule

`default_nettype wire
