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

  // First bytes of a frame, zero past its end. bytes is the length of the whole frame.
  typedef struct packed {
    logic          damaged;   // the MAC said so
    logic          too_long;  // longer than FrameBytesMax, the rest is gone
    logic [15:0]   bytes;
    logic [1023:0] data;      // byte i at [8*i +: 8]
  } head_t;

  // What ipsec_parse found. Offsets count from the first byte of the frame. Without `ip` nothing
  // else holds; with `broken` only ipv6 and vlan do; with `deep` the upper protocol is unknown.
  typedef struct packed {
    logic         ip;        // the Ethernet type says IPv4 or IPv6
    logic         ipv6;
    logic         vlan;      // one 802.1Q tag; the IP header begins at 18, else at 14
    logic         broken;    // lengths, options or extension headers do not agree
    logic         deep;      // the upper header begins too late for the head window
    logic         routed;    // a source route or routing header is not used up
    logic         fragment;  // MF or an offset; in IPv6 any fragment header
    logic         ports;     // ports are known; ICMP: type and code
    logic [7:0]   protocol;  // first header that is no IPv6 extension header, ESP and AH included
    logic [7:0]   upper;     // where that begins
    logic [7:0]   field;     // the byte that names it
    logic [7:0]   insert;    // where a transport mode header goes; RFC 4303 §3.1.1
    logic [7:0]   insert_field;
    logic [7:0]   insert_protocol;
    logic [15:0]  source_port;
    logic [15:0]  destination_port;
    logic [15:0]  ip_end;    // end of the IP packet; Ethernet padding may follow
    logic [127:0] source;    // IPv4 in the first four bytes (most significant)
    logic [127:0] destination;
  } headers_t;

  // One packet's entry into the books of its SA (ipsec_account).
  typedef struct packed {
    logic [15:0] index;
    logic [15:0] epoch;     // of the slot when the context was read
    logic [15:0] tag;
    logic [7:0]  reason;    // refused for this already: counted, nothing else
    logic [7:0]  late;      // inbound, refused after its ICV was found good: takes its number
    logic        esn;
    logic [7:0]  replay_words;
    logic [63:0] number;    // inbound: sequence number
    logic [15:0] octets;
    logic [63:0] packets_soft;
    logic [63:0] packets_hard;
    logic [63:0] bytes_soft;
    logic [63:0] bytes_hard;
  } account_t;

  // What goes with an inbound frame from admission to the gate.
  typedef struct packed {
    logic     text;       // its text, or the whole frame, is in the stream
    logic     candidate;  // the text is to be verified
    logic     held;       // an SA was found
    logic     deliver;    // if refused: deliver the head, flagged
    logic     esp;        // ESP that is left alone
    logic     tunnel;
    logic     ecn_copy;
    logic [31:0] spi;
    logic [15:0] text_bytes;
    account_t account;    // of the SA; reason also without one
    headers_t headers;
    head_t    head;
  } arrival_t;

  // How a frame leaves: `bytes` of the stored text from `offset` on behind head_bytes of head.
  // single: no text leaves; one byte stands for it.
  typedef struct packed {
    logic          cut;        // a slice of the text is used
    logic          consume;    // there is text to take out of the stream, used or not
    logic          send;       // something leaves
    logic          single;
    logic [7:0]    single_byte;
    logic [15:0]   offset;
    logic [15:0]   bytes;
    logic [7:0]    head_bytes;
    logic [1023:0] head;       // byte i at [8*i +: 8]
  } release_t;

  // Bytes in the other order.
  function automatic logic [31:0] flip32(input logic [31:0] value);
    for (int i = 0; i < 4; i++) flip32[8*i +: 8] = value[8*(3-i) +: 8];
  endfunction
  function automatic logic [63:0] flip64(input logic [63:0] value);
    for (int i = 0; i < 8; i++) flip64[8*i +: 8] = value[8*(7-i) +: 8];
  endfunction
  function automatic logic [127:0] flip128(input logic [127:0] value);
    for (int i = 0; i < 16; i++) flip128[8*i +: 8] = value[8*(15-i) +: 8];
  endfunction

endpackage

`default_nettype wire
