"""Two hosts, each a network namespace with its own salined and TAP, joined by a veth pair called
`cable`; what the tests of this folder stand on. Needs root; skips (exit 77) without. Everything is
taken down at the end, also after a failure or a signal."""

import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import pfkey

SKIP = 77
CLONE_NEWNET = 0x40000000
ETH_P_ALL = 3


def skip(reason):
    print(f"SKIP: {reason}", flush=True)
    sys.exit(SKIP)


def run(*command, check=True, timeout=30):
    result = subprocess.run(command, text=True, capture_output=True, timeout=timeout, check=False)
    if check and result.returncode:
        raise RuntimeError(f"{' '.join(command)}: {result.stderr.strip()}")
    return result


def require_privileges():
    if os.geteuid() != 0:
        skip("network namespaces need root")
    if not os.path.exists("/dev/net/tun"):
        skip("/dev/net/tun is missing")
    probe = f"saline-probe-{os.getpid()}"
    if run("ip", "netns", "add", probe, check=False).returncode:
        skip("network namespaces cannot be made here")
    run("ip", "netns", "delete", probe)


@contextlib.contextmanager
def inside(namespace):
    """The calling thread is in that namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        if libc.setns(there, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
        yield
    finally:
        libc.setns(home, CLONE_NEWNET)
        os.close(there)
        os.close(home)


class Ear:
    """What arrives at one device of one namespace, from now on."""

    def __init__(self, namespace, device):
        with inside(namespace):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            self.socket.bind((device, 0))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.socket.settimeout(0.2)

    def frames(self):
        """All frames so far."""
        found = []
        with contextlib.suppress(TimeoutError):
            while True:
                frame, address = self.socket.recvfrom(65536)
                if address[2] != socket.PACKET_OUTGOING:
                    found.append(frame)
        return found


class Cable:
    """What passes on the cable from now on. Each end is asked for what arrives there: what a daemon
    sends past the queueing discipline is not shown to other sockets of its own end."""

    def __init__(self, left, right):
        self.left, self.right = Ear(left, "cable"), Ear(right, "cable")

    def frames(self):
        return self.left.frames() + self.right.frames()

    def send_right(self, frame):
        """As if the left host had sent it."""
        self.left.socket.send(frame)


def protocol_of(frame):
    """"esp", "ah", "ipcomp", "esp-udp", "link" (ARP, neighbour and listener discovery), "clear".
    """
    kind = frame[12:14]
    if kind == b"\x08\x06":
        return "link"
    if kind == b"\x08\x00":
        upper, rest = frame[23], frame[34:]
    elif kind == b"\x86\xdd":
        upper, rest = frame[20], frame[54:]
        if upper == 0:
            upper, rest = rest[0], rest[8:]
        if upper == 58 and 130 <= rest[0] <= 143:
            return "link"
    else:
        return "link"
    if upper == 17 and b"\x11\x94" in (rest[0:2], rest[2:4]):  # port 4500
        return "esp-udp"
    return {50: "esp", 51: "ah", 108: "ipcomp"}.get(upper, "clear")


class Host:
    """One namespace with its daemon: host 1 is 10.9.0.1, fd09::1 and, inside, 192.168.1.1."""

    def __init__(self, bed, number):
        self.bed, self.number = bed, number
        self.namespace = f"saline-{os.getpid()}-{number}"
        self.address, self.address6 = f"10.9.0.{number}", f"fd09::{number}"
        self.inner = f"192.168.{number}.1"
        self.socket = f"{bed.folder}/{number}.pfkey"
        self.control = f"{bed.folder}/{number}.control"
        self.log = f"{bed.folder}/{number}.log"
        self.daemon = None

    def run(self, *command, **options):
        return run("ip", "netns", "exec", self.namespace, *command, **options)

    def make(self):
        run("ip", "netns", "add", self.namespace)

    def start(self, *options):
        # The kernel must not answer what the daemon reads from the same device: no ARP, no IPv6,
        # and packets of the other host's addresses are not expected here.
        self.run("sysctl", "-qw", "net.ipv6.conf.cable.disable_ipv6=1",
                 "net.ipv4.conf.cable.rp_filter=1", "net.ipv4.conf.all.rp_filter=1")
        self.run("ip", "link", "set", "cable", "mtu", str(self.bed.mtu), "arp", "off", "up")
        self.run("ip", "link", "set", "lo", "up")
        command = ["ip", "netns", "exec", self.namespace, f"{self.bed.build}/bin/salined",
                   "--no-huge", "--memory", "128", "--wire-port", self.bed.wire,
                   "--socket", self.socket, "--control", self.control, *options]
        with open(self.log, "w", encoding="utf-8") as log:
            self.daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                           stderr=log)
        self.wait_for_device()
        peer = 3 - self.number
        for step in (["address", "add", f"{self.address}/24", "dev", "saline0"],
                     ["address", "add", f"{self.address6}/64", "dev", "saline0", "nodad"],
                     ["address", "add", f"{self.inner}/32", "dev", "lo"],
                     ["link", "set", "saline0", "up"],
                     ["route", "add", f"192.168.{peer}.0/24", "via", f"10.9.0.{peer}", "dev",
                      "saline0", "src", self.inner]):
            self.run("ip", *step)

    def wait_for_device(self):
        deadline = time.monotonic() + 60
        while not (os.path.exists(self.control) and os.path.exists(self.socket)):
            if self.daemon.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"salined did not start: {open(self.log).read()}")
            time.sleep(0.05)

    def stop(self):
        """Ends the daemon; its exit status."""
        if self.daemon is None:
            return None
        self.daemon.send_signal(signal.SIGTERM)
        try:
            return self.daemon.wait(20)
        except subprocess.TimeoutExpired:
            self.daemon.kill()
            return self.daemon.wait()

    def remove(self):
        if self.daemon is not None and self.daemon.poll() is None:
            self.stop()
        run("ip", "netns", "delete", self.namespace, check=False)

    def client(self):
        return pfkey.Client(self.socket)

    def status(self):
        return json.loads(run(f"{self.bed.build}/bin/saline", "--control", self.control, "status",
                              "-j").stdout)

    def association(self, spi):
        return next(sa for sa in self.status()["associations"] if sa["spi"] == spi)

    def ear(self):
        """What the daemon delivers to this host."""
        return Ear(self.namespace, "saline0")

    def drops(self, reason):
        return self.status()["drops"].get(reason, 0)

    def ping(self, source, destination, count=3, wait=3, size=56):
        """How many of `count` were answered."""
        answer = self.run("ping", "-n", "-c", str(count), "-i", "0.1", "-W", str(wait), "-s",
                          str(size), "-I", source, destination, check=False,
                          timeout=20 + count * wait)
        found = re.search(r"(\d+) received", answer.stdout)
        return int(found.group(1)) if found else 0


class Router:
    """Between the two hosts: 10.19.N.254 to host N, whose address there is 10.19.N.1; the way to
    the right one is narrow. Its kernel forwards, fragments and complains as any router's."""

    def __init__(self, mtu):
        self.namespace, self.mtu = f"saline-{os.getpid()}-r", mtu

    def make(self, hosts):
        run("ip", "netns", "add", self.namespace)
        for host in hosts:
            device = f"to{host.number}"
            run("ip", "link", "add", "cable", "netns", host.namespace, "type", "veth", "peer",
                "name", device, "netns", self.namespace)
            self.run("ip", "address", "add", f"10.19.{host.number}.254/24", "dev", device)
            self.run("ip", "link", "set", device, "up")
        # Of the route, since a veth pair takes no larger frame either way than its narrower end.
        self.run("ip", "route", "replace", "10.19.2.0/24", "dev", "to2", "src", "10.19.2.254",
                 "mtu", str(self.mtu))
        self.run("sysctl", "-qw", "net.ipv4.ip_forward=1")

    def connect(self, host):
        """Once the host's daemon runs; from then on the other host is reached by the router."""
        peer = 3 - host.number
        host.run("ip", "address", "add", f"10.19.{host.number}.1/24", "dev", "saline0")
        host.run("ip", "route", "add", f"10.19.{peer}.0/24", "via", f"10.19.{host.number}.254")
        host.run("ip", "route", "replace", f"192.168.{peer}.0/24", "via",
                 f"10.19.{host.number}.254", "dev", "saline0", "src", host.inner)

    def run(self, *command):
        return run("ip", "netns", "exec", self.namespace, *command)


class Bed:
    mtu = 1500  # of the cable

    def __init__(self, build, wire):
        self.build, self.wire = build, wire
        self.router = None
        self.folder = tempfile.mkdtemp(prefix="saline-system-")
        self.left, self.right = Host(self, 1), Host(self, 2)

    def up(self, *options):
        for host in (self.left, self.right):
            host.make()
        if self.router:
            self.router.make((self.left, self.right))
        else:
            run("ip", "link", "add", "cable", "netns", self.left.namespace, "type", "veth", "peer",
                "name", "cable", "netns", self.right.namespace)
        for host in (self.left, self.right):
            host.start(*options)
            if self.router:
                self.router.connect(host)

    def down(self, failed):
        for host in (self.left, self.right):
            host.remove()
            if failed and os.path.exists(host.log):
                print(f"--- log of host {host.number}:\n{open(host.log).read()}", flush=True)
        if self.router:
            run("ip", "netns", "delete", self.router.namespace, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def cable(self):
        return Cable(self.left.namespace, self.right.namespace)


@contextlib.contextmanager
def bed(build, wire, *options, router=None, mtu=1500):
    """router: a Router, else the hosts share one cable; mtu: of the cable."""
    require_privileges()

    def end(number, _):
        raise KeyboardInterrupt(f"signal {number}")

    signal.signal(signal.SIGTERM, end)
    hosts = Bed(build, wire)
    hosts.router, hosts.mtu = router, mtu
    failed = True
    try:
        hosts.up(*options)
        yield hosts
        failed = False
    finally:
        hosts.down(failed)


def expect(held, what):
    print(f"{'ok  ' if held else 'FAIL'} {what}", flush=True)
    if not held:
        raise AssertionError(what)


def eventually(condition, what, seconds=5):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return expect(False, what)
        time.sleep(0.1)
    return expect(True, what)
