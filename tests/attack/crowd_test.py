"""Too many at once: idle connections by the ten thousand, floods beyond the descriptors there are, requests without a
pause. What is too much waits; nobody else notices, and nothing spins."""

import json
import resource
import subprocess
import time
import unittest

from raw import CHAT, PATIENCE_S, SANITIZED, Attack, Peer, get, many, parse, post, program

HARD = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (HARD, HARD))


class Idle(Attack):
    # Under sanitizers each connection takes several times as long to come.
    count = min(2_000 if SANITIZED else 10_000, HARD - 500)
    document = Attack.document + "limits: {connections: 12000, idle_timeout_ms: 600000, head_timeout_ms: 60000}\n"

    def served(self):
        peer = self.peer()
        peer.send(get())
        self.assertEqual(peer.answer()[0], 200)
        return peer

    def test_idle_connections(self):
        with many(self.served, 50):  # What there is once, there is now.
            pass
        self.until(lambda: self.clients()["open"] == 1)
        before = self.resident_kb()
        begin = time.monotonic()
        with many(self.served, self.count) as peers:
            opened = time.monotonic() - begin
            held = self.resident_kb() - before
            self.assertEqual(self.clients()["open"], self.count + 1)
            each = held * 1024 // self.count
            print(f"{self.count} idle connections: {each} bytes of memory each; opened in {opened:.1f} s")
            if SANITIZED:
                print("SKIPPED under sanitizers: memory of an idle connection")
            else:
                self.assertLess(each, 8 * 1024)
            begin = time.monotonic()
            for _ in range(200):
                with self.peer() as peer:
                    peer.send(post())
                    self.assertEqual(peer.answer()[0], 200)
            took = time.monotonic() - begin
            print(f"200 calls beside them: {took:.2f} s")
            self.assertLess(took, 10)
            self.assert_rests()
            # They have one more request, and less time behind it: all of them are closed.
            self.write(self.document.replace("600000", "2000"))
            self.server.kill(program.HUP)
            self.server.wait_for(self.server.err, '"reloaded"')
            for peer in peers:
                peer.send(get())
            self.until(lambda: self.clients()["open"] == 1)
            for peer in peers[::100]:
                self.assertEqual(peer.read_to_end().count(b"HTTP/1.1 200"), 2)


class Limited(Attack):
    document = Attack.document + "limits: {connections: 50, head_timeout_ms: 60000}\n"

    def test_those_beyond_the_limit_wait_and_are_served(self):
        def asking():
            peer = self.peer()
            peer.send(post(fields=b"connection: close\r\n"))
            return peer

        with many(self.peer, 49) as sitting, many(asking, 200) as peers:  # One place for all of them.
            for peer in peers:
                self.assertEqual(peer.answer()[0], 200)
            self.assertLessEqual(self.clients()["open"], 50)
            with self.peer(), self.peer():  # Full: those who wait cost nothing.
                self.assert_rests()
            for peer in sitting:
                peer.close()

    def test_those_who_give_up_while_they_wait(self):
        with many(self.peer, 50):
            for _ in range(5):
                with many(self.peer, 100) as impatient:
                    for peer in impatient:
                        peer.reset()
        self.until(lambda: self.clients()["open"] == 1)


class Descriptors(Attack):
    """A server with 80 descriptors and no bound of its own below."""

    document = """
listen: [{address: "127.0.0.1:0"}]
deployments:
  - {name: near, kind: echo, events: 3, models: [m]}
  - {name: far, url: "http://127.0.0.1:UPSTREAM/v1", models: [up], keep_alive_ms: 0}
limits: {head_timeout_ms: 60000}
"""

    def setUp(self):
        self.upstream = Attack("run")  # Another lb, to have somebody to connect to.
        self.upstream.document = Attack.document.replace("models: [m]", "models: [up]")
        self.upstream.setUp()
        self.addCleanup(self.upstream.doCleanups)
        self.document = self.document.replace("UPSTREAM", self.upstream.address.rsplit(":", 1)[1])
        super().setUp()
        resource.prlimit(self.pid, resource.RLIMIT_NOFILE, (80, 80))

    def test_a_flood_waits_and_nothing_spins(self):
        with many(self.peer, 300) as peers:
            self.until(lambda: self.descriptors() >= 79)
            self.assert_rests()
            # Those who got in are served; so are the others as they leave.
            served = 0
            for peer in peers:
                peer.send(get(fields=b"connection: close\r\n"))
            for peer in peers:
                served += peer.answer()[0] == 200
            self.assertEqual(served, 300)
        self.until(lambda: self.clients()["open"] == 1)

    def test_upstreams_that_cannot_be_reached_for_it_are_not_blamed(self):
        with self.peer() as asking:
            asking.send(get())
            asking.answer()
            asking.got = b""
            with many(self.peer, 300):
                self.until(lambda: self.descriptors() >= 79)
                for _ in range(5):
                    asking.send(post(CHAT.replace(b'"m"', b'"up"')))
                    status, _, body = asking.answer()
                    asking.got = b""
                    self.assertEqual((status, b"raise the limit of open files" in body), (502, True), body)
            self.until(lambda: self.descriptors() < 40)
            asking.send(post(CHAT.replace(b'"m"', b'"up"')))
            self.assertEqual(asking.answer()[0], 200)
        with self.peer() as peer:
            peer.send(get(b"/readyz"))
            self.assertEqual(peer.answer()[0], 200)


class Few(program.Case):
    """However few there are: it says that it cannot begin, or it serves, and stops when it is told to."""

    def test_each_number_of_descriptors(self):
        path = self.write(Attack.document)
        began = []
        for limit in range(5, 24):
            server = subprocess.Popen(["/bin/sh", "-c", f'ulimit -n {limit}; exec "$0" serve "$1"', program.LB, path],
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            line = server.stdout.readline()
            if line:
                # With none left over, nobody is served before they come free: only its end is asked for.
                server.terminate()
            _, said = server.communicate(timeout=PATIENCE_S)
            self.assertEqual(server.returncode == 0, bool(line), (limit, said))
            if not line:
                self.assertIn(server.returncode, (1, 78, 127), (limit, said))
                self.assertTrue(said, limit)
            began.append(bool(line))
        self.assertEqual(began, sorted(began))
        self.assertTrue(began[-1])


class Haste(Attack):
    def test_pipelines(self):
        """A megabyte of requests at once, all answered, in order."""
        count = 5_000 if SANITIZED else 20_000
        with self.peer() as peer:
            for at in range(0, count, 100):
                peer.send(b"".join(get(b"/v1/models/n%d" % i) for i in range(at, at + 100)))
                while peer.read_some(0.001):
                    pass
            self.until(lambda: peer.got.count(b"HTTP/1.1 404") == count or not peer.read_some(1))
            bodies = [body for _, _, body in parse(peer.got)] if count <= 5_000 else []
            self.assertEqual(peer.got.count(b"HTTP/1.1 404"), count)
            places = [peer.got.find(b'n%d\\"' % i) for i in range(0, count, count // 50)]
            self.assertEqual(places, sorted(places))
            self.assertTrue(all(b"n%d\\" % i in body for i, body in enumerate(bodies)))

    def test_connections_that_come_and_go(self):
        for _ in range(20):
            with self.peer():
                pass
        self.until(lambda: self.clients()["open"] == 1)
        before = self.descriptors()
        for i in range(3_000):
            peer = self.peer()
            if i % 3:
                peer.send((get(), post(), b"GET /hea", b"\x16\x03\x01")[i % 4])
            peer.reset() if i % 2 else peer.close()
        self.until(lambda: self.clients()["open"] == 1)
        self.until(lambda: self.descriptors() <= before)
        self.assert_rests()

    def test_streams_that_are_left(self):
        server = self.serve(Attack.document.replace("events: 3", "events: 100000, delay_ms: 1"))
        address = server.address()
        for i in range(200):
            with Peer(address) as peer:
                peer.send(post(b'{"model":"m","stream":true,"messages":[]}'))
                if i % 2:
                    peer.read_some()
        with Peer(address) as peer:
            self.until(lambda: self.calls_in_flight(peer) == 0)
        server.kill(program.TERM)
        self.assertEqual(server.end(), 0)

    def calls_in_flight(self, peer):
        peer.got = b""
        peer.send(get(b"/stats"))
        return json.loads(peer.answer()[2])["calls"]["in_flight"]


if __name__ == "__main__":
    unittest.main()
