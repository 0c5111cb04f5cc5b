// Properties of stream_skid, read inside the module by hw/formal/run: offers are held, and what is
// inside leaves in the order it came, which a copy of at most two words tells.
  logic f_past;
  initial f_past = 1'b0;
  always_ff @(posedge clk_i) f_past <= 1'b1;
  always_comb if (!f_past) assume (!rst_ni);

  always_ff @(posedge clk_i) begin
    if (f_past && $past(rst_ni) && $past(valid_i) && !$past(ready_o)) begin
      assume (valid_i && data_i == $past(data_i));
    end
    if (f_past && $past(rst_ni) && rst_ni && $past(valid_o) && !$past(ready_i)) begin
      a_held: assert (valid_o && data_o == $past(data_o));
    end
  end

  logic [1:0]   f_count;
  logic [W-1:0] f_first, f_second;
  logic         f_in, f_out;
  initial f_count = 2'd0;
  assign f_in  = valid_i && ready_o;
  assign f_out = valid_o && ready_i;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      f_count <= 2'd0;
    end else begin
      f_count <= f_count + {1'b0, f_in} - {1'b0, f_out};
      if (f_out) f_first <= f_count == 2'd2 ? f_second : data_i;
      else if (f_in && f_count == 2'd0) f_first <= data_i;
      if (f_in) f_second <= data_i;
    end
    if (f_past) begin
      a_count: assert (f_count == {1'b0, first_q} + {1'b0, second_q} && (first_q || !second_q));
      a_first: assert (f_count == 2'd0 || data_o == f_first);
      a_second: assert (f_count != 2'd2 || spare_q == f_second);
      c_full: cover (f_count == 2'd2);
      c_flow: cover (rst_ni && f_in && f_out);
    end
  end
