// Types that the stages of the engine hand to each other; nothing here is visible to the host.
//
// Streams. A frame travels as beats of 64 bytes: frame byte i of a beat is data[8*i +: 8], `bytes`
// is 64 except in the last beat (1 to 64), bytes past it are zero. Ready/valid on every channel;
// valid never waits for ready and, once up, stays with its data until taken. A stage may take data
// before the meta that describes it has been taken, but never the other way round.
//
// Meta. One record per frame travels on a channel of its own beside the frame: a stage takes the
// meta first, then the beats up to `last`. Records are packed structs passed whole at module level
// (the dialect of Verilator 5.006 and yosys 0.23).
`default_nettype none

package ipsec_pkg;

  localparam int unsigned BeatBytes = 64;
  localparam int unsigned HeadBytes = 128;  // header window kept with each frame

  typedef struct packed {
    logic         last;
    logic [6:0]   bytes;
    logic [511:0] data;
  } beat_t;

  // What a suite needs to know of one packet. Byte i of aad, iv and icv is at [8*i +: 8], as in
  // streams; key and hash_powers are as in the SA context (first byte is most significant).
  typedef struct packed {
    logic [7:0]   suite;        // saline_pkg::Suite*; None: the text passes unchanged, icv is zero
    logic         encrypt;      // 1: the icv is over the output; 0: over the input
    logic [255:0] key;
    logic [511:0] hash_powers;
    logic [31:0]  salt;         // byte i at [8*i +: 8]
    logic [63:0]  iv;
    logic [95:0]  aad;          // SPI, ESN high half if any, sequence number
    logic [3:0]   aad_bytes;    // 8, or 12 with ESN
    logic [15:0]  bytes;        // length of the text, at least 1
  } job_t;

  // The driver's rings as the registers hold them: lines of 64 bytes, sizes as powers of two (below
  // 2: no ring), and the driver's free-running counts.
  typedef struct packed {
    logic [63:6] tx_base;
    logic [63:6] tx_head;
    logic [3:0]  tx_size_log2;
    logic [15:0] tx_tail;
    logic [63:6] rx_base;
    logic [63:6] rx_done;
    logic [3:0]  rx_size_log2;
    logic [15:0] rx_tail;
    logic [63:6] event_base;
    logic [3:0]  event_size_log2;
    logic [15:0] event_head;
  } rings_t;

endpackage

`default_nettype wire
