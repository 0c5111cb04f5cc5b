// The books of the SAs of one direction: packets and octets against their lifetimes (RFC 4301
// §4.4.2.1), refused packets, events, and, through the number port, sequence numbers or windows.
// The one place that writes any of them: one packet at a time, in order, so that two copies of a
// packet cannot both pass. 3 clocks per entry, one more per event.
//
// An entry whose epoch is not the slot's any more belongs to an SA that is gone: refused, nothing
// is written. Otherwise: refused already (reason): counted. Number or lifetime refuse: counted.
// Else its number is taken, and it is counted as passed, or as refused for `late`. The packet that
// reaches a hard lifetime still passes, the next does not.
//
// The number port is that of ipsec_number (INBOUND 0) or ipsec_replay (INBOUND 1).
`default_nettype none

module ipsec_account #(
    parameter bit          INBOUND = 0,
    parameter int unsigned SLOTS   = 256
) (
    input  logic                     clk_i,
    input  logic                     rst_ni,
    // entries; the reply comes two clocks after the entry was taken
    input  logic                     valid_i,
    output logic                     ready_o,
    input  ipsec_pkg::account_t      entry_i,
    output logic                     reply_valid_o,
    output logic [7:0]               reply_reason_o,
    output logic [63:0]              reply_number_o,
    output logic [15:0]              epoch_index_o,
    input  logic [15:0]              epoch_i,
    // numbers
    output logic                     number_read_o,
    output logic [15:0]              number_index_o,
    output logic [63:0]              number_o,
    output logic [7:0]               number_words_o,
    output logic                     number_esn_o,
    input  logic                     number_ok_i,
    input  logic                     number_last_i,
    input  logic [63:0]              number_next_i,
    input  logic [63:0]              number_top_i,
    output logic                     number_write_o,
    output logic                     number_init_o,
    input  logic                     number_init_done_i,
    // a new SA
    input  logic                     init_valid_i,
    output logic                     init_done_o,
    input  logic [15:0]              init_index_i,
    input  logic [63:0]              init_number_i,
    // used so far: one clock after peek_i
    input  logic                     peek_i,
    input  logic [15:0]              peek_index_i,
    output logic [63:0]              peek_packets_o,
    output logic [63:0]              peek_octets_o,
    // counter window
    input  logic                     count_valid_i,
    input  logic [15:0]              count_index_i,
    output logic                     count_valid_o,  // one clock
    output saline_pkg::sa_counters_t count_record_o,
    // events, one clock each
    output logic                     event_valid_o,
    output saline_pkg::event_t       event_o
);
  localparam int unsigned A = $clog2(SLOTS);
  localparam logic [2:0] Idle = 3'd0, Read = 3'd1, Write = 3'd2, Event = 3'd3, Init = 3'd4,
                         CountRead = 3'd5, Count = 3'd6;

  logic [127:0] used[0:SLOTS-1];     // packets, octets
  logic [196:0] refused[0:SLOTS-1];  // events raised, replay, icv, other

  logic [2:0]          state_q;
  ipsec_pkg::account_t entry_q;
  logic [63:0]         packets_q, octets_q, replay_q, icv_q, other_q;
  logic [4:0]          raised_q, pending_q;  // in the order of saline_pkg::EventKind*, first bit 0
  logic [7:0]          reason_q;
  logic [63:0]         number_q;
  logic                taken_q, write_q;

  // ---- Which slot, by state
  logic [15:0]  index;
  logic [A-1:0] slot;
  logic         take, count_take;
  assign count_take = state_q == Idle && !init_valid_i && count_valid_i;
  assign ready_o    = state_q == Idle && !init_valid_i && !count_valid_i;
  assign take       = ready_o && valid_i;
  always_comb begin
    index = entry_q.index;
    if (state_q == Init) index = init_index_i;
    else if (count_take) index = count_index_i;
    else if (state_q == Idle) index = entry_i.index;
  end
  assign slot = index[A-1:0];

  assign epoch_index_o  = entry_q.index;
  assign number_read_o  = take || count_take;
  assign number_index_o = index;
  assign number_o       = state_q == Init ? init_number_i
                          : state_q == Idle ? entry_i.number : entry_q.number;
  assign number_words_o = entry_q.replay_words;
  assign number_esn_o   = entry_q.esn;
  assign number_write_o = state_q == Write && taken_q;
  assign number_init_o  = state_q == Init;
  assign init_done_o    = state_q == Init && number_init_done_i;

  // ---- The verdict, in state Read
  logic        stale, over, taken, passed;
  logic [7:0]  reason;
  logic [63:0] packets, octets;
  logic [4:0]  reached;
  always_comb begin
    stale = epoch_i != entry_q.epoch;
    over  = (entry_q.packets_hard != 64'd0 && packets_q >= entry_q.packets_hard)
            || (entry_q.bytes_hard != 64'd0 && octets_q >= entry_q.bytes_hard);
    reason = entry_q.late;
    if (stale) reason = INBOUND ? saline_pkg::DropReasonNoSa : saline_pkg::DropReasonStaleSa;
    else if (entry_q.reason != saline_pkg::DropReasonNone) reason = entry_q.reason;
    else if (INBOUND && !number_ok_i) reason = saline_pkg::DropReasonReplay;
    else if (over) reason = saline_pkg::DropReasonLifetime;
    else if (!number_ok_i) reason = saline_pkg::DropReasonSeqOverflow;

    taken   = !stale && entry_q.reason == saline_pkg::DropReasonNone && number_ok_i && !over;
    passed  = taken && entry_q.late == saline_pkg::DropReasonNone;
    packets = packets_q + {63'd0, passed};
    octets  = octets_q + (passed ? {48'd0, entry_q.octets} : 64'd0);

    reached[0] = entry_q.packets_soft != 64'd0 && packets >= entry_q.packets_soft;
    reached[1] = entry_q.bytes_soft != 64'd0 && octets >= entry_q.bytes_soft;
    reached[2] = entry_q.packets_hard != 64'd0 && packets >= entry_q.packets_hard;
    reached[3] = entry_q.bytes_hard != 64'd0 && octets >= entry_q.bytes_hard;
    reached[4] = !INBOUND && ((taken && number_last_i) || !number_ok_i);
  end

  logic [4:0] pending;  // lowest bit of pending_q alone
  assign pending = pending_q & (~pending_q + 5'd1);

  always_ff @(posedge clk_i) begin
    if (state_q == Idle) begin
      {packets_q, octets_q}                  <= used[slot];
      {raised_q, replay_q, icv_q, other_q}   <= refused[slot];
      entry_q                                <= entry_i;
    end
    if (peek_i) {peek_packets_o, peek_octets_o} <= used[peek_index_i[A-1:0]];
    if (state_q == Read) begin
      reason_q  <= reason;
      number_q  <= number_next_i;
      taken_q   <= taken;
      write_q   <= !stale;
      packets_q <= packets;
      octets_q  <= octets;
      replay_q  <= replay_q + {63'd0, reason == saline_pkg::DropReasonReplay};
      icv_q     <= icv_q + {63'd0, reason == saline_pkg::DropReasonIcv};
      other_q   <= other_q + {63'd0, reason != saline_pkg::DropReasonNone
                                     && reason != saline_pkg::DropReasonReplay
                                     && reason != saline_pkg::DropReasonIcv};
      raised_q  <= raised_q | reached;
      pending_q <= stale ? 5'd0 : reached & ~raised_q;
    end
    if (state_q == Event) pending_q <= pending_q & ~pending;
    if (state_q == Init || (state_q == Write && write_q)) begin
      used[slot]    <= state_q == Init ? 128'd0 : {packets_q, octets_q};
      refused[slot] <= state_q == Init ? 197'd0 : {raised_q, replay_q, icv_q, other_q};
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q <= Idle;
    end else begin
      case (state_q)
        Idle: begin
          if (init_valid_i) state_q <= Init;
          else if (count_valid_i) state_q <= CountRead;
          else if (valid_i) state_q <= Read;
        end
        Read: state_q <= Write;
        Write: state_q <= pending_q != 5'd0 ? Event : Idle;
        Event: if (pending_q == pending) state_q <= Idle;
        Init: if (number_init_done_i) state_q <= Idle;
        CountRead: state_q <= Count;
        default: state_q <= Idle;
      endcase
    end
  end

  assign reply_valid_o  = state_q == Write;
  assign reply_reason_o = reason_q;
  assign reply_number_o = number_q;

  assign count_valid_o = state_q == Count;
  always_comb begin
    count_record_o                 = '0;
    count_record_o.packets         = packets_q;
    count_record_o.octets          = octets_q;
    count_record_o.sequence_number = number_top_i;
    count_record_o.replay          = replay_q;
    count_record_o.icv             = icv_q;
    count_record_o.other           = other_q;
  end

  assign event_valid_o = state_q == Event;
  always_comb begin
    event_o          = '0;
    event_o.inbound  = INBOUND;
    event_o.sa_index = entry_q.index;
    event_o.sa_tag   = entry_q.tag;
    event_o.packets  = packets_q;
    event_o.octets   = octets_q;
    case (pending)
      5'b00001: event_o.kind = saline_pkg::EventKindSoftPackets;
      5'b00010: event_o.kind = saline_pkg::EventKindSoftBytes;
      5'b00100: event_o.kind = saline_pkg::EventKindHardPackets;
      5'b01000: event_o.kind = saline_pkg::EventKindHardBytes;
      default:  event_o.kind = saline_pkg::EventKindSeqOverflow;
    endcase
  end

  logic unused;
  assign unused = &{1'b0, index[15:A], peek_index_i[15:A]};
endmodule

`default_nettype wire
