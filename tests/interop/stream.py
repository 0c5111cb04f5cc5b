"""Packets made by Saline's engine outside of its daemon and put on the cable towards both sides,
so that numbers, damage and disorder are the test's to choose."""

import socket
import struct

import cases
from rig import ECHO_PORT, ENDS, LINUX, SALINE, check, grown

TUNNEL, TRANSPORT = ("tunnel", 4, 4), ("transport", 4, 4)


def key(rig, rows, shape, rng, name="aes-gcm-16", auth=None, **options):
    """Both sides keyed with one transform of ESP."""
    cipher = next(row for row in rows if row.name == name and row.kind != "integrity")
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


def refusals(stream, *names):
    """Sends; nothing may be taken, and the drops must be these, of Linux and of Saline."""
    linux, saline, of_linux, of_saline = stream.send()
    check(not linux and not saline, f"taken: by Linux {linux}, by Saline {saline}")
    check((of_linux, of_saline) == names, f"Linux {of_linux}, Saline {of_saline}")
