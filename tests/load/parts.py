"""The processes of the load test, and what they cost: memory, descriptors, sockets of the kernel."""

import json
import os
import re
import resource
import select
import struct
import subprocess
import time

PATIENCE_S = 120  # For an answer to an order: of a busy machine, and under sanitizers. Nothing here takes a tenth.
KIB = 1024
# Of the kernel, for each end of a connection. Caches of one size may be merged under one name; then they count as that.
SOCKET_CACHES = ("TCP", "sock_inode_cache", "filp", "eventpoll_epi", "ep_item", "skbuff_head_cache", "skbuff_small_head",
                 "request_sock_TCP", "tw_sock_TCP")


class Failure(Exception):
    """The test has failed; the message says why."""


def descriptors():
    """RLIMIT_NOFILE, raised as far as it goes: to its hard limit, and that to fs.nr_open where we may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with open("/proc/sys/fs/nr_open") as file:
        most = int(file.read())
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        return most
    except (ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        return hard


class Part:
    """A child process that takes orders: one line on its stdin, one line of JSON back. It ends when stdin does."""

    def __init__(self, *command, count=None, preload=None, environment=None):
        env = {**os.environ, **(environment or {})}
        self.count = count if preload else None
        if preload:
            env.update(LD_PRELOAD=preload, LB_HEAP_COUNT=count)
        self.name = os.path.basename(command[0])
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env)
        self.pid = self.process.pid
        self.buffer = b""

    def line(self, patience=PATIENCE_S):
        end = time.monotonic() + patience
        while b"\n" not in self.buffer:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))
            if not ready:
                raise Failure(f"{self.name} did not answer for {patience} s")
            piece = os.read(self.process.stdout.fileno(), 65536)
            if not piece:
                raise Failure(f"{self.name} has died, with status {self.process.wait()}")
            self.buffer += piece
        text, self.buffer = self.buffer.split(b"\n", 1)
        return text.decode()

    def answer(self):
        return json.loads(self.line())

    def order(self, text):
        try:
            self.process.stdin.write(text.encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Failure(f"{self.name} has died, with status {self.process.wait()}") from None
        return self.answer()

    def end(self, patience=PATIENCE_S):
        """Its exit status, after its stdin was closed."""
        self.process.stdin.close()
        try:
            status = self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Failure(f"{self.name} did not end within {patience} s") from None
        self.process.stdout.close()
        return status

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def memory(part):
    """Of a process, in bytes: resident, proportional, peak, and, where it is counted, its heap."""
    with open(f"/proc/{part.pid}/smaps_rollup") as file:
        rollup = file.read()
    with open(f"/proc/{part.pid}/status") as file:
        status = file.read()
    out = {"rss": int(re.search(r"^Rss:\s+(\d+)", rollup, re.M)[1]) * KIB,
           "pss": int(re.search(r"^Pss:\s+(\d+)", rollup, re.M)[1]) * KIB,
           "peak": int(re.search(r"^VmHWM:\s+(\d+)", status, re.M)[1]) * KIB}
    if part.count:
        with open(part.count, "rb") as file:
            out["heap"], out["blocks"] = struct.unpack("qq", file.read(16))
    return out


def open_files(part):
    return len(os.listdir(f"/proc/{part.pid}/fd"))


def socket_memory():
    """Of the kernel for the sockets of the whole machine, in bytes: their buffers, and their own structures (None where
    this may not be read)."""
    with open("/proc/net/sockstat") as file:
        pages = int(re.search(r"^TCP: .*\bmem (\d+)", file.read(), re.M)[1])
    try:
        with open("/proc/slabinfo") as file:
            rows = [line.split() for line in file if line.split()[0] in SOCKET_CACHES]
    except OSError:
        return pages * resource.getpagesize(), None
    return pages * resource.getpagesize(), sum(int(row[1]) * int(row[3]) for row in rows)


def wait_for(what, condition, patience=PATIENCE_S, pause=0.1):
    """The first true value of `condition`."""
    end = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure(f"waited {patience} s in vain for {what}")
        time.sleep(pause)
