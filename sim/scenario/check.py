"""The demonstration's traffic and its judgement: sends over every flow, then proves from a capture
of the cable and from the daemons' own counters that each went where it should.

usage: check.py STATE-DIRECTORY      Exit status 0 only if every check held. Run by sim/demo.
"""

import contextlib
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time

STATE = sys.argv[1]
BUILD = os.environ.get("SALINE_BUILD", "build/release")
COPY_BYTES = int(os.environ.get("SALINE_DEMO_COPY_BYTES", 256 * 1024))

# name, left address, right address, SPIs out and in, expected path
FLOWS = [
    ("ESP AES-GCM-128 tunnel", "192.168.1.1", "192.168.2.1", (0x1001, 0x1002), "card"),
    ("ESP AES-GCM-256 IPv6", "fd00:1::1", "fd00:1::2", (0x2001, 0x2002), "card"),
    ("AH HMAC-SHA-256", "10.1.0.11", "10.1.0.12", (0x3001, 0x3002), "software"),
    ("ESP 3DES HMAC-SHA-1", "10.1.0.21", "10.1.0.22", (0x4001, 0x4002), "software"),
]
DISCARDED = ("10.1.0.31", "10.1.0.32")

SENDER = """
import hashlib, os, socket, sys
data = os.urandom(int(sys.argv[3]))
with socket.create_connection((sys.argv[2], 7000), 60, (sys.argv[1], 0)) as peer:
    peer.sendall(data)
print(hashlib.sha256(data).hexdigest())
"""
RECEIVER = """
import hashlib, socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
with socket.create_server((sys.argv[1], 7000), family=family) as server:
    server.settimeout(60)
    print("ready", flush=True)
    peer, _ = server.accept()
    digest = hashlib.sha256()
    while block := peer.recv(65536):
        digest.update(block)
print(digest.hexdigest())
"""

failures = []


def report(held, text):
    print(f"  {'ok  ' if held else 'FAIL'} {text}", flush=True)
    if not held:
        failures.append(text)


def in_host(side, *command):
    return ["ip", "netns", "exec", f"saline-{side}", *command]


def run(side, *command, timeout=60):
    return subprocess.run(in_host(side, *command), text=True, capture_output=True, timeout=timeout,
                          check=False)


def status(side):
    command = [f"{BUILD}/bin/saline", "--control", f"{STATE}/{side}.control", "status", "-j"]
    return json.loads(subprocess.run(command, text=True, capture_output=True, timeout=30,
                                     check=True).stdout)


@contextlib.contextmanager
def capture(path):
    """Records the left end of the cable for as long as the block runs."""
    command = in_host("left", "tcpdump", "-i", "cable", "-U", "-w", path)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tcpdump:
        tcpdump.stderr.readline()  # "listening on ..."
        try:
            yield
            time.sleep(0.5)
        finally:
            tcpdump.send_signal(signal.SIGINT)
            tcpdump.wait(10)


def check_ping(name, source, destination):
    answer = run("left", "ping", "-n", "-c", "4", "-i", "0.2", "-W", "5", "-I", source,
                 destination)
    match = re.search(r"(\d+) received", answer.stdout)
    received = int(match.group(1)) if match else 0
    times = re.search(r"= [\d.]+/([\d.]+)/", answer.stdout)
    report(received == 4, f"ping over {name}: {received} of 4 answered"
                          + (f", {times.group(1)} ms" if times else ""))


def check_copy(name, source, destination):
    server = subprocess.Popen(in_host("right", "/usr/bin/python3", "-c", RECEIVER, destination),
                              stdout=subprocess.PIPE, text=True)
    try:
        server.stdout.readline()
        start = time.monotonic()
        sent = run("left", "/usr/bin/python3", "-c", SENDER, source, destination, str(COPY_BYTES),
                   timeout=120)
        received, _ = server.communicate(timeout=60)
        seconds = time.monotonic() - start
    finally:
        server.kill()
        server.wait()
    same = sent.returncode == 0 and sent.stdout.strip() == received.strip() != ""
    report(same, f"copy of {COPY_BYTES // 1024} KiB by TCP over {name}: "
                 + (f"checksums equal, {seconds:.1f} s" if same else sent.stderr.strip()[-200:]))


def check_discard():
    answer = run("left", "ping", "-n", "-c", "2", "-i", "0.2", "-W", "1", "-I", *DISCARDED)
    report(" 0 received" in answer.stdout, "discarded flow: no ping answered")


def check_clear_is_refused(before):
    """What policy protects must not come in clear: a forged packet on the cable is dropped."""
    forged = ("from scapy.all import *; conf.verb = 0; "
              "mac = open('/sys/class/net/cable/address').read().strip(); "
              "sendp([Ether(src=mac, dst='ff:ff:ff:ff:ff:ff') / IP(src='192.168.1.1', "
              "dst='192.168.2.1') / ICMP() / b'forged'] * 3, iface='cable')")
    run("left", "/usr/bin/python3", "-c", forged)
    time.sleep(1)
    refused = status("right")["drops"].get("policy", 0) - before["drops"].get("policy", 0)
    report(refused >= 3, f"3 forged clear packets of the tunnel's flow: {refused} refused")


def tshark(path, *arguments):
    return subprocess.run(["tshark", "-r", path, *arguments], text=True, capture_output=True,
                          timeout=120, check=False).stdout.splitlines()


def check_cable(path):
    """The cable may carry ESP and AH, and the link's own ARP, neighbour and router discovery."""
    link = "arp or (icmpv6.type >= 130 and icmpv6.type <= 137) or icmpv6.type == 143"
    protected = len(tshark(path, "-Y", f"(esp or ah) and not ({link})"))
    other = tshark(path, "-Y", f"not esp and not ah and not ({link})")
    report(protected > 0 and not other, f"the cable carried {protected} ESP and AH packets and "
                                        f"{len(other)} others" + "".join("\n         " + line
                                                                         for line in other[:5]))
    leaked = tshark(path, "-Y", f"ip.addr == {DISCARDED[0]} and not arp")
    report(not leaked, "the cable carried nothing of the discarded flow")


def keys():
    """(source, destination, SPI, encryption, key, authentication, key) as tshark wants them."""
    text = open("sim/scenario/associations.conf", encoding="utf-8").read()
    names = {"aes-gcm-16": "AES-GCM with 16 octet ICV [RFC4106]",
             "3des-cbc": "TripleDES-CBC [RFC2451]",
             "hmac-sha1": "HMAC-SHA-1-96 [RFC2404]", None: "NULL"}
    pattern = re.compile(r"add (\S+) (\S+) esp (0x\w+)[^;]*?-E (\S+) (\S+)"
                         r"(?:\s+-A (\S+) (\S+))?\s*;")
    for source, destination, spi, cipher, key, mac, mac_key in pattern.findall(text):
        yield (source, destination, f"0x{int(spi, 16):08x}", names[cipher], hexed(key),
               names[mac or None], hexed(mac_key))


def hexed(key):
    return "0x" + key.strip('"').encode().hex() if key.startswith('"') else key


def check_witness(path):
    """tshark, given the same keys, must find the pings and the copies inside and every ICV good."""
    options = ["-o", "esp.enable_encryption_decode:TRUE",
               "-o", "esp.enable_authentication_check:TRUE"]
    for source, destination, spi, cipher, key, mac, mac_key in keys():
        family = "IPv6" if ":" in source else "IPv4"
        options += ["-o", f'uat:esp_sa:"{family}","{source}","{destination}","{spi}","{cipher}",'
                          f'"{key}","{mac}","{mac_key}"']
    for name, _, _, spis, _ in FLOWS:
        if name.startswith("AH"):
            inside = tshark(path, "-Y", f"ah.spi == {spis[0]} and (icmp or tcp)")
            report(bool(inside), f"tshark reads {len(inside)} packets of {name}")
            continue
        wanted = f"(esp.spi == {spis[0]} or esp.spi == {spis[1]})"
        every = tshark(path, *options, "-Y", wanted)
        inside = tshark(path, *options, "-Y", f"{wanted} and (icmp or icmpv6 or tcp)")
        bad = tshark(path, *options, "-Y", f"{wanted} and esp.icv_bad == 1")
        report(len(every) > 0 and len(inside) == len(every) and not bad,
               f"tshark decrypts {len(inside)} of {len(every)} packets of {name}, "
               f"{len(bad)} bad ICVs")


def show_table(left, right):
    by_spi = {entry["spi"]: entry for entry in left["associations"]}
    rows = [("flow", "path", "why", "packets", "bytes", "drops")]
    for name, _, _, spis, path in FLOWS:
        sas = [by_spi[spi] for spi in spis if spi in by_spi]
        if len(sas) != 2:
            report(False, f"{name}: SAs missing in the left host's SADB")
            continue
        paths = {sa["path"] for sa in sas}
        report(paths == {path}, f"{name}: carried by {'/'.join(sorted(paths))}")
        drops = {}
        for sa in sas:
            for reason, count in sa.get("drops", {}).items():
                drops[reason] = drops.get(reason, 0) + count
        rows.append((name, "/".join(sorted(paths)), sas[0]["reason"],
                     str(sum(sa["packets"] for sa in sas)), str(sum(sa["bytes"] for sa in sas)),
                     " ".join(f"{k} {v}" for k, v in sorted(drops.items())) or "-"))
    discards = left["drops"].get("policy", 0)
    report(discards > 0, f"discarded flow: {discards} packets dropped by policy")
    rows.append(("discard policy", "-", "policy says discard", "0", "0", f"policy {discards}"))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    print()
    for row in rows:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    for side, state in (("left", left), ("right", right)):
        if "card" in state:
            print(f"  {side} card: {state['card'].get('cycles', 0)} clock cycles")
        print(f"  {side} drops: " + (" ".join(f"{k} {v}" for k, v in sorted(state["drops"].items())
                                              if v) or "none"))
    print(flush=True)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    cable = f"{STATE}/cable.pcap"
    with capture(cable):
        for name, source, destination, _, _ in FLOWS:
            check_ping(name, source, destination)
            check_copy(name, source, destination)
        check_discard()
    check_cable(cable)
    check_witness(cable)
    check_clear_is_refused(status("right"))
    show_table(status("left"), status("right"))
    print("saline: all of it held" if not failures else f"saline: {len(failures)} checks failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
