"""A raw PF_KEY client: packs and unpacks messages by hand (RFC 2367 §2-3, KAME's policy messages in
Linux's form), so that the daemon is not judged by its own codec."""

import ipaddress
import os
import socket
import struct

GETSPI, UPDATE, ADD, DELETE, GET, ACQUIRE, REGISTER, EXPIRE, FLUSH, DUMP = range(1, 11)
SPDADD, SPDDELETE, SPDGET, SPDDUMP, SPDFLUSH, SPDDELETE2 = 14, 15, 16, 18, 19, 22
AH, ESP, IPCOMP = 2, 3, 9
PROTO_ESP, PROTO_AH, PROTO_IPCOMP = 50, 51, 108
TRANSPORT, TUNNEL = 1, 2
DISCARD, NONE, IPSEC = 0, 1, 2
IN, OUT, FWD = 1, 2, 3
USE, REQUIRE = 1, 2
MATURE = 1

# (PF_KEY number, key bytes)
HMAC_SHA1, HMAC_SHA256 = (3, 20), (5, 32)
DES3_CBC, AES_CBC, GCM_128, GCM_256 = (3, 24), (12, 16), (20, 20), (20, 36)

_EXT_SA, _EXT_CURRENT, _EXT_HARD, _EXT_SOFT, _EXT_SRC, _EXT_DST = 1, 2, 3, 4, 5, 6
NEW_MAPPING, DEFLATE = 23, (2, 0)
_EXT_NAT_TYPE, _EXT_NAT_SPORT, _EXT_NAT_DPORT = 20, 21, 22
_EXT_KEY_AUTH, _EXT_KEY_ENCRYPT, _EXT_SPIRANGE, _EXT_POLICY, _EXT_SA2 = 8, 9, 16, 18, 19


class PfkeyError(OSError):
    """The daemon answered with an errno."""


def _padded(data):
    return data + bytes(-len(data) % 8)


def _extension(kind, body):
    body = _padded(struct.pack("=HH", 0, kind) + body)
    return struct.pack("=H", len(body) // 8) + body[2:]


def _sockaddr(address, port=0):
    address = ipaddress.ip_address(address)
    if address.version == 4:
        return struct.pack("=HH4s8x", socket.AF_INET, socket.htons(port), address.packed)
    return struct.pack("=HHI16sI", socket.AF_INET6, socket.htons(port), 0, address.packed, 0)


def _address(kind, network, proto=0, port=0):
    network = ipaddress.ip_network(network, strict=False)
    return _extension(kind, struct.pack("=BBH", proto, network.prefixlen, 0)
                      + _sockaddr(network.network_address, port))


def _lifetime(kind, packets=0, octets=0, added=0, used=0):
    return _extension(kind, struct.pack("=IQQQ", packets, octets, added, used))


def request(proto, mode, level=REQUIRE, ends=None, reqid=0):
    """One transform of a policy; ends = (source, destination) of a tunnel."""
    addresses = b"".join(_sockaddr(end) for end in ends) if ends else b""
    return struct.pack("=HHBBHII", 16 + len(addresses), proto, mode, level, 0, reqid,
                       0) + addresses


class Message:
    """A message received: its header's fields, and the bodies of its extensions by type."""

    def __init__(self, data):
        (self.version, self.type, self.errno, self.satype, words, _, self.seq,
         self.pid) = struct.unpack_from("=BBBBHHII", data)
        assert words * 8 == len(data), "length field"
        self.extensions = {}
        at = 16
        while at < len(data):
            length, kind = struct.unpack_from("=HH", data, at)
            assert length > 0
            self.extensions[kind] = data[at + 4:at + 8 * length]
            at += 8 * length

    @property
    def spi(self):
        return struct.unpack_from("!I", self.extensions[_EXT_SA])[0]

    @property
    def state(self):
        return self.extensions[_EXT_SA][5]

    @property
    def current(self):
        """(packets, bytes, added, used)"""
        return struct.unpack_from("=IQQQ", self.extensions[_EXT_CURRENT])

    @property
    def is_soft(self):
        return _EXT_SOFT in self.extensions

    @property
    def is_hard(self):
        return _EXT_HARD in self.extensions

    @property
    def has_keys(self):
        return _EXT_KEY_AUTH in self.extensions or _EXT_KEY_ENCRYPT in self.extensions

    @property
    def policy_id(self):
        return struct.unpack_from("=I", self.extensions[_EXT_POLICY], 4)[0]

    @property
    def reqid(self):
        return struct.unpack_from("=I", self.extensions[_EXT_SA2], 8)[0]

    def address(self, kind):
        body = self.extensions[kind]
        family = struct.unpack_from("=H", body, 4)[0]
        packed = body[8:12] if family == socket.AF_INET else body[12:28]
        return str(ipaddress.ip_address(packed))

    @property
    def ports(self):
        """Of a NEW_MAPPING: as it was, as it is."""
        return tuple(struct.unpack_from("!H", self.extensions[kind])[0]
                     for kind in (_EXT_NAT_SPORT, _EXT_NAT_DPORT))

    @property
    def source(self):
        return self.address(_EXT_SRC)

    @property
    def destination(self):
        return self.address(_EXT_DST)


class Client:
    """One PF_KEY socket."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(5)
        self.socket.connect(path)
        self.seq = 0

    def close(self):
        self.socket.close()

    def receive(self, timeout=5):
        self.socket.settimeout(timeout)
        return Message(self.socket.recv(65536))

    def send(self, kind, satype, *extensions):
        self.seq += 1
        body = b"".join(extensions)
        self.socket.send(struct.pack("=BBBBHHII", 2, kind, 0, satype, 2 + len(body) // 8, 0,
                                     self.seq, os.getpid()) + body)

    def ask(self, kind, satype, *extensions):
        """Sends and returns the answer, which has our seq; what else comes in between is lost."""
        self.send(kind, satype, *extensions)
        while True:
            answer = self.receive()
            if answer.seq == self.seq and answer.type == kind and answer.pid == os.getpid():
                break
        if answer.errno:
            raise PfkeyError(answer.errno, os.strerror(answer.errno))
        return answer

    def add(self, satype, source, destination, spi, encrypt=None, auth=None, mode=TRANSPORT,
            window=32, reqid=0, hard=None, soft=None, kind=ADD, keys=None, ports=None):
        # Keys by SPI, so that both ends make the same ones. Odd parity is nobody's duty.
        keys = keys or (lambda size, which: bytes((spi * 7 + which * 31 + i * 13) & 0xff
                                                  for i in range(size)))
        extensions = [
            _extension(_EXT_SA, struct.pack("!I", spi) + struct.pack(
                "=BBBBI", window, MATURE, auth[0] if auth else 0, encrypt[0] if encrypt else 0,
                0))]
        if hard:
            extensions.append(_lifetime(_EXT_HARD, **hard))
        if soft:
            extensions.append(_lifetime(_EXT_SOFT, **soft))
        extensions += [_address(_EXT_SRC, source), _address(_EXT_DST, destination)]
        if auth:
            extensions.append(_extension(_EXT_KEY_AUTH, struct.pack("=HH", auth[1] * 8, 0)
                                         + keys(auth[1], 1)))
        if encrypt and encrypt[1]:
            extensions.append(_extension(_EXT_KEY_ENCRYPT, struct.pack("=HH", encrypt[1] * 8, 0)
                                         + keys(encrypt[1], 2)))
        extensions.append(_extension(_EXT_SA2, struct.pack("=BBHII", mode, 0, 0, 0, reqid)))
        if ports:  # ESP in UDP: (source, destination)
            extensions.append(_extension(_EXT_NAT_TYPE, struct.pack("=B3x", 2)))
            extensions.append(_extension(_EXT_NAT_SPORT, struct.pack("!H2x", ports[0])))
            extensions.append(_extension(_EXT_NAT_DPORT, struct.pack("!H2x", ports[1])))
        return self.ask(kind, satype, *extensions)

    def getspi(self, satype, source, destination, least=0x100, most=0x0fffffff):
        return self.ask(GETSPI, satype, _address(_EXT_SRC, source), _address(_EXT_DST, destination),
                        _extension(_EXT_SPIRANGE, struct.pack("=III", least, most, 0)))

    def by_spi(self, kind, satype, source, destination, spi):
        return self.ask(kind, satype, _extension(_EXT_SA, struct.pack("!I8x", spi)),
                        _address(_EXT_SRC, source), _address(_EXT_DST, destination))

    def policy(self, direction, source, destination, action, *requests, proto=255, kind=SPDADD):
        body = struct.pack("=HBBII", action, direction, 0, 0, 0) + b"".join(requests)
        return self.ask(kind, 0, _extension(_EXT_POLICY, body),
                        _address(_EXT_SRC, source, proto), _address(_EXT_DST, destination, proto))

    def register(self, satype):
        return self.ask(REGISTER, satype)

    def flush(self):
        self.ask(FLUSH, 0)
        self.ask(SPDFLUSH, 0)

    def dump(self, kind=DUMP, satype=0):
        """All entries; the last one has seq 0."""
        self.send(kind, satype)
        entries = []
        while True:
            entry = self.receive()
            if entry.errno:
                raise PfkeyError(entry.errno, os.strerror(entry.errno))
            entries.append(entry)
            if entry.seq == 0:
                return entries
