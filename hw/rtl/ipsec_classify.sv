// Outbound policy table: an ordered list, the lowest matching index wins (RFC 4301 §4.4.1). Eight
// entries are compared per clock, so that a search takes 2 to POLICIES / 8 + 1 clocks.
//
// find_i for one clock starts a search for headers_i, which stay until done_o. A write takes one
// clock and is in effect for all comparisons after it.
`default_nettype none

module ipsec_classify #(
    parameter int unsigned POLICIES = 64
) (
    input  logic                      clk_i,
    input  logic                      rst_ni,
    input  logic                      find_i,
    input  ipsec_pkg::headers_t       headers_i,
    output logic                      done_o,  // one clock
    output logic                      hit_o,
    output logic [1:0]                action_o,
    output logic [15:0]               sa_index_o,
    input  logic                      write_i,
    input  logic                      remove_i,
    input  logic [15:0]               index_i,
    /* verilator lint_off UNUSEDSIGNAL */
    input  saline_pkg::policy_entry_t entry_i
    /* verilator lint_on UNUSEDSIGNAL */
);
  localparam int unsigned Banks = 8;
  localparam int unsigned Rows  = POLICIES / Banks;
  localparam int unsigned A     = Rows > 1 ? $clog2(Rows) : 1;
  localparam int unsigned W     = saline_pkg::PolicyEntryBits - 416;  // without reserved1

  logic         busy_q;
  logic [A:0]   row_q;  // row being read; the one before it is compared
  logic         first_q;
  logic         write;
  logic [W-1:0] stored;
  logic [Banks-1:0]    match;
  logic [18*Banks-1:0] answers;

  assign write  = write_i && index_i < 16'(POLICIES);
  assign stored = remove_i ? '0 : entry_i[saline_pkg::PolicyEntryBits-1 -: W];

  for (genvar bank = 0; bank < Banks; bank++) begin : g_bank
    logic [W-1:0]    memory[0:Rows-1];
    logic [W-1:0]    read_q;
    logic [Rows-1:0] valid_q;
    logic            read_valid_q;
    always_ff @(posedge clk_i) begin
      read_q       <= memory[row_q[A-1:0]];
      read_valid_q <= valid_q[row_q[A-1:0]];
      if (write && index_i[2:0] == 3'(bank)) memory[A'(index_i >> 3)] <= stored;
      if (!rst_ni) valid_q <= '0;
      else if (write && index_i[2:0] == 3'(bank)) valid_q[A'(index_i >> 3)] <= stored[W-1];
    end
    ipsec_policy_match u_match (
        .headers_i,
        .entry_i({read_q[W-1] && read_valid_q, read_q[W-2:0], 416'd0}),
        .match_o(match[bank])
    );
    assign answers[18*bank +: 18] = {read_q[W-5 -: 2], read_q[W-17 -: 16]};
  end

  logic last_row;
  assign last_row = row_q == (A+1)'(Rows);
  assign done_o   = busy_q && !first_q && (match != '0 || last_row);
  assign hit_o    = match != '0;
  always_comb begin
    {action_o, sa_index_o} = 18'd0;
    for (int bank = Banks - 1; bank >= 0; bank--) begin
      if (match[bank]) {action_o, sa_index_o} = answers[18*bank +: 18];
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      busy_q <= 1'b0;
    end else if (!busy_q) begin
      busy_q  <= find_i;
      first_q <= 1'b1;
      row_q   <= '0;
    end else begin
      first_q <= 1'b0;
      row_q   <= row_q + 1'b1;
      if (done_o) busy_q <= 1'b0;
    end
  end
endmodule

`default_nettype wire
