#!/usr/bin/python3
"""Fragments against scapy: it cuts where we cut, puts ours together, and we put its own together in
any order. Run by ctest with the path of ipsec_fragment_tool, and a seed if one likes."""

import os
import random
import subprocess
import sys

try:
    import logging

    logging.getLogger("scapy").setLevel(logging.CRITICAL)
    from scapy.layers.inet import IP, IPOption_NOP, IPOption_Router_Alert, UDP, defragment, fragment
    from scapy.layers.inet6 import (IPv6, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, defragment6,
                                    fragment6)
    from scapy.packet import Raw
except ImportError as error:
    print(f"SKIP: {error}: install python3-scapy")
    sys.exit(77)


class Tool:
    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)

    def ask(self, *words):
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()


def try_ipv4(rng, tool, size, mtu):
    options = rng.choice([[], [IPOption_Router_Alert()], [IPOption_NOP()] * 4])
    plain = IP(bytes(IP(src="10.1.0.1", dst="10.2.0.1", id=rng.randrange(1, 65536), tos=0xb8,
                        options=options) / UDP(sport=1, dport=2) / Raw(rng.randbytes(size))))
    ours = [IP(bytes.fromhex(word)) for word in
            tool.ask("split", str(mtu), bytes(plain).hex()).split()]
    assert all(len(piece) <= mtu for piece in ours)
    if not options:
        theirs = [IP(bytes(piece)) for piece in fragment(plain, (mtu - 20) // 8 * 8)]
        starts = [[(piece.frag, str(piece.flags)) for piece in pieces] for pieces in (ours, theirs)]
        # Scapy rounds the room of the last down, too, so that it may need one more.
        assert starts[0][:-1] == starts[1][:len(ours) - 1], starts
    whole = [IP(bytes(packet)) for packet in defragment(ours)]
    assert len(whole) == 1 and bytes(whole[0]) == bytes(plain), "scapy joins ours"
    theirs = [bytes(piece).hex() for piece in fragment(plain, (mtu - 40) // 8 * 8)]
    rng.shuffle(theirs)
    assert tool.ask("join", *theirs) == bytes(plain).hex(), "we join scapy's"


def try_ipv6(rng, tool, size, mtu):
    hops = rng.random() < 0.3
    base = IPv6(src="fd00:1::1", dst="fd00:2::1", tc=0xb8, fl=0x12345)
    payload = UDP(sport=1, dport=2) / Raw(rng.randbytes(size))
    # The checksum with its pseudo-header is left out: scapy does not keep it over a cut.
    payload.chksum = 0x1234
    plain = IPv6(bytes(base / IPv6ExtHdrHopByHop() / payload if hops else base / payload))
    ours = [IPv6(bytes.fromhex(word)) for word in
            tool.ask("split", str(mtu), bytes(plain).hex()).split()]
    assert all(len(piece) <= mtu for piece in ours)
    whole = defragment6(list(ours))
    assert bytes(whole) == bytes(plain), "scapy joins ours"
    front = base / IPv6ExtHdrHopByHop() if hops else base
    theirs = [bytes(piece).hex() for piece in
              fragment6(front / IPv6ExtHdrFragment(id=rng.randrange(2**32)) / payload, mtu)]
    rng.shuffle(theirs)
    assert tool.ask("join", *theirs) == bytes(plain).hex(), "we join scapy's"


def main():
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else int(os.environ.get(
        "SALINE_SEED", random.randrange(2**32)))
    print(f"seed {seed}")
    rng = random.Random(seed)
    tool = Tool(sys.argv[1])
    ran = 0
    for mtu in (1280, 1300, 1446, 1500):
        for size in (mtu, 2 * mtu, 5000, 20000):
            try_ipv4(rng, tool, size, mtu)
            try_ipv6(rng, tool, size, mtu)
            ran += 2
    print(f"{ran} packets cut and joined by both")
    return 0


sys.exit(main())
