// Transmit frames: turns descriptors into frames for the engine, in order.
//
// Reads each frame in bursts that stay inside a 4 KiB page, several under way, from any byte
// address, and hands it on aligned at byte 0, its descriptor first. A frame is handed on only
// when all of it has been read, so that a read error drops it whole. done_o pulses per descriptor
// when its buffer may be used again, in order. drop_o pulses with a reason for a descriptor that
// gives no frame: Dma when it or its frame met a bus error, Malformed for a bad length.
`default_nettype none

module dma_read #(
    parameter int unsigned DEPTH = 512  // beats of read data; at least one largest frame (258)
) (
    input  logic                       clk_i,
    input  logic                       rst_ni,
    output logic                       busy_o,
    input  logic                       descriptor_valid_i,
    output logic                       descriptor_ready_o,
    input  saline_pkg::tx_descriptor_t descriptor_i,
    input  logic                       descriptor_error_i,
    output logic                       ar_valid_o,
    input  logic                       ar_ready_i,
    output logic [63:0]                ar_address_o,
    output logic [7:0]                 ar_len_o,
    input  logic                       r_valid_i,
    input  logic [511:0]               r_data_i,
    input  logic                       r_last_i,
    input  logic                       r_error_i,
    output logic                       meta_valid_o,
    input  logic                       meta_ready_i,
    output saline_pkg::tx_descriptor_t meta_o,
    output logic                       out_valid_o,
    input  logic                       out_ready_i,
    output ipsec_pkg::beat_t           out_beat_o,
    output logic                       done_o,
    output logic                       drop_o,
    output logic [7:0]                 drop_reason_o
);
  localparam int unsigned LevelBits  = $clog2(DEPTH) + 1;
  localparam int unsigned Frames     = 64;  // and bursts under way
  localparam int unsigned MetaBits   = saline_pkg::TxDescriptorBits;
  localparam logic [15:0] BytesMin   = 16'd14;
  localparam logic [15:0] BytesMax   = 16'(saline_pkg::FrameBytesMax);

  // ---- Asking: the frame's beats left to ask for, burst by burst
  logic [63:6] line_q;
  logic [8:0]  left_q;
  logic [LevelBits-1:0] reserved_q;
  logic        ar_valid_q;
  logic [63:6] ar_line_q;
  logic [7:0]  ar_len_q;

  logic [16:0] span;      // bytes from the first beat's begin to the frame's end
  logic [8:0]  beats;     // of the frame
  logic [6:0]  to_page;
  logic [8:0]  burst;
  logic [7:0]  reason;
  logic        start, accept, frames_ready, bursts_ready, take;
  always_comb begin
    span   = {1'b0, descriptor_i.bytes} + {11'd0, descriptor_i.address[5:0]};
    beats  = 9'((span + 17'd63) >> 6);
    reason = saline_pkg::DropReasonNone;
    if (descriptor_i.bytes < BytesMin || descriptor_i.bytes > BytesMax) begin
      reason = saline_pkg::DropReasonMalformed;
    end
    if (descriptor_error_i) reason = saline_pkg::DropReasonDma;
    to_page = 7'd64 - {1'b0, line_q[11:6]};
    burst   = left_q < {2'd0, to_page} ? left_q : {2'd0, to_page};
    start   = left_q != 9'd0 && bursts_ready && (!ar_valid_q || ar_ready_i)
              && reserved_q + LevelBits'(burst) <= LevelBits'(DEPTH);
    accept  = descriptor_valid_i && descriptor_ready_o;
  end
  assign descriptor_ready_o = left_q == 9'd0 && frames_ready;

  always_ff @(posedge clk_i) begin
    if (accept) begin
      line_q <= descriptor_i.address[63:6];
    end else if (start) begin
      line_q <= line_q + {49'd0, burst};
    end
    if (start) begin
      ar_line_q <= line_q;
      ar_len_q  <= 8'(burst - 9'd1);
    end
    if (!rst_ni) begin
      left_q     <= '0;
      reserved_q <= '0;
      ar_valid_q <= 1'b0;
    end else begin
      if (accept) left_q <= reason == saline_pkg::DropReasonNone ? beats : 9'd0;
      else if (start) left_q <= left_q - burst;
      if (start) ar_valid_q <= 1'b1;
      else if (ar_ready_i) ar_valid_q <= 1'b0;
      reserved_q <= reserved_q + (start ? LevelBits'(burst) : '0) - LevelBits'(take);
    end
  end
  assign ar_valid_o   = ar_valid_q;
  assign ar_address_o = {ar_line_q, 6'd0};
  assign ar_len_o     = ar_len_q;

  // ---- Answers: `ends` says of each burst under way whether it is its frame's last
  logic       unused_ends_valid, ends, frame_end, bad_q;
  logic [$clog2(Frames):0] unused_ends_level;
  stream_fifo #(
      .W    (1),
      .DEPTH(Frames)
  ) u_bursts (
      .clk_i,
      .rst_ni,
      .valid_i(start),
      .ready_o(bursts_ready),
      .data_i (left_q == burst),
      .valid_o(unused_ends_valid),
      .ready_i(r_valid_i && r_last_i),
      .data_o (ends),
      .level_o(unused_ends_level)
  );
  assign frame_end = r_valid_i && r_last_i && ends;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) bad_q <= 1'b0;
    else if (r_valid_i) bad_q <= !frame_end && (bad_q || r_error_i);
  end

  logic         beat_valid, beat_last, unused_beat_ready;
  logic [511:0] beat;
  logic [LevelBits-1:0] unused_level;
  stream_fifo #(
      .W    (513),
      .DEPTH(DEPTH)
  ) u_beats (
      .clk_i,
      .rst_ni,
      .valid_i(r_valid_i),
      .ready_o(unused_beat_ready),  // room is reserved
      .data_i ({frame_end, r_data_i}),
      .valid_o(beat_valid),
      .ready_i(take),
      .data_o ({beat_last, beat}),
      .level_o(unused_level)
  );

  // ---- Frames asked for, and of those the ones that are here: at most one beat count each
  saline_pkg::tx_descriptor_t head;
  logic [7:0] head_reason;
  logic       head_valid, head_take;
  logic       here, here_bad, here_take, unused_here_ready;
  logic [$clog2(Frames):0] unused_frames_level;
  logic [$clog2(Frames):0] unused_here_level;
  stream_fifo #(
      .W    (MetaBits + 8),
      .DEPTH(Frames)
  ) u_frames (
      .clk_i,
      .rst_ni,
      .valid_i(accept),
      .ready_o(frames_ready),
      .data_i ({reason, descriptor_i}),
      .valid_o(head_valid),
      .ready_i(head_take),
      .data_o ({head_reason, head}),
      .level_o(unused_frames_level)
  );
  stream_fifo #(
      .W    (1),
      .DEPTH(Frames)
  ) u_here (
      .clk_i,
      .rst_ni,
      .valid_i(frame_end),
      .ready_o(unused_here_ready),  // no more than frames asked for
      .data_i (bad_q || r_error_i),
      .valid_o(here),
      .ready_i(here_take),
      .data_o (here_bad),
      .level_o(unused_here_level)
  );

  // ---- Handing on: meta to the engine and the cut to the aligner, each taken once per frame
  logic wanted, void_head, cut_ready, meta_done_q, cut_done_q, meta_now, cut_now, slice_busy_q;
  assign wanted    = head_valid && head_reason == saline_pkg::DropReasonNone && here;
  assign void_head = head_valid && head_reason != saline_pkg::DropReasonNone;
  assign meta_valid_o = wanted && !here_bad && !meta_done_q;
  assign meta_o       = head;
  assign meta_now  = here_bad || meta_done_q || meta_ready_i;
  assign cut_now   = cut_done_q || cut_ready;
  assign here_take = wanted && meta_now && cut_now;
  assign head_take = here_take || void_head;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      meta_done_q <= 1'b0;
      cut_done_q  <= 1'b0;
    end else if (wanted) begin
      meta_done_q <= !here_take && (meta_done_q || (meta_valid_o && meta_ready_i));
      cut_done_q  <= !here_take && (cut_done_q || cut_ready);
    end
  end

  assign done_o        = head_take;
  assign drop_o        = void_head || (here_take && here_bad);
  assign drop_reason_o = void_head ? head_reason : saline_pkg::DropReasonDma;

  logic             slice_ready;
  ipsec_pkg::beat_t raw;
  logic             unused_tail_valid, unused_tail_short;
  logic [127:0]     unused_tail;
  assign take = beat_valid && slice_ready;
  always_comb begin
    raw.last  = beat_last;
    raw.bytes = 7'd64;
    raw.data  = beat;
  end
  stream_slice u_align (
      .clk_i,
      .rst_ni,
      .command_valid_i(wanted && !cut_done_q),
      .command_ready_o(cut_ready),
      .command_offset_i({10'd0, head.address[5:0]}),
      .command_bytes_i(head.bytes),
      .command_tail_bytes_i(5'd0),
      .command_drop_i(here_bad),
      .in_valid_i(beat_valid),
      .in_ready_o(slice_ready),
      .in_beat_i(raw),
      .out_valid_o,
      .out_ready_i,
      .out_beat_o,
      .tail_valid_o(unused_tail_valid),
      .tail_ready_i(1'b1),
      .tail_o(unused_tail),
      .tail_short_o(unused_tail_short)
  );
  always_ff @(posedge clk_i) begin
    if (!rst_ni) slice_busy_q <= 1'b0;
    else slice_busy_q <= beat_valid || out_valid_o;
  end

  assign busy_o = left_q != 9'd0 || head_valid || beat_valid || out_valid_o || slice_busy_q;
endmodule

`default_nettype wire
