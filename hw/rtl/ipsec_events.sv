// Events of both directions in one channel. Four of each direction are held; one that finds no room
// is dropped and lost_o pulses (2: both at once), so that the data path never waits.
`default_nettype none

module ipsec_events (
    input  logic               clk_i,
    input  logic               rst_ni,
    input  logic               egress_valid_i,
    input  saline_pkg::event_t egress_i,
    input  logic               ingress_valid_i,
    input  saline_pkg::event_t ingress_i,
    output logic [1:0]         lost_o,
    output logic               valid_o,
    input  logic               ready_i,
    output saline_pkg::event_t event_o
);
  logic egress_ready, ingress_ready, egress_valid, ingress_valid, turn_q, held_q, pick;
  logic [2:0] unused_egress_level, unused_ingress_level;
  saline_pkg::event_t egress, ingress;
  stream_fifo #(
      .W    (saline_pkg::EventBits),
      .DEPTH(4)
  ) u_egress (
      .clk_i,
      .rst_ni,
      .valid_i(egress_valid_i),
      .ready_o(egress_ready),
      .data_i (egress_i),
      .valid_o(egress_valid),
      .ready_i(ready_i && !pick),
      .data_o (egress),
      .level_o(unused_egress_level)
  );
  stream_fifo #(
      .W    (saline_pkg::EventBits),
      .DEPTH(4)
  ) u_ingress (
      .clk_i,
      .rst_ni,
      .valid_i(ingress_valid_i),
      .ready_o(ingress_ready),
      .data_i (ingress_i),
      .valid_o(ingress_valid),
      .ready_i(ready_i && pick),
      .data_o (ingress),
      .level_o(unused_ingress_level)
  );
  // An offer stays once made; else the direction changes with every event.
  assign pick    = held_q ? turn_q : (turn_q ? ingress_valid : !egress_valid);
  assign valid_o = egress_valid || ingress_valid;
  assign event_o = pick ? ingress : egress;
  assign lost_o  = {1'b0, egress_valid_i && !egress_ready}
                   + {1'b0, ingress_valid_i && !ingress_ready};
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      turn_q <= 1'b0;
      held_q <= 1'b0;
    end else if (valid_o) begin
      turn_q <= ready_i ? !pick : pick;
      held_q <= !ready_i;
    end
  end
endmodule

`default_nettype wire
