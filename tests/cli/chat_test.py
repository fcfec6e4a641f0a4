"""`lb chat` over echo and over `lb mock`, and `lb mock` itself."""

import json
import os
import pty
import subprocess
import unittest

from program import INT, LB, PATIENCE_S, TERM, Case, echo, run


class Chat(Case):
    def test_streams_the_answer_to_stdout_and_the_rest_to_stderr(self):
        done = run("chat", self.write(echo()), "-m", "m", "Why", "is", "the", "sky", "blue?")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout, "tok 0 tok 1 tok 2 \n")
        self.assertIn("served by near", done.stderr)
        self.assertIn("1 attempt", done.stderr)
        self.assertIn("3 out", done.stderr)

    def test_takes_the_answer_whole(self):
        done = run("chat", self.write(echo()), "-m", "m", "--no-stream", "hello")
        self.assertEqual((done.returncode, done.stdout), (0, "tok 0 tok 1 tok 2 \n"))

    def test_reads_the_question_from_stdin(self):
        done = run("chat", self.write(echo()), "-m", "m", "-q", text="hello\n")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "tok 0 tok 1 tok 2 \n", ""))
        self.assertEqual(run("chat", self.write(echo()), "-m", "m", text=" \n").returncode, 2)

    def test_of_a_model_that_nobody_serves(self):
        done = run("chat", self.write(echo()), "-m", "another", "hello")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("another", done.stderr)

    def test_of_a_faulty_configuration_is_78(self):
        self.assertEqual(run("chat", self.write("["), "-m", "m", "hello").returncode, 78)

    def test_is_cancelled_by_an_interrupt(self):
        path = self.write(echo(events=1000, delay_ms=200))
        process = subprocess.Popen([LB, "chat", path, "-m", "m", "hello"], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        self.addCleanup(process.kill)
        first = process.stdout.read(5)
        process.send_signal(INT)
        rest, _ = process.communicate(timeout=PATIENCE_S)
        self.assertEqual((process.returncode, first), (130, b"tok 0"))
        self.assertTrue(rest.endswith(b"\n"))

    def test_sends_what_it_was_told(self):
        mock = self.service("mock", "--options", '{"journal_body": 4096}', "--journal")
        url = f"http://{mock.address()}/v1"
        path = self.write(f'deployments: [{{name: a, url: "{url}", models: {{m: {{as: n}}}}}}]')
        options = ["--system", 'Be "brief".', "--max-tokens", "7", "-t", "0.5"]
        done = run("chat", path, "-m", "m", *options, "Grüß", "Gott")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(done.stdout.startswith("mock:"), done.stdout)
        mock.kill(TERM)
        self.assertEqual(mock.end(), 0)
        call = json.loads("".join(mock.out[1:]))["calls"][0]
        body = json.loads(call["body"])
        self.assertEqual(body["messages"], [{"role": "system", "content": 'Be "brief".'},
                                            {"role": "user", "content": "Grüß Gott"}])
        self.assertEqual((body["model"], body["stream"], body["max_tokens"], body["temperature"]), ("n", True, 7, 0.5))

    def test_tells_failed_attempts_when_asked(self):
        bad = self.service("mock", "--errors", "1:503", "--name", "bad")
        good = self.service("mock", "--name", "good")
        path = self.write(json.dumps({
            "deployments": [{"name": "bad", "url": f"http://{bad.address()}/v1"},
                            {"name": "good", "url": f"http://{good.address()}/v1"}],
            "routes": [{"model": "m", "tiers": [["bad"], ["good"]]}]}))
        done = run("chat", path, "-m", "m", "-v", "hello")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(done.stdout.startswith("good:"), done.stdout)
        self.assertIn("bad: ", done.stderr)
        self.assertIn("503", done.stderr)
        self.assertIn("2 attempts", done.stderr)

    def test_says_why_an_upstream_refused(self):
        mock = self.service("mock", "--key", "right")
        path = self.write(f'deployments: [{{name: a, url: "http://{mock.address()}/v1", key: wrong}}]')
        done = run("chat", path, "-m", "m", "hello")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("401", done.stderr)
        self.assertNotIn("wrong", done.stderr)

    def test_does_not_call_a_cut_stream_an_answer(self):
        mock = self.service("mock", "--cut", "3")
        path = self.write(f'deployments: [{{name: a, url: "http://{mock.address()}/v1"}}]')
        done = run("chat", path, "-m", "m", "hello")
        self.assertEqual(done.returncode, 1)
        self.assertTrue(done.stdout.startswith("mock:"), done.stdout)
        self.assertIn("broke", done.stderr)

    def test_keeps_control_characters_from_a_terminal(self):
        options = '{"tokens": 1, "error_event": {"at": 1, "message": "\\u001b[2J"}}'
        mock = self.service("mock", "--options", options)
        path = self.write(f'deployments: [{{name: a, url: "http://{mock.address()}/v1"}}]')
        ours, theirs = pty.openpty()
        done = subprocess.run([LB, "chat", path, "-m", "m", "hello"], stdout=theirs, stderr=theirs,
                              stdin=subprocess.DEVNULL, timeout=PATIENCE_S, env={**os.environ, "NO_COLOR": "1"})
        os.close(theirs)
        text = os.read(ours, 65536).decode()
        os.close(ours)
        self.assertEqual(done.returncode, 1)
        self.assertNotIn("\x1b", text)


class Mock(Case):
    def test_answers_lists_and_ends(self):
        mock = self.service("mock", "--name", "east", "--models", "a,b", "--tokens", "2")
        address = mock.address()
        self.assertEqual(mock.out, [f"mock listening on http://{address}/v1"])
        status, models = self.get(address, "/v1/models")
        self.assertEqual((status, [model["id"] for model in json.loads(models)["data"]]), (200, ["a", "b"]))
        self.assertIn("east", self.ask(address).read().decode())
        mock.kill(TERM)
        self.assertEqual((mock.end(), mock.err), (0, []))

    def test_fails_and_limits_as_told(self):
        mock = self.service("mock", "--errors", "1:503")
        self.assertEqual(self.ask(mock.address()).status, 503)
        mock = self.service("mock", "--rpm", "1")
        self.assertEqual(self.ask(mock.address()).status, 200)
        limited = self.ask(mock.address())
        self.assertEqual(limited.status, 429)
        self.assertTrue(limited.headers["retry-after"])
        mock = self.service("mock", "--limit", "100000:100000")
        self.assertEqual(self.ask(mock.address()).status, 429)

    def test_single_options_win_over_json(self):
        mock = self.service("mock", "--options", '{"name": "one", "tokens": 2}', "--name", "two")
        text = self.ask(mock.address()).read().decode()
        self.assertIn("two", text)
        self.assertNotIn("one:", text)

    def test_dies_as_told(self):
        mock = self.service("mock", "--die-after", "1")
        address = mock.address()
        self.assertEqual(self.ask(address).status, 200)
        with self.assertRaises(OSError):
            self.ask(address)
        self.assertEqual(mock.end(), 0)
        self.assertIn("died", mock.err[-1])

    def test_says_what_it_cannot_do(self):
        done = run("mock", "--options", '{"tokns": 3}')
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("tokns", done.stderr)


if __name__ == "__main__":
    unittest.main()
