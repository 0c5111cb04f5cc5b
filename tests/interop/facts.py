"""Where the standards leave room, and where the answer is a refusal: what both sides do with the
same packets. Differences that stay are in docs/verification.md."""

import re
import socket
import struct

import bed
import cases
from rig import ECHO_PORT, ENDS, LINUX, SALINE, check, grown

FACTS = {}
TUNNEL, TRANSPORT = ("tunnel", 4, 4), ("transport", 4, 4)


def fact(function):
    FACTS[function.__name__.replace("_", " ")] = function
    return function


def key(rig, rows, shape, rng, name="aes-gcm-16", auth=None, **options):
    """Both sides keyed with one transform of ESP."""
    cipher = next(row for row in rows if row.name == name)
    sign = next((row for row in rows if row.name == auth), None)
    case = cases.Case([cases.Transform("esp", cipher, cipher.key_bits[0], sign)], shape,
                      rng.random(), **options)
    rig.frames.clear()
    rig.setkey(case.setkey())
    rig.linux(case.linux())
    return case


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ipv4(source, destination, payload, protocol=17, tos=0):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, tos, 20 + len(payload), 1, 0, 64, protocol, 0,
                       socket.inet_aton(source), socket.inet_aton(destination))
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def udp(source_port, destination_port, data):
    return struct.pack("!HHHH", source_port, destination_port, 8 + len(data), 0) + data


class Stream:
    """Numbered packets of a tunnel or transport SA over IPv4, made by Saline's engine outside of
    its daemon, put on the cable towards either side; and which of them were taken."""

    def __init__(self, rig, engine, case):
        self.rig, self.engine, self.case = rig, engine, case
        self.mine, self.theirs = ENDS[case.tunnel, 4]
        self.port = rig.probe(case.tunnel, 4).getsockname()[1]
        self.frames = {SALINE: [], LINUX: []}  # by whom they are sent

    def protect(self, number, data, **fields):
        """The same plain packet with that number for both directions."""
        for direction, (origin, source, destination, ports) in enumerate((
                (SALINE, self.mine, self.theirs, (self.port, ECHO_PORT)),
                (LINUX, self.theirs, self.mine, (ECHO_PORT, self.port)))):
            self.engine.key(self.case, direction, number)
            plain = ipv4(fields.get("source", {}).get(origin, source), destination,
                         udp(*ports, data), tos=fields.get("tos", 0))
            self.frames[origin].append(self.engine.protect(plain))

    def send(self):
        """(data that Linux answered, data that came out of Saline, drops of Linux, of Saline)"""
        rig = self.rig
        before = rig.linux_counters(), rig.saline_drops()
        taken = [], []
        rig.frames.clear()
        rig.tamper = lambda origin, frame: []  # answers end here
        try:
            for packet in self.frames[SALINE]:
                rig.send_linux(rig.ethernet(SALINE, packet))
            dropped = grown(rig.linux_counters(), before[0])
            answers = len(self.frames[SALINE]) - sum(dropped.values())
            rig.pump(lambda: len(rig.packets(LINUX)) >= answers, f"{answers} answers of Linux")
        finally:
            rig.tamper = None
        for packet in rig.packets(LINUX):
            number = int.from_bytes(packet[24:28], "big")
            self.engine.key(self.case, 1, number)
            taken[0].append(self.engine.open(packet)[28:])
        for packet in self.frames[LINUX]:
            rig.send_saline(rig.ethernet(LINUX, packet))
        taken[1].extend(rig.received(self.case.tunnel, 4))
        self.frames = {SALINE: [], LINUX: []}
        return (*taken, dropped, grown(rig.saline_drops(), before[1]))


def walk(rig, engine, rows, rng, numbers, alone=0, **options):
    """Both sides are sent those numbers and must take the same ones; which they took. The first
    `alone` go one by one: in a burst Saline reads the high halves against the window as it was
    before, where Linux knows of jumps over half the epoch by then."""
    case = key(rig, rows, TUNNEL, rng, **options)
    stream = Stream(rig, engine, case)
    took = [], []
    ends = [*range(alone), *range(alone, len(numbers), 24), len(numbers)]
    for begin, end in zip(ends, ends[1:]):
        for at in range(begin, end):
            stream.protect(numbers[at], struct.pack("!I", at))
        for side, data in enumerate(stream.send()[:2]):
            took[side].extend(struct.unpack("!I", item)[0] for item in data)
    linux, saline = map(sorted, took)
    differ = sorted(set(linux) ^ set(saline))
    check(not differ, f"Linux took {[hex(numbers[at]) for at in differ if at in linux]}, Saline "
                      f"{[hex(numbers[at]) for at in differ if at in saline]}")
    return linux


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
        numbers.append(max(1, top + rng.choice([1, 1, 2, 3, -rng.randrange(70), rng.randrange(70)])))
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


def refusals(stream, *names):
    """Sends; nothing may be taken, and the drops must be these, of Linux and of Saline."""
    linux, saline, of_linux, of_saline = stream.send()
    check(not linux and not saline, f"taken: by Linux {linux}, by Saline {saline}")
    check((of_linux, of_saline) == names, f"Linux {of_linux}, Saline {of_saline}")


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
