// Suite unit for ESP AES-GCM with a 16-byte ICV (RFC 4106, NIST SP 800-38D §7), keys of 128 and
// 256 bits; suite none passes the text unchanged with an ICV of zero.
//
// Takes one job and one packet of text per ESP packet, gives the transformed text and one ICV
// record, all in order. The text may come before its job but is not taken before it. The ICV is
// the computed one in both directions; comparing it is the gate's work: on decryption the text
// leaves before its ICV is known. The length that counts is job.bytes: longer text is cut, shorter
// text is continued with zeros, and nothing hangs.
//
// Packets follow one another without a bubble, each with its own key and direction, and take
// ceil((ceil(bytes / 16) + 2) / LANES) clocks in the cipher. LANES is 4 (512 bits per clock) or 1.
// The ICV is offered at most 8 clocks after the last text beat would leave unhindered; up to 32
// ICVs wait. A user that wants the ICV before it takes the text must store the whole text itself.
`default_nettype none

module suite_gcm #(
    parameter int unsigned LANES = 4
) (
    input  logic             clk_i,
    input  logic             rst_ni,
    input  logic             job_valid_i,
    output logic             job_ready_o,
    input  ipsec_pkg::job_t  job_i,
    input  logic             text_valid_i,
    output logic             text_ready_o,
    input  ipsec_pkg::beat_t text_i,
    output logic             text_valid_o,
    input  logic             text_ready_i,
    output ipsec_pkg::beat_t text_o,
    output logic             icv_valid_o,
    input  logic             icv_ready_i,
    output logic [127:0]     icv_o
);
endmodule

`default_nettype wire
