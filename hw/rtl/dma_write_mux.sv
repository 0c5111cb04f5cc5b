// Joins COUNT requesters of write bursts onto one AXI4 write channel set.
//
// Round robin by burst; requester n uses the transaction identifier n. A requester raises aw_valid
// with address and length (beats - 1), then gives exactly that many beats; `w_last` is made here.
// The address goes out together with the data. Each burst's response comes back as one clock of
// b_valid_o[n] with b_error_o, and is always taken. Requester n's part of a flat port is
// [n*width +: width].
`default_nettype none

module dma_write_mux #(
    parameter int unsigned COUNT = 4
) (
    input  logic                 clk_i,
    input  logic                 rst_ni,
    input  logic [COUNT-1:0]     aw_valid_i,
    output logic [COUNT-1:0]     aw_ready_o,
    input  logic [COUNT*64-1:0]  aw_address_i,
    input  logic [COUNT*8-1:0]   aw_len_i,
    input  logic [COUNT-1:0]     w_valid_i,
    output logic [COUNT-1:0]     w_ready_o,
    input  logic [COUNT*512-1:0] w_data_i,
    input  logic [COUNT*64-1:0]  w_strobe_i,
    output logic [COUNT-1:0]     b_valid_o,
    output logic                 b_error_o,
    output logic                 m_axi_awvalid_o,
    input  logic                 m_axi_awready_i,
    output logic [1:0]           m_axi_awid_o,
    output logic [63:0]          m_axi_awaddr_o,
    output logic [7:0]           m_axi_awlen_o,
    output logic                 m_axi_wvalid_o,
    input  logic                 m_axi_wready_i,
    output logic [511:0]         m_axi_wdata_o,
    output logic [63:0]          m_axi_wstrb_o,
    output logic                 m_axi_wlast_o,
    input  logic                 m_axi_bvalid_i,
    output logic                 m_axi_bready_o,
    input  logic [1:0]           m_axi_bid_i,
    input  logic [1:0]           m_axi_bresp_i
);
  logic        address_q;  // the address is still on offer
  logic        data_q;     // beats are still due
  logic [1:0]  id_q;
  logic [63:0] awaddr_q;
  logic [7:0]  awlen_q, left_q;

  logic        found, free, give, skid_ready;
  logic [1:0]  chosen;
  logic [2:0]  turn;
  always_comb begin
    found  = 1'b0;
    chosen = 2'd0;
    turn   = 3'd0;
    for (int unsigned i = 0; i < COUNT; i++) begin
      turn = {1'b0, id_q} + 3'd1 + 3'(i);
      if (turn >= 3'(COUNT)) turn = turn - 3'(COUNT);
      if (!found && aw_valid_i[turn[1:0]]) begin
        found  = 1'b1;
        chosen = turn[1:0];
      end
    end
  end

  // The next burst may begin with the last beat of the one before, once that one's address is gone.
  assign give = data_q && w_valid_i[id_q] && skid_ready;
  assign free = (!data_q || (give && left_q == 8'd0)) && (!address_q || m_axi_awready_i);
  always_comb begin
    aw_ready_o = '0;
    w_ready_o  = '0;
    if (found && free) aw_ready_o[chosen] = 1'b1;
    if (data_q && skid_ready) w_ready_o[id_q] = 1'b1;
  end

  always_ff @(posedge clk_i) begin
    if (free && found) begin
      awaddr_q <= aw_address_i[64*chosen +: 64];
      awlen_q  <= aw_len_i[8*chosen +: 8];
      left_q   <= aw_len_i[8*chosen +: 8];
    end else if (give) begin
      left_q <= left_q - 8'd1;
    end
    if (!rst_ni) begin
      address_q <= 1'b0;
      data_q    <= 1'b0;
      id_q      <= 2'd0;
    end else begin
      if (free) address_q <= found;
      else if (m_axi_awready_i) address_q <= 1'b0;
      if (free) data_q <= found;
      else if (give && left_q == 8'd0) data_q <= 1'b0;
      if (free && found) id_q <= chosen;
    end
  end

  stream_skid #(
      .W(577)
  ) u_data (
      .clk_i,
      .rst_ni,
      .valid_i(data_q && w_valid_i[id_q]),
      .ready_o(skid_ready),
      .data_i ({left_q == 8'd0, w_strobe_i[64*id_q +: 64], w_data_i[512*id_q +: 512]}),
      .valid_o(m_axi_wvalid_o),
      .ready_i(m_axi_wready_i),
      .data_o ({m_axi_wlast_o, m_axi_wstrb_o, m_axi_wdata_o})
  );

  assign m_axi_awvalid_o = address_q;
  assign m_axi_awid_o    = id_q;
  assign m_axi_awaddr_o  = awaddr_q;
  assign m_axi_awlen_o   = awlen_q;

  assign m_axi_bready_o = 1'b1;
  assign b_error_o      = m_axi_bresp_i != 2'b00;
  always_comb begin
    b_valid_o = '0;
    for (int unsigned i = 0; i < COUNT; i++) b_valid_o[i] = m_axi_bvalid_i && m_axi_bid_i == 2'(i);
  end
endmodule

`default_nettype wire
