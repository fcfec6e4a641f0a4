"""Clients that take their time: each phase of a request has its own, and those who behave are served meanwhile."""

import time
import unittest

from raw import SANITIZED, Attack, chunked, get, many, post

LIMITS = "limits: {head_timeout_ms: 800, body_timeout_ms: 800, request_timeout_ms: 2500, idle_timeout_ms: 800}\n"
LATE_S = 20  # Far more than any of them: a machine may be busy, but nobody is kept for ever.
STATED = b"POST /v1/chat/completions HTTP/1.1\r\nhost: lb\r\ncontent-length: 100000\r\n\r\n"


class Slow(Attack):
    document = Attack.document + LIMITS

    def drip(self, peer, piece, pause_s):
        """Sends it again and again until the server closes; how long that took."""
        begin = time.monotonic()
        while peer.send(piece) and peer.read_some(pause_s) is not False:
            self.assertLess(time.monotonic() - begin, LATE_S, "never closed")
        return time.monotonic() - begin

    def last_status(self, peer):
        return int(peer.got.split()[1]) if peer.got else None

    def test_a_head_that_drips(self):
        with self.peer() as peer:
            peer.send(b"GET /healthz HTTP/1.1\r\nhost: lb\r\nx: ")
            took = self.drip(peer, b"a", 0.1)
            self.assertGreater(took, 0.5)
            self.assertEqual(self.last_status(peer), 408)

    def test_fields_that_drip(self):
        with self.peer() as peer:
            peer.send(b"GET /healthz HTTP/1.1\r\n")
            self.drip(peer, b"x: y\r\n", 0.1)
            self.assertEqual(self.last_status(peer), 408)

    def test_silence(self):
        with self.peer() as peer:
            self.assertEqual(peer.read_to_end(), b"")
        with self.peer() as peer:  # Blank lines before a request are not one.
            self.drip(peer, b"\r\n", 0.1)
            self.assertEqual(peer.got, b"")

    def test_silence_behind_a_request(self):
        with self.peer() as peer:
            peer.send(get())
            self.assertEqual(peer.read_to_end().count(b"HTTP/1.1"), 1)

    def test_a_body_that_does_not_come(self):
        for head in (STATED, chunked(), chunked(b"5\r\n"), chunked(b"5;a=")):
            with self.peer() as peer:
                peer.send(head)
                peer.read_to_end()
                self.assertEqual(self.last_status(peer), 408, head)

    def test_a_body_that_drips(self):
        """Each byte is in time; all of them together are not."""
        with self.peer() as peer:
            peer.send(STATED + b'{"model":"m","pad":"')
            self.assertGreater(self.drip(peer, b"x", 0.2), 2)
            self.assertEqual(self.last_status(peer), 408)

    def test_chunks_that_drip(self):
        for start, piece in ((b'14\r\n{"model":"m","pad":"\r\n', b"1\r\nx\r\n"), (b"1;", b"a")):
            with self.peer() as peer:
                peer.send(chunked(start))
                self.drip(peer, piece, 0.2)
                self.assertEqual(self.last_status(peer), 408)

    def test_the_rest_of_a_body_that_is_answered(self):
        with self.peer() as peer:
            peer.send(b"POST /nothing HTTP/1.1\r\nhost: lb\r\ncontent-length: 60000\r\n\r\n")
            self.assertEqual(peer.answer()[0], 404)
            self.assertGreater(self.drip(peer, b"x", 0.2), 1.5)

    def test_others_do_not_notice(self):
        def dripper():
            peer = self.peer()
            peer.send(b"POST /v1/chat/completions HTTP/1.1\r\nhost: lb\r\nx: ")
            return peer

        with many(dripper, 500) as drippers:
            begin = time.monotonic()
            for i in range(100):
                for peer in drippers[i * 5:i * 5 + 5]:
                    peer.send(b"a")
                with self.peer() as peer:
                    peer.send(post())
                    self.assertEqual(peer.answer()[0], 200)
            print(f"100 calls beside 500 slow heads: {time.monotonic() - begin:.2f} s")
            for peer in drippers:
                peer.read_to_end()
        self.until(lambda: self.clients()["open"] == 1)
        self.assert_rests()


class Deaf(Attack):
    """Clients that do not read what they asked for."""

    document = LIMITS.replace("body_timeout_ms: 800", "body_timeout_ms: 3000") + """
listen: [{address: "127.0.0.1:0"}]
deployments:
  - {name: near, kind: echo, events: 1000000, models: [long]}
  - {name: far, kind: echo, events: 3, models: [m]}
"""

    def test_what_is_kept_for_them_is_bounded_and_they_are_given_up(self):
        before = self.resident_kb()

        def deaf():
            peer = self.peer(receive_buffer=4096)
            peer.send(post(b'{"model":"long","stream":true,"messages":[]}'))
            return peer

        with many(deaf, 50):
            time.sleep(1.5)
            held = self.resident_kb() - before
            print(f"50 clients that read nothing: {held} KiB")
            if SANITIZED:
                print("SKIPPED under sanitizers: memory of clients that read nothing")
            else:
                # A window of 64 KiB, twice, and for the allocator as much again, or half more on a busy machine.
                self.assertLess(held, 50 * 384)
            self.until(lambda: self.clients()["open"] == 1)
        self.assert_rests()

    def test_those_who_pipeline_without_reading(self):
        before = self.resident_kb()

        def deaf():
            peer = self.peer(receive_buffer=4096)
            peer.socket.settimeout(0.5)
            peer.send(get(b"/metrics") * 20_000)
            return peer

        with many(deaf, 5):
            held = self.resident_kb() - before
            print(f"5 clients with 20,000 requests for which they take no answer: {held} KiB")
            if not SANITIZED:
                self.assertLess(held, 5 * 1024)
            self.until(lambda: self.clients()["open"] == 1)


if __name__ == "__main__":
    unittest.main()
