"""Plays scenarios through a gateway: `lb serve`, or one that runs already, asked by curl."""

import asyncio
import os
import signal
import tempfile

from document import lb_document
from engine_place import names_of, ports_of, start_players, stop_players
from transcript import Transcript
from upstream import now_us

PATIENCE_S = 120
ARRIVAL_S = 10  # For calls to reach an upstream; those that never will are waited for as long.
# curl(1), EXIT CODES: what they say of an answer whose head has come.
WHOLE, NO_CONNECTION, PARTIAL, TIMED_OUT = 0, 7, (18, 55, 56), 28


class Process:
    """`lb serve` with one document; its standard error is kept for when something goes wrong."""

    def __init__(self, program, names=""):
        self.program, self.names = program, names
        self.folder = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.folder.name, "lb.json")
        self.process = None
        self.draining = False

    def write(self, document):
        with open(self.path + ".new", "w") as file:
            file.write(document)
        os.replace(self.path + ".new", self.path)

    async def start(self, document, preload, drain_ms=0):
        self.write(document)
        environment = {**os.environ, "CONDUCT_NAMES": self.names}
        if self.names:
            # The shim has no sanitizer in it, so that it may stand before the runtime of one.
            environment["LD_PRELOAD"] = preload
            environment["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
        self.process = await asyncio.create_subprocess_exec(
            self.program, "serve", self.path, "--log-level", "error",
            *(["--drain-ms", str(drain_ms)] if drain_ms else []), stdout=asyncio.subprocess.PIPE,
            stderr=open(self.path + ".log", "w"), env=environment)
        line = (await asyncio.wait_for(self.process.stdout.readline(), PATIENCE_S)).decode()
        if "listening on http://" not in line:
            raise RuntimeError(f"lb serve did not start: {line}{self.log()}")
        return line.split("listening on ")[1].split()[0].rstrip("/")

    def log(self):
        with open(self.path + ".log") as file:
            return file.read()[-3000:]

    async def stop(self):
        if self.process and self.process.returncode is None:
            if not self.draining:
                self.process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(self.process.wait(), PATIENCE_S)
            except asyncio.TimeoutError:
                self.process.kill()
                await self.process.wait()
        status = self.process.returncode if self.process else 0
        log = self.log() if status else ""
        self.folder.cleanup()
        return f"lb serve ended with {status}: {log}" if status else ""


class Gateway:
    """`url`: of a gateway that runs already, with fixed ports for the upstreams; else `lb serve` is started."""

    name = "gateway"

    def __init__(self, program, preload, url="", ports=None, key="sk-caller"):
        self.program, self.preload, self.key = program, preload, key
        self.url, self.ports = url, ports or {}
        self.players = {}
        self.shared = None

    def shares(self, instance):
        return bool(self.url) or not instance.alone

    async def begin(self, instances, certificates):
        """Starts the upstreams of all, and the gateway of those that need none of their own."""
        for instance in instances:
            self.players[instance.name] = await start_players(instance, certificates, self.ports.get(instance.name))
        together = [instance for instance in instances if self.shares(instance)]
        if self.url or not together:
            return
        self.shared = Process(self.program)
        document = lb_document(together, self.name, certificates, self.taken(), shared=True, listen="127.0.0.1:0")
        self.url_shared = await self.shared.start(document, self.preload)

    def taken(self):
        return {name: ports_of(players) for name, players in self.players.items()}

    async def finish(self):
        return await self.shared.stop() if self.shared else ""

    async def play(self, instance, certificates):
        players = self.players[instance.name]
        transcript = Transcript(instance, self.name)
        own = None
        if self.shares(instance):
            url = self.url or self.url_shared
        else:
            own = Process(self.program, names_of(instance))
            drain_ms = max(step.ms for step in instance.steps if step.kind == "drain") if instance.drains else 0
            document = lb_document([instance], self.name, certificates, self.taken(), listen="127.0.0.1:0")
            url = await own.start(document, self.preload, drain_ms)
        play = Play(instance, transcript, players, url, own, certificates, self.key)
        try:
            await asyncio.wait_for(play.run(), PATIENCE_S)
        except asyncio.TimeoutError:
            transcript.faults.append(f"it was not over after {PATIENCE_S} s")
        if own:
            fault = await own.stop()
            if fault:
                transcript.faults.append(fault)
        await stop_players(players)
        transcript.take_players(players)
        return transcript


class Play:
    """The steps of one scenario."""

    def __init__(self, instance, transcript, players, url, process, certificates, key):
        self.instance, self.transcript, self.players, self.url = instance, transcript, players, url
        self.process, self.certificates, self.key = process, certificates, key
        self.running = []
        self.begin = 0.0

    async def run(self):
        self.begin = asyncio.get_running_loop().time()
        for step in self.instance.steps:
            await self.reach(step.at_ms)
            await self.step(step)
        await asyncio.gather(*self.running)

    async def reach(self, at_ms):
        if at_ms < 0:
            await asyncio.gather(*self.running)
            self.running = []
        else:
            await asyncio.sleep(max(0.0, self.begin + at_ms / 1000 - asyncio.get_running_loop().time()))

    async def step(self, step):
        if step.kind == "call":
            self.running.append(asyncio.create_task(self.call(step)))
        elif step.kind == "stop":
            await self.players[step.name].stop()
        elif step.kind == "start":
            await self.players[step.name].restart()
        elif step.kind == "wait":
            await asyncio.sleep(step.ms / 1000)
        elif step.kind == "reload":
            await self.arrive()
            await self.reload(step)
        else:
            await self.arrive()
            self.process.draining = True
            self.process.process.send_signal(signal.SIGTERM)

    async def arrive(self):
        """Waits until the calls that have begun are with the upstreams: on a busy machine curl takes longer to start
        than it is to the next step. What follows is later by as much."""
        loop = asyncio.get_running_loop()
        since = loop.time()
        while (sum(len(player.requests) for player in self.players.values()) < len(self.running)
               and loop.time() < since + ARRIVAL_S):
            await asyncio.sleep(0.01)
        self.begin += loop.time() - since

    async def reload(self, step):
        ports = {self.instance.name: ports_of(self.players)}
        self.process.write(lb_document([self.instance], "gateway", self.certificates, ports, without=step.without,
                                       listen="127.0.0.1:0"))
        self.process.process.send_signal(signal.SIGHUP)

    def command(self, step):
        out = ["curl", "-sS", "-i", "-N", "--http1.1", "--max-time", str(PATIENCE_S // 3), "--noproxy", "*",
               "-H", "content-type: application/json", "-H", "expect:",
               "-H", f"authorization: Bearer {self.key}", "--data-binary", "@-"]
        if self.instance.form.asks_anthropic:
            out += ["-H", f"x-api-key: {self.key}", "-H", "anthropic-version: 2023-06-01"]
        return [*out, self.url + self.instance.form.path]

    async def call(self, step):
        call = self.transcript.calls[step.call]
        call.asked = now_us()
        # What is not read stays with curl, and curl stops to read in turn: the buffer here is small.
        process = await asyncio.create_subprocess_exec(
            *self.command(step), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE, limit=1 << 16)
        process.stdin.write(self.instance.form.request(self.instance.name).encode())
        process.stdin.close()
        if step.pause_ms:
            await asyncio.sleep(step.pause_ms / 1000)
            call.resumed = now_us()
        try:
            limit = step.leave_ms / 1000 if step.leave_ms >= 0 else None
            await asyncio.wait_for(self.take(process, call, step.leave_text), limit)
        except asyncio.TimeoutError:
            call.left = now_us()
        if call.left:
            process.kill()
        code = await process.wait()
        self.ended(call, code, (await process.stderr.read()).decode(errors="replace"))

    async def take(self, process, call, leave_text):
        while True:
            piece = await process.stdout.read(1 << 16)
            if not piece:
                return
            call.body += piece
            if leave_text and leave_text.encode() in call.body:
                call.left = now_us()
                return

    def ended(self, call, code, message):
        head, found, call.body = call.body.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        if found:
            call.status = int(lines[0].split()[1])
            for line in lines[1:]:
                name, _, value = line.partition(":")
                call.fields[name.strip().lower()] = value.strip()
        call.by = call.fields.get("x-lb-served-by", "").removeprefix(self.instance.name + ".")
        call.attempts = call.fields.get("x-lb-attempts")
        if call.left:
            call.end = "left"
        elif code == WHOLE:
            call.end = "whole"
        elif code == NO_CONNECTION:
            call.end = "refused"
        elif code == TIMED_OUT:
            call.end = "hung"
        else:
            call.end = "broken"
            call.message = message.strip()
