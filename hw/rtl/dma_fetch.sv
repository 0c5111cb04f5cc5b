// Descriptor ring reader: fetches posted descriptors in bursts and gives them out one at a time.
//
// A ring has 1 << size_log2_i entries of 32 bytes (2 to 15; any other value: no ring), `tail_i` is
// the free-running count of posted entries. While run_i is 1, posted entries are fetched ahead, at
// most 8 in one burst, which stays inside the ring and a 4 KiB page; several bursts may be under
// way. Room for the answer is reserved before a burst is asked for: read data is always taken.
// An entry whose read was answered with an error comes out with error_o set, its content is void.
// posted_o: entries are posted, under way or waiting here. busy_o: a burst is under way.
// Indices start at 0 after reset, which is how a ring starts anew.
`default_nettype none

module dma_fetch (
    input  logic         clk_i,
    input  logic         rst_ni,
    input  logic         run_i,
    input  logic [63:6]  base_i,
    input  logic [3:0]   size_log2_i,
    input  logic [15:0]  tail_i,
    output logic         posted_o,
    output logic         busy_o,
    output logic         ar_valid_o,
    input  logic         ar_ready_i,
    output logic [63:0]  ar_address_o,
    output logic [7:0]   ar_len_o,
    input  logic         r_valid_i,
    input  logic [511:0] r_data_i,
    input  logic         r_error_i,
    // descriptors, first byte most significant
    output logic         valid_o,
    input  logic         ready_i,
    output logic [255:0] descriptor_o,
    output logic         error_o
);
  localparam int unsigned Depth  = 32;  // beats of two entries
  localparam int unsigned Bursts = 8;

  // ---- Asking
  logic [15:0] next_q;      // first entry not yet asked for
  logic [5:0]  reserved_q;  // beats asked for and not yet given out
  logic        ar_valid_q;
  logic [63:6] ar_line_q;
  logic [7:0]  ar_len_q;

  logic [15:0] mask, slot, posted, to_end;
  logic [63:6] line;
  logic [6:0]  to_page;     // beats up to the next 4 KiB boundary
  logic [3:0]  count;       // entries of the next burst
  logic [2:0]  beats;
  logic        ring_ok, start, bursts_ready, take;
  always_comb begin
    mask    = (16'd1 << size_log2_i) - 16'd1;
    slot    = next_q & mask;
    posted  = tail_i - next_q;
    to_end  = mask - slot + 16'd1;
    ring_ok = size_log2_i >= 4'd2;
    line    = base_i + {43'd0, slot[15:1]};
    to_page = 7'd64 - {1'b0, line[11:6]};
    // An entry in the second half of its beat has one fewer behind it.
    count = (to_page < 7'd4 ? {1'b0, to_page[1:0], 1'b0} : 4'd8) - {3'd0, slot[0]};
    if (posted < {12'd0, count}) count = posted[3:0];
    if (to_end < {12'd0, count}) count = to_end[3:0];
    beats = 3'((count + {3'd0, slot[0]} + 4'd1) >> 1);
    start = run_i && ring_ok && posted != 16'd0 && bursts_ready && (!ar_valid_q || ar_ready_i)
            && reserved_q <= 6'(Depth - 4);
  end

  always_ff @(posedge clk_i) begin
    if (start) begin
      ar_line_q <= line;
      ar_len_q  <= {5'd0, beats} - 8'd1;
    end
    if (!rst_ni) begin
      next_q     <= '0;
      reserved_q <= '0;
      ar_valid_q <= 1'b0;
    end else begin
      if (start) next_q <= next_q + {12'd0, count};
      if (start) ar_valid_q <= 1'b1;
      else if (ar_ready_i) ar_valid_q <= 1'b0;
      reserved_q <= reserved_q + (start ? {3'd0, beats} : 6'd0) - {5'd0, take};
    end
  end
  assign ar_valid_o   = ar_valid_q;
  assign ar_address_o = {ar_line_q, 6'd0};
  assign ar_len_o     = ar_len_q;

  // ---- Answers: bursts come back in order; which halves of each beat hold an entry of theirs
  logic       burst_valid, burst_odd, burst_end;
  logic [3:0] burst_count, burst_left, left_q;
  logic       begun_q;  // left_q counts the entries of the burst still to come
  logic       first, second;
  logic [3:0] unused_bursts;
  stream_fifo #(
      .W    (5),
      .DEPTH(Bursts)
  ) u_bursts (
      .clk_i,
      .rst_ni,
      .valid_i(start),
      .ready_o(bursts_ready),
      .data_i ({slot[0], count}),
      .valid_o(burst_valid),
      .ready_i(burst_end),
      .data_o ({burst_odd, burst_count}),
      .level_o(unused_bursts)
  );
  always_comb begin
    burst_left = begun_q ? left_q : burst_count;
    first      = begun_q || !burst_odd;
    second     = !first || burst_left != 4'd1;
    burst_end  = r_valid_i && burst_left == {3'd0, first} + {3'd0, second};
  end
  always_ff @(posedge clk_i) begin
    if (r_valid_i) left_q <= burst_left - {3'd0, first} - {3'd0, second};
    if (!rst_ni) begun_q <= 1'b0;
    else if (r_valid_i) begun_q <= !burst_end;
  end

  logic         beat_valid, beat_error, beat_first, beat_second;
  logic [511:0] beat;
  logic         unused_ready;  // room is reserved
  logic [$clog2(Depth):0] unused_level;
  stream_fifo #(
      .W    (515),
      .DEPTH(Depth)
  ) u_beats (
      .clk_i,
      .rst_ni,
      .valid_i(r_valid_i),
      .ready_o(unused_ready),
      .data_i ({r_error_i, first, second, r_data_i}),
      .valid_o(beat_valid),
      .ready_i(take),
      .data_o ({beat_error, beat_first, beat_second, beat}),
      .level_o(unused_level)
  );

  // ---- Giving: the second half in turn, because the first has been given or there is none
  logic         half_q, half;
  logic [255:0] entry;
  assign half    = half_q || !beat_first;
  assign entry   = half ? beat[511:256] : beat[255:0];
  assign take    = beat_valid && ready_i && (half || !beat_second);
  assign valid_o = beat_valid;
  assign error_o = beat_error;
  always_comb begin
    descriptor_o = '0;
    for (int i = 0; i < 32; i++) descriptor_o[8*(31-i) +: 8] = entry[8*i +: 8];
  end
  always_ff @(posedge clk_i) begin
    if (!rst_ni) half_q <= 1'b0;
    else if (beat_valid && ready_i) half_q <= !take;
  end

  assign busy_o   = burst_valid || ar_valid_q;
  assign posted_o = (run_i && ring_ok && posted != 16'd0) || busy_o || beat_valid;
endmodule

`default_nettype wire
