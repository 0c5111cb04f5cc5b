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
endmodule

`default_nettype wire
