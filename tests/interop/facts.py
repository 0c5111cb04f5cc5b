"""Where the standards leave room, and where the answer is a refusal: what both sides do with the
same packets. Differences that stay are in docs/verification.md."""

import re
import socket
import struct

import bed
import cases
from rig import ECHO_PORT, ENDS, LINUX, SALINE, Failure, check, grown
from stream import TRANSPORT, TUNNEL, Stream, checksum, ipv4, key, refusals, udp, walk

MTU_DISCOVER, PMTUDISC_DONT, PMTUDISC_DO = 10, 0, 2  # linux/in.h
FACTS = {}


def fact(function):
    FACTS[function.__name__.replace("_", " ")] = function
    return function


@fact
def window_of_32(rig, engine, rows, rng):
    """RFC 4303 §3.4.3: on the edges of the window."""
    numbers = [1, 2, 2, 10, 5, 5, 50, 19, 18, 17, 51, 20, 20, 1000, 969, 968, 1000, 970]
    taken = walk(rig, engine, rows, rng, numbers)
    check([numbers[at] for at in taken] == [1, 2, 10, 5, 50, 19, 51, 20, 1000, 969, 970],
          f"taken: {[numbers[at] for at in taken]}")


@fact
def window_walk(rig, engine, rows, rng):
    """At random around the window's edges, as RFC 4303 §3.4.3."""
    top, numbers = 1, []
    for _ in range(240):
        step = rng.choice([1, 1, 2, 3, -rng.randrange(70), rng.randrange(70)])
        numbers.append(max(1, top + step))
        top = max(top, numbers[-1])
    taken = walk(rig, engine, rows, rng, numbers)
    check(40 < len(taken) < 240, f"{len(taken)} of 240 taken")


@fact
def extended_numbers(rig, engine, rows, rng):
    """RFC 4303 Appendix A2: over the end of the low half and back, window of 64."""
    low = [1, 0x70000000, 0xe0000000, 0xfffffff0, 0xfffffff0, 0x100000005, 0xfffffff8, 0xfffffff8,
           0x100000005, 0x100000007, 0xffffffc5, 0xffffffc8, 0x100000006]
    taken = walk(rig, engine, rows, rng, low, 4, esn=True, window=64)
    check(len(taken) == 9, f"taken: {[hex(low[at]) for at in taken]}")
    numbers, top = [], 0xffffff00
    for _ in range(200):
        numbers.append(top + rng.choice([1, 1, 2, 3, -rng.randrange(100), rng.randrange(100)]))
        top = max(top, numbers[-1])
    check(top > 0x100000000, "the walk has crossed")
    start = [1, 0x70000000, 0xe0000000, 0xfffffe00]
    walk(rig, engine, rows, rng, start + numbers, len(start), esn=True, window=64)


@fact
def damaged_packets(rig, engine, rows, rng):
    """Each bit of SPI, number, IV, text and ICV matters; a damaged packet moves no window."""
    case = key(rig, rows, TUNNEL, rng)
    stream = Stream(rig, engine, case)
    stream.protect(1, b"whole")
    for frames in stream.frames.values():
        whole = frames.pop()
        for bit in rng.sample(range(28 * 8, len(whole) * 8), 40):
            damaged = bytearray(whole)
            damaged[bit // 8] ^= 1 << bit % 8
            frames.append(bytes(damaged))
    refusals(stream, {"XfrmInStateProtoError": 40}, {"icv": 40})
    stream.protect(1, b"whole")
    check(stream.send()[:2] == ([b"whole"], [b"whole"]), "the same number, whole, is taken")


@fact
def unknown_spi(rig, engine, rows, rng):
    case = key(rig, rows, TUNNEL, rng)
    stream = Stream(rig, engine, case)
    case.spis = [[0x7e57], [0x7e58]]
    stream.protect(1, b"whose?")
    refusals(stream, {"XfrmInNoStates": 1}, {"no_sa": 1})


@fact
def clear_packets_where_esp_is_asked(rig, engine, rows, rng):
    case = key(rig, rows, TRANSPORT, rng)
    stream = Stream(rig, engine, case)
    for origin, source, destination, ports in ((SALINE, stream.mine, stream.theirs, (9, ECHO_PORT)),
                                               (LINUX, stream.theirs, stream.mine,
                                                (ECHO_PORT, stream.port))):
        stream.frames[origin].append(ipv4(source, destination, udp(*ports, b"clear")))
    refusals(stream, {"XfrmInTmplMismatch": 1}, {"policy": 1})


@fact
def inner_source_outside_the_policy(rig, engine, rows, rng):
    """RFC 4301 §5.2: the selectors are those of the policy."""
    case = key(rig, rows, TUNNEL, rng)
    stream = Stream(rig, engine, case)
    stream.protect(1, b"forged", source={SALINE: "192.168.7.1", LINUX: "192.168.7.1"})
    refusals(stream, {"XfrmInNoPols": 1}, {"policy": 1})


@fact
def outer_source_of_somebody_else(rig, engine, rows, rng):
    """RFC 4301 §5.2 leaves it open. Linux takes the packet, Saline does not."""
    case = key(rig, rows, TUNNEL, rng)
    stream = Stream(rig, engine, case)
    stream.protect(1, b"from elsewhere")
    for frames in stream.frames.values():
        packet = bytearray(frames[0])
        packet[12:16] = socket.inet_aton("10.9.0.77")
        packet[10:12] = bytes(2)
        packet[10:12] = struct.pack("!H", checksum(bytes(packet[:20])))
        frames[0] = bytes(packet)
    linux, saline, _, dropped = stream.send()
    check((linux, saline) == ([b"from elsewhere"], []), f"taken: {linux}, {saline}")
    check(dropped == {"policy": 1}, f"Saline: {dropped}")


@fact
def pings_of_linux(rig, engine, rows, rng):
    """Linux speaks first."""
    for shape in cases.SHAPES:
        case = key(rig, rows, shape, rng)
        there = ENDS[case.tunnel, case.inner][0]
        rig.linux(f"ping -n -c 1 -W 2 -s {rng.randrange(1300)} {there}")


def outer_and_inner(rig, engine, case):
    """(who, outer header, inner header) of all ESP on the cable; IPv4 in IPv4."""
    for origin, frame in rig.frames:
        packet = frame[14:]
        if bed.protocol_of(frame) == "esp":
            engine.key(case, 0 if origin == SALINE else 1, int.from_bytes(packet[24:28], "big"))
            yield origin, packet[:20], engine.open(packet)[:20]


def tell(header):
    """(DSCP, ECN, DF, TTL)"""
    return header[1] >> 2, header[1] & 3, header[6] >> 6 & 1, header[8]


@fact
def outer_headers(rig, engine, rows, rng):
    """RFC 4301 §5.1.2.1 with RFC 6040 §4.1, DF copied. Linux marks what is CE inside as ECT(0)
    outside, as RFC 3168 has it."""
    case = key(rig, rows, TUNNEL, rng)
    for tos in (0, 0xb8, 1, 2, 3, 0xbb):
        for discover in ("do", "dont"):
            rig.linux(f"ping -n -c 1 -W 2 -Q {tos} -M {discover} -t 33 192.168.1.1")
            probe = rig.probe(True, 4)
            probe.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, tos)
            probe.setsockopt(socket.IPPROTO_IP, MTU_DISCOVER,
                             PMTUDISC_DO if discover == "do" else PMTUDISC_DONT)
            rig.echo(True, 4, [b"header"])
    probe.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0)
    seen = set()
    for origin, outer, inner in outer_and_inner(rig, engine, case):
        dscp, ecn, df, _ = tell(inner)
        seen.add((origin, ecn, df))
        wanted = (dscp, 2 if (origin, ecn) == (LINUX, 3) else ecn, df, 64)
        check(tell(outer) == wanted, f"{origin}: {tell(outer)} outside, {tell(inner)} inside")
    check(len(seen) == 16, f"seen: {sorted(seen)}")


def marked_ping(rig, engine, case, number, inner_tos, outer_tos):
    """An echo request with those marks to either side; the marks that its answer bears."""
    answers = {}
    for direction, origin in enumerate((SALINE, LINUX)):
        ends = ENDS[True, 4] if origin == SALINE else ENDS[True, 4][::-1]
        echo = struct.pack("!BBHHH", 8, 0, 0, 7, number)
        echo = echo[:2] + struct.pack("!H", checksum(echo)) + echo[4:]
        engine.key(case, direction, number)
        packet = bytearray(engine.protect(ipv4(*ends, echo, protocol=1, tos=inner_tos)))
        packet[1] = packet[1] & 0xfc | outer_tos
        packet[10:12] = bytes(2)
        packet[10:12] = struct.pack("!H", checksum(bytes(packet[:20])))
        rig.frames.clear()
        rig.tamper = lambda origin, frame: []
        send = rig.send_linux if origin == SALINE else rig.send_saline
        send(rig.ethernet(origin, bytes(packet)))
        rig.settle()
        rig.tamper = None
        headers = list(outer_and_inner(rig, engine, case))
        answers[LINUX if origin == SALINE else SALINE] = headers[0][2][1] if headers else None
    return answers


@fact
def congestion_marks_at_the_end(rig, engine, rows, rng):
    """RFC 6040 §4.2. Linux passes on what came as CE around Not-ECT, unmarked; Saline drops it."""
    case = key(rig, rows, TUNNEL, rng)
    number = 0
    for inner in range(4):
        for outer in range(4):
            number += 1
            answers = marked_ping(rig, engine, case, number, inner, outer)
            wanted = inner
            if outer == 3 and inner:
                wanted = 3
            if (inner, outer) == (2, 1):
                check(answers == {LINUX: 2, SALINE: 1}, f"ECT(1) around ECT(0): {answers}")
                continue
            dropped = None if (inner, outer) == (0, 3) else wanted
            check(answers == {LINUX: wanted, SALINE: dropped},
                  f"{outer} around {inner}: {answers}")


@fact
def packets_too_big(rig, engine, rows, rng):
    """The same MTU is told, and what has just that size passes. 1446 for AES-GCM: the two bytes of
    ESP's trailer behind a multiple of four."""
    for name, auth in (("aes-gcm-16", None), ("aes-ctr", "hmac-sha1"), ("aes-cbc", "hmac-sha2-256"),
                       ("null", "hmac-sha2-512")):
        case = key(rig, rows, TUNNEL, rng, name, auth)
        rig.linux("ip route flush cache")
        rig.saline.run("ip", "route", "flush", "cache")
        ping = ["ping", "-n", "-c", "1", "-W", "1", "-M", "do", "-s", "1472"]
        told = [re.search(r"mtu ?= ?(\d+)", text) for text in (
            rig.linux(" ".join(ping) + " 192.168.1.1 || true"),
            rig.saline.run(*ping, "-I", "192.168.1.1", "192.168.2.1", check=False).stdout)]
        check(None not in told, f"{case}: not told")
        linux, saline = (int(found.group(1)) for found in told)
        check(linux == saline, f"{case}: Linux tells {linux}, Saline {saline}")
        check(name != "aes-gcm-16" or saline == 1446, f"{case}: {saline}")
        probe = rig.probe(True, 4)
        probe.setsockopt(socket.IPPROTO_IP, MTU_DISCOVER, PMTUDISC_DO)
        rig.echo(True, 4, [bytes(saline - 28)])


@fact
def datagrams_larger_than_the_mtu(rig, engine, rows, rng):
    """Fragments before and after protection, whoever makes them. DPDK's af_packet port has the
    kernel put IPv4 fragments together, and holds frames of 2048 bytes."""
    for shape in cases.SHAPES:
        case = key(rig, rows, shape, rng)
        probe = rig.probe(case.tunnel, case.inner)
        if case.inner == 4:
            probe.setsockopt(socket.IPPROTO_IP, MTU_DISCOVER, PMTUDISC_DONT)
        else:  # the host is told what fits
            probe.sendto(bytes(1450), (ENDS[case.tunnel, 6][1], 9))
            rig.settle()
        for size in (1450, 1472, 1800, 2900, 6000):
            if size > 1800 and case.outer == 4 and not rig.has_card:
                break
            try:
                rig.echo(case.tunnel, case.inner, [rng.randbytes(size)])
            except Failure as failure:
                raise Failure(f"{case}: {failure}") from None


@fact
def esp_over_ah(rig, engine, rows, rng):
    """Saline takes it. Linux takes none, not its own either: it checks the AH inside with the
    protocol field still saying ESP."""
    _, sha2 = cases.find(rows, "hmac-sha1", "hmac-sha2-256")
    gcm = cases.find(rows, "aes-gcm-16")[0]
    for shape in cases.SHAPES[:2]:
        case = cases.Case([cases.Transform("ah", auth=sha2), cases.Transform("esp", gcm, 160)],
                          shape, rng.random())
        rig.frames.clear()
        rig.setkey(case.setkey())
        rig.linux(case.linux())
        before = rig.saline_drops(), rig.linux_counters()
        rig.linux(f"ping -n -c 1 -W 1 {case.mine} || true")
        check(grown(rig.saline_drops(), before[0]) == {}, "Saline drops Linux's")
        check(len(rig.packets(SALINE)) == 1, "Saline's host has answered")
        check(grown(rig.linux_counters(), before[1]) == {"XfrmInStateProtoError": 1},
              "Linux drops what it would not drop alone")
