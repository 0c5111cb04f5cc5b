"""Saline's packet walk without its daemon: ipsec_packet_tool, one case's SAs at a time. Opens what
Linux sent, and makes the same packet anew from the same number and IV: the two must be equal to the
bit where the standards leave no choice."""

import struct
import subprocess

from rig import ENDS, check

IPV4_ID, IPV4_DF, IPV4_SUM, IPV6_LABEL = slice(4, 6), slice(6, 7), slice(10, 12), slice(1, 4)


class Engine:
    def __init__(self, build):
        self.process = subprocess.Popen([f"{build}/bin/ipsec_packet_tool"], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(5)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().split()

    def key(self, case, direction, number, iv_base=None):
        """The SA of that direction (0: from Saline), whose next number is `number`."""
        transform, (key, auth_key) = case.bundle[0], case.keys[direction][0]
        ends = ENDS[False, case.outer]
        source, destination = ends if direction == 0 else ends[::-1]
        line = (f"sa spi={case.spis[direction][0]} proto={transform.proto} mode={case.mode} "
                f"src={source} dst={destination} seq={number - 1} esn={int(case.esn)} legacy=1 "
                f"align8={int(case.align8)}")
        if transform.cipher:
            line += f" enc={transform.cipher.name} enckey={key.hex()}"
        if transform.auth:
            line += f" auth={transform.auth.name} authkey={auth_key.hex()}"
        if iv_base is not None:
            line += f" ivbase={iv_base:016x}"
        answer = self.ask(line)
        check(answer == ["ok"], f"the engine refused {line}: {answer}")

    def open(self, packet):
        answer = self.ask("in " + packet.hex())
        check(answer[0] == "pass", f"the engine refused what Linux sent: {answer}")
        return bytes.fromhex(answer[1])

    def protect(self, packet):
        answer = self.ask("out " + packet.hex())
        check(answer[0] == "pass", f"the engine refused to protect: {answer}")
        return bytes.fromhex(answer[1])


def _ipsec_header(case, packet):
    head = 20 if case.outer == 4 else 40
    return packet[head:head + 20] if case.bundle[0].proto == "ah" else packet[head:head + 16]


def compare_with_linux(engine, case, packets):
    """`packets` of Linux, one SA each: opened and made again. Returns how many were, None where
    only opening can be tried: a CBC cipher's IV cannot be asked for."""
    if len(case.bundle) > 1 or case.udp or case.bundle[0].proto == "ipcomp":
        return None
    cipher = case.bundle[0].cipher
    compared = None if cipher and cipher.block_bytes > 1 else 0
    for packet in packets:
        header = _ipsec_header(case, packet)
        at = 8 if case.bundle[0].proto == "ah" else 4
        number = int.from_bytes(header[at:at + 4], "big")
        engine.key(case, 1, number)
        plain = engine.open(packet)
        if compared is None:
            continue
        iv_base = struct.unpack("!Q", header[8:16])[0] ^ number if cipher else None
        engine.key(case, 1, number, iv_base)
        _equal(case, engine.protect(plain), packet)
        compared += 1
    return compared


def _take_choices(case, ours, linux):
    """Copies from `linux` what the standards leave to the maker of a packet, and the ICV where it
    covers that: docs/verification.md lists these."""
    outer = 20 if case.outer == 4 else 40
    same = []
    if case.tunnel:
        same = [IPV4_ID, IPV4_DF, IPV4_SUM] if case.outer == 4 else [IPV6_LABEL]
    if case.bundle[0].proto == "ah":
        icv = slice(outer + 12, outer + 12 + case.bundle[0].auth.icv_bytes)
        end = outer + (linux[outer + 1] + 2) * 4
        if icv.stop != end or IPV4_ID in same:
            same += [icv, slice(icv.stop, end)]
    for part in same:
        ours[part] = linux[part]


def _equal(case, ours, linux):
    taken = bytearray(ours)
    _take_choices(case, taken, linux)
    if taken != linux:
        first = next((i for i, (a, b) in enumerate(zip(taken, linux)) if a != b), "the end")
        check(False, f"Linux made\n  {linux.hex()}\nSaline of the same\n  {ours.hex()}\n"
                     f"  they differ from byte {first} on")
