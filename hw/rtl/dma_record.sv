// Ring writer: puts 32-byte records into consecutive entries of a ring, with the phase byte of
// their pass (1, 2, 1, ...) as last byte, in order.
//
// The ring has 1 << size_log2_i entries. Index 0 after reset. A record is taken when its write is
// on its way; busy_o until its response has come. A refused write is not repeated, error_o pulses.
// index_o is the free-running count of records taken.
`default_nettype none

module dma_record (
    input  logic         clk_i,
    input  logic         rst_ni,
    input  logic [63:6]  base_i,
    input  logic [3:0]   size_log2_i,
    output logic [15:0]  index_o,
    output logic         busy_o,
    output logic         error_o,
    input  logic         valid_i,
    output logic         ready_o,
    input  logic [247:0] record_i,  // all but the phase, first byte most significant
    output logic         aw_valid_o,
    input  logic         aw_ready_i,
    output logic [63:0]  aw_address_o,
    output logic         w_valid_o,
    input  logic         w_ready_i,
    output logic [511:0] w_data_o,
    output logic [63:0]  w_strobe_o,
    input  logic         b_valid_i,
    input  logic         b_error_i
);
  logic [15:0]  index_q, slot;
  logic         address_q, data_q;
  logic [63:6]  line_q;
  logic         odd_q;
  logic [255:0] bytes_q, bytes_d;
  logic [5:0]   under_way_q;  // writes without response
  logic [7:0]   phase;
  logic         take;

  assign slot    = index_q & ((16'd1 << size_log2_i) - 16'd1);
  assign phase   = index_q[size_log2_i] ? 8'd2 : 8'd1;
  assign ready_o = (!address_q || aw_ready_i) && (!data_q || w_ready_i) && under_way_q != 6'd63;
  assign take    = valid_i && ready_o;

  always_comb begin
    bytes_d = '0;
    for (int i = 0; i < 31; i++) bytes_d[8*i +: 8] = record_i[8*(30-i) +: 8];
    bytes_d[255:248] = phase;
  end

  always_ff @(posedge clk_i) begin
    if (take) begin
      line_q  <= base_i + {43'd0, slot[15:1]};
      odd_q   <= slot[0];
      bytes_q <= bytes_d;
    end
    if (!rst_ni) begin
      index_q     <= '0;
      address_q   <= 1'b0;
      data_q      <= 1'b0;
      under_way_q <= '0;
    end else begin
      index_q <= index_q + {15'd0, take};
      if (take) address_q <= 1'b1;
      else if (aw_ready_i) address_q <= 1'b0;
      if (take) data_q <= 1'b1;
      else if (w_ready_i) data_q <= 1'b0;
      under_way_q <= under_way_q + {5'd0, take} - {5'd0, b_valid_i};
    end
  end

  assign index_o      = index_q;
  assign aw_valid_o   = address_q;
  assign aw_address_o = {line_q, 6'd0};
  assign w_valid_o    = data_q;
  assign w_data_o     = {bytes_q, bytes_q};
  assign w_strobe_o   = odd_q ? {32'hFFFF_FFFF, 32'd0} : {32'd0, 32'hFFFF_FFFF};
  assign busy_o       = under_way_q != 6'd0;
  assign error_o      = b_valid_i && b_error_i;
endmodule

`default_nettype wire
