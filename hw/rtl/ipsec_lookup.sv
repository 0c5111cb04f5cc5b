// Inbound SA lookup (RFC 4301 §4.1): a table of BUCKETS x 4 ways. The bucket is (SPI XOR protocol)
// modulo BUCKETS; the driver chooses the way. An entry that compares the destination wins over one
// that does not; of two equals the lower way wins.
//
// The answer is there one clock after find_i and stays until the next. A write takes one clock.
`default_nettype none

module ipsec_lookup #(
    parameter int unsigned BUCKETS = 256
) (
    input  logic                      clk_i,
    input  logic                      rst_ni,
    input  logic                      find_i,
    input  logic [31:0]               spi_i,
    input  logic [7:0]                protocol_i,
    input  logic                      ipv6_i,
    input  logic [127:0]              destination_i,
    output logic                      hit_o,
    output logic [15:0]               sa_index_o,
    input  logic                      write_i,
    input  logic                      remove_i,
    input  logic [15:0]               index_i,
    /* verilator lint_off UNUSEDSIGNAL */
    input  saline_pkg::lookup_entry_t entry_i
    /* verilator lint_on UNUSEDSIGNAL */
);
  localparam int unsigned Ways = saline_pkg::LookupWays;
  localparam int unsigned A    = $clog2(BUCKETS);
  localparam int unsigned W    = saline_pkg::LookupEntryBits - 320;  // without reserved1

  logic [A-1:0] bucket, write_bucket;
  logic         write;
  logic [W-1:0] stored;
  logic [31:0]  spi_q;
  logic [7:0]   protocol_q;
  logic         ipv6_q;
  logic [127:0] destination_q;
  assign bucket       = A'(spi_i ^ {24'd0, protocol_i});
  assign write        = write_i && index_i < 16'(BUCKETS * Ways);
  assign write_bucket = A'(index_i >> $clog2(Ways));
  assign stored       = remove_i ? '0 : entry_i[saline_pkg::LookupEntryBits-1 -: W];

  always_ff @(posedge clk_i) begin
    if (find_i) begin
      spi_q         <= spi_i;
      protocol_q    <= protocol_i;
      ipv6_q        <= ipv6_i;
      destination_q <= destination_i;
    end
  end

  logic [Ways-1:0]    exact, loose;
  logic [16*Ways-1:0] answers;
  for (genvar way = 0; way < Ways; way++) begin : g_way
    logic [W-1:0]       memory[0:BUCKETS-1];
    logic [W-1:0]       read_q;
    logic [BUCKETS-1:0] valid_q;
    logic               read_valid_q;
    logic               name, any;
    logic               put;
    assign put = write && index_i[$clog2(Ways)-1:0] == $clog2(Ways)'(way);
    always_ff @(posedge clk_i) begin
      if (find_i) begin
        read_q       <= memory[bucket];
        read_valid_q <= valid_q[bucket];
      end
      if (put) memory[write_bucket] <= stored;
      if (!rst_ni) valid_q <= '0;
      else if (put) valid_q[write_bucket] <= stored[W-1];
    end
    // valid, ipv6, any_destination, reserved0, protocol, sa_index, spi, destination
    assign name       = read_valid_q && read_q[W-9 -: 8] == protocol_q && read_q[159:128] == spi_q;
    assign any        = read_q[W-3];
    assign exact[way] = name && !any && read_q[W-2] == ipv6_q && read_q[127:0] == destination_q;
    assign loose[way] = name && any;
    assign answers[16*way +: 16] = read_q[W-17 -: 16];
  end

  always_comb begin
    hit_o      = exact != '0 || loose != '0;
    sa_index_o = 16'd0;
    for (int way = Ways - 1; way >= 0; way--) begin
      if (exact[way] || (exact == '0 && loose[way])) sa_index_o = answers[16*way +: 16];
    end
  end
endmodule

`default_nettype wire
