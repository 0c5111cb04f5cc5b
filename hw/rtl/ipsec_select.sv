// Decides what happens to an outbound frame, one at a time: as the descriptor says it is protected
// by an SA, given to the policy table, or sent as it is (RFC 4301 §5.1). A protected packet gets
// its number here, after everything else that could refuse it, and is told to the four stages that
// make it: cut, trailer, job and finish, each through a command of its own.
//
// A frame takes 3 clocks as it is, 9 protected, plus the search of the policy table. Frames that
// are no IP and those no policy speaks of: bypass, the latter only when default_discard_i is 0. The
// table cannot judge a packet whose upper header or final destination it does not see: unsupported.
`default_nettype none

module ipsec_select (
    input  logic                       clk_i,
    input  logic                       rst_ni,
    input  logic                       default_discard_i,
    output logic                       busy_o,
    // the frame's descriptor and headers
    input  logic                       meta_valid_i,
    output logic                       meta_ready_o,
    /* verilator lint_off UNUSEDSIGNAL */
    input  saline_pkg::tx_descriptor_t meta_i,
    /* verilator lint_on UNUSEDSIGNAL */
    input  logic                       parsed_valid_i,
    output logic                       parsed_ready_o,
    input  ipsec_pkg::head_t           head_i,
    input  ipsec_pkg::headers_t        headers_i,
    // policy table
    output logic                       find_o,
    output ipsec_pkg::headers_t        find_headers_o,
    input  logic                       find_done_i,
    input  logic                       find_hit_i,
    input  logic [1:0]                 find_action_i,
    input  logic [15:0]                find_sa_index_i,
    // SA table
    output logic                       context_read_o,
    output logic [15:0]                context_index_o,
    input  saline_pkg::sa_context_t    context_i,
    input  logic [15:0]                context_epoch_i,
    // books
    output logic                       account_valid_o,
    input  logic                       account_ready_i,
    output ipsec_pkg::account_t        account_o,
    input  logic                       reply_valid_i,
    input  logic [7:0]                 reply_reason_i,
    input  logic [63:0]                reply_number_i,
    output logic [7:0]                 refused_o,  // one clock, else 0
    // commands; offered together, for one clock, when all are ready
    input  logic                       ready_i,
    output logic                       emit_o,
    output ipsec_pkg::release_t        cut_o,       // its head and head_bytes are the finish's
    output logic                       protect_o,   // with it: trailer and ICV are appended
    output logic [5:0]                 trailer_bytes_o,
    output logic [255:0]               trailer_o,
    output ipsec_pkg::job_t            job_o
);
  localparam logic [2:0] Idle = 3'd0, Find = 3'd1, Read = 3'd2, Judge = 3'd3, Account = 3'd4,
                         Reply = 3'd5, Build = 3'd6, Emit = 3'd7;
  logic [2:0]                 state_q;
  ipsec_pkg::head_t           head_q;
  ipsec_pkg::headers_t        headers_q;
  logic                       named_q;  // the descriptor names the SA
  logic                       discard_q;
  logic [15:0]                bytes_q, index_q, tag_q;
  logic [7:0]                 reason_q;
  logic                       protect_q;
  logic [63:0]                number_q;
  logic                       finding_q;

  logic take;
  assign take           = state_q == Idle && meta_valid_i && parsed_valid_i;
  assign meta_ready_o   = take;
  assign parsed_ready_o = take;
  assign busy_o         = state_q != Idle;

  assign find_o          = state_q == Find && !finding_q;
  assign find_headers_o  = headers_q;
  assign context_read_o  = state_q == Read;
  assign context_index_o = index_q;

  // ---- The packet under its SA
  logic [7:0]     shape_reason;
  logic [15:0]    offset, payload;
  logic           empty;
  logic [5:0]     trailer_bytes;
  logic [255:0]   trailer;
  logic [7:0]     head_bytes;
  logic [1023:0]  head;
  ipsec_pkg::job_t job;
  ipsec_encapsulate u_encapsulate (
      .head_i         (head_q),
      .headers_i      (headers_q),
      .context_i,
      .number_i       (number_q),
      .reason_o       (shape_reason),
      .offset_o       (offset),
      .payload_o      (payload),
      .empty_o        (empty),
      .trailer_bytes_o(trailer_bytes),
      .trailer_o      (trailer),
      .head_bytes_o   (head_bytes),
      .head_o         (head),
      .job_o          (job)
  );

  logic       absent;
  logic [7:0] unjudged;  // why the policy table cannot be asked
  always_comb begin
    absent   = !context_i.valid || (named_q && context_i.sa_tag != tag_q);
    unjudged = saline_pkg::DropReasonNone;
    if (headers_i.ip && headers_i.broken) unjudged = saline_pkg::DropReasonMalformed;
    else if (headers_i.deep || headers_i.routed) unjudged = saline_pkg::DropReasonUnsupported;
  end

  assign account_valid_o = state_q == Account;
  always_comb begin
    account_o              = '0;
    account_o.index        = index_q;
    account_o.epoch        = context_epoch_i;
    account_o.tag          = context_i.sa_tag;
    account_o.reason       = reason_q;
    account_o.esn          = context_i.esn;
    account_o.octets       = payload;
    account_o.packets_soft = context_i.packets_soft;
    account_o.packets_hard = context_i.packets_hard;
    account_o.bytes_soft   = context_i.bytes_soft;
    account_o.bytes_hard   = context_i.bytes_hard;
  end

  always_ff @(posedge clk_i) begin
    if (take) begin
      head_q    <= head_i;
      headers_q <= headers_i;
      named_q   <= meta_i.protect;
      bytes_q   <= meta_i.bytes;
      index_q   <= meta_i.sa_index;
      tag_q     <= meta_i.sa_tag;
      discard_q <= default_discard_i;
      protect_q <= 1'b0;
      reason_q  <= !meta_i.protect && meta_i.classify ? unjudged : saline_pkg::DropReasonNone;
    end
    if (state_q == Find && find_done_i) begin
      index_q <= find_sa_index_i;
      if (!find_hit_i ? discard_q : find_action_i != saline_pkg::PolicyActionBypass
                                    && find_action_i != saline_pkg::PolicyActionProtect) begin
        reason_q <= saline_pkg::DropReasonPolicy;
      end
    end
    if (state_q == Judge) begin
      protect_q <= 1'b1;
      reason_q  <= shape_reason;
      if (absent) reason_q <= named_q ? saline_pkg::DropReasonStaleSa : saline_pkg::DropReasonNoSa;
    end
    if (state_q == Reply && reply_valid_i) begin
      reason_q <= reply_reason_i;
      number_q <= reply_number_i;
    end
    if (state_q == Build) begin
      cut_o           <= '0;
      cut_o.consume   <= 1'b1;
      cut_o.send      <= reason_q == saline_pkg::DropReasonNone;
      cut_o.cut       <= reason_q == saline_pkg::DropReasonNone && !(protect_q && empty);
      cut_o.single    <= reason_q == saline_pkg::DropReasonNone && protect_q && empty;
      cut_o.bytes     <= bytes_q;
      trailer_bytes_o <= 6'd0;
      cut_o.single_byte <= 8'd1;
      if (protect_q) begin
        cut_o.offset     <= offset;
        cut_o.bytes      <= payload;
        cut_o.head_bytes <= head_bytes;
        cut_o.head       <= head;
        trailer_bytes_o  <= trailer_bytes;
      end
      trailer_o <= trailer;
      job_o     <= job;
      if (!protect_q) begin
        job_o       <= '0;
        job_o.suite <= saline_pkg::SuiteNone;
        job_o.bytes <= bytes_q;
      end
    end
  end

  always_ff @(posedge clk_i) begin
    finding_q <= state_q == Find;
    if (!rst_ni) begin
      state_q <= Idle;
    end else begin
      case (state_q)
        Idle: begin
          if (take) begin
            state_q <= Build;
            if (meta_i.protect) state_q <= Read;
            else if (meta_i.classify && headers_i.ip && unjudged == saline_pkg::DropReasonNone)
              state_q <= Find;
          end
        end
        Find: begin
          if (find_done_i) begin
            state_q <= Build;
            if (find_hit_i && find_action_i == saline_pkg::PolicyActionProtect) state_q <= Read;
          end
        end
        Read: state_q <= Judge;
        Judge: state_q <= absent ? Build : Account;
        Account: if (account_ready_i) state_q <= Reply;
        Reply: if (reply_valid_i) state_q <= Build;
        Build: state_q <= Emit;
        default: if (ready_i) state_q <= Idle;
      endcase
    end
  end

  assign emit_o    = state_q == Emit && ready_i;
  assign protect_o = protect_q;
  assign refused_o = emit_o ? reason_q : saline_pkg::DropReasonNone;
endmodule

`default_nettype wire
