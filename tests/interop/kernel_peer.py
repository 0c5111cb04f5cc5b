"""The Linux kernel as IPsec peer: Debian's user-mode-linux, with one network device whose frames
come and go over a socket of this process, and a command agent (guest.cpp) behind the same device.
Boots in two seconds. Needs ptrace and some 80 MB, no other privilege."""

import contextlib
import ctypes
import glob
import os
import re
import shutil
import signal
import socket
import stat
import struct
import subprocess

PR_SET_PDEATHSIG, ADDR_NO_RANDOMIZE = 1, 0x0040000  # of the C library's headers
KERNEL = "/usr/bin/linux.uml"
MODULES = "/usr/lib/uml/modules"
ETHER_TYPE = b"\x88\xb5"  # guest.cpp
MAC = bytes.fromhex("525400000002")
MEMORY = "256M"
# What xfrm needs that is no part of the kernel itself; dependencies come along.
WANTED = """ipv6 ah4 ah6 esp4 esp6 ipcomp ipcomp6 tunnel4 tunnel6 ip6_tunnel xfrm_user xfrm4_tunnel
    xfrm6_tunnel authenc authencesn blowfish_generic camellia_generic cast5_generic cbc ccm
    chacha20poly1305 chacha_generic cmac ctr deflate des_generic drbg ecb echainiv gcm
    ghash-generic hmac jitterentropy_rng poly1305_generic rmd160 seqiv sha512_generic
    twofish_generic xcbc""".split()
PROGRAMS = ["/bin/sh", "/bin/ping", "/sbin/ip"]


def unavailable():
    """Why the kernel cannot run here; None if it can."""
    if not os.path.exists(KERNEL) or not glob.glob(f"{MODULES}/*"):
        return "user-mode-linux is not installed: .ci/install installs it"
    with contextlib.suppress(OSError):
        with open("/proc/sys/kernel/yama/ptrace_scope", encoding="ascii") as scope:
            if scope.read().strip() == "3":
                return "user-mode-linux needs ptrace, which kernel.yama.ptrace_scope forbids"
    return None


def _module_files():
    """Paths of the wanted modules, each after those it depends on."""
    folder = glob.glob(f"{MODULES}/*")[0]
    needs, found = {}, []
    with open(f"{folder}/modules.dep", encoding="ascii") as lines:
        for line in lines:
            path, others = line.split(":")
            needs[os.path.basename(path)[:-3]] = [path, *others.split()]
    for name in WANTED:
        # Nearest first in modules.dep.
        found += [path for path in reversed(needs[name]) if path not in found]
    return [f"{folder}/{path}" for path in found]


def _libraries(program):
    listed = subprocess.run(["ldd", program], text=True, capture_output=True, check=False).stdout
    return re.findall(r"(?:=> |^\s*)(/\S+)", listed, re.MULTILINE)


def _archive(entries):
    """A cpio archive ("newc") of (name, mode, content)."""
    parts, inode = [], 0
    for name, mode, content in [*entries, ("TRAILER!!!", 0, b"")]:
        inode += 1
        fields = [inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0]
        head = b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
        parts += [head, bytes(-len(head) % 4), content, bytes(-len(content) % 4)]
    return b"".join(parts)


def make_initrd(path, init):
    """The guest's files: `init` (the guest program), modules, and a few programs of this host."""
    files = {"/init": init}
    for program in PROGRAMS:
        files[program] = program
        files.update((library, library) for library in _libraries(program))
    modules = _module_files()
    files.update((f"/lib/modules/{os.path.basename(module)}", module) for module in modules)
    names = "".join(f"/lib/modules/{os.path.basename(module)}\n" for module in modules)
    folders = {"/dev"}
    for name in files:
        while name := os.path.dirname(name).rstrip("/"):
            folders.add(name)
    entries = [(name[1:], stat.S_IFDIR | 0o755, b"") for name in sorted(folders)]
    entries.append(("modules", stat.S_IFREG | 0o644, names.encode()))
    for name, source in files.items():
        with open(source, "rb") as content:
            entries.append((name[1:], stat.S_IFREG | 0o755, content.read()))
    with open(path, "wb") as out:
        out.write(_archive(entries))


class KernelPeer:
    """A running guest. Frames are read from and written to `socket`; those of the agent are made
    and taken apart here."""

    def __init__(self, folder, init):
        self.log = f"{folder}/console"
        make_initrd(f"{folder}/initrd", init)
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (self.socket, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        command = [KERNEL, f"mem={MEMORY}", f"initrd={folder}/initrd", f"uml_dir={folder}/uml",
                   "con=null", "con0=null,fd:1", "ssl=null", "quiet", "panic=1",
                   f"vec0:transport=fd,fd={theirs.fileno()},vec=0,mac={MAC.hex(':')}"]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                pass_fds=[theirs.fileno()], env={**os.environ, "TMPDIR": self._memory_folder()},
                # Its memory map must not be random: a gap behind the kernel would become memory to
                # manage, up to more than there is, and then no thread can be made.
                preexec_fn=self._settle_process)
        theirs.close()

    @staticmethod
    def _settle_process():
        libc = ctypes.CDLL(None)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        libc.personality(ADDR_NO_RANDOMIZE)

    @staticmethod
    def _memory_folder():
        """The guest's memory is a file: where there is room for it."""
        free = shutil.disk_usage("/dev/shm").free if os.path.isdir("/dev/shm") else 0
        return "/dev/shm" if free > 200 << 20 else "/tmp"

    def message(self, kind, data=b""):
        head = b"\xff" * 6 + b"\x02\0\0\0\0\x01" + ETHER_TYPE
        frame = head + kind + struct.pack("!H", len(data)) + data
        self.socket.send(frame.ljust(60, b"\0"))

    def kick(self):
        """User-mode-linux at times sleeps on with a frame at its door; another one wakes it. Not
        before it is up: what piles up until then would push out the first command."""
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            self.message(b"k")

    def command(self, text):
        data = text.encode()
        while len(data) > 1400:
            self.message(b"c", data[:1400])
            data = data[1400:]
        self.message(b"e", data)

    @staticmethod
    def answer(frame):
        """(kind, data) of an agent's frame, None for any other."""
        if frame[12:14] != ETHER_TYPE:
            return None
        length = struct.unpack_from("!H", frame, 15)[0]
        return frame[14:15], frame[17:17 + length]

    def alive(self):
        return self.process.poll() is None

    def console(self):
        with open(self.log, errors="replace", encoding="utf-8") as log:
            return log.read()[-4000:]

    def end(self):
        """The kernel is several processes, all of one session."""
        for entry in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                if os.getsid(int(entry)) == self.process.pid:
                    os.kill(int(entry), signal.SIGKILL)
        with contextlib.suppress(OSError):
            self.process.kill()
        self.process.wait(10)
        self.socket.close()
