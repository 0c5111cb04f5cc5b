#!/usr/bin/python3
"""Packets against scapy, in both directions: every algorithm, mode and pair of families, and for
each the twin that must fail, the same packet with one bit changed. Every other packet uses extended
sequence numbers. Run by ctest with the path of ipsec_packet_tool, and a seed if one likes."""

import copy
import os
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

    import scapy_algorithms
except ImportError as error:
    print(f"SKIP: {error}: install python3-scapy")
    sys.exit(77)

# Ours: scapy's, or an own one of scapy_algorithms.py.
CIPHERS = {
    "null": "NULL", "des-cbc": "DES", "3des-cbc": "3DES", "cast128-cbc": "CAST",
    "blowfish-cbc": "Blowfish", "aes-cbc": "AES-CBC", "aes-ctr": "AES-CTR",
    "camellia-cbc": "CAMELLIA-CBC"}
AEADS = {
    "aes-gcm-8": "AES-GCM-8", "aes-gcm-12": "AES-GCM-12", "aes-gcm-16": "AES-GCM",
    "aes-ccm-8": "AES-CCM-8", "aes-ccm-12": "AES-CCM-12", "aes-ccm-16": "AES-CCM",
    "aes-gmac": "AES-GMAC", "chacha20-poly1305": "CHACHA20-POLY1305"}
INTEGRITY = {
    "hmac-md5": "HMAC-MD5-96", "hmac-sha1": "HMAC-SHA1-96", "hmac-sha2-256": "SHA2-256-128",
    "hmac-sha2-256-96": "SHA2-256-96", "hmac-sha2-384": "SHA2-384-192",
    "hmac-sha2-512": "SHA2-512-256", "aes-xcbc-mac": "AES-XCBC-96", "aes-cmac": "AES-CMAC-96",
    "keyed-md5": "KEYED-MD5", "keyed-sha1": "KEYED-SHA1"}
# Rows that cannot be tried here, and why.
LEFT_OUT = {
    "null": "authenticates nothing", "hmac-ripemd160": "no RIPEMD-160 in python3-cryptography",
    "aes-gmac-128": "scapy's AH carries no IV", "aes-gmac-192": "scapy's AH carries no IV",
    "aes-gmac-256": "scapy's AH carries no IV", "des-deriv": "scapy has no derived IVs",
    "3des-deriv": "scapy has no derived IVs", "des-32iv": "scapy has no short IVs",
    "twofish-cbc": "no Twofish in python3-cryptography", "deflate": "scapy has no IPComp"}
NAMES = {"cipher": CIPHERS, "aead": AEADS, "integrity": INTEGRITY}
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


def transforms(tool):
    """(proto, our cipher, scapy's, key bytes, our integrity, scapy's, key bytes): each cipher and
    size with the integrity algorithms in turn, each of those with AES-CBC, and in AH. Prints the
    rows of our table that scapy cannot be asked about."""
    rows = []
    for line in " ".join(tool.ask("table")).rstrip(";").split(";"):
        kind, name, bits, _, _ = line.split()
        if name not in NAMES.get(kind, ()):
            print(f"not tried: {kind} {name}: {LEFT_OUT.get(name, 'no name for it here')}")
            continue
        sizes = [int(number) // 8 for number in bits.split(",")]
        if len(sizes) > 4:
            sizes = [sizes[0], 16, sizes[-1]]
        rows.append((kind, name, sizes))
    signs = [(name, INTEGRITY[name], sizes[0]) for kind, name, sizes in rows if kind == "integrity"]
    turn = 0
    for kind, name, sizes in rows:
        for size in sizes:
            if kind == "aead":
                yield "esp", name, AEADS[name], size, None, None, 0
            elif kind == "cipher":
                yield "esp", name, CIPHERS[name], size, *signs[turn % len(signs)]
                turn += 1
    for sign in signs:
        yield "ah", None, None, 0, *sign
        yield "esp", "aes-cbc", "AES-CBC", 16, *sign


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
            des = cipher in ("des-cbc", "3des-cbc")
            if not des or len({byte >> 1 for byte in key}) > 4:
                break
        auth_key = bytes(rng.randrange(256) for _ in range(auth_size))
        source, destination = ENDS[outer]
        self.command = (
            f"sa spi={self.spi} proto={proto} mode={mode} src={source} dst={destination}"
            f" seq={epoch * 2**32 + self.sequence - 1} esn={int(esn)} legacy=1"
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
        ready = self.tool.ask(self.command)
        assert ready == ["ok"], f"{self.name}: {ready}"
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


def try_transform(rng, tool, transform):
    """Every mode and pair of families; how many packets went both ways."""
    ran = 0
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
    return ran


def main():
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else int(os.environ.get(
        "SALINE_SEED", random.randrange(2**32)))
    print(f"seed {seed}")
    rng = random.Random(seed)
    scapy_algorithms.add()
    tool = Tool(sys.argv[1])
    tried = list(transforms(tool))
    ran = sum(try_transform(rng, tool, transform) for transform in tried)
    print(f"{ran} packets in both directions, each with its altered twin")
    assert ran == 12 * len(tried) and len(tried) >= 50, ran
    return 0


sys.exit(main())
