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
  // A command in waiting, its lengths less one: counts of beats and last bytes are then bit fields.
  logic        plan_q, plan_drop_q;
  logic [15:0] plan_offset_q, plan_slice_q;
  logic [16:0] plan_both_q;  // slice and tail
  logic [4:0]  plan_tail_bytes_q;
  logic        load;
  assign command_ready_o = !plan_q || load;
  always_ff @(posedge clk_i) begin
    if (command_ready_o) begin
      plan_drop_q       <= command_drop_i;
      plan_offset_q     <= command_offset_i;
      plan_slice_q      <= command_bytes_i - 16'd1;
      plan_both_q       <= {1'b0, command_bytes_i} + {12'd0, command_tail_bytes_i} - 17'd1;
      plan_tail_bytes_q <= command_tail_bytes_i;
    end
    if (!rst_ni) plan_q <= 1'b0;
    else if (command_ready_o) plan_q <= command_valid_i;
  end

  // The frame in work. Slice and tail pass one aligner, as if they were one slice.
  logic         active_q, discard_q;    // discard: what is left of the frame is of no use
  logic         skipping_q;             // whole beats before the slice are left
  logic [9:0]   skip_q;
  logic [5:0]   shift_q;                // bytes before the slice in its first beat
  logic         shifted_q;              // shift is not 0
  logic [10:0]  both_left_q;            // aligned beats after the coming one
  logic [9:0]   slice_left_q;           // the same, up to the slice's end
  logic         both_last_q, slice_last_q, slice_done_q;
  logic [5:0]   both_rest_q, slice_rest_q;  // bytes in the last of them, less one
  logic         fits_q;                 // the last aligned beat needs only one beat of the frame
  logic [4:0]   tail_bytes_q;
  logic         hold_valid_q, ended_q;  // ended: the frame's last beat is in hold
  logic [6:0]   hold_bytes_q;
  logic [511:0] hold_q;

  logic advance, take, pass, flush, emit, final_beat, frame_done, short_beat;
  always_comb begin
    // Hold has all that is needed, or all there is.
    flush = hold_valid_q && (ended_q || (both_last_q && fits_q));
    // An aligned beat is due; without one the input beat is skipped, held or thrown away.
    pass = !discard_q && (flush || hold_valid_q || in_beat_i.last
                          || (!skipping_q && (!shifted_q || (both_last_q && fits_q))));
    // It is the packet's last one: all is there, or the frame has no more.
    short_beat = in_beat_i.bytes <= {1'b0, shift_q};
    final_beat = both_last_q
                 || (flush ? ended_q : in_beat_i.last && (!hold_valid_q || short_beat));
    emit       = active_q && advance && pass && (flush || in_valid_i);
    take       = active_q && in_valid_i && !flush && (advance || !pass);
    frame_done = (take && in_beat_i.last && (discard_q || final_beat))
                 || (emit && flush && ended_q);
    load       = plan_q && (!active_q || frame_done);
  end
  assign in_ready_o = active_q && !flush && (advance || !pass);

  always_ff @(posedge clk_i) begin
    if (load) begin
      skip_q       <= plan_offset_q[15:6];
      shift_q      <= plan_offset_q[5:0];
      shifted_q    <= plan_offset_q[5:0] != 6'd0;
      both_left_q  <= plan_both_q[16:6];
      both_rest_q  <= plan_both_q[5:0];
      both_last_q  <= plan_both_q[16:6] == 11'd0;
      slice_left_q <= plan_slice_q[15:6];
      slice_rest_q <= plan_slice_q[5:0];
      slice_last_q <= plan_slice_q[15:6] == 10'd0;
      slice_done_q <= 1'b0;
      fits_q       <= {1'b0, plan_both_q[5:0]} + {1'b0, plan_offset_q[5:0]} < 7'd64;
      tail_bytes_q <= plan_tail_bytes_q;
    end else begin
      if (take && skipping_q) skip_q <= skip_q - 10'd1;
      if (emit) begin
        both_left_q  <= both_left_q - 11'd1;
        both_last_q  <= both_left_q == 11'd1;
        slice_left_q <= slice_left_q - 10'd1;
        slice_last_q <= slice_left_q == 10'd1;
        if (slice_last_q) slice_done_q <= 1'b1;
      end
    end
    if (take) begin
      hold_q       <= in_beat_i.data;
      hold_bytes_q <= in_beat_i.bytes;
    end
    if (!rst_ni) begin
      active_q     <= 1'b0;
      discard_q    <= 1'b0;
      skipping_q   <= 1'b0;
      hold_valid_q <= 1'b0;
      ended_q      <= 1'b0;
    end else begin
      if (load) begin
        active_q   <= 1'b1;
        discard_q  <= plan_drop_q;
        skipping_q <= plan_offset_q[15:6] != 10'd0;
      end else begin
        if (frame_done) active_q <= 1'b0;
        if (emit && final_beat) discard_q <= 1'b1;
        if (take && skip_q == 10'd1) skipping_q <= 1'b0;
      end
      if (frame_done || (emit && final_beat)) begin
        hold_valid_q <= 1'b0;
        ended_q      <= 1'b0;
      end else if (take && !discard_q && !skipping_q && shifted_q) begin
        hold_valid_q <= 1'b1;
        ended_q      <= in_beat_i.last;
      end
    end
  end

  // The aligned beat, and the bytes there are for it (up to 127, or 0 and below).
  logic [511:0] low, window;
  logic [7:0]   source_bytes;
  always_comb begin
    low          = in_beat_i.data;
    source_bytes = {1'b0, in_beat_i.bytes};
    if (hold_valid_q) begin
      low          = hold_q;
      source_bytes = 8'd64 + {1'b0, in_beat_i.bytes};
      if (flush) source_bytes = ended_q ? {1'b0, hold_bytes_q} : 8'd64;
    end else if (skipping_q) begin
      low          = 512'd0;
      source_bytes = 8'd0;
    end
    window = 512'({hold_valid_q && !flush ? in_beat_i.data : 512'd0, low} >> {shift_q, 3'b000});
  end

  // On its way to out, to the tail record, or both.
  logic         aligned_q, has_out_q, out_last_q, final_q;
  logic [511:0] aligned_data_q;
  logic [8:0]   have_q;               // signed
  logic [6:0]   out_limit_q, need_q;  // bytes wanted of the slice, and of slice and tail
  logic [4:0]   aligned_tail_bytes_q;
  always_ff @(posedge clk_i) begin
    if (emit) begin
      aligned_data_q       <= window;
      have_q               <= {1'b0, source_bytes} - {3'b000, shift_q};
      has_out_q            <= !slice_done_q;
      out_last_q           <= slice_last_q || final_beat;
      out_limit_q          <= slice_last_q ? {1'b0, slice_rest_q} + 7'd1 : 7'd64;
      need_q               <= both_last_q ? {1'b0, both_rest_q} + 7'd1 : 7'd64;
      final_q              <= final_beat;
      aligned_tail_bytes_q <= tail_bytes_q;
    end
    if (!rst_ni) aligned_q <= 1'b0;
    else if (advance) aligned_q <= emit;
  end

  // The tail begins after the slice's last byte and may end in a beat of its own. A frame's bytes
  // past its end are zero, so a short frame needs no other mask.
  logic [127:0] tail_start, tail_part_q, tail;
  logic [6:0]   tail_have_q;
  logic         tail_ready, fire, is_short, ended_early;
  logic         both_complete_q;  // the beat is the last that was wanted
  always_comb begin
    is_short    = have_q[8] || have_q[7:0] < {1'b0, need_q};
    ended_early = is_short || !both_complete_q;
    tail_start  = has_out_q ? 128'(aligned_data_q >> {out_limit_q, 3'b000})
                            : tail_part_q | (aligned_data_q[127:0] << {tail_have_q, 3'b000});
    tail        = tail_start & ~({128{1'b1}} << {aligned_tail_bytes_q, 3'b000});
  end
  always_ff @(posedge clk_i) begin
    if (emit) both_complete_q <= both_last_q;
    if (fire && has_out_q) begin
      tail_part_q <= tail_start;
      tail_have_q <= 7'd64 - out_limit_q;
    end
  end

  assign fire        = aligned_q && (!has_out_q || out_ready_i) && (!final_q || tail_ready);
  assign advance     = !aligned_q || fire;
  assign out_valid_o = aligned_q && has_out_q && (!final_q || tail_ready);
  always_comb begin
    out_beat_o.last  = out_last_q;
    out_beat_o.bytes = out_limit_q;
    if (have_q[8] || have_q[7:0] == 8'd0) out_beat_o.bytes = 7'd1;
    else if (have_q[7:0] < {1'b0, out_limit_q}) out_beat_o.bytes = have_q[6:0];
    out_beat_o.data = aligned_data_q & ~({512{1'b1}} << {out_limit_q, 3'b000});
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
      .data_i ({ended_early, tail}),
      .valid_o(tail_valid_o),
      .ready_i(tail_ready_i),
      .data_o ({tail_short_o, tail_o}),
      .level_o(unused_level)
  );
endmodule

`default_nettype wire
