// Cuts bytes [offset, offset + bytes) out of a frame and gives them as a stream of their own,
// aligned at byte 0; the tail_bytes (0 to 16) right after them come out as one record.
//
// One command per frame, in order. Each command with drop 0 gives exactly one packet on out and one
// tail record (also when tail_bytes is 0), the record never before the last out beat was taken by
// more than the buffers between: it becomes valid with or after that beat's offer and waits on its
// own channel. Byte i of the tail is tail_o[8*i +: 8], bytes past tail_bytes are zero. A command
// with drop 1 consumes a frame and gives neither. bytes is at least 1 unless drop is 1.
//
// Short frames: a frame that ends before offset + bytes + tail_bytes gives what it has (what is
// missing of the tail is zero) and tail_short_o is 1 in its tail record; a frame with no byte at
// offset gives a single zero byte. It never hangs.
//
// Rate: one beat per clock; a packet takes as many clocks as the longer of its frame and its slice
// needs, plus at most one. The next frame may be taken while the last beat of the slice before it
// still waits.
`default_nettype none

module stream_slice (
    input  logic               clk_i,
    input  logic               rst_ni,
    input  logic               command_valid_i,
    output logic               command_ready_o,
    input  logic [15:0]        command_offset_i,
    input  logic [15:0]        command_bytes_i,
    input  logic [4:0]         command_tail_bytes_i,
    input  logic               command_drop_i,
    input  logic               in_valid_i,
    output logic               in_ready_o,
    input  ipsec_pkg::beat_t   in_beat_i,
    output logic               out_valid_o,
    input  logic               out_ready_i,
    output ipsec_pkg::beat_t   out_beat_o,
    output logic               tail_valid_o,
    input  logic               tail_ready_i,
    output logic [127:0]       tail_o,
    output logic               tail_short_o
);
  // The frame in work. `want` counts slice and tail together: both pass one aligner.
  logic         active_q;
  logic         drop_q;
  logic [9:0]   skip_q;   // whole beats before the slice
  logic [5:0]   shift_q;  // bytes before the slice in its first beat
  logic [16:0]  want_q;
  logic [15:0]  left_q;   // bytes of the slice alone
  logic [4:0]   tail_bytes_q;
  logic         hold_valid_q, ended_q;  // ended: the frame's last beat is in hold
  logic [6:0]   hold_bytes_q;
  logic [511:0] hold_q;

  // One aligned beat on its way to out, to the tail record, or both.
  logic         aligned_valid_q, has_out_q, out_last_q, final_q, short_q;
  logic [6:0]   out_bytes_q;
  logic [4:0]   aligned_tail_bytes_q;
  logic [511:0] aligned_q;
  logic         advance;

  logic        load, take, pass, flush, emit, final_beat, frame_done, fits;
  logic [7:0]  room, have, given;  // bytes at hand for the aligned beat, and given to it
  logic [6:0]  rest;               // bytes of a whole beat from shift on
  logic        discard;

  always_comb begin
    rest    = 7'd64 - {1'b0, shift_q};
    discard = drop_q || want_q == 17'd0;
    // Nothing more is needed than what hold has.
    flush = hold_valid_q && (ended_q || want_q <= {10'd0, rest});
    fits  = want_q <= {10'd0, rest};

    if (flush) have = ended_q ? {1'b0, hold_bytes_q} - {2'b00, shift_q} : {1'b0, rest};
    else if (hold_valid_q) have = {1'b0, rest} + {1'b0, in_beat_i.bytes};
    else if (skip_q != 10'd0 || in_beat_i.bytes <= {1'b0, shift_q}) have = 8'd0;
    else have = {1'b0, in_beat_i.bytes} - {2'b00, shift_q};
    room  = have > 8'd64 ? 8'd64 : have;
    given = want_q < {9'd0, room} ? want_q[7:0] : room;

    // An aligned beat is due; without one the input beat is skipped, held or thrown away.
    pass = !discard && (flush || hold_valid_q || in_beat_i.last
                        || (skip_q == 10'd0 && (fits || shift_q == 6'd0)));
    // It is the packet's last one: all is there, or the frame has no more.
    final_beat = want_q == {9'd0, given}
                 || (flush ? ended_q : in_beat_i.last && have <= 8'd64);
    emit = active_q && advance && pass && (flush || in_valid_i);
    take = active_q && in_valid_i && !flush && (advance || !pass);
    frame_done = (take && in_beat_i.last && (discard || final_beat)) || (emit && flush && ended_q);
    load = command_valid_i && command_ready_o;
  end

  assign in_ready_o      = active_q && !flush && (advance || !pass);
  assign command_ready_o = !active_q || frame_done;

  logic [511:0] low, window;
  always_comb begin
    low = in_beat_i.data;
    if (hold_valid_q) low = hold_q;
    else if (skip_q != 10'd0) low = 512'd0;
    window = 512'({hold_valid_q && !flush ? in_beat_i.data : 512'd0, low} >> {shift_q, 3'b000});
  end

  always_ff @(posedge clk_i) begin
    if (load) begin
      drop_q       <= command_drop_i;
      skip_q       <= command_offset_i[15:6];
      shift_q      <= command_offset_i[5:0];
      want_q       <= {1'b0, command_bytes_i} + {12'd0, command_tail_bytes_i};
      left_q       <= command_bytes_i;
      tail_bytes_q <= command_tail_bytes_i;
    end else begin
      if (take && skip_q != 10'd0) skip_q <= skip_q - 10'd1;
      if (emit) begin
        want_q <= final_beat ? 17'd0 : want_q - {9'd0, given};
        left_q <= left_q <= {8'd0, given} ? 16'd0 : left_q - {8'd0, given};
      end
    end
    if (take) begin
      hold_q       <= in_beat_i.data;
      hold_bytes_q <= in_beat_i.bytes;
    end
    if (!rst_ni) begin
      active_q     <= 1'b0;
      hold_valid_q <= 1'b0;
      ended_q      <= 1'b0;
    end else begin
      if (load) active_q <= 1'b1;
      else if (frame_done) active_q <= 1'b0;
      if (frame_done || (emit && final_beat)) begin
        hold_valid_q <= 1'b0;
        ended_q      <= 1'b0;
      end else if (take && !discard && skip_q == 10'd0 && shift_q != 6'd0) begin
        hold_valid_q <= 1'b1;
        ended_q      <= in_beat_i.last;
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (emit) begin
      aligned_q            <= window;
      has_out_q            <= left_q != 16'd0;
      out_last_q           <= left_q <= {8'd0, given} || final_beat;
      out_bytes_q          <= left_q < {8'd0, given} ? left_q[6:0]
                              : given == 8'd0 ? 7'd1 : given[6:0];
      final_q              <= final_beat;
      short_q              <= want_q != {9'd0, given};
      aligned_tail_bytes_q <= tail_bytes_q;
    end
    if (!rst_ni) aligned_valid_q <= 1'b0;
    else if (advance) aligned_valid_q <= emit;
  end

  // The tail begins after the slice's last byte and may end in a beat of its own.
  logic [127:0] tail_start, tail_part_q, tail;
  logic [6:0]   tail_have_q;
  logic         tail_ready, fire;
  always_comb begin
    tail_start = has_out_q ? 128'(aligned_q >> {out_bytes_q, 3'b000})
                           : tail_part_q | (aligned_q[127:0] << {tail_have_q, 3'b000});
    tail       = tail_start & ~({128{1'b1}} << {aligned_tail_bytes_q, 3'b000});
  end
  always_ff @(posedge clk_i) begin
    if (fire && has_out_q) begin
      tail_part_q <= tail_start;
      tail_have_q <= 7'd64 - out_bytes_q;
    end
  end

  assign fire        = aligned_valid_q && (!has_out_q || out_ready_i) && (!final_q || tail_ready);
  assign advance     = !aligned_valid_q || fire;
  assign out_valid_o = aligned_valid_q && has_out_q && (!final_q || tail_ready);
  always_comb begin
    out_beat_o.last  = out_last_q;
    out_beat_o.bytes = out_bytes_q;
    out_beat_o.data  = aligned_q & ~({512{1'b1}} << {out_bytes_q, 3'b000});
  end

  logic [2:0] unused_level;
  stream_fifo #(
      .W    (129),
      .DEPTH(4)
  ) u_tails (
      .clk_i,
      .rst_ni,
      .valid_i(fire && final_q),
      .ready_o(tail_ready),
      .data_i ({short_q, tail}),
      .valid_o(tail_valid_o),
      .ready_i(tail_ready_i),
      .data_o ({tail_short_o, tail_o}),
      .level_o(unused_level)
  );
endmodule

`default_nettype wire
