// SA contexts of one direction and who may use them (RFC 4301 §4.4.2).
//
// A read takes one clock: context and epoch are there one clock after read_i and stay until the
// next read; context_o.valid is 0 for an empty slot or an index outside the table. A packet reads
// its context once. The epoch of a slot changes whenever its SA is another one (install, remove):
// who wants to write an SA's books compares the epoch it read with check_epoch_o.
//
// Writes: update replaces the record in one clock. install empties the slot, writes the record, has
// the SA's books made anew (init) and then lets the slot be used. remove empties the slot and
// overwrites the record.
`default_nettype none

module ipsec_sa_table #(
    parameter int unsigned SLOTS = 256
) (
    input  logic                    clk_i,
    input  logic                    rst_ni,
    input  logic                    read_i,
    input  logic [15:0]             read_index_i,
    output saline_pkg::sa_context_t context_o,
    output logic [15:0]             epoch_o,
    input  logic [15:0]             check_index_i,
    output logic [15:0]             check_epoch_o,
    output logic                    init_valid_o,
    input  logic                    init_done_i,  // one clock
    output logic [15:0]             init_index_o,
    output logic [63:0]             init_number_o,
    input  logic                    write_valid_i,
    output logic                    write_ready_o,
    input  logic [7:0]              write_op_i,
    input  logic [15:0]             write_index_i,
    /* verilator lint_off UNUSEDSIGNAL */
    input  saline_pkg::sa_context_t write_context_i
    /* verilator lint_on UNUSEDSIGNAL */
);
  localparam int unsigned A = $clog2(SLOTS);
  localparam int unsigned W = saline_pkg::SaContextBits - 480;  // without reserved2

  logic [W-1:0]     memory[0:SLOTS-1];
  logic [15:0]      epochs[0:SLOTS-1];
  logic [SLOTS-1:0] valid_q;
  logic [W-1:0]     read_q;
  logic             read_valid_q;
  logic [15:0]      epoch_q;

  logic         init_q, first, known, install, remove;
  logic [A-1:0] slot;
  assign first   = write_valid_i && !init_q;
  assign known   = write_index_i < 16'(SLOTS);
  assign install = write_op_i == saline_pkg::TableOpInstall;
  assign remove  = write_op_i == saline_pkg::TableOpRemove;
  assign slot    = write_index_i[A-1:0];

  assign init_valid_o  = init_q;
  assign init_index_o  = write_index_i;
  assign init_number_o = write_context_i.sequence_number;
  assign write_ready_o = first ? !(known && install) : init_done_i;

  always_ff @(posedge clk_i) begin
    if (first && known) begin
      memory[slot] <= remove ? '0 : write_context_i[saline_pkg::SaContextBits-1 -: W];
      if (install || remove) epochs[slot] <= epochs[slot] + 16'd1;
    end
    if (!rst_ni) begin
      valid_q <= '0;
      init_q  <= 1'b0;
    end else if (first && known) begin
      valid_q[slot] <= !install && !remove && write_context_i.valid;
      init_q        <= install;
    end else if (init_q && init_done_i) begin
      valid_q[slot] <= write_context_i.valid;
      init_q        <= 1'b0;
    end
  end

  always_ff @(posedge clk_i) begin
    if (read_i) begin
      read_q       <= memory[read_index_i[A-1:0]];
      read_valid_q <= valid_q[read_index_i[A-1:0]] && read_index_i < 16'(SLOTS);
      epoch_q      <= epochs[read_index_i[A-1:0]];
    end
  end
  assign context_o     = {read_valid_q, read_q[W-2:0], 480'd0};
  assign epoch_o       = epoch_q;
  assign check_epoch_o = epochs[check_index_i[A-1:0]];

  logic unused;
  assign unused = &{1'b0, check_index_i[15:A], read_q[W-1]};
endmodule

`default_nettype wire
