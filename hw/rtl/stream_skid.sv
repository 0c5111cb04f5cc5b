// Register slice: cuts every path between its two sides, data, valid and ready, at one word per
// clock. Latency one clock. Holds up to two words of W bits. Reset is synchronous.
`default_nettype none

module stream_skid #(
    parameter int unsigned W = 8
) (
    input  logic         clk_i,
    input  logic         rst_ni,
    input  logic         valid_i,
    output logic         ready_o,
    input  logic [W-1:0] data_i,
    output logic         valid_o,
    input  logic         ready_i,
    output logic [W-1:0] data_o
);
endmodule

`default_nettype wire
