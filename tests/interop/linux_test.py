"""Saline against the Linux kernel's IPsec, both directions: each transform that both know, every
mode and pair of families. Of each case:
  - payloads of many sizes go out through Saline, are answered by Linux, and come back unchanged;
  - nothing but the SAs' packets is seen on the cable;
  - then, of one more echo, every packet is passed on with one bit changed, as it is, and once more:
    both sides count one forgery and one replay, and the echo arrives once.

usage: linux_test.py BUILD [--all] [--only WORDS] [--wire card] [--seed N]
Exit status: 0 held, 1 not, 77 skipped with a reason. Without --all, a selection.
"""

import argparse
import random
import sys
import time

import cases
import kernel_peer
from rig import LINUX, SALINE, Failure, check, rig
from bed import protocol_of, skip

SIZES = [0, 1, 2, 3, 7, 8, 15, 16, 17, 31, 64, 100, 255, 512, 700, 1023, 1300]
PROTOCOL = {"esp": 50, "ah": 51, "ipcomp": 108}


def upper_of(packet):
    """(protocol behind the outer header, what follows it)"""
    if packet[0] >> 4 == 4:
        return packet[9], packet[(packet[0] & 15) * 4:]
    return packet[6], packet[40:]


def check_cable(rig_, case):
    """All packets since the last case are of the outermost SA, and number on from 1."""
    for direction, origin in enumerate((SALINE, LINUX)):
        numbers = []
        for packet in rig_.packets(origin):
            upper, rest = upper_of(packet)
            outermost = case.bundle[-1]
            check(upper == PROTOCOL[outermost.proto], f"{origin} sent protocol {upper}")
            at = 4 if outermost.proto == "ah" else 0
            spi = int.from_bytes(rest[at:at + 4], "big")
            check(spi == case.spis[direction][-1], f"{origin} sent SPI {spi:#x}")
            numbers.append(int.from_bytes(rest[at + 4:at + 8], "big"))
        check(numbers == list(range(1, len(numbers) + 1)), f"{origin} numbered {numbers}")


def check_tampering(rig_, case, rng):
    def tamper(_, frame):
        if protocol_of(frame) == "link":
            return [frame]
        head = 14 + (20 if frame[14] >> 4 == 4 else 40) + 12
        at = rng.randrange(head, len(frame))
        return [frame[:at] + bytes([frame[at] ^ (1 << rng.randrange(8))]) + frame[at + 1:],
                frame, frame]

    linux, drops = rig_.linux_counters(), rig_.saline_drops()
    rig_.tamper = tamper
    try:
        rig_.echo(case.tunnel, case.inner, [rng.randbytes(50)])
    finally:
        rig_.tamper = None
    check(rig_.stray(case.tunnel, case.inner) is None, "an echo arrived twice")
    now = rig_.linux_counters()
    grown = {name: now[name] - linux[name] for name in now if now[name] != linux[name]}
    check(grown == {"XfrmInStateProtoError": 1, "XfrmInStateSeqError": 1}, f"Linux: {grown}")
    for _ in range(100):
        now = rig_.saline_drops()
        grown = {name: now[name] - drops.get(name, 0) for name in now
                 if now[name] != drops.get(name, 0)}
        if sum(grown.values()) >= 2:
            break
        time.sleep(0.01)
    check(grown == {"icv": 1, "replay": 1}, f"Saline: {grown}")


def run_case(rig_, case, rng):
    rig_.frames.clear()
    rig_.setkey(case.setkey())
    rig_.linux(case.linux())
    rig_.echo(case.tunnel, case.inner, [rng.randbytes(size) for size in SIZES])
    check_cable(rig_, case)
    check_tampering(rig_, case, rng)


def chosen(rows, everything, rng):
    for transform in cases.transforms(rows) if everything else cases.selection(rows):
        for shape in cases.SHAPES:
            yield cases.Case([transform], shape, rng.random())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--wire", default="plain")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    options = parser.parse_args()
    if reason := kernel_peer.unavailable():
        skip(reason)
    rows = cases.table(options.build)
    print(f"seed {options.seed}", flush=True)
    rng = random.Random(options.seed)
    failed, ran, begin = [], 0, time.monotonic()
    with rig(options.build, options.wire) as rig_:
        print(f"up in {time.monotonic() - begin:.1f} s", flush=True)
        for case in chosen(rows, options.all, rng):
            if not all(word in str(case) for word in options.only.split()):
                continue
            ran += 1
            start = time.monotonic()
            try:
                run_case(rig_, case, random.Random(rng.random()))
                print(f"ok   {case} ({time.monotonic() - start:.2f} s)", flush=True)
            except Failure as failure:
                failed.append(case)
                print(f"FAIL {case}: {failure}", flush=True)
    for row, reason in cases.uncovered(rows):
        print(f"not tried: {row.name}: {reason or 'no name for it in cases.py'}")
    print(f"{ran - len(failed)} of {ran} cases held in {time.monotonic() - begin:.0f} s")
    sys.exit(1 if failed or not ran else 0)


if __name__ == "__main__":
    main()
