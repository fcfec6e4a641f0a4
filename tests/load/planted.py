#!/usr/bin/env python3
"""Proves that the soak can fail: plants one leak at a time into a copy of the tree, and expects the soak to catch it.

planted.py [--seconds N] [NAME...]      Prints what was caught by what. Exit code 1 if a leak was not.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "sim"))

from planted import copy_tree, run  # noqa: E402

# name: (file, what stands there, what is planted instead)
LEAKS = {
    "bytes that were read in part": (
        "lib/base/chunk.cc", "    std::free(buffer_);\n", "    if (offset_ == 0) std::free(buffer_);\n"),
    "connections that are closed": (
        "lib/net/conn.cc", "    closed.loop->conns_.remove(closed.id);\n",
        "    if (closed.wanted) closed.loop->conns_.remove(closed.id);\n"),
    "a descriptor, where the peer has gone": (
        "lib/net/conn.cc", "  conn.state = Conn::State::gone;\n",
        "  conn.state = Conn::State::gone;\n  if (conn.ended) static_cast<void>(::dup(conn.fd));\n"),
    "connections at rest": (
        "lib/engine/link.cc", "  if (link.idle_until <= now)\n", "  if (link.served > 1'000'000)\n"),
    "worlds of before a reload": (
        "lib/engine/fleet.cc", "return w.use_count() == 1;", "return w.use_count() == 0;"),
    "a place at a target, on cancel": (
        "lib/policy/balancer.cc", "    scope.in_flight--;\n",
        "    if (ended.took != Ended::Took::input) scope.in_flight--;\n"),
    "replay bytes of calls that failed": (
        "lib/engine/call.cc", "  context_.replay_bytes -= body_.kept();\n",
        "  if (head_emitted_) context_.replay_bytes -= body_.kept();\n"),
}


def caught(tree, seconds):
    """The line that says so; None if the soak was fine."""
    built = run(["ninja", "-C", os.path.join(tree, "build"), "load_programs"])
    if built.returncode:
        sys.exit(built.stdout)
    done = run([os.path.join(tree, "tests", "load", "run"), "--dir", os.path.join(tree, "build"), "--soak", str(seconds)])
    if done.returncode == 0:
        return None
    line = re.search(r"(?:WRONG|FAILED): .*", done.stdout)
    return line[0] if line else f"exit code {done.returncode}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    tree = tempfile.mkdtemp(prefix="lb-planted-")
    missed = 0
    try:
        copy_tree(tree)
        subprocess.run(["meson", "setup", os.path.join(tree, "build"), tree, "-Dbuildtype=debugoptimized"], check=True,
                       stdout=subprocess.DEVNULL)
        if line := caught(tree, args.seconds):
            sys.exit(f"without any leak it fails already: {line}")
        for name in args.names or LEAKS:
            file, old, new = LEAKS[name]
            path = os.path.join(tree, file)
            with open(path) as source:
                text = source.read()
            if text.count(old) != 1:
                sys.exit(f"{name}: the place in {file} is not there (any more); adapt LEAKS")
            with open(path, "w") as source:
                source.write(text.replace(old, new))
            line = caught(tree, args.seconds)
            print(f"{'caught' if line else 'MISSED'}: {name}" + (f"\n    {line}" if line else ""), flush=True)
            missed += line is None
            with open(path, "w") as source:
                source.write(text)
    finally:
        shutil.rmtree(tree, ignore_errors=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
