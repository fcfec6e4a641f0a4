"""Runs the `lb` program for the tests: one-shot commands and services, with a bound on every wait."""

import http.client
import json
import os
import signal
import subprocess
import tempfile
import threading
import time
import unittest

LB = os.environ["LB"]
PATIENCE_S = 60  # Of a machine that is busy and a program under sanitizers; nothing here takes a tenth of it.

ECHO = """
listen: [{address: "127.0.0.1:0"}]
deployments:
  - {name: near, kind: echo, events: EVENTS, delay_ms: DELAY, models: [MODEL]}
"""


def echo(model="m", events=3, delay_ms=0):
    return ECHO.replace("EVENTS", str(events)).replace("DELAY", str(delay_ms)).replace("MODEL", model)


def run(*arguments, text="", environment=None):
    """The finished process of `lb ARGUMENTS`."""
    return subprocess.run([LB, *arguments], input=text, capture_output=True, text=True, timeout=PATIENCE_S,
                          env={**os.environ, **(environment or {})})


class Service:
    """A command that stays: its output, line by line, as it comes."""

    def __init__(self, *arguments, text=None, stderr=subprocess.PIPE):
        self.process = subprocess.Popen([LB, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
                                        text=True)
        if text is not None:
            self.process.stdin.write(text)
        self.process.stdin.close()
        self.out, self.err = [], []
        self.changed = threading.Condition()
        self.readers = [threading.Thread(target=self.read, args=(self.process.stdout, self.out), daemon=True)]
        if self.process.stderr:
            self.readers.append(threading.Thread(target=self.read, args=(self.process.stderr, self.err), daemon=True))
        for reader in self.readers:
            reader.start()

    def read(self, pipe, lines):
        for line in pipe:
            with self.changed:
                lines.append(line.rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.changed.notify_all()

    def wait_for(self, lines, part):
        """The first line that contains `part`."""
        deadline = time.monotonic() + PATIENCE_S
        with self.changed:
            while True:
                for line in lines:
                    if part in line:
                        return line
                left = deadline - time.monotonic()
                if left <= 0 or not any(reader.is_alive() for reader in self.readers):
                    raise AssertionError(f"{part!r} never came; stdout {self.out}, stderr {self.err}")
                self.changed.wait(min(left, 0.2))

    def address(self):
        return self.wait_for(self.out, "listening on http://").split("http://")[1].split("/")[0]

    def kill(self, number):
        self.process.send_signal(number)

    def end(self):
        """The exit status, once all output is here."""
        status = self.process.wait(PATIENCE_S)
        for reader in self.readers:
            reader.join(PATIENCE_S)
        return status

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.end()
        self.process.stdout.close()
        if self.process.stderr:
            self.process.stderr.close()


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def write(self, text, name="lb.yaml"):
        path = os.path.join(self.folder, name)
        with open(path + ".new", "w") as file:
            file.write(text)
        os.replace(path + ".new", path)
        return path

    def service(self, *arguments, **options):
        service = Service(*arguments, **options)
        self.addCleanup(service.close)
        return service

    def serve(self, document, *arguments):
        self.path = self.write(document)
        return self.service("serve", self.path, *arguments)

    def ask(self, address, stream=False, model="m"):
        """An answer whose body is still to be read."""
        connection = http.client.HTTPConnection(address, timeout=PATIENCE_S)
        self.addCleanup(connection.close)
        body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": "hello"}]}
        connection.request("POST", "/v1/chat/completions", json.dumps(body), {"content-type": "application/json"})
        return connection.getresponse()

    def get(self, address, path):
        connection = http.client.HTTPConnection(address, timeout=PATIENCE_S)
        self.addCleanup(connection.close)
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


TERM, INT, HUP = signal.SIGTERM, signal.SIGINT, signal.SIGHUP
