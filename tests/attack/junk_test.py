"""Bytes that make no sense: heads without end, other protocols, paths with tricks, JSON to choke on."""

import json
import os
import random
import time
import unittest

from raw import CHAT, SANITIZED, Attack, chunked, get, post


def client_hello():
    """Of TLS: a record with a handshake in it."""
    return bytes.fromhex("16030100c8010000c40303") + os.urandom(193)


class Heads(Attack):
    document = Attack.document + "limits: {head_bytes: 8192, head_fields: 50, target_bytes: 1000}\n"

    def test_fields_at_the_bound_and_one_over(self):
        for count, status in ((50, 200), (51, 431)):
            with self.peer() as peer:
                peer.send(get(fields=b"".join(b"x-%d: y\r\n" % i for i in range(1, count))))
                self.assertEqual(peer.answer()[0], status)

    def test_bytes_at_the_bound_and_one_over(self):
        for size, status in ((8192, 200), (8193, 431)):
            with self.peer() as peer:
                peer.send(get(fields=b"x: " + b"a" * (size - len(get(fields=b"x: \r\n"))) + b"\r\n"))
                self.assertEqual(peer.answer()[0], status)

    def test_targets_at_the_bound_and_one_over(self):
        for size, status in ((1000, 200), (1001, 414), (100_000, 414)):
            with self.peer() as peer:
                peer.send(get(b"/healthz?" + b"a" * (size - 9)))
                self.assertEqual(peer.answer()[0], status)

    def test_floods_without_end(self):
        """A gigabyte of head would fit, if it were kept."""
        before = self.resident_kb()
        for start, more in ((b"", b"\r\n"), (b"GET /", b"a"), (b"GET / HTTP/1.1\r\n", b"x: y\r\n"),
                            (b"GET / HTTP/1.1\r\nx:", b" "), (b"POST /v1/embeddings HTTP/1.1\r\nhost: lb\r\n"
                             b"transfer-encoding: chunked\r\n\r\n1;", b"a"), (b"POST /v1/embeddings HTTP/1.1\r\nhost: lb\r\n"
                             b"transfer-encoding: chunked\r\n\r\n0\r\n", b"x: y\r\n")):
            with self.subTest(start), self.peer() as peer:
                peer.send(start)
                sent = 0
                while sent < 50_000_000 and peer.send(more * 10_000):
                    sent += len(more) * 10_000
                peer.read_to_end()
                self.assertLess(sent, 50_000_000, "it took all of it")
                if peer.got:
                    self.assertIn(int(peer.got.split()[1]), (400, 414, 431))
        if not SANITIZED:
            self.assertLess(self.resident_kb() - before, 4096)


class Protocols(Attack):
    document = Attack.document + "limits: {head_timeout_ms: 1000}\n"

    def test_others_are_400_and_the_end(self):
        for data in (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9), client_hello(), b"SSH-2.0-OpenSSH_9.2\r\n",
                     b"GET / HTTP/3\r\n\r\n", b"GET / RTSP/1.0\r\n\r\n", b"\0" * 100, b"\x80\x2e\x01\x03\x01",
                     b"{\"jsonrpc\":\"2.0\"}\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"*1\r\n$4\r\nPING\r\n"):
            self.assertEqual(self.ask(data)[0], 400, data)

    def test_upgrades_are_not_taken(self):
        with self.peer() as peer:
            peer.send(get(fields=b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n")
                      + get(fields=b"connection: upgrade\r\nupgrade: websocket\r\n"))
            self.assertEqual([status for status, _, _ in peer.answers(2)], [200, 200])

    def test_garbage(self):
        rng = random.Random(4)
        seeds = (b"GET /healthz HTTP/1.1\r\nhost: lb\r\n\r\n", post(), chunked(b"1b\r\n", CHAT, b"\r\n0\r\n\r\n"))
        for _ in range(400):
            data = bytearray(rng.choice(seeds))
            for _ in range(rng.randint(1, 8)):
                at = rng.randrange(len(data))
                data[at:at + rng.randint(0, 3)] = rng.randbytes(rng.randint(0, 4))
            with self.peer() as peer:
                peer.send(bytes(data))
                if rng.random() < 0.5:
                    peer.read_some(0.01)


class Paths(Attack):
    def status_of(self, path, method=b"GET"):
        with self.peer() as peer:
            peer.send(get(path, b"connection: close\r\n").replace(b"GET", method, 1))
            return int(peer.read_to_end().split()[1])

    def test_only_what_is_written_is_found(self):
        for path in (b"//healthz", b"/./healthz", b"/v1/../healthz", b"/%68ealthz", b"/healthz/", b"/healthz%00",
                     b"/healthz;x", b"/HEALTHZ", b"/healthz%2f", b"/%2e%2e/healthz", b"/..%2fhealthz", b"/v1//models",
                     b"/v1/models/..%2f..%2fstats", b"/v1%2fmodels", b"/stats%0d%0ax", b"/\\healthz", b"/"):
            self.assertEqual(self.status_of(path), 404, path)
        for path in (b"/healthz?", b"/healthz?x=/../%00&" + b"&" * 1000, b"http://evil/healthz"):
            self.assertEqual(self.status_of(path), 200, path)

    def test_what_is_decoded_stays_within_its_line(self):
        for path in (b"/v1/models/a%0d%0aset-cookie:%20x", b"/v1/models/%00", b"/v1/models/%22%5c%ff",
                     b"/nothing%0d%0aset-cookie:%20x"):
            with self.peer() as peer:
                peer.send(get(path))
                status, fields, body = peer.answer()
                self.assertEqual(status, 404)
                self.assertNotIn(b"set-cookie", fields)
                self.assertIn("message", self.code_and_message((status, fields, body)))

    def code_and_message(self, answer):
        return json.loads(answer[2])["error"]

    def test_methods(self):
        for method, status in ((b"HEAD", 200), (b"POST", 405), (b"TRACE", 405), (b"DELETE", 405), (b"OPTIONS", 405)):
            self.assertEqual(self.status_of(b"/healthz", method), status, method)
        for method in (b"BREW", b"get", b"GETX"):
            self.assertEqual(self.ask(get().replace(b"GET", method, 1))[0], 400, method)


class Json(Attack):
    document = Attack.document + "limits: {body_bytes: 20000000}\n"

    def asked(self, body):
        with self.peer() as peer:
            begin = time.monotonic()
            peer.send(post(body))
            return (*peer.answer(), time.monotonic() - begin)

    def refused(self, body):
        status, fields, _, took = answer = self.asked(body)
        self.assertEqual(status, 400, body[:80])
        self.assertEqual(fields[b"content-type"], b"application/json")
        self.assertLess(took, 20)
        return answer

    def test_depth_at_the_bound_and_one_over(self):
        for depth, status in ((512, 200), (513, 400)):  # JsonScan::kDepthMax; the object is one of them.
            self.assertEqual(self.asked(b'{"model":"m","x":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}")[0], status)

    def test_depth_without_end(self):
        for unit in (b"[", b'{"a":', b'[{"a":'):
            self.refused(b'{"model":"m","x":' + unit * (8_000_000 // len(unit)))

    def test_size_at_the_bound_and_one_over(self):
        for size, status in ((20_000_000, 200), (20_000_001, 413)):
            body = b'{"model":"m","messages":[],"pad":"' + b"x" * (size - 36) + b'"}'
            self.assertEqual(len(body), size)
            with self.peer() as peer:  # Of what is too long the head says enough; nobody takes the rest.
                peer.send(post(body) if status == 200 else post(body)[:-size])
                self.assertEqual(peer.answer()[0], status)
            with self.peer() as peer:
                peer.send(chunked(b"%x\r\n" % size, body, b"\r\n0\r\n\r\n"))
                self.assertEqual(peer.answer()[0], status)

    def test_much_of_everything(self):
        keys = b",".join(b'"k%d":%d' % (i, i) for i in range(300_000))
        for body in (b'{"model":"m",' + keys + b"}", b'{"model":"m","x":[' + b"0," * 2_000_000 + b"0]}",
                     b'{"model":"m","x":' + b"9" * 1_000_000 + b"}", b'{"model":"m","' + b"k" * 5_000_000 + b'":1}',
                     b'{"model":"m","x":"' + b"\\u0000" * 500_000 + b'"}', b'{"model":"m"' + b" " * 5_000_000 + b"}",
                     b'{"model":"m","x":"\xff\xfe\xed\xa0\x80"}'):
            status, _, _, took = self.asked(body)
            self.assertEqual(status, 200, body[:60])
            self.assertLess(took, 20)

    def test_what_is_no_request(self):
        for body in (b"", b"null", b"[]", b'"m"', b"{", b"}", b'{"model":"m"', b'{"model":"m"}}', b'{"model":"m"}x',
                     b'{"model":"m","model":"m"}',
                     b'{"mod\\u0065l":"m","model":"x"}', b"{'model':'m'}",
                     b'\xef\xbb\xbf{"model":"m"}', b"\0" + CHAT, CHAT[:-1] + b"\0}"):
            self.refused(body)
        for body in (b'{"model":5}', b'{"model":null}', b'{"model":["m"]}', b'{"model":""}', b'{"model":"m\\u0000"}',
                     b'{"model":"' + b"m" * 5_000_000 + b'"}'):
            self.assertIn(self.asked(body)[0], (400, 404), body)


if __name__ == "__main__":
    unittest.main()
