#!/usr/bin/env python3
"""run.py --build BUILD [--vector NAME]... [LANG | LANG=COMMAND]...: the same call vectors to each driver; README.md has
the protocol.

BUILD is where meson built lb. Of drivers that are named by their language alone, and of all of them where none is named,
it knows where they are, and builds them in BUILD/conformance; one that lacks its toolchain is skipped by its name. Prints
a line a vector and driver: "ok LANG NAME", "not ok LANG NAME" with what came instead, or "skip LANG NAME: why". The last
line is "N passed, N failed, N skipped".
"""
import argparse
import http.client
import json
import os
import pathlib
import queue
import re
import shlex
import shutil
import socket
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PATIENCE_S = 30  # For an answer of a driver: far longer than any takes, also under sanitizers.
SOON_S = 10      # For what an upstream sees.
TRIES = 3        # Where only the clock is to blame.


class Wrong(Exception):
    """What came is not what the vector says."""


class Late(Wrong):
    """It came, and too late."""


class Lacking(Exception):
    """The driver has not what the vector needs."""


# --- Lines ---

def encode(value):
    return "".join(chr(b) if 0x21 <= b <= 0x7E and b != 0x25 else f"%{b:02X}" for b in value.encode("utf-8"))


def decode(value):
    return re.sub(rb"%([0-9A-F]{2})", lambda m: bytes([int(m[1], 16)]), value.encode("ascii")).decode("utf-8", "replace")


def line_of(words):
    """`words` as a driver reads them."""
    first, *rest = words
    return " ".join([first] + [f"{key}={encode(value)}" for key, value in (word.split("=", 1) for word in rest)])


def parts(text):
    """(first word, {key: value}) of a driver's line."""
    first, *rest = text.split(" ")
    return first, {key: decode(value) for key, _, value in (word.partition("=") for word in rest)}


def fits(wanted, got):
    if wanted == "*":
        return True
    between = re.fullmatch(r"(\d+)\.\.(\d+)", wanted)
    if between:
        return re.fullmatch(r"\d+(\.\d+)?", got) is not None and int(between[1]) <= float(got) <= int(between[2])
    return wanted == got


def compare(wanted, got):
    first, *rest = wanted
    keys = dict(word.partition("=")[::2] for word in rest)
    name, values = parts(got)
    if name != first or set(keys) != set(values) or not all(fits(value, values[key]) for key, value in keys.items()):
        raise Wrong(f"expected: {shlex.join(wanted)}\n       got: {got}")


# --- What runs beside a driver ---

class Mock:
    def __init__(self, lb, options):
        self.process = subprocess.Popen([lb, "mock", "--options", options], stdout=subprocess.PIPE, text=True)
        found = re.search(r"http://([0-9.:]+)", self.process.stdout.readline())
        if not found:
            raise Wrong(f"lb mock did not start with {options}")
        self.host = found[1]
        self.url = f"http://{self.host}/v1"

    def journal(self):
        connection = http.client.HTTPConnection(self.host, timeout=SOON_S)
        connection.request("GET", "/mock/journal")
        journal = json.loads(connection.getresponse().read())
        connection.close()
        return journal

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class Deaf:
    """Listens, and accepts nothing: connections are made and nobody reads."""

    def __init__(self):
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen(1)
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}/v1"

    def close(self):
        self.socket.close()


class Driver:
    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.lines = queue.Queue()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        first, words = parts(self.next())
        if first != "driver":
            raise Wrong(f"the driver began with {first}")
        self.has = set(words.get("has", "").split(","))
        self.written = 0

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def next(self):
        try:
            line = self.lines.get(timeout=PATIENCE_S)
        except queue.Empty:
            raise Wrong(f"no answer within {PATIENCE_S} s") from None
        if line is None:
            raise Wrong(f"the driver ended with status {self.process.wait()}")
        return line

    def ask(self, line):
        self.written = time.clock_gettime(time.CLOCK_MONOTONIC) * 1000
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.next()

    def end(self):
        self.process.stdin.close()
        try:
            status = self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise Wrong("the driver does not end") from None
        if status:
            raise Wrong(f"the driver ended with status {status}")

    def close(self):
        self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stdin.close()
        self.process.stdout.close()


# --- A vector ---

def until(what):
    end = time.monotonic() + SOON_S
    while True:
        value, why = what()
        if value:
            return value
        if time.monotonic() > end:
            raise Wrong(why)
        time.sleep(0.005)


class Run:
    """One vector and one driver."""

    def __init__(self, lb, driver):
        self.lb, self.driver = lb, driver
        self.places, self.beside = {}, {}
        self.answer = None

    def fill(self, text):
        return re.sub(r"\{(\w+)\}", lambda m: self.places.get(m[1], m[0]), text)

    def step(self, mark, words):
        if mark == ">":
            if self.answer is not None:
                raise Wrong(f"nothing was expected: {self.answer}")
            self.answer = self.driver.ask(line_of([self.fill(word) for word in words]))
            first, values = parts(self.answer)
            if first == "address":
                self.places["at"] = values.get("at", "")
        elif mark == "<":
            got, self.answer = self.answer, None
            compare([self.fill(word) for word in words], got)
        elif mark == "@":
            getattr(self, "do_" + words[0])(*[self.fill(word) for word in words[1:]])
        elif mark == "needs":
            lacking = set(words) - self.driver.has
            if lacking:
                raise Lacking("the binding has no " + ", ".join(sorted(lacking)))
        else:
            self.beside[words[0]] = thing = Mock(self.lb, words[1]) if mark == "mock" else Deaf()
            self.places[words[0]] = thing.url

    def do_sleep(self, ms):
        time.sleep(int(ms) / 1000)

    def last_call(self, name):
        calls = self.beside[name].journal()["calls"]
        return calls[-1] if calls else {}

    def do_closed(self, name, within):
        def ended():
            call = self.last_call(name)
            return call.get("end") == "client_closed" and call, f"the last call of {name} ended as {call.get('end')}"
        took = until(ended)["end_ms"] - self.driver.written
        if took > float(within.partition("=")[2]):
            raise Late(f"the socket was closed after {took:.1f} ms, expected {within}")

    def do_journal(self, name, *wanted):
        wanted = dict(word.split("=", 1) for word in wanted)

        def as_wanted():
            journal = self.beside[name].journal()
            got = {**(journal["calls"][-1] if journal["calls"] else {}), "calls": journal["counts"]["requests"]}
            got = {key: str(got.get(key)) for key in wanted}
            return all(fits(value, got[key]) for key, value in wanted.items()), f"{name} saw {got}, expected {wanted}"
        until(as_wanted)

    do_wait = do_journal

    def do_body(self, name, contains, text):
        body = self.last_call(name).get("body", "")
        if contains != "contains" or text not in body:
            raise Wrong(f"the body was {body[:500]}")

    def do_field(self, name, wanted):
        field, _, value = wanted.partition("=")
        got = self.last_call(name).get("headers", {}).get(field, "")
        if got != value:
            raise Wrong(f"the field {field} was {got!r}")

    def do_get(self, *words):
        words = dict(word.split("=", 1) for word in words)
        connection = http.client.HTTPConnection(words["at"], timeout=SOON_S)
        connection.request("GET", words["path"])
        code = connection.getresponse().status
        connection.close()
        if str(code) != words["code"]:
            raise Wrong(f"GET {words['path']} was answered with {code}")

    def close(self):
        for thing in self.beside.values():
            thing.close()


def read_vector(path):
    """(comment, [(line number, mark, words)])"""
    comment, steps = [], []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("#"):
            comment.append(line.lstrip("# "))
        elif line.strip():
            mark, _, rest = line.partition(" ")
            steps.append((number, mark, shlex.split(rest)))
    return " ".join(comment), steps


def play(lb, command, steps):
    driver = Driver(command)
    run = Run(lb, driver)
    number = 0
    try:
        for number, mark, words in steps:
            run.step(mark, words)
        driver.end()
    except Wrong as wrong:
        raise type(wrong)(f"line {number}: {wrong}") from None
    finally:
        driver.close()
        run.close()


def outcome(lb, command, steps):
    """("ok" | "not ok" | "skip", why)"""
    for attempt in range(TRIES):
        try:
            play(lb, command, steps)
            return "ok", ""
        except Lacking as why:
            return "skip", str(why)
        except Late as why:
            if attempt + 1 == TRIES:
                return "not ok", str(why)
        except Wrong as why:
            return "not ok", str(why)


# --- Where the drivers are ---

def built(command, folder, environment):
    """Runs a compiler; what it says is the fault when it fails."""
    done = subprocess.run(command, cwd=folder, env={**os.environ, **environment}, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise Wrong(f"{shlex.join(map(str, command))} failed:\n{done.stdout}")


def need(condition, why):
    if not condition:
        raise Lacking(why)


def find_c(build):
    return [build / "tests/conformance/driver_c"]


def find_go(build):
    need(shutil.which("go"), "there is no go")
    version = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, check=True).stdout.strip()
    need(tuple(map(int, re.findall(r"\d+", version)[:2])) >= (1, 21), f"it needs Go 1.21, and this is {version}")
    need(shutil.which("pkg-config"), "there is no pkg-config")
    driver = build / "conformance/driver_go"
    built(["go", "build", "-o", driver, "."], HERE / "go", {"PKG_CONFIG_PATH": str(build / "meson-uninstalled")})
    return [driver]


def find_rust(build):
    folder = ROOT / "bindings/rust/driver"
    need(folder.is_dir(), "there is no bindings/rust/driver")
    need(shutil.which("cargo"), "there is no cargo")
    target = build / "conformance/rust"
    built(["cargo", "build", "--quiet"], folder, {"LB_LIB_DIR": str(build / "lib/abi"), "CARGO_TARGET_DIR": str(target)})
    return [target / "debug/lb-driver"]


def find_node(build):
    driver, addon = ROOT / "bindings/node/driver.js", build / "bindings/node/lb.node"
    need(driver.exists(), "there is no bindings/node/driver.js")
    need(shutil.which("node"), "there is no node")
    need(addon.exists(), "the addon was not built; are Node's headers there?")
    return ["env", f"LB_NODE_ADDON={addon}", "node", driver]


FIND = {"c": find_c, "go": find_go, "rust": find_rust, "node": find_node}


def command_of(driver, build):
    lang, given, command = driver.partition("=")
    return shlex.split(command) if given else list(map(str, FIND[lang](build)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, type=pathlib.Path)
    parser.add_argument("--vector", action="append", default=[])
    parser.add_argument("driver", nargs="*", metavar="LANG[=COMMAND]")
    arguments = parser.parse_args()
    build = arguments.build.resolve()
    os.environ["LD_LIBRARY_PATH"] = f"{build / 'lib/abi'}:{os.environ.get('LD_LIBRARY_PATH', '')}".rstrip(":")
    vectors = sorted((HERE / "vectors").glob("*.vector"))
    if arguments.vector:
        vectors = [path for path in vectors if path.stem in arguments.vector]
    counts = {"ok": 0, "not ok": 0, "skip": 0}

    def tell(result, what, why=""):
        counts[result] += 1
        print(f"{result} {what}" + (f": {why}" if why else ""), flush=True)

    for driver in arguments.driver or FIND:
        lang = driver.partition("=")[0]
        try:
            command = command_of(driver, build)
        except Lacking as why:
            tell("skip", lang, why)
            continue
        except Wrong as why:
            tell("not ok", lang, why)
            continue
        for path in vectors:
            comment, steps = read_vector(path)
            result, why = outcome(str(build / "bindings/cli/lb"), command, steps)
            tell(result, f"{lang} {path.stem}", f"{comment}\n    {path.name}, {why}" if result == "not ok" else why)
    print(f"{counts['ok']} passed, {counts['not ok']} failed, {counts['skip']} skipped")
    return 1 if counts["not ok"] or not counts["ok"] else 0


if __name__ == "__main__":
    sys.exit(main())
