"""What the tests of SDKs for Python have in common: mocks with a gateway over them, and how tests are run.

A file of a world (world.json, dialects.json) has the options of the mocks and the configuration of the gateway, in
which the name of a mock in capitals stands for its URL. What is under "deployments_of_each" is taken once for each of
its "dialects", with its name in place of DIALECT.
"""
import json
import os
import re
import subprocess
import tempfile
import time
import traceback
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
CLIENT_KEY = "sk-key-of-the-caller"
WAIT_S = 10  # For what happens soon on any machine.


class World:
    """Mocks and a gateway over them; ends them all."""

    def __init__(self, lb, file):
        self.children, self.mocks = [], {}
        self.dir = tempfile.TemporaryDirectory(prefix="lb-sdk-")
        with open(os.path.join(HERE, file)) as f:
            world = json.load(f)
        for dialect in world.get("dialects", []):
            each = json.dumps(world["deployments_of_each"]).replace("DIALECT", dialect)
            world["config"]["deployments"] += json.loads(each)
        text = json.dumps(world["config"])
        for name, options in world["mocks"].items():
            line = self.start(lb, "mock", "--options", json.dumps(options))
            self.mocks[name] = re.search(r"http://\S+(?=/v1)", line)[0]
            text = text.replace(f'"{name.upper()}"', f'"{self.mocks[name]}/v1"')
        path = os.path.join(self.dir.name, "lb.json")
        with open(path, "w") as f:
            f.write(text)
        self.url = re.search(r"http://\S+", self.start(lb, "serve", path))[0]

    def start(self, *command):
        log = open(os.path.join(self.dir.name, f"log{len(self.children)}"), "w")
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        self.children.append(child)
        line = child.stdout.readline()
        if not line:
            raise RuntimeError(f"{command[:2]} did not start: {open(log.name).read()}")
        return line

    def journal(self, mock):
        with urllib.request.urlopen(self.mocks[mock] + "/mock/journal", timeout=WAIT_S) as answer:
            return json.load(answer)

    def calls(self, mock, model):
        return [call for call in self.journal(mock)["calls"] if call["model"] == model]

    def last_body(self, mock, model):
        """What the mock was asked last for that model."""
        return json.loads(self.calls(mock, model)[-1]["body"])

    def stop(self):
        for child in self.children:
            child.kill()
            child.wait()
            child.stdout.close()
        self.dir.cleanup()


def until(what):
    """Polls `what` until it is true."""
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        value = what()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError("did not happen in time")


def raised(kind, act):
    try:
        act()
    except kind as error:
        assert type(error) is kind, f"{type(error).__name__} instead of {kind.__name__}"
        return error
    raise AssertionError(f"no {kind.__name__} was raised")


def run(label, lb, world_file, tests, client_of):
    """Runs the tests, each a function of the world and a client that client_of makes of it; the exit status."""
    world = World(lb, world_file)
    failed = 0
    try:
        client = client_of(world)
        for name, test in tests.items():
            try:
                test(world, client)
                print(f"ok {label} {name}", flush=True)
            except Exception:
                failed += 1
                print(f"not ok {label} {name}", flush=True)
                traceback.print_exc()
    finally:
        world.stop()
    print(f"# {label}: {len(tests) - failed} ok, {failed} not ok")
    return 1 if failed else 0
