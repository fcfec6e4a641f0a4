"""Raw sockets against `lb serve`, and what is known of its process. Every wait is bounded."""

import contextlib
import json
import os
import pathlib
import re
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "cli"))
import program  # noqa: E402: the folder is known only now

SANITIZED = os.environ.get("LB_SANITIZE", "none") != "none"
PATIENCE_S = program.PATIENCE_S
CHAT = b'{"model":"m","messages":[]}'


def post(body=CHAT, fields=b"", path=b"/v1/chat/completions"):
    return (b"POST " + path + b" HTTP/1.1\r\nhost: lb\r\ncontent-type: application/json\r\n" + fields
            + b"content-length: %d\r\n\r\n" % len(body) + body)


def get(path=b"/healthz", fields=b""):
    return b"GET " + path + b" HTTP/1.1\r\nhost: lb\r\n" + fields + b"\r\n"


def chunked(*lines):
    return (b"POST /v1/chat/completions HTTP/1.1\r\nhost: lb\r\ntransfer-encoding: chunked\r\n\r\n" + b"".join(lines))


class Peer:
    """A client of bytes."""

    def __init__(self, address, receive_buffer=None):
        host, port = address.rsplit(":", 1)
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect((host, int(port)))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.got = b""

    def send(self, data):
        """False when the server has gone, which it may while it is sent to."""
        try:
            self.socket.sendall(data)
            return True
        except OSError:
            return False

    def read_some(self, patience_s=PATIENCE_S):
        """True: something came; False: the end; None: nothing in that time."""
        self.socket.settimeout(patience_s)
        try:
            data = self.socket.recv(1 << 16)
        except (TimeoutError, BlockingIOError):
            return None
        except OSError:
            return False
        self.got += data
        return bool(data)

    def read_to_end(self):
        """All that comes until the server closes; fails when it does not."""
        deadline = time.monotonic() + PATIENCE_S
        while (more := self.read_some()) is not False:
            assert more is not None and time.monotonic() < deadline, f"not closed; got {self.got[:300]!r}"
        return self.got

    def answers(self, count):
        """So many whole answers; fails when they do not come."""
        while len(found := parse(self.got)) < count:
            assert self.read_some(), f"{len(found)} of {count} answers: {self.got[:300]!r}"
        return found

    def answer(self):
        return self.answers(1)[0]

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def parse(data):
    """The whole answers in `data`: (status, fields, body)."""
    found = []
    while (end := data.find(b"\r\n\r\n")) >= 0:
        lines = data[:end].split(b"\r\n")
        status = re.fullmatch(rb"HTTP/1\.1 (\d{3}) .*", lines[0])
        assert status, f"no answer: {data[:200]!r}"
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines[1:])}
        at = end + 4
        if fields.get(b"transfer-encoding") == b"chunked":
            last = data.find(b"\r\n0\r\n\r\n", at - 2)
            if last < 0:
                return found
            size = last + 7 - at
        else:
            size = int(fields.get(b"content-length", 0))
        if len(data) < at + size:
            return found
        found.append((int(status[1]), fields, data[at:at + size]))
        data = data[at + size:]
    return found


class Attack(program.Case):
    """Cases with one server each, of the document in `self.document`."""

    document = """
listen: [{address: "127.0.0.1:0"}]
deployments:
  - {name: near, kind: echo, events: 3, models: [m]}
"""

    def setUp(self):
        super().setUp()
        self.server = self.serve(self.document)
        self.address = self.server.address()
        self.pid = self.server.process.pid

    def tearDown(self):
        """Whatever was done to it: it lives, serves, and ends as it should."""
        with self.peer() as peer:
            peer.send(post())
            self.assertEqual(peer.answer()[0], 200)
        self.server.kill(program.TERM)
        self.assertEqual(self.server.end(), 0, self.server.err[-5:])
        super().tearDown()

    def peer(self, **options):
        return Peer(self.address, **options)

    def ask(self, data):
        """The only answer to `data`, and that the server closes after it."""
        with self.peer() as peer:
            peer.send(data)
            found = parse(peer.read_to_end())
            self.assertEqual(len(found), 1, (data[:300], peer.got[:600]))
            return found[0]

    def code(self, answer):
        return json.loads(answer[2])["error"]["code"]

    def clients(self):
        """What /stats tells of the gateway's clients."""
        with self.peer() as peer:
            peer.send(get(b"/stats"))
            return json.loads(peer.answer()[2])["clients"]

    # --- The process ---

    def cpu_s(self):
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_kb(self):
        return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{self.pid}/status").read_text())[1])

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def assert_rests(self, most_s=0.3):
        """A second in which it has nothing to do costs it nearly nothing."""
        before = self.cpu_s()
        time.sleep(1)
        spent = self.cpu_s() - before
        print(f"{self.id().split('.')[-1]}: {spent:.2f} s of CPU in a second of rest")
        self.assertLess(spent, most_s)

    def until(self, done):
        deadline = time.monotonic() + PATIENCE_S
        while not done():
            self.assertLess(time.monotonic(), deadline, "waited in vain")
            time.sleep(0.02)


@contextlib.contextmanager
def many(make, count):
    """`count` peers, closed in the end."""
    peers = []
    try:
        for _ in range(count):
            peers.append(make())
        yield peers
    finally:
        for peer in peers:
            peer.close()
