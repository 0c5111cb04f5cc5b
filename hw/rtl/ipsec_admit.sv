// Looks at each inbound frame before the cipher does (RFC 4303 §3.4, RFC 4301 §5.2): is it ESP of
// an SA the card holds, do its lengths agree, could its number be new. Frames of others go up as
// they came; a frame that is refused here saves the cipher's work. Nothing here is final but a
// refusal: number and lifetime are looked at again when the ICV is known.
//
// Left alone, with esp set: fragments, packets on their way through a routing header, ESP headers
// that are cut off or begin outside the head window, ESP without an SA here. Length: the text is at
// least 4 bytes (pad length, next header, alignment) and a multiple of 4. A frame takes 3 clocks as
// it is, 7 with ESP of an SA.
`default_nettype none

module ipsec_admit #(
    parameter int unsigned WINDOW_MAX = 1024
) (
    input  logic                     clk_i,
    input  logic                     rst_ni,
    output logic                     busy_o,
    input  logic                     parsed_valid_i,
    output logic                     parsed_ready_o,
    input  ipsec_pkg::head_t         head_i,
    input  ipsec_pkg::headers_t      headers_i,
    // lookup
    output logic                     find_o,
    output logic [31:0]              find_spi_o,
    output ipsec_pkg::headers_t      find_headers_o,
    input  logic                     find_hit_i,
    input  logic [15:0]              find_sa_index_i,
    // SA: context, then number and lifetimes
    output logic                     context_read_o,
    output logic [15:0]              context_index_o,
    input  saline_pkg::sa_context_t  context_i,
    input  logic [15:0]              context_epoch_i,
    output logic                     infer_o,
    output logic [7:0]               infer_words_o,
    output logic [31:0]              infer_low_o,
    input  logic [63:0]              number_i,
    input  logic                     acceptable_i,
    input  logic [63:0]              packets_i,
    input  logic [63:0]              octets_i,
    // to slice, suite and gate; offered together, for one clock, when all are ready
    input  logic                     ready_i,
    output logic                     emit_o,
    output logic [15:0]              offset_o,
    output logic [15:0]              bytes_o,
    output logic [4:0]               icv_bytes_o,
    output logic                     drop_o,
    output ipsec_pkg::job_t          job_o,
    output ipsec_pkg::arrival_t      arrival_o
);
  localparam logic [2:0] Idle = 3'd0, Find = 3'd1, Found = 3'd2, Infer = 3'd3, Judge = 3'd4,
                         Build = 3'd5, Emit = 3'd6;
  localparam logic [7:0] Esp = 8'd50;
  localparam logic [7:0] WordsMax = 8'(WINDOW_MAX / 32);

  logic [2:0]          state_q;
  ipsec_pkg::head_t    head_q;
  ipsec_pkg::headers_t headers_q;
  logic [15:0]         index_q;
  logic [7:0]          reason_q, reason;
  logic                held_q, candidate_q, esp_q, whole_q;

  assign parsed_ready_o = state_q == Idle;
  assign busy_o         = state_q != Idle;

  // ---- The ESP header (RFC 4303 §2)
  logic [127:0] esp;  // SPI, sequence number, IV
  logic [31:0]  spi, low;
  logic [15:0]  length;  // of the ESP packet
  logic [15:0]  text;
  logic         mine, whole;
  always_comb begin
    esp    = 128'(head_q.data >> {headers_q.upper, 3'b000});
    spi    = ipsec_pkg::flip32(esp[31:0]);
    low    = ipsec_pkg::flip32(esp[63:32]);
    length = headers_q.ip_end - {8'd0, headers_q.upper};
    text   = length - 16'd32;
    mine   = headers_i.ip && !headers_i.broken && headers_i.protocol == Esp && !headers_i.deep;
    whole  = !headers_i.fragment && !headers_i.routed
             && headers_i.ip_end - {8'd0, headers_i.upper} >= 16'd8;
  end

  assign find_o          = state_q == Find;
  assign find_spi_o      = spi;
  assign find_headers_o  = headers_q;
  assign context_read_o  = state_q == Found;
  assign context_index_o = find_sa_index_i;
  assign infer_o         = state_q == Infer;
  assign infer_words_o   = context_i.replay_words > WordsMax ? WordsMax : context_i.replay_words;
  assign infer_low_o     = low;

  logic over, foreign, held;
  always_comb begin
    held    = context_i.valid && context_i.spi == spi;
    over    = (context_i.packets_hard != 64'd0 && packets_i >= context_i.packets_hard)
              || (context_i.bytes_hard != 64'd0 && octets_i >= context_i.bytes_hard);
    foreign = context_i.tunnel && context_i.verify_outer
              && (context_i.source != headers_q.source
                  || context_i.outer_ipv6 != headers_q.ipv6);
    reason  = saline_pkg::DropReasonNone;
    if (length < 16'd36 || text[1:0] != 2'b00) reason = saline_pkg::DropReasonMalformed;
    else if (context_i.suite != saline_pkg::SuiteAesGcm12816
             && context_i.suite != saline_pkg::SuiteAesGcm25616)
      reason = saline_pkg::DropReasonUnsupported;
    else if (!acceptable_i) reason = saline_pkg::DropReasonReplay;
    else if (over) reason = saline_pkg::DropReasonLifetime;
    else if (foreign) reason = saline_pkg::DropReasonPolicy;
  end

  ipsec_pkg::job_t job;
  ipsec_job u_job (
      .context_i,
      .encrypt_i(1'b0),
      .number_i,
      .iv_i     (esp[127:64]),
      .bytes_i  (text),
      .job_o    (job)
  );

  always_ff @(posedge clk_i) begin
    if (state_q == Idle) begin
      head_q      <= head_i;
      headers_q   <= headers_i;
      held_q      <= 1'b0;
      candidate_q <= 1'b0;
      whole_q     <= whole;
      esp_q       <= mine && !head_i.damaged && !head_i.too_long;
      reason_q    <= saline_pkg::DropReasonNone;
      if (head_i.damaged) reason_q <= saline_pkg::DropReasonMac;
      else if (head_i.too_long) reason_q <= saline_pkg::DropReasonTooBig;
    end
    if (state_q == Found) index_q <= find_sa_index_i;
    if (state_q == Judge && held) begin
      held_q      <= 1'b1;
      esp_q       <= 1'b0;
      reason_q    <= reason;
      candidate_q <= reason == saline_pkg::DropReasonNone;
    end
    if (state_q == Build) begin
      drop_o      <= reason_q != saline_pkg::DropReasonNone;
      offset_o    <= candidate_q ? {8'd0, headers_q.upper} + 16'd16 : 16'd0;
      bytes_o     <= candidate_q ? text : head_q.bytes;
      icv_bytes_o <= candidate_q ? 5'd16 : 5'd0;
      job_o       <= job;
      if (!candidate_q) begin
        job_o       <= '0;
        job_o.suite <= saline_pkg::SuiteNone;
        job_o.bytes <= head_q.bytes;
      end
      arrival_o                      <= '0;
      arrival_o.text                 <= reason_q == saline_pkg::DropReasonNone;
      arrival_o.candidate            <= candidate_q;
      arrival_o.held                 <= held_q;
      arrival_o.deliver              <= held_q && context_i.deliver_failed;
      arrival_o.esp                  <= esp_q;
      arrival_o.tunnel               <= context_i.tunnel;
      arrival_o.ecn_copy             <= context_i.ecn_copy;
      arrival_o.spi                  <= held_q || (esp_q && whole_q) ? spi : 32'd0;
      arrival_o.text_bytes           <= text;
      arrival_o.account.index        <= index_q;
      arrival_o.account.epoch        <= context_epoch_i;
      arrival_o.account.tag          <= context_i.sa_tag;
      arrival_o.account.reason       <= reason_q;
      arrival_o.account.esn          <= context_i.esn;
      arrival_o.account.replay_words <= infer_words_o;
      arrival_o.account.number       <= held_q ? number_i : esp_q && whole_q ? {32'd0, low} : 64'd0;
      arrival_o.account.packets_soft <= context_i.packets_soft;
      arrival_o.account.packets_hard <= context_i.packets_hard;
      arrival_o.account.bytes_soft   <= context_i.bytes_soft;
      arrival_o.account.bytes_hard   <= context_i.bytes_hard;
      arrival_o.headers              <= headers_q;
      arrival_o.head                 <= head_q;
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q <= Idle;
    end else begin
      case (state_q)
        Idle: begin
          if (parsed_valid_i) begin
            state_q <= mine && whole && !head_i.damaged && !head_i.too_long ? Find : Build;
          end
        end
        Find: state_q <= Found;
        Found: state_q <= find_hit_i ? Infer : Build;
        Infer: state_q <= Judge;
        Judge: state_q <= Build;
        Build: state_q <= Emit;
        default: if (ready_i) state_q <= Idle;
      endcase
    end
  end
  assign emit_o = state_q == Emit && ready_i;
endmodule

`default_nettype wire
