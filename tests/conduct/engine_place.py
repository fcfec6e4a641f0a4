"""Plays a scenario with the engine: in the simulator (conduct_sim), or over sockets through the C ABI (conduct_call).
Both are told what to do, and say what happened, in the words of steps.h."""

import asyncio
import os

from document import lb_document
from transcript import Transcript
from upstream import Player, now_us

PATIENCE_S = 120  # Of a machine that is busy and a driver under sanitizers.


def counted(text):
    return len(text.encode())


def step_lines(instance, place, certificates, ports):
    """The steps, as text."""
    out = []
    for step in instance.steps:
        if step.kind == "call":
            out.append(call_text(instance, step))
        elif step.kind == "reload":
            text = lb_document([instance], place, certificates, ports, without=step.without)
            out.append(f"configure {step.at_ms} {counted(text)}\n{text}\n")
        elif step.kind == "drain":
            out.append(f"close {step.at_ms} {step.ms}\n")
        elif step.kind == "wait":
            out.append(f"wait {step.at_ms} {step.ms}\n")
        else:
            out.append(f"{step.kind} {step.at_ms} {step.name}\n")
    return "".join(out)


def call_text(instance, step):
    head = (f"POST {instance.form.path} HTTP/1.1\r\nhost: lb\r\ncontent-type: application/json\r\n"
            "authorization: Bearer sk-caller\r\nx-api-key: sk-caller\r\n")
    body = instance.form.request(instance.name)
    return (f"call {step.at_ms} {step.call} {step.leave_ms} {step.pause_ms} {counted(step.leave_text)} {counted(head)} "
            f"{counted(body)}\n{step.leave_text}\n{head}\n{body}\n")


def upstream_lines(instance, ports):
    """For the simulator, whose upstreams are its own."""
    for upstream in instance.upstreams.values():
        port = ports[instance.name][upstream.name]
        yield f"upstream {upstream.name} {port} {upstream.meets} {','.join(upstream.dns)}\n"
        for first, last, acts in upstream.scripts:
            yield f"script {upstream.name} {first} {last}\n"
            for act in acts:
                yield f"send {counted(act[1])}\n{act[1]}\n" if act[0] == "send" else " ".join(map(str, act)) + "\n"


class Log:
    """Reads what a driver writes, into a transcript."""

    def __init__(self, transcript):
        self.transcript = transcript
        self.sent = {}

    async def read(self, pipe, on_now):
        while True:
            line = await pipe.readline()
            if not line:
                return
            words = line.decode().split()
            sized = words[0] in ("head", "data", "done", "request", "unrest")
            payload = (await pipe.readexactly(int(words[-1]) + 1))[:-1] if sized else b""
            if words[0] == "now":
                await on_now(words[1], words[2])
            elif words[0] in ("request", "opened", "closed", "sent"):
                self.upstream_line(words, payload)
            elif words[0] == "unrest":
                if payload:
                    self.transcript.faults.append(payload.decode())
            elif words[0] == "configured":
                if words[2] != "OK":
                    self.transcript.faults.append(f"the reload was refused: {words[2]}")
            elif words[0] != "ended":
                self.call_line(words, payload)

    def call_line(self, words, payload):
        call = self.transcript.calls[int(words[1])]
        if words[0] == "asked":
            call.asked = int(words[2])
        elif words[0] == "head":
            call.status = int(words[3])
            for line in payload.decode("latin-1").split("\r\n"):
                name, _, value = line.partition(":")
                call.fields[name.strip().lower()] = value.strip()
            call.by, call.attempts = call.fields["x-lb-served-by"], call.fields["x-lb-attempts"]
        elif words[0] == "data":
            call.body += payload
        elif words[0] == "left":
            call.left = int(words[2])
        elif words[0] == "resumed":
            call.resumed = int(words[2])
            for name, connections in self.sent.items():
                self.transcript.seen[name].sent_by_resume = sum(connections.values())
        elif words[0] == "refused":
            call.end = "refused"
        elif words[0] == "done":
            self.done(call, words, payload)

    @staticmethod
    def done(call, words, payload):
        status, code, wait_ms, attempts, by = words[3:8]
        call.message = payload.decode()
        if status == "OK":
            call.end = "whole"
        elif status == "CANCELLED":
            call.end = "left" if call.left else "broken" if call.fields else "refused"
        elif call.fields:
            call.end = "broken"
        else:  # An error that a gateway would put into words.
            call.end, call.status, call.by, call.attempts = "whole", int(code), by, attempts
            call.retry_after_ms = float(wait_ms) if int(wait_ms) >= 0 else None

    def upstream_line(self, words, payload):
        seen = self.transcript.seen[words[1]]
        if words[0] == "request":
            head, _, body = payload.decode("latin-1").partition("\r\n\r\n")
            seen.requests.append((words[2], head, body))
        elif words[0] == "opened":
            seen.opened[words[2]] = int(words[3])
        elif words[0] == "closed":
            seen.closed[words[2]] = int(words[3])
        else:
            self.sent.setdefault(words[1], {})[words[2]] = int(words[3])


class Simulator:
    name = "sim"

    def __init__(self, driver):
        self.driver = driver

    async def play(self, instance, certificates):
        ports = {instance.name: {name: port for port, name in enumerate(instance.upstreams, 1)}}
        text = lb_document([instance], self.name, certificates, ports)
        steps = (f"config {counted(text)}\n{text}\n" + "".join(upstream_lines(instance, ports)) +
                 step_lines(instance, self.name, certificates, ports) + "go\n")
        return await drive(self.driver, Transcript(instance, self.name), steps, {})


class Sockets:
    name = "sockets"

    def __init__(self, driver):
        self.driver = driver

    async def play(self, instance, certificates):
        players = await start_players(instance, certificates)
        ports = {instance.name: ports_of(players)}
        text = lb_document([instance], self.name, certificates, ports)
        steps = f"config {counted(text)}\n{text}\n" + step_lines(instance, self.name, certificates, ports) + "go\n"
        transcript = await drive(self.driver, Transcript(instance, self.name), steps, players, names_of(instance))
        await stop_players(players)
        transcript.take_players(players)
        return transcript


def names_of(instance):
    """For names.c: what the look-ups of each name find."""
    answers = {"ok": "127.0.0.1"}
    return ";".join(f"{upstream.name}.conduct.test=" + ",".join(answers.get(answer, answer) for answer in upstream.dns)
                    for upstream in instance.upstreams.values() if upstream.named)


def ports_of(players):
    return {name: player.port for name, player in players.items()}


async def start_players(instance, certificates, ports=None):
    players = {}
    for name, upstream in instance.upstreams.items():
        players[name] = Player(upstream, ports[name] if ports else 0, certificates.server(upstream.meets))
        await players[name].start()
    return players


async def stop_players(players):
    # A connection whose other end is gone by now is noticed before it is closed from here.
    await asyncio.sleep(0.02)
    for player in players.values():
        await player.stop()


async def drive(driver, transcript, steps, players, names=""):
    process = await asyncio.create_subprocess_exec(
        driver, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        limit=1 << 20, env={**os.environ, "CONDUCT_NAMES": names})

    async def on_now(word, name):
        await (players[name].stop() if word == "stop" else players[name].restart())
        process.stdin.write(b"\n")

    async def feed():
        process.stdin.write(steps.encode())
        await process.stdin.drain()

    begun = now_us()
    try:
        _, _, errors = await asyncio.wait_for(
            asyncio.gather(feed(), Log(transcript).read(process.stdout, on_now), process.stderr.read()), PATIENCE_S)
        status = await asyncio.wait_for(process.wait(), PATIENCE_S)
        if status != 0:
            transcript.faults.append(f"the driver ended with {status}: {errors.decode(errors='replace')[-2000:]}")
    except (asyncio.TimeoutError, ConnectionError) as error:
        transcript.faults.append(f"the driver failed after {(now_us() - begun) // 1000} ms: {error!r}")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return transcript
