#!/usr/bin/python3
"""Packets against scapy, in both directions: every algorithm, mode and pair of families, and for
each the twin that must fail, the same packet with one bit changed. Every other packet uses extended
sequence numbers. Run by ctest with the path of
ipsec_packet_tool."""

import copy
import random
import struct
import subprocess
import sys

try:
    import logging

    logging.getLogger("scapy").setLevel(logging.CRITICAL)
    from scapy.layers.inet import ICMP, IP, TCP, UDP
    from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop
    from scapy.layers.ipsec import AH, ESP, IPSecIntegrityError, SecurityAssociation
    from scapy.packet import Raw
except ImportError as error:
    print(f"SKIP: {error}: install python3-scapy")
    sys.exit(77)

# Ours, scapy's, key bytes (salt included).
CIPHERS = [
    ("null", "NULL", (0,)),
    ("des-cbc", "DES", (8,)),
    ("3des-cbc", "3DES", (24,)),
    ("aes-cbc", "AES-CBC", (16, 24, 32)),
    ("aes-ctr", "AES-CTR", (20, 28, 36)),
]
AEADS = [("aes-gcm-16", "AES-GCM", (20, 28, 36))]
INTEGRITY = [
    ("hmac-md5", "HMAC-MD5-96", 16),
    ("hmac-sha1", "HMAC-SHA1-96", 20),
    ("hmac-sha2-256", "SHA2-256-128", 32),
    ("hmac-sha2-384", "SHA2-384-192", 48),
    ("hmac-sha2-512", "SHA2-512-256", 64),
]
ENDS = {4: ("192.0.2.1", "192.0.2.2"), 6: ("2001:db8::1", "2001:db8::2")}
INNER = {4: ("10.1.0.1", "10.2.0.1"), 6: ("fd00:1::1", "fd00:2::1")}


class Tool:
    def __init__(self, path):
        self.process = subprocess.Popen(
            [path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().split()


def transforms():
    """(proto, our cipher, scapy's, key bytes, our integrity, scapy's, key bytes)"""
    for ours, theirs, sizes in AEADS:
        for size in sizes:
            yield "esp", ours, theirs, size, None, None, 0
    for auth, their_auth, auth_size in INTEGRITY:
        yield "ah", None, None, 0, auth, their_auth, auth_size
        for ours, theirs, sizes in CIPHERS:
            for size in sizes:
                yield "esp", ours, theirs, size, auth, their_auth, auth_size


def plain_packets(rng, family, ends):
    source, destination = ends[family]
    data = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 300)))
    if family == 4:
        base = IP(src=source, dst=destination, ttl=rng.randrange(1, 255), id=rng.randrange(65536))
        yield base / UDP(sport=1, dport=2) / Raw(data)
        yield base / TCP(sport=3, dport=4) / Raw(data)
    else:
        base = IPv6(src=source, dst=destination, hlim=rng.randrange(1, 255))
        yield base / UDP(sport=1, dport=2) / Raw(data)
        yield base / IPv6ExtHdrHopByHop() / TCP(sport=3, dport=4) / Raw(data)


class SignHighHalf:
    """A MAC that covers the sequence number's high half too: scapy 2.5 leaves it out for ESP."""

    def __init__(self, mac, epoch):
        self.mac, self.epoch = mac, epoch

    def update(self, data):
        self.mac.update(data)

    def finalize(self):
        self.mac.update(struct.pack("!L", self.epoch))
        return self.mac.finalize()


class Case:
    def __init__(self, rng, tool, transform, mode, outer, inner, esn):
        proto, cipher, their_cipher, size, auth, their_auth, auth_size = transform
        self.tool, self.mode, self.outer = tool, mode, outer
        self.layer = AH if proto == "ah" else ESP
        self.spi = rng.randrange(256, 2**32)
        self.sequence = rng.randrange(1, 2**31)
        epoch = rng.randrange(2**32) if esn else 0
        while True:
            key = bytes(rng.randrange(256) for _ in range(size))
            if cipher not in ("des-cbc", "3des-cbc") or len({byte >> 1 for byte in key}) > 4:
                break
        auth_key = bytes(rng.randrange(256) for _ in range(auth_size))
        source, destination = ENDS[outer]
        self.command = (
            f"sa spi={self.spi} proto={proto} mode={mode} src={source} dst={destination}"
            f" seq={epoch * 2**32 + self.sequence - 1} esn={int(esn)}"
        )
        if cipher:
            self.command += f" enc={cipher} enckey={key.hex()}"
        if auth:
            self.command += f" auth={auth} authkey={auth_key.hex()}"
        self.name = f"{proto} {cipher}/{size * 8} {auth} {mode} {inner} in {outer} esn {esn}"
        header = None
        if mode == "tunnel":
            header = (IP if outer == 4 else IPv6)(src=source, dst=destination)
        self.theirs = SecurityAssociation(
            self.layer,
            spi=self.spi,
            seq_num=self.sequence,
            crypt_algo=their_cipher,
            crypt_key=key if size else None,
            auth_algo=their_auth,
            auth_key=auth_key if auth else None,
            tunnel_header=header,
            esn_en=esn,
            esn=epoch,
        )
        if esn and auth and proto == "esp":
            algorithm = copy.copy(self.theirs.auth_algo)
            new_mac = algorithm.new_mac
            algorithm.new_mac = lambda key: SignHighHalf(new_mac(key), epoch)
            self.theirs.auth_algo = algorithm

    def flip(self, rng, wire):
        """Changes one bit behind the IPsec header's SPI and sequence number."""
        start = (20 if self.outer == 4 else 40) + 12
        at = rng.randrange(start + 8, len(wire))
        return wire[:at] + bytes([wire[at] ^ (1 << rng.randrange(8))]) + wire[at + 1 :]

    def read(self, wire):
        return (IP if self.outer == 4 else IPv6)(wire)

    def ours_to_scapy(self, rng, plain):
        self.tool.ask(self.command)
        answer = self.tool.ask("out " + bytes(plain).hex())
        assert answer[0] == "pass", f"{self.name}: our side refused: {answer}"
        wire = bytes.fromhex(answer[1])
        opened = self.theirs.decrypt(self.read(wire), verify=True)
        assert bytes(opened) == bytes(plain), (
            f"{self.name}: scapy read\n{bytes(opened).hex()}\nwanted\n{bytes(plain).hex()}"
        )
        try:
            self.theirs.decrypt(self.read(self.flip(rng, wire)), verify=True)
        except IPSecIntegrityError:
            return
        raise AssertionError(f"{self.name}: scapy took an altered packet of ours")

    def scapy_to_ours(self, rng, plain):
        wire = bytes(self.theirs.encrypt(plain, seq_num=self.sequence))
        self.tool.ask(self.command)
        answer = self.tool.ask("in " + self.flip(rng, wire).hex())
        assert answer == ["drop", "icv"], f"{self.name}: an altered packet: {answer}"
        answer = self.tool.ask("in " + wire.hex())
        assert answer[0] == "pass", f"{self.name}: scapy's packet: {answer}"
        assert answer[1] == bytes(plain).hex(), (
            f"{self.name}: opened\n{answer[1]}\nwanted\n{bytes(plain).hex()}"
        )


def main():
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    tool = Tool(sys.argv[1])
    ran = 0
    for transform in transforms():
        for mode in ("transport", "tunnel"):
            for outer in (4, 6):
                for inner in (4, 6) if mode == "tunnel" else (outer,):
                    ends = INNER if mode == "tunnel" else ENDS
                    for plain in plain_packets(rng, inner, ends):
                        plain = (IP if inner == 4 else IPv6)(bytes(plain))
                        case = Case(rng, tool, transform, mode, outer, inner, ran % 2 == 1)
                        case.ours_to_scapy(rng, plain)
                        case.scapy_to_ours(rng, plain)
                        ran += 1
    print(f"{ran} packets in both directions, each with its altered twin")
    assert ran == 12 * (3 + 5 * (1 + 9)), ran
    return 0


sys.exit(main())
