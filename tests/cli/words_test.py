"""Help, usage errors, versions and `lb check`: what needs no socket."""

import json
import os
import unittest

from program import Case, echo, run

COMMANDS = ("serve", "check", "chat", "stats", "mock")


class Help(Case):
    def test_lists_every_command_on_stdout(self):
        for words in (["--help"], ["-h"], ["help"]):
            done = run(*words)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            for command in COMMANDS:
                self.assertIn(f"\n  {command} ", done.stdout)

    def test_of_a_command_by_both_ways(self):
        for command in COMMANDS:
            first, second = run("help", command), run(command, "--help")
            self.assertEqual(first.returncode, 0)
            self.assertIn(f"lb {command}", first.stdout)
            self.assertIn("--help", first.stdout)
            self.assertEqual(first.stdout, second.stdout)

    def test_fits_a_terminal(self):
        for words in (["help"], ["help", "serve"], ["help", "chat"], ["help", "stats"], ["help", "check"]):
            self.assertLessEqual(max(map(len, run(*words).stdout.splitlines())), 80, words)

    def test_has_no_escapes_in_a_pipe(self):
        self.assertNotIn("\x1b", run("help").stdout)

    def test_of_the_mock_has_the_reference_of_its_options(self):
        self.assertIn("tokens_per_second", run("help", "mock").stdout)

    def test_version_has_the_build(self):
        done = run("--version")
        first, second = done.stdout.splitlines()
        self.assertRegex(first, r"^lb \d+\.\d+\.\d+$")
        self.assertIn("version", json.loads(second))


class Usage(Case):
    def refused(self, words, *parts):
        done = run(*words)
        self.assertEqual((done.returncode, done.stdout), (2, ""), words)
        for part in parts:
            self.assertIn(part, done.stderr)

    def test_without_a_command(self):
        self.refused([], "which command")

    def test_of_an_unknown_command_names_the_nearest(self):
        self.refused(["chekc"], '"chekc"', "`lb check`")
        self.refused(["help", "serv"], "`lb serve`")
        self.refused(["frobnicate"], "`lb help`")

    def test_of_an_unknown_option_names_the_nearest(self):
        self.refused(["serve", "x", "--drian-ms", "5"], "--drian-ms", "did you mean --drain-ms?")
        self.refused(["serve", "x", "-z"], "unknown option -z")

    def test_of_an_option_without_its_value(self):
        self.refused(["serve", "x", "--drain-ms"], "needs a value")
        self.refused(["chat", "x", "-m"], "needs a value")
        self.refused(["chat", "x", "--no-stream=yes"], "takes no value")

    def test_of_numbers_at_and_over_their_bounds(self):
        self.refused(["mock", "--port", "65536"], "65535")
        self.refused(["mock", "--port", "-1"], "from 0")
        self.refused(["mock", "--port", "80a"], '"80a"')
        self.refused(["mock", "--tokens", "1.5"], "integer")
        self.refused(["serve", "x", "--drain-ms", "86400001"], "86400000")

    def test_of_missing_and_superfluous_words(self):
        self.refused(["serve"], "which configuration")
        self.refused(["serve", "a", "b"], '"b" is one word too many')
        self.refused(["check"], "which configuration")
        self.refused(["stats"], "whose")
        self.refused(["mock", "word"], "one word too many")

    def test_of_words_that_only_look_like_options(self):
        done = run("check", "--", "--no-such-file")
        self.assertEqual(done.returncode, 78)

    def test_of_choices(self):
        self.refused(["serve", "x", "--log-level", "loud"], "--log-level", "debug")
        self.refused(["serve", "x", "--log-format", "xml"], "--log-format")
        self.refused(["chat", "x", "hello"], "-m MODEL")
        self.refused(["stats", "https://127.0.0.1:1"], "http://")
        self.refused(["mock", "--limit", "often"], "EVERY:FOR")
        self.refused(["mock", "--options", "[1]"], "JSON object")


class Check(Case):
    def test_says_ok_and_what_there_is(self):
        path = self.write(echo())
        done = run("check", path)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertTrue(done.stdout.startswith(f"{path}: ok (1 deployment"), done.stdout)

    def test_takes_json_from_stdin(self):
        done = run("check", "-", text=json.dumps({"deployments": [{"name": "a", "kind": "echo"}]}))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(done.stdout.startswith("stdin: ok"), done.stdout)

    def test_names_the_place_and_the_remedy(self):
        path = self.write('deployments: [{name: a, url: "east.example/v1"}]')
        done = run("check", path)
        self.assertEqual((done.returncode, done.stdout), (78, ""))
        self.assertTrue(done.stderr.startswith(f"{path}: /deployments/0/url: "), done.stderr)
        self.assertIn("https://", done.stderr)

    def test_names_the_nearest_key(self):
        done = run("check", self.write("deploymens: []"))
        self.assertEqual(done.returncode, 78)
        self.assertIn("deployments", done.stderr)

    def test_goes_on_after_a_faulty_file(self):
        good, bad = self.write(echo(), "good.yaml"), self.write("[", "bad.yaml")
        done = run("check", bad, good)
        self.assertEqual(done.returncode, 78)
        self.assertIn("good.yaml: ok", done.stdout)
        self.assertIn("bad.yaml: ", done.stderr)

    def test_of_a_file_that_is_not_there(self):
        done = run("check", os.path.join(self.folder, "none"))
        self.assertEqual(done.returncode, 78)
        self.assertIn("No such file", done.stderr)

    def test_notes_a_secret_that_is_not_here(self):
        path = self.write('deployments: [{name: a, url: "http://127.0.0.1:9/v1", key: {env: LB_TEST_NOT_SET}}]')
        done = run("check", path)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(": ok", done.stdout)
        self.assertIn("LB_TEST_NOT_SET", done.stderr)
        there = run("check", path, environment={"LB_TEST_NOT_SET": "secret-value"})
        self.assertEqual((there.returncode, there.stderr), (0, ""))
        self.assertNotIn("secret-value", there.stdout)

    def test_prints_the_schema(self):
        done = run("check", "--schema")
        self.assertEqual(done.returncode, 0)
        self.assertIn("deployments", json.loads(done.stdout)["properties"])

    def test_is_quiet_when_asked(self):
        done = run("check", "-q", self.write(echo()))
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_passes_the_example(self):
        done = run("check", os.path.join(os.path.dirname(__file__), "../../examples/gateway/lb.yaml"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("3 deployments", done.stdout)


if __name__ == "__main__":
    unittest.main()
