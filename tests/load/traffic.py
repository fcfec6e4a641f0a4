"""Clients of the gateway under test: each a thread that does one thing after the other, at random but seeded, and looks
at what it gets. Answers may be refusals, for the upstreams are faulty; what claims to be a success must be whole."""

import collections
import http.client
import json
import random
import socket
import threading
import time

TOKENS = 16       # Content events of each answer: the mocks' default.
BIG = 1_000_000   # What a big answer has at least.
PATIENCE_S = 60   # Longer than any deadline in the configuration, also under sanitizers.
# What a client may meet: the connection ends in the middle, which says that the answer is not whole.
CUT = (http.client.IncompleteRead, http.client.RemoteDisconnected, ConnectionError)


class Wrong(Exception):
    """An answer that should not have been."""


def prompt(chance, size):
    words = "".join(chance.choices("abcdefgh ", k=min(size, 500)))
    return json.dumps({"role": "user", "content": words * (size // 500 + 1)})


def body_of(chance, stream=False, model="m", size=200):
    streamed = "true" if stream else "false"
    return f'{{"model": "{model}", "stream": {streamed}, "messages": [{prompt(chance, size)}]}}'.encode()


class Client(threading.Thread):
    def __init__(self, address, seed, ending):
        super().__init__(daemon=True)
        host, port = address.rsplit(":", 1)
        self.address = (host, int(port))
        self.chance = random.Random(seed)
        self.ending = ending
        self.seen = collections.Counter()
        self.wrong = []
        self.connection = None

    def run(self):
        kinds = [self.plain, self.stream, self.large, self.big, self.leave, self.slow, self.half, self.mistake,
                 self.look]
        while not self.ending.is_set():
            kind = self.chance.choice(kinds)
            try:
                kind()
            except CUT as cut:
                self.drop()
                self.seen[f"{kind.__name__}: cut"] += 1
            except Exception as why:  # Whatever it is, the run has failed, and says so.
                self.drop()
                self.wrong.append(f"{kind.__name__}: {why!r}")
            time.sleep(self.chance.random() * 0.02)
        self.drop()

    def drop(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def connect(self):
        """A connection, one that has served before if it can be."""
        if self.connection is None or self.chance.random() < 0.1:
            self.drop()
            self.connection = http.client.HTTPConnection(*self.address, timeout=PATIENCE_S)
        return self.connection

    def post(self, body, **headers):
        fields = {"content-type": "application/json", "x-lb-caller": f"g{self.chance.randrange(20)}", **headers}
        connection = self.connect()
        connection.request("POST", "/v1/chat/completions", body, fields)
        return connection.getresponse()

    def note(self, kind, answer):
        self.seen[f"{kind}: {answer.status}"] += 1

    # --- What a client does ---

    def plain(self, kind="plain", body=None, least=0):
        answer = self.post(body or body_of(self.chance, size=self.chance.randrange(4000)))
        text = answer.read()
        self.note(kind, answer)
        if answer.status == 200:
            check_plain(answer, text, least)
        elif not text:  # What it says is the upstream's own where that was the last word: a page of HTML, too.
            raise Wrong(f"{answer.status} without a word")

    def large(self):
        body = body_of(self.chance, size=self.chance.randrange(100_000, 2_000_000))
        if self.chance.random() < 0.5:
            return self.plain("large", body)
        step = 64 * 1024  # In chunks, as from a client that does not know its length.
        self.plain("large", iter([body[i:i + step] for i in range(0, len(body), step)]))

    def big(self):
        self.plain("big", body_of(self.chance, model="big"), BIG)

    def stream(self):
        answer = self.post(body_of(self.chance, stream=True))
        self.note("stream", answer)
        try:
            text = answer.read()
        except http.client.IncompleteRead as cut:  # It broke: then it must say so itself, for readers of events.
            if not events_of(cut.partial)[-1].startswith('{"error"'):
                raise Wrong(f"a stream that broke without its error event: {cut.partial[-200:]}") from None
            self.seen["stream: broke, and said so"] += 1
            return self.drop()
        if answer.status == 200:
            check_stream(answer, text)
            self.seen["stream: whole"] += 1

    def leave(self):
        """Goes away in the middle, or at once."""
        stream, model = self.chance.random() < 0.5, self.chance.choice(["m", "big"])
        answer = self.post(body_of(self.chance, stream, model))
        if self.chance.random() < 0.7:
            answer.read(self.chance.randrange(1, 2000))
        self.seen["leave"] += 1
        self.drop()

    def slow(self):
        """Takes a big answer in sips, and mostly gives up."""
        answer = self.post(body_of(self.chance, model="big"))
        for _ in range(self.chance.randrange(60)):
            if not answer.read(4096):
                break
            time.sleep(0.005)
        self.seen["slow"] += 1
        self.drop()

    def half(self):
        """Sends part of a request, and goes."""
        body = body_of(self.chance, size=5000)
        text = (f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
                f"content-length: {len(body)}\r\n\r\n").encode() + body
        with socket.create_connection(self.address, PATIENCE_S) as plug:
            plug.sendall(text[:self.chance.randrange(1, len(text))])
        self.seen["half"] += 1

    def mistake(self):
        for body, status in ((b'{"model": ', 400), (body_of(self.chance, model="no-such-model"), 404)):
            answer = self.post(body)
            answer.read()
            self.note("mistake", answer)
            if answer.status != status:
                raise Wrong(f"{answer.status} instead of {status}")

    def look(self):
        path = self.chance.choice(["/stats", "/metrics", "/v1/models", "/healthz", "/readyz", "/nothing"])
        connection = self.connect()
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        self.note("look", answer)
        if answer.status != (404 if path == "/nothing" else 200) and path != "/readyz":
            raise Wrong(f"{path}: {answer.status}")


def check_plain(answer, text, least):
    tree = json.loads(text)
    content = tree["choices"][0]["message"]["content"]
    if tree["choices"][0]["finish_reason"] != "stop" or len(text) < least:
        raise Wrong(f"a success that is not whole: {text[:200]}")
    server = answer.headers["x-lb-served-by"].split(".")[0]
    if content.split(":")[0] != server:
        raise Wrong(f"an answer of {server} says {content[:40]!r}")


def events_of(text):
    return [line[6:] for line in text.decode().split("\n") if line.startswith("data: ")] or [""]


def check_stream(answer, text):
    events = events_of(text)
    if events[-1] != "[DONE]":
        raise Wrong(f"a stream that ended in nothing: {text[-200:]}")
    content = [event for event in events if '"delta":{"content":"' in event]
    if len(content) != TOKENS:
        raise Wrong(f"a whole stream with {len(content)} pieces")
    server = answer.headers["x-lb-served-by"].split(".")[0]
    if json.loads(content[0])["choices"][0]["delta"]["content"].strip() != server + ":":
        raise Wrong(f"a stream of {server} says {content[0]}")


class Traffic:
    def __init__(self, address, clients, seed):
        self.ending = threading.Event()
        self.clients = [Client(address, seed * 1000 + i, self.ending) for i in range(clients)]
        for client in self.clients:
            client.start()

    def end(self):
        """What they saw; what was wrong."""
        self.ending.set()
        seen, wrong = collections.Counter(), []
        for client in self.clients:
            client.join(PATIENCE_S)
            if client.is_alive():
                wrong.append("a client is still waiting for its answer")
            seen.update(client.seen)
            wrong.extend(client.wrong)
        return seen, wrong
