#!/usr/bin/env python3
"""Runs the distribution's own DPDK programs on a net_saline port.

usage: stock.py LIBRARY_DIR TRANSPORT testpmd
       stock.py LIBRARY_DIR TRANSPORT inline_ipsec

TRANSPORT is what follows `transport=` in the device arguments. testpmd sends packets round a MAC
that loops back and counts them. inline_ipsec runs inline_ipsec_autotest of dpdk-test: no case may
fail, and exactly the cases of inline_ipsec_skips.txt may be skipped. Ends with 77 (skipped) where
the programs are not installed.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

SKIPPED = 77
HERE = pathlib.Path(__file__).resolve().parent


def type_in(process, lines):
    """Lines for the program's standard input; a number is a pause in seconds."""
    for line in lines:
        if isinstance(line, (int, float)):
            time.sleep(line)
            continue
        try:
            process.stdin.write(line + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            return


def run(program, library_dir, transport, words, lines, environment=(), timeout=600):
    """Exit status and output of the program. EAL refuses a -d path below a world-writable folder,
    so the driver is found by name, from a working directory that does not hold it. libxrt in
    emulation writes a log beside the program, so a copy is run."""
    installed = shutil.which(program)
    if installed is None:
        print(f"{program} is not installed")
        sys.exit(SKIPPED)
    with tempfile.TemporaryDirectory(prefix="saline-stock-") as scratch:
        cpus = ",".join(str(cpu) for cpu in sorted(os.sched_getaffinity(0)))
        command = [shutil.copy(installed, scratch), "--lcores", f"0@({cpus}),1@({cpus})",
                   "--no-huge", "-m", "512", "--no-pci", "--no-shconf", "--no-telemetry",
                   "--file-prefix", f"saline{os.getpid()}",
                   "-d", "librte_net_saline.so", "--vdev", f"net_saline0,transport={transport}"]
        process = subprocess.Popen(
            command + words, text=True, cwd=scratch, errors="replace", stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
            env={**os.environ, **dict(environment), "LD_LIBRARY_PATH": library_dir,
                 "RUNTIME_DIRECTORY": scratch})
        typist = threading.Thread(target=type_in, args=(process, lines), daemon=True)
        typist.start()
        killer = threading.Timer(timeout, process.kill)
        killer.start()
        output = process.stdout.read()
        status = process.wait()
        killer.cancel()
    print(output)
    return status, output


def fail(sentence):
    print(f"FAILED: {sentence}")
    sys.exit(1)


def testpmd(library_dir, transport):
    lines = ["set fwd io", "start tx_first 2", 3, "show port stats 0", "show port xstats 0", "stop",
             1, "port stop 0", "port start 0", "start tx_first 1", 3, "stop", 1, "quit"]
    status, output = run("dpdk-testpmd", library_dir, transport,
                         ["--", "-i", "--total-num-mbufs=4096", "--rxd=256", "--txd=256"], lines)
    if status != 0:
        fail(f"dpdk-testpmd ended with {status}")
    forwarded = [int(n) for n in re.findall(
        r"statistics for port 0  -+\n\s+RX-packets: (\d+)\s+RX-dropped: 0 ", output)]
    if len(forwarded) != 2 or min(forwarded) < 32:
        fail(f"packets received while forwarding: {forwarded}, at least 32 each time were expected")
    errors = re.findall(r"TX-errors: (\d+)", output)
    if not errors or set(errors) != {"0"}:
        fail(f"TX-errors: {errors}")
    print(f"forwarded {forwarded}, no errors")


def expected_skips():
    """Name to reason: a reason is the comment line above the names."""
    skips, reason = dict(), ""
    for line in (HERE / "inline_ipsec_skips.txt").read_text().splitlines():
        if line.startswith("# "):
            reason = line[2:]
        elif line:
            skips[line] = reason
    return skips


def inline_ipsec(library_dir, transport):
    status, output = run("dpdk-test", library_dir, transport, [], [],
                         environment={"DPDK_TEST": "inline_ipsec_autotest"}.items())
    cases = dict()
    for name, outcome in re.findall(
            r"\+ TestCase \[ *\d+\] : (.*?) (succeeded|failed|skipped|unsupported)", output):
        cases[name] = outcome
    totals = dict(re.findall(
        r"\+ Tests (Total|Skipped|Executed|Unsupported|Passed|Failed) *: *(\d+)", output))
    if not totals:
        fail("dpdk-test printed no summary")
    skipped = {name for name, outcome in cases.items() if outcome in ("skipped", "unsupported")}
    expected = expected_skips()
    print("totals:", totals)
    for name in sorted(skipped):
        print(f"skipped: {name}: {expected.get(name, 'why?')}")
    if totals.get("Failed") != "0" or status != 0:
        fail("cases failed: " + ", ".join(n for n, o in cases.items() if o == "failed"))
    if int(totals["Passed"]) + len(skipped) != int(totals["Total"]):
        fail("the summary does not add up with the cases")
    if skipped != set(expected):
        fail(f"skipped but not expected: {sorted(skipped - set(expected))}; "
             f"expected but not skipped: {sorted(set(expected) - skipped)}")


def main():
    library_dir, transport, what = sys.argv[1:]
    {"testpmd": testpmd, "inline_ipsec": inline_ipsec}[what](library_dir, transport)


if __name__ == "__main__":
    main()
