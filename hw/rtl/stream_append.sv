// Adds tail_bytes (0 to 32) after the last byte of a packet: trailer, ICV.
//
// One command per packet, in order. Byte i of the tail is command_tail_i[8*i +: 8]; bits past
// tail_bytes are ignored. The command may come long after the packet: all beats but the last pass
// without it, the last waits for it. Rate: one beat per clock, one clock more when the tail
// spills into a beat of its own.
`default_nettype none

module stream_append (
    input  logic             clk_i,
    input  logic             rst_ni,
    input  logic             command_valid_i,
    output logic             command_ready_o,
    input  logic [5:0]       command_tail_bytes_i,
    input  logic [255:0]     command_tail_i,
    input  logic             in_valid_i,
    output logic             in_ready_o,
    input  ipsec_pkg::beat_t in_beat_i,
    output logic             out_valid_o,
    input  logic             out_ready_i,
    output ipsec_pkg::beat_t out_beat_o
);
  ipsec_pkg::beat_t out_q, out_d;
  logic             out_valid_q;
  logic             spill_q;  // the rest of a tail is due in a beat of its own
  logic [5:0]       spill_bytes_q;
  logic [255:0]     spill_data_q;

  logic         advance, take;
  logic [255:0] tail;
  logic [767:0] shifted;
  logic [7:0]   total;

  assign advance = !out_valid_q || out_ready_i;
  assign take    = advance && !spill_q && in_valid_i && (!in_beat_i.last || command_valid_i);

  assign in_ready_o      = take;
  assign command_ready_o = take && in_beat_i.last;

  always_comb begin
    tail    = command_tail_i & ~({256{1'b1}} << {command_tail_bytes_i, 3'b000});
    shifted = {512'd0, tail} << {in_beat_i.bytes, 3'b000};
    total   = {1'b0, in_beat_i.bytes} + {2'b00, command_tail_bytes_i};

    out_d = in_beat_i;
    if (spill_q) begin
      out_d.last  = 1'b1;
      out_d.bytes = {1'b0, spill_bytes_q};
      out_d.data  = {256'd0, spill_data_q};
    end else if (in_beat_i.last) begin
      out_d.last  = total <= 8'd64;
      out_d.bytes = total <= 8'd64 ? total[6:0] : 7'd64;
      out_d.data  = in_beat_i.data | shifted[511:0];
    end
  end

  always_ff @(posedge clk_i) begin
    if (advance) out_q <= out_d;
    if (take) begin
      spill_bytes_q <= total[5:0];
      spill_data_q  <= shifted[767:512];
    end
    if (!rst_ni) begin
      out_valid_q <= 1'b0;
      spill_q     <= 1'b0;
    end else if (advance) begin
      out_valid_q <= take || spill_q;
      spill_q     <= take && in_beat_i.last && total > 8'd64;
    end
  end

  assign out_valid_o = out_valid_q;
  assign out_beat_o  = out_q;
endmodule

`default_nettype wire
