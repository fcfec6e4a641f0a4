"""examples/rust, built into the folder that is named, over `lb mock`s."""

import json
import os
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "cli"))
from program import PATIENCE_S, Case  # noqa: E402  It is found by the line above.

PROGRAMS = sys.argv.pop(1)


class Examples(Case):
    def example(self, name, *arguments):
        return subprocess.run([os.path.join(PROGRAMS, name), *arguments], capture_output=True, text=True,
                              timeout=PATIENCE_S)

    def mock(self, name, *arguments):
        return {"name": name, "url": f"http://{self.service('mock', '--name', name, *arguments).address()}/v1"}

    def test_first_token(self):
        done = self.example("first_token")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn('"content":"tok 0 "', done.stdout.splitlines()[0])
        path = self.write(json.dumps({"deployments": [self.mock("east", "--tokens", "5")]}))
        done = self.example("first_token", path)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertTrue(all(json.loads(line)["object"] == "chat.completion.chunk" for line in done.stdout.splitlines()))
        self.assertIn("east", done.stdout)

    def test_readme(self):
        """It shows the first example as it stands, in twenty lines."""
        root = pathlib.Path(__file__).resolve().parents[3]
        source = (root / "examples/rust/src/bin/first_token.rs").read_text(encoding="utf-8")
        self.assertIn(f"```rust\n{source}```", (root / "bindings/rust/README.md").read_text(encoding="utf-8"))
        self.assertLessEqual(len([line for line in source.splitlines() if line.strip()]), 20)

    def test_many(self):
        document = {"deployments": [self.mock("bad", "--errors", "1:503"), self.mock("good")],
                    "routes": [{"model": "*", "tiers": [["bad"], ["good"]]}]}
        done = self.example("many", self.write(json.dumps(document)), "50", "m")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "good served 50\n", ""))

    def test_says_what_went_wrong(self):
        done = self.example("many", self.write('{"deployments": 1}'))
        self.assertEqual(done.returncode, 1)
        self.assertIn("/deployments", done.stderr)
        done = self.example("many", self.write(json.dumps({"deployments": [self.mock("a") | {"models": ["n"]}]})), "2")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertEqual(done.stderr.count("gpt-4o-mini"), 2)


if __name__ == "__main__":
    unittest.main()
