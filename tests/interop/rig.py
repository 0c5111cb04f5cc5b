"""A salined in a network namespace, a Linux kernel in user mode, and the cable between them, which
is this process: every frame of either side passes through Rig.pump, is recorded, and may be
altered, repeated or lost on the way. Host 1 is Saline, host 2 Linux."""

import contextlib
import json
import os
import select
import socket
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../system"))

import bed  # noqa: E402
from kernel_peer import MAC, KernelPeer  # noqa: E402

SALINE, LINUX = "saline", "linux"
ECHO_PORT = 7
# Addresses by (inside a tunnel?, family): Saline's, Linux's.
ENDS = {(False, 4): ("10.9.0.1", "10.9.0.2"), (False, 6): ("fd09::1", "fd09::2"),
        (True, 4): ("192.168.1.1", "192.168.2.1"), (True, 6): ("fd01::1", "fd02::1")}
NETWORKS = {4: ("192.168.1.0/24", "192.168.2.0/24"), 6: ("fd01::/64", "fd02::/64")}
WIRES = {"plain": "net_af_packet0,iface=cable",
         "card": "net_saline0,transport=model,mac=iface:cable"}


class Failure(AssertionError):
    """What did not hold."""


def check(held, what):
    if not held:
        raise Failure(what)


def grown(now, before):
    """Counters that are no longer what they were, and by how much."""
    return {name: now[name] - before.get(name, 0) for name in now
            if now[name] != before.get(name, 0)}


class Rig:
    def __init__(self, build, wire):
        # bed.Host reads these.
        self.build, self.wire, self.mtu = build, WIRES[wire], 1500
        self.has_card = wire == "card"
        self.folder = tempfile.mkdtemp(prefix="saline-interop-")
        self.saline = bed.Host(self, 1)
        self.middle = f"saline-{os.getpid()}-cable"
        self.peer = None
        self.frames = []          # (who sent it, frame), in order
        self.tamper = None        # (who, frame) -> the frames to pass on instead
        self._agent = []
        self._up = False          # the guest has said hello
        self._poll = select.poll()
        self._probes = {}

    def up(self, *options):
        self.peer = KernelPeer(self.folder, f"{self.build}/bin/interop_guest")
        self.saline.make()
        bed.run("ip", "netns", "add", self.middle)
        bed.run("ip", "link", "add", "cable", "netns", self.saline.namespace, "type", "veth",
                "peer", "name", "far", "netns", self.middle)
        bed.run("ip", "netns", "exec", self.middle, "sysctl", "-qw",
                "net.ipv6.conf.far.disable_ipv6=1")
        bed.run("ip", "-n", self.middle, "link", "set", "far", "arp", "off", "up")
        with bed.inside(self.middle):
            self.far = socket.socket(socket.AF_PACKET, socket.SOCK_RAW,
                                     socket.htons(bed.ETH_P_ALL))
            self.far.bind(("far", 0))
        self.far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        for end in (self.far, self.peer.socket):
            self._poll.register(end, select.POLLIN)
        self.saline.start("--allow-legacy", *options)
        self._settle_saline()
        self._settle_linux()

    def _settle_saline(self):
        mac = MAC.hex(":")
        for step in (["address", "add", "fd01::1/128", "dev", "lo", "nodad"],
                     ["route", "add", "fd02::/64", "via", "fd09::2", "dev", "saline0", "src",
                      "fd01::1"],
                     ["neighbour", "replace", "10.9.0.2", "lladdr", mac, "dev", "saline0"],
                     ["neighbour", "replace", "fd09::2", "lladdr", mac, "dev", "saline0"]):
            self.saline.run("ip", *step)
        with bed.inside(self.saline.namespace):
            for (inside, family), (mine, _) in ENDS.items():
                probe = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6,
                                      socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
                probe.bind((mine, 0))
                self._probes[inside, family] = probe
                self._poll.register(probe, select.POLLIN)

    def _settle_linux(self):
        self.pump(lambda: self._agent, "the guest answers", 30)
        self._agent.clear()
        self._up = True
        mac = self.saline.run("cat", "/sys/class/net/saline0/address").stdout.strip()
        self.mac = bytes.fromhex(mac.replace(":", ""))
        self.linux("""ip -batch - <<END
            link set lo up
            address add 10.9.0.2/24 dev vec0
            address add fd09::2/64 dev vec0 nodad
            address add 192.168.2.1/32 dev lo
            address add fd02::1/128 dev lo nodad
            neighbour replace 10.9.0.1 lladdr {mac} dev vec0
            neighbour replace fd09::1 lladdr {mac} dev vec0
            route add 192.168.1.0/24 via 10.9.0.1 dev vec0 src 192.168.2.1
            route add fd01::/64 via fd09::1 dev vec0 src fd02::1\nEND
            cd /proc/sys/net
            for f in ipv4/conf/all/rp_filter ipv4/conf/vec0/rp_filter ipv4/icmp_ratelimit \
                     ipv4/conf/all/send_redirects ipv4/conf/vec0/send_redirects; do
              echo 0 >$f
            done""".replace("{mac}", mac))

    def down(self, failed):
        if self.peer is not None:
            if failed:
                print(f"--- console of the guest:\n{self.peer.console()}", flush=True)
            self.peer.end()
        self.saline.remove()
        bed.run("ip", "netns", "delete", self.middle, check=False)
        if failed and os.path.exists(self.saline.log):
            print(f"--- log of salined:\n{open(self.saline.log).read()[-4000:]}", flush=True)
        bed.shutil.rmtree(self.folder, ignore_errors=True)

    # The cable.

    def pump(self, until, what, seconds=4):
        """Carries frames until `until()`; a Failure naming `what` when that does not come."""
        deadline = time.monotonic() + seconds
        while not until():
            ready = self._poll.poll(4)
            check(time.monotonic() < deadline, f"{what}: not within {seconds} s")
            if not ready:
                if self._up:
                    self.peer.kick()
                check(self.peer.alive(), "the guest has died")
            for end, _ in ready:
                if end == self.far.fileno():
                    frame, address = self.far.recvfrom(65536)
                    if address[2] != socket.PACKET_OUTGOING:
                        self._carry(SALINE, frame)
                elif end == self.peer.socket.fileno():
                    frame = self.peer.socket.recv(65536)
                    answer = self.peer.answer(frame)
                    if answer:
                        self._agent.append(answer)
                    else:
                        self._carry(LINUX, frame)

    def _carry(self, origin, frame):
        self.frames.append((origin, frame))
        onward = self.send_linux if origin == SALINE else self.send_saline
        for passed in self.tamper(origin, frame) if self.tamper else [frame]:
            onward(passed)

    def send_linux(self, frame):
        self.peer.socket.send(frame)

    def send_saline(self, frame):
        with contextlib.suppress(OSError):  # larger than the device takes: lost, as on a cable
            self.far.send(frame)

    def packets(self, origin=None):
        """The IP packets on the cable so far, link matters apart."""
        return [frame[14:] for who, frame in self.frames
                if origin in (None, who) and bed.protocol_of(frame) != "link"]

    # The two hosts.

    def linux(self, command, seconds=20):
        """Runs it in the guest; what it printed."""
        self.peer.command(command)
        self.pump(lambda: any(kind == b"x" for kind, _ in self._agent), "a command of the guest",
                  seconds)
        output = b"".join(data for kind, data in self._agent if kind == b"o").decode()
        status = next(data for kind, data in self._agent if kind == b"x")[0]
        self._agent.clear()
        check(status == 0, f"Linux refused: {output.strip()}\n{command}")
        return output

    def linux_counters(self):
        words = self.linux("@/proc/net/xfrm_stat").split()
        return dict(zip(words[::2], map(int, words[1::2])))

    def setkey(self, script):
        path = f"{self.folder}/script"
        with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w",
                  encoding="ascii") as out:
            out.write(script)
        answer = bed.run(f"{self.build}/bin/setkey", "-s", self.saline.socket, "-f", path,
                         check=False)
        check(answer.returncode == 0, f"setkey: {answer.stderr.strip()}\n{script}")

    def status(self):
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(5)
            control.connect(self.saline.control)
            control.sendall(b"status json\n")
            text = b""
            while part := control.recv(65536):
                text += part
        return json.loads(text)

    def saline_drops(self):
        return self.status()["drops"]

    # Probes.

    def echo(self, inside, family, payloads, seconds=4):
        """Each payload from Saline's host to Linux's UDP echo and back; other answers fail."""
        probe, there = self._probes[inside, family], ENDS[inside, family][1]
        wanted, got = sorted(payloads), []
        for payload in payloads:
            probe.sendto(payload, (there, ECHO_PORT))

        def arrived():
            with contextlib.suppress(BlockingIOError):
                while True:
                    got.append(probe.recv(65536))
            return len(got) >= len(wanted)

        try:
            self.pump(arrived, "echo", seconds)
        except Failure as failure:
            missing = [len(payload) for payload in payloads if payload not in got]
            raise Failure(f"{failure}; no answer for {missing} bytes") from None
        check(sorted(got) == wanted, "the echo differs")

    def probe(self, inside, family):
        """The socket of Saline's host that echo() speaks with."""
        return self._probes[inside, family]

    def settle(self):
        """Until nothing is under way any more: the cable has been silent, and the guest idle."""
        quiet = 0
        while quiet < 3:
            seen = len(self.frames)
            self.linux("@/proc/version")
            time.sleep(0.01)
            self.pump(lambda: not self._poll.poll(0), "silence")
            quiet = quiet + 1 if len(self.frames) == seen else 0

    def received(self, inside, family):
        """What has come to the probe in the end."""
        got, seen = [], -1
        while len(got) != seen:
            seen = len(got)
            time.sleep(0.03)
            with contextlib.suppress(BlockingIOError):
                while True:
                    got.append(self._probes[inside, family].recv(65536))
        return got

    def ethernet(self, origin, packet):
        """A frame as `origin` would send it."""
        kind = b"\x08\0" if packet[0] >> 4 == 4 else b"\x86\xdd"
        ends = [self.mac, MAC] if origin == LINUX else [MAC, self.mac]
        return ends[0] + ends[1] + kind + packet

    def stray(self, inside, family):
        """What arrives now at the probe's socket, with everything under way delivered."""
        self.linux("@/proc/version")
        time.sleep(0.01)
        with contextlib.suppress(BlockingIOError):
            return self._probes[inside, family].recv(65536)
        return None


@contextlib.contextmanager
def rig(build, wire, *options):
    bed.require_privileges()

    def end(number, _):
        raise KeyboardInterrupt(f"signal {number}")

    bed.signal.signal(bed.signal.SIGTERM, end)
    it = Rig(build, wire)
    failed = True
    try:
        it.up(*options)
        yield it
        failed = False
    finally:
        it.down(failed)
