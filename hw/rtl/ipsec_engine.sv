// The IPsec engine: ESP with AES-GCM (RFC 4303, RFC 4106) between a host side that moves whole
// frames and a MAC side. Two independent pipelines, egress and ingress, and what they share: the
// table window, the counter window and the event channel.
//
// Streams are as in ipsec_pkg. A frame is 14 to 16384 bytes without FCS.
//
// Table port. One write per handshake; ready goes up when the write has taken effect in full.
// Records have their first field most significant and are right aligned, as words shifted in leave
// them: a policy entry is table_record_i[1023:0], a lookup entry table_record_i[511:0]. op is
// saline_pkg::TableOp*; lookup and policy entries know install (update is the same) and remove. An
// unknown table or an index outside the table is taken and has no effect. An SA install takes about
// 70 clocks, all else a few.
//
// Counter port. A request is taken with count_ready_o and answered once, by one clock of
// count_valid_o with the record, at most 200 clocks later. Banks of plain counters give {value,
// 448'd0}. An unknown bank or index gives zero. All counters of bank port live here: the shell
// reports what it alone sees by one-clock pulses (tx_drop, rx_drop, rx_delivered, event_lost,
// bus_error).
//
// Events. phase is zero, the shell fills it in. The data path never waits for the event channel:
// four of each direction are held, further ones are dropped and counted in event_lost.
//
// enable_i 0: no frame is taken from the host, frames from the MAC are taken and thrown away; what
// is inside is finished. Table and counter ports work in any case.
//
// Inbound lookup: bucket = (SPI XOR protocol) modulo LOOKUP_BUCKETS, entry index = bucket *
// lookup_ways + way; an entry that compares the destination wins over one that does not.
`default_nettype none

module ipsec_engine #(
    parameter int unsigned SA_SLOTS       = 256,   // per direction, a power of two
    parameter int unsigned LOOKUP_BUCKETS = 256,   // a power of two
    parameter int unsigned POLICIES       = 64,    // a power of two, at least 8
    parameter int unsigned WINDOW_MAX     = 1024,  // packets, a power of two, at least 32
    parameter int unsigned LANES          = 4      // AES lanes per direction: 1 or 4
) (
    input  logic                       clk_i,
    input  logic                       rst_ni,
    input  logic                       enable_i,
    input  logic                       policy_default_discard_i,
    output logic                       idle_o,  // no frame is inside
    // tables
    input  logic                       table_valid_i,
    output logic                       table_ready_o,
    input  logic [7:0]                 table_select_i,
    input  logic [7:0]                 table_op_i,
    input  logic [15:0]                table_index_i,
    input  logic [2047:0]              table_record_i,
    // counters
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
    // egress: host to MAC; of the descriptor, address is not looked at
    input  logic                       tx_meta_valid_i,
    output logic                       tx_meta_ready_o,
    input  saline_pkg::tx_descriptor_t tx_meta_i,
    input  logic                       tx_valid_i,
    output logic                       tx_ready_o,
    input  ipsec_pkg::beat_t           tx_beat_i,
    output logic                       mac_tx_valid_o,
    input  logic                       mac_tx_ready_i,
    output ipsec_pkg::beat_t           mac_tx_beat_o,
    // ingress: MAC to host; error comes with the last beat: the frame is damaged. The completion
    // comes before its frame, bytes is exact, phase is zero
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
    // events
    output logic                       event_valid_o,
    input  logic                       event_ready_i,
    output saline_pkg::event_t         event_o
);
  // ---- Tables
  logic egress_write, egress_write_ready, ingress_write, ingress_write_ready;
  logic lookup_write, policy_write;
  assign egress_write  = table_valid_i && table_select_i == saline_pkg::TableEgressSa;
  assign ingress_write = table_valid_i && table_select_i == saline_pkg::TableIngressSa;
  assign lookup_write  = table_valid_i && table_select_i == saline_pkg::TableLookup;
  assign policy_write  = table_valid_i && table_select_i == saline_pkg::TablePolicy;
  assign table_ready_o = egress_write ? egress_write_ready
                         : ingress_write ? ingress_write_ready : 1'b1;

  // ---- Egress
  logic [7:0]               egress_refused;
  logic                     egress_event_valid, egress_count_ask, egress_count, egress_idle;
  saline_pkg::event_t       egress_event;
  saline_pkg::sa_counters_t egress_record;
  logic [15:0]              count_sa_index;
  ipsec_egress #(
      .SA_SLOTS(SA_SLOTS),
      .POLICIES(POLICIES),
      .LANES   (LANES)
  ) u_egress (
      .clk_i,
      .rst_ni,
      .enable_i,
      .default_discard_i(policy_default_discard_i),
      .idle_o           (egress_idle),
      .sa_write_valid_i (egress_write),
      .sa_write_ready_o (egress_write_ready),
      .policy_write_i   (policy_write),
      .table_op_i,
      .table_index_i,
      .table_record_i,
      .count_valid_i    (egress_count_ask),
      .count_index_i    (count_sa_index),
      .count_valid_o    (egress_count),
      .count_record_o   (egress_record),
      .refused_o        (egress_refused),
      .event_valid_o    (egress_event_valid),
      .event_o          (egress_event),
      .meta_valid_i     (tx_meta_valid_i),
      .meta_ready_o     (tx_meta_ready_o),
      .meta_i           (tx_meta_i),
      .in_valid_i       (tx_valid_i),
      .in_ready_o       (tx_ready_o),
      .in_beat_i        (tx_beat_i),
      .out_valid_o      (mac_tx_valid_o),
      .out_ready_i      (mac_tx_ready_i),
      .out_beat_o       (mac_tx_beat_o)
  );

  // ---- Ingress
  logic [7:0]               ingress_refused;
  logic                     ingress_event_valid, ingress_count_ask, ingress_count, ingress_idle;
  saline_pkg::event_t       ingress_event;
  saline_pkg::sa_counters_t ingress_record;
  ipsec_ingress #(
      .SA_SLOTS      (SA_SLOTS),
      .LOOKUP_BUCKETS(LOOKUP_BUCKETS),
      .WINDOW_MAX    (WINDOW_MAX),
      .LANES         (LANES)
  ) u_ingress (
      .clk_i,
      .rst_ni,
      .enable_i,
      .idle_o          (ingress_idle),
      .sa_write_valid_i(ingress_write),
      .sa_write_ready_o(ingress_write_ready),
      .lookup_write_i  (lookup_write),
      .table_op_i,
      .table_index_i,
      .table_record_i,
      .count_valid_i   (ingress_count_ask),
      .count_index_i   (count_sa_index),
      .count_valid_o   (ingress_count),
      .count_record_o  (ingress_record),
      .refused_o       (ingress_refused),
      .event_valid_o   (ingress_event_valid),
      .event_o         (ingress_event),
      .in_valid_i      (mac_rx_valid_i),
      .in_ready_o      (mac_rx_ready_o),
      .in_beat_i       (mac_rx_beat_i),
      .in_error_i      (mac_rx_error_i),
      .meta_valid_o    (rx_meta_valid_o),
      .meta_ready_i    (rx_meta_ready_i),
      .meta_o          (rx_meta_o),
      .out_valid_o     (rx_valid_o),
      .out_ready_i     (rx_ready_i),
      .out_beat_o      (rx_beat_o)
  );
  assign idle_o = egress_idle && ingress_idle;

  // ---- Events and counters
  logic [1:0] lost;
  ipsec_events u_events (
      .clk_i,
      .rst_ni,
      .egress_valid_i (egress_event_valid),
      .egress_i       (egress_event),
      .ingress_valid_i(ingress_event_valid),
      .ingress_i      (ingress_event),
      .lost_o         (lost),
      .valid_o        (event_valid_o),
      .ready_i        (event_ready_i),
      .event_o
  );
  ipsec_counts #(
      .SA_SLOTS(SA_SLOTS)
  ) u_counts (
      .clk_i,
      .rst_ni,
      .egress_refused_i (egress_refused),
      .tx_refused_i     (tx_drop_i ? tx_drop_reason_i : 8'd0),
      .ingress_refused_i(ingress_refused),
      .rx_refused_i     (rx_drop_i ? rx_drop_reason_i : 8'd0),
      .tx_beat_i        (mac_tx_valid_o && mac_tx_ready_i),
      .tx_last_i        (mac_tx_beat_o.last),
      .tx_bytes_i       (mac_tx_beat_o.bytes),
      .rx_delivered_i,
      .rx_delivered_bytes_i,
      .events_lost_i    (lost + {1'b0, event_lost_i}),
      .bus_error_i,
      .count_valid_i,
      .count_ready_o,
      .count_select_i,
      .count_index_i,
      .count_valid_o,
      .count_record_o,
      .egress_valid_o   (egress_count_ask),
      .ingress_valid_o  (ingress_count_ask),
      .sa_index_o       (count_sa_index),
      .egress_valid_i   (egress_count),
      .egress_record_i  (egress_record),
      .ingress_valid_i  (ingress_count),
      .ingress_record_i (ingress_record)
  );
endmodule

`default_nettype wire
