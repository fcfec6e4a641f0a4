"""What came of a scenario in one place, in the same terms for all places, and the judgement of it."""

import re

from wire import GOOD, Reading

CLOSED_WITHIN_US = 100_000  # The issue: an upstream is closed so soon after its caller has left.


def kernel_bytes(place):
    """What the kernel may hold between an upstream and a caller: as much as this machine lets the receive buffers of lb
    and of curl grow, and the send buffer between them. The upstream's own is small (upstream.py)."""
    def most(name):
        with open(f"/proc/sys/net/ipv4/{name}") as file:
            return int(file.read().split()[2])
    buffers = {"sim": (), "sockets": ("tcp_rmem",), "gateway": ("tcp_rmem", "tcp_wmem", "tcp_rmem")}[place]
    return sum(most(name) + (1 << 18) for name in buffers)  # What stands in the processes beside each comes on top.


class Call:
    def __init__(self):
        self.asked = 0
        self.status = 0
        self.fields = {}
        self.body = bytearray()
        self.end = "hung"       # whole, broken, left, refused
        self.left = self.resumed = None
        self.message = ""       # Of an engine's error, which has no body.
        self.retry_after_ms = None
        self.attempts = None
        self.by = ""
        self.resumed_size = 0   # Bytes that it had had by then.

    def told_ms(self):
        """How long it has been told to wait, in milliseconds, as a caller finds it."""
        if "retry-after-ms" in self.fields:
            return float(self.fields["retry-after-ms"])
        if re.fullmatch(r"\d+(\.\d+)?", self.fields.get("retry-after", "")):
            return float(self.fields["retry-after"]) * 1000
        return self.retry_after_ms

    def __str__(self):
        body = self.body.decode(errors="replace")
        if len(body) > 1500:
            body = f"{body[:700]} ... {body[-700:]}"
        fields = {name: value for name, value in self.fields.items() if name.startswith(("x-lb", "retry", "content"))}
        return (f"status {self.status}, {self.end}, by {self.by or '?'}, attempts {self.attempts}, {fields}, "
                f"{self.message}\n      {body!r}")


class Seen:
    """What one upstream saw."""

    def __init__(self):
        self.requests = []     # (connection, head, body)
        self.opened = {}       # connection: time
        self.closed = {}
        self.sent_by_resume = 0


class Transcript:
    def __init__(self, instance, place):
        self.instance, self.place = instance, place
        self.calls = [Call() for _ in range(instance.calls)]
        self.seen = {name: Seen() for name in instance.upstreams}
        self.faults = []       # What went wrong besides: a driver that failed, something that was not given back.

    def take_players(self, players):
        for name, player in players.items():
            seen = self.seen[name]
            seen.requests = [(request.connection, request.head, request.body) for request in player.requests]
            for connection in player.connections:
                seen.opened[connection.number] = connection.opened
                if connection.closed:
                    seen.closed[connection.number] = connection.closed
            for call in self.calls:
                if call.resumed:
                    seen.sent_by_resume = sum(max([size for time, size in connection.sent_at if time <= call.resumed],
                                                  default=0) for connection in player.connections)

    def show(self):
        out = [f"    call {number}: {call}" for number, call in enumerate(self.calls)]
        for name, seen in self.seen.items():
            out.append(f"    {name}: {len(seen.requests)} requests on {len(seen.opened)} connections")
        return "\n".join(out)


class Judgement:
    """Faults are what callers see; upstream_faults, what upstreams do. `ours`: it is lb, whose own fields are judged too.
    Any other gateway may do better than what is expected: a good answer is good where an error of the upstream, or a
    broken stream, would have been honest."""

    def __init__(self, transcript, ours=True):
        self.transcript, self.ours = transcript, ours
        self.instance = transcript.instance
        self.faults, self.upstream_faults = list(transcript.faults), []
        for step in self.instance.steps:
            if step.kind == "call":
                self.judge_call(step, transcript.calls[step.call])
        for name, words in self.instance.expected:
            fault = self.upstream_fault(name, words)
            if fault:
                self.upstream_faults.append(f"{name}: expected {words!r}: {fault}")
        if self.ours:
            self.check_secrets()

    def check_secrets(self):
        """Whatever else happens: the caller's credential goes nowhere, and the upstream's comes from nowhere."""
        for name, seen in self.transcript.seen.items():
            for _, head, _ in seen.requests:
                if "sk-caller" in head:
                    self.upstream_faults.append(f"{name} was shown the caller's key")
        for call in self.transcript.calls:
            if f"sk-{self.instance.name}".encode() in call.body:
                self.faults.append("the caller was shown an upstream's key")

    # --- Callers ---

    def judge_call(self, step, call):
        kind = call.fields.get("content-type", "")
        reading = Reading(call.body.decode(errors="replace"), self.instance.form, kind)
        for words in step.expected:
            fault = self.call_fault(call, reading, words)
            if fault:
                self.faults.append(f"line {step.line}, call {step.call}: expected {words!r}: {fault}")

    def call_fault(self, call, reading, words):
        """Why what was expected is not so; None if it is."""
        word, _, rest = words.partition(" ")
        if re.fullmatch(r"\d{3}(\|\d{3})*", word):
            return self.status_fault(call, reading, word.split("|"))
        if word == "good":
            return self.good_fault(call, reading, rest, True)
        if word == "unterminated":
            return self.good_fault(call, reading, rest, False)
        if word == "broken":
            return self.broken_fault(call, reading, rest.removeprefix("after ").strip('"'))
        if word == "honest":
            whole = self.good_fault(call, reading, "", True)
            return whole and self.broken_fault(call, reading, None)
        if word == "left":
            return None if call.end == "left" else f"it ended: {call.end}"
        if word == "refused":
            fine = call.end == "refused" or call.status == 503
            return None if fine else f"status {call.status}, {call.end}"
        if word == "retry-after":
            return self.wait_fault(call, rest)
        if word == "says":
            text = call.body.decode(errors="replace") + call.message
            return None if rest.strip('"') in text else "it does not say so"
        if word == "size":
            return None if len(reading.text) == int(rest) else f"it has {len(reading.text)} characters"
        if word == "attempts":
            return None if not self.ours or str(call.attempts) == rest else f"there were {call.attempts}"
        return "nothing like that can be expected"

    def status_fault(self, call, reading, wanted):
        if not self.ours and call.status >= 500 and int(wanted[0]) >= 500:
            wanted = [str(call.status)]  # One says as much as another.
        if str(call.status) not in wanted:
            better = not self.ours and not self.good_fault(call, reading, "", True)
            return None if better else f"status {call.status}"
        if call.end != "whole":
            return f"it ended: {call.end}"
        if call.status < 400 or not call.fields:
            return None
        # SDKs look for the error where their provider puts it.
        if len(reading.errors) != 1 or not isinstance(reading.errors[0].get("error"), dict):
            return "its body is no error of the caller's dialect"
        if self.instance.form.asks_anthropic and reading.errors[0].get("type") != "error":
            return "its body is no error of the caller's dialect"
        return None

    def good_fault(self, call, reading, rest, terminated):
        stream = self.instance.form.stream
        if call.status != 200 or call.end != "whole":
            return f"status {call.status}, {call.end}"
        if reading.errors or reading.malformed:
            return f"{len(reading.errors)} errors and {reading.malformed} malformed events within"
        if reading.stream != stream:
            return "a plain answer to a call for a stream" if stream else "a stream to a call for a plain answer"
        if "x" * 100 not in reading.text and reading.text != GOOD:
            return f"the text is {reading.text[:200]!r}"
        if not reading.finished or (reading.terminated != terminated and (self.ours or terminated)):
            return f"finished: {reading.finished}, terminated: {reading.terminated}"
        if self.ours and rest.startswith("from ") and call.by != rest.removeprefix("from "):
            return f"it came from {call.by}"
        return None

    def broken_fault(self, call, reading, text):
        """Truncated, and the caller can tell."""
        if not self.ours and not self.good_fault(call, reading, "", True):
            return None
        if call.status != 200:
            return f"status {call.status}"
        known = reading.text == text if self.ours else GOOD.startswith(reading.text)
        if text is not None and not known:
            return f"the text is {reading.text[:200]!r}"
        if reading.terminated:
            return "it has a terminal marker that its upstream did not send"
        if reading.malformed:
            return "part of an event was passed on"
        if self.ours and (call.end != "broken" or not (reading.stream and reading.error_last)):
            return f"{call.end}, {'with' if reading.errors else 'without'} an error event"
        if call.end == "whole" and not reading.errors:
            return "nothing tells the caller that it is not whole"
        return None

    def wait_fault(self, call, wanted):
        told = call.told_ms()
        if wanted == "none":
            return None if told is None else f"it is {told} ms"
        low, _, high = wanted.partition("..")
        fine = told is not None and float(low) * 1000 <= told <= float(high or low) * 1000
        return None if fine else f"it is {told} ms"

    # --- Upstreams ---

    def upstream_fault(self, name, words):
        seen = self.transcript.seen[name]
        word, _, rest = words.partition(" ")
        if word == "connections":
            return self.count_fault(len(seen.opened), rest)
        if word == "closed":
            return self.closed_fault(seen)
        if word == "ahead":
            most = int(rest.split()[-1]) + kernel_bytes(self.transcript.place)
            return None if seen.sent_by_resume <= most else f"{seen.sent_by_resume} bytes"
        return self.count_fault(len(seen.requests), word, " requests")

    @staticmethod
    def count_fault(count, wanted, what=""):
        low, _, high = wanted.partition("..")
        return None if int(low) <= count <= int(high or low) else f"there were {count}{what}"

    def closed_fault(self, seen):
        left = max((call.left for call in self.transcript.calls if call.left), default=None)
        if left is None:
            return "no caller has left"
        for connection, opened in seen.opened.items():
            if opened > left:
                continue
            closed = seen.closed.get(connection)
            if closed is None or closed - left > CLOSED_WITHIN_US:
                return "it was not closed" if closed is None else f"it was closed after {(closed - left) / 1000:.0f} ms"
        return None
