// Puts head_bytes (0 to 128) in front of a packet: outer headers, ESP header, IV.
//
// One command per packet, in order; the command is taken before the packet's first beat. Byte i of
// the head is command_head_i[8*i +: 8]; bits past head_bytes are ignored. Rate: one beat per clock;
// a packet takes as many clocks as it has beats on the way out.
`default_nettype none

module stream_prepend (
    input  logic             clk_i,
    input  logic             rst_ni,
    input  logic             command_valid_i,
    output logic             command_ready_o,
    input  logic [7:0]       command_head_bytes_i,
    input  logic [1023:0]    command_head_i,
    input  logic             in_valid_i,
    output logic             in_ready_o,
    input  ipsec_pkg::beat_t in_beat_i,
    output logic             out_valid_o,
    input  logic             out_ready_i,
    output ipsec_pkg::beat_t out_beat_o
);
  // `carry` holds what goes out before the next input byte: first the head, then the part of each
  // input beat that the head has pushed into the next output beat.
  logic          active_q;
  logic [1023:0] carry_q;
  logic [1:0]    whole_q;  // output beats that are head alone
  logic [5:0]    rest_q;   // bytes of carry in the beat after those
  logic          flush_q;  // the input has ended, `rest` bytes of it are in carry

  ipsec_pkg::beat_t out_q, out_d;
  logic             out_valid_q;

  logic          advance, emit, done, load;
  logic [7:0]    total;
  logic [1023:0] shifted;

  assign advance    = !out_valid_q || out_ready_i;
  assign in_ready_o = advance && active_q && whole_q == 2'd0 && !flush_q;
  assign emit       = active_q && (whole_q != 2'd0 || flush_q || in_valid_i);
  assign done       = advance && emit && out_d.last;
  assign load       = command_valid_i && command_ready_o;

  assign command_ready_o = !active_q || done;

  always_comb begin
    total   = {2'b00, rest_q} + {1'b0, in_beat_i.bytes};
    shifted = {512'd0, in_beat_i.data} << {rest_q, 3'b000};

    out_d.last  = in_beat_i.last && total <= 8'd64;
    out_d.bytes = in_beat_i.last && total <= 8'd64 ? total[6:0] : 7'd64;
    out_d.data  = carry_q[511:0] | shifted[511:0];
    if (whole_q != 2'd0 || flush_q) begin
      out_d.last  = whole_q == 2'd0;
      out_d.bytes = whole_q == 2'd0 ? {1'b0, rest_q} : 7'd64;
      out_d.data  = carry_q[511:0];
    end
  end

  always_ff @(posedge clk_i) begin
    if (load) begin
      carry_q <= command_head_i & ~({1024{1'b1}} << {command_head_bytes_i, 3'b000});
      whole_q <= command_head_bytes_i[7:6];
      rest_q  <= command_head_bytes_i[5:0];
    end else if (advance && emit) begin
      if (whole_q != 2'd0) begin
        carry_q <= {512'd0, carry_q[1023:512]};
        whole_q <= whole_q - 2'd1;
      end else begin
        carry_q <= {512'd0, shifted[1023:512]};
        if (in_beat_i.last) rest_q <= total[5:0];
      end
    end
    if (advance) out_q <= out_d;
    if (!rst_ni) begin
      active_q    <= 1'b0;
      flush_q     <= 1'b0;
      out_valid_q <= 1'b0;
    end else begin
      if (load) active_q <= 1'b1;
      else if (done) active_q <= 1'b0;
      if (advance) begin
        out_valid_q <= emit;
        if (emit) flush_q <= whole_q == 2'd0 && !flush_q && in_beat_i.last && total > 8'd64;
      end
    end
  end

  assign out_valid_o = out_valid_q;
  assign out_beat_o  = out_q;
endmodule

`default_nettype wire
