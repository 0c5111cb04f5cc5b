"""Whole-system tests: packets between two daemons.

usage: flows.py BUILD WIRE FLOW      WIRE: plain (a veth, no card) or card (a simulated card)
Exit status: 0 held, 1 not, 77 skipped with a reason.
"""

import os
import re
import socket
import sys
import threading
import time

import pfkey
from bed import Router, bed, eventually, expect, inside, protocol_of, skip
from pfkey import (AH, AES_CBC, DEFLATE, DES3_CBC, ESP, GCM_128, GCM_256, HMAC_SHA1, HMAC_SHA256,
                   IN, IPCOMP, IPSEC, OUT, PROTO_AH, PROTO_ESP, PROTO_IPCOMP, REQUIRE, TRANSPORT,
                   TUNNEL, USE, request)

WIRES = {"plain": "net_af_packet0,iface=cable",
         "card": "net_saline0,transport=model,mac=iface:cable"}


def key_both(hosts, satype, left, right, spis, **options):
    """The same two SAs on both hosts: spis[0] from left to right, spis[1] back."""
    for host in (hosts.left, hosts.right):
        client = host.client()
        client.add(satype, left, right, spis[0], **options)
        client.add(satype, right, left, spis[1], **options)
        client.close()


def police_both(hosts, left, right, outward, inward=None):
    """outward, inward: requests of the left host's out and in policy; mirrored on the right."""
    inward = inward or outward
    for host, mine, others, out, back in ((hosts.left, left, right, outward, inward),
                                          (hosts.right, right, left, inward, outward)):
        client = host.client()
        client.policy(OUT, mine, others, IPSEC, *out)
        client.policy(IN, others, mine, IPSEC, *back)
        client.close()


def check_flow(hosts, source, destination, protocol, spis, path=None, count=4):
    """Pings cross, and the cable shows nothing of them but `protocol`."""
    cable = hosts.cable()
    expect(hosts.left.ping(source, destination, count) == count,
           f"{count} pings from {source} to {destination} answered")
    kinds = [protocol_of(frame) for frame in cable.frames()]
    expect(kinds.count(protocol) >= 2 * count, f"{kinds.count(protocol)} {protocol} frames")
    expect("clear" not in kinds, "nothing in clear")
    for host in (hosts.left, hosts.right):
        for spi in spis:
            sa = host.association(spi)
            expect(sa["packets"] >= count, f"host {host.number}: {sa['packets']} packets of "
                                           f"SPI {spi:#x} by {sa['path']} ({sa['reason']})")
            expect(path is None or sa["path"] == path, f"carried by {path}")


def esp_3des_transport(hosts, _):
    key_both(hosts, ESP, "10.9.0.1", "10.9.0.2", (0x1001, 0x1002), encrypt=DES3_CBC,
             auth=HMAC_SHA1)
    police_both(hosts, "10.9.0.1", "10.9.0.2", [request(PROTO_ESP, TRANSPORT)])
    check_flow(hosts, "10.9.0.1", "10.9.0.2", "esp", (0x1001, 0x1002), "software")
    expect(hosts.left.ping("10.9.0.1", "10.9.0.2", 2, size=1300) == 2, "large packets too")


def ah_transport(hosts, _):
    key_both(hosts, AH, "10.9.0.1", "10.9.0.2", (0x2001, 0x2002), auth=HMAC_SHA256)
    police_both(hosts, "10.9.0.1", "10.9.0.2", [request(PROTO_AH, TRANSPORT)])
    check_flow(hosts, "10.9.0.1", "10.9.0.2", "ah", (0x2001, 0x2002), "software")


def gcm_tunnel(hosts, path):
    key_both(hosts, ESP, "10.9.0.1", "10.9.0.2", (0x3001, 0x3002), encrypt=GCM_128, mode=TUNNEL)
    police_both(hosts, "192.168.1.0/24", "192.168.2.0/24",
                [request(PROTO_ESP, TUNNEL, ends=("10.9.0.1", "10.9.0.2"))],
                [request(PROTO_ESP, TUNNEL, ends=("10.9.0.2", "10.9.0.1"))])
    check_flow(hosts, "192.168.1.1", "192.168.2.1", "esp", (0x3001, 0x3002), path)
    expect(hosts.left.ping("192.168.1.1", "192.168.2.1", 2, size=1300) == 2, "large packets too")


def gcm_transport_ipv6(hosts, path):
    key_both(hosts, ESP, "fd09::1", "fd09::2", (0x4001, 0x4002), encrypt=GCM_256)
    police_both(hosts, "fd09::1", "fd09::2", [request(PROTO_ESP, TRANSPORT)])
    check_flow(hosts, "fd09::1", "fd09::2", "esp", (0x4001, 0x4002), path)


def shared_spi(hosts, _):
    """One SPI at two addresses of the right host: two SAs (RFC 4301 §4.1), which a card that looks
    at the SPI alone cannot tell apart."""
    for address, back in (("10.9.0.2", 0x7002), ("192.168.2.1", 0x7003)):
        key_both(hosts, ESP, "10.9.0.1", address, (0x7001, back), encrypt=GCM_128)
        police_both(hosts, "10.9.0.1", address, [request(PROTO_ESP, TRANSPORT)])
    for address in ("10.9.0.2", "192.168.2.1"):
        expect(hosts.left.ping("10.9.0.1", address, 3) == 3, f"pings to {address} answered")
    twins = [sa for sa in hosts.right.status()["associations"] if sa["spi"] == 0x7001]
    expect([sa["path"] for sa in twins] == ["software"] * 2, "both in software")
    expect(all(sa["packets"] >= 3 for sa in twins), "each has carried its own")


def tunnel_over_ipv6(hosts, path):
    """The outer destination is nobody's next hop yet: the daemon has the kernel find it. What the
    host takes for the next hop of the inner packets is a station that does not exist."""
    for host, peer in ((hosts.left, 2), (hosts.right, 1)):
        host.run("ip", "neighbour", "add", "10.9.0.99", "lladdr", "02:00:00:00:00:99", "dev",
                 "saline0")
        host.run("ip", "route", "replace", f"192.168.{peer}.0/24", "via", "10.9.0.99", "dev",
                 "saline0", "src", host.inner)
    key_both(hosts, ESP, "fd09::1", "fd09::2", (0x5001, 0x5002), encrypt=GCM_128, mode=TUNNEL)
    police_both(hosts, "192.168.1.0/24", "192.168.2.0/24",
                [request(PROTO_ESP, TUNNEL, ends=("fd09::1", "fd09::2"))],
                [request(PROTO_ESP, TUNNEL, ends=("fd09::2", "fd09::1"))])
    eventually(lambda: hosts.left.ping("192.168.1.1", "192.168.2.1", 1, 1) == 1,
               "the next hops are found", 15)
    check_flow(hosts, "192.168.1.1", "192.168.2.1", "esp", (0x5001, 0x5002), path)


def discovery(hosts, path):
    """A policy for everything does not lock out neighbour discovery, which no SA protects."""
    key_both(hosts, ESP, "fd09::1", "fd09::2", (0x5101, 0x5102), encrypt=GCM_256)
    police_both(hosts, "::/0", "::/0", [request(PROTO_ESP, TRANSPORT)])
    for host in (hosts.left, hosts.right):
        host.run("ip", "neighbour", "flush", "all")
    check_flow(hosts, "fd09::1", "fd09::2", "esp", (0x5101, 0x5102), path)
    expect(hosts.left.status()["flows"]["outbound"]["discovery"] > 0, "counted as discovery")


def bundle(hosts, _):
    """ESP inside, AH outside: RFC order. An inner SA never goes to the card."""
    key_both(hosts, ESP, "10.9.0.1", "10.9.0.2", (0x6001, 0x6002), encrypt=GCM_128)
    key_both(hosts, AH, "10.9.0.1", "10.9.0.2", (0x6003, 0x6004), auth=HMAC_SHA1)
    police_both(hosts, "10.9.0.1", "10.9.0.2",
                [request(PROTO_ESP, TRANSPORT), request(PROTO_AH, TRANSPORT)])
    check_flow(hosts, "10.9.0.1", "10.9.0.2", "ah", (0x6001, 0x6002, 0x6003, 0x6004), "software")


def esp_in_udp(hosts, _):
    """RFC 3948, and a translator that gives the left host another port: the right one follows."""
    ends = ("10.9.0.1", "10.9.0.2")
    for host, here in ((hosts.left, 4501), (hosts.right, 4500)):
        client = host.client()
        client.add(ESP, *ends, 0x6101, encrypt=GCM_128, mode=TUNNEL, ports=(here, 4500))
        client.add(ESP, *reversed(ends), 0x6102, encrypt=GCM_128, mode=TUNNEL, ports=(4500, here))
        client.close()
    police_both(hosts, "192.168.1.0/24", "192.168.2.0/24",
                [request(PROTO_ESP, TUNNEL, ends=ends)],
                [request(PROTO_ESP, TUNNEL, ends=ends[::-1])])
    listener = hosts.right.client()
    listener.register(ESP)
    # The right host has to hear of the new port before it can answer.
    eventually(lambda: hosts.left.ping("192.168.1.1", "192.168.2.1", 1, wait=1) == 1,
               "an answer to the new port")
    news = listener.receive()
    expect(news.type == pfkey.NEW_MAPPING and news.spi == 0x6101, "NAT_T_NEW_MAPPING is sent")
    expect(news.ports == (4500, 4501), f"from port 4500 to 4501: {news.ports}")
    check_flow(hosts, "192.168.1.1", "192.168.2.1", "esp-udp", (0x6101, 0x6102), "software")


def ipcomp(hosts, _):
    """Compressed, then protected; what does not shrink goes as it is and is welcome too."""
    key_both(hosts, IPCOMP, "10.9.0.1", "10.9.0.2", (0x6201, 0x6202), encrypt=DEFLATE, window=0)
    key_both(hosts, ESP, "10.9.0.1", "10.9.0.2", (0x6203, 0x6204), encrypt=GCM_128)
    police_both(hosts, "10.9.0.1", "10.9.0.2",
                [request(PROTO_IPCOMP, TRANSPORT, USE), request(PROTO_ESP, TRANSPORT)])
    check_flow(hosts, "10.9.0.1", "10.9.0.2", "esp", (0x6203, 0x6204), "software")
    cable = hosts.cable()
    expect(hosts.left.ping("10.9.0.1", "10.9.0.2", 3, size=1300) == 3, "large packets")
    frames = [frame for frame in cable.frames() if protocol_of(frame) == "esp"]
    expect(len(frames) >= 6 and max(map(len, frames)) < 700, "which the cable carries compressed")
    expect(hosts.right.association(0x6201)["packets"] >= 3, "and the SA counts")


def ah_tunnel(hosts, _):
    """The policy that KAME's flags could never satisfy."""
    key_both(hosts, AH, "10.9.0.1", "10.9.0.2", (0x7001, 0x7002), auth=HMAC_SHA256, mode=TUNNEL)
    police_both(hosts, "192.168.1.0/24", "192.168.2.0/24",
                [request(PROTO_AH, TUNNEL, ends=("10.9.0.1", "10.9.0.2"))],
                [request(PROTO_AH, TUNNEL, ends=("10.9.0.2", "10.9.0.1"))])
    check_flow(hosts, "192.168.1.1", "192.168.2.1", "ah", (0x7001, 0x7002), "software")


def discard(hosts, _):
    client = hosts.left.client()
    client.policy(OUT, "10.9.0.1", "10.9.0.2", pfkey.DISCARD, proto=1)
    cable = hosts.cable()
    expect(hosts.left.ping("10.9.0.1", "10.9.0.2", 3, 1) == 0, "no ping answered")
    expect("clear" not in [protocol_of(frame) for frame in cable.frames()], "nothing was sent")
    expect(hosts.left.drops("policy") >= 3, "counted as policy")
    expect(hosts.left.status()["policies"][0]["refused"] >= 3, "and by the policy itself")
    client.policy(OUT, "10.9.0.1", "10.9.0.2", pfkey.DISCARD, proto=1, kind=pfkey.SPDDELETE)
    expect(hosts.left.ping("10.9.0.1", "10.9.0.2", 2) == 2, "without the policy they pass")


def acquire(hosts, path):
    """No SA: nothing leaves, the registered are asked once, and the SAs they add are used."""
    daemon = hosts.left.client()
    daemon.register(ESP)
    bystander = hosts.left.client()
    police_both(hosts, "10.9.0.1", "10.9.0.2", [request(PROTO_ESP, TRANSPORT, reqid=7)])
    cable = hosts.cable()
    expect(hosts.left.ping("10.9.0.1", "10.9.0.2", 3, 1) == 0, "no ping answered")
    expect("clear" not in [protocol_of(frame) for frame in cable.frames()], "nothing in clear")
    messages = []
    try:
        while True:
            messages.append(daemon.receive(1))
    except TimeoutError:
        pass
    wanted = [message for message in messages if message.type == pfkey.ACQUIRE]
    expect(len(wanted) == 1, f"{len(wanted)} ACQUIRE for 3 packets")
    ask = wanted[0]
    expect((ask.source, ask.destination, ask.satype) == ("10.9.0.1", "10.9.0.2", ESP), "for whom")
    expect(ask.pid == 0 and ask.seq != 0 and ask.policy_id & 7 == 1 and ask.reqid == 7,
           "pid, seq, policy id and reqid")
    try:
        while True:
            expect(bystander.receive(0.5).type != pfkey.ACQUIRE, "others do not hear it")
    except TimeoutError:
        pass
    key_both(hosts, ESP, "10.9.0.1", "10.9.0.2", (0x8001, 0x8002), encrypt=GCM_128, reqid=7)
    check_flow(hosts, "10.9.0.1", "10.9.0.2", "esp", (0x8001, 0x8002), path)


def expire(hosts, path):
    """Soft by packets, then hard; EXPIRE for both; a dead SA carries nothing."""
    listener = hosts.left.client()
    listener.register(ESP)
    key_both(hosts, ESP, "10.9.0.1", "10.9.0.2", (0x9001, 0x9002), encrypt=GCM_128,
             soft={"packets": 4}, hard={"packets": 8})
    police_both(hosts, "10.9.0.1", "10.9.0.2", [request(PROTO_ESP, TRANSPORT)])
    expect(hosts.left.ping("10.9.0.1", "10.9.0.2", 5) == 5, "within the lifetime pings pass")

    def expiries(seconds):
        found, end = set(), time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                message = listener.receive(0.5)
            except TimeoutError:
                continue
            if message.type == pfkey.EXPIRE:
                found.add((message.spi, "hard" if message.is_hard else "soft"))
        return found

    expect(expiries(2) == {(0x9001, "soft"), (0x9002, "soft")}, "EXPIRE soft, both SAs")
    sa = hosts.left.association(0x9001)
    expect((sa["state"], sa["path"]) == ("dying", path), f"dying by now, in {path}")
    hosts.left.ping("10.9.0.1", "10.9.0.2", 6, 1)
    expect((0x9001, "hard") in expiries(3), "EXPIRE hard")
    eventually(lambda: all(sa["spi"] != 0x9001 for sa in hosts.left.status()["associations"]),
               "the SA is gone")
    cable = hosts.cable()
    expect(hosts.left.ping("10.9.0.1", "10.9.0.2", 2, 1) == 0, "nothing passes")
    expect({"esp", "clear"}.isdisjoint(map(protocol_of, cable.frames())), "nothing is sent")


def expire_by_time(hosts, _):
    listener = hosts.left.client()
    listener.register(AH)
    listener.add(AH, "10.9.0.1", "10.9.0.2", 0x9101, auth=HMAC_SHA1, soft={"added": 1},
                 hard={"added": 3})
    kinds = []
    end = time.monotonic() + 8
    while time.monotonic() < end and len(kinds) < 2:
        try:
            message = listener.receive(1)
        except TimeoutError:
            continue
        if message.type == pfkey.EXPIRE:
            kinds.append("hard" if message.is_hard else "soft")
    expect(kinds == ["soft", "hard"], "EXPIRE soft, then hard")


def delete(hosts, path):
    gcm_tunnel(hosts, path)
    client = hosts.left.client()
    expect(client.by_spi(pfkey.GET, ESP, "10.9.0.1", "10.9.0.2", 0x3001).current[0] >= 4,
           "GET has the packets")
    dump = client.dump()
    expect({sa.spi for sa in dump} == {0x3001, 0x3002}, "DUMP has both")
    client.by_spi(pfkey.DELETE, ESP, "10.9.0.1", "10.9.0.2", 0x3001)
    try:
        client.by_spi(pfkey.GET, ESP, "10.9.0.1", "10.9.0.2", 0x3001)
        expect(False, "GET of a deleted SA is refused")
    except pfkey.PfkeyError as error:
        expect(error.errno == 3, "GET of a deleted SA is refused (ESRCH)")
    cable = hosts.cable()
    expect(hosts.left.ping("192.168.1.1", "192.168.2.1", 2, 1) == 0, "nothing passes")
    expect({"esp", "clear"}.isdisjoint(map(protocol_of, cable.frames())), "nothing is sent")
    expect(hosts.left.drops("no_sa") >= 2, "counted as no_sa")
    # The same SPI anew: the peer's window refuses the old numbers, so both ends start anew.
    hosts.right.client().by_spi(pfkey.DELETE, ESP, "10.9.0.1", "10.9.0.2", 0x3001)
    for host in (hosts.left, hosts.right):
        host.client().add(ESP, "10.9.0.1", "10.9.0.2", 0x3001, encrypt=GCM_128, mode=TUNNEL)
    expect(hosts.left.ping("192.168.1.1", "192.168.2.1", 2) == 2, "a new SA carries on")


def intruder(hosts, path):
    """From the cable: replays, forgeries and clear packets, each refused and counted."""
    gcm_transport_ipv6(hosts, path)
    cable = hosts.cable()
    expect(hosts.left.ping("fd09::1", "fd09::2", 2) == 2, "two more pings")
    mac = hosts.left.run("cat", "/sys/class/net/saline0/address").stdout.strip()
    mine = [frame for frame in cable.frames()
            if protocol_of(frame) == "esp" and frame[6:12] == bytes.fromhex(mac.replace(":", ""))]
    before = {reason: hosts.right.drops(reason) for reason in ("replay", "icv", "policy", "no_sa")}
    ear = hosts.right.ear()
    for frame in mine:
        cable.send_right(frame)
    eventually(lambda: hosts.right.drops("replay") == before["replay"] + len(mine),
               f"{len(mine)} replays refused")
    window_ahead = bytearray(mine[-1])
    window_ahead[58:62] = (int.from_bytes(window_ahead[58:62], "big") + 20).to_bytes(4, "big")
    window_ahead[70] ^= 1
    cable.send_right(bytes(window_ahead))
    eventually(lambda: hosts.right.drops("icv") == before["icv"] + 1, "a forgery refused")
    stranger = bytearray(mine[-1])
    stranger[54:58] = b"\x00\x00\xbe\xef"
    cable.send_right(bytes(stranger))
    eventually(lambda: hosts.right.drops("no_sa") == before["no_sa"] + 1, "an unknown SPI refused")
    clear = mine[-1][:18] + b"\x00\x08\x11\x40" + mine[-1][22:54] + b"\x00\x07\x00\x07\x00\x08\0\0"
    cable.send_right(clear)
    eventually(lambda: hosts.right.drops("policy") == before["policy"] + 1,
               "clear UDP where ESP is demanded refused")
    delivered = [frame for frame in ear.frames() if protocol_of(frame) != "link"]
    expect(not delivered, "none of it reached the host")
    expect(hosts.left.ping("fd09::1", "fd09::2", 2) == 2, "and the SA still works")


def default_discard(hosts, _):
    cable = hosts.cable()
    expect(hosts.left.ping("10.9.0.1", "10.9.0.2", 2, 1) == 0, "no ping answered")
    kinds = [protocol_of(frame) for frame in cable.frames()]
    expect("clear" not in kinds and "link" in kinds, "ARP alone passes")
    expect(hosts.left.drops("policy") >= 2, "counted as policy")


def use_level(hosts, path):
    """Level use: clear and counted without an SA, protected with one."""
    police_both(hosts, "10.9.0.1", "10.9.0.2", [request(PROTO_ESP, TRANSPORT, USE)])
    expect(hosts.left.ping("10.9.0.1", "10.9.0.2", 2) == 2, "clear without an SA")
    expect(hosts.left.status()["flows"]["outbound"]["clear_by_use"] >= 2, "counted")
    key_both(hosts, ESP, "10.9.0.1", "10.9.0.2", (0xa001, 0xa002), encrypt=AES_CBC,
             auth=HMAC_SHA256)
    check_flow(hosts, "10.9.0.1", "10.9.0.2", "esp", (0xa001, 0xa002), "software")


def too_big(hosts, path):
    """What does not fit once protected is refused, and the sender is told what would."""
    gcm_tunnel(hosts, path)
    left = hosts.left

    def ping(size):
        return left.run("ping", "-n", "-c", "1", "-W", "2", "-M", "do", "-s", str(size), "-I",
                        "192.168.1.1", "192.168.2.1", check=False).stdout

    before = left.drops("too_big")
    answer = ping(1472)
    found = re.search(r"mtu ?= ?(\d+)", answer)
    expect(found is not None, "ping of 1500 bytes is told the MTU")
    mtu = int(found.group(1))
    # Outer header 20, ESP 8, IV 8, padding to 4 with 2 bytes of trailer, ICV 16.
    expect(1440 <= mtu <= 1448, f"which is {mtu}")
    expect(left.drops("too_big") == before + 1, "counted as too_big")
    expect(" 1 received" in ping(mtu - 28), f"ping of {mtu} bytes passes")


def stream(hosts, source, destination, count):
    """Sends that many bytes over TCP; those that arrived in time, and the sender's segment size."""
    arrived = bytearray()
    with inside(hosts.right.namespace):
        server = socket.create_server((destination, 5000))
    with inside(hosts.left.namespace):
        client = socket.socket()
    server.settimeout(20)
    client.settimeout(20)

    def receive():
        connection, _ = server.accept()
        connection.settimeout(20)
        while data := connection.recv(65536):
            arrived.extend(data)

    reader = threading.Thread(target=receive, daemon=True)
    reader.start()
    client.bind((source, 0))
    client.connect((destination, 5000))
    client.sendall(bytes(range(256)) * (count // 256))
    segment = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
    client.close()
    reader.join(30)
    server.close()
    return arrived == bytes(range(256)) * (count // 256), segment


def narrow_path(hosts, _):
    """A router in between whose next link is narrow: its ICMP is about ESP, the host hears of its
    own packets what fits them."""
    key_both(hosts, ESP, "10.19.1.1", "10.19.2.1", (0xb001, 0xb002), encrypt=GCM_128, mode=TUNNEL)
    police_both(hosts, "192.168.1.0/24", "192.168.2.0/24",
                [request(PROTO_ESP, TUNNEL, ends=("10.19.1.1", "10.19.2.1"))],
                [request(PROTO_ESP, TUNNEL, ends=("10.19.2.1", "10.19.1.1"))])
    left = hosts.left
    eventually(lambda: left.ping("192.168.1.1", "192.168.2.1", 1, 1) == 1, "the way is found", 15)

    def ping(size, *options):
        return left.run("ping", "-n", "-c", "1", "-W", "2", "-s", str(size), "-I", "192.168.1.1",
                        *options, "192.168.2.1", check=False).stdout

    expect(left.status()["flows"]["inbound"]["path_mtu_learned"] == 0, "nothing learned yet")
    expect(" 0 received" in ping(1372, "-M", "do"), "the first of 1400 bytes is lost")
    eventually(lambda: left.status()["flows"]["inbound"]["path_mtu_learned"] == 1,
               "the router's word about ESP is believed")
    found = re.search(r"mtu ?= ?(\d+)", ping(1372, "-M", "do"))
    # Of the link's 1300: outer header 20, ESP 8, IV 8, ICV 16, trailer 2.
    expect(found is not None and found.group(1) == "1246", "the next one is told: 1246")
    expect(" 1 received" in ping(1246 - 28, "-M", "do"), "1246 bytes pass")
    expect(" 1 received" in ping(4000, "-M", "dont"), "4000 bytes pass in fragments")
    whole, segment = stream(hosts, "192.168.1.1", "192.168.2.1", 1 << 20)
    expect(whole, f"TCP brings 1 MiB across, in segments of {segment}")
    expect(segment <= 1206, "which fit the path")


def fragments(hosts, _):
    """Transport mode takes whole packets: what the host has fragmented is put together, protected
    and fragmented again, and the other side does the reverse; the same for ports."""
    key_both(hosts, ESP, "10.9.0.1", "10.9.0.2", (0xc001, 0xc002), encrypt=GCM_128)
    police_both(hosts, "10.9.0.1", "10.9.0.2", [request(PROTO_ESP, TRANSPORT)])
    key_both(hosts, ESP, "fd09::1", "fd09::2", (0xc003, 0xc004), encrypt=GCM_128)
    police_both(hosts, "fd09::1", "fd09::2", [request(PROTO_ESP, TRANSPORT)])
    for source, destination in (("10.9.0.1", "10.9.0.2"), ("fd09::1", "fd09::2")):
        cable = hosts.cable()
        for size in (1400, 3000, 20000, 65000):
            expect(hosts.left.ping(source, destination, 2, size=size) == 2,
                   f"pings of {size} bytes to {destination} answered")
        kinds = {protocol_of(frame) for frame in cable.frames()
                 if frame[12:14] == b"\x08\x00"}
        expect(kinds <= {"esp", "link"}, "IPv4 on the cable is ESP")
    outbound, inbound = (hosts.left.status()["flows"][way] for way in ("outbound", "inbound"))
    expect(outbound["reassembled"] >= 12 and inbound["reassembled"] >= 12, "put together")
    expect(outbound["fragmented"] >= 12, "and sent in fragments")
    for host in (hosts.left, hosts.right):
        expect(host.drops("fragment") == 0 and host.drops("reassembly") == 0, "none refused")


def fragment_after(hosts, path):
    """The outer packet in fragments; and a port's MTU of the inner one."""
    gcm_tunnel(hosts, path)
    cable = hosts.cable()
    answer = hosts.left.run("ping", "-n", "-c", "3", "-i", "0.1", "-M", "dont", "-s", "1472", "-I",
                            "192.168.1.1", "192.168.2.1", check=False).stdout
    expect(" 3 received" in answer, "pings of 1500 bytes answered")
    pieces = [frame for frame in cable.frames()
              if protocol_of(frame) == "esp" and frame[20] & 0x3f | frame[21]]
    expect(len(pieces) == 12, f"{len(pieces)} fragments of ESP")
    expect(hosts.right.status()["flows"]["inbound"]["reassembled"] == 3, "put together")


def jumbo(hosts, path):
    gcm_tunnel(hosts, path)
    answer = hosts.left.run("ping", "-n", "-c", "3", "-i", "0.1", "-M", "do", "-s", "8872", "-I",
                            "192.168.1.1", "192.168.2.1", check=False).stdout
    expect(" 3 received" in answer, "pings of 8900 bytes answered")
    whole, segment = stream(hosts, "192.168.1.1", "192.168.2.1", 1 << 20)
    expect(whole and segment > 8000, f"TCP brings 1 MiB across, in segments of {segment}")


def mss_clamp(hosts, path):
    gcm_tunnel(hosts, path)
    whole, segment = stream(hosts, "192.168.1.1", "192.168.2.1", 1 << 16)
    # 12 bytes of each segment are the timestamp option.
    expect(whole and segment <= 1000 - 12, f"TCP in segments of {segment}")


def discard_told(hosts, _):
    client = hosts.left.client()
    client.policy(OUT, "10.9.0.1", "10.9.0.2", pfkey.DISCARD, proto=1)
    answer = hosts.left.run("ping", "-n", "-c", "2", "-i", "0.2", "-W", "1", "-I", "10.9.0.1",
                            "10.9.0.2", check=False).stdout
    expect("filtered" in answer, "the sender is told that it is prohibited")


def shutdown(hosts, path):
    """A daemon at rest costs next to nothing; its end leaves nothing."""
    gcm_tunnel(hosts, path)
    left = hosts.left
    pid = left.daemon.pid

    def ticks():
        fields = open(f"/proc/{pid}/stat", encoding="ascii").read().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    before = ticks()
    time.sleep(3)
    share = (ticks() - before) / 3 / os.sysconf("SC_CLK_TCK")
    expect(share < 0.25, f"idle: {share:.1%} of a CPU")
    expect(os.stat(left.socket).st_mode & 0o777 == 0o600, "PF_KEY socket is 0600")
    expect(os.stat(left.control).st_mode & 0o777 == 0o600, "control socket is 0600")
    expect(left.stop() == 0, "SIGTERM ends it with status 0")
    expect(left.run("ip", "link", "show", "saline0", check=False).returncode != 0, "TAP is gone")
    expect(not os.path.exists(left.socket) and not os.path.exists(left.control),
           "sockets are gone")
    expect(not os.path.exists(f"/var/run/dpdk/salined-{pid}"), "no run-time files")


# name: (function, daemon's options)
FLOWS = {
    "esp_3des_transport": (esp_3des_transport, ()),
    "ah_transport": (ah_transport, ()),
    "gcm_tunnel": (gcm_tunnel, ()),
    "gcm_transport_ipv6": (gcm_transport_ipv6, ()),
    "shared_spi": (shared_spi, ()),
    "tunnel_over_ipv6": (tunnel_over_ipv6, ()),
    "discovery": (discovery, ()),
    "bundle": (bundle, ()),
    "esp_in_udp": (esp_in_udp, ("--set", "net.key.natt_follow_peer=1")),
    "ipcomp": (ipcomp, ()),
    "ah_tunnel": (ah_tunnel, ()),
    "discard": (discard, ()),
    "acquire": (acquire, ()),
    "expire": (expire, ()),
    "expire_by_time": (expire_by_time, ()),
    "delete": (delete, ()),
    "intruder": (intruder, ()),
    "default_discard": (default_discard, ("--set", "net.inet.ipsec.def_policy=0")),
    "use_level": (use_level, ()),
    "too_big": (too_big, ("--mtu", "1500")),
    "narrow_path": (narrow_path, ("--set", "net.inet.ipsec.dfbit=2")),
    "fragments": (fragments, ()),
    "fragment_after": (fragment_after, ("--mtu", "1500", "--set", "net.saline.fragment_after=1")),
    "jumbo": (jumbo, ("--mtu", "8900", "--wire-mtu", "9000")),
    "mss_clamp": (mss_clamp, ("--set", "net.saline.mss_clamp=1000")),
    "discard_told": (discard_told, ("--set", "net.saline.icmp_prohibited=1")),
    "shutdown": (shutdown, ()),
}

# What some flows ask of the bed beyond a cable of 1500 bytes.
BEDS = {"narrow_path": lambda: {"router": Router(1300)}, "jumbo": lambda: {"mtu": 9000}}
PCAP = ("narrow_path", "fragments", "fragment_after", "jumbo")


def main():
    build, wire, name = sys.argv[1:]
    if wire == "card" and not os.path.exists(f"{build}/lib/librte_net_saline.so"):
        skip("librte_net_saline.so is not built")
    flow, options = FLOWS[name]
    # net_af_packet has the kernel put fragments together, and knows no large frames.
    port = "net_pcap0,rx_iface_in=cable,tx_iface=cable" if name in PCAP else WIRES[wire]
    with bed(build, port, *options, **BEDS.get(name, dict)()) as hosts:
        flow(hosts, "card" if wire == "card" else "software")


if __name__ == "__main__":
    main()
