// A stand-in for hw/rtl/ipsec_engine.sv with the same ports, for tests of what surrounds it: frames
// from the host go to the MAC, frames from the MAC to the host, unchanged.
//
// Counter bank 2 and 3: drops reported by the shell, by reason. Bank 4: frames and bytes delivered
// (2, 3), lost events (4), bus errors (5). Bank 0: the fields of the last committed record as the
// packed structs see them, index = table * 64 + field, right aligned. Bank 1: {table, op, index} of
// that commit.
// Policy default discard raises one event per clock it is set.
`default_nettype none
// verilator lint_off UNUSEDSIGNAL

module ipsec_engine #(
    parameter int unsigned SA_SLOTS       = 256,
    parameter int unsigned LOOKUP_BUCKETS = 256,
    parameter int unsigned POLICIES       = 64,
    parameter int unsigned WINDOW_MAX     = 1024,
    parameter int unsigned LANES          = 4
) (
    input  logic                       clk_i,
    input  logic                       rst_ni,
    input  logic                       enable_i,
    input  logic                       policy_default_discard_i,
    output logic                       idle_o,
    input  logic                       table_valid_i,
    output logic                       table_ready_o,
    input  logic [7:0]                 table_select_i,
    input  logic [7:0]                 table_op_i,
    input  logic [15:0]                table_index_i,
    input  logic [2047:0]              table_record_i,
    input  logic                       count_valid_i,
    output logic                       count_ready_o,
    input  logic [7:0]                 count_select_i,
    input  logic [15:0]                count_index_i,
    output logic                       count_valid_o,
    output logic [511:0]               count_record_o,
    input  logic                       tx_drop_i,
    input  logic [7:0]                 tx_drop_reason_i,
    input  logic                       rx_drop_i,
    input  logic [7:0]                 rx_drop_reason_i,
    input  logic                       rx_delivered_i,
    input  logic [15:0]                rx_delivered_bytes_i,
    input  logic                       event_lost_i,
    input  logic                       bus_error_i,
    input  logic                       tx_meta_valid_i,
    output logic                       tx_meta_ready_o,
    input  saline_pkg::tx_descriptor_t tx_meta_i,
    input  logic                       tx_valid_i,
    output logic                       tx_ready_o,
    input  ipsec_pkg::beat_t           tx_beat_i,
    output logic                       mac_tx_valid_o,
    input  logic                       mac_tx_ready_i,
    output ipsec_pkg::beat_t           mac_tx_beat_o,
    input  logic                       mac_rx_valid_i,
    output logic                       mac_rx_ready_o,
    input  ipsec_pkg::beat_t           mac_rx_beat_i,
    input  logic                       mac_rx_error_i,
    output logic                       rx_meta_valid_o,
    input  logic                       rx_meta_ready_i,
    output saline_pkg::rx_completion_t rx_meta_o,
    output logic                       rx_valid_o,
    input  logic                       rx_ready_i,
    output ipsec_pkg::beat_t           rx_beat_o,
    output logic                       event_valid_o,
    input  logic                       event_ready_i,
    output saline_pkg::event_t         event_o
);
  // ---- Egress: a frame passes once its descriptor is here; lengths must agree
  logic        open_q;
  logic [15:0] left_q;
  assign tx_meta_ready_o = !open_q && enable_i;
  assign mac_tx_valid_o  = open_q && tx_valid_i;
  assign tx_ready_o      = open_q && mac_tx_ready_i;
  assign mac_tx_beat_o   = tx_beat_i;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) open_q <= 1'b0;
    else if (tx_meta_valid_i && tx_meta_ready_o) open_q <= 1'b1;
    else if (mac_tx_valid_o && mac_tx_ready_i && tx_beat_i.last) open_q <= 1'b0;
    if (tx_meta_valid_i && tx_meta_ready_o) left_q <= tx_meta_i.bytes;
    else if (mac_tx_valid_o && mac_tx_ready_i) left_q <= left_q - {9'd0, tx_beat_i.bytes};
    if (mac_tx_valid_o && mac_tx_ready_i) begin
      assert (tx_beat_i.last == (left_q == {9'd0, tx_beat_i.bytes}));
      assert (tx_beat_i.last || tx_beat_i.bytes == 7'd64);
    end
  end

  // ---- Ingress: the frame is stored until its length is known; the SPI field carries the error
  ipsec_pkg::beat_t stored;
  logic             stored_valid, length_ready, unused_space, released_q;
  logic [15:0]      bytes_q, bytes;
  logic [9:0]       level;
  logic [4:0]       lengths;
  logic             error;
  assign bytes          = bytes_q + {9'd0, mac_rx_beat_i.bytes};
  assign mac_rx_ready_o = unused_space && length_ready;
  stream_fifo #(
      .W    ($bits(mac_rx_beat_i)),
      .DEPTH(512)
  ) u_beats (
      .clk_i,
      .rst_ni,
      .valid_i(mac_rx_valid_i && length_ready),
      .ready_o(unused_space),
      .data_i (mac_rx_beat_i),
      .valid_o(stored_valid),
      .ready_i(rx_ready_i && released_q),
      .data_o (stored),
      .level_o(level)
  );
  logic        length_valid;
  logic [15:0] length;
  stream_fifo #(
      .W    (17),
      .DEPTH(16)
  ) u_lengths (
      .clk_i,
      .rst_ni,
      .valid_i(mac_rx_valid_i && mac_rx_ready_o && mac_rx_beat_i.last),
      .ready_o(length_ready),
      .data_i ({mac_rx_error_i, bytes}),
      .valid_o(length_valid),
      .ready_i(rx_meta_ready_i && !released_q),
      .data_o ({error, length}),
      .level_o(lengths)
  );
  always_ff @(posedge clk_i) begin
    if (!rst_ni || (mac_rx_valid_i && mac_rx_ready_o && mac_rx_beat_i.last)) bytes_q <= '0;
    else if (mac_rx_valid_i && mac_rx_ready_o) bytes_q <= bytes;
    if (!rst_ni) released_q <= 1'b0;
    else if (rx_meta_valid_o && rx_meta_ready_i) released_q <= 1'b1;
    else if (rx_valid_o && rx_ready_i && stored.last) released_q <= 1'b0;
  end
  assign rx_meta_valid_o = length_valid && !released_q;
  assign rx_valid_o      = stored_valid && released_q;
  assign rx_beat_o       = stored;
  always_comb begin
    rx_meta_o       = '0;
    rx_meta_o.bytes = length;
    rx_meta_o.spi   = {31'd0, error};
  end
  assign idle_o = !open_q && !stored_valid && !length_valid && !released_q && !event_valid_o;

  // ---- Events
  logic [15:0] event_count_q;
  logic        event_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      event_count_q <= '0;
      event_q       <= 1'b0;
    end else begin
      if (policy_default_discard_i) event_q <= 1'b1;
      else if (event_ready_i) event_q <= 1'b0;
      if (event_q && event_ready_i) event_count_q <= event_count_q + 16'd1;
    end
  end
  assign event_valid_o = event_q;
  always_comb begin
    event_o          = '0;
    event_o.kind     = saline_pkg::EventKindSoftBytes;
    event_o.sa_index = event_count_q;
    event_o.octets   = 64'h0123_4567_89AB_CDEF;
  end

  // ---- Tables
  saline_pkg::sa_context_t   sa;
  saline_pkg::lookup_entry_t lookup;
  saline_pkg::policy_entry_t policy;
  logic [2047:0]             record_q;
  logic [31:0]               command_q;
  logic [5:0]                delay_q;
  assign table_ready_o = delay_q == 6'd63;
  always_ff @(posedge clk_i) begin
    if (!rst_ni || !table_valid_i) delay_q <= '0;
    else delay_q <= delay_q + 6'd1;
    if (table_valid_i && table_ready_o) begin
      record_q  <= table_record_i;
      command_q <= {table_select_i, table_op_i, table_index_i};
    end
  end
  assign sa     = record_q;
  assign lookup = record_q[saline_pkg::LookupEntryBits-1:0];
  assign policy = record_q[saline_pkg::PolicyEntryBits-1:0];

  logic [511:0] field;
  always_comb begin
    field = '0;
    case (count_index_i)
      16'd0:   field[0] = sa.valid;
      16'd1:   field[0] = sa.tunnel;
      16'd2:   field[0] = sa.outer_ipv6;
      16'd3:   field[0] = sa.esn;
      16'd4:   field[0] = sa.deliver_failed;
      16'd5:   field[0] = sa.verify_outer;
      16'd6:   field[0] = sa.copy_dscp;
      16'd7:   field[0] = sa.copy_flow_label;
      16'd8:   field[7:0] = sa.suite;
      16'd9:   field[7:0] = sa.replay_words;
      16'd10:  field[1:0] = sa.df_mode;
      16'd11:  field[0] = sa.ecn_copy;
      16'd12:  field[31:0] = sa.spi;
      16'd13:  field[31:0] = sa.salt;
      16'd14:  field[7:0] = sa.hop_limit;
      16'd15:  field[7:0] = sa.traffic_class;
      16'd16:  field[19:0] = sa.flow_label;
      16'd17:  field[15:0] = sa.sa_tag;
      16'd18:  field[127:0] = sa.source;
      16'd19:  field[127:0] = sa.destination;
      16'd20:  field[63:0] = sa.iv_base;
      16'd21:  field[63:0] = sa.sequence_number;
      16'd22:  field[63:0] = sa.packets_soft;
      16'd23:  field[63:0] = sa.packets_hard;
      16'd24:  field[63:0] = sa.bytes_soft;
      16'd25:  field[63:0] = sa.bytes_hard;
      16'd26:  field[255:0] = sa.key;
      16'd27:  field[511:0] = sa.hash_powers;
      16'd128: field[0] = lookup.valid;
      16'd129: field[0] = lookup.ipv6;
      16'd130: field[0] = lookup.any_destination;
      16'd131: field[7:0] = lookup.protocol;
      16'd132: field[15:0] = lookup.sa_index;
      16'd133: field[31:0] = lookup.spi;
      16'd134: field[127:0] = lookup.destination;
      16'd192: field[0] = policy.valid;
      16'd193: field[0] = policy.ipv6;
      16'd194: field[0] = policy.any_protocol;
      16'd195: field[0] = policy.any_port;
      16'd196: field[1:0] = policy.action;
      16'd197: field[7:0] = policy.protocol;
      16'd198: field[15:0] = policy.sa_index;
      16'd199: field[15:0] = policy.source_port_min;
      16'd200: field[15:0] = policy.source_port_max;
      16'd201: field[15:0] = policy.destination_port_min;
      16'd202: field[15:0] = policy.destination_port_max;
      16'd203: field[127:0] = policy.source;
      16'd204: field[127:0] = policy.source_mask;
      16'd205: field[127:0] = policy.destination;
      16'd206: field[127:0] = policy.destination_mask;
      default: ;
    endcase
  end

  // ---- Counters
  logic [63:0] tx_drops[32];
  logic [63:0] rx_drops[32];
  logic [63:0] delivered_q, delivered_bytes_q, lost_q, bus_errors_q;
  always_ff @(posedge clk_i) begin
    if (tx_drop_i) tx_drops[tx_drop_reason_i[4:0]] <= tx_drops[tx_drop_reason_i[4:0]] + 64'd1;
    if (rx_drop_i) rx_drops[rx_drop_reason_i[4:0]] <= rx_drops[rx_drop_reason_i[4:0]] + 64'd1;
    if (!rst_ni) begin
      for (int i = 0; i < 32; i++) begin
        tx_drops[i] <= '0;
        rx_drops[i] <= '0;
      end
      delivered_q       <= '0;
      delivered_bytes_q <= '0;
      lost_q            <= '0;
      bus_errors_q      <= '0;
    end else begin
      delivered_q       <= delivered_q + {63'd0, rx_delivered_i};
      delivered_bytes_q <= delivered_bytes_q
                           + (rx_delivered_i ? {48'd0, rx_delivered_bytes_i} : '0);
      lost_q            <= lost_q + {63'd0, event_lost_i};
      bus_errors_q      <= bus_errors_q + {63'd0, bus_error_i};
    end
  end

  assign count_ready_o = !count_valid_o;
  always_ff @(posedge clk_i) begin
    count_valid_o  <= rst_ni && count_valid_i && count_ready_o;
    count_record_o <= '0;
    case (count_select_i)
      saline_pkg::CountBankEgressSa:       count_record_o <= field;
      saline_pkg::CountBankIngressSa:      count_record_o[31:0] <= command_q;
      saline_pkg::CountBankEgressReasons:  count_record_o[511:448] <= tx_drops[count_index_i[4:0]];
      saline_pkg::CountBankIngressReasons: count_record_o[511:448] <= rx_drops[count_index_i[4:0]];
      saline_pkg::CountBankPort:
      case (count_index_i[7:0])
        saline_pkg::PortCountRxPackets: count_record_o[511:448] <= delivered_q;
        saline_pkg::PortCountRxBytes:   count_record_o[511:448] <= delivered_bytes_q;
        saline_pkg::PortCountEventLost: count_record_o[511:448] <= lost_q;
        saline_pkg::PortCountBusErrors: count_record_o[511:448] <= bus_errors_q;
        default: ;
      endcase
      default: ;
    endcase
  end
endmodule

`default_nettype wire
