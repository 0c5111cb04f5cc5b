// Properties of stream_fifo, read inside the module by hw/formal/run: offers are held, the level is
// right, and an arbitrary word (f_index, chosen by the solver) leaves as it came, once, in order.
  logic f_past;
  initial f_past = 1'b0;
  always_ff @(posedge clk_i) f_past <= 1'b1;
  always_comb if (!f_past) assume (!rst_ni);

  // The source keeps its side of the stream rules.
  always_ff @(posedge clk_i) begin
    if (f_past && $past(rst_ni) && $past(valid_i) && !$past(ready_o)) begin
      assume (valid_i && data_i == $past(data_i));
    end
  end

  always_ff @(posedge clk_i) begin
    if (f_past && $past(rst_ni) && rst_ni && $past(valid_o) && !$past(ready_i)) begin
      a_held: assert (valid_o && data_o == $past(data_o));
    end
    if (f_past && !$past(rst_ni)) a_empty: assert (!valid_o && ready_o && level_o == '0);
    if (f_past) a_level: assert (level_o <= (A + 1)'(DEPTH));
  end

  (* anyconst *) logic [A:0] f_index;
  logic         f_inside;
  logic [W-1:0] f_word;
  initial f_inside = 1'b0;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      f_inside <= 1'b0;
    end else begin
      if (valid_i && ready_o && write_q == f_index) begin
        f_inside <= 1'b1;
        f_word   <= data_i;
        if (f_past) a_once: assert (!f_inside);
      end
      if (valid_o && ready_i && read_q == f_index) begin
        f_inside <= 1'b0;
        if (f_past) a_order: assert (f_inside && data_o == f_word);
      end
    end
    // Strengthens the induction: the word is inside exactly while its index is between the two
    // pointers, and then it is where the index says.
    if (f_past) begin
      a_between: assert (f_inside == ((A + 1)'(f_index - read_q) < level_o));
      if (f_inside) a_stored: assert (memory[f_index[A-1:0]] == f_word);
      c_full: cover (level_o == (A + 1)'(DEPTH) && f_inside);
      c_drained: cover (rst_ni && f_inside && read_q == f_index && ready_i && level_o == 1);
    end
  end
