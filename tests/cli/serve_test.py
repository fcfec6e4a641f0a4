"""`lb serve` and `lb stats`: signals, logs, reloads, drains. Everything on ports that the system picks."""

import http.client
import json
import os
import pty
import socket
import unittest

from program import HUP, INT, TERM, Case, Service, echo, run

SLOW = 300  # Milliseconds between events of a stream that has to be under way while something else happens.


def finish(response):
    """The rest of a stream; fails when it is not whole."""
    body = response.read().decode()
    assert body.rstrip().endswith("data: [DONE]"), body[-300:]
    assert '"error"' not in body, body
    return body


class Serve(Case):
    def test_answers_plainly_and_streamed(self):
        service = self.serve(echo())
        address = service.address()
        self.assertEqual(self.get(address, "/healthz")[0], 200)
        plain = self.ask(address)
        self.assertEqual(plain.status, 200)
        self.assertEqual(plain.headers["x-lb-served-by"], "near")
        self.assertIn("tok 0", json.loads(plain.read())["choices"][0]["message"]["content"])
        self.assertEqual(finish(self.ask(address, stream=True)).count('"content"'), 3)

    def test_prints_one_line_for_each_listener_on_stdout(self):
        path = os.path.join(self.folder, "lb.sock")
        document = echo().replace('[{address: "127.0.0.1:0"}]', f'[{{address: "127.0.0.1:0"}}, '
                                  f'{{name: local, address: "unix:{path}"}}]')
        service = self.serve(document)
        service.wait_for(service.out, f"listening on unix:{path}")
        self.assertEqual(self.get(service.address(), "/healthz")[0], 200)
        self.assertEqual(len(service.out), 2)
        done = run("stats", f"unix:{path}", "--once")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_takes_the_document_from_stdin(self):
        service = self.service("serve", "-", text=echo())
        self.assertEqual(self.ask(service.address()).status, 200)
        service.kill(HUP)
        service.wait_for(service.err, "stdin cannot be read again")
        self.assertEqual(self.ask(service.address()).status, 200)

    def test_logs_json_lines_with_the_time_into_a_pipe(self):
        service = self.serve(echo())
        service.address()
        service.kill(TERM)
        self.assertEqual(service.end(), 0)
        self.assertTrue(service.err)
        for line in service.err:
            entry = json.loads(line)
            self.assertRegex(entry["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
            self.assertIn(entry["level"], ("error", "warn", "info", "debug"))
            self.assertTrue(entry["msg"])

    def test_logs_coloured_words_on_a_terminal(self):
        ours, theirs = pty.openpty()
        os.environ["TERM"] = "xterm"
        service = Service("serve", self.write(echo()), stderr=theirs)
        self.addCleanup(service.close)
        os.close(theirs)
        service.address()
        service.kill(TERM)
        self.assertEqual(service.end(), 0)
        text = os.read(ours, 65536).decode()
        os.close(ours)
        self.assertIn("\x1b[32minfo", text)
        self.assertIn("draining", text)
        self.assertNotIn("{", text)

    def test_log_level_bounds_what_is_logged(self):
        service = self.serve(echo(), "--log-level", "error")
        service.address()
        service.kill(TERM)
        self.assertEqual((service.end(), service.err), (0, []))

    def test_raises_its_limit_of_descriptors(self):
        service = self.serve(echo())
        service.address()
        with open(f"/proc/{service.process.pid}/limits") as file:
            line = next(line for line in file if line.startswith("Max open files"))
        soft, hard = line.split()[3:5]
        self.assertEqual(soft, hard)


class Failures(Case):
    def test_of_the_configuration_are_78(self):
        done = run("serve", self.write("listen: [{address: nonsense}]"))
        self.assertEqual((done.returncode, done.stdout), (78, ""))
        self.assertIn("/listen/0/address", done.stderr)
        self.assertEqual(run("serve", os.path.join(self.folder, "none")).returncode, 78)

    def test_of_a_secret_that_is_not_there(self):
        done = run("serve", self.write('deployments: [{name: a, url: "http://127.0.0.1:9/v1", '
                                       'key: {env: LB_TEST_NOT_SET}}]'))
        self.assertEqual(done.returncode, 78)
        self.assertIn("LB_TEST_NOT_SET", done.stderr)

    def test_of_an_address_in_use(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            document = echo().replace("127.0.0.1:0", f"127.0.0.1:{taken.getsockname()[1]}")
            done = run("serve", self.write(document))
        self.assertIn(done.returncode, (1, 78))
        self.assertIn("in use", done.stderr)


class Reload(Case):
    def test_takes_the_new_document_and_calls_in_flight_keep_theirs(self):
        service = self.serve(echo(events=8, delay_ms=SLOW))
        address = service.address()
        stream = self.ask(address, stream=True)
        self.assertEqual(stream.status, 200)
        self.write(echo(model="other"))
        service.kill(HUP)
        service.wait_for(service.err, '"reloaded"')
        self.assertEqual(self.ask(address, model="other").status, 200)
        self.assertEqual(self.ask(address, model="m").status, 404)
        self.assertEqual(finish(stream).count('"content"'), 8)
        self.assertEqual(len(service.out), 1)  # The listener is the same and is not told twice.

    def test_refuses_a_faulty_document_and_keeps_the_old_one(self):
        service = self.serve(echo())
        address = service.address()
        self.write("deployments: [{name: a}]")
        service.kill(HUP)
        entry = json.loads(service.wait_for(service.err, "not reloaded"))
        self.assertEqual(entry["level"], "error")
        self.assertTrue(entry["where"].startswith("/deployments/0"), entry)
        self.assertTrue(entry["error"])
        self.assertEqual(self.ask(address).status, 200)

    def test_survives_a_file_that_has_gone(self):
        service = self.serve(echo())
        address = service.address()
        os.unlink(self.path)
        service.kill(HUP)
        service.wait_for(service.err, "No such file")
        self.assertEqual(self.ask(address).status, 200)


class End(Case):
    def test_by_sigterm_or_sigint_when_idle_is_0(self):
        for number in (TERM, INT):
            service = self.serve(echo())
            service.address()
            service.kill(number)
            self.assertEqual(service.end(), 0)

    def test_lets_a_stream_finish_and_takes_no_more(self):
        service = self.serve(echo(events=8, delay_ms=SLOW))
        address = service.address()
        stream = self.ask(address, stream=True)
        service.kill(TERM)
        service.wait_for(service.err, "draining")
        with self.assertRaises(OSError):
            while True:  # The listener closes soon after the word.
                self.ask(address).read()
        self.assertEqual(finish(stream).count('"content"'), 8)
        self.assertEqual(service.end(), 0)

    def test_cuts_what_outlasts_the_drain(self):
        service = self.serve(echo(events=1000, delay_ms=SLOW), "--drain-ms", "200")
        stream = self.ask(service.address(), stream=True)
        service.kill(TERM)
        self.assertEqual(service.end(), 0)
        with self.assertRaises((AssertionError, OSError, http.client.HTTPException)):
            finish(stream)

    def test_by_a_second_signal_is_at_once(self):
        service = self.serve(echo(events=1000, delay_ms=SLOW))
        self.ask(service.address(), stream=True)
        service.kill(TERM)
        service.wait_for(service.err, "draining")
        service.kill(TERM)
        self.assertEqual(service.end(), 1)


class Stats(Case):
    def test_prints_a_table_and_json(self):
        service = self.serve(echo())
        address = service.address()
        for _ in range(3):
            self.ask(address).read()
        done = run("stats", f"http://{address}", "--once")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("3 ok, 0 failed", done.stdout)
        row = next(line.split() for line in done.stdout.splitlines() if line.startswith("near"))
        self.assertEqual(row[:6], ["near", "m", "up", "0", "3", "0"])
        raw = run("stats", address, "--once", "--json")
        self.assertEqual(json.loads(raw.stdout)["calls"]["ok"], 3)

    def test_of_nobody_is_an_error(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        done = run("stats", f"http://127.0.0.1:{port}", "--once")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("refused", done.stderr)


if __name__ == "__main__":
    unittest.main()
