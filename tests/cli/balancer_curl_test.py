"""examples/c/balancer_curl.c, which EXAMPLE names, over `lb mock`s. Listed by examples/c/meson.build."""

import json
import os
import subprocess
import unittest

from program import PATIENCE_S, TERM, Case

EXAMPLE = os.environ["EXAMPLE"]


class BalancerCurl(Case):
    def mock(self, *arguments):
        mock = self.service("mock", *arguments)
        return mock, f"http://{mock.address()}/v1"

    def example(self, document, *arguments):
        # Nobody's proxy stands between this machine and itself.
        return subprocess.run([EXAMPLE, self.write(json.dumps(document)), *arguments], capture_output=True, text=True,
                              timeout=PATIENCE_S, env={**os.environ, "no_proxy": "*", "NO_PROXY": "*"})

    def calls(self, mock):
        mock.kill(TERM)
        self.assertEqual(mock.end(), 0)
        return json.loads("".join(mock.out[1:]))["calls"]

    def test_goes_elsewhere(self):
        bad, bad_url = self.mock("--errors", "1:503", "--name", "bad", "--journal")
        good, good_url = self.mock("--key", "right", "--name", "good", "--journal")
        done = self.example({
            "deployments": [{"name": "bad", "url": bad_url, "models": ["m"]},
                            {"name": "good", "url": good_url, "key": "right", "models": {"m": {"as": "n"}}}],
            "routes": [{"model": "m", "tiers": [["bad"], ["good"]]}]}, "20", "m")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout, "served by good\n" * 20)
        # It is out of rotation after the first, not asked each time.
        self.assertEqual(done.stderr.splitlines(), ["bad: HTTP 503"] * len(self.calls(bad)))
        self.assertIn(len(done.stderr.splitlines()), range(1, 4))
        self.assertEqual(len(self.calls(good)), 20)

    def test_goes_elsewhere_when_nobody_listens(self):
        gone, gone_url = self.mock()
        gone.kill(TERM)
        self.assertEqual(gone.end(), 0)
        _, good_url = self.mock()
        done = self.example({
            "deployments": [{"name": "gone", "url": gone_url}, {"name": "good", "url": good_url}],
            "routes": [{"model": "*", "tiers": [["gone"], ["good"]]}]}, "5")
        self.assertEqual((done.returncode, done.stdout), (0, "served by good\n" * 5), done.stderr)
        self.assertTrue(done.stderr.startswith("gone: "), done.stderr)

    def test_waits_when_told(self):
        # Longer than a window of the mock's, of which the end is refused.
        _, url = self.mock("--limit", "1500:300", "--latency-ms", "20")
        done = self.example({"deployments": [{"name": "only", "url": url}],
                             "routes": [{"model": "*", "retry": "forever"}]}, "100")
        self.assertEqual((done.returncode, done.stdout), (0, "served by only\n" * 100), done.stderr)
        self.assertIn("only: HTTP 429\nwaiting ", done.stderr)

    def test_of_an_own_limit(self):
        _, url = self.mock()
        done = self.example({"deployments": [{"name": "only", "url": url, "rpm": 3}]}, "3")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "served by only\n" * 3, ""))

    def test_says_what_went_wrong(self):
        _, url = self.mock("--key", "right")
        done = self.example({"deployments": [{"name": "only", "url": url, "key": "wrong", "models": ["m"]}]}, "1", "m")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("only: HTTP 401", done.stderr)
        self.assertNotIn("wrong", done.stderr)
        done = self.example({"deployments": [{"name": "only", "url": url, "models": ["m"]}]}, "1", "another")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("another", done.stderr)
        done = self.example({"deployment": []})
        self.assertEqual(done.returncode, 2)
        self.assertIn("deployments", done.stderr)


if __name__ == "__main__":
    unittest.main()
