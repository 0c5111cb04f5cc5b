"""Algorithms that scapy 2.5 lacks, in its own terms: entries for CRYPT_ALGOS and AUTH_ALGOS."""

import hashlib
import struct
import warnings

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, aead, algorithms, modes
from cryptography.hazmat.primitives.hmac import HMAC
from scapy.layers.ipsec import (AUTH_ALGOS, CRYPT_ALGOS, ESP, AuthAlgo, CryptAlgo,
                                IPSecIntegrityError, _ESPPlain)

warnings.filterwarnings("ignore", category=DeprecationWarning)
warnings.filterwarnings("ignore", message=".*deprecated.*")


def salted(sa, iv, **_):
    return sa.crypt_salt + iv


class Gmac(CryptAlgo):
    """ENCR_NULL_AUTH_AES_GMAC (RFC 4543 §3): all of the packet is authenticated, none hidden."""

    def encrypt(self, sa, esp, key, icv_size=None, esn_en=False, esn=0):
        text = esp.data_for_encryption()
        aad = struct.pack("!LLL" if esn_en else "!LL",
                          *([esp.spi, esn, esp.seq] if esn_en else [esp.spi, esp.seq]))
        icv = aead.AESGCM(key).encrypt(sa.crypt_salt + esp.iv, b"", aad + esp.iv + text)
        return ESP(spi=esp.spi, seq=esp.seq, data=esp.iv + text + icv)

    def decrypt(self, sa, esp, key, icv_size=None, esn_en=False, esn=0):
        iv, text, icv = esp.data[:8], esp.data[8:-16], esp.data[-16:]
        aad = struct.pack("!LLL" if esn_en else "!LL",
                          *([esp.spi, esn, esp.seq] if esn_en else [esp.spi, esp.seq]))
        try:
            aead.AESGCM(key).decrypt(sa.crypt_salt + iv, icv, aad + iv + text)
        except InvalidTag as error:
            raise IPSecIntegrityError(error) from error
        padlen, nh = text[-2], text[-1]
        return _ESPPlain(spi=esp.spi, seq=esp.seq, iv=iv, data=text[:len(text) - padlen - 2],
                         padding=text[len(text) - padlen - 2:-2], padlen=padlen, nh=nh, icv=icv)


class Xcbc:
    """AES-XCBC-MAC (RFC 3566 §4)."""

    def __init__(self, key):
        self.keys = [self._block(key, bytes([at] * 16)) for at in (1, 2, 3)]
        self.data = b""

    @staticmethod
    def _block(key, block):
        return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(block)

    def update(self, data):
        self.data += data

    def finalize(self):
        whole = len(self.data) > 0 and len(self.data) % 16 == 0
        data = self.data if whole else self.data + b"\x80" + bytes(-(len(self.data) + 1) % 16)
        last = self.keys[1 if whole else 2]
        mac = bytes(16)
        for at in range(0, len(data), 16):
            block = bytes(a ^ b for a, b in zip(mac, data[at:at + 16]))
            if at + 16 == len(data):
                block = bytes(a ^ b for a, b in zip(block, last))
            mac = self._block(self.keys[0], block)
        return mac


class Keyed:
    """Keyed MD5 or SHA-1 (RFC 1828 §2.1, RFC 1852 §2.1): the key, filled like a message of its
    own, the data, the key."""

    def __init__(self, name, order, key):
        fill = b"\x80" + bytes(-(len(key) + 9) % 64) + (len(key) * 8).to_bytes(8, order)
        self.hash, self.key = hashlib.new(name, key + fill), key

    def update(self, data):
        self.hash.update(data)

    def finalize(self):
        self.hash.update(self.key)
        return self.hash.digest()


class OwnMac(AuthAlgo):
    def __init__(self, name, icv_size, make):
        super().__init__(name, mac=make, digestmod=None, icv_size=icv_size)

    def new_mac(self, key):
        return self.mac(key)


def add():
    for bytes_ in (8, 12, 16):
        CRYPT_ALGOS[f"AES-GCM-{bytes_}"] = CryptAlgo(
            f"AES-GCM-{bytes_}", cipher=algorithms.AES, mode=modes.GCM, block_size=1, iv_size=8,
            salt_size=4, icv_size=bytes_, key_size=(16, 24, 32), format_mode_iv=salted)
        CRYPT_ALGOS[f"AES-CCM-{bytes_}"] = CryptAlgo(
            f"AES-CCM-{bytes_}", cipher=aead.AESCCM, mode=None, block_size=1, iv_size=8,
            salt_size=3, icv_size=bytes_, key_size=(16, 24, 32), format_mode_iv=salted)
    gmac = Gmac("AES-GMAC", cipher=algorithms.AES, mode=modes.GCM, block_size=1, iv_size=8,
                salt_size=4, icv_size=16, key_size=(16, 24, 32), format_mode_iv=salted)
    CRYPT_ALGOS["AES-GMAC"] = gmac
    CRYPT_ALGOS["CAMELLIA-CBC"] = CryptAlgo("CAMELLIA-CBC", cipher=algorithms.Camellia,
                                            mode=modes.CBC, key_size=(16, 24, 32))
    AUTH_ALGOS["SHA2-256-96"] = AuthAlgo("SHA2-256-96", mac=HMAC, digestmod=hashes.SHA256,
                                         icv_size=12)
    AUTH_ALGOS["AES-XCBC-96"] = OwnMac("AES-XCBC-96", 12, Xcbc)
    AUTH_ALGOS["KEYED-MD5"] = OwnMac("KEYED-MD5", 12, lambda key: Keyed("md5", "little", key))
    AUTH_ALGOS["KEYED-SHA1"] = OwnMac("KEYED-SHA1", 12, lambda key: Keyed("sha1", "big", key))
