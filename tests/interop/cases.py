"""What is tried between Saline and Linux: every row of Saline's table of transforms that Linux has
too, in every mode and pair of families, as words for setkey(8) and for ip-xfrm(8)."""

import dataclasses
import random

from rig import ENDS, NETWORKS

# Saline's names: Linux's.
CIPHERS = {
    "null": "ecb(cipher_null)", "des-cbc": "cbc(des)", "3des-cbc": "cbc(des3_ede)",
    "blowfish-cbc": "cbc(blowfish)", "cast128-cbc": "cbc(cast5)", "aes-cbc": "cbc(aes)",
    "aes-ctr": "rfc3686(ctr(aes))", "camellia-cbc": "cbc(camellia)", "twofish-cbc": "cbc(twofish)"}
AEADS = {
    "aes-gcm-8": "rfc4106(gcm(aes))", "aes-gcm-12": "rfc4106(gcm(aes))",
    "aes-gcm-16": "rfc4106(gcm(aes))", "aes-ccm-8": "rfc4309(ccm(aes))",
    "aes-ccm-12": "rfc4309(ccm(aes))", "aes-ccm-16": "rfc4309(ccm(aes))",
    "aes-gmac": "rfc4543(gcm(aes))",
    "chacha20-poly1305": "rfc7539esp(chacha20,poly1305)"}
INTEGRITY = {
    "hmac-md5": "hmac(md5)", "hmac-sha1": "hmac(sha1)", "hmac-sha2-256": "hmac(sha256)",
    "hmac-sha2-256-96": "hmac(sha256)", "hmac-sha2-384": "hmac(sha384)",
    "hmac-sha2-512": "hmac(sha512)", "hmac-ripemd160": "hmac(rmd160)",
    "aes-xcbc-mac": "xcbc(aes)", "aes-cmac": "cmac(aes)"}
COMPRESSION = {"deflate": "deflate"}
# Rows that cannot be tried, and why.
LEFT_OUT = {
    "null": "authentication: nothing to tell right from wrong",
    "keyed-md5": "Linux has no keyed hashes of RFC 1828",
    "keyed-sha1": "Linux has no keyed hashes of RFC 1828",
    "des-deriv": "Linux has no derived IVs", "3des-deriv": "Linux has no derived IVs",
    "des-32iv": "Linux has no short IVs", "aes-gmac-128": "Linux has no GMAC for AH",
    "aes-gmac-192": "Linux has no GMAC for AH", "aes-gmac-256": "Linux has no GMAC for AH"}
# (mode, inner family, outer family)
SHAPES = [("transport", 4, 4), ("transport", 6, 6), ("tunnel", 4, 4), ("tunnel", 6, 6),
          ("tunnel", 6, 4), ("tunnel", 4, 6)]
UDP_PORT = 4500
PROTO = {"esp": "esp", "ah": "ah", "ipcomp": "comp"}


@dataclasses.dataclass(frozen=True)
class Row:
    kind: str
    name: str
    key_bits: tuple
    block_bytes: int
    icv_bytes: int


@dataclasses.dataclass(frozen=True)
class Transform:
    """One SA's work; keys are made from the seed when it is written down."""
    proto: str
    cipher: Row | None = None
    bits: int = 0
    auth: Row | None = None

    @property
    def on_card(self):
        return self.cipher is not None and self.cipher.name == "aes-gcm-16"

    def __str__(self):
        parts = [self.proto]
        if self.cipher:
            parts.append(f"{self.cipher.name}/{self.bits}" if self.bits else self.cipher.name)
        if self.auth:
            parts.append(self.auth.name)
        return " ".join(parts)


def table(engine):
    """Saline's rows."""
    rows = []
    for line in " ".join(engine.ask("table")).rstrip(";").split(";"):
        kind, name, bits, block, icv = line.split()
        rows.append(Row(kind, name, tuple(map(int, bits.split(","))), int(block), int(icv)))
    return rows


def linux_name(row):
    names = {"integrity": INTEGRITY, "cipher": CIPHERS, "aead": AEADS,
             "compression": COMPRESSION}[row.kind]
    return names.get(row.name)


def uncovered(rows):
    """(row, reason) for all that Linux is not asked about; the reason None is a gap."""
    return [(row, LEFT_OUT.get(row.name)) for row in rows if linux_name(row) is None]


def _key_sizes(row):
    """All, or of a variable key (blowfish has 52 lengths) the ends and the usual."""
    if len(row.key_bits) <= 4:
        return row.key_bits
    return sorted({row.key_bits[0], 128, row.key_bits[-1]})


def transforms(rows):
    """Every transform both sides know: ciphers with each integrity algorithm, AEADs, AH."""
    known = [row for row in rows if linux_name(row)]
    integrity = [row for row in known if row.kind == "integrity"]
    for row in known:
        for bits in _key_sizes(row) if row.kind != "compression" else ():
            if row.kind == "aead":
                yield Transform("esp", row, bits)
            elif row.kind == "cipher":
                for auth in integrity:
                    yield Transform("esp", row, bits, auth)
    for auth in integrity:
        yield Transform("ah", auth=auth)


def selection(rows):
    """A few of them: every cipher, key size and integrity algorithm, not every pair."""
    seen, turn = set(), {}
    for transform in transforms(rows):
        cipher = (transform.cipher.name, transform.bits) if transform.cipher else None
        if transform.proto == "ah" or transform.auth is None:
            yield transform
            continue
        turn.setdefault(cipher, len(turn))
        auths = [row for row in rows if row.kind == "integrity" and linux_name(row)]
        if transform.auth == auths[turn[cipher] % len(auths)] or transform.auth not in seen:
            seen.add(transform.auth)
            yield transform


def find(rows, *names):
    """The rows of that name, in that order."""
    return [row for name in names for row in rows if row.name == name]


def bundles(rows):
    """AH over ESP, ESP over ESP: innermost first. ESP over AH is one of the facts."""
    gcm, sha1, sha2, cbc = find(rows, "aes-gcm-16", "hmac-sha1", "hmac-sha2-256", "aes-cbc")
    inner, esp, ah = (Transform("esp", gcm, 160), Transform("esp", cbc, 128, sha1),
                      Transform("ah", auth=sha2))
    return [[inner, ah], [esp, ah], [inner, esp]]


def compressions(rows):
    """IPComp alone, under ESP, under AH, and under AH over ESP."""
    [gcm, sha2] = find(rows, "aes-gcm-16", "hmac-sha2-256")
    esp, ah = Transform("esp", gcm, 160), Transform("ah", auth=sha2)
    for row in find(rows, "deflate"):
        comp = Transform("ipcomp", row)
        yield from ([comp], [comp, esp], [comp, ah], [comp, esp, ah])


def all_cases(rows, rng, everything):
    """(group, case)"""
    some = list(selection(rows))
    for turn, transform in enumerate(transforms(rows) if everything else some):
        for shape in SHAPES if everything else SHAPES[turn % 3::3]:
            yield "transforms", Case([transform], shape, rng.random())
    for turn, transform in enumerate(some):
        for shape in SHAPES if everything else SHAPES[turn % 6:turn % 6 + 1]:
            yield "esn", Case([transform], shape, rng.random(), esn=True, window=64)
    for bundle in bundles(rows):
        for shape in SHAPES:
            yield "bundles", Case(bundle, shape, rng.random())
    for turn, transform in enumerate(row for row in some if row.proto == "esp"):
        for shape in SHAPES if everything else SHAPES[turn % 6:turn % 6 + 1]:
            yield "ESP in UDP", Case([transform], shape, rng.random(), udp=True)
    for transform in some:
        if transform.proto == "ah":
            for shape in SHAPES:
                if shape[2] == 4:
                    yield "AH align8", Case([transform], shape, rng.random(), align8=True)
    for bundle in compressions(rows):
        for shape in SHAPES:
            yield "IPComp", Case(bundle, shape, rng.random())
    for window in (1, 31, 64, 128, 1024, 4096):
        for turn, bundle in enumerate(bundles(rows)):
            yield "windows", Case(bundle[:1], SHAPES[(turn + window) % 6], rng.random(), esn=True,
                                  window=window)


class Case:
    """SAs in both directions, and policies for them: `bundle` is the innermost transform first,
    where all but the first are in transport mode."""

    def __init__(self, bundle, shape, seed, esn=False, window=32, udp=False, align8=False):
        self.bundle, self.esn, self.window, self.udp = bundle, esn, window, udp
        self.align8 = align8
        self.mode, self.inner, self.outer = shape
        self.tunnel = self.mode == "tunnel"
        self.compressed = bundle[0].proto == "ipcomp"
        rng = random.Random(seed)
        # A CPI has 16 bits, of which IANA keeps some (RFC 3173 §3.3).
        self.spis = [[rng.randrange(256, 61440 if transform.proto == "ipcomp" else 2**32)
                      for transform in bundle] for _ in range(2)]
        self.keys = [[self._keys(rng, transform) for transform in bundle] for _ in range(2)]
        self.mine, self.theirs = ENDS[False, self.outer]

    @staticmethod
    def _keys(rng, transform):
        auth = rng.randbytes(transform.auth.key_bits[0] // 8) if transform.auth else b""
        return rng.randbytes(transform.bits // 8), auth

    def __str__(self):
        shape = f"{self.inner} in {self.outer}" if self.tunnel else f"IPv{self.outer}"
        extra = " esn" * self.esn + f" window {self.window}" * (self.window != 32)
        extra += " in UDP" * self.udp + " align8" * self.align8
        return f"{' under '.join(map(str, self.bundle))} {self.mode} {shape}{extra}"

    def _sas(self):
        """(source, destination, SPI, position in the bundle, transform, keys)"""
        for direction, (source, destination) in enumerate(((self.mine, self.theirs),
                                                           (self.theirs, self.mine))):
            for at, transform in enumerate(self.bundle):
                yield (source, destination, self.spis[direction][at], at, transform,
                       self.keys[direction][at])

    def _mode(self, at):
        return self.mode if at == 0 else "transport"

    def selectors(self):
        return NETWORKS[self.inner] if self.tunnel else (self.mine, self.theirs)

    def _level(self, at):
        """What does not shrink goes without IPComp (RFC 3173 §2.2)."""
        return "use" if self.bundle[at].proto == "ipcomp" else f"unique:{at + 1}"

    def _linux_level(self, at, direction):
        """`direction` as Saline sees it. Linux takes no optional tunnel in an outbound policy."""
        optional = self.bundle[at].proto == "ipcomp"
        return " level use" * (optional and (direction == "out" or self._mode(at) != "tunnel"))

    def _policies(self):
        """(out or in as Saline sees it, selectors, tunnel's ends)"""
        here, there = self.selectors()
        return [("out", here, there, (self.mine, self.theirs)),
                ("in", there, here, (self.theirs, self.mine))]

    def setkey(self):
        lines = ["flush; spdflush;"]
        port = f"[{UDP_PORT}]" if self.udp else ""
        for source, destination, spi, at, transform, (key, auth_key) in self._sas():
            proto = transform.proto + ("-udp" if self.udp else "")
            line = (f"add {source}{port} {destination}{port} {proto} {spi:#x} -m {self._mode(at)} "
                    f"-u {at + 1}")
            if transform.proto != "ipcomp":
                line += f" -r {self.window}" + " -esn" * self.esn
            if self.align8:
                line += " -f ah-align8"
            if transform.proto == "ipcomp":
                line += f" -C {transform.cipher.name}"
            elif transform.cipher:
                line += f" -E {transform.cipher.name}" + (f" 0x{key.hex()}" if key else "")
            if transform.auth:
                line += f" -A {transform.auth.name} 0x{auth_key.hex()}"
            lines.append(line + ";")
        for direction, source, destination, ends in self._policies():
            requests = [f"{transform.proto}/{self._mode(at)}/"
                        + ("-".join(ends) if self._mode(at) == "tunnel" else "")
                        + f"/{self._level(at)}" for at, transform in enumerate(self.bundle)]
            lines.append(f"spdadd {source} {destination} any -P {direction} ipsec "
                         f"{' '.join(requests)};")
        return "\n".join(lines) + "\n"

    def _linux_algorithms(self, transform, key, auth_key):
        words = ""
        if transform.proto == "ipcomp":
            words += f" comp {linux_name(transform.cipher)}"
        elif transform.cipher and transform.cipher.kind == "aead":
            words += (f" aead {linux_name(transform.cipher)} 0x{key.hex()} "
                      f"{transform.cipher.icv_bytes * 8}")
        elif transform.cipher:
            words += f" enc {linux_name(transform.cipher)} " + (f"0x{key.hex()}" if key else '""')
        if transform.auth:
            words += (f" auth-trunc {linux_name(transform.auth)} 0x{auth_key.hex()} "
                      f"{transform.auth.icv_bytes * 8}")
        return words

    def linux(self):
        lines = ["xfrm state flush", "xfrm policy flush"]
        for source, destination, spi, at, transform, (key, auth_key) in self._sas():
            line = (f"xfrm state add src {source} dst {destination} proto "
                    f"{PROTO[transform.proto]} spi {spi:#x} mode {self._mode(at)} reqid {at + 1}")
            if transform.proto != "ipcomp":
                line += f" replay-window {self.window}" + " flag esn" * self.esn
            if self.inner != self.outer:
                line += " flag af-unspec"
            if transform.proto == "ah" and self.outer == 4 and not self.align8:
                line += " flag align4"
            if self.udp:
                line += f" encap espinudp {UDP_PORT} {UDP_PORT} 0.0.0.0"
            lines.append(line + self._linux_algorithms(transform, key, auth_key))
        for direction, source, destination, ends in self._policies():
            templates = [f"tmpl src {ends[0]} dst {ends[1]} proto {PROTO[transform.proto]} "
                         f"reqid {at + 1} mode {self._mode(at)}"
                         + self._linux_level(at, direction)
                         for at, transform in enumerate(self.bundle)]
            lines.append(f"xfrm policy add src {source} dst {destination} dir "
                         f"{'in' if direction == 'out' else 'out'} " + " ".join(templates))
        return "ip -batch - <<'END'\n" + "\n".join(lines) + "\nEND"
