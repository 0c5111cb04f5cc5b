// Transmit head write-back: tells the driver how many descriptors are done.
//
// Writes the free-running count (32 bits, little endian) to the first four bytes of the line at
// line_i whenever it has changed; while one write is under way further ones are put together.
// A refused write is not repeated, error_o pulses. busy_o: a write is under way or due.
`default_nettype none

module dma_head (
    input  logic         clk_i,
    input  logic         rst_ni,
    input  logic [63:6]  line_i,
    input  logic         done_i,
    output logic         busy_o,
    output logic         error_o,
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
  logic [31:0] count_q, written_q, count_d;
  logic        address_q, data_q, response_q;

  assign count_d = count_q + {31'd0, done_i};
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      count_q    <= '0;
      written_q  <= '0;
      address_q  <= 1'b0;
      data_q     <= 1'b0;
      response_q <= 1'b0;
    end else begin
      count_q <= count_d;
      if (!response_q && count_q != written_q) begin
        written_q  <= count_q;
        address_q  <= 1'b1;
        data_q     <= 1'b1;
        response_q <= 1'b1;
      end else begin
        if (aw_ready_i) address_q <= 1'b0;
        if (w_ready_i) data_q <= 1'b0;
        if (b_valid_i) response_q <= 1'b0;
      end
    end
  end

  assign aw_valid_o   = address_q;
  assign aw_address_o = {line_i, 6'd0};
  assign w_valid_o    = data_q;
  assign w_data_o     = {480'd0, written_q};
  assign w_strobe_o   = 64'hF;
  assign busy_o       = response_q || count_q != written_q;
  assign error_o      = b_valid_i && b_error_i;
endmodule

`default_nettype wire
