"""Requests that two readers would cut differently: each has one answer, 400, and the connection ends. What stands in a
body, or behind such a request, is never taken for a request of its own, here or upstream."""

import re
import socket
import threading
import time
import unittest

from raw import CHAT, Attack, Peer, chunked, get, parse, post

INNER = get(b"/v1/models/SMUGGLED")
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: lb\r\n"
LAST = b"0\r\n\r\n"


def length(*fields):
    """A request with these fields, whose body would be the chat by any of their readings, or end at once."""
    return HEAD + b"".join(field + b"\r\n" for field in fields) + b"\r\n"


AMBIGUOUS = {
    # Two lengths.
    "length and chunked": length(b"content-length: 5", b"transfer-encoding: chunked") + LAST,
    "chunked and length": length(b"transfer-encoding: chunked", b"content-length: 5") + LAST,
    "two lengths": length(b"content-length: 5", b"content-length: 27") + CHAT,
    "one length twice": length(b"content-length: 27", b"content-length: 27") + CHAT,
    "a list of lengths": length(b"content-length: 27, 27") + CHAT,
    "a length with a sign": length(b"content-length: +27") + CHAT,
    "a negative length": length(b"content-length: -27") + CHAT,
    "a length in hexadecimal": length(b"content-length: 0x1b") + CHAT,
    "no length": length(b"content-length:") + CHAT,
    "a length beyond 64 bits": length(b"content-length: 18446744073709551643") + CHAT,
    "a length with a space": length(b"content-length: 2 7") + CHAT,
    # Codings.
    "chunked, identity": length(b"transfer-encoding: chunked, identity") + LAST,
    "identity": length(b"transfer-encoding: identity") + CHAT,
    "chunked twice": length(b"transfer-encoding: chunked", b"transfer-encoding: chunked") + LAST,
    "chunked in quotes": length(b'transfer-encoding: "chunked"') + LAST,
    "a vertical tab before it": length(b"transfer-encoding: \x0bchunked") + LAST,
    "a coding with a parameter": length(b"transfer-encoding: chunked;q=0.5") + LAST,
    "an empty coding": length(b"transfer-encoding:", b"content-length: 27") + CHAT,
    "chunked in HTTP/1.0": b"POST /v1/chat/completions HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n" + LAST,
    # Lines.
    "white space before a colon": length(b"transfer-encoding : chunked") + LAST,
    "a tab before a colon": length(b"content-length\t: 27") + CHAT,
    "a folded field": length(b"x: y", b" content-length: 27") + CHAT,
    "a folded coding": length(b"transfer-encoding:", b"\tchunked") + LAST,
    "white space before the first field": b"POST / HTTP/1.1\r\n host: lb\r\n\r\n",
    "a bare LF": HEAD + b"content-length: 27\n\r\n" + CHAT,
    "only bare LFs": b"GET /healthz HTTP/1.1\nhost: lb\n\n",
    "a bare CR": HEAD + b"x: y\rcontent-length: 27\r\n\r\n" + CHAT,
    "a NUL in a name": HEAD + b"x\0y: z\r\n\r\n",
    "a NUL in a value": HEAD + b"x: y\0z\r\n\r\n",
    "a NUL in the target": b"GET /healthz\0 HTTP/1.1\r\nhost: lb\r\n\r\n",
    "a field without a name": HEAD + b": x\r\n\r\n",
    "a line without a colon": HEAD + b"content-length 27\r\n\r\n",
    "a tab in the first line": b"GET\t/healthz HTTP/1.1\r\nhost: lb\r\n\r\n",
    "two hosts": b"GET /healthz HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "a host with a path": b"GET /healthz HTTP/1.1\r\nhost: a/b\r\n\r\n",
    # Targets.
    "the authority of CONNECT": b"CONNECT lb:443 HTTP/1.1\r\nhost: lb:443\r\n\r\n",
    "an authority": b"OPTIONS lb:443 HTTP/1.1\r\nhost: lb\r\n\r\n",
    "a URI with a user": b"GET http://lb@evil/healthz HTTP/1.1\r\nhost: lb\r\n\r\n",
    "a URI without a host": b"GET http:///healthz HTTP/1.1\r\nhost: lb\r\n\r\n",
    "another scheme": b"GET file:///etc/passwd HTTP/1.1\r\nhost: lb\r\n\r\n",
    "two targets": b"GET /healthz /stats HTTP/1.1\r\nhost: lb\r\n\r\n",
    "no version": b"GET /healthz\r\nhost: lb\r\n\r\n",
    # Chunks.
    "a chunk size of 68 bits": chunked(b"10000000000000005\r\n", CHAT, b"\r\n", LAST),
    "a chunk size with 0x": chunked(b"0x1b\r\n", CHAT, b"\r\n", LAST),
    "a chunk size with a sign": chunked(b"+1b\r\n", CHAT, b"\r\n", LAST),
    "a negative chunk size": chunked(b"-1\r\n", CHAT, b"\r\n", LAST),
    "a chunk size with a space": chunked(b"1b \r\n", CHAT, b"\r\n", LAST),
    "no chunk size": chunked(b"\r\n", CHAT, b"\r\n", LAST),
    "a chunk line by LF": chunked(b"1b\n", CHAT, b"\r\n", LAST),
    "an extension by LF": chunked(b"1b;a\n", CHAT, b"\r\n", LAST),
    "an extension with a CR": chunked(b"1b;a\rb\r\n", CHAT, b"\r\n", LAST),
    "an extension that hides a chunk": chunked(b"1b;\n5\r\n", CHAT, b"\r\n", LAST),
    "a chunk longer than its size": chunked(b"5\r\n", CHAT, b"\r\n", LAST),
    "a chunk ended by LF": chunked(b"1b\r\n", CHAT, b"\n", LAST),
    "a last chunk by LF": chunked(b"1b\r\n", CHAT, b"\r\n0\n\n"),
    "a trailer by LF": chunked(b"1b\r\n", CHAT, b"\r\n0\r\nx: y\n\r\n"),
}


class Upstream:
    """Takes whatever comes, writes it down, and answers each whole request with an empty object."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/v1"
        self.seen = bytearray()
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=(connection,), daemon=True).start()

    def talk(self, connection):
        with connection:
            mine = b""
            while data := self.receive(connection):
                self.seen += data
                mine += data
                if self.whole(mine):
                    mine = b""
                    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}")

    @staticmethod
    def whole(request):
        head, blank, body = request.partition(b"\r\n\r\n")
        stated = re.search(rb"content-length: (\d+)", head)
        return bool(blank) and (len(body) >= int(stated[1]) if stated else body.endswith(b"0\r\n\r\n"))

    @staticmethod
    def receive(connection):
        try:
            return connection.recv(1 << 16)
        except OSError:
            return b""

    def close(self):
        self.listener.close()


class Smuggling(Attack):
    def setUp(self):
        self.upstream = Upstream()
        self.addCleanup(self.upstream.close)
        self.document = f"""
listen: [{{address: "127.0.0.1:0"}}]
deployments:
  - {{name: near, url: "{self.upstream.url}", models: [m]}}
"""
        super().setUp()

    def refused(self, name, data):
        status, fields, _ = answer = self.ask(data + INNER)
        self.assertEqual((status, fields.get(b"connection")), (400, b"close"), name)
        self.assertIn(self.code(answer), ("malformed", "invalid"), name)

    def test_each_is_400_and_the_end(self):
        before = self.clients()["requests"]
        for name, data in AMBIGUOUS.items():
            with self.subTest(name):
                self.refused(name, data)
        self.assertEqual(self.clients()["requests"] - before, len(AMBIGUOUS) + 1)
        self.assertNotIn(b"SMUGGLED", self.upstream.seen)

    def test_byte_by_byte_as_well(self):
        for name, data in AMBIGUOUS.items():
            with self.subTest(name), self.peer() as peer:
                for i in range(len(data)):
                    if not peer.send(data[i:i + 1]) or peer.read_some(0.0001) is not None:
                        break
                peer.send(INNER)
                peer.socket.shutdown(socket.SHUT_WR) if not peer.got else None
                found = parse(peer.read_to_end())
                self.assertLessEqual(len(found), 1, (name, peer.got))
                for status, _, _ in found:
                    self.assertEqual(status, 400, name)
        self.assertNotIn(b"SMUGGLED", self.upstream.seen)

    def test_codings_that_lb_does_not_have_are_501_and_the_end(self):
        for coding in (b"gzip, chunked", b"gzip", b"x-own"):
            answer = self.ask(length(b"transfer-encoding: " + coding) + LAST + INNER)
            self.assertEqual((answer[0], self.code(answer)), (501, "unknown_transfer_encoding"), coding)

    def test_a_body_is_no_request(self):
        with self.peer() as peer:
            data = [post(INNER), chunked(b"%x\r\n" % len(INNER), INNER, b"\r\n", LAST), post(INNER, path=b"/nothing"),
                    b"GET /healthz HTTP/1.1\r\nhost: lb\r\ncontent-length: %d\r\n\r\n" % len(INNER) + INNER]
            peer.send(b"".join(data))
            statuses = [status for status, _, _ in peer.answers(len(data))]
            self.assertEqual(statuses, [400, 400, 404, 200])
            self.assertIsNone(peer.read_some(0.3), peer.got)
        self.assertNotIn(b"SMUGGLED", self.upstream.seen)

    def test_what_is_well_formed_passes(self):
        with self.peer() as peer:
            data = [chunked(b"1B;x=\"y\"\r\n", CHAT, b"\r\n0\r\ntrailer: dropped\r\n\r\n"),
                    length(b"Transfer-Encoding: \tCHUNKED ") + b"01b\r\n" + CHAT + b"\r\n000\r\n\r\n",
                    b"\r\n" + post(), post(fields=b"x:\r\n")]
            peer.send(b"".join(data))
            self.assertEqual([status for status, _, _ in peer.answers(len(data))], [200] * len(data))
        self.assertEqual(self.upstream.seen.count(CHAT), len(data))
        self.assertNotIn(b"dropped", self.upstream.seen)

    def test_two_models_are_none(self):
        with self.peer() as peer:
            peer.send(post(b'{"model":"m","messages":[],"model":"other"}'))
            self.assertEqual(peer.answer()[0], 400)
        self.assertEqual(self.upstream.seen, b"")

    def test_of_a_request_that_breaks_the_upstream_sees_no_end(self):
        """Its length promised more than came: the upstream must not take the rest of another for it."""
        with Peer(self.address) as peer:
            peer.send(HEAD + b"content-length: 1000\r\n\r\n" + CHAT)
            self.until(lambda: CHAT in self.upstream.seen)
        self.until(lambda: self.clients()["open"] == 1)
        with self.peer() as peer:
            peer.send(post(b'{"model":"m","messages":[1]}'))
            self.assertEqual(peer.answer()[0], 200)
        time.sleep(0.05)
        self.assertEqual(self.upstream.seen.count(b"POST /v1/chat/completions HTTP/1.1\r\n"), 2)


if __name__ == "__main__":
    unittest.main()
