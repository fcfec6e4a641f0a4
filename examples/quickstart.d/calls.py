"""Calls through the gateway: half plain, half streamed, a few at a time, with a line of progress."""

import http.client
import json
import sys
import threading
import time

from world import MODEL

CONCURRENCY = 8
DOOMED = "mortal"


class Run:
    def __init__(self, world, total):
        self.world = world
        self.total = total
        self.kill_at = total // 3
        self.lock = threading.Lock()
        self.started = {False: 0, True: 0}  # Plain, and streamed.
        self.hold = False                   # No new streams for now.
        self.done = 0
        self.times = {}      # Of calls that ended well, by the deployment that served them.
        self.failures = []
        self.streaming = {}  # Streams under way: call number -> deployment, None before it is known.
        self.news = ""

    def go(self):
        started = time.monotonic()
        threads = [threading.Thread(target=self.work) for _ in range(CONCURRENCY)]
        threads.append(threading.Thread(target=self.kill_one))
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            self.print_progress()
            time.sleep(0.1)
        self.seconds = time.monotonic() - started
        self.print_progress()
        print()

    def print_progress(self):
        if not sys.stdout.isatty() and self.done < self.total:
            return
        width = 30
        full = width * self.done // self.total
        start = "\r" if sys.stdout.isatty() else ""
        print(f"{start}[{'#' * full}{'.' * (width - full)}] {self.done}/{self.total} calls, "
              f"{len(self.failures)} failed{self.news}", end="", flush=True)

    def work(self):
        connection = http.client.HTTPConnection(self.world.address, timeout=60)
        while True:
            with self.lock:
                number = sum(self.started.values())
                if number >= self.total:
                    return connection.close()
                stream = not self.hold and self.started[True] < self.started[False]
                self.started[stream] += 1
                if stream:
                    self.streaming[number] = None
            began = time.monotonic()
            try:
                by = self.call(connection, number, stream)
                fault = None
            except (OSError, http.client.HTTPException, ValueError) as error:
                connection.close()
                by, fault = None, f"call {number}: {error}"
            with self.lock:
                self.streaming.pop(number, None)
                self.done += 1
                if fault:
                    self.failures.append(fault)
                else:
                    self.times.setdefault(by, []).append(time.monotonic() - began)

    def call(self, connection, number, stream):
        """The deployment that served it; raises when the answer is not a whole, good one."""
        body = {"model": MODEL, "max_completion_tokens": 24, "stream": stream,
                "messages": [{"role": "user", "content": f"Say something about the number {number}."}]}
        connection.request("POST", "/v1/chat/completions", json.dumps(body), {"content-type": "application/json"})
        response = connection.getresponse()
        by = response.headers.get("x-lb-served-by", "?")
        if response.status != 200:
            raise ValueError(f"HTTP {response.status}: {response.read(300)!r}")
        if not stream:
            json.loads(response.read())["choices"][0]["message"]
            return by
        with self.lock:
            self.streaming[number] = by
        last = b""
        for line in response:
            if line.strip():
                last = line.strip()
                if last.startswith(b'data: {"error"'):
                    raise ValueError(last.decode(errors="replace"))
        if last != b"data: [DONE]":
            raise ValueError(f"the stream of {by} ended early")
        return by

    def kill_one(self):
        """Kills a deployment with calls on it, but with no stream of it half delivered: what callers have read of an
        answer cannot be taken back, and lb does not pretend that another deployment's words continue it. So no new
        streams begin until those under way on it are done; plain calls go on, and streams catch up afterwards."""
        while self.done < self.kill_at:
            time.sleep(0.01)
        self.hold = True
        while True:
            with self.lock:
                if not {DOOMED, None} & set(self.streaming.values()):
                    self.world.kill(DOOMED)
                    self.news = f"; {DOOMED} was killed after {self.done}"
                    self.hold = False
                    return
            time.sleep(0.002)
