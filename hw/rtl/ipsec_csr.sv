// Registers of docs/registers.md: one case over generated names for writes, one for reads.
//
// Table window: table_data words are shifted into the staged record; a commit offers it to the
// engine (table_valid_o until table_ready_i, which means it is in effect) and then overwrites it,
// keys included. While table_busy is 1 the window takes neither words nor commits; a commit to an
// index no table can have only overwrites it.
// Counter window: a write to count_index asks for a snapshot; a read of count_data waits for it.
// Turning the data path off (control bit 0 written as 0) clears the driver's counts tx_tail,
// rx_tail and event_head, with which the next start begins.
`default_nettype none

module ipsec_csr #(
    parameter int unsigned SA_SLOTS       = 256,
    parameter int unsigned LOOKUP_BUCKETS = 256,
    parameter int unsigned POLICIES       = 64,
    parameter int unsigned WINDOW_MAX     = 1024
) (
    input  logic              clk_i,
    input  logic              rst_ni,
    input  logic              s_axil_awvalid_i,
    output logic              s_axil_awready_o,
    input  logic [11:0]       s_axil_awaddr_i,
    input  logic              s_axil_wvalid_i,
    output logic              s_axil_wready_o,
    input  logic [31:0]       s_axil_wdata_i,
    input  logic [3:0]        s_axil_wstrb_i,
    output logic              s_axil_bvalid_o,
    input  logic              s_axil_bready_i,
    output logic [1:0]        s_axil_bresp_o,
    input  logic              s_axil_arvalid_i,
    output logic              s_axil_arready_o,
    input  logic [11:0]       s_axil_araddr_i,
    output logic              s_axil_rvalid_o,
    input  logic              s_axil_rready_i,
    output logic [31:0]       s_axil_rdata_o,
    output logic [1:0]        s_axil_rresp_o,
    // control and rings
    input  logic              idle_i,
    output logic              on_o,
    output logic              default_discard_o,
    output ipsec_pkg::rings_t rings_o,
    // table commands; shorter records are right aligned
    output logic              table_valid_o,
    input  logic              table_ready_i,
    output logic [7:0]        table_select_o,
    output logic [7:0]        table_op_o,
    output logic [15:0]       table_index_o,
    output logic [2047:0]     table_data_o,
    // counter snapshots: asked for until taken, then answered once
    output logic              count_valid_o,
    input  logic              count_ready_i,
    output logic [7:0]        count_select_o,
    output logic [15:0]       count_index_o,
    input  logic              count_valid_i,
    input  logic [511:0]      count_data_i
);
  localparam logic [31:0] Suites = (32'd1 << saline_pkg::SuiteAesGcm12816)
                                   | (32'd1 << saline_pkg::SuiteAesGcm25616);

  logic [31:0] scratch_q, control_q, table_select_q, table_index_q, count_select_q, count_index_q;
  logic [31:0] tx_size_q, tx_tail_q, rx_size_q, rx_tail_q, event_size_q, event_head_q;
  logic [63:0] tx_base_q, tx_head_q, rx_base_q, rx_done_q, event_base_q;
  logic [63:0] cycles_q;
  logic [31:0] cycles_high_q;

  logic          table_busy_q, count_ask_q, count_wait_q;
  logic [7:0]    table_op_q;
  logic [2047:0] staged_q;
  logic [511:0]  snapshot_q;

  // ---- Bus
  logic        write_valid, read_valid, read_ready;
  logic [11:0] write_address, read_address;
  logic [31:0] write_data, read_data;
  axi_lite_slave u_bus (
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
      .write_valid_o  (write_valid),
      .write_address_o(write_address),
      .write_data_o   (write_data),
      .read_valid_o   (read_valid),
      .read_address_o (read_address),
      .read_ready_i   (read_ready),
      .read_data_i    (read_data)
  );

  // ---- Writes
  always_ff @(posedge clk_i) begin
    if (write_valid) begin
      case (write_address)
        saline_pkg::RegScratch:       scratch_q           <= write_data;
        saline_pkg::RegControl:       control_q           <= write_data;
        saline_pkg::RegTableSelect:   if (!table_busy_q) table_select_q <= write_data;
        saline_pkg::RegTableIndex:    if (!table_busy_q) table_index_q <= write_data;
        saline_pkg::RegCountSelect:   count_select_q      <= write_data;
        saline_pkg::RegCountIndex:    count_index_q       <= write_data;
        saline_pkg::RegTxBaseLow:     tx_base_q[31:0]     <= write_data;
        saline_pkg::RegTxBaseHigh:    tx_base_q[63:32]    <= write_data;
        saline_pkg::RegTxSizeLog2:    tx_size_q           <= write_data;
        saline_pkg::RegTxTail:        tx_tail_q           <= write_data;
        saline_pkg::RegTxHeadLow:     tx_head_q[31:0]     <= write_data;
        saline_pkg::RegTxHeadHigh:    tx_head_q[63:32]    <= write_data;
        saline_pkg::RegRxBaseLow:     rx_base_q[31:0]     <= write_data;
        saline_pkg::RegRxBaseHigh:    rx_base_q[63:32]    <= write_data;
        saline_pkg::RegRxSizeLog2:    rx_size_q           <= write_data;
        saline_pkg::RegRxTail:        rx_tail_q           <= write_data;
        saline_pkg::RegRxDoneLow:     rx_done_q[31:0]     <= write_data;
        saline_pkg::RegRxDoneHigh:    rx_done_q[63:32]    <= write_data;
        saline_pkg::RegEventBaseLow:  event_base_q[31:0]  <= write_data;
        saline_pkg::RegEventBaseHigh: event_base_q[63:32] <= write_data;
        saline_pkg::RegEventSizeLog2: event_size_q        <= write_data;
        saline_pkg::RegEventHead:     event_head_q        <= write_data;
        default: ;
      endcase
    end
    if (!rst_ni || (write_valid && write_address == saline_pkg::RegControl
                    && !write_data[0])) begin
      tx_tail_q    <= saline_pkg::ResetTxTail;
      rx_tail_q    <= saline_pkg::ResetRxTail;
      event_head_q <= saline_pkg::ResetEventHead;
    end
    if (!rst_ni) begin
      scratch_q      <= saline_pkg::ResetScratch;
      control_q      <= saline_pkg::ResetControl;
      table_select_q <= saline_pkg::ResetTableSelect;
      table_index_q  <= saline_pkg::ResetTableIndex;
      count_select_q <= saline_pkg::ResetCountSelect;
      count_index_q  <= saline_pkg::ResetCountIndex;
      tx_base_q      <= {saline_pkg::ResetTxBaseHigh, saline_pkg::ResetTxBaseLow};
      tx_size_q      <= saline_pkg::ResetTxSizeLog2;
      tx_head_q      <= {saline_pkg::ResetTxHeadHigh, saline_pkg::ResetTxHeadLow};
      rx_base_q      <= {saline_pkg::ResetRxBaseHigh, saline_pkg::ResetRxBaseLow};
      rx_size_q      <= saline_pkg::ResetRxSizeLog2;
      rx_done_q      <= {saline_pkg::ResetRxDoneHigh, saline_pkg::ResetRxDoneLow};
      event_base_q   <= {saline_pkg::ResetEventBaseHigh, saline_pkg::ResetEventBaseLow};
      event_size_q   <= saline_pkg::ResetEventSizeLog2;
    end
  end

  // ---- Table window
  logic table_write, table_commit;
  assign table_write  = write_valid && !table_busy_q;
  assign table_commit = table_write && write_address == saline_pkg::RegTableCommit;
  always_ff @(posedge clk_i) begin
    if (table_write && write_address == saline_pkg::RegTableData) begin
      staged_q <= {staged_q[2015:0], write_data};
    end
    if (table_commit) table_op_q <= write_data[7:0];
    if (!rst_ni || (table_busy_q && table_ready_i)
        || (table_commit && table_index_q[31:16] != '0)) begin
      staged_q <= '0;
    end
    if (!rst_ni) table_busy_q <= 1'b0;
    else if (table_busy_q) table_busy_q <= !table_ready_i;
    else table_busy_q <= table_commit && table_index_q[31:16] == '0;
  end
  assign table_valid_o  = table_busy_q;
  assign table_select_o = table_select_q[7:0];
  assign table_op_o     = table_op_q;
  assign table_index_o  = table_index_q[15:0];
  assign table_data_o   = staged_q;

  // ---- Counter window: an ask while one is under way replaces the answer that is still to come
  logic count_read, count_ask;
  assign count_ask  = write_valid && write_address == saline_pkg::RegCountIndex;
  assign count_read = read_valid && read_ready && read_address == saline_pkg::RegCountData;
  always_ff @(posedge clk_i) begin
    if (count_valid_i) snapshot_q <= count_data_i;
    else if (count_read) snapshot_q <= {snapshot_q[479:0], 32'd0};
    if (!rst_ni) begin
      snapshot_q   <= '0;
      count_ask_q  <= 1'b0;
      count_wait_q <= 1'b0;
    end else begin
      if (count_ask) count_ask_q <= 1'b1;
      else if (count_valid_o && count_ready_i) count_ask_q <= 1'b0;
      if (count_valid_o && count_ready_i) count_wait_q <= 1'b1;
      else if (count_valid_i) count_wait_q <= 1'b0;
    end
  end
  assign count_valid_o  = count_ask_q && !count_wait_q && !count_ask;
  assign count_select_o = count_select_q[7:0];
  assign count_index_o  = count_index_q[15:0];

  // ---- Time
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      cycles_q      <= '0;
      cycles_high_q <= '0;
    end else begin
      cycles_q <= cycles_q + 64'd1;
      if (read_valid && read_ready && read_address == saline_pkg::RegCyclesLow) begin
        cycles_high_q <= cycles_q[63:32];
      end
    end
  end

  // ---- Reads
  assign read_ready = read_address != saline_pkg::RegCountData
                        || !(count_ask_q || count_wait_q);
  always_comb begin
    case (read_address)
      saline_pkg::RegId:            read_data = saline_pkg::ResetId;
      saline_pkg::RegFingerprint:   read_data = saline_pkg::Fingerprint;
      saline_pkg::RegScratch:       read_data = scratch_q;
      saline_pkg::RegControl:       read_data = control_q;
      saline_pkg::RegStatus:        read_data = {31'd0, idle_i && !table_busy_q};
      saline_pkg::RegCyclesLow:     read_data = cycles_q[31:0];
      saline_pkg::RegCyclesHigh:    read_data = cycles_high_q;
      saline_pkg::RegCapsSaSlots:   read_data = SA_SLOTS;
      saline_pkg::RegCapsLookup:    read_data = LOOKUP_BUCKETS;
      saline_pkg::RegCapsPolicies:  read_data = POLICIES;
      saline_pkg::RegCapsSuites:    read_data = Suites;
      saline_pkg::RegCapsWindow:    read_data = WINDOW_MAX;
      saline_pkg::RegTableSelect:   read_data = table_select_q;
      saline_pkg::RegTableIndex:    read_data = table_index_q;
      saline_pkg::RegTableBusy:     read_data = {31'd0, table_busy_q};
      saline_pkg::RegCountSelect:   read_data = count_select_q;
      saline_pkg::RegCountIndex:    read_data = count_index_q;
      saline_pkg::RegCountData:     read_data = snapshot_q[511:480];
      saline_pkg::RegTxBaseLow:     read_data = tx_base_q[31:0];
      saline_pkg::RegTxBaseHigh:    read_data = tx_base_q[63:32];
      saline_pkg::RegTxSizeLog2:    read_data = tx_size_q;
      saline_pkg::RegTxTail:        read_data = tx_tail_q;
      saline_pkg::RegTxHeadLow:     read_data = tx_head_q[31:0];
      saline_pkg::RegTxHeadHigh:    read_data = tx_head_q[63:32];
      saline_pkg::RegRxBaseLow:     read_data = rx_base_q[31:0];
      saline_pkg::RegRxBaseHigh:    read_data = rx_base_q[63:32];
      saline_pkg::RegRxSizeLog2:    read_data = rx_size_q;
      saline_pkg::RegRxTail:        read_data = rx_tail_q;
      saline_pkg::RegRxDoneLow:     read_data = rx_done_q[31:0];
      saline_pkg::RegRxDoneHigh:    read_data = rx_done_q[63:32];
      saline_pkg::RegEventBaseLow:  read_data = event_base_q[31:0];
      saline_pkg::RegEventBaseHigh: read_data = event_base_q[63:32];
      saline_pkg::RegEventSizeLog2: read_data = event_size_q;
      saline_pkg::RegEventHead:     read_data = event_head_q;
      default:                      read_data = '0;
    endcase
  end

  assign on_o              = control_q[0];
  assign default_discard_o = control_q[1];
  // A size past 15 is no size.
  always_comb begin
    rings_o.tx_base         = tx_base_q[63:6];
    rings_o.tx_head         = tx_head_q[63:6];
    rings_o.tx_size_log2    = tx_size_q[31:4] == '0 ? tx_size_q[3:0] : 4'd0;
    rings_o.tx_tail         = tx_tail_q[15:0];
    rings_o.rx_base         = rx_base_q[63:6];
    rings_o.rx_done         = rx_done_q[63:6];
    rings_o.rx_size_log2    = rx_size_q[31:4] == '0 ? rx_size_q[3:0] : 4'd0;
    rings_o.rx_tail         = rx_tail_q[15:0];
    rings_o.event_base      = event_base_q[63:6];
    rings_o.event_size_log2 = event_size_q[31:4] == '0 ? event_size_q[3:0] : 4'd0;
    rings_o.event_head      = event_head_q[15:0];
  end
endmodule

`default_nettype wire
