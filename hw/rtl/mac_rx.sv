// From the MAC's AXI4-Stream to the engine's stream.
//
// Keeps the engine's promises: bytes past the end are zero, a frame has 14 to 16384 bytes. A
// shorter one and one the MAC marks (tuser with the last beat) go on with error_o; a longer one is
// cut at 16384 bytes and goes on with error_o. While enable_i is 0 at a first beat the frame is
// thrown away. Latency one clock. busy_o: a beat is inside, or the rest of a frame is due.
`default_nettype none

module mac_rx (
    input  logic             clk_i,
    input  logic             rst_ni,
    input  logic             enable_i,
    output logic             busy_o,
    input  logic [511:0]     mac_rx_tdata_i,
    input  logic [63:0]      mac_rx_tkeep_i,
    input  logic             mac_rx_tlast_i,
    input  logic             mac_rx_tuser_i,
    input  logic             mac_rx_tvalid_i,
    output logic             mac_rx_tready_o,
    output logic             valid_o,
    input  logic             ready_i,
    output ipsec_pkg::beat_t beat_o,
    output logic             error_o
);
  localparam logic [8:0] BeatsMax   = 9'(saline_pkg::FrameBytesMax / 64);
  localparam logic [6:0] BytesMin   = 7'd14;

  logic [8:0] count_q;  // beats of the frame so far
  logic       skip_q;   // the rest of the frame is thrown away
  logic       first, skip, long, runt, take, skid_ready;

  logic [6:0]       bytes;
  ipsec_pkg::beat_t beat;
  always_comb begin
    bytes = '0;
    beat  = '0;
    for (int i = 0; i < 64; i++) begin
      bytes = bytes + {6'd0, mac_rx_tkeep_i[i]};
      if (mac_rx_tkeep_i[i]) beat.data[8*i +: 8] = mac_rx_tdata_i[8*i +: 8];
    end
    first      = count_q == 9'd0;
    skip       = first ? !enable_i : skip_q;
    long       = count_q == BeatsMax - 9'd1 && !mac_rx_tlast_i;
    runt       = first && mac_rx_tlast_i && bytes < BytesMin;
    beat.last  = mac_rx_tlast_i || long;
    beat.bytes = bytes;
  end

  assign mac_rx_tready_o = skip || skid_ready;
  assign take            = mac_rx_tvalid_i && mac_rx_tready_o;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      count_q <= '0;
      skip_q  <= 1'b0;
    end else if (take) begin
      if (mac_rx_tlast_i) count_q <= '0;
      else if (count_q != BeatsMax) count_q <= count_q + 9'd1;
      skip_q <= !mac_rx_tlast_i && (skip || long);
    end
  end

  stream_skid #(
      .W(521)
  ) u_skid (
      .clk_i,
      .rst_ni,
      .valid_i(mac_rx_tvalid_i && !skip),
      .ready_o(skid_ready),
      .data_i ({long || runt || (mac_rx_tlast_i && mac_rx_tuser_i), beat}),
      .valid_o,
      .ready_i,
      .data_o ({error_o, beat_o})
  );
  // A frame that is thrown away is no work.
  assign busy_o = valid_o || (count_q != 9'd0 && !skip_q);
endmodule

`default_nettype wire
