"""Saline against the Linux kernel's IPsec, both directions: each transform that both know, every
mode and pair of families. Of each case:
  - payloads of many sizes go out through Saline, are answered by Linux, and come back unchanged;
  - with a card, it has carried what it can;
  - nothing but the SAs' packets is seen on the cable;
  - what Linux sent is opened by Saline's engine once more and made again from the same number and
    IV: equal to the bit;
  - then, of one more echo, every packet is passed on with one bit changed, as it is, and once more:
    both sides count one forgery and one replay, and the echo arrives once.

usage: linux_test.py BUILD [--all] [--only EXPRESSION] [--wire card] [--seed N]
Exit status: 0 held, 1 not, 77 skipped with a reason. Without --all, a selection.
"""

import argparse
import os
import random
import re
import struct
import sys
import time

import cases
import engine
import facts
import kernel_peer
from rig import LINUX, SALINE, Failure, check, grown, rig
from stream import checksum
from bed import protocol_of, skip

SIZES = [0, 1, 2, 3, 7, 8, 15, 16, 17, 31, 64, 100, 255, 512, 700, 1023, 1300]
SALINED = ["--mtu", "1500", "--set", "net.inet.ipsec.dfbit=2", "--set", "net.inet.ipsec.ecn=2"]
PROTOCOL = {"esp": 50, "ah": 51, "ipcomp": 108}
UDP = 17


def upper_of(packet):
    """(protocol behind the outer header, what follows it)"""
    if packet[0] >> 4 == 4:
        return packet[9], packet[(packet[0] & 15) * 4:]
    return packet[6], packet[40:]


def check_cable(rig_, case):
    """All packets since the last case are of the outermost SA, and number on from 1."""
    outermost = case.bundle[-1]
    for direction, origin in enumerate((SALINE, LINUX)):
        numbers = []
        for packet in rig_.packets(origin):
            upper, rest = upper_of(packet)
            if case.udp:
                check(upper == UDP and rest[:4] == struct.pack("!HH", cases.UDP_PORT,
                                                               cases.UDP_PORT),
                      f"{origin} sent no UDP of port {cases.UDP_PORT}")
                upper, rest = PROTOCOL["esp"], rest[8:]
            check(upper == PROTOCOL[outermost.proto], f"{origin} sent protocol {upper}")
            at = 4 if outermost.proto == "ah" else 0
            spi = int.from_bytes(rest[at:at + 4], "big")
            check(spi == case.spis[direction][-1], f"{origin} sent SPI {spi:#x}")
            numbers.append(int.from_bytes(rest[at + 4:at + 8], "big"))
        check(numbers == list(range(1, len(numbers) + 1)), f"{origin} numbered {numbers}")


def check_compression(rig_, case):
    """Alone, IPComp shows: in both directions, not on all packets."""
    for direction, origin in enumerate((SALINE, LINUX)):
        kinds = [upper_of(packet) for packet in rig_.packets(origin)]
        compressed = [rest for upper, rest in kinds if upper == PROTOCOL["ipcomp"]]
        check(0 < len(compressed) < len(kinds),
              f"{origin} compressed {len(compressed)} of {len(kinds)} packets")
        for rest in compressed:
            cpi = int.from_bytes(rest[2:4], "big")
            check(cpi == case.spis[direction][0], f"{origin} sent CPI {cpi:#x}")


def with_udp6_checksum(frame):
    """UDP over IPv6 has a checksum, and a packet that fails it comes not so far as to its ICV."""
    packet = frame[14:]
    if packet[0] >> 4 != 6:
        return frame
    datagram = packet[40:46] + bytes(2) + packet[48:]
    pseudo = packet[8:40] + struct.pack("!II", len(datagram), UDP)
    value = checksum(pseudo + datagram + bytes(len(datagram) % 2)) or 0xffff
    return frame[:60] + struct.pack("!H", value) + frame[62:]


def check_tampering(rig_, case, rng):
    def tamper(_, frame):
        if protocol_of(frame) == "link":
            return [frame]
        head = 14 + (20 if frame[14] >> 4 == 4 else 40) + 8 * case.udp + 12
        at = rng.randrange(head, len(frame))
        damaged = frame[:at] + bytes([frame[at] ^ (1 << rng.randrange(8))]) + frame[at + 1:]
        return [with_udp6_checksum(damaged) if case.udp else damaged, frame, frame]

    linux, drops = rig_.linux_counters(), rig_.saline_drops()
    rig_.tamper = tamper
    try:
        rig_.echo(case.tunnel, case.inner, [rng.randbytes(50)])
    finally:
        rig_.tamper = None
    check(rig_.stray(case.tunnel, case.inner) is None, "an echo arrived twice")
    dropped = grown(rig_.linux_counters(), linux)
    check(dropped == {"XfrmInStateProtoError": 1, "XfrmInStateSeqError": 1}, f"Linux: {dropped}")
    for _ in range(100):
        dropped = grown(rig_.saline_drops(), drops)
        if sum(dropped.values()) >= 2:
            break
        time.sleep(0.01)
    check(dropped == {"icv": 1, "replay": 1}, f"Saline: {dropped}")


def payload(rng, size, case):
    """At random, or worth compressing."""
    return (rng.randbytes(8) * (size // 8 + 1))[:size] if case.compressed else rng.randbytes(size)


def run_case(rig_, engine_, case, rng):
    rig_.frames.clear()
    rig_.setkey(case.setkey())
    rig_.linux(case.linux())
    # Linux loses UDP over IPv6 of less than 48 bytes that holds ESP.
    least = 7 if case.udp and case.outer == 6 else 0
    rig_.echo(case.tunnel, case.inner,
              [payload(rng, size, case) for size in SIZES if size >= least])
    if len(case.bundle) == 1 and case.compressed:
        check_compression(rig_, case)
        return
    check_cable(rig_, case)
    if rig_.has_card and case.bundle[0].on_card and len(case.bundle) == 1 and not case.udp:
        paths = [(sa["path"], sa["reason"]) for sa in rig_.status()["associations"]]
        check(all(path == "card" or re.search("window above|192-bit key not in card", reason)
                  for path, reason in paths), f"carried by {paths}")
    packets = rig_.packets(LINUX)
    compared = engine.compare_with_linux(engine_, case, packets)
    check(compared in (None, len(packets)), f"{compared} packets compared of {len(packets)}")
    check_tampering(rig_, case, rng)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--only", default="", help="an expression for the cases' names")
    parser.add_argument("--wire", default="plain", choices=["plain", "card"])
    parser.add_argument("--seed", type=int, default=os.environ.get("SALINE_SEED"))
    options = parser.parse_args()
    if reason := kernel_peer.unavailable():
        skip(reason)
    seed = int(options.seed) if options.seed is not None else random.randrange(2**32)
    print(f"seed {seed}", flush=True)
    rng = random.Random(seed)
    counts, failures, begin = {}, 0, time.monotonic()
    with (rig(options.build, options.wire, *SALINED) as rig_,
          engine.Engine(options.build) as engine_):
        print(f"up in {time.monotonic() - begin:.1f} s", flush=True)
        rows = cases.table(engine_)
        for group, name, step in steps(rows, rig_, engine_, rng, options.all):
            if not re.search(options.only, f"{group}: {name}"):
                continue
            held, ran = counts.get(group, (0, 0))
            result = attempt(group, name, step, rig_)
            failures += not result
            counts[group] = (held + result, ran + 1)
            if failures >= 25:
                print("too many failures to go on")
                break
    for row, reason in cases.uncovered(rows):
        print(f"not tried: {row.name}: {reason or 'no name for it in cases.py'}")
    for group, (held, ran) in counts.items():
        print(f"{group}: {held} of {ran} held")
    print(f"{time.monotonic() - begin:.0f} s")
    sys.exit(1 if failures or not counts else 0)


def steps(rows, rig_, engine_, rng, everything):
    """(group, name, what to do)"""
    for group, case in cases.all_cases(rows, rng, everything):
        once = random.Random(rng.random())
        yield group, str(case), lambda case=case, once=once: run_case(rig_, engine_, case, once)
    for name, fact in facts.FACTS.items():
        once = random.Random(rng.random())
        yield "facts", name, lambda fact=fact, once=once: fact(rig_, engine_, rows, once)


def attempt(group, name, step, rig_):
    """Prints what became of it; whether it held."""
    start = time.monotonic()
    before = (rig_.linux_counters(), rig_.saline_drops())
    try:
        step()
        print(f"ok   {group}: {name} ({time.monotonic() - start:.2f} s)", flush=True)
        return True
    except Failure as failure:
        now = (rig_.linux_counters(), rig_.saline_drops())
        told = [grown(now[i], before[i]) for i in range(2)]
        print(f"FAIL {group}: {name}: {failure}\n     dropped since: Linux {told[0]}, Saline "
              f"{told[1]}", flush=True)
        return False


if __name__ == "__main__":
    main()
