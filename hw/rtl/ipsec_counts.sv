// Refused frames by reason and direction, port counters, and the counter window's answers.
//
// refused_i and the pulses count one each clock. The shell's refusals have banks of their own here,
// so that no two counts of one clock meet; the window gives their sum.
`default_nettype none

module ipsec_counts #(
    parameter int unsigned SA_SLOTS = 256
) (
    input  logic         clk_i,
    input  logic         rst_ni,
    // what is counted
    input  logic [7:0]   egress_refused_i,  // a drop reason, 0: none
    input  logic [7:0]   tx_refused_i,
    input  logic [7:0]   ingress_refused_i,
    input  logic [7:0]   rx_refused_i,
    input  logic         tx_beat_i,  // a beat leaves to the MAC
    input  logic         tx_last_i,
    input  logic [6:0]   tx_bytes_i,
    input  logic         rx_delivered_i,
    input  logic [15:0]  rx_delivered_bytes_i,
    input  logic [1:0]   events_lost_i,
    input  logic         bus_error_i,
    // counter window
    input  logic         count_valid_i,
    output logic         count_ready_o,
    input  logic [7:0]   count_select_i,
    input  logic [15:0]  count_index_i,
    output logic         count_valid_o,
    output logic [511:0] count_record_o,
    // counters of SAs
    output logic         egress_valid_o,  // until answered
    output logic         ingress_valid_o,
    output logic [15:0]  sa_index_o,
    input  logic         egress_valid_i,
    input  logic [511:0] egress_record_i,
    input  logic         ingress_valid_i,
    input  logic [511:0] ingress_record_i
);
  // ---- The window
  logic        busy_q;
  logic [7:0]  select_q;
  logic [15:0] index_q;
  logic        known;
  logic [63:0] value;
  assign count_ready_o   = !busy_q;
  assign sa_index_o      = index_q;
  assign known           = index_q < 16'(SA_SLOTS);
  assign egress_valid_o  = busy_q && known && select_q == saline_pkg::CountBankEgressSa;
  assign ingress_valid_o = busy_q && known && select_q == saline_pkg::CountBankIngressSa;
  always_comb begin
    count_valid_o  = busy_q;
    count_record_o = {value, 448'd0};
    if (egress_valid_o) begin
      count_valid_o  = egress_valid_i;
      count_record_o = egress_record_i;
    end
    if (ingress_valid_o) begin
      count_valid_o  = ingress_valid_i;
      count_record_o = ingress_record_i;
    end
  end
  always_ff @(posedge clk_i) begin
    if (count_valid_i && count_ready_o) begin
      select_q <= count_select_i;
      index_q  <= count_index_i;
    end
    if (!rst_ni) busy_q <= 1'b0;
    else busy_q <= busy_q ? !count_valid_o : count_valid_i;
  end

  // ---- Reasons
  logic [4*64-1:0] reasons;
  logic [31:0] refused;
  assign refused = {rx_refused_i, ingress_refused_i, tx_refused_i, egress_refused_i};
  for (genvar bank = 0; bank < 4; bank++) begin : g_bank
    logic [63:0] memory[0:31];
    logic [31:0] used_q;  // a count that was never written is zero
    logic [7:0]  reason;
    assign reason        = refused[8*bank +: 8];
    assign reasons[64*bank +: 64] = used_q[index_q[4:0]] ? memory[index_q[4:0]] : 64'd0;
    always_ff @(posedge clk_i) begin
      if (reason != 8'd0) begin
        memory[reason[4:0]] <= (used_q[reason[4:0]] ? memory[reason[4:0]] : 64'd0) + 64'd1;
      end
      if (!rst_ni) used_q <= 32'd0;
      else if (reason != 8'd0) used_q[reason[4:0]] <= 1'b1;
    end
  end

  // ---- Port
  logic [63:0] tx_packets_q, tx_bytes_q, rx_packets_q, rx_bytes_q, event_lost_q, bus_errors_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      tx_packets_q <= '0;
      tx_bytes_q   <= '0;
      rx_packets_q <= '0;
      rx_bytes_q   <= '0;
      event_lost_q <= '0;
      bus_errors_q <= '0;
    end else begin
      if (tx_beat_i) begin
        tx_packets_q <= tx_packets_q + {63'd0, tx_last_i};
        tx_bytes_q   <= tx_bytes_q + {57'd0, tx_bytes_i};
      end
      if (rx_delivered_i) begin
        rx_packets_q <= rx_packets_q + 64'd1;
        rx_bytes_q   <= rx_bytes_q + {48'd0, rx_delivered_bytes_i};
      end
      event_lost_q <= event_lost_q + {62'd0, events_lost_i};
      bus_errors_q <= bus_errors_q + {63'd0, bus_error_i};
    end
  end

  always_comb begin
    value = 64'd0;
    case (select_q)
      saline_pkg::CountBankEgressReasons:
      if (index_q < 16'd32) value = reasons[63:0] + reasons[127:64];
      saline_pkg::CountBankIngressReasons:
      if (index_q < 16'd32) value = reasons[191:128] + reasons[255:192];
      saline_pkg::CountBankPort: begin
        case (index_q)
          {8'd0, saline_pkg::PortCountTxPackets}: value = tx_packets_q;
          {8'd0, saline_pkg::PortCountTxBytes}:   value = tx_bytes_q;
          {8'd0, saline_pkg::PortCountRxPackets}: value = rx_packets_q;
          {8'd0, saline_pkg::PortCountRxBytes}:   value = rx_bytes_q;
          {8'd0, saline_pkg::PortCountEventLost}: value = event_lost_q;
          {8'd0, saline_pkg::PortCountBusErrors}: value = bus_errors_q;
          default: ;
        endcase
      end
      default: ;
    endcase
  end
endmodule

`default_nettype wire
