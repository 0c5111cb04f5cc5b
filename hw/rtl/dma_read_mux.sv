// Joins COUNT requesters of read bursts onto one AXI4 read channel pair.
//
// Round robin; requester n uses the transaction identifier n, so its bursts are answered in order
// and bursts of different requesters in any order. Requesters reserve room before they ask:
// read data is always taken. A response other than OKAY sets r_error_o for that beat.
// Requester n's part of a flat port is [n*width +: width].
`default_nettype none

module dma_read_mux #(
    parameter int unsigned COUNT = 3
) (
    input  logic                clk_i,
    input  logic                rst_ni,
    input  logic [COUNT-1:0]    ar_valid_i,
    output logic [COUNT-1:0]    ar_ready_o,
    input  logic [COUNT*64-1:0] ar_address_i,
    input  logic [COUNT*8-1:0]  ar_len_i,
    output logic [COUNT-1:0]    r_valid_o,
    output logic [511:0]        r_data_o,
    output logic                r_last_o,
    output logic                r_error_o,
    output logic                m_axi_arvalid_o,
    input  logic                m_axi_arready_i,
    output logic [1:0]          m_axi_arid_o,
    output logic [63:0]         m_axi_araddr_o,
    output logic [7:0]          m_axi_arlen_o,
    input  logic                m_axi_rvalid_i,
    output logic                m_axi_rready_o,
    input  logic [1:0]          m_axi_rid_i,
    input  logic [511:0]        m_axi_rdata_i,
    input  logic [1:0]          m_axi_rresp_i,
    input  logic                m_axi_rlast_i
);
  logic             valid_q;
  logic [1:0]       id_q;
  logic [63:0]      address_q;
  logic [7:0]       len_q;

  // The requester after the last one served comes first.
  logic             found, free;
  logic [1:0]       chosen;
  logic [2:0]       turn;
  always_comb begin
    found  = 1'b0;
    chosen = 2'd0;
    turn   = 3'd0;
    for (int unsigned i = 0; i < COUNT; i++) begin
      turn = {1'b0, id_q} + 3'd1 + 3'(i);
      if (turn >= 3'(COUNT)) turn = turn - 3'(COUNT);
      if (!found && ar_valid_i[turn[1:0]]) begin
        found  = 1'b1;
        chosen = turn[1:0];
      end
    end
  end

  assign free = !valid_q || m_axi_arready_i;
  always_comb begin
    ar_ready_o = '0;
    if (found && free) ar_ready_o[chosen] = 1'b1;
  end

  always_ff @(posedge clk_i) begin
    if (free && found) begin
      address_q <= ar_address_i[64*chosen +: 64];
      len_q     <= ar_len_i[8*chosen +: 8];
    end
    if (!rst_ni) begin
      valid_q <= 1'b0;
      id_q    <= 2'd0;
    end else if (free) begin
      valid_q <= found;
      if (found) id_q <= chosen;
    end
  end

  assign m_axi_arvalid_o = valid_q;
  assign m_axi_arid_o    = id_q;
  assign m_axi_araddr_o  = address_q;
  assign m_axi_arlen_o   = len_q;

  assign m_axi_rready_o = 1'b1;
  assign r_data_o       = m_axi_rdata_i;
  assign r_last_o       = m_axi_rlast_i;
  assign r_error_o      = m_axi_rresp_i != 2'b00;
  always_comb begin
    r_valid_o = '0;
    for (int unsigned i = 0; i < COUNT; i++) r_valid_o[i] = m_axi_rvalid_i && m_axi_rid_i == 2'(i);
  end
endmodule

`default_nettype wire
